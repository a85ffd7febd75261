//! Reads a feed, one mapped product after the other.

use crate::bytes::Bytes;
use crate::cells::JsonCells;
use crate::charset;
use crate::delimited::DelimitedReader;
use crate::diagnostics::{Position, Refusal, RefusalReason, Warning, Warnings};
use crate::encoding::{EncodingHints, TextReader};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::gather::Gather;
use crate::group::Group;
use crate::json::JsonReader;
use crate::json_lines::JsonLinesReader;
use crate::map::{Mapping, Scratch};
use crate::merge::respell;
use crate::plan::Plan;
use crate::records::{EndMark, Known, Read as Found, Records};
use crate::settings::{Settings, Shape};
use crate::tagged::TaggedReader;
use crate::window::Window;
use crate::xml::XmlReader;
use feedfleet_config::Compression;
use feedfleet_model::Row;
use feedfleet_model::hash::bytes_hash;
use std::io::Read;

/// Names of fields that a message shows.
const SHOWN_NAMES: usize = 20;
/// Bytes of text, without white space before it, by which a feed's shape is told.
const BEGINNING_BYTES: usize = 16 * 1024;
/// Characters of a wrong body that a message shows.
const SHOWN_CHARS: usize = 80;

/// What the transport knows of the source.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// The HTTP header `Content-Type`; its charset is a hint, no more.
    pub content_type: Option<String>,
}

/// What a call of [`FeedReader::next`] gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The row was filled.
    Row(Change),
    /// The record is known, and was passed over; the row's content means nothing.
    Known,
    /// An item was left out. The row has its id, where that could be read; what else it has means nothing.
    Refused(Refusal),
    /// There are no more. [`FeedReader::completeness`] says whether that is to be believed.
    End,
}

/// What a row asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Insert or update the product.
    Upsert,
    /// Remove the product; only the row's id is set.
    Delete,
}

/// Whether all of a feed was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// Something proves it: the text says what, such as the closing tag.
    Proven(String),
    /// Nothing speaks against it, and nothing proves it; the text says why.
    Unproven(String),
    /// It was cut off; the text says what shows it. The rows that were read are good.
    Truncated(String),
}

/// Counts of what was read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Items, refused ones included.
    pub records: u64,
    /// Items refused.
    pub refused: u64,
    /// Bytes as the source gave them.
    pub source_bytes: u64,
    /// Bytes after decompression.
    pub decoded_bytes: u64,
    /// The compressions found, outermost first; an inner one only once the feed has ended.
    pub compression: Vec<Compression>,
    /// The character encoding's WHATWG name.
    pub encoding: &'static str,
    /// The encoding that setting, declaration or HTTP header named, where the bytes contradict it.
    pub wrong_encoding_label: Option<&'static str>,
    /// Characters that could not be decoded.
    pub replaced_characters: u64,
    /// NUL and other control characters taken out.
    pub control_characters: u64,
    /// References such as `&lol;` that nobody knows; kept as written.
    pub unknown_references: u64,
    /// Values dropped because the feed has too many field names, or too long ones.
    pub dropped_values: u64,
    /// Of delimited text, whether the last record so far ends with its line; none where there is no record, or where
    /// the text turned out to be cut off.
    pub last_line_ends: Option<bool>,
}

/// A feed being read.
pub struct FeedReader {
    records: Records,
    names: Names,
    plan: Plan,
    group: Option<Group>,
    /// For records of which one product, or several, are made.
    gather: Option<Gather>,
    json_cells: Option<JsonCells>,
    record: Record,
    scratch: Scratch,
    warnings: Warnings,
    record_count: u64,
    refused_count: u64,
    completeness: Option<Completeness>,
    seed: u64,
    described: Vec<u8>,
}

