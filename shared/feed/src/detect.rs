//! What a source that nobody knows is: from its first megabytes, everything that a pipe has to say of it, and what is
//! wrong with it. Nothing is decided here that the pipe's file does not say in the end.

mod advice;
mod fields;
mod judge;
mod keys;
mod mapping;
mod places;
mod ranking;
mod sample;
mod shape;
mod site;
mod survey;
mod synonyms;
mod toml;

pub use advice::advise_on_key;
pub use site::Page;

use crate::error::FeedError;
use crate::presets::{ChangeField, Layout, Preset};
use crate::reader::Hints;
use feedfleet_config::{Compression, Location, Quoting, Source, TextKind};
use sample::Sample;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Read;
use survey::{Guess, Survey, Trial, source_of};

/// Records of a sample that are looked at.
const RECORDS: u64 = 20_000;
/// Names that a message lists.
const LISTED: usize = 30;

/// What is at an address.
#[derive(Debug, Clone)]
pub enum Seen {
    /// A source of products.
    Source(Box<Detected>),
    /// A web page.
    Page(Page),
}

/// What a source was found to be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Detected {
    /// The compressions, outermost first.
    pub compression: Vec<&'static str>,
    /// The character encoding's WHATWG name.
    pub encoding: &'static str,
    /// The encoding that a declaration or the HTTP header names, where the bytes contradict it.
    pub wrong_encoding_label: Option<&'static str>,
    /// Whether the whole source was looked at, or its beginning.
    pub is_whole: bool,
    /// Whether it comes in pages, of which one was looked at.
    pub is_paged: bool,
    /// Records that were looked at.
    pub records: u64,
    /// The format's name.
    pub format: &'static str,
    /// The preset that the format is, where it is one.
    pub preset: Option<Match>,
    /// Another preset that fits as well.
    pub runner_up: Option<Match>,
    /// What stands between cells, of delimited text.
    pub delimiter: Option<String>,
    /// What quotes mean, of delimited text: `off`, `doubled` or `backslash`.
    pub quoting: Option<&'static str>,
    /// The element that is one product, of XML.
    pub item: Option<String>,
    /// Where the array of products is, of JSON.
    pub items: Option<String>,
    /// Whether it names only what changed.
    pub changes_only: bool,
    /// The source's fields.
    pub fields: Vec<FieldFacts>,
    /// The proposed lines of `[map]`; for presets, those that say otherwise.
    pub map: Vec<MapLine>,
    /// Fields that fill no column.
    pub unmapped: Vec<String>,
    /// The share of the products that have a value of a column, by column.
    pub coverage: BTreeMap<String, f64>,
    /// Products by the currency of their price.
    pub currencies: BTreeMap<String, u64>,
    /// What makes a product's id.
    pub key: KeyFacts,
    /// What is wrong, or may be.
    pub warnings: Vec<String>,
    #[serde(skip)]
    set_delimiter: Option<String>,
    #[serde(skip)]
    set_quoting: Option<&'static str>,
    #[serde(skip)]
    set_item: Option<String>,
    #[serde(skip)]
    set_items: Option<String>,
    #[serde(skip)]
    set_key: Vec<String>,
    #[serde(skip)]
    lacks_currency: bool,
}

/// How well a preset fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// Its format's name.
    pub format: &'static str,
    /// Of the fields it requires, how many there are.
    pub required_found: usize,
    /// Fields it requires.
    pub required: usize,
    /// The share of the source's fields that it knows, from 0 to 1.
    pub known_fields: f64,
}

/// One field of a source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldFacts {
    /// Its name.
    pub name: String,
    /// The share of the records with a value, from 0 to 1.
    pub coverage: f64,
}

/// A proposed line of `[map]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MapLine {
    /// The column, or `category`.
    pub column: String,
    /// The field that fills it.
    pub field: String,
    /// The line's value, as TOML.
    pub value: String,
}

/// What makes a product's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyFacts {
    /// The fields that usually do.
    pub usual: Vec<String>,
    /// Records that would be lost with them: without an id, or with that of another one.
    pub lost: u64,
    /// Fields of which no two records have the same, where the usual ones are not enough; empty: none were found.
    pub better: Vec<String>,
}

impl Detected {
    /// The file of a pipe that reads the source, commented. `url` stands in it as it is given.
    pub fn to_toml(&self, url: &str) -> String {
        let url = url.replace('\\', "\\\\").replace('"', "\\\"");
        self.to_toml_at(&format!("url = \"{url}\"\n"))
    }

