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
    /// The currencies of which the sign beside it may mean any, such as `$`; empty where there is none, or where nobody
    /// knows.
    pub(crate) among: &'static [&'static str],
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
        let beside = || [left, right].into_iter().flatten();
        found.push(Amount {
            ten_thousandths: money.ten_thousandths,
            currency: beside().find_map(|named| named.code),
            among: beside().next().map_or(&[], |named| named.among),
            has_currency: beside().next().is_some(),
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

/// What a word or sign names.
#[derive(Clone, Copy)]
struct Named {
    /// The currency, if it is one alone.
    code: Option<&'static str>,
    /// Those that it may be, if they are several.
    among: &'static [&'static str],
}

/// The currency that a text ends with.
fn currency_before(text: &str) -> Option<Named> {
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
fn currency_after(text: &str) -> Option<Named> {
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

/// Whether a word names a currency.
pub(super) fn is_currency(word: &str) -> bool {
    named(word).is_some()
}

/// What a word or sign names.
fn named(word: &str) -> Option<Named> {
    if word.is_empty() || word.chars().count() > CURRENCY_CHARS {
        return None;
    }
    let code = parse_money(&format!("1 {word}"), None).ok()?.currency;
    let among = if code.is_none() { meanings(word) } else { &[] };
    Some(Named { code, among })
}

/// The currencies that shops mean by a sign or word of several. `$` is that of pesos, too.
fn meanings(word: &str) -> &'static [&'static str] {
    match word.trim_matches('.').to_lowercase().as_str() {
        "$" => &[
            "USD", "ARS", "AUD", "BBD", "BMD", "BND", "BRL", "BSD", "BZD", "CAD", "CLP", "COP",
            "CUP", "DOP", "FJD", "GYD", "HKD", "JMD", "KYD", "LRD", "MXN", "NAD", "NZD", "SBD",
            "SGD", "SRD", "TTD", "TWD", "UYU", "XCD",
        ],
        "¥" | "￥" => &["CNY", "JPY"],
        "kr" => &["DKK", "ISK", "NOK", "SEK"],
        "rs" | "₨" => &["INR", "LKR", "MUR", "NPR", "PKR", "SCR"],
        "fr" => &["CHF", "XAF", "XOF", "XPF"],
        _ => &[],
    }
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
    use std::collections::BTreeSet;

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
        let among = |text: &str| amounts(text)[0].among;
        assert!(among("$3").contains(&"MXN") && !among("$3").contains(&"EUR"));
        assert!(among("3 kr.").contains(&"SEK"));
        assert!(among("US$3").is_empty() && among("3").is_empty());
        assert!(amounts("3 pieces")[0].has_unit && !amounts("3 €")[0].has_unit);
    }

    const CASES: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/price-parser/price_cases.jsonl");
    /// Texts of which the first amount, or its currency, is not what the set expects; and why.
    const KNOWN_MISSES: [(&str, &[&str]); 8] = [
        (
            "an amount with words before it, of which some have numbers: the words decide elsewhere, by where they stand",
            &[
                "3 Ausgaben für nur 14,85 EUR",
                "Buy Now - 2 Litre Was $120.00 Now $60.00",
                "Цена: уточняйте (мин. заказ: 1 )",
                "50 - $2.00 100 - $2.75 400 - $4.50 1,000 - $9.00 2,000 - $17.00 3,000 - $24.00 10,000 - $75.00",
                "July, 2004",
                "25-09",
                "Free Shipping on Orders $49+.",
            ],
        ),
        (
            "a mark before the first digit, a space behind one, or a sign as decimal mark",
            &[".75 €", "$.75", "$..75", "$..75,333", "$119. 95", "1250€ 60", "1250€600"],
        ),
        ("three decimals of a dinar: the number is read without its currency", &[" 423.923 KD"]),
        (
            "digits behind a letter that is no currency here belong to a word",
            &["R273.00", "R8,499"],
        ),
        (
            "a currency's name of more than five letters, or with points within it",
            &["1128240 рублей", "1 ر.س", "1 د.ك", "1 د.إ"],
        ),
        ("no number: free is not 0 here", &["Free!"]),
        ("the set takes `ft` for feet; here it is the forint", &["16.00 ft"]),
        (
            "the set expects 1 where there is no number",
            &["CND", "KShs", "chf", "so'm", "тг", "ש\"ח", "ש'ח", "د.ع", "د.ل", "ر.ي", "ش.ص"],
        ),
    ];

    /// What price-parser's tests expect, of the first amount of each text.
    #[test]
    fn price_parser_cases() {
        let Ok(lines) = std::fs::read_to_string(CASES) else {
            eprintln!("SKIPPED: no {CASES}");
            return;
        };
        let (mut all, mut right, mut all_currencies, mut right_currencies) = (0, 0, 0, 0);
        let (mut beside, mut unknown) = (0, Vec::new());
        let mut misses = BTreeSet::new();
        for line in lines.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let Some(text) = case["price_raw"].as_str() else { continue };
            let first = amounts(text).into_iter().next();
            let expected = case["amount"].as_str();
            let expected =
                expected.map(|amount| (amount.parse::<f64>().unwrap() * 10_000.0).round() as i64);
            let is_right = first.map(|amount| amount.ten_thousandths) == expected;
            all += 1;
            right += usize::from(is_right);
            if !is_right {
                misses.insert(text.to_owned());
            }
            let Some(sign) = case["currency"].as_str() else { continue };
            let named = parse_money(&format!("1 {sign}"), None).ok();
            let is_same =
                first.zip(named).is_some_and(|(amount, named)| amount.currency == named.currency);
            all_currencies += 1;
            right_currencies += usize::from(is_same);
            if is_same || !is_right {
                continue;
            }
            if named.is_none() {
                unknown.push(sign.to_owned());
            } else if text.contains(sign) {
                misses.insert(text.to_owned());
            } else {
                beside += 1;
            }
        }
        println!("price-parser by heuristics, amounts: {right} of {all}");
        println!("price-parser by heuristics, currencies: {right_currencies} of {all_currencies}");
        println!("  {beside}: the currency is not in the text");
        println!("  {}: a currency that is not known here: {}", unknown.len(), unknown.join(" | "));
        for (reason, texts) in KNOWN_MISSES {
            println!("  {}: {reason}: {}", texts.len(), texts.join(" | "));
        }
        let known = KNOWN_MISSES.into_iter();
        let texts: BTreeSet<String> =
            known.flat_map(|(_, texts)| texts).map(|text| (*text).to_owned()).collect();
        let unexplained: Vec<&String> = misses.difference(&texts).collect();
        let mended: Vec<&String> = texts.difference(&misses).collect();
        assert!(
            unexplained.is_empty() && mended.is_empty(),
            "misses without a reason: {unexplained:#?}\nno misses any more: {mended:#?}"
        );
    }
}
