//! What to fetch: a URL, headers, and what is already known of the resource.

use std::fmt;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::limits::Limits;
use crate::redact::redacted_text;

/// A GET request. Its `Debug` form shows neither query nor header values.
#[derive(Clone)]
pub struct Request {
    /// The URL, as it came from outside.
    pub url: String,
    /// Headers to send besides the client's own. Any header that is not plain content negotiation
    /// is taken for a credential: it goes to the URL's own host only, and never from https to http.
    pub headers: Vec<(String, String)>,
    /// The entity tag of the copy at hand, quotes included.
    pub etag: Option<String>,
    /// The `Last-Modified` of the copy at hand, as the server wrote it.
    pub last_modified: Option<String>,
    /// Ask for the rest of the resource from this byte on. Without it, `etag` and `last_modified`
    /// make the request conditional (an unchanged resource is answered with status 304). With it
    /// they make sure that the rest belongs to the same copy: where they can't (a weak `etag`, or
    /// neither of them), the whole resource is asked for.
    pub range_from: Option<u64>,
    /// Whether redirects are followed. Otherwise the redirect itself is the response, and
    /// [`Response::redirect_target`](crate::Response::redirect_target) says where it leads.
    pub follow_redirects: bool,
    /// The bounds of the fetch.
    pub limits: Limits,
}

impl Request {
    /// A plain request for `url`.
    pub fn new(url: impl Into<String>, limits: Limits) -> Self {
        Request {
            url: url.into(),
            headers: Vec::new(),
            etag: None,
            last_modified: None,
            range_from: None,
            follow_redirects: true,
            limits,
        }
    }

    /// The first byte that this request asks for, if it is a range request.
    pub(crate) fn range_start(&self) -> Option<u64> {
        self.range_from.filter(|_| self.range_validator().is_some())
    }

    fn range_validator(&self) -> Option<&str> {
        match &self.etag {
            Some(etag) => Some(etag.as_str()).filter(|etag| !etag.starts_with("W/")),
            None => self.last_modified.as_deref(),
        }
    }

    /// The headers to send. The error is the name of one that is not valid HTTP.
    pub(crate) fn header_map(&self) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| name.clone())?;
            let mut value = header_value(&parsed, value)?;
            value.set_sensitive(!is_harmless(&parsed));
            map.append(parsed, value);
        }
        if !map.contains_key(header::ACCEPT_ENCODING) {
            map.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let mut put = |name: HeaderName, value: &str| -> Result<(), String> {
            let value = header_value(&name, value)?;
            map.insert(name, value);
            Ok(())
        };
        if let (Some(start), Some(validator)) = (self.range_start(), self.range_validator()) {
            put(header::RANGE, &format!("bytes={start}-"))?;
            put(header::IF_RANGE, validator)?;
        } else if self.range_from.is_none() {
            if let Some(etag) = &self.etag {
                put(header::IF_NONE_MATCH, etag)?;
            }
            if let Some(date) = &self.last_modified {
                put(header::IF_MODIFIED_SINCE, date)?;
            }
        }
        Ok(map)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("url", &redacted_text(&self.url))
            .field("headers", &names)
            .field("etag", &self.etag)
            .field("last_modified", &self.last_modified)
            .field("range_from", &self.range_from)
            .field("follow_redirects", &self.follow_redirects)
            .field("limits", &self.limits)
            .finish()
    }
}

/// Whether a header surely carries no credential. The list names what is harmless, because the
/// names of API-key headers are beyond counting.
pub(crate) fn is_harmless(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "accept"
            | "accept-charset"
            | "accept-encoding"
            | "accept-language"
            | "cache-control"
            | "from"
            | "if-modified-since"
            | "if-none-match"
            | "if-range"
            | "pragma"
            | "range"
            | "user-agent"
    )
}

fn header_value(name: &HeaderName, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::new("http://shop.example/feed?key=secret", Limits::default())
    }

    fn sent(request: &Request, name: &str) -> Option<String> {
        let headers = request.header_map().expect("valid headers");
        headers.get(name).map(|value| value.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_plain_request_asks_for_the_body_as_it_is() {
        assert_eq!(sent(&request(), "accept-encoding").as_deref(), Some("identity"));
        assert_eq!(sent(&request(), "range"), None);
        let mut gzip = request();
        gzip.headers.push(("Accept-Encoding".to_owned(), "gzip".to_owned()));
        assert_eq!(sent(&gzip, "accept-encoding").as_deref(), Some("gzip"));
    }

    #[test]
    fn validators_make_a_request_conditional() {
        let mut request = request();
        request.etag = Some("W/\"1\"".to_owned());
        request.last_modified = Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
        assert_eq!(sent(&request, "if-none-match").as_deref(), Some("W/\"1\""));
        assert!(sent(&request, "if-modified-since").is_some());
    }

    #[test]
    fn a_range_is_asked_for_only_with_a_validator_that_can_guard_it() {
        let mut request = request();
        request.range_from = Some(10);
        assert_eq!(sent(&request, "range"), None);
        request.etag = Some("W/\"1\"".to_owned());
        assert_eq!(sent(&request, "range"), None);
        assert_eq!(request.range_start(), None);
        // Where there is a tag, the date guards nothing (RFC 9110, 13.1.5).
        request.last_modified = Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
        assert_eq!(request.range_start(), None);
        request.etag = None;
        assert_eq!(sent(&request, "if-range"), request.last_modified);
        request.etag = Some("\"1\"".to_owned());
        assert_eq!(sent(&request, "range").as_deref(), Some("bytes=10-"));
        assert_eq!(sent(&request, "if-range").as_deref(), Some("\"1\""));
        assert_eq!(sent(&request, "if-none-match"), None);
        assert_eq!(request.range_start(), Some(10));
    }

    #[test]
    fn invalid_headers_are_named() {
        for (name, value) in [("X-Key", "a\r\nHost: b"), ("bad name", "x"), ("", "x")] {
            let mut request = request();
            request.headers.push((name.to_owned(), value.to_owned()));
            let error = request.header_map().expect_err(name);
            assert!(error.eq_ignore_ascii_case(name), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_secrets() {
        let mut request = request();
        request.headers.push(("Authorization".to_owned(), "Bearer secret".to_owned()));
        let shown = format!("{request:?}");
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("Authorization"), "{shown}");
    }
}
