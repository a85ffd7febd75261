//! Takes NUL and other control characters out of text. Tab, line feed and carriage return stay.

/// Bytes looked at together.
const BLOCK_BYTES: usize = 1024;

/// Whether this byte of UTF-8 is a control character that feeds have no use for.
pub(crate) fn is_control(byte: u8) -> bool {
    // No `&&`: where there is nothing to jump over, many bytes are compared at once.
    (byte < b' ') & (byte != b'\t') & (byte != b'\n') & (byte != b'\r')
}

/// Whether one of the bytes is a control character. There is no early end, for the same reason.
fn is_dirty(block: &[u8]) -> bool {
    block.iter().fold(0, |dirty, byte| dirty | u8::from(is_control(*byte))) != 0
}

/// Appends `text` without its control characters; gives how many there were.
pub(crate) fn push_clean(text: &str, out: &mut String) -> u64 {
    let mut blocks = text.as_bytes().chunks_exact(BLOCK_BYTES);
    if !blocks.any(is_dirty) && !is_dirty(blocks.remainder()) {
        out.push_str(text);
        return 0;
    }
    let mut removed = 0;
    for piece in text.split_inclusive(|c: char| c.is_ascii() && is_control(c as u8)) {
        let clean = piece.trim_end_matches(|c: char| c.is_ascii() && is_control(c as u8));
        removed += (piece.len() - clean.len()) as u64;
        out.push_str(clean);
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_white_space_stays() {
        let mut out = String::from("x");
        assert_eq!(push_clean("a\tb\r\nc 가\u{7f}", &mut out), 0);
        assert_eq!(push_clean("\0a\u{1}\u{1}가\u{1f}", &mut out), 4);
        assert_eq!(out, "xa\tb\r\nc 가\u{7f}a가");
    }

    #[test]
    fn every_place_of_a_long_text_is_looked_at() {
        let text = "가\n".repeat(BLOCK_BYTES);
        assert_eq!(push_clean(&text, &mut String::new()), 0);
        for place in [0, BLOCK_BYTES - 4, BLOCK_BYTES, BLOCK_BYTES * 4 - 4, BLOCK_BYTES * 4] {
            let dirty = format!("{}\u{1}{}", &text[..place], &text[place..]);
            let mut out = String::new();
            assert_eq!((push_clean(&dirty, &mut out), out == text), (1, true), "{place}");
        }
    }
}
