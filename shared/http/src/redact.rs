//! How a URL is shown in logs and errors: without what may be secret.

use url::Url;

/// The longest path shown, in bytes.
const MAX_PATH_BYTES: usize = 300;

/// `scheme://host:port/path`, with `?…` in place of a query. User information and fragment are
/// left out, and a very long path is cut.
pub fn redacted(url: &Url) -> String {
    let mut shown = format!("{}:", url.scheme());
    if let Some(host) = url.host_str() {
        shown.push_str("//");
        shown.push_str(host);
    }
    if let Some(port) = url.port() {
        shown.push_str(&format!(":{port}"));
    }
    if url.cannot_be_a_base() {
        shown.push('…');
    } else {
        shown.push_str(&cut(url.path(), MAX_PATH_BYTES));
    }
    if url.query().is_some() {
        shown.push_str("?…");
    }
    shown
}

/// As [`redacted`], for text that may not be a URL at all.
pub(crate) fn redacted_text(text: &str) -> String {
    if let Ok(url) = Url::parse(text) {
        return redacted(&url);
    }
    // Where a password would end is anyone's guess in text that doesn't parse.
    if text.contains('@') {
        return "…".to_owned();
    }
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let mut shown = cut(&text[..end], MAX_PATH_BYTES).escape_debug().to_string();
    if end < text.len() {
        shown.push_str("?…");
    }
    shown
}

fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_user_information_and_fragment_are_hidden() {
        for (text, shown) in [
            ("https://shop.example/feed.xml", "https://shop.example/feed.xml"),
            ("https://shop.example:8443/a?key=secret#x", "https://shop.example:8443/a?…"),
            ("http://user:secret@shop.example/", "http://shop.example/"),
            ("file:///etc/passwd", "file:/etc/passwd"),
            ("data:text/plain,secret", "data:…"),
            ("http://u:secret@[bad/?key=secret", "…"),
            ("http://[bad/?key=secret", "http://[bad/?…"),
            ("not\na url", "not\\na url"),
        ] {
            assert_eq!(redacted_text(text), shown);
        }
    }

    #[test]
    fn long_paths_are_cut() {
        let shown = redacted_text(&format!("http://shop.example/{}", "a".repeat(5000)));
        assert!(shown.len() < 400 && shown.ends_with('…'), "{shown}");
    }
}
