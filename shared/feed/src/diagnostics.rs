//! What is told about items: those refused, and those kept without one of their fields.

use std::collections::BTreeMap;
use std::fmt;

/// Characters of a value that a diagnostic shows.
const SHOWN_CHARS: usize = 200;
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
    /// Feed: a field that the format requires is absent from the header.
    MissingField,
}

impl RefusalReason {
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
            Self::MissingField => "missing-field",
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
    /// The item's number, from 1; refused ones count. 0 is the feed's head.
    pub record: u64,
    /// The line it begins on, from 1, where the format has lines.
    pub line: Option<u64>,
    /// The byte it begins at, from 0, in the decompressed text as UTF-8.
    pub byte: Option<u64>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// The value that is to blame, cut to 200 characters.
    pub value: Option<String>,
    /// What is wrong, in plain words.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(reason: RefusalReason, at: Position, message: impl Into<String>) -> Self {
        Self { reason, position: at, field: None, value: None, message: message.into() }
    }

    pub(crate) fn in_field(mut self, field: &str, value: &str) -> Self {
        self.field = Some(field.to_owned());
        self.value = (!value.is_empty()).then(|| value.chars().take(SHOWN_CHARS).collect());
        self
    }
}

/// Fields that were left empty for one reason; their items go on without them.
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
        let warning = self.pending.entry(reason).or_insert_with(|| Warning {
            reason,
            count: 0,
            samples: Vec::new(),
        });
        warning.count += 1;
        self.total += 1;
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
    fn values_are_cut_at_characters() {
        let long = "가".repeat(300);
        let refusal = Refusal::new(RefusalReason::BadPrice, Position::default(), "x");
        let refusal = refusal.in_field("price", &long);
        assert_eq!(refusal.value.map(|value| value.chars().count()), Some(200));
    }
}
