//! Which preset a source is likely to be of.

use super::Match;
use super::sample::Sample;
use super::survey::{Guess, Survey, source_of};
use crate::presets::{Layout, Preset, all};
use feedfleet_config::{Location, TextKind};

/// Records that are read for the names of fields.
const RECORDS: u64 = 300;
/// Share of what a format requires that must be there.
const LEAST_REQUIRED: f64 = 0.75;
/// Share of the source's fields that the format must know.
const LEAST_KNOWN: f64 = 0.5;
/// Presets that are as likely as this of each other can't be told apart by their fields.
const CLOSE: f64 = 0.05;

/// A preset, and how well it fits.
pub(super) struct Ranked {
    pub(super) preset: &'static Preset,
    pub(super) found: Match,
    score: f64,
}

/// The presets that a source may be of, the likeliest first.
pub(super) fn rank(sample: &Sample, guess: &Guess, location: &Location) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = Vec::new();
    for preset in
        all().filter(|preset| preset.format.is_of_feeds() && may_be(preset, sample, guess))
    {
        let source = source_of(Some(preset), guess, location);
        // What the preset can't read is of another one.
        let Ok(survey) = Survey::take(sample, &source, RECORDS) else { continue };
        if survey.fields.records == 0 {
            continue;
        }
        if let Some(mut one) = judge(preset, &survey) {
            // Formats that share their fields differ in what they require: the one that asks for less is no likelier
            // for that.
            for known in ranked.iter().filter(|known| has_same_fields(known.preset, preset)) {
                if one.found.required_found <= known.found.required_found {
                    one.score = one.score.min(known.score - f64::EPSILON);
                }
            }
            ranked.push(one);
        }
    }
    // The order of the registry decides between equals.
    ranked.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(b.found.required_found.cmp(&a.found.required_found))
    });
    ranked
}

/// The second of two that can't be told apart.
pub(super) fn runner_up(ranked: &[Ranked]) -> Option<&Ranked> {
    let [first, second, ..] = ranked else { return None };
    (first.score - second.score < CLOSE).then_some(second)
}

fn has_same_fields(one: &Preset, other: &Preset) -> bool {
    let names = |preset: &Preset| preset.fields.iter().map(|field| field.names).collect::<Vec<_>>();
    names(one) == names(other)
}

fn may_be(preset: &Preset, sample: &Sample, guess: &Guess) -> bool {
    if preset.layout.kind() != guess.kind {
        return false;
    }
    let Layout::Delimited { delimiters, frame, .. } = preset.layout else { return true };
    let text = sample.text().trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match (frame, &guess.cut) {
        (Some(frame), _) => text
            .strip_prefix(frame.head)
            .is_some_and(|rest| rest.starts_with(char::from(delimiters[0]))),
        (None, Some(cut)) => cut.columns > 1 && delimiters.contains(&cut.delimiter),
        (None, None) => false,
    }
}

fn judge(preset: &'static Preset, survey: &Survey) -> Option<Ranked> {
    let is_xml = preset.layout.kind() == TextKind::Xml;
    // What lies below an element, and attributes, are parts of a field.
    let is_field = |name: &&str| !is_xml || !name.contains(['/', '@']);
    let names: Vec<&str> =
        survey.fields.list.iter().map(|field| field.name.as_str()).filter(is_field).collect();
    let knows = |name: &&&str| {
        let is_same = |known: &&str| crate::header::plain(known) == crate::header::plain(name);
        preset.field(name).is_some()
            || preset.key.iter().any(|part| part.names.iter().any(is_same))
            || preset.changes.iter().any(|change| change.names.iter().any(is_same))
    };
    let known = names.iter().filter(knows).count();
    let required = preset.required.len();
    let required_found = required - preset.missing(names.iter().copied()).count();
    let share =
        |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let (required_share, known_fields) =
        (share(required_found, required), share(known, names.len()));
    let is_enough = required_share >= LEAST_REQUIRED
        && (known_fields >= LEAST_KNOWN || required_found == required);
    let found = Match { format: preset.format.name(), required_found, required, known_fields };
    let score = 0.6 * required_share + 0.4 * known_fields;
    is_enough.then_some(Ranked { preset, found, score })
}
