//! A source's bytes as UTF-8 text without control characters.

use crate::bytes::Bytes;
use crate::charset;
use crate::clean::{is_control, push_clean};
use crate::error::FeedError;
use crate::foreign;
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

const REPLACEMENT: char = '\u{fffd}';

/// What is known of the encoding before the first byte.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EncodingHints {
    /// The pipe's own word.
    pub(crate) setting: Option<&'static Encoding>,
    /// The HTTP header's.
    pub(crate) content_type: Option<&'static Encoding>,
    /// Whether an XML declaration may name it.
    pub(crate) is_xml: bool,
    /// The country the format comes from, for detection: a top-level domain in lower case.
    pub(crate) top_level_domain: Option<&'static [u8]>,
}

/// Decodes a source.
pub(crate) struct TextReader {
    bytes: Bytes,
    hints: EncodingHints,
    label: Option<&'static Encoding>,
    encoding: &'static Encoding,
    /// None for UTF-8.
    decoder: Option<Decoder>,
    /// Whether the encoding was seen in the bytes. Until then there was only ASCII.
    is_settled: bool,
    /// The encoding of an archive's earlier file.
    prior: Option<&'static Encoding>,
    /// The name of a label that an earlier file contradicted.
    wrong_before: Option<&'static str>,
    /// The file of an archive, from 0.
    file: u32,
    chunk: Vec<u8>,
    /// Whether `chunk` was read when the source was opened, and not decoded yet.
    is_primed: bool,
    /// The start of a character that the next chunk ends.
    carry: Vec<u8>,
    decoded: String,
    /// Bytes of text given so far of this file.
    given: u64,
    replaced: Losses,
    removed: Losses,
}

/// How many characters were lost, and where the first was: in which file of an archive, and at which byte of its text.
#[derive(Debug, Clone, Copy, Default)]
struct Losses {
    count: u64,
    first: Option<(u32, u64)>,
}

impl Losses {
    fn add(&mut self, count: u64, file: u32, place: u64) {
        self.count += count;
        self.first.get_or_insert((file, place));
    }
}

impl TextReader {
    /// Reads the first chunk and finds out the encoding, as far as it shows there. What is no text is refused.
    pub(crate) fn open(mut bytes: Bytes, hints: EncodingHints) -> Result<Self, FeedError> {
        let mut chunk = Vec::new();
        let is_primed = bytes.next_chunk(&mut chunk)?;
        let mut reader = Self {
            bytes,
            hints,
            label: None,
            encoding: UTF_8,
            decoder: None,
            is_settled: false,
            prior: None,
            wrong_before: None,
            file: 0,
            chunk,
            is_primed,
            carry: Vec::new(),
            decoded: String::new(),
            given: 0,
            replaced: Losses::default(),
            removed: Losses::default(),
        };
        foreign::check_kind(&reader.chunk)?;
        reader.begin();
        let is_of_bytes = reader.label.is_none_or(|label| label.is_ascii_compatible());
        if !reader.is_settled && is_of_bytes {
            foreign::check_text(&reader.chunk)?;
        }
        Ok(reader)
    }

    /// Finds out the encoding of the file whose first chunk is here, as far as it shows there.
    fn begin(&mut self) {
        let is_xml = self.hints.is_xml;
        let declared = if is_xml { charset::xml_declaration(&self.chunk) } else { None };
        self.label = self.hints.setting.or(declared).or(self.hints.content_type);
        if let Some((encoding, mark_bytes)) = Encoding::for_bom(&self.chunk) {
            self.chunk.drain(..mark_bytes);
            self.settle(encoding);
        } else if let Some(encoding) = charset::utf16_by_nuls(&self.chunk) {
            self.settle(encoding);
        } else if let Some(label) = self.label
            && !label.is_ascii_compatible()
            && label != UTF_16LE
            && label != UTF_16BE
        {
            // ISO-2022-JP is made of ASCII bytes: it would never show.
            self.settle(label);
        }
    }

