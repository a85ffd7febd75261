//! Which preset a source is likely to be of.

use super::Match;
use super::fields::Field;
use super::sample::Sample;
use super::survey::{Guess, Survey, source_of};
use crate::header::plain;
use crate::merge::misspelt;
use crate::presets::{Hint, Layout, Preset, Signs, all};
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
    /// Whether something of the source tells the preset from others with the same names.
    has_sign: bool,
    /// Whether that is something that no other has: no name that anybody may use, and not what hints add up to.
    is_sure: bool,
    /// Whether something does so that others may have, too, and that is not enough.
    has_hint: bool,
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
        let Some(mut one) = judge(preset, &survey) else { continue };
        if let Some(signs) = preset.signs {
            one.is_sure = shows(signs, &survey);
            one.has_sign = one.is_sure || has_one(signs.common_fields, &survey);
            if !one.is_sure
                && let Ok(whole) = Survey::take(sample, &source, super::RECORDS)
            {
                let hints_at_it = signs.hints.iter().any(|hint| suggests(hint, &whole));
                let is_enough = hints_at_it && may_go_by_hints(guess, &whole);
                one.is_sure = shows(signs, &whole);
                one.has_sign |= one.is_sure || is_enough || has_one(signs.common_fields, &whole);
                one.has_hint = hints_at_it && !one.has_sign;
            }
            one.weigh(&ranked);
        }
        ranked.push(one);
    }
    // Where it is of none of the formats that others took their names from, nothing but a sign tells that it is theirs.
    let has_others = ranked.iter().any(|one| one.preset.signs.is_none());
    ranked.retain(|one| has_others || one.has_sign);
    let is_usual = |one: &Ranked| has_usual_delimiter(one.preset, guess);
    // The order of the registry decides between equals.
    ranked.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(b.has_sign.cmp(&a.has_sign))
            .then(is_usual(b).cmp(&is_usual(a)))
    });
    ranked
}

impl Ranked {
    /// Compares a preset that has the names of others with those: without a sign of its own the source is of one of
    /// them, and with a hint it is as likely of this one; with a sign, it is not of what has the same fields and lacks
    /// the sign, nor, with one that no other has, of what would be as likely.
    fn weigh(&mut self, ranked: &[Ranked]) {
        for known in ranked {
            if !self.has_sign && known.preset.signs.is_none() {
                let behind = if self.has_hint { CLOSE / 2.0 } else { 2.0 * CLOSE };
                self.score = self.score.min(known.score - behind);
            }
            let is_settled = self.rules_out(known) && known.score - self.score < CLOSE;
            if is_settled || (self.has_sign && has_same_fields(known.preset, self.preset)) {
                self.score = self.score.max(known.score);
            }
        }
    }

    /// Whether the source has what another preset that it took its names from lacks.
    fn rules_out(&self, other: &Self) -> bool {
        let is_plain = other.preset.signs.is_none();
        self.is_sure && is_plain && has_names_of(self.preset, other.preset)
    }
}

/// Another one that can't be told from the first, if there is one. Those with the same fields can: by their signs, or by
/// the delimiter; and those whose names the first has, and that lack what no other than the first has.
pub(super) fn runner_up(ranked: &[Ranked]) -> Option<&Ranked> {
    let (first, others) = ranked.split_first()?;
    let is_other =
        |other: &&Ranked| !first.rules_out(other) && !has_same_fields(first.preset, other.preset);
    let second = others.iter().find(is_other)?;
    (first.score - second.score < CLOSE).then_some(second)
}

/// Whether a source has one of these signs that nobody else has.
fn shows(signs: &Signs, survey: &Survey) -> bool {
    let has_value = |field: &Field| {
        let has_word = |known: &str| {
            let mut words = field.words.iter().flatten();
            words.any(|word| word.eq_ignore_ascii_case(known))
        };
        signs.values.iter().any(|(name, words)| {
            plain(name) == plain(&field.name) && words.iter().any(|word| has_word(word))
        })
    };
    has_one(signs.fields, survey)
        || survey.fields.list.iter().filter(|field| field.filled > 0).any(has_value)
}

/// Whether a source has values of one of these fields.
fn has_one(names: &[&str], survey: &Survey) -> bool {
    survey.fields.list.iter().filter(|field| field.filled > 0).any(|field| {
        let found = plain(&field.name);
        names.iter().any(|name| plain(name) == found)
    })
}

/// Whether a source has one of a hint's values, and nothing that speaks against it.
fn suggests(hint: &Hint, survey: &Survey) -> bool {
    survey.fields.list.iter().filter(|field| plain(&field.name) == hint.field).any(|field| {
        let has = |known: &[&str]| {
            let mut words = field.words.iter().flatten();
            words.any(|word| known.iter().any(|known| word.eq_ignore_ascii_case(known)))
        };
        has(hint.words) && !has(hint.others)
    })
}

/// Whether hints decide. XML with Google's names has Google's namespace, whoever it is for; between tabs, and under names
/// with spaces in them, it is Google's text as a rule.
fn may_go_by_hints(guess: &Guess, survey: &Survey) -> bool {
    guess.cut.is_some_and(|cut| cut.delimiter != b'\t')
        && !survey.fields.list.iter().any(|field| field.name.contains(' '))
}

/// Whether the sample's cells stand between what the preset usually has.
fn has_usual_delimiter(preset: &Preset, guess: &Guess) -> bool {
    match (preset.layout, guess.cut) {
        (Layout::Delimited { delimiters, .. }, Some(cut)) => {
            delimiters.first() == Some(&cut.delimiter)
        }
        _ => false,
    }
}

fn has_same_fields(one: &Preset, other: &Preset) -> bool {
    let names = |preset: &Preset| preset.fields.iter().map(|field| field.names).collect::<Vec<_>>();
    names(one) == names(other)
}

/// Whether a preset knows all that another one asks for.
fn has_names_of(one: &Preset, other: &Preset) -> bool {
    other.required.iter().all(|names| names.iter().any(|name| one.knows(name)))
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
    // A required field whose name is misspelt is there all the same.
    let misspelt = misspelt(preset, &names).len();
    let known = names.iter().filter(|name| preset.knows(name)).count() + misspelt;
    let required = preset.required.len();
    let required_found = required - preset.missing(names.iter().copied()).count() + misspelt;
    let share =
        |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let (required_share, known_fields) =
        (share(required_found, required), share(known, names.len()));
    let is_enough = required_share >= LEAST_REQUIRED
        && (known_fields >= LEAST_KNOWN || required_found == required);
    let found = Match { format: preset.format.name(), required_found, required, known_fields };
    let score = 0.6 * required_share + 0.4 * known_fields;
    is_enough.then_some(Ranked {
        preset,
        found,
        score,
        has_sign: false,
        is_sure: false,
        has_hint: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::preset;
    use feedfleet_config::Format;

    #[test]
    fn formats_with_names_of_others() {
        let is_one =
            |one: Format, other: Format| has_names_of(preset(one).unwrap(), preset(other).unwrap());
        for one in [Format::MetaCsv, Format::MetaXml, Format::CjCsv] {
            assert!(is_one(one, Format::GoogleCsv) && is_one(one, Format::GoogleXml), "{one:?}");
            for other in [Format::NaverEp, Format::ShopifyCsv, Format::WooCommerceCsv, Format::Awin]
            {
                assert!(!is_one(one, other), "{one:?} {other:?}");
            }
        }
    }
}