    /// As [`Detected::to_toml`], of a source of which these lines, each with its end, say where it is and who asks.
    pub fn to_toml_at(&self, place: &str) -> String {
        toml::write(self, place)
    }

    fn coverage_of(&self, line: &MapLine) -> Option<f64> {
        let column = if line.column == "category" { "product_type" } else { &line.column };
        let share = self.coverage.get(column).copied().unwrap_or_default();
        (!self.coverage.is_empty()).then_some(share)
    }
}

/// Looks at the beginning of a source. `location` is where it is: some formats need it.
///
/// # Errors
///
/// [`FeedError::NotAFeed`] when it is a web page, or nothing, or has no products that can be told apart from the rest;
/// and whatever reading the first bytes may give.
pub fn detect(
    input: Box<dyn Read + Send>,
    hints: &Hints,
    location: &Location,
) -> Result<Detected, FeedError> {
    match look(input, hints, location)? {
        Seen::Source(found) => Ok(*found),
        Seen::Page(_) => Err(web_page()),
    }
}

/// As [`detect`], but a web page at an address is no error: its site may be one to crawl.
///
/// # Errors
///
/// As [`detect`].
pub fn look(
    input: Box<dyn Read + Send>,
    hints: &Hints,
    location: &Location,
) -> Result<Seen, FeedError> {
    let sample = Sample::take(input, hints, domain(location))?;
    if sample.text().trim().is_empty() {
        return Err(match &sample.cut {
            Some(why) => FeedError::Truncated { message: why.clone() },
            None => FeedError::not_a_feed("the source sent nothing"),
        });
    }
    let kind = shape::kind(sample.text()).map(|kind| match kind {
        // A list without products is an object on a line, too.
        TextKind::JsonLines if is_list_of_products(location) => TextKind::Json,
        kind => kind,
    });
    let Some(kind) = kind else {
        return match location {
            Location::Http(_) => Ok(Seen::Page(Page::of(sample.text()))),
            _ => Err(web_page()),
        };
    };
    let guess = Guess::of(kind, &sample);
    if kind == TextKind::Xml && guess.item.is_none() {
        return Err(FeedError::not_a_feed("no element of this XML repeats itself as products do"));
    }
    let ranked = ranking::rank(&sample, &guess, location);
    let chosen = ranked.first();
    let preset = chosen.map(|ranked| ranked.preset);
    let mut source = source_of(preset, &guess, location);
    let mut survey = Survey::take(&sample, &source, RECORDS)?;
    if let Some(changes) =
        preset.and_then(|preset| survey_changes(&sample, &source, preset, &survey))
    {
        (source.changes_only, survey) = (true, changes);
    }
    if survey.fields.records == 0 {
        return Err(FeedError::not_a_feed("there is no record in it"));
    }

    let is_paged = matches!(location, Location::Http(_))
        && preset.is_some_and(|p| matches!(p.layout, Layout::Json { paging: Some(_), .. }));
    let mut found = Detected {
        compression: sample.layers.iter().map(|layer| compression_name(*layer)).collect(),
        encoding: sample.encoding,
        wrong_encoding_label: sample.wrong_label,
        is_whole: sample.is_whole && !is_paged,
        is_paged,
        records: survey.fields.records,
        format: source.format.name(),
        preset: chosen.map(|ranked| ranked.found.clone()),
        runner_up: ranking::runner_up(&ranked).map(|ranked| ranked.found.clone()),
        delimiter: guess.cut.map(|cut| delimiter_name(cut.delimiter)),
        quoting: guess.cut.map(|cut| quoting_name(cut.quoting)),
        item: guess.item.clone().filter(|_| preset.is_none()),
        items: guess.arrays.first().cloned(),
        fields: survey.fields.list.iter().map(|field| field_facts(&survey, field)).collect(),
        changes_only: source.changes_only,
        set_delimiter: source.delimiter.map(delimiter_name),
        set_quoting: source.quoting.map(quoting_name),
        set_item: source.item.clone(),
        set_items: source.items.clone(),
        ..Detected::default()
    };
    match preset {
        Some(preset) => {
            found.key.usual = preset_key(preset, &survey);
            found.tell_required(preset, &survey);
            found.propose_decimal(preset, &survey);
            found.propose_currencies(preset, &survey);
            found.tell_changes(preset, &survey);
        }
        None => found.propose_map(&survey),
    }
    found.choose_key(&survey);

    let mut trial = Trial::run(&sample, &found.pipe(location)?)?;
    let without_id = trial.refused.get("missing-id").map_or(0, |(count, _)| *count);
    if found.key.lost == 0 && trial.lost + without_id > 0 {
        // An id is made of several fields, or not of what its field holds alone.
        found.key.lost = trial.lost + without_id;
        found.key.better = survey.keys.unique(&found.key.usual);
        found.warn_of_key(&survey);
        if !found.loses_few(&survey) {
            found.set_key = found.key.better.clone();
        }
        if !found.set_key.is_empty() {
            trial = Trial::run(&sample, &found.pipe(location)?)?;
        }
    }
    found.tell_sample(&sample, &survey);
    found.tell_trial(trial);
    found.tell_other_currencies(preset, &survey);
    Ok(Seen::Source(Box::new(found)))
}

