//! Character and entity references: the five of XML, numbers, and the HTML names that feeds use anyway.
//! What a document declares itself is never expanded.

use crate::entity_names::character;
use memchr::{memchr, memchr2};

/// Bytes that the name of a reference may have.
const MAX_NAME_BYTES: usize = 10;

/// Appends what `&name;` stands for. False: nobody knows, and it is appended as written.
pub(crate) fn push_reference(name: &str, out: &mut String) -> bool {
    let character = match name.strip_prefix('#') {
        Some(number) => numbered(number),
        None => named(name),
    };
    if let Some(character) = character {
        out.push(character);
        return true;
    }
    out.push('&');
    out.push_str(name);
    out.push(';');
    false
}

/// Appends `text` with its references replaced; gives how many are unknown.
pub(crate) fn unescape(text: &str, out: &mut String) -> u64 {
    let mut unknown = 0;
    let mut rest = text;
    while let Some(start) = memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'#';
        let end = rest.bytes().take(MAX_NAME_BYTES + 1).position(|byte| !is_name(byte));
        match end {
            Some(end) if end > 0 && rest.as_bytes()[end] == b';' => {
                unknown += u64::from(!push_reference(&rest[..end], out));
                rest = &rest[end + 1..];
            }
            // A lone ampersand.
            _ => out.push('&'),
        }
    }
    out.push_str(rest);
    unknown
}

/// Appends the text of an element with its references replaced, as the XML parser sees them. None: one of them is
/// unknown, and what was appended means nothing.
pub(crate) fn unescape_known(text: &str, out: &mut String) -> Option<()> {
    let mut rest = text;
    while let Some(start) = memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        match memchr2(b';', b'&', rest.as_bytes()) {
            Some(end) if rest.as_bytes()[end] == b';' => {
                if !push_reference(&rest[..end], out) {
                    return None;
                }
                rest = &rest[end + 1..];
            }
            // A lone ampersand.
            _ => out.push('&'),
        }
    }
    out.push_str(rest);
    Some(())
}

fn numbered(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None => number.parse().ok()?,
    };
    let is_text = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    char::from_u32(code).filter(is_text)
}

/// The five names of nearly all references come first.
fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return character(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_references_are_replaced_and_others_stay() {
        let mut out = String::new();
        let text = "a&amp;b &#65;&#x20AC;&nbsp;&lol; AT&T & co; &#0;&#xD800;";
        assert_eq!(unescape(text, &mut out), 3);
        assert_eq!(out, "a&b A€\u{a0}&lol; AT&T & co; &#0;&#xD800;");
        out.clear();
        assert_eq!(unescape("&thetasym;&Scaron;&frasl;", &mut out), 0);
        assert_eq!(out, "ϑŠ⁄");
    }

    #[test]
    fn a_reference_of_the_parser_ends_with_its_semicolon() {
        for (text, expected) in [
            ("a&amp;b &lt;&gt;", Some("a&b <>")),
            ("a & b", Some("a & b")),
            ("a & b &amp; c", Some("a & b & c")),
            ("&&amp;&", Some("&&&")),
            ("R&D and R; D", None),
            ("&;", None),
            ("&#0;", None),
        ] {
            let mut out = String::new();
            let unescaped = unescape_known(text, &mut out).map(|()| out.as_str());
            assert_eq!(unescaped, expected, "{text}");
        }
    }
}