    /// Goes on to the archive's next file, and gives its name. None: there is none, or this one has not ended.
    pub(crate) fn next_file(&mut self) -> Result<Option<String>, FeedError> {
        let Some(name) = self.bytes.next_file() else { return Ok(None) };
        self.is_primed = self.bytes.next_chunk(&mut self.chunk)?;
        self.wrong_before = self.wrong_label();
        if self.is_settled && self.encoding.is_ascii_compatible() {
            self.prior = Some(self.encoding);
        }
        self.file += 1;
        self.given = 0;
        self.is_settled = false;
        self.decoder = None;
        self.begin();
        Ok(Some(name))
    }

    fn settle(&mut self, encoding: &'static Encoding) {
        self.is_settled = true;
        self.encoding = encoding;
        if encoding != UTF_8 {
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
    }

    /// Appends the next text. False: nothing comes after it.
    pub(crate) fn fill(&mut self, out: &mut String) -> Result<bool, FeedError> {
        if self.is_primed {
            self.is_primed = false;
        } else if !self.bytes.next_chunk(&mut self.chunk)? {
            self.finish(out);
            return Ok(false);
        }
        let chunk = std::mem::take(&mut self.chunk);
        if !self.is_settled && !chunk.is_ascii() {
            let domain = self.hints.top_level_domain;
            // Parts of a feed are likely written by one program.
            self.settle(charset::decide(&chunk, self.label.or(self.prior), domain));
        }
        if self.decoder.is_some() {
            self.decode(&chunk, false, out);
        } else {
            self.push_utf8(&chunk, out);
        }
        self.chunk = chunk;
        Ok(true)
    }

    /// What is left when the bytes end.
    fn finish(&mut self, out: &mut String) {
        let is_cut = self.bytes.end().cut.is_some();
        if !std::mem::take(&mut self.carry).is_empty() && !is_cut {
            self.replace(out);
        }
        if self.decoder.is_some() {
            self.decode(&[], true, out);
            self.decoder = None;
        }
    }

    fn push_utf8(&mut self, chunk: &[u8], out: &mut String) {
        let joined;
        let mut rest = chunk;
        if !self.carry.is_empty() {
            joined = [&std::mem::take(&mut self.carry)[..], chunk].concat();
            rest = &joined;
        }
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.append(text, out);
                    return;
                }
                Err(error) => error,
            };
            let (valid, broken) = rest.split_at(error.valid_up_to());
            self.append(&String::from_utf8_lossy(valid), out);
            let Some(bytes) = error.error_len() else {
                self.carry = broken.to_vec();
                return;
            };
            self.replace(out);
            rest = &broken[bytes..];
        }
    }

    fn decode(&mut self, chunk: &[u8], is_last: bool, out: &mut String) {
        let Some(decoder) = &mut self.decoder else {
            return;
        };
        self.decoded.clear();
        let mut rest = chunk;
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(rest.len());
            self.decoded.reserve(room.unwrap_or(rest.len()).max(16));
            let (result, read) =
                decoder.decode_to_string_without_replacement(rest, &mut self.decoded, is_last);
            rest = &rest[read..];
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    self.replaced.add(1, self.file, self.given + self.decoded.len() as u64);
                    self.decoded.push(REPLACEMENT);
                }
            }
        }
        let decoded = std::mem::take(&mut self.decoded);
        self.append(&decoded, out);
        self.decoded = decoded;
    }

    /// Appends text without its control characters.
    fn append(&mut self, text: &str, out: &mut String) {
        let before = out.len();
        let removed = push_clean(text, out);
        if removed > 0 {
            let offset = text.bytes().position(is_control).unwrap_or_default();
            self.removed.add(removed, self.file, self.given + offset as u64);
        }
        self.given += (out.len() - before) as u64;
    }

    /// Appends what stands for a character that can't be decoded.
    fn replace(&mut self, out: &mut String) {
        self.replaced.add(1, self.file, self.given);
        out.push(REPLACEMENT);
        self.given += REPLACEMENT.len_utf8() as u64;
    }

    /// The source of the bytes.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The encoding's name; UTF-8 while only ASCII was seen.
    pub(crate) fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    /// The name of a label that the bytes contradict.
    pub(crate) fn wrong_label(&self) -> Option<&'static str> {
        let wrong = self.label.filter(|label| self.is_settled && *label != self.encoding);
        self.wrong_before.or(wrong.map(Encoding::name))
    }

    /// The file of an archive that the text is of, from 0.
    pub(crate) fn file(&self) -> u32 {
        self.file
    }

    /// Characters that could not be decoded, and the file and the byte of its text at which the first was.
    pub(crate) fn replaced(&self) -> (u64, Option<(u32, u64)>) {
        (self.replaced.count, self.replaced.first)
    }

    /// Control characters that were taken out, and the file and the byte of its text at which the first was.
    pub(crate) fn removed(&self) -> (u64, Option<(u32, u64)>) {
        (self.removed.count, self.removed.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::EUC_KR;
    use feedfleet_config::Compression;
    use std::io::{Cursor, Read};

    const KOREAN: EncodingHints = EncodingHints {
        setting: None,
        content_type: None,
        is_xml: false,
        top_level_domain: Some(b"kr"),
    };

    fn reader(input: impl Read + Send + 'static, hints: EncodingHints) -> TextReader {
        let bytes = Bytes::open(Box::new(input), Compression::Auto, 1 << 30).unwrap();
        TextReader::open(bytes, hints).unwrap()
    }

    fn read(data: &[u8], hints: EncodingHints) -> (String, TextReader) {
        let mut reader = reader(Cursor::new(data.to_vec()), hints);
        let mut text = String::new();
        while reader.fill(&mut text).unwrap() {}
        (text, reader)
    }

    #[test]
    fn characters_may_lie_across_chunks() {
        let text = "겨울 코트 여성용 무료배송 이벤트 상품입니다,".repeat(20_000);
        let (out, reader) = read(text.as_bytes(), EncodingHints::default());
        assert!(out == text);
        assert_eq!((reader.encoding(), reader.replaced().0), ("UTF-8", 0));
        let (legacy, _, _) = EUC_KR.encode(&text);
        let odd = [&b"x"[..], &legacy].concat();
        let (out, reader) = read(&odd, KOREAN);
        assert!(out[1..] == text);
        assert_eq!(reader.encoding(), "EUC-KR");
    }

    #[test]
    fn a_wrong_label_is_overruled_and_told() {
        let text = "상품명,겨울 코트,여성용,무료배송 이벤트";
        let (legacy, _, _) = EUC_KR.encode(text);
        let hints = EncodingHints { setting: Some(UTF_8), ..KOREAN };
        let (out, reader) = read(&legacy, hints);
        assert_eq!((out.as_str(), reader.wrong_label()), (text, Some("UTF-8")));
        let xml = format!("<?xml version=\"1.0\" encoding=\"euc-kr\"?><a>{text}</a>");
        let hints = EncodingHints { is_xml: true, ..EncodingHints::default() };
        let (out, reader) = read(xml.as_bytes(), hints);
        assert_eq!((out.as_str(), reader.wrong_label()), (xml.as_str(), Some("EUC-KR")));
    }

    #[test]
    fn the_encoding_may_show_late() {
        let (legacy, _, _) = EUC_KR.encode("겨울 코트 여성용 무료배송 이벤트 상품입니다");
        let late = [&vec![b'a'; 600_000][..], &legacy].concat();
        let (out, reader) = read(&late, KOREAN);
        assert!(out.ends_with("상품입니다"));
        assert_eq!(reader.encoding(), "EUC-KR");
    }

    #[test]
    fn marks_go_and_utf16_is_found_without_one() {
        assert_eq!(read(b"\xef\xbb\xbfid", EncodingHints::default()).0, "id");
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        assert_eq!(read(&utf16("\u{feff}id,가"), EncodingHints::default()).0, "id,가");
        let (out, reader) = read(&utf16("id,title\n1,가"), EncodingHints::default());
        assert_eq!((out.as_str(), reader.encoding()), ("id,title\n1,가", "UTF-16LE"));
    }

    #[test]
    fn what_is_lost_is_counted() {
        let (out, reader) = read("가나다라마바사\0".as_bytes(), EncodingHints::default());
        assert_eq!((out.as_str(), reader.removed()), ("가나다라마바사", (1, Some((0, 21)))));
        let broken = [&b"\xea\xb0,"[..], "가".repeat(20).as_bytes(), b"\xea"].concat();
        let (out, reader) = read(&broken, EncodingHints::default());
        assert!(out.starts_with("\u{fffd},가") && out.ends_with("가\u{fffd}"));
        assert_eq!(reader.replaced(), (2, Some((0, 0))));
    }
}
