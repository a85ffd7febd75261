//! What is told about items: those refused, those kept without one of their fields, and those that were mended.

use std::collections::BTreeMap;
use std::fmt;

/// Characters of a value that a diagnostic shows.
pub(crate) const SHOWN_CHARS: usize = 200;
/// Samples of one kind of warning that are kept over a whole feed.
const SAMPLES: usize = 5;

/// Why an item was refused, or why a field of it was left empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Item: no id, or a part of a composite one is empty.
    MissingId,
    /// Item: the id is longer than 255 bytes.
    IdTooLong,
    /// Item: it can't be told where its fields are.
    MalformedRecord,
    /// Item: more bytes than the pipe allows.
    RecordTooLarge,
    /// Item: elements or objects nested too deeply.
    TooDeep,
    /// Item: an element with more than 1,000 attributes.
    TooManyAttributes,
    /// Item: its main price is there, and can't be read.
    BadPrice,
    /// Item: a change that is neither insert, update nor delete.
    BadClass,
    /// Field: an amount other than the main price.
    UnparsablePrice,
    /// Field: not an ISO 4217 code.
    BadCurrency,
    /// Field: not a number, or not a whole one.
    BadNumber,
    /// Field: neither true nor false.
    BadBoolean,
    /// Field: not a date, or outside of the years 1900 to 2200.
    BadDate,
    /// Field: not an `http://` or `https://` address.
    BadLink,
    /// Field: a picture's address that is longer than pictures are fetched from. It is kept.
    LongLink,
    /// Feed: a field that the format requires, or that a line of the pipe's own mapping names, is absent from the header.
    MissingField,
    /// Mended: a quote within a quoted cell that should have been doubled, or a text behind its closing one; or one
    /// that opens a cell and that nobody closed.
    StrayQuote,
    /// Mended: a row with fewer cells than the header; those at its end count as empty.
    ShortRecord,
    /// Mended: an item that is not well-formed XML, and whose fields can be told all the same.
    MendedMarkup,
    /// Mended: a reference such as `&lol;` that nobody knows; kept as written.
    UnknownReference,
    /// Mended: an address with white space in it.
    LinkWithSpaces,
    /// Mended: a code or a whole number written as `50007257.0`.
    PointZero,
    /// Mended: a code of digits behind an apostrophe, by which spreadsheets mark text.
    TextMark,
    /// Mended: NUL and other control characters, taken out.
    ControlCharacter,
    /// Mended: characters that could not be decoded, replaced by U+FFFD.
    BrokenCharacter,
    /// Feed: several columns of the header have one name.
    RepeatedField,
    /// Feed: files of an archive behind the first, which are not read.
    FurtherFiles,
}

impl RefusalReason {
    /// Every reason.
    const ALL: [Self; 27] = [
        Self::MissingId,
        Self::IdTooLong,
        Self::MalformedRecord,
        Self::RecordTooLarge,
        Self::TooDeep,
        Self::TooManyAttributes,
        Self::BadPrice,
        Self::BadClass,
        Self::UnparsablePrice,
        Self::BadCurrency,
        Self::BadNumber,
        Self::BadBoolean,
        Self::BadDate,
        Self::BadLink,
        Self::LongLink,
        Self::MissingField,
        Self::StrayQuote,
        Self::ShortRecord,
        Self::MendedMarkup,
        Self::UnknownReference,
        Self::LinkWithSpaces,
        Self::PointZero,
        Self::TextMark,
        Self::ControlCharacter,
        Self::BrokenCharacter,
        Self::RepeatedField,
        Self::FurtherFiles,
    ];

    /// The reason of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// Whether it was mended, so that nothing is missing but what the partner meant otherwise.
    pub const fn is_mended(self) -> bool {
        matches!(
            self,
            Self::StrayQuote
                | Self::ShortRecord
                | Self::MendedMarkup
                | Self::UnknownReference
                | Self::LinkWithSpaces
                | Self::PointZero
                | Self::TextMark
                | Self::ControlCharacter
                | Self::BrokenCharacter
        )
    }

