//! The URLs that a page names: its base, its canonical address, and its links. One rule each, whether they are
//! found in the tree or by the scan.

use crate::text::resolve;
use url::Url;

/// Bytes of the longest base that is taken. Each of the page's relative links becomes as long as it is, and longer.
const MAX_BASE_BYTES: usize = 2_048;

/// What the page's URLs are relative to: its first `<base href>`, else, and where that is no URL or longer than any that
/// is crawled, its own URL.
pub(crate) fn base_url(page: &Url, base_href: Option<&str>) -> Url {
    base_href
        .and_then(|href| resolve(page, href))
        .filter(|base| base.as_str().len() <= MAX_BASE_BYTES)
        .unwrap_or_else(|| page.clone())
}

/// What a reference on a page leads to: a URL that can be fetched, or none. `base` is what the page's URLs are relative to.
pub fn web_url(base: &Url, href: &str) -> Option<Url> {
    resolve(base, href).filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// Whether a `rel` attribute has a word.
pub(crate) fn has_rel(rel: Option<&str>, word: &str) -> bool {
    rel.is_some_and(|rel| rel.split_ascii_whitespace().any(|own| own.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_web_is_linked() {
        let base = Url::parse("https://shop.example/a/").unwrap();
        for href in ["mailto:a@shop.example", "javascript:void(0)", "tel:1", "data:,x", ""] {
            assert_eq!(web_url(&base, href), None, "{href:?}");
        }
        assert_eq!(web_url(&base, "b#c").unwrap().as_str(), "https://shop.example/a/b#c");
    }

    #[test]
    fn a_base_that_is_no_url_is_ignored() {
        let page = Url::parse("https://shop.example/a/b").unwrap();
        assert_eq!(base_url(&page, Some("/c/")).as_str(), "https://shop.example/c/");
        assert_eq!(base_url(&page, Some("http://[")), page);
        assert_eq!(base_url(&page, None), page);
    }

    #[test]
    fn a_base_that_is_too_long_is_ignored() {
        let page = Url::parse("https://shop.example/a/b").unwrap();
        let longest = "x".repeat(MAX_BASE_BYTES - "https://shop.example/".len());
        let taken = base_url(&page, Some(&format!("/{longest}")));
        assert_eq!(taken.as_str().len(), MAX_BASE_BYTES);
        let long_host = format!("https://{}.example/", "x".repeat(MAX_BASE_BYTES));
        for href in [format!("/{longest}x"), long_host] {
            assert_eq!(base_url(&page, Some(&href)), page);
        }
        // What counts is how it is written in the end.
        assert_eq!(base_url(&page, Some(&"é".repeat(MAX_BASE_BYTES / 3))), page);
    }

    #[test]
    fn rel_is_a_set_of_words() {
        assert!(has_rel(Some("NoOpener NOFOLLOW"), "nofollow"));
        assert!(!has_rel(Some("nofollows"), "nofollow"));
        assert!(!has_rel(None, "nofollow"));
    }
}
