//! Lists in one value: finds what stands between their items.

use crate::fields::trimmed;
use memchr::memchr;

/// The items of a list, trimmed; some may be empty. One between commas may be in quotes, and have commas in it.
pub(crate) fn split_items<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(text);
    let may_quote = separator == "," && memchr(b'"', text.as_bytes()).is_some();
    std::iter::from_fn(move || {
        let whole = rest?;
        if may_quote && let Some((item, behind)) = quoted(whole) {
            rest = behind;
            return Some(trimmed(item));
        }
        let item = match find(whole, separator) {
            Some(at) => {
                rest = Some(&whole[at + separator.len()..]);
                &whole[..at]
            }
            None => {
                rest = None;
                whole
            }
        };
        Some(trimmed(item))
    })
}

/// The quoted item that a list begins with, without its quotes, and what comes behind the comma. A quote that is not the
/// last of an item, as in `"12" pan"`, quotes nothing.
fn quoted(list: &str) -> Option<(&str, Option<&str>)> {
    let inside = list.trim_start().strip_prefix('"')?;
    let (item, behind) = inside.split_once('"')?;
    let behind = behind.trim_start();
    match behind.strip_prefix(',') {
        None if behind.is_empty() => Some((item, None)),
        None => None,
        rest => Some((item, rest)),
    }
}

/// Where the separator is first; the empty one is nowhere. A single byte, as most are, needs none of the preparations
/// of a search for a text.
pub(crate) fn find(text: &str, separator: &str) -> Option<usize> {
    match separator.as_bytes() {
        [] => None,
        [byte] => memchr(*byte, text.as_bytes()),
        _ => text.find(separator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn items_are_what_splitting_gives(text in "[a, >가\\t]{0,20}") {
            for separator in [",", " ", " > ", ", ", "가", ",,"] {
                let items: Vec<_> = split_items(&text, separator).collect();
                let expected: Vec<_> = text.split(separator).map(str::trim).collect();
                proptest::prop_assert_eq!(items, expected, "{:?}", separator);
            }
        }
    }

    #[test]
    fn items_may_be_in_quotes() {
        for (list, expected) in [
            (r#""Fast, light","Strong" , plain"#, &["Fast, light", "Strong", "plain"][..]),
            (r#"Fast, "and light, too""#, &["Fast", "and light, too"][..]),
            (r#""12" pan",14" pan"#, &[r#""12" pan""#, r#"14" pan"#][..]),
            (r#""open, cut"#, &["\"open", "cut"][..]),
            (r#""a","#, &["a", ""][..]),
        ] {
            assert_eq!(split_items(list, ",").collect::<Vec<_>>(), expected, "{list}");
        }
        assert_eq!(split_items("\"a\"|b", "|").collect::<Vec<_>>(), ["\"a\"", "b"]);
    }

    #[test]
    fn without_a_separator_all_is_one_item() {
        assert_eq!(split_items(" a b ", "").collect::<Vec<_>>(), ["a b"]);
    }
}
