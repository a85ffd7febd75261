//! Reads a sample as a source of some format: once for its fields, and once as the pipe that was made of them.

use super::fields::Fields;
use super::keys::Keys;
use super::places;
use super::sample::Sample;
use super::shape::{self, Cut};
use crate::diagnostics::Warning;
use crate::error::FeedError;
use crate::number::without_point_zero;
use crate::presets::{Layout, Preset};
use crate::profile::Profile;
use crate::reader::{Change, Completeness, FeedReader, Hints, Step};
use crate::settings::Settings;
use feedfleet_config::{
    Compression, Format, From as MapFrom, Location, MapEntry, Pipe, Quoting, Source, SourceLimits,
    Target, TextKind, Transform,
};
use feedfleet_model::report::Diagnostics;
use feedfleet_model::{Row, columns};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Bytes that a record may have here.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// What a sample's text looks like.
pub(super) struct Guess {
    pub(super) kind: TextKind,
    /// Of delimited text.
    pub(super) cut: Option<Cut>,
    /// Of XML: the element that is one product.
    pub(super) item: Option<String>,
    /// Of JSON: the arrays of objects, the one with the most in it first.
    pub(super) arrays: Vec<String>,
    /// Whether the sample is all of its file.
    is_whole: bool,
}

impl Guess {
    pub(super) fn of(kind: TextKind, sample: &Sample) -> Self {
        let text = sample.text();
        Self {
            kind,
            cut: (kind == TextKind::Delimited).then(|| shape::cut(text, sample.is_whole_file)),
            item: (kind == TextKind::Xml).then(|| places::item(text)).flatten(),
            arrays: if kind == TextKind::Json { places::arrays(text) } else { Vec::new() },
            is_whole: sample.is_whole_file,
        }
    }

    /// The format by hand.
    pub(super) fn by_hand(&self) -> Format {
        match self.kind {
            TextKind::Xml => Format::Xml,
            TextKind::Json => Format::Json,
            TextKind::JsonLines => Format::JsonLines,
            TextKind::Tagged => Format::NaverEpLegacy,
            TextKind::Delimited if self.cut.is_some_and(|cut| cut.delimiter == b'\t') => {
                Format::Tsv
            }
            TextKind::Delimited => Format::Csv,
        }
    }

    /// The delimiter, where a pipe of this preset, or of none, has to name it.
    pub(super) fn set_delimiter(&self, preset: Option<&Preset>) -> Option<u8> {
        let cut = self.cut?;
        let is_usual = match preset.map(|preset| preset.layout) {
            // Cells by place are cut in one way only.
            Some(Layout::Delimited { frame: Some(_), .. }) => true,
            Some(Layout::Delimited { delimiters, .. }) => delimiters.contains(&cut.delimiter),
            _ => matches!(cut.delimiter, b',' | b'\t'),
        };
        (!is_usual && cut.columns > 1).then_some(cut.delimiter)
    }

    /// The way of quoting, where a pipe of this preset, or of none, has to name it.
    pub(super) fn set_quoting(&self, preset: Option<&Preset>) -> Option<Quoting> {
        let cut = self.cut.filter(|cut| cut.has_quotes)?;
        let usual = match preset.map(|preset| preset.layout) {
            Some(Layout::Delimited { frame: Some(_), .. }) => return None,
            Some(Layout::Delimited { quoting: false, .. }) if cut.delimiter != b',' => Quoting::Off,
            _ => Quoting::Doubled,
        };
        (cut.quoting != usual).then_some(cut.quoting)
    }

    /// The array of products, where a pipe has to name it.
    pub(super) fn set_items(&self, preset: Option<&Preset>) -> Option<String> {
        let first = self.arrays.first().filter(|_| preset.is_none())?;
        // Others may come behind the sample.
        let is_one_of_several = self.arrays.len() > 1 || (!self.is_whole && !first.is_empty());
        is_one_of_several.then(|| first.clone())
    }
}

/// A source of the sample's text, of a preset or by hand.
pub(super) fn source_of(preset: Option<&Preset>, guess: &Guess, location: &Location) -> Source {
    Source {
        location: location.clone(),
        headers: Vec::new(),
        format: preset.map_or(guess.by_hand(), |preset| preset.format),
        compression: Compression::None,
        encoding: Some("utf-8".to_owned()),
        delimiter: guess.set_delimiter(preset),
        quoting: guess.set_quoting(preset),
        item: guess.item.clone().filter(|_| preset.is_none()),
        items: guess.set_items(preset),
        key: Vec::new(),
        group: None,
        currency: None,
        changes_only: false,
        limits: SourceLimits {
            max_bytes: u64::MAX,
            max_inflated_bytes: u64::MAX,
            max_record_bytes: MAX_RECORD_BYTES,
            max_time: Duration::from_secs(60),
        },
    }
}

