//! Percent-encoding in one spelling: unreserved characters are never escaped, everything that may not stand for
//! itself always is, with upper-case digits, and a `%` that begins no escape is `%25`.

/// A path, or a piece of one.
pub(super) fn path(text: &str) -> String {
    normal(text, b"!$&'()*+,;=:@/")
}

/// A query, or a piece of one. The apostrophe is escaped, as browsers do.
pub(super) fn query(text: &str) -> String {
    normal(text, b"!$&()*+,;=:@/?")
}

fn normal(text: &str, allowed: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            if let [high, low, after @ ..] = rest
                && let (Some(high), Some(low)) = (digit(*high), digit(*low))
            {
                rest = after;
                let octet = high * 16 + low;
                if is_unreserved(octet) {
                    out.push(char::from(octet));
                } else {
                    push_escaped(octet, &mut out);
                }
            } else {
                out.push_str("%25");
            }
        } else if is_unreserved(byte) || allowed.contains(&byte) {
            out.push(char::from(byte));
        } else {
            push_escaped(byte, &mut out);
        }
    }
    out
}

fn push_escaped(octet: u8, out: &mut String) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(octet >> 4)]));
    out.push(char::from(DIGITS[usize::from(octet & 15)]));
}

fn digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_the_same() {
        assert_eq!(path("/%66oo%2fb%c0[x]%zz%7E%4"), "/foo%2Fb%C0%5Bx%5D%25zz~%254");
        assert_eq!(query("q=%77'|%2b+%"), "q=w%27%7C%2B+%25");
        assert_eq!(path("%%41%2541"), "%25A%2541", "what comes out goes in unchanged");
        assert_eq!(path("%25A%2541"), "%25A%2541");
    }
}
