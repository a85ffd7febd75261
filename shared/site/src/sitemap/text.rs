//! A sitemap's bytes as UTF-8 text, whatever encoding they are in, for a parser that keeps each tag and text in
//! memory as a whole: none may be longer than [`MAX_PIECE_BYTES`].

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::{memchr2, memmem};
use std::io::{self, BufRead, ErrorKind, Read};

/// Bytes of one tag, comment or text.
const MAX_PIECE_BYTES: usize = 1024 * 1024;
/// Bytes that are looked at for a byte order mark and an XML declaration.
const HEAD_BYTES: usize = 1024;
const CHUNK_BYTES: usize = 64 * 1024;

/// Decodes a source.
pub(super) struct TextInput<R> {
    source: R,
    decoder: Decoder,
    chunk: Vec<u8>,
    text: String,
    start: usize,
    is_ended: bool,
    bytes: u64,
    consumed: u64,
    allowance: usize,
    is_over: bool,
    failure: Option<io::Error>,
}

impl<R: Read> TextInput<R> {
    /// Reads the first bytes, and finds out the encoding.
    pub(super) fn open(mut source: R) -> io::Result<Self> {
        let mut head = Vec::new();
        source.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let (encoding, mark) = Encoding::for_bom(&head).unwrap_or_else(|| (declared(&head), 0));
        let mut input = Self {
            source,
            decoder: encoding.new_decoder_without_bom_handling(),
            chunk: vec![0; CHUNK_BYTES],
            text: String::new(),
            start: 0,
            is_ended: false,
            bytes: head.len() as u64,
            consumed: 0,
            allowance: MAX_PIECE_BYTES,
            is_over: false,
            failure: None,
        };
        input.decode(&head[mark..], false);
        Ok(input)
    }

    /// The text that is here and not consumed.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.start..]
    }

    /// Bytes that came from the source.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// Bytes of text that were consumed.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Says that a new piece begins.
    pub(super) fn begin_piece(&mut self) {
        self.allowance = MAX_PIECE_BYTES;
    }

    /// Whether the parser stopped because a piece is too long. Forgets it.
    pub(super) fn take_over(&mut self) -> bool {
        std::mem::take(&mut self.is_over)
    }

    /// The error of the source that stopped the parser.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Consumes one character, so that a parser that makes no progress does.
    pub(super) fn skip_character(&mut self) {
        let bytes = self.rest().chars().next().map_or(0, char::len_utf8);
        self.start += bytes;
        self.consumed += bytes as u64;
    }

    /// Replaces `line` by the next line, without its end. False: there is none. Of a line that is too long the end
    /// is left out.
    pub(super) fn line(&mut self, line: &mut String) -> io::Result<bool> {
        line.clear();
        loop {
            if self.rest().is_empty() && !self.fill()? {
                return Ok(!line.is_empty());
            }
            let rest = self.rest();
            let end = memchr2(b'\n', b'\r', rest.as_bytes());
            let piece = &rest[..end.unwrap_or(rest.len())];
            if line.len() + piece.len() <= MAX_PIECE_BYTES {
                line.push_str(piece);
            }
            let bytes = piece.len() + usize::from(end.is_some());
            self.start += bytes;
            self.consumed += bytes as u64;
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// Reads more text once all is consumed. False: there is no more.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        while self.rest().is_empty() && !self.is_ended {
            self.text.clear();
            self.start = 0;
            let mut chunk = std::mem::take(&mut self.chunk);
            let read = read_some(&mut self.source, &mut chunk);
            if let Ok(bytes) = &read {
                self.bytes += *bytes as u64;
                self.is_ended = *bytes == 0;
                self.decode(&chunk[..*bytes], *bytes == 0);
            }
            self.chunk = chunk;
            read?;
        }
        Ok(!self.rest().is_empty())
    }

    fn decode(&mut self, bytes: &[u8], is_last: bool) {
        let room = self.decoder.max_utf8_buffer_length(bytes.len());
        self.text.reserve(room.unwrap_or(bytes.len() * 3 + 16));
        // What is no text becomes a replacement character.
        let (result, ..) = self.decoder.decode_to_string(bytes, &mut self.text, is_last);
        debug_assert!(matches!(result, CoderResult::InputEmpty), "there is room for all of it");
    }
}

fn read_some(source: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl<R: Read> BufRead for TextInput<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.allowance == 0 {
            self.is_over = true;
            return Err(io::Error::other("a piece of the document is too long"));
        }
        if let Err(error) = self.fill() {
            self.failure = Some(error);
            return Err(io::Error::other("the source failed"));
        }
        Ok(self.rest().as_bytes())
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.consumed += bytes as u64;
        self.allowance = self.allowance.saturating_sub(bytes);
    }
}

impl<R: Read> Read for TextInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let read = available.len().min(buffer.len());
        buffer[..read].copy_from_slice(&available[..read]);
        self.consume(read);
        Ok(read)
    }
}

/// The encoding that a document without a byte order mark shows or declares; UTF-8 otherwise.
fn declared(head: &[u8]) -> &'static Encoding {
    match head {
        [b'<', 0, ..] => return UTF_16LE,
        [0, b'<', ..] => return UTF_16BE,
        _ => {}
    }
    let text = head.trim_ascii_start();
    let end = memmem::find(text, b"?>").unwrap_or(text.len());
    let declaration = &text[..end];
    if !declaration.starts_with(b"<?xml") {
        return UTF_8;
    }
    let Some(at) = memmem::find(declaration, b"encoding") else { return UTF_8 };
    let label = declaration[at..].split(|byte| matches!(byte, b'"' | b'\'')).nth(1);
    let encoding = label.and_then(Encoding::for_label).unwrap_or(UTF_8);
    // It was read as ASCII, so it is none of those.
    if encoding.is_ascii_compatible() { encoding } else { UTF_8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        TextInput::open(bytes).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn encodings_are_found_by_marks_declarations_and_nuls() {
        assert_eq!(decoded(b"\xef\xbb\xbfabc"), "abc");
        let latin = b"<?xml version='1.0' encoding=\"iso-8859-1\"?>\xe9";
        assert!(decoded(latin).ends_with('\u{e9}'));
        assert_eq!(decoded(b"<\0a\0"), "<a");
        assert_eq!(decoded(b"\xfe\xff\0<\0a"), "<a");
        assert_eq!(decoded("<a>\u{30c4}".as_bytes()), "<a>\u{30c4}");
    }

    #[test]
    fn lines_end_in_any_way() {
        let mut input = TextInput::open(&b"a\r\nb\rc"[..]).unwrap();
        let (mut line, mut lines) = (String::new(), Vec::new());
        while input.line(&mut line).unwrap() {
            lines.push(line.clone());
        }
        assert_eq!(lines, ["a", "", "b", "c"]);
    }
}
