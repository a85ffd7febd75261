//! A web page's bytes as text.

use crate::charset;
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;

/// Bytes in which a page has to name its encoding: browsers look at 1,024, some pages are later.
const HEAD_BYTES: usize = 4096;

/// The text of a page. Its encoding is told by a byte order mark, the HTTP header, the page's own `<meta>`, and its
/// bytes, which outvote the labels. Broken characters become U+FFFD.
///
/// `content_type`: the header's value, parameters included.
pub fn page_text<'b>(bytes: &'b [u8], content_type: Option<&str>) -> Cow<'b, str> {
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark_bytes..]).0;
    }
    if let Some(encoding) = charset::utf16_by_nuls(bytes) {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let label = content_type.and_then(charset::content_type).or_else(|| of_meta(bytes));
    charset::decide(bytes, label, None).decode_without_bom_handling(bytes).0
}

/// The encoding that a page's head names, in either way of writing it.
fn of_meta(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut rest = head.as_str();
    while let Some(at) = rest.find("charset") {
        rest = &rest[at + "charset".len()..];
        let Some(value) = rest.trim_start().strip_prefix('=') else { continue };
        let value = value.trim_start().trim_start_matches(['"', '\'']);
        let is_of_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
        let end = value.find(|c| !is_of_label(c)).unwrap_or(value.len());
        if let Some(found) = Encoding::for_label_no_replacement(&value.as_bytes()[..end]) {
            // The bytes that say so are ASCII: it can't be UTF-16.
            return Some(if found.is_ascii_compatible() { found } else { UTF_8 });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{EUC_KR, WINDOWS_1251};

    #[test]
    fn the_page_the_header_and_the_bytes_say_what_it_is() {
        let text = "<p>겨울 코트 여성용 무료배송</p>";
        let (korean, ..) = EUC_KR.encode(text);
        assert_eq!(page_text(&korean, Some("text/html; charset=EUC-KR")), text);
        assert_eq!(page_text(text.as_bytes(), Some("text/html; charset=EUC-KR")), text);
        let text = "<meta http-equiv=content-type content='text/html; charset=windows-1251'>Цена";
        let (russian, ..) = WINDOWS_1251.encode(text);
        assert_eq!(page_text(&russian, None), text);
        assert_eq!(page_text(b"\xef\xbb\xbfpan", None), "pan");
        assert_eq!(page_text(b"\xff\xfep\0a\0n\0", None), "pan");
        assert!(matches!(page_text("péo".as_bytes(), None), Cow::Borrowed("péo")));
        assert_eq!(page_text(b"", None), "");
    }
}
