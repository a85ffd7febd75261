//! A product's numbers: what may be one, and the one in a page's address.

use std::borrow::Cow;
use url::Url;

/// Longest number of a shop or manufacturer, in characters.
const NUMBER_CHARS: usize = 40;
/// Fewest digits of a number that ends a word in an address: fewer are sizes, years and models.
const TAIL_DIGITS: usize = 5;
/// Most digits of such a number.
const MAX_DIGITS: usize = 20;
/// How many of an address's last segments are looked at.
const SEGMENTS: usize = 4;
/// Parameters that hold a product's number, the surest first.
const PARAMETERS: &[&str] = &[
    "sku",
    "pid",
    "product_id",
    "productid",
    "products_id",
    "prod_id",
    "prodid",
    "item_id",
    "itemid",
    "item",
    "product",
    "prod",
    "article",
    "artikel",
];
/// Those that may.
const VAGUE_PARAMETERS: &[&str] = &["code", "variant", "id", "p"];

/// A number as a shop shows it beside a label; none for words, amounts and measures.
pub(super) fn number(text: &str) -> Option<&str> {
    let is_money_or_share = text.contains(['€', '$', '£', '%', '₹', '¥']);
    let text =
        text.trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '+')));
    let chars = text.chars().count();
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_word = |word: &&str| {
        word.chars().count() >= 3
            && word.chars().all(char::is_alphabetic)
            && word.chars().skip(1).all(char::is_lowercase)
    };
    let is_measure = words.len() > 1
        && words
            .iter()
            .any(|word| matches!(*word, "cm" | "mm" | "m" | "kg" | "g" | "ml" | "l" | "x"));
    ((2..=NUMBER_CHARS).contains(&chars)
        && has_digit
        && !is_money_or_share
        && words.len() <= 3
        && !words.iter().any(is_word)
        && !is_measure)
        .then_some(text)
}

/// The product's number in the address of its page: in a parameter, as a segment of the path, or at the end of one.
pub(crate) fn in_url(url: &Url) -> Option<String> {
    let parameter = |names: &[&str]| {
        names.iter().find_map(|name| {
            let own = |(key, _): &(Cow<'_, str>, Cow<'_, str>)| key.eq_ignore_ascii_case(name);
            url.query_pairs()
                .find(own)
                .map(|(_, value)| value.into_owned())
                .filter(|v| is_number(v))
        })
    };
    if let Some(value) = parameter(PARAMETERS) {
        return Some(value);
    }
    let segments: Vec<String> = url
        .path_segments()?
        .filter(|segment| !segment.is_empty())
        .map(|segment| without_extension(&decoded(segment)).to_owned())
        .collect();
    for segment in segments.iter().rev().take(SEGMENTS) {
        if is_number(segment) {
            return Some(segment.clone());
        }
        if let Some(tail) = tail(segment) {
            return Some(tail.to_owned());
        }
    }
    parameter(VAGUE_PARAMETERS)
}

/// Whether a whole parameter or segment is a number rather than a word: of digits alone, of capitals and digits, or
/// a long mixture.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_code = |byte: u8| {
        byte.is_ascii_digit()
            || byte.is_ascii_uppercase()
            || matches!(byte, b'-' | b'_' | b'/' | b'.')
    };
    let is_digits = digits == text.len();
    let is_code = digits >= 3 && text.bytes().all(is_code);
    // Small letters with a dash would be the words of a title.
    let is_mixture = digits >= 3 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text.len() {
        4..=20 if is_digits => true,
        5..=24 if is_code => true,
        8..=24 => is_mixture,
        _ => false,
    }
}

/// The number at the end of a title in an address: `iron-pan-14347`, `iron-pan-x14347`, `pan-MKI6IKW1`.
fn tail(segment: &str) -> Option<&str> {
    let (_, last) = segment.rsplit_once(['-', '_', ',', '.']).unwrap_or(("", segment));
    let number = last.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let is_short_prefix = last.len() - number.len() <= 3;
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let is_digits = digits == number.len();
    if is_digits && is_short_prefix && (TAIL_DIGITS..=MAX_DIGITS).contains(&digits) {
        return Some(number);
    }
    let is_after_title = last.len() < segment.len();
    let is_code = last.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (is_after_title && is_code && last.len() >= TAIL_DIGITS && digits >= 2).then_some(last)
}

fn without_extension(segment: &str) -> &str {
    [".html", ".htm", ".php", ".aspx", ".asp", ".jsp", ".do"]
        .iter()
        .find_map(|extension| segment.strip_suffix(extension))
        .unwrap_or(segment)
}

/// A segment with its `%2F` and the like decoded.
fn decoded(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        let hex = segment.get(place + 1..place + 3).filter(|_| bytes[place] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                place += 3;
            }
            None => {
                out.push(bytes[place]);
                place += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_in_addresses_of_many_shapes() {
        for (url, expected) in [
            ("https://s.example/de/filzstift-24718?sku=1049084", Some("1049084")),
            ("https://s.example/p-iron-pan-304103-14347.html", Some("14347")),
            ("https://s.example/iron-pan-x3410048.php", Some("3410048")),
            ("https://s.example/iron-pan-MKI6IKW1N4.html?cgid=x", Some("MKI6IKW1N4")),
            ("https://s.example/dp/B004SNMXRS", Some("B004SNMXRS")),
            ("https://s.example/itm/302474151804", Some("302474151804")),
            ("https://s.example/products_id/103066/iron-pan.html", Some("103066")),
            ("https://s.example/pans/PU_106160%2F01.html", Some("PU_106160/01")),
            ("https://s.example/index.php?page=product&pid=428514&lang=en", Some("428514")),
            ("https://s.example/show?id=55501", Some("55501")),
            ("https://s.example/galaxy-s20-128gb-2020", None),
            ("https://s.example/pans/iron-pan", None),
            ("https://s.example/", None),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(in_url(&url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn words_amounts_and_measures_are_no_numbers() {
        for (text, expected) in [
            ("〈M14876706〉", Some("M14876706")),
            ("PU_106160/01", Some("PU_106160/01")),
            ("GARNI 570 EASY", Some("GARNI 570 EASY")),
            ("304103 montre", None),
            ("Fake Wounds", None),
            ("19.90 €", None),
            ("20 x 30 cm", None),
            ("1", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
