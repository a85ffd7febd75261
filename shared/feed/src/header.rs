//! Names of fields as partners write them.

/// A header cell's name as it is kept: trimmed, and never empty. `place` counts from 0.
pub(crate) fn display_name(cell: &str, place: usize) -> String {
    let name = cell.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if name.is_empty() { format!("column_{}", place + 1) } else { name.to_owned() }
}

/// The form in which names are compared where spelling varies: `Image Link`, `image-link`, `g:image_link`
/// and the localised `Bildlink [image_link]` are one.
pub(crate) fn plain(name: &str) -> String {
    let name = name.trim();
    let bracketed = name
        .strip_suffix(']')
        .and_then(|name| name.rsplit_once('['))
        .filter(|(local, _)| local.ends_with(char::is_whitespace));
    let name = bracketed.map_or(name, |(_, inner)| inner.trim());
    let name = name.strip_prefix("g:").unwrap_or(name);
    let mut plain = String::with_capacity(name.len());
    for word in name.split(|c: char| c.is_whitespace() || c == '_' || c == '-') {
        if !word.is_empty() {
            if !plain.is_empty() {
                plain.push('_');
            }
            plain.extend(word.chars().flat_map(char::to_lowercase));
        }
    }
    plain
}

/// An XML path without prefixes: `g:shipping/g:price` is `shipping/price`, `@xml:lang` is `@lang`.
pub(crate) fn without_prefixes(path: &str) -> String {
    let local = |step: &str| {
        let name = step.rsplit(':').next().unwrap_or(step).trim_start_matches('@');
        if step.starts_with('@') { format!("@{name}") } else { name.to_owned() }
    };
    path.split('/').map(local).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one() {
        for name in ["image_link", "Image Link", " image-link", "g:image_link", "Bild [image link]"]
        {
            assert_eq!(plain(name), "image_link", "{name}");
        }
        // A number in brackets is an item of a list, not a translation; it stays apart from the others.
        assert_eq!(plain("image[0].url"), "image[0].url");
        assert_eq!(plain("image[0]"), "image[0]");
        assert_eq!(plain("상품명"), "상품명");
    }

    #[test]
    fn prefixes_go() {
        assert_eq!(without_prefixes("g:shipping/g:price"), "shipping/price");
        assert_eq!(without_prefixes("title/@xml:lang"), "title/@lang");
        assert_eq!(without_prefixes("@id"), "@id");
    }

    #[test]
    fn every_column_has_a_name() {
        assert_eq!(display_name("\u{feff} id ", 0), "id");
        assert_eq!(display_name("  ", 4), "column_5");
    }
}