/// What a sample's records are like.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) fields: Fields,
    pub(super) keys: Keys,
}

impl Survey {
    /// Reads up to so many records, whatever their id.
    pub(super) fn take(sample: &Sample, source: &Source, records: u64) -> Result<Self, FeedError> {
        let id = MapEntry {
            target: Target::Column(columns::ID),
            from: MapFrom::Constant("-".to_owned()),
            transform: Transform::ByColumn,
            lookup: None,
            line: 0,
        };
        let settings = Settings::from_source(source, &[id])?;
        let mut reader = FeedReader::open(sample.input(), &settings, Hints::default())?;
        let mut survey = Self::default();
        let mut row = Row::new();
        while survey.fields.records < records {
            match reader.next(&mut row) {
                Ok(Step::Row(_)) => survey.add(&reader),
                // With a value that can't be read, its fields can be told all the same.
                Ok(Step::Refused(_)) if !reader.record().0.is_empty() => survey.add(&reader),
                Ok(Step::Refused(_) | Step::Known) => {}
                Ok(Step::End) => break,
                Err(_) if survey.fields.records > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(survey)
    }

    fn add(&mut self, reader: &FeedReader) {
        let (record, names) = reader.record();
        self.fields.add(record, names);
        self.keys.add(record, names);
    }
}

/// What a sample is as a pipe.
pub(super) struct Trial {
    pub(super) diagnostics: Diagnostics,
    /// Rows with the id of another row that says something else.
    pub(super) lost: u64,
    pub(super) refused: BTreeMap<&'static str, (u64, String)>,
    pub(super) warnings: Vec<Warning>,
    /// Why it can't be read to its end.
    pub(super) error: Option<String>,
    /// What shows that the sample, which is all of its file, ends too early.
    pub(super) cut: Option<String>,
    /// Ids that are whole numbers with a point, and the first of them.
    pub(super) pointed_ids: (u64, Option<String>),
}

impl Trial {
    /// Reads the sample as a pipe would.
    pub(super) fn run(sample: &Sample, pipe: &Pipe) -> Result<Self, FeedError> {
        let settings = Settings::of(pipe)?;
        let mut reader = FeedReader::open(sample.input(), &settings, Hints::default())?;
        let mut profile = Profile::of(pipe.source.format);
        let mut ids: HashMap<String, u128> = HashMap::new();
        let (mut lost, mut error) = (0, None);
        let mut refused: BTreeMap<&'static str, (u64, String)> = BTreeMap::new();
        let mut pointed_ids: (u64, Option<String>) = (0, None);
        let (mut row, mut scratch) = (Row::new(), Vec::new());
        loop {
            match reader.next(&mut row) {
                Ok(Step::Row(Change::Upsert)) => {
                    profile.add(&row);
                    if without_point_zero(row.id()).is_some() {
                        pointed_ids.0 += 1;
                        pointed_ids.1.get_or_insert_with(|| row.id().to_owned());
                    }
                    let content = row.content_hash(&mut scratch);
                    match ids.get(row.id()) {
                        Some(known) => lost += u64::from(*known != content),
                        None => {
                            ids.insert(row.id().to_owned(), content);
                        }
                    }
                }
                Ok(Step::Row(Change::Delete) | Step::Known) => {}
                Ok(Step::Refused(refusal)) => {
                    let told = format!("{}: {}", refusal.position, refusal.message);
                    refused.entry(refusal.reason.name()).or_insert((0, told)).0 += 1;
                }
                Ok(Step::End) => break,
                Err(FeedError::Truncated { .. }) if !sample.is_whole_file => break,
                Err(e) => {
                    error = Some(e.to_string());
                    break;
                }
            }
        }
        let cut = match reader.completeness() {
            Completeness::Truncated(why) if sample.is_whole_file => Some(why),
            _ => None,
        };
        let diagnostics = profile.finish(pipe.source.currency.as_deref());
        let warnings = reader.take_warnings();
        Ok(Self { diagnostics, lost, refused, warnings, error, cut, pointed_ids })
    }
}