impl FeedReader {
    /// Opens a feed: finds out compression and encoding, and reads a header if the format has one.
    ///
    /// # Errors
    ///
    /// [`FeedError::NotAFeed`] when something else came, [`FeedError::WrongFields`] when the header lacks
    /// the id, and whatever reading the first bytes may give.
    pub fn open(
        input: Box<dyn Read + Send>,
        settings: &Settings,
        hints: Hints,
    ) -> Result<Self, FeedError> {
        let bytes = Bytes::open(input, settings.compression, settings.max_inflated_bytes)?;
        let encoding = EncodingHints {
            setting: settings.encoding,
            content_type: hints.content_type.as_deref().and_then(charset::content_type),
            is_xml: matches!(settings.shape, Shape::Xml(_)),
            top_level_domain: settings.preset.and_then(|preset| preset.top_level_domain),
        };
        let mut window = Window::new(TextReader::open(bytes, encoding)?);
        see_beginning(&mut window, settings.max_record_bytes)?;
        check_start(&window, &settings.shape)?;
        let mut names = Names::default();
        let max = settings.max_record_bytes;
        let records = match &settings.shape {
            Shape::Delimited(shape) => {
                Records::Delimited(DelimitedReader::open_shape(window, shape, max, &mut names)?)
            }
            Shape::Json(shape) => Records::Json(JsonReader::new(window, shape.clone(), max)),
            Shape::Tagged(tags) => Records::Tagged(TaggedReader::new(window, tags, max)),
            Shape::JsonLines => Records::JsonLines(JsonLinesReader::new(window, max)),
            Shape::Xml(shape) => Records::Xml(Box::new(XmlReader::new(window, shape.clone(), max))),
        };
        let mut rules = settings.rules.clone();
        let respelt = match settings.preset {
            Some(preset) => respell(&mut rules, preset, &names.iter().collect::<Vec<_>>()),
            None => Vec::new(),
        };
        let mut reader = Self {
            records,
            names,
            plan: Plan::new(rules, settings.matching),
            group: settings.group.clone().map(Group::new),
            gather: Gather::of(&settings.shape, max),
            json_cells: JsonCells::of(&settings.shape),
            record: Record::default(),
            scratch: Scratch::default(),
            warnings: Warnings::default(),
            record_count: 0,
            refused_count: 0,
            completeness: None,
            seed: 0,
            described: Vec::new(),
        };
        let header = reader.names.iter().collect::<Vec<_>>().join("\0");
        reader.seed = bytes_hash(format!("{}\0{header}", settings.fingerprint).as_bytes()) as u64;
        if matches!(settings.shape, Shape::Delimited(_)) {
            reader.check_header(settings, &respelt)?;
        }
        Ok(reader)
    }

    /// A hint, where a header is one name that looks like several.
    fn other_delimiter(&self) -> String {
        let mut names = self.names.iter();
        let (Some(name), None) = (names.next(), names.next()) else { return String::new() };
        match [';', '\t', '|', ','].into_iter().find(|c| name.contains(*c)) {
            Some('\t') => "; for cells between tabs: delimiter = \"tab\" under [source]".to_owned(),
            Some(c) => format!("; for cells between '{c}': delimiter = \"{c}\" under [source]"),
            None => String::new(),
        }
    }