fn web_page() -> FeedError {
    let message =
        "the source sent a web page; a site is crawled with kind = \"site\" under [source]";
    FeedError::not_a_feed(message)
}

fn field_facts(survey: &Survey, field: &fields::Field) -> FieldFacts {
    FieldFacts { name: field.name.clone(), coverage: survey.fields.coverage(field) }
}

/// What a source is like that names only what changed, by a cell at the end of each line, if it is one.
fn survey_changes(
    sample: &Sample,
    source: &Source,
    preset: &Preset,
    whole: &Survey,
) -> Option<Survey> {
    let Layout::Delimited { frame: Some(_), .. } = preset.layout else { return None };
    let source = Source { changes_only: true, ..source.clone() };
    let survey = Survey::take(sample, &source, RECORDS).ok()?;
    let says_so = |change: &ChangeField| {
        let is_word = |word: &String| {
            change.upserts.contains(&word.as_str()) || change.deletes.contains(&word.as_str())
        };
        survey.fields.list.iter().any(|field| {
            change.names.contains(&field.name.as_str())
                && field.filled == survey.fields.records
                && field.words.as_ref().is_some_and(|words| words.iter().all(is_word))
        })
    };
    let is_same = survey.fields.records == whole.fields.records;
    let is_so = is_same && preset.changes.iter().any(says_so);
    is_so.then_some(survey)
}

/// The fields of the source that make a preset's id.
fn preset_key(preset: &Preset, survey: &Survey) -> Vec<String> {
    if !preset.key.is_empty() {
        let parts = preset.key.iter().flat_map(|part| part.names.iter());
        return survey.keys.present(&parts.map(|name| (*name).to_owned()).collect::<Vec<_>>());
    }
    let names = preset.field_of("id").map_or(&[][..], |field| field.names);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut present = survey.keys.present(&names);
    // The first that is there is the one.
    present.truncate(1);
    present
}

/// Whether an address is the one at which a Shopify shop lists its products.
fn is_list_of_products(location: &Location) -> bool {
    let Location::Http(address) = location else { return false };
    let path = address.expose().split(['?', '#']).next();
    path.is_some_and(|path| path.ends_with("/products.json"))
}

/// The top-level domain, where that is a help in telling encodings apart.
fn domain(location: &Location) -> Option<&'static [u8]> {
    let Location::Http(address) = location else { return None };
    let (_, rest) = address.expose().split_once("://")?;
    let host = rest.split(['/', '?', '#', ':']).next()?;
    let domains: [(&str, &'static [u8]); 4] =
        [(".kr", b"kr"), (".jp", b"jp"), (".cn", b"cn"), (".tw", b"tw")];
    domains.into_iter().find(|(end, _)| host.ends_with(end)).map(|(_, domain)| domain)
}

fn delimiter_name(delimiter: u8) -> String {
    if delimiter == b'\t' { "tab".to_owned() } else { char::from(delimiter).to_string() }
}

const fn quoting_name(quoting: Quoting) -> &'static str {
    match quoting {
        Quoting::Off => "off",
        Quoting::Doubled => "doubled",
        Quoting::Backslash => "backslash",
    }
}

const fn compression_name(compression: Compression) -> &'static str {
    match compression {
        Compression::Auto | Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::Zip => "zip",
    }
}

#[cfg(test)]
mod tests;
