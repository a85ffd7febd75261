//! Addresses as feeds write them: with spaces in them, without a scheme, several in one cell.

use crate::fields::trimmed;
use crate::separator::find;
use memchr::{memchr, memchr3};

/// Whether this is an address that can be fetched.
pub(crate) fn is_http(text: &str) -> bool {
    if text.starts_with("https://") || text.starts_with("http://") {
        return true;
    }
    let has =
        |scheme: &str| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    has("http://") || has("https://")
}

/// Whether an address has white space in it.
pub(crate) fn has_space(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr(b' ', bytes).is_some() || memchr3(b'\t', b'\n', b'\r', bytes).is_some()
}

/// Appends an address with its spaces encoded, and without tabs and line ends. False: it is none, and nothing is
/// appended.
pub(crate) fn push_link(text: &str, out: &mut String) -> bool {
    if !is_http(text) {
        return false;
    }
    for c in text.chars() {
        match c {
            ' ' => out.push_str("%20"),
            '\t' | '\n' | '\r' => {}
            c => out.push(c),
        }
    }
    true
}

/// The addresses in a list. The separator also stands inside of addresses; only where another one begins
/// after it does it separate.
pub(crate) fn split_links<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let mut from = 0;
        while let Some(offset) = find(&whole[from..], separator) {
            let end = from + offset;
            from = end + separator.len();
            let next = whole[from..].trim_start();
            if next.is_empty() || is_http(next) {
                rest = Some(&whole[from..]);
                return Some(trimmed(&whole[..end]));
            }
        }
        rest = None;
        Some(trimmed(whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_encoded_and_other_schemes_refused() {
        let mut out = String::new();
        assert!(push_link("HTTPS://a.example/x y.jpg", &mut out));
        assert_eq!(out, "HTTPS://a.example/x%20y.jpg");
        out.clear();
        assert!(push_link("http://a.example/x\n\ty", &mut out) && out == "http://a.example/xy");
        for text in ["", "ftp://a.example", "//a.example/x", "javascript:alert(1)", "가나다라마"]
        {
            assert!(!push_link(text, &mut out), "{text}");
        }
    }

    #[test]
    fn commas_inside_of_addresses_stay() {
        let text = "http://a.example/w=1,h=2/a.jpg, https://b.example/b.jpg,";
        let links: Vec<_> = split_links(text, ",").filter(|link| !link.is_empty()).collect();
        assert_eq!(links, ["http://a.example/w=1,h=2/a.jpg", "https://b.example/b.jpg"]);
    }

    #[test]
    fn separators_may_be_longer() {
        let text = "http://a.example/||b || HTTP://b.example/b.jpg||";
        let links: Vec<_> = split_links(text, "||").collect();
        assert_eq!(links, ["http://a.example/||b", "HTTP://b.example/b.jpg", ""]);
    }

    #[test]
    fn white_space_is_seen() {
        for text in ["a b", "\ta", "a\n", "a\rb"] {
            assert!(has_space(text), "{text:?}");
        }
        assert!(!has_space("https://a.example/\u{a0}가"));
    }
}