    /// Refuses a header without the id, and tells of other fields that the format requires. `respelt`: those that
    /// misspelt ones are taken for.
    fn check_header(
        &mut self,
        settings: &Settings,
        respelt: &[(&'static str, String)],
    ) -> Result<(), FeedError> {
        self.plan.grow(&self.names);
        let missing = self.plan.missing_for_id();
        if !missing.is_empty() {
            return Err(FeedError::wrong_fields(format!(
                "the id comes from {}, which the header does not have; it has {}{}",
                missing.join(", "),
                self.names.iter().take(SHOWN_NAMES).collect::<Vec<_>>().join(", "),
                self.other_delimiter()
            )));
        }
        if let Some(group) = &settings.group
            && self.names.find(group).is_none()
        {
            let message = format!("rows are grouped by {group}, which the header does not have");
            return Err(FeedError::wrong_fields(message));
        }
        if let Records::Delimited(delimited) = &self.records {
            // What takes all values of a field takes them from all its columns.
            let is_read =
                |name: &&str| self.names.find(name).is_none_or(|at| !self.plan.takes_all(at));
            for name in delimited.repeated().into_iter().filter(is_read) {
                let reason = RefusalReason::RepeatedField;
                self.warnings.note(reason, || {
                    let message = "several columns have this name; where one value is wanted, the first that is not \
                         empty is read";
                    Refusal::new(reason, Position::HEADER, message).in_field(name, "")
                });
            }
        }
        // What is in cells of JSON has names of its own.
        if self.json_cells.is_none() {
            let there = self.names.iter().take(SHOWN_NAMES).collect::<Vec<_>>().join(", ");
            for absent in self.plan.unbound() {
                self.warnings.note(RefusalReason::MissingField, || {
                    let message = format!("the mapping names this field; the header has {there}");
                    let at = Position::HEADER;
                    Refusal::new(RefusalReason::MissingField, at, message).in_field(absent, "")
                });
            }
        }
        let Some(preset) = settings.preset else {
            return Ok(());
        };
        let there: Vec<&str> = self.names.iter().collect();
        for missing in preset.missing(there.iter().copied()) {
            let taken = respelt.iter().find(|(field, _)| missing.contains(field));
            let taken = taken.map(|(_, name)| name.as_str());
            self.warnings.note(RefusalReason::MissingField, || {
                let message = match (missing, taken) {
                    (_, Some(_)) => {
                        "the format requires this field; this one was taken for it".to_owned()
                    }
                    ([_], None) => "the format requires this field".to_owned(),
                    (several, None) => {
                        format!("the format requires one of {}", several.join(", "))
                    }
                };
                let at = Position::HEADER;
                let refusal = Refusal::new(RefusalReason::MissingField, at, message);
                refusal.in_field(missing[0], taken.unwrap_or_default())
            });
        }
        Ok(())
    }

    /// Reads the next item into `row`.
    ///
    /// # Errors
    ///
    /// A [`FeedError`] ends the whole feed: what was read before it must not be taken for all of it.
    pub fn next(&mut self, row: &mut Row) -> Result<Step, FeedError> {
        self.next_unless(row, &mut |_| false)
    }

    /// As [`FeedReader::next`], but passes over records that `is_known` recognises by their hash, without
    /// mapping them. The hash of a record that is mapped, and all of whose fields could be read, is
    /// [`Row::source_hash`].
    ///
    /// # Errors
    ///
    /// As [`FeedReader::next`].
    pub fn next_unless(
        &mut self,
        row: &mut Row,
        is_known: &mut dyn FnMut(u128) -> bool,
    ) -> Result<Step, FeedError> {
        if self.completeness.is_some() {
            return Ok(Step::End);
        }
        self.record.clear();
        let dropped = self.names.dropped();
        let mut known = Known { seed: self.seed, ask: is_known, hash: None };
        let found = match &mut self.gather {
            Some(gather) => gather.next(&mut self.record, &mut self.records, &mut self.names)?,
            None => {
                // What a grouped record means depends on others.
                let by_text = if self.group.is_none() { Some(&mut known) } else { None };
                self.records.read(&mut self.record, &mut self.names, by_text)?
            }
        };
        let at = match found {
            Found::Record(at) => at,
            Found::Known => return Ok(self.pass_over()),
            Found::Refused(refusal) => {
                self.plan.grow(&self.names);
                let mut mapping = Mapping {
                    plan: &self.plan,
                    record: &self.record,
                    names: &self.names,
                    at: refusal.position,
                    row,
                    warnings: &mut self.warnings,
                };
                mapping.identity(&mut self.scratch);
                return Ok(self.refuse(refusal));
            }
            Found::End(mark) => {
                self.end(mark)?;
                return Ok(Step::End);
            }
        };
        let warned = self.warnings.total;
        self.note_mends(at);
        if let Some(cells) = &mut self.json_cells {
            cells.expand(&mut self.record, &mut self.names);
        }
        self.plan.grow(&self.names);
        if let Some(group) = &mut self.group {
            let plan = &self.plan;
            group.fill(&mut self.record, &self.names, |field| plan.is_identity(field));
        }
        if known.hash.is_none() {
            self.record.describe(&self.names, &mut self.described);
            if known.is_known(&self.described) {
                return Ok(self.pass_over());
            }
        }
        let hash = known.hash;
        let mut mapping = Mapping {
            plan: &self.plan,
            record: &self.record,
            names: &self.names,
            at,
            row,
            warnings: &mut self.warnings,
        };
        match mapping.run(&mut self.scratch) {
            Ok(change) => {
                self.record_count += 1;
                // A record with a field that could not be read, or that had to be mended, is mapped every
                // night, so that every night's report says so.
                let is_whole = self.warnings.total == warned && self.names.dropped() == dropped;
                row.set_source_hash(hash.filter(|_| is_whole));
                Ok(Step::Row(change))
            }
            Err(refusal) => Ok(self.refuse(refusal)),
        }
    }

    /// Tells what was mended in the record.
    fn note_mends(&mut self, at: Position) {
        for mend in self.record.mends() {
            self.warnings.note_many(mend.reason, mend.count, || {
                let refusal = Refusal::new(mend.reason, at, mend.reason.remedy());
                let refusal = refusal.in_field(&mend.field, &mend.value);
                Refusal { field: refusal.field.filter(|field| !field.is_empty()), ..refusal }
            });
        }
    }

    /// Tells what was mended in the text, and what of the source was not read.
    fn note_text(&mut self) {
        let text = self.records.window().source();
        let (removed, replaced) = (text.removed(), text.replaced());
        let taken_out = (removed.0 + self.names.removed(), removed.1);
        let others = self.records.window().others();
        for (reason, (count, first)) in [
            (RefusalReason::ControlCharacter, taken_out),
            (RefusalReason::BrokenCharacter, replaced),
        ] {
            if count > 0 {
                let (file, byte) = first.unzip();
                let at = Position { file: file.unwrap_or(0), byte, ..Position::default() };
                let sample = || Refusal::new(reason, at, reason.remedy());
                self.warnings.note_many(reason, count, sample);
            }
        }
        for name in others {
            let reason = RefusalReason::FurtherFiles;
            self.warnings.note(reason, || {
                let refusal = Refusal::new(reason, Position::default(), reason.remedy());
                Refusal { value: Some(name), ..refusal }
            });
        }
    }

    fn pass_over(&mut self) -> Step {
        self.record_count += 1;
        Step::Known
    }

    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.record_count += 1;
        self.refused_count += 1;
        Step::Refused(refusal)
    }

    /// Reads what is behind the last record, and judges.
    fn end(&mut self, mark: EndMark) -> Result<(), FeedError> {
        self.records.window_mut().drain()?;
        self.note_text();
        let others = self.records.window().others();
        let end = self.records.window().source().bytes().end();
        let cut = end.cut.clone();
        // Behind the document's end an archive may have had more of them.
        let is_archive = end.layers.contains(&Compression::Zip);
        let completeness = match (mark, cut) {
            (EndMark::Closed(what), cut) if others.is_empty() && !(is_archive && cut.is_some()) => {
                Completeness::Proven(what)
            }
            (EndMark::Cut(reason), None) => Completeness::Truncated(reason),
            (_, Some(reason)) => Completeness::Truncated(reason),
            (EndMark::Open(reason), None) if others.is_empty() => match end.proof {
                Some(proof) => Completeness::Proven(proof.to_owned()),
                None => Completeness::Unproven(reason.to_owned()),
            },
            (EndMark::Open(_) | EndMark::Closed(_), None) => Completeness::Unproven(format!(
                "the archive has further files: {}",
                others.join(", ")
            )),
        };
        if let Completeness::Truncated(reason) = &completeness
            && self.record_count == self.refused_count
        {
            return Err(FeedError::Truncated { message: reason.clone() });
        }
        self.completeness = Some(completeness);
        Ok(())
    }

    /// The record that was read last, with the names of its fields.
    pub(crate) fn record(&self) -> (&Record, &Names) {
        (&self.record, &self.names)
    }

    /// Whether all of the feed was read; before its end that is never proven.
    pub fn completeness(&self) -> Completeness {
        let unread = || Completeness::Unproven("it was not read to its end".to_owned());
        self.completeness.clone().unwrap_or_else(unread)
    }

    /// Fields left empty and what was mended since the last call: counts by reason, and the first few samples of the
    /// feed. What was mended in the text as a whole is told at its end.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        self.warnings.take()
    }

