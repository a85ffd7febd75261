//! Numbers with thousands separators and either decimal mark, as people and programs write them.

/// A value has 18 digits, four of them after the point.
pub(crate) const UNIT: i64 = 10_000;
const MAX_WHOLE: i64 = 100_000_000_000_000;

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigitsError {
    /// Its marks and separators make no sense, or more than one.
    Marks,
    /// It has more digits than a column.
    TooLarge,
}

/// White space that separates thousands.
fn is_group_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}')
}

fn is_group_tick(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// Bytes of the number at the start of a text that begins with a digit, or with a mark and a digit. A mark
/// that ends it belongs to it.
pub(crate) fn span(text: &str) -> usize {
    let digit_at = |place: usize| text.as_bytes().get(place).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    for (place, c) in text.char_indices() {
        let next = place + c.len_utf8();
        match c {
            '0'..='9' => end = next,
            '.' | ',' if !digit_at(next) => return next,
            '.' | ',' => {}
            c if is_group_tick(c) && digit_at(next) => {}
            c if is_group_space(c) && (next..next + 3).all(digit_at) && !digit_at(next + 3) => {}
            _ => break,
        }
    }
    end
}

/// The value of a number that [`span`] found, in ten-thousandths, rounded. `decimal` is its decimal mark
/// where that is known; `has_three_decimals`: three digits after a mark are no thousands (dinars).
pub(crate) fn resolve(
    number: &str,
    decimal: Option<char>,
    has_three_decimals: bool,
) -> Result<i64, DigitsError> {
    let number = number.strip_suffix(['.', ',']).unwrap_or(number);
    let mark = decimal_mark(number, decimal, has_three_decimals)?;
    let (whole, fraction) = match mark {
        Some(mark) => number.rsplit_once(mark).unwrap_or((number, "")),
        None => (number, ""),
    };
    if !has_good_groups(whole) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DigitsError::Marks);
    }
    let mut value: i64 = 0;
    for digit in whole.bytes().filter(u8::is_ascii_digit) {
        value = value * 10 + i64::from(digit - b'0');
        if value >= MAX_WHOLE {
            return Err(DigitsError::TooLarge);
        }
    }
    let mut digits = fraction.bytes().map(|byte| i64::from(byte - b'0'));
    for _ in 0..4 {
        value = value * 10 + digits.next().unwrap_or(0);
    }
    value += i64::from(digits.next().unwrap_or(0) >= 5);
    if value >= MAX_WHOLE * UNIT { Err(DigitsError::TooLarge) } else { Ok(value) }
}

/// Which of the marks in the number is the decimal one.
fn decimal_mark(
    number: &str,
    decimal: Option<char>,
    has_three_decimals: bool,
) -> Result<Option<char>, DigitsError> {
    let points = number.matches('.').count();
    let commas = number.matches(',').count();
    let (mark, count) = if points > 0 && commas > 0 {
        let last = if number.rfind('.') > number.rfind(',') { '.' } else { ',' };
        let is_once = if last == '.' { points == 1 } else { commas == 1 };
        let is_expected = decimal.is_none_or(|decimal| decimal == last);
        return if is_once && is_expected { Ok(Some(last)) } else { Err(DigitsError::Marks) };
    } else if points > 0 {
        ('.', points)
    } else {
        (',', commas)
    };
    if count == 0 {
        return Ok(None);
    }
    if count > 1 {
        let is_thousands = decimal != Some(mark);
        return if is_thousands { Ok(None) } else { Err(DigitsError::Marks) };
    }
    let (before, after) = number.split_once(mark).unwrap_or((number, ""));
    let looks_like_thousands = after.len() == 3 && (1..=3).contains(&digits_in(before));
    match decimal {
        Some(decimal) if decimal == mark => Ok(Some(mark)),
        Some(_) if looks_like_thousands => Ok(None),
        // Two digits after the other mark can be nothing else than decimals.
        Some(_) if after.len() != 3 => Ok(Some(mark)),
        Some(_) => Err(DigitsError::Marks),
        None => {
            let has_groups = before.contains(|c: char| is_group_space(c) || is_group_tick(c));
            let is_thousands = looks_like_thousands
                && !before.starts_with('0')
                && !has_three_decimals
                && !has_groups;
            Ok(if is_thousands { None } else { Some(mark) })
        }
    }
}

fn digits_in(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether the thousands are separated every three digits, or as in India: 12,34,567.
fn has_good_groups(whole: &str) -> bool {
    let mut groups = whole.split(|c: char| !c.is_ascii_digit()).map(str::len);
    let first = groups.next().unwrap_or(0);
    let mut last = None;
    let (mut all_three, mut all_two) = (true, true);
    for group in groups {
        if let Some(middle) = last.replace(group) {
            all_three &= middle == 3;
            all_two &= middle == 2;
        }
    }
    match last {
        None => true,
        Some(last) => last == 3 && (1..=3).contains(&first) && (all_three || all_two),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, decimal: Option<char>) -> Option<i64> {
        let bytes = span(text);
        (bytes == text.len()).then(|| resolve(text, decimal, false).ok()).flatten()
    }

    #[test]
    fn marks_are_told_from_separators() {
        for (text, value) in [
            ("0", 0),
            ("15.00", 150_000),
            ("50007257.0", 500_072_570_000),
            ("1,234.5", 12_345_000),
            ("1.234,5", 12_345_000),
            ("1 234,50", 12_345_000),
            ("1\u{a0}234\u{202f}567", 12_345_670_000),
            ("1'234.5", 12_345_000),
            ("12,34,567.00", 12_345_670_000),
            ("129.900", 1_299_000_000),
            ("0.750", 7_500),
            ("1234.567", 12_345_670),
            (".75", 7_500),
            ("610,", 6_100_000),
            ("34.992001", 349_920),
            ("1.99995", 20_000),
        ] {
            assert_eq!(read(text, None), Some(value), "{text}");
        }
        for text in ["1.2.3", "15.08.2017", "1,23,45", "1.234.5", "1,234,56.7", "1.2,3.4"] {
            assert_eq!(read(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_known_mark_settles_what_is_open() {
        assert_eq!(read("12.500", Some('.')), Some(125_000));
        assert_eq!(read("12,500", Some('.')), Some(125_000_000));
        assert_eq!(read("12,50", Some('.')), Some(125_000));
        // Whoever writes so writes `1.234` for the thousand, too.
        assert_eq!(read("1.234,56", Some('.')), None);
        assert_eq!(read("1,234.5", Some(',')), None);
        assert_eq!(read("1.234.567", Some('.')), None);
        assert_eq!(read("12.34,56", Some('.')), None);
        assert_eq!(read("1234,567", Some('.')), None);
    }

    #[test]
    fn too_many_digits_are_refused() {
        assert_eq!(read("99999999999999.9999", None), Some(999_999_999_999_999_999));
        assert_eq!(resolve("99999999999999.99999", None, false), Err(DigitsError::TooLarge));
        assert_eq!(resolve("100000000000000", None, false), Err(DigitsError::TooLarge));
    }
}
