//! Amounts of money as feeds write them: `15.00 USD`, `1.234,50 €`, `12,000원`. What is not an amount and
//! nothing but one is refused: a product with a wrong price is worse than a missing one.

use crate::currency;
use crate::digits::{self, DigitsError};

/// Digits before the decimal mark at most.
const WHOLE_DIGITS: usize = 14;
/// As many, a point and four digits.
const PLAIN_BYTES: usize = WHOLE_DIGITS + 5;

/// An amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// The amount in ten-thousandths of the currency's unit, rounded; never negative.
    pub ten_thousandths: i64,
    /// The ISO 4217 code that the text names; none when it names no currency, or one of several (`$`, `kr`).
    pub currency: Option<&'static str>,
}

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// There is no number.
    #[error("there is no number in it")]
    NoNumber,
    /// There are several, such as a range.
    #[error("there is more than one number in it")]
    SeveralNumbers,
    /// Two different currencies are named.
    #[error("it names two currencies")]
    TwoCurrencies,
    /// It is below zero.
    #[error("it is negative")]
    Negative,
    /// Decimal marks and thousands separators contradict each other.
    #[error("its decimal mark can't be told")]
    Marks,
    /// It has more than 14 digits before the decimal mark.
    #[error("it has too many digits")]
    TooLarge,
    /// Something is in it that belongs to no amount.
    #[error("it is not an amount and nothing but an amount")]
    OtherText,
}

/// Reads an amount. `decimal` is the decimal mark where that is known; else it is worked out, and one mark
/// before exactly three digits separates thousands.
///
/// # Errors
///
/// A [`MoneyError`] for every text that is not one amount of zero or more.
///
/// ```
/// let money = feedfleet_feed::parse_money("1.234,50 €", None).unwrap();
/// assert_eq!((money.ten_thousandths, money.currency), (12_345_000, Some("EUR")));
/// ```
pub fn parse_money(text: &str, decimal: Option<char>) -> Result<Money, MoneyError> {
    if decimal.is_none_or(|mark| mark == '.')
        && let Some(money) = plain(text)
    {
        return Ok(money);
    }
    parse_any(text, decimal)
}

