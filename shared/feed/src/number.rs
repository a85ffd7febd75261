//! Numbers that are no money, with or without a unit; and whole ones written out.

use crate::digits::{self, UNIT};

/// Reads a number, in ten-thousandths, rounded. `has_unit`: what stands after it is dropped. None: it is no
/// number.
pub(crate) fn parse_number(text: &str, decimal: Option<char>, has_unit: bool) -> Option<i64> {
    let text = text.trim();
    let (sign, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (-1, rest.trim_start()),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.strip_prefix(['.', ',']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (number, unit) = text.split_at(digits::span(text));
    let unit = unit.trim();
    // Not 1e5, and not 5-10.
    let is_unit = unit.starts_with(|c: char| c.is_alphabetic() || matches!(c, '%' | '°' | '"'))
        && !unit.contains(|c: char| c.is_ascii_digit());
    let unit_is_welcome = has_unit && is_unit;
    if !unit.is_empty() && !unit_is_welcome {
        return None;
    }
    digits::resolve(number, decimal, false).ok().map(|value| sign * value)
}

/// Reads a whole number. None: it is none.
pub(crate) fn parse_integer(text: &str, decimal: Option<char>, has_unit: bool) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let value = parse_number(text, decimal, has_unit)?;
    (value % UNIT == 0).then_some(value / UNIT)
}

/// A whole number without the point that spreadsheets and programs put behind it, as in `50007257.0`. None: there is
/// none to take out.
pub(crate) fn without_point_zero(text: &str) -> Option<&str> {
    let whole = text.strip_suffix(".0")?;
    (!whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit())).then_some(whole)
}

/// A code of digits without the apostrophe by which spreadsheets mark text, as in `'4006381333931`. None: there is none
/// to take out.
pub(crate) fn without_text_mark(text: &str) -> Option<&str> {
    let code = text.strip_prefix('\'')?;
    (!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
}

/// Appends a whole number's digits.
pub(crate) fn push_whole(number: u64, out: &mut String) {
    // As many as the largest has.
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[start..]).expect("digits are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_out() {
        for number in [0, 7, 10, 99, 1_000, u64::from(u32::MAX), u64::MAX] {
            let mut out = String::from("x");
            push_whole(number, &mut out);
            assert_eq!(out, format!("x{number}"));
        }
    }

    #[test]
    fn numbers_and_units() {
        assert_eq!(parse_number("1,5", None, false), Some(15_000));
        assert_eq!(parse_number("-3", None, false), Some(-30_000));
        assert_eq!(parse_number("2.5 kg", None, true), Some(25_000));
        assert_eq!(parse_number("2.5 kg", None, false), None);
        for text in ["", "kg", "1e5", "5-10", "NaN", "-", "1 2 kg"] {
            assert_eq!(parse_number(text, None, true), None, "{text}");
        }
    }

    #[test]
    fn points_behind_whole_numbers_go() {
        assert_eq!(without_point_zero("50007257.0"), Some("50007257"));
        for text in ["50007257", "1.00", "1.5", ".0", "v1.0", ""] {
            assert_eq!(without_point_zero(text), None, "{text}");
        }
    }

    #[test]
    fn marks_before_codes_go() {
        assert_eq!(without_text_mark("'0400638"), Some("0400638"));
        for text in ["0400638", "'", "'a1", "''1", "1'", "'12 pan", ""] {
            assert_eq!(without_text_mark(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(parse_integer("1,234", None, false), Some(1234));
        assert_eq!(parse_integer("7.0", None, false), Some(7));
        assert_eq!(parse_integer("9007199254740993", None, false), Some(9_007_199_254_740_993));
        assert_eq!(parse_integer("7.5", None, false), None);
        assert_eq!(parse_integer("10+", None, false), None);
    }
}