    /// Whether a field was left empty for it: other warnings are of the feed as a whole, or of a value that was kept.
    pub const fn empties_field(self) -> bool {
        matches!(
            self,
            Self::UnparsablePrice
                | Self::BadCurrency
                | Self::BadNumber
                | Self::BadBoolean
                | Self::BadDate
                | Self::BadLink
        )
    }

    /// What was done about it, for those that are mended.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::StrayQuote => {
                "a quote within the cell is not doubled, or the one that opens it is never closed; it was taken as it is"
            }
            Self::ShortRecord => "fewer cells than the header has; those missing count as empty",
            Self::MendedMarkup => "not well-formed; its fields were told all the same",
            Self::UnknownReference => "nobody knows this reference; it was kept as written",
            Self::LinkWithSpaces => "white space in an address; it was encoded or taken out",
            Self::PointZero => "a whole number with a point; what is behind it was taken out",
            Self::TextMark => "a spreadsheet's mark of text before a code; it was taken out",
            Self::ControlCharacter => "control characters were taken out, here for the first time",
            Self::BrokenCharacter => {
                "characters that can't be decoded were replaced, here for the first time"
            }
            Self::FurtherFiles => "the archive has further files, which were not read",
            _ => "",
        }
    }

    /// The name in reports and metrics, such as `missing-id`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingId => "missing-id",
            Self::IdTooLong => "id-too-long",
            Self::MalformedRecord => "malformed-record",
            Self::RecordTooLarge => "record-too-large",
            Self::TooDeep => "too-deep",
            Self::TooManyAttributes => "too-many-attributes",
            Self::BadPrice => "bad-price",
            Self::BadClass => "bad-class",
            Self::UnparsablePrice => "unparsable-price",
            Self::BadCurrency => "bad-currency",
            Self::BadNumber => "bad-number",
            Self::BadBoolean => "bad-boolean",
            Self::BadDate => "bad-date",
            Self::BadLink => "bad-link",
            Self::LongLink => "long-link",
            Self::MissingField => "missing-field",
            Self::StrayQuote => "stray-quote",
            Self::ShortRecord => "short-record",
            Self::MendedMarkup => "mended-markup",
            Self::UnknownReference => "unknown-reference",
            Self::LinkWithSpaces => "link-with-spaces",
            Self::PointZero => "point-zero",
            Self::TextMark => "text-mark",
            Self::ControlCharacter => "control-character",
            Self::BrokenCharacter => "broken-character",
            Self::RepeatedField => "repeated-field",
            Self::FurtherFiles => "further-files",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where in the feed an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The file of an archive of several, from 0; further ones count that are named as the first is.
    pub file: u32,
    /// The item's number in the feed, from 1; refused ones count. 0 is the feed's head.
    pub record: u64,
    /// The line of the file it begins on, from 1, where the format has lines.
    pub line: Option<u64>,
    /// The byte it begins at, from 0, in the file's decompressed text as UTF-8.
    pub byte: Option<u64>,
}

impl Position {
    /// The line with the names of columns.
    pub(crate) const HEADER: Self = Self { file: 0, record: 0, line: Some(1), byte: None };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file, self.record, self.byte) {
            (0, ..) => {}
            (file, 0, None) => return write!(f, "file {}", u64::from(file) + 1),
            (file, ..) => write!(f, "file {}, ", u64::from(file) + 1)?,
        }
        match (self.record, self.byte, self.line) {
            (0, Some(byte), _) => return write!(f, "byte {byte}"),
            (0, None, Some(_)) => return f.write_str("the header"),
            // Nobody noted where.
            (0, None, None) => return Ok(()),
            _ => {}
        }
        write!(f, "record {}", self.record)?;
        match (self.line, self.byte) {
            (Some(line), _) => write!(f, ", line {line}"),
            (None, Some(byte)) => write!(f, ", byte {byte}"),
            (None, None) => Ok(()),
        }
    }
}

/// An item that is left out, or a sample of what a [`Warning`] counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub reason: RefusalReason,
    /// Where it is.
    pub position: Position,
    /// The feed's field, or the column, that is to blame.
    pub field: Option<String>,
    /// The value that is to blame, or the beginning of a record whose fields can't be told, cut to 200 characters.
    pub value: Option<String>,
    /// What is wrong, in plain words.
    pub message: Box<str>,
}

