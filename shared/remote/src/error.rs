//! How reading a remote source fails: which source, in what way, and whether another try makes sense.

use feedfleet_http::{GuardError, Phase};
use feedfleet_model::text::{printable, shorten};
use rustls::CertificateError;
use std::error::Error;
use std::{fmt, io};

/// The most characters of a server's own words that an error repeats.
const MOST_WORDS: usize = 200;

/// A remote source that could not be read.
#[derive(Debug)]
pub struct RemoteError {
    /// The source as it is shown: without user, password and query.
    pub place: String,
    /// What went wrong.
    pub kind: RemoteErrorKind,
}

/// In what way it could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RemoteErrorKind {
    /// The guard does not let the address of the host, or the port, through.
    #[error("refused: {0}")]
    Refused(GuardError),
    /// The host name could not be resolved.
    #[error("cannot resolve the host name: {source}")]
    Resolve {
        /// What the resolver reported.
        source: io::Error,
    },
    /// No connection could be made.
    #[error("cannot connect: {source}")]
    Connect {
        /// What the system reported.
        source: io::Error,
    },
    /// The TLS handshake failed: a bad certificate, or a server that doesn't speak TLS.
    #[error("TLS failed: {source}{}", way_to_trust(.source))]
    Tls {
        /// What the TLS library reported.
        source: io::Error,
    },
    /// The server has another host key than the pipe names, or the pipe names none.
    #[error("{}", host_key(.met, .is_pinned))]
    HostKey {
        /// The fingerprint of the key that was met, as in `SHA256:…`.
        met: String,
        /// Whether the pipe names one.
        is_pinned: bool,
    },
    /// The server does not let the user in.
    #[error("the server does not let the user in: {0}")]
    Login(String),
    /// The pipe's own private key cannot be read.
    #[error("the pipe's private key cannot be used: {0}")]
    PrivateKey(String),
    /// There is no such file.
    #[error("there is no such file: {0}")]
    NotFound(String),
    /// The server refuses, for good.
    #[error("the server refused: {0}")]
    Denied(String),
    /// The server cannot serve just now.
    #[error("the server could not serve it: {0}")]
    Busy(String),
    /// Nobody could be asked: no credentials were found, in any of these places.
    #[error("no credentials were found: they are looked for in {0}")]
    NoCredentials(String),
    /// An FTP server has not said a word, as one does that waits for TLS to begin.
    #[error(
        "timed out waiting for the server's greeting; where TLS is to begin at once, as on port 990, begin the pipe's \
         url with ftps://"
    )]
    NoGreeting,
    /// The server does not keep to the protocol.
    #[error("the server does not speak {protocol}: {what}")]
    Protocol {
        /// What it should speak.
        protocol: &'static str,
        /// What it did instead.
        what: String,
    },
    /// A time limit passed.
    #[error("timed out {0}")]
    TimedOut(Phase),
    /// The file is larger than allowed.
    #[error("the file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The file came too slowly.
    #[error("the file came slower than {min_bytes_per_sec} bytes a second")]
    TooSlow {
        /// The least speed allowed, in bytes a second.
        min_bytes_per_sec: u64,
    },
    /// The file's bytes stopped before its end.
    #[error("the file stopped after {got_bytes} bytes{}", announced(.expected_bytes))]
    Truncated {
        /// The file's size in bytes, if the server told.
        expected_bytes: Option<u64>,
        /// The bytes that there are, what was there before this transfer included.
        got_bytes: u64,
    },
    /// Somebody wrote the file while it was read: what came may be half of either.
    #[error("the file changed while it was read")]
    Changed,
    /// The connection broke.
    #[error("the connection broke off: {source}")]
    Broken {
        /// What the system or the library reported.
        source: io::Error,
    },
    /// This program cannot read such a source as it is built or told.
    #[error("{0}")]
    Unsupported(String),
}

impl RemoteErrorKind {
    /// The error, of the source that is shown so.
    #[must_use]
    pub fn of(self, place: &str) -> RemoteError {
        RemoteError { place: place.to_owned(), kind: self }
    }

    /// Whether the same try may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Busy(_)
            | Self::NoCredentials(_)
            | Self::NoGreeting
            | Self::TimedOut(_)
            | Self::TooSlow { .. }
            | Self::Truncated { .. }
            | Self::Changed
            | Self::Broken { .. } => true,
            Self::Refused(_)
            | Self::Tls { .. }
            | Self::HostKey { .. }
            | Self::Login(_)
            | Self::PrivateKey(_)
            | Self::NotFound(_)
            | Self::Denied(_)
            | Self::Protocol { .. }
            | Self::TooLarge { .. }
            | Self::Unsupported(_) => false,
        }
    }
}

impl RemoteError {
    /// Whether the same try may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl Error for RemoteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// A server's words, short enough for a message and harmless for a terminal.
pub(crate) fn words(text: &str) -> String {
    printable(&shorten(text.trim(), MOST_WORDS)).into_owned()
}

fn announced(expected_bytes: &Option<u64>) -> String {
    match expected_bytes {
        Some(expected) => format!(" of {expected}"),
        None => String::new(),
    }
}

/// What to do where nobody that the system trusts has signed the server's certificate.
fn way_to_trust(source: &io::Error) -> &'static str {
    let error = source.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; nobody that this machine trusts has signed the server's certificate: add the certificate of whoever did \
             to the system's, or name a file of all that are trusted in SSL_CERT_FILE"
        }
        _ => "",
    }
}

fn host_key(met: &str, is_pinned: &bool) -> String {
    if *is_pinned {
        return format!(
            "the server's host key is {met}, which host_key does not name: another server answered, or its key is new; \
             ask the partner which"
        );
    }
    format!(
        "the server's host key is {met}, and the pipe names none; ask the partner whether it is theirs, then set \
         host_key = \"{met}\" under [source]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place_and_what_to_do() {
        let kind = RemoteErrorKind::HostKey { met: "SHA256:abc".to_owned(), is_pinned: false };
        let error = kind.of("sftp://shop.example/f.csv");
        assert!(error.to_string().starts_with("sftp://shop.example/f.csv: the server's host key"));
        assert!(error.to_string().ends_with("host_key = \"SHA256:abc\" under [source]"));
        assert!(!error.is_retryable());
        let cut = RemoteErrorKind::Truncated { expected_bytes: Some(9), got_bytes: 4 };
        assert_eq!(cut.to_string(), "the file stopped after 4 bytes of 9");
        assert!(cut.is_retryable());
    }

    #[test]
    fn an_issuer_that_nobody_knows_can_be_trusted() {
        let of = |error: CertificateError| {
            let source = io::Error::other(rustls::Error::InvalidCertificate(error));
            RemoteErrorKind::Tls { source }.to_string()
        };
        let told = of(CertificateError::UnknownIssuer);
        assert!(told.contains("UnknownIssuer; ") && told.contains("SSL_CERT_FILE"), "{told}");
        let told = of(CertificateError::Expired);
        assert!(!told.contains("SSL_CERT_FILE"), "{told}");
    }

    #[test]
    fn the_words_of_a_server_steer_no_terminal() {
        let told = words(&format!("  no\u{1b}[2J {} ", "x".repeat(1000)));
        assert!(!told.contains('\u{1b}') && told.chars().count() < 300, "{told}");
    }
}
