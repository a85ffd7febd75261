//! Where a redirect leads, and what of the request may follow it there.
//!
//! The client follows redirects itself, because each hop has to pass the guard.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, LOCATION};
use url::Url;

use crate::error::{FetchError, FetchErrorKind};
use crate::guard::{GuardError, GuardPolicy, check_parsed_url};
use crate::request::is_harmless;

/// The `Location` of a response that redirects a GET; `None` for any other response.
pub(crate) fn location(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let value = headers.get(LOCATION)?.as_bytes();
    Some(match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        // Servers put paths of an older encoding here, raw. Byte by byte is how they want them
        // back.
        Err(_) => value.iter().map(|&byte| percent_encoded(byte)).collect(),
    })
}

/// The URL that `location` means, seen from `from`, once the guard has passed it.
pub(crate) fn next_url(
    policy: &GuardPolicy,
    from: &Url,
    location: &str,
) -> Result<Url, FetchError> {
    let refused = |url: &Url, reason| FetchError::new(url, FetchErrorKind::Refused(reason));
    let mut next =
        from.join(location).map_err(|error| refused(from, GuardError::Malformed(error)))?;
    check_parsed_url(policy, &next).map_err(|reason| refused(&next, reason))?;
    next.set_fragment(None);
    Ok(next)
}

/// Drops the credentials from `headers` if the redirect leads to another host or port.
///
/// # Errors
///
/// The redirect leads from https to http and there are credentials to lose.
pub(crate) fn restrict_headers(
    from: &Url,
    to: &Url,
    headers: &mut HeaderMap,
) -> Result<(), GuardError> {
    let credentials: Vec<HeaderName> =
        headers.keys().filter(|name| !is_harmless(name)).cloned().collect();
    if credentials.is_empty() {
        return Ok(());
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(GuardError::Downgrade);
    }
    if !is_same_server(from, to) {
        for name in credentials {
            headers.remove(name);
        }
    }
    Ok(())
}

/// Whether two URLs name the same server: one host, and one port, or the default ports of http and
/// then https.
fn is_same_server(from: &Url, to: &Url) -> bool {
    let upgrade = from.scheme() == "http" && to.scheme() == "https";
    let same_port = from.port_or_known_default() == to.port_or_known_default();
    let default_ports = from.port().is_none() && to.port().is_none();
    from.host_str() == to.host_str() && (same_port || (upgrade && default_ports))
}

fn percent_encoded(byte: u8) -> String {
    if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_redirects_with_a_location_lead_on() {
        let with = headers(&[("location", "/next")]);
        assert_eq!(location(StatusCode::FOUND, &with).as_deref(), Some("/next"));
        assert_eq!(location(StatusCode::PERMANENT_REDIRECT, &with).as_deref(), Some("/next"));
        assert_eq!(location(StatusCode::OK, &with), None);
        assert_eq!(location(StatusCode::NOT_MODIFIED, &with), None);
        assert_eq!(location(StatusCode::FOUND, &HeaderMap::new()), None);
    }

    #[test]
    fn raw_bytes_in_a_location_are_kept() {
        let mut raw = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"/\xbb\xf3\xc7\xb0").expect("a header value");
        raw.insert(LOCATION, value);
        assert_eq!(location(StatusCode::FOUND, &raw).as_deref(), Some("/%BB%F3%C7%B0"));
    }

    #[test]
    fn the_guard_judges_each_hop() {
        let policy = GuardPolicy::default();
        let from = url("https://shop.example/a/feed.xml");
        let next = next_url(&policy, &from, "../b?x=1#part").expect("allowed");
        assert_eq!(next.as_str(), "https://shop.example/b?x=1");
        for bad in [
            "http://10.0.0.1/",
            "//169.254.169.254/latest/",
            "http://[::ffff:a9fe:a9fe]/",
            "file:///etc/passwd",
            "gopher://shop.example/",
            "https://user:pw@shop.example/",
            "https://shop.example:22/",
            "http://[",
        ] {
            let error = next_url(&policy, &from, bad).expect_err(bad);
            assert!(matches!(error.kind, FetchErrorKind::Refused(_)), "{bad}: {error}");
        }
    }

    #[test]
    fn credentials_stay_with_their_server() {
        let all = [("authorization", "x"), ("x-api-key", "x"), ("accept", "*/*")];
        for (from, to, kept) in [
            ("https://shop.example/a", "https://shop.example/b", true),
            ("http://shop.example/a", "https://shop.example/a", true),
            ("https://shop.example/a", "https://cdn.example/a", false),
            ("https://shop.example/a", "https://shop.example:8443/a", false),
            ("https://shop.example/a", "https://a.shop.example/a", false),
            ("http://shop.example:8080/a", "https://shop.example/a", false),
        ] {
            let mut sent = headers(&all);
            restrict_headers(&url(from), &url(to), &mut sent).expect("no downgrade");
            assert_eq!(sent.contains_key("authorization"), kept, "{from} {to}");
            assert_eq!(sent.contains_key("x-api-key"), kept, "{from} {to}");
            assert!(sent.contains_key("accept"));
        }
    }

    #[test]
    fn a_downgrade_is_refused_with_credentials_and_allowed_without() {
        let (from, to) = (url("https://shop.example/a"), url("http://shop.example/a"));
        let mut bearing = headers(&[("cookie", "id=1")]);
        assert_eq!(restrict_headers(&from, &to, &mut bearing), Err(GuardError::Downgrade));
        let mut plain = headers(&[("accept", "*/*"), ("if-none-match", "\"1\"")]);
        assert_eq!(restrict_headers(&from, &to, &mut plain), Ok(()));
        assert_eq!(plain.len(), 2);
    }
}
