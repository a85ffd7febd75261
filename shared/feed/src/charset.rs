//! Which character encoding a source has. Bytes outvote labels: a feed declared as UTF-8 that is EUC-KR,
//! and one declared as EUC-KR that is UTF-8, are both common.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes that detection looks at.
const DETECTED_BYTES: usize = 64 * 1024;
/// Bytes that are searched for the pattern of UTF-16.
const NUL_BYTES: usize = 4096;
/// Bytes in which an XML declaration must end.
const PROLOG_BYTES: usize = 256;

/// The encoding of bytes that are not plain ASCII. `label` is what somebody said of them.
pub(crate) fn decide(
    bytes: &[u8],
    label: Option<&'static Encoding>,
    top_level_domain: Option<&'static [u8]>,
) -> &'static Encoding {
    if is_mostly_utf8(bytes) {
        return UTF_8;
    }
    match label {
        Some(label) if label != UTF_8 && label.is_ascii_compatible() => label,
        _ => {
            let first = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or_default();
            let telling = &bytes[first..];
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
            detector.feed(&telling[..telling.len().min(DETECTED_BYTES)], false);
            detector.guess(top_level_domain, Utf8Detection::Deny)
        }
    }
}

/// Whether the bytes are UTF-8, up to broken characters here and there: exports like to cut texts at a
/// number of bytes.
fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0_u64, 0_u64);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count() as u64;
        bad += u64::from(!chunk.invalid().is_empty());
    }
    // The last character may just go on in the next chunk.
    bad <= 1 && good > 0 || bad * 10 <= good
}

/// UTF-16 without a byte order mark: markup and delimiters have a NUL in every other byte.
pub(crate) fn utf16_by_nuls(bytes: &[u8]) -> Option<&'static Encoding> {
    let bytes = &bytes[..bytes.len().min(NUL_BYTES) & !1];
    let nuls = |offset: usize| bytes.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let many = bytes.len() / 2 / 5;
    if bytes.len() < 4 {
        None
    } else if odd > many && even * 10 < odd {
        Some(UTF_16LE)
    } else if even > many && odd * 10 < even {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// The encoding that an XML declaration names.
pub(crate) fn xml_declaration(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(PROLOG_BYTES)]);
    let declaration = head.trim_start().strip_prefix("<?xml")?.split_once("?>")?.0;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = value[1..].split_once(quote)?.0;
    Encoding::for_label_no_replacement(label.as_bytes())
}

/// The encoding that an HTTP `Content-Type` names.
pub(crate) fn content_type(value: &str) -> Option<&'static Encoding> {
    value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("charset") {
            return None;
        }
        Encoding::for_label_no_replacement(value.trim().trim_matches('"').as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{EUC_KR, WINDOWS_1252};

    const KOREAN: &str = "상품명 겨울 코트 여성용 무료배송 이벤트 카테고리 패션의류";

    #[test]
    fn korean_is_told_from_utf8_whatever_the_label() {
        let (legacy, _, _) = EUC_KR.encode(KOREAN);
        assert_eq!(decide(&legacy, None, Some(b"kr")), EUC_KR);
        assert_eq!(decide(&legacy, Some(UTF_8), Some(b"kr")), EUC_KR);
        assert_eq!(decide(KOREAN.as_bytes(), Some(EUC_KR), None), UTF_8);
        assert_eq!(decide(&legacy, Some(EUC_KR), None), EUC_KR);
        assert_eq!(decide(b"caf\xe9", Some(WINDOWS_1252), None), WINDOWS_1252);
    }

    #[test]
    fn a_broken_character_does_not_make_another_encoding() {
        let mut bytes = KOREAN.as_bytes().to_vec();
        bytes.extend_from_slice(b"\xea\xb0 cut short, ");
        bytes.extend_from_slice(KOREAN.as_bytes());
        bytes.push(0xea);
        assert_eq!(decide(&bytes, None, None), UTF_8);
    }

    #[test]
    fn utf16_shows_by_its_nuls() {
        let little: Vec<u8> =
            "id\ttitle\n1\t가".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "id\ttitle\n1\t가".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(utf16_by_nuls(&little), Some(UTF_16LE));
        assert_eq!(utf16_by_nuls(&big), Some(UTF_16BE));
        assert_eq!(utf16_by_nuls(b"id\ttitle\0\n"), None);
    }

    #[test]
    fn labels_are_found_where_they_stand() {
        let xml = b"\n<?xml version='1.0' encoding = 'euc-kr' ?><rss>";
        assert_eq!(xml_declaration(xml), Some(EUC_KR));
        assert_eq!(xml_declaration(b"<rss encoding='euc-kr'>"), None);
        assert_eq!(content_type("text/csv; header=present; Charset=\"EUC-KR\""), Some(EUC_KR));
        assert_eq!(content_type("text/csv"), None);
    }
}
