//! Brings the values of fields to one form, or refuses them: prices, currencies, availability, condition, GTINs,
//! brands and the shop's own numbers.

use crate::heuristics::amounts;
use feedfleet_feed::{Money, parse_money};

const TEN_THOUSAND: i64 = 10_000;
/// Longest brand, in characters.
const BRAND_CHARS: usize = 60;
/// Longest number of a shop or manufacturer, in characters.
const NUMBER_CHARS: usize = 70;

/// The amount that a price of structured data means, in ten-thousandths. A price of nothing is none: shops write
/// it where the price is yet to be loaded, or where there is no offer.
pub(crate) fn price(text: &str, currency: Option<&str>) -> Option<Money> {
    let is_bare = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
    // With its currency: amounts in dinars have three decimals.
    let with_currency = match currency {
        Some(code) if is_bare => parse_money(&format!("{text} {code}"), None).ok(),
        _ => None,
    };
    with_currency
        .or_else(|| parse_money(text, None).ok())
        .or_else(|| {
            let first = amounts::amounts(text).into_iter().next()?;
            let ten_thousandths = first.ten_thousandths;
            Some(Money { ten_thousandths, currency: first.currency })
        })
        .filter(|money| money.ten_thousandths > 0)
}

/// An amount as `24.99`; whole ones without decimals.
pub(crate) fn amount_text(ten_thousandths: i64) -> String {
    let (whole, fraction) = (ten_thousandths / TEN_THOUSAND, ten_thousandths % TEN_THOUSAND);
    if fraction == 0 {
        whole.to_string()
    } else if fraction % 100 == 0 {
        format!("{whole}.{:02}", fraction / 100)
    } else {
        format!("{whole}.{fraction:04}").trim_end_matches('0').to_owned()
    }
}

/// The ten-thousandths that [`amount_text`] wrote.
pub(crate) fn amount_of(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: i64 = format!("{fraction:0<4}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(TEN_THOUSAND)?.checked_add(fraction)
}

/// The ISO 4217 code that a text names; none for one of several, such as `$`.
pub(crate) fn currency(text: &str) -> Option<&'static str> {
    parse_money(&format!("1 {}", text.trim()), None).ok()?.currency
}

/// Availability in schema.org's and Open Graph's terms and their usual variations; none for any other text.
pub(crate) fn availability(text: &str) -> Option<&'static str> {
    let term = text.rsplit(['/', '#']).next().unwrap_or(text);
    let letters: String =
        term.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    Some(match letters.as_str() {
        "instock"
        | "limitedavailability"
        | "instoreonly"
        | "onlineonly"
        | "available"
        | "availableforsale"
        | "availablefororder"
        | "lowstock"
        | "limitedstock"
        | "true" => "in_stock",
        "outofstock" | "soldout" | "discontinued" | "unavailable" | "notavailable" | "oos"
        | "reserved" | "notinstock" | "false" => "out_of_stock",
        "preorder" | "presale" | "pending" => "preorder",
        "backorder" | "backordered" | "madetoorder" => "backorder",
        _ => return None,
    })
}

/// Condition in schema.org's terms.
pub(crate) fn condition(text: &str) -> Option<&'static str> {
    let term = text.rsplit(['/', '#']).next().unwrap_or(text).trim().to_ascii_lowercase();
    Some(match term.trim_end_matches("condition") {
        "new" => "new",
        "used" | "damaged" => "used",
        "refurbished" => "refurbished",
        _ => return None,
    })
}

/// The digits of a GTIN-8, -12, -13 or -14 whose check digit is right. One of zeros alone is a placeholder.
pub(crate) fn gtin(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.split_once(':').map_or(text, |(_, value)| value.trim());
    if !text.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-')) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !matches!(digits.len(), 8 | 12 | 13 | 14) || digits.bytes().all(|byte| byte == b'0') {
        return None;
    }
    // The weights are 3 and 1 in turn, from the digit before the check digit.
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| u32::from(byte - b'0') * if place % 2 == 0 { 1 } else { 3 })
        .sum();
    sum.is_multiple_of(10).then_some(digits)
}

