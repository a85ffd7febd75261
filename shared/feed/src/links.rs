//! Addresses as feeds write them: with spaces in them, without a scheme, several in one cell.

/// Whether this is an address that can be fetched.
pub(crate) fn is_http(text: &str) -> bool {
    let has =
        |scheme: &str| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    has("http://") || has("https://")
}

/// Appends an address with its spaces encoded. False: it is none, and nothing is appended.
pub(crate) fn push_link(text: &str, out: &mut String) -> bool {
    if !is_http(text) {
        return false;
    }
    for (place, piece) in text.split(' ').enumerate() {
        if place > 0 {
            out.push_str("%20");
        }
        out.push_str(piece);
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
        while let Some(offset) = whole[from..].find(separator) {
            let end = from + offset;
            from = end + separator.len();
            let next = whole[from..].trim_start();
            if next.is_empty() || is_http(next) {
                rest = Some(&whole[from..]);
                return Some(whole[..end].trim());
            }
        }
        rest = None;
        Some(whole.trim())
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
}
