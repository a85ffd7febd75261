//! Global Trade Item Numbers: EAN, UPC, ISBN of 13 digits.

/// Whether a text has as many digits as such numbers have, and nothing else but hyphens and spaces.
pub(crate) fn has_form(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let mut others = text.bytes().filter(|byte| !byte.is_ascii_digit());
    matches!(digits, 8 | 12 | 13 | 14) && others.all(|byte| matches!(byte, b'-' | b' '))
}

/// Whether the last digit is the one that follows from the others.
pub(crate) fn has_check_digit(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|byte| u32::from(byte - b'0'));
    let sum: u32 =
        digits.enumerate().map(|(place, n)| if place % 2 == 1 { 3 * n } else { n }).sum();
    has_form(text) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_proves_the_others() {
        for text in
            ["4006381333931", "8801234567893", "96385074", "036000291452", "978-3-16-148410-0"]
        {
            assert!(has_check_digit(text), "{text}");
        }
        for text in ["4006381333932", "1234", "400638133393X", "", "4006381333931 x"] {
            assert!(!has_check_digit(text), "{text}");
        }
    }
}