    /// The fields that lines of the pipe's own mapping name, and that no record read so far has. Where a header says
    /// which fields there are, warnings have told.
    pub fn absent_fields(&self) -> Vec<Refusal> {
        if self.has_all_in_header() {
            return Vec::new();
        }
        let told = |field: &str| {
            let message = "the mapping names this field; no record that was read has it";
            let at = Position::default();
            Refusal::new(RefusalReason::MissingField, at, message).in_field(field, "")
        };
        self.absent_names().into_iter().map(told).collect()
    }

    /// The names in lines of the pipe's own mapping that the header lacks; where it does not say which fields there are,
    /// those that no record read so far has.
    pub fn absent_names(&self) -> Vec<&str> {
        if !self.has_all_in_header() && self.record_count == 0 {
            return Vec::new();
        }
        self.plan.unbound().collect()
    }

    /// Whether a header says which fields there are.
    fn has_all_in_header(&self) -> bool {
        matches!(self.records, Records::Delimited(_)) && self.json_cells.is_none()
    }

    /// Counts of what was read so far.
    pub fn stats(&self) -> ReadStats {
        let text = self.records.window().source();
        let unknown_references = match &self.records {
            Records::Xml(reader) => reader.unknown_references(),
            Records::Delimited(_)
            | Records::Json(_)
            | Records::JsonLines(_)
            | Records::Tagged(_) => 0,
        };
        let last_line_ends = match (&self.records, &self.completeness) {
            (_, Some(Completeness::Truncated(_))) => None,
            (Records::Delimited(reader), _) => reader.last_line_ends,
            _ => None,
        };
        ReadStats {
            records: self.record_count,
            refused: self.refused_count,
            source_bytes: text.bytes().source_bytes(),
            decoded_bytes: text.bytes().decoded_bytes(),
            compression: text.bytes().end().layers.clone(),
            encoding: text.encoding(),
            wrong_encoding_label: text.wrong_label(),
            replaced_characters: text.replaced().0,
            control_characters: text.removed().0 + self.names.removed(),
            unknown_references,
            dropped_values: self.names.turned_away(),
            last_line_ends,
        }
    }
}

