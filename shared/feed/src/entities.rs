//! Character and entity references: the five of XML, numbers, and the HTML names that feeds use anyway.
//! What a document declares itself is never expanded.

use memchr::memchr;

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

fn numbered(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None => number.parse().ok()?,
    };
    let is_text = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    char::from_u32(code).filter(is_text)
}

fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "iexcl" => '¡',
        "cent" => '¢',
        "pound" => '£',
        "yen" => '¥',
        "sect" => '§',
        "copy" => '©',
        "laquo" => '«',
        "reg" => '®',
        "deg" => '°',
        "plusmn" => '±',
        "sup2" => '²',
        "sup3" => '³',
        "acute" => '´',
        "micro" => 'µ',
        "middot" => '·',
        "ordm" => 'º',
        "raquo" => '»',
        "frac14" => '¼',
        "frac12" => '½',
        "frac34" => '¾',
        "iquest" => '¿',
        "Agrave" => 'À',
        "Aacute" => 'Á',
        "Acirc" => 'Â',
        "Atilde" => 'Ã',
        "Auml" => 'Ä',
        "Aring" => 'Å',
        "AElig" => 'Æ',
        "Ccedil" => 'Ç',
        "Egrave" => 'È',
        "Eacute" => 'É',
        "Ecirc" => 'Ê',
        "Euml" => 'Ë',
        "Iacute" => 'Í',
        "Icirc" => 'Î',
        "Ntilde" => 'Ñ',
        "Oacute" => 'Ó',
        "Ocirc" => 'Ô',
        "Otilde" => 'Õ',
        "Ouml" => 'Ö',
        "times" => '×',
        "Oslash" => 'Ø',
        "Uacute" => 'Ú',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "agrave" => 'à',
        "aacute" => 'á',
        "acirc" => 'â',
        "atilde" => 'ã',
        "auml" => 'ä',
        "aring" => 'å',
        "aelig" => 'æ',
        "ccedil" => 'ç',
        "egrave" => 'è',
        "eacute" => 'é',
        "ecirc" => 'ê',
        "euml" => 'ë',
        "igrave" => 'ì',
        "iacute" => 'í',
        "icirc" => 'î',
        "iuml" => 'ï',
        "ntilde" => 'ñ',
        "ograve" => 'ò',
        "oacute" => 'ó',
        "ocirc" => 'ô',
        "otilde" => 'õ',
        "ouml" => 'ö',
        "oslash" => 'ø',
        "ugrave" => 'ù',
        "uacute" => 'ú',
        "ucirc" => 'û',
        "uuml" => 'ü',
        "oelig" => 'œ',
        "scaron" => 'š',
        "ensp" => '\u{2002}',
        "emsp" => '\u{2003}',
        "thinsp" => '\u{2009}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "shy" => '\u{ad}',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "sbquo" => '‚',
        "ldquo" => '“',
        "rdquo" => '”',
        "bdquo" => '„',
        "bull" => '•',
        "hellip" => '…',
        "euro" => '€',
        "trade" => '™',
        "rarr" => '→',
        "le" => '≤',
        "ge" => '≥',
        _ => return None,
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
    }
}
