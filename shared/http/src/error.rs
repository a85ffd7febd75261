//! How a fetch fails: which URL, in what way, and whether another try makes sense.

use std::error::Error;
use std::{fmt, io};

use url::Url;

use crate::guard::GuardError;
use crate::redact::redacted;
use crate::resolve::ResolveError;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A fetch that failed.
#[derive(Debug)]
pub struct FetchError {
    /// The URL that was being fetched, after redirects, without query and user information.
    pub url: String,
    /// What went wrong.
    pub kind: FetchErrorKind,
}

/// In what way a fetch failed. A response with an error status is not a failure here.
#[derive(Debug, thiserror::Error)]
pub enum FetchErrorKind {
    /// The guard does not let this URL, or the address of its host, through.
    #[error("refused: {0}")]
    Refused(GuardError),
    /// The host name could not be resolved.
    #[error("cannot resolve the host name: {source}")]
    Dns {
        /// What the resolver reported.
        source: Cause,
    },
    /// No connection could be made.
    #[error("cannot connect: {source}")]
    Connect {
        /// What the system reported.
        source: Cause,
    },
    /// The TLS handshake failed: a bad certificate, or a server that doesn't speak TLS.
    #[error("TLS failed: {source}")]
    Tls {
        /// What the TLS library reported.
        source: Cause,
    },
    /// A time limit passed.
    #[error("timed out {0}")]
    TimedOut(Phase),
    /// The body is larger than allowed.
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The body came too slowly.
    #[error("the body came slower than {min_bytes_per_sec} bytes a second")]
    TooSlow {
        /// The least speed allowed, in bytes a second.
        min_bytes_per_sec: u64,
    },
    /// A redirect led to a URL that this fetch has already asked for.
    #[error("redirected in a circle")]
    RedirectLoop,
    /// There were more redirects than allowed.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit.
        limit: u8,
    },
    /// The body stopped before its end.
    #[error("the body stopped after {got_bytes} bytes{}", announced(.expected_bytes))]
    Truncated {
        /// The length that the response announced, in bytes, if it did.
        expected_bytes: Option<u64>,
        /// The bytes that came.
        got_bytes: u64,
    },
    /// A header of the request is not valid HTTP.
    #[error("request header {name:?} is not valid")]
    InvalidHeader {
        /// The header's name.
        name: String,
    },
    /// The connection broke, or the server did not speak HTTP.
    #[error("the exchange broke off: {source}")]
    Transfer {
        /// What the HTTP library reported.
        source: Cause,
    },
    /// The server answered a range request with another range or with more than it announced, the
    /// body was read past a failure, or the URL cannot be put into a request.
    #[error("{0}")]
    Other(&'static str),
}

/// What was being waited for when a time limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A connection, name resolution and TLS included.
    Connect,
    /// The response head.
    FirstByte,
    /// The next bytes of the body.
    Idle,
    /// The end of the whole fetch.
    Total,
}

impl FetchError {
    /// The same error under another name of the address: its path may hold what is secret, and who asked knows
    /// how the address is written in public.
    #[must_use]
    pub fn shown_as(self, place: &str) -> Self {
        FetchError { url: place.to_owned(), ..self }
    }

    pub(crate) fn new(url: &Url, kind: FetchErrorKind) -> Self {
        FetchError { url: redacted(url), kind }
    }

    /// Sorts an error that came before the response head.
    pub(crate) fn before_head(url: &Url, error: reqwest::Error) -> Self {
        // The library's error names the whole URL, secrets included.
        let error = error.without_url();
        let refused = match find::<ResolveError>(&error) {
            Some(ResolveError::Refused(reason)) => Some(reason.clone()),
            _ => None,
        };
        let kind = if let Some(reason) = refused {
            FetchErrorKind::Refused(reason)
        } else if error.is_builder() {
            FetchErrorKind::Other("the URL cannot be put into a request")
        } else if error.is_timeout() && error.is_connect() {
            FetchErrorKind::TimedOut(Phase::Connect)
        } else if error.is_timeout() {
            FetchErrorKind::TimedOut(Phase::FirstByte)
        } else if error.is_dns() {
            FetchErrorKind::Dns { source: Cause::of(error) }
        } else if find::<rustls::Error>(&error).is_some() {
            FetchErrorKind::Tls { source: Cause::of(error) }
        } else if error.is_connect() {
            FetchErrorKind::Connect { source: Cause::of(error) }
        } else {
            FetchErrorKind::Transfer { source: Cause::of(error) }
        };
        FetchError::new(url, kind)
    }