/// Has so much of the text in the window that it shows what it is, and what is between its cells: white space may come
/// before it. No more than a record may take.
fn see_beginning(window: &mut Window, max_record_bytes: usize) -> Result<(), FeedError> {
    window.fill()?;
    while window.rest().trim_start().len() < BEGINNING_BYTES
        && window.rest().len() <= max_record_bytes
    {
        if !window.grow()? {
            break;
        }
    }
    Ok(())
}

/// Refuses what can't be a feed of this shape.
fn check_start(window: &Window, shape: &Shape) -> Result<(), FeedError> {
    let text = window.rest().trim_start();
    let Some(first) = text.chars().next() else {
        return match window.cut() {
            Some(reason) => Err(FeedError::Truncated { message: reason.to_owned() }),
            None => Err(FeedError::not_a_feed("the source sent nothing")),
        };
    };
    let begins =
        |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins("<!doctype html") || begins("<html") {
        return Err(FeedError::not_a_feed("the source sent a web page"));
    }
    let fits = match shape {
        Shape::Xml(_) => first == '<',
        Shape::Json(_) => matches!(first, '{' | '['),
        Shape::Tagged(tags) => text.contains(tags.open),
        Shape::JsonLines => first == '{',
        Shape::Delimited(_) => first != '<',
    };
    if fits {
        return Ok(());
    }
    let expected = match shape {
        Shape::Xml(_) => "XML",
        Shape::Json(_) => "a JSON document",
        Shape::Tagged(_) => "a tagged field a line",
        Shape::JsonLines => "one JSON object a line",
        Shape::Delimited(_) => "a header line",
    };
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    Err(FeedError::not_a_feed(format!("expected {expected}; it begins with {start:?}")))
}