impl Refusal {
    pub(crate) fn new(reason: RefusalReason, at: Position, message: impl Into<Box<str>>) -> Self {
        Self { reason, position: at, field: None, value: None, message: message.into() }
    }

    pub(crate) fn in_field(mut self, field: &str, value: &str) -> Self {
        self.field = Some(field.to_owned());
        self.showing(value)
    }

    /// With a value of no field: a record's text.
    pub(crate) fn showing(mut self, value: &str) -> Self {
        self.value = (!value.is_empty()).then(|| value.chars().take(SHOWN_CHARS).collect());
        self
    }

    /// Where it is, for people; empty where that is nowhere in the feed's text.
    pub fn place(&self) -> String {
        self.position.to_string()
    }
}

/// Fields that were left empty for one reason, whose items go on without them; or what was mended in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The reason.
    pub reason: RefusalReason,
    /// How many since warnings were last taken.
    pub count: u64,
    /// The first few of the whole feed.
    pub samples: Vec<Refusal>,
}

/// Collects warnings in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    pending: BTreeMap<RefusalReason, Warning>,
    sampled: BTreeMap<RefusalReason, usize>,
    /// Of the whole feed.
    pub(crate) total: u64,
}

impl Warnings {
    /// Counts one. `sample` is only called while samples of the reason are still wanted.
    pub(crate) fn note(&mut self, reason: RefusalReason, sample: impl FnOnce() -> Refusal) {
        self.note_many(reason, 1, sample);
    }

    /// Counts some of one place.
    pub(crate) fn note_many(
        &mut self,
        reason: RefusalReason,
        count: u64,
        sample: impl FnOnce() -> Refusal,
    ) {
        let warning = self.pending.entry(reason).or_insert_with(|| Warning {
            reason,
            count: 0,
            samples: Vec::new(),
        });
        warning.count += count;
        self.total += count;
        let sampled = self.sampled.entry(reason).or_default();
        if *sampled < SAMPLES {
            *sampled += 1;
            warning.samples.push(sample());
        }
    }

    /// What was counted since the last call.
    pub(crate) fn take(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.pending).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_when_there_are_samples_enough() {
        let mut warnings = Warnings::default();
        for _ in 0..4 {
            note(&mut warnings);
        }
        assert_eq!(warnings.take()[0].samples.len(), 4);
        for _ in 0..100 {
            note(&mut warnings);
        }
        let taken = warnings.take();
        assert_eq!((taken[0].count, taken[0].samples.len()), (100, 1));
        assert!(warnings.take().is_empty());
    }

    fn note(warnings: &mut Warnings) {
        warnings.note(RefusalReason::BadDate, || {
            Refusal::new(RefusalReason::BadDate, Position::default(), "no date")
        });
    }

    #[test]
    fn every_reason_is_known_by_its_name() {
        for reason in RefusalReason::ALL {
            assert_eq!(RefusalReason::by_name(reason.name()), Some(reason));
            assert!(!reason.is_mended() || !reason.remedy().is_empty(), "{reason}");
        }
        assert_eq!(RefusalReason::ALL.len(), RefusalReason::FurtherFiles as usize + 1);
    }

    #[test]
    fn places_without_a_record_are_bytes() {
        let at = Position { byte: Some(7), ..Position::default() };
        assert_eq!(at.to_string(), "byte 7");
        assert_eq!(Position::HEADER.to_string(), "the header");
        assert_eq!(Position::default().to_string(), "");
        let at = Position { file: 1, byte: Some(7), ..Position::default() };
        assert_eq!(at.to_string(), "file 2, byte 7");
        let at = Position { file: 1, ..Position::default() };
        assert_eq!(at.to_string(), "file 2");
        let at = Position { file: 1, record: 12, line: Some(3), byte: Some(7) };
        assert_eq!(at.to_string(), "file 2, record 12, line 3");
    }

    #[test]
    fn values_are_cut_at_characters() {
        let long = "가".repeat(300);
        let refusal = Refusal::new(RefusalReason::BadPrice, Position::default(), "x");
        let refusal = refusal.in_field("price", &long);
        assert_eq!(refusal.value.map(|value| value.chars().count()), Some(200));
    }
}
