//! Takes NUL and other control characters out of text. Tab, line feed and carriage return stay.

/// Bytes looked at together.
const BLOCK_BYTES: usize = 1024;

fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' && byte != b'\n' && byte != b'\r'
}

/// Appends `text` without its control characters; gives how many there were.
pub(crate) fn push_clean(text: &str, out: &mut String) -> u64 {
    // No early end inside of a block: so it is compared in vectors.
    let is_dirty = |block: &[u8]| block.iter().fold(false, |dirty, byte| dirty | is_control(*byte));
    if !text.as_bytes().chunks(BLOCK_BYTES).any(is_dirty) {
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
}
