//! The beginning of a source as text: what is enough to tell what it is.

use crate::bytes::{Bytes, CutOff};
use crate::charset;
use crate::encoding::{EncodingHints, TextReader};
use crate::error::FeedError;
use crate::reader::Hints;
use crate::zip::MAX_OTHERS;
use feedfleet_config::Compression;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

/// Bytes of text that are looked at.
const SAMPLE_BYTES: usize = 4 << 20;
/// Bytes that a source may have; only the first of them are read.
const MAX_INFLATED_BYTES: u64 = 1 << 50;

/// The beginning of a source.
pub(super) struct Sample {
    text: Arc<str>,
    /// Whether it is all of it.
    pub(super) is_whole: bool,
    /// Whether it is all of the file that it is of: an archive may have further ones.
    pub(super) is_whole_file: bool,
    /// Why the source ended early, if it did.
    pub(super) cut: Option<String>,
    /// Compressions, outermost first.
    pub(super) layers: Vec<Compression>,
    pub(super) encoding: &'static str,
    pub(super) wrong_label: Option<&'static str>,
    pub(super) broken_characters: u64,
    pub(super) control_characters: u64,
    /// Further files of an archive that may be parts of the feed, by their names.
    pub(super) parts: Vec<String>,
    /// Further files of an archive that are not read.
    pub(super) others: Vec<String>,
}

impl Sample {
    /// Reads as much as is needed. `domain` is the source's top-level domain, where it has one that is a help in
    /// telling encodings apart.
    pub(super) fn take(
        input: Box<dyn Read + Send>,
        hints: &Hints,
        domain: Option<&'static [u8]>,
    ) -> Result<Self, FeedError> {
        let bytes = Bytes::open(input, Compression::Auto, MAX_INFLATED_BYTES)?;
        let hints = EncodingHints {
            setting: None,
            content_type: hints.content_type.as_deref().and_then(charset::content_type),
            is_xml: true,
            top_level_domain: domain,
        };
        let mut reader = TextReader::open(bytes, hints)?;
        let mut text = String::new();
        let mut is_whole = true;
        while reader.fill(&mut text)? {
            if text.len() >= SAMPLE_BYTES {
                is_whole = false;
                break;
            }
        }
        let (encoding, wrong_label) = (reader.encoding(), reader.wrong_label());
        let (broken_characters, control_characters) = (reader.replaced().0, reader.removed().0);
        let is_whole_file = is_whole && reader.bytes().end().cut.is_none();
        let mut parts = Vec::new();
        if is_whole {
            // Which other files an archive has is known at its end alone.
            let mut passed_over = String::new();
            while let Some(name) = reader.next_file()? {
                is_whole = false;
                if parts.len() < MAX_OTHERS {
                    parts.push(name);
                }
                while reader.fill(&mut passed_over)? {
                    passed_over.clear();
                }
            }
        }
        let end = reader.bytes().end();
        Ok(Self {
            text: text.into(),
            is_whole: is_whole && end.cut.is_none(),
            is_whole_file,
            cut: end.cut.clone(),
            layers: end.layers.clone(),
            encoding,
            wrong_label,
            broken_characters,
            control_characters,
            parts,
            others: end.others.clone(),
        })
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The same as a source of its own, which says that it is cut off where it is.
    pub(super) fn input(&self) -> Box<dyn Read + Send> {
        let bytes: Arc<[u8]> = self.text.clone().into();
        let text = Cursor::new(bytes);
        if self.is_whole_file { Box::new(text) } else { Box::new(text.chain(Cut)) }
    }
}

/// The end of a sample.
struct Cut;

impl Read for Cut {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(CutOff("the sample ends here".to_owned())))
    }
}