    /// Sorts an error that came while the body was read, after `got_bytes` of it.
    pub(crate) fn in_body(
        url: &Url,
        error: reqwest::Error,
        expected_bytes: Option<u64>,
        got_bytes: u64,
    ) -> Self {
        let error = error.without_url();
        let cut_off = find::<io::Error>(&error).is_some_and(|io_error| {
            matches!(
                io_error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
            )
        });
        let kind = if cut_off || expected_bytes.is_some_and(|expected| got_bytes < expected) {
            FetchErrorKind::Truncated { expected_bytes, got_bytes }
        } else {
            FetchErrorKind::Transfer { source: Cause::of(error) }
        };
        FetchError::new(url, kind)
    }

    /// Whether the same fetch may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            FetchErrorKind::Dns { .. }
            | FetchErrorKind::Connect { .. }
            | FetchErrorKind::TimedOut(_)
            | FetchErrorKind::TooSlow { .. }
            | FetchErrorKind::Truncated { .. }
            | FetchErrorKind::Transfer { .. } => true,
            FetchErrorKind::Refused(_)
            | FetchErrorKind::Tls { .. }
            | FetchErrorKind::TooLarge { .. }
            | FetchErrorKind::RedirectLoop
            | FetchErrorKind::TooManyRedirects { .. }
            | FetchErrorKind::InvalidHeader { .. }
            | FetchErrorKind::Other(_) => false,
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.kind)
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connect => "connecting",
            Phase::FirstByte => "waiting for the response",
            Phase::Idle => "waiting for more of the body",
            Phase::Total => "before the whole body was there",
        })
    }
}

/// What an underlying library reported. It displays the innermost cause, which is the one that
/// says what happened; the levels above it are in [`source`](Error::source).
#[derive(Debug)]
pub struct Cause(BoxError);

impl Cause {
    fn of(error: reqwest::Error) -> Self {
        Cause(Box::new(error))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut innermost: &dyn Error = &*self.0;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        write!(f, "{innermost}")
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

fn announced(expected_bytes: &Option<u64>) -> String {
    match expected_bytes {
        Some(expected) => format!(" of {expected}"),
        None => String::new(),
    }
}

/// The first `T` in an error's chain. An I/O error's chain leaves out the error that it wraps, so
/// that one is looked at too.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        current = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_wrapped_in_io_errors_is_found() {
        let tls = rustls::Error::General("bad certificate".to_owned());
        let error = io::Error::other(io::Error::other(tls));
        assert!(find::<rustls::Error>(&error).is_some());
        assert!(find::<fmt::Error>(&error).is_none());
    }

    #[test]
    fn messages_name_the_url_without_its_secrets() {
        let url = Url::parse("https://shop.example/feed?key=secret").expect("a URL");
        let truncated = FetchErrorKind::Truncated { expected_bytes: Some(9), got_bytes: 4 };
        let error = FetchError::new(&url, truncated);
        assert_eq!(
            error.to_string(),
            "https://shop.example/feed?…: the body stopped after 4 bytes of 9"
        );
        assert!(error.is_retryable());
        let refused = FetchErrorKind::Refused(GuardError::Port(22));
        let error = FetchError::new(&url, refused);
        assert!(error.to_string().ends_with("refused: port 22 is not allowed"), "{error}");
        assert!(!error.is_retryable());
    }
}
