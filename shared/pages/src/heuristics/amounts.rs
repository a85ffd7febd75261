//! Finds amounts of money within a text: the number, the currency beside it, and whether something else than a
//! currency stands behind it.

use feedfleet_feed::parse_money;

/// Longest word that may be a currency, in characters.
const CURRENCY_CHARS: usize = 5;
/// Characters from here on (Chinese, Japanese, Korean) stand together without spaces.
const IDEOGRAPHS: char = '\u{2e80}';

/// A number in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Its value in ten-thousandths.
    pub(crate) ten_thousandths: i64,
    /// The ISO 4217 code of the currency beside it, if it names one alone.
    pub(crate) currency: Option<&'static str>,
    /// Whether a currency is beside it, be it one of several such as `$`.
    pub(crate) has_currency: bool,
    /// Whether a word follows that is no currency: `3 pieces`.
    pub(crate) has_unit: bool,
    /// Where the number is, in bytes.
    pub(crate) start: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

/// The amounts in a text. Percentages, and digits that belong to a word, are none.
pub(crate) fn amounts(text: &str) -> Vec<Amount> {
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(offset) = text[place..].find(|c: char| c.is_ascii_digit()) {
        let start = place + offset;
        let end = start + number_bytes(&text[start..]);
        place = end;
        let (before, after) = (&text[..start], &text[end..]);
        let left = currency_before(before);
        let is_letter = |c: char| c.is_alphabetic() && c < IDEOGRAPHS;
        let is_in_word = before.ends_with(is_letter) && left.is_none();
        let is_percent = after.trim_start().starts_with('%');
        if is_in_word || is_percent {
            continue;
        }
        let Ok(money) = parse_money(&text[start..end], None) else { continue };
        let right = currency_after(after);
        let currency = left.or(right);
        found.push(Amount {
            ten_thousandths: money.ten_thousandths,
            currency: left.flatten().or(right.flatten()),
            has_currency: currency.is_some(),
            has_unit: right.is_none() && after.trim_start().starts_with(char::is_alphabetic),
            start,
            end,
        });
    }
    found
}

/// Bytes of the number at the start of a text: digits with marks, ticks and spaces between groups of them.
fn number_bytes(text: &str) -> usize {
    let is_digit = |place: usize| text.as_bytes().get(place).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    for (place, c) in text.char_indices() {
        let next = place + c.len_utf8();
        let goes_on = match c {
            '0'..='9' => {
                end = next;
                true
            }
            '.' | ',' | '\'' | '’' => is_digit(next),
            ' ' | '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' => {
                (next..next + 3).all(is_digit) && !is_digit(next + 3)
            }
            _ => false,
        };
        if !goes_on {
            break;
        }
    }
    end
}

/// The currency that a text ends with. The outer option: whether it is one; the inner: whether it is one alone.
fn currency_before(text: &str) -> Option<Option<&'static str>> {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '.'));
    let last = text.chars().next_back()?;
    if last.is_alphabetic() {
        return named(ending(text, char::is_alphabetic));
    }
    if !is_sign(last) {
        return None;
    }
    // `US$`, before `$` alone.
    let sign = &text[text.len() - last.len_utf8()..];
    let letters = ending(&text[..text.len() - sign.len()], |c| c.is_ascii_alphabetic());
    named(&text[text.len() - sign.len() - letters.len()..]).or_else(|| named(sign))
}

/// The currency that a text begins with.
fn currency_after(text: &str) -> Option<Option<&'static str>> {
    let text = text.trim_start();
    // `15,- €`
    let text = [",-", ",–", ".-", ",—"]
        .iter()
        .find_map(|dash| text.strip_prefix(dash))
        .unwrap_or(text)
        .trim_start();
    let first = text.chars().next()?;
    if first.is_alphabetic() {
        let word = beginning(text, char::is_alphabetic);
        let with_sign = &text[..word.len() + usize::from(text[word.len()..].starts_with('$'))];
        let alone = &text[..first.len_utf8()];
        return named(with_sign)
            .or_else(|| named(word))
            .or_else(|| if first >= IDEOGRAPHS { named(alone) } else { None });
    }
    if is_sign(first) { named(&text[..first.len_utf8()]) } else { None }
}

/// What a word or sign names.
fn named(word: &str) -> Option<Option<&'static str>> {
    if word.is_empty() || word.chars().count() > CURRENCY_CHARS {
        return None;
    }
    parse_money(&format!("1 {word}"), None).ok().map(|money| money.currency)
}

fn is_sign(c: char) -> bool {
    !c.is_alphanumeric()
        && !c.is_whitespace()
        && !matches!(
            c,
            '.' | ',' | '(' | ')' | '-' | '–' | '—' | ':' | '*' | '/' | '|' | '+' | '%' | '='
        )
        && !matches!(
            c,
            '"' | '\'' | '’' | '~' | '<' | '>' | '#' | '&' | ';' | '!' | '?' | '[' | ']'
        )
}

/// The characters of a kind at the end of a text.
fn ending(text: &str, is_kind: impl Fn(char) -> bool) -> &str {
    &text[text.trim_end_matches(is_kind).len()..]
}

/// The characters of a kind at the start of a text.
fn beginning(text: &str, is_kind: impl Fn(char) -> bool) -> &str {
    &text[..text.len() - text.trim_start_matches(is_kind).len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(i64, Option<&'static str>, bool)> {
        amounts(text)
            .into_iter()
            .map(|amount| (amount.ten_thousandths / 100, amount.currency, amount.has_currency))
            .collect()
    }

    #[test]
    fn amounts_are_found_with_their_currencies() {
        for (text, expected) in [
            ("Price: £48.99", vec![(4_899, Some("GBP"), true)]),
            (
                "131 990 тг. + до 1 319 бонусов",
                vec![(13_199_000, Some("KZT"), true), (131_900, None, false)],
            ),
            ("Rs 23,450", vec![(2_345_000, None, true)]),
            ("US $11.69", vec![(1_169, None, true)]),
            ("US$11.69", vec![(1_169, Some("USD"), true)]),
            ("32 zł/szt.", vec![(3_200, Some("PLN"), true)]),
            ("特價2320元適用折價券", vec![(232_000, Some("CNY"), true)]),
            ("12.000₫", vec![(1_200_000, Some("VND"), true)]),
            ("1.198,- €", vec![(119_800, Some("EUR"), true)]),
            ("EUR 69.95 (-15%)", vec![(6_995, Some("EUR"), true)]),
            ("PRW3100 watch", vec![]),
            ("3 pieces", vec![(300, None, false)]),
            ("no digits", vec![]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(amounts("3 pieces")[0].has_unit && !amounts("3 €")[0].has_unit);
    }
}