/// Reads what most feeds write: up to 14 digits, perhaps a point and 1, 2 or 4 more (three may be thousands), perhaps
/// a space and a code. None: it is something else, or no amount.
fn plain(text: &str) -> Option<Money> {
    let (number, currency) = match text.as_bytes() {
        [number @ .., b' ', a, b, c] => (number, Some(currency::by_letters([*a, *b, *c])?)),
        number => (number, None),
    };
    if number.len() > PLAIN_BYTES {
        return None;
    }
    let (whole, fraction, scale) = match number.iter().position(|byte| *byte == b'.') {
        None => (number, &[][..], digits::UNIT),
        Some(point) => {
            let fraction = &number[point + 1..];
            let scale = match fraction.len() {
                1 => 1_000,
                2 => 100,
                4 => 1,
                _ => return None,
            };
            (&number[..point], fraction, scale)
        }
    };
    if whole.is_empty() || whole.len() > WHOLE_DIGITS {
        return None;
    }
    let mut value: i64 = 0;
    for byte in whole.iter().chain(fraction) {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(Money { ten_thousandths: value * scale, currency })
}

/// As [`parse_money`], whatever is written.
fn parse_any(text: &str, decimal: Option<char>) -> Result<Money, MoneyError> {
    let mut number: Option<&str> = None;
    let mut is_negative = false;
    let mut currency: Option<&'static str> = None;
    let mut rest = text.trim();
    while let Some(c) = rest.chars().next() {
        let next = &rest[c.len_utf8()..];
        let is_mark = matches!(c, '.' | ',') && number.is_none();
        if c.is_ascii_digit() || (is_mark && next.starts_with(|c: char| c.is_ascii_digit())) {
            if number.is_some() {
                return Err(MoneyError::SeveralNumbers);
            }
            let (found, after) = rest.split_at(digits::span(rest));
            number = Some(found);
            rest = after;
            if found.ends_with(['.', ',']) {
                // `1.198,-`
                rest = after.strip_prefix(['-', '–', '—']).unwrap_or(after);
            }
        } else if c.is_whitespace() || matches!(c, '*' | ':' | '\u{200e}' | '\u{200f}') {
            rest = next;
        } else if matches!(c, '-' | '−') && number.is_none() {
            is_negative = true;
            rest = next;
        } else {
            let (name, after) = rest.split_at(name_span(rest));
            let named = currency::find(name).ok_or(MoneyError::OtherText)?;
            match (currency, named.code) {
                (Some(one), Some(other)) if one != other => return Err(MoneyError::TwoCurrencies),
                (None, code) => currency = code,
                _ => {}
            }
            rest = after;
        }
    }
    let number = number.ok_or(MoneyError::NoNumber)?;
    let has_three_decimals = currency.is_some_and(currency::has_three_decimals);
    let ten_thousandths =
        digits::resolve(number, decimal, has_three_decimals).map_err(|error| match error {
            DigitsError::Marks => MoneyError::Marks,
            DigitsError::TooLarge => MoneyError::TooLarge,
        })?;
    if is_negative && ten_thousandths != 0 {
        return Err(MoneyError::Negative);
    }
    Ok(Money { ten_thousandths, currency })
}

/// Bytes of what may be a currency at the start of a text: at least one character.
fn name_span(text: &str) -> usize {
    let mut previous = None;
    for (place, c) in text.char_indices() {
        let is_end = match c {
            // `Rs.500`: the point belongs to the abbreviation.
            '.' => !previous.is_some_and(char::is_alphabetic),
            ',' | '-' | '−' | '*' | ':' => true,
            c => c.is_ascii_digit() || c.is_whitespace(),
        };
        if is_end && place > 0 {
            return place;
        }
        previous = Some(c);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(i64, Option<&'static str>), MoneyError> {
        parse_money(text, None).map(|money| (money.ten_thousandths, money.currency))
    }

    #[test]
    fn amounts_with_and_without_currency() {
        for (text, amount, currency) in [
            ("15.00 USD", 150_000, Some("USD")),
            ("USD 15.00", 150_000, Some("USD")),
            ("$15.00 USD", 150_000, Some("USD")),
            ("$15", 150_000, None),
            ("US$:12.99", 129_900, Some("USD")),
            ("1.234,50 €", 12_345_000, Some("EUR")),
            ("12,000원", 120_000_000, Some("KRW")),
            ("₩12,000", 120_000_000, Some("KRW")),
            ("3,500円", 35_000_000, Some("JPY")),
            ("1 195,- kr", 11_950_000, None),
            ("45,00 zł", 450_000, Some("PLN")),
            ("171 900 руб.", 1_719_000_000, Some("RUB")),
            ("423.923 KD", 4_239_230, Some("KWD")),
            ("50007257.0", 500_072_570_000, None),
            ("Rs.500", 5_000_000, None),
            ("$.75", 7_500, None),
            ("-0.00", 0, None),
            ("0", 0, None),
        ] {
            assert_eq!(read(text), Ok((amount, currency)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for (text, error) in [
            ("", MoneyError::NoNumber),
            ("EUR", MoneyError::NoNumber),
            ("NaN", MoneyError::OtherText),
            ("1e5", MoneyError::OtherText),
            ("https://shop.example/1", MoneyError::OtherText),
            ("from 5 EUR", MoneyError::OtherText),
            ("5 PCS", MoneyError::OtherText),
            ("-5.00", MoneyError::Negative),
            ("€ -5", MoneyError::Negative),
            ("5 - 10", MoneyError::OtherText),
            ("5 10", MoneyError::SeveralNumbers),
            ("5 EUR USD", MoneyError::TwoCurrencies),
            ("15.08.2017", MoneyError::Marks),
            ("999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
    }

    proptest::proptest! {
        /// The quick way for plain amounts says nothing that the other would not say.
        #[test]
        fn plain_amounts_are_read_as_any_other(
            text in "-?[0-9]{0,3}[0-9]{0,15}([.,][0-9]{0,5})?( ?(EUR|USD|KRW|KWD|usd|XXX|[0-9]{3}|[A-Z]{3}))?",
        ) {
            for mark in [None, Some('.'), Some(',')] {
                proptest::prop_assert_eq!(parse_money(&text, mark), parse_any(&text, mark));
            }
        }
    }

    #[test]
    fn what_most_feeds_write_is_read_the_quick_way() {
        for text in
            ["15", "15.0", "15.99", "15.9999", "0.00 USD", "99999999999999.9999 KWD", "15.00 CHF"]
        {
            assert_eq!(plain(text).ok_or(MoneyError::NoNumber), parse_any(text, None), "{text}");
        }
        for text in
            ["", " USD", ".5", "5.", "1.234", "15 usd", "1 234", "1,5", "123456789012345", "5 XXX"]
        {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