/// The name of a brand; none for words that say there is none.
pub(crate) fn brand(text: &str) -> Option<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = name.trim_matches([',', ';', ':', '|', ' ']);
    let is_name = name.chars().any(char::is_alphabetic) || name.chars().count() <= 4;
    let is_placeholder = matches!(
        name.to_lowercase().as_str(),
        "unbranded"
            | "no brand"
            | "none"
            | "n/a"
            | "na"
            | "does not apply"
            | "unknown"
            | "other"
            | "others"
            | "generic"
            | "noname"
            | "no name"
            | "ohne marke"
            | "sans marque"
            | "sin marca"
            | "senza marca"
            | "без бренда"
            | "not applicable"
            | "null"
            | "undefined"
            | "default"
            | "brand"
            | "-"
            | "false"
            | "true"
    );
    let is_url = name.contains("://");
    (!name.is_empty()
        && is_name
        && !is_placeholder
        && !is_url
        && name.chars().count() <= BRAND_CHARS)
        .then(|| name.to_owned())
}

/// A shop's or manufacturer's number as structured data gives it. A number with words in lower case glued to it
/// is a mistake of the page's template.
pub(crate) fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let text = ["sku:", "mpn:", "id:", "productID:"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
        .trim();
    let has_word = text.contains(char::is_whitespace)
        && text.split_whitespace().any(|word| {
            word.chars().count() >= 3
                && word.chars().all(char::is_alphabetic)
                && word.chars().skip(1).all(char::is_lowercase)
        });
    let is_filled =
        text.chars().any(char::is_alphanumeric) && !matches!(text, "null" | "undefined");
    (is_filled && !has_word && text.chars().count() <= NUMBER_CHARS).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_as_structured_data_writes_them() {
        for (text, code, amount) in [
            ("24.99", Some("EUR"), Some("24.99")),
            ("19.9900", None, Some("19.99")),
            ("24990", Some("CLP"), Some("24990")),
            ("1,299.00", Some("USD"), Some("1299")),
            ("26,00 €", Some("EUR"), Some("26")),
            ("3.250", Some("KWD"), Some("3.25")),
            ("$15", None, Some("15")),
            ("from $15.50", None, Some("15.50")),
            ("0.00", Some("EUR"), None),
            ("call us", None, None),
        ] {
            let read = price(text, code).map(|money| amount_text(money.ten_thousandths));
            assert_eq!(read.as_deref(), amount, "{text}");
        }
    }

    #[test]
    fn an_amount_survives_its_text() {
        for amount in [0, 1, 10_000, 249_900, 245_000, 12_345_678] {
            assert_eq!(amount_of(&amount_text(amount)), Some(amount), "{amount}");
        }
    }

    #[test]
    fn terms_become_the_tables_words() {
        assert_eq!(availability("https://schema.org/InStock"), Some("in_stock"));
        assert_eq!(availability("out of stock"), Some("out_of_stock"));
        assert_eq!(availability("http://schema.org/PreOrder"), Some("preorder"));
        assert_eq!(availability("soon"), None);
        assert_eq!(condition("https://schema.org/UsedCondition"), Some("used"));
        assert_eq!(condition("mint"), None);
        assert_eq!(currency("eur"), Some("EUR"));
        assert_eq!((currency("$"), currency("")), (None, None));
    }

    #[test]
    fn gtins_need_their_check_digit() {
        assert_eq!(gtin("7610186303159").as_deref(), Some("7610186303159"));
        assert_eq!(gtin("isbn:978-3-16-148410-0").as_deref(), Some("9783161484100"));
        assert_eq!(gtin("96385074").as_deref(), Some("96385074"));
        for wrong in ["7610186303158", "0000000000000", "12345", "76101863O3159", ""] {
            assert_eq!(gtin(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn placeholders_are_no_brands_and_words_are_no_numbers() {
        assert_eq!(brand(" CARAN  D'ACHE ").as_deref(), Some("CARAN D'ACHE"));
        assert_eq!((brand("Unbranded"), brand(" - "), brand("")), (None, None, None));
        assert_eq!(number("sku:AB-1").as_deref(), Some("AB-1"));
        assert_eq!(number("GARNI 570 EASY II").as_deref(), Some("GARNI 570 EASY II"));
        assert_eq!(number("304103-0000 Montre"), None);
        assert_eq!((number(" "), number("--")), (None, None));
    }
}
