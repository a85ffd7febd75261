//! What is proposed for a source, and what there is to say against it.

use super::fields::Field;
use super::sample::Sample;
use super::survey::{Survey, Trial};
use super::{Detected, LISTED, MapLine, mapping, shape, toml};
use crate::currency;
use crate::diagnostics::{Refusal, RefusalReason};
use crate::error::FeedError;
use crate::header::plain;
use crate::merge::misspelt;
use crate::presets::{Fill, Preset, PresetField, Take};
use feedfleet_config::{Compression, Format, Location, Pipe, parse_pipe};
use feedfleet_model::{PipeName, text};
use std::collections::BTreeMap;
use std::path::Path;

impl Detected {
    /// Proposes which field fills which column.
    pub(super) fn propose_map(&mut self, survey: &Survey) {
        self.map.extend(mapping::propose(&survey.fields).into_iter().map(map_line));
        if self.map.is_empty() {
            // Nothing has a name that says what it is; some id is needed, if only to look at the rest.
            let names = survey.fields.list.iter().map(|field| field.name.clone());
            let names = names.filter(|name| !name.trim().is_empty());
            let field = survey.keys.unique(&[]).into_iter().chain(names).next().unwrap_or_default();
            let value = toml::quoted(&field);
            self.map.push(MapLine { column: "id".to_owned(), field, value });
        }
        let id = self.map.iter().find(|line| line.column == "id");
        self.key.usual = id.map(|line| line.field.clone()).into_iter().collect();
        let is_mapped = |name: &String| self.map.iter().any(|line| line.field == *name);
        let names = survey.fields.list.iter().map(|field| &field.name);
        self.unmapped = names.filter(|name| !is_mapped(name)).take(LISTED).cloned().collect();
        for (column, what) in [("title", "title"), ("link", "address"), ("price", "price")] {
            if !self.map.iter().any(|line| line.column == column) {
                self.warnings.push(format!("no field looks like a product's {what}"));
            }
        }
    }

    /// Proposes the comma as decimal mark of amounts of which most must have it, where the format has a point: of the
    /// others, such as `12,000`, it makes a thousandth. Warns of amounts of which none tells what its mark is.
    pub(super) fn propose_decimal(&mut self, preset: &'static Preset, survey: &Survey) {
        for known in preset.fields {
            if !matches!((known.fill, known.take), (Fill::Money, Take::First)) {
                continue;
            }
            let there = fields_of(known, survey);
            let sum = |of: fn(&Field) -> u64| there.iter().map(|(_, field)| of(field)).sum::<u64>();
            let names: Vec<String> = there.iter().map(|(name, _)| toml::quoted(name)).collect();
            let from = match names.as_slice() {
                [one] => format!("field = {one}"),
                several => format!("first_of = [{}]", several.join(", ")),
            };
            let value = format!("{{ {from}, decimal = \",\" }}");
            let marked = sum(|field| field.marked);
            let open_points = sum(|field| field.open_points);
            let open_commas = sum(|field| field.open_commas);
            let are_in = |of: fn(&str) -> bool| are_beside(of, &there, preset, survey);
            let column = known.target;
            if sum(|field| field.commas) * 2 > marked && sum(|field| field.points) == 0 {
                self.warnings.push(format!(
                    "amounts in {column} have a decimal comma, and the format has a point: decimal = \",\" is proposed"
                ));
                self.map.push(MapLine {
                    column: column.to_owned(),
                    field: there.first().map_or_else(String::new, |(name, _)| (*name).to_owned()),
                    value,
                });
            } else if open_points > 0
                && open_points == marked
                && !are_in(currency::has_three_decimals)
            {
                self.warnings.push(format!(
                    "amounts in {column} with a point all have three digits behind it, and it is read as the decimal \
                     mark: 1.500 is 1.50. If it is 1500: {column} = {value} under [map]"
                ));
            } else if open_commas > 0
                && open_commas == sum(|field| field.amounts)
                && !are_in(currency::has_no_decimals)
            {
                // Beside an amount without a comma, the comma separates thousands.
                self.warnings.push(format!(
                    "amounts in {column} all have three digits behind a comma, and it is read as a separator of \
                     thousands: 1,500 is 1500. If it is 1.50: {column} = {value} under [map]"
                ));
            }
        }
    }

    /// Proposes the field that says the currency of amounts that name none, where the format looks at no such field.
    pub(super) fn propose_currencies(&mut self, preset: &'static Preset, survey: &Survey) {
        for (amount, column) in mapping::AMOUNTS {
            let known = preset.field_of(amount).filter(|known| matches!(known.fill, Fill::Money));
            let amounts = known.map_or_else(Vec::new, |known| fields_of(known, survey));
            if is_filled(preset, column, survey)
                || amounts.iter().any(|(_, field)| field.currencies > 0)
            {
                continue;
            }
            let filled = amounts.iter().filter(|(_, field)| field.filled > 0);
            let fullest = filled.max_by_key(|(_, field)| field.filled);
            let beside =
                fullest.and_then(|(_, field)| mapping::currency_beside(&survey.fields, field));
            self.map.extend(beside.map(|line| map_line(mapping::Line { column, ..line })));
        }
    }

    /// Warns of reduced, former and other prices of which some name no currency, and nothing beside them does: the sample's
    /// prices have theirs. See [`Detected::tell_trial`].
    pub(super) fn tell_other_currencies(
        &mut self,
        preset: Option<&'static Preset>,
        survey: &Survey,
    ) {
        if self.lacks_currency {
            return;
        }
        for (amount, column) in &mapping::AMOUNTS[1..] {
            let is_told = preset.is_some_and(|preset| is_filled(preset, column, survey));
            if is_told || self.map.iter().any(|line| line.column == *column) {
                continue;
            }
            let mapped = self.map.iter().find(|line| line.column == *amount);
            let mapped = mapped.and_then(|line| survey.fields.named(&line.field));
            // Some formats say it of all their amounts.
            let known = preset.and_then(|preset| preset.field_of(amount));
            let known = known.filter(|known| matches!(known.fill, Fill::Money));
            let known = known.map_or_else(Vec::new, |known| fields_of(known, survey));
            let known = known.into_iter().map(|(_, field)| field).find(|field| field.filled > 0);
            let field = mapped.or(known).filter(|field| field.currencies < field.amounts);
            let Some(field) = field else { continue };
            let count = text::count(field.amounts - field.currencies);
            // A field that says it would say it of those too that name another.
            let remedy = if field.currencies == 0 {
                format!("{column} = FIELD under [map], or currency under [source]")
            } else {
                "currency under [source], which counts for these alone".to_owned()
            };
            self.warnings.push(format!("{count} amounts in {amount} name no currency: {remedy}"));
        }
    }

    /// Tells which fields that a format requires are not there, or are misspelt.
    pub(super) fn tell_required(&mut self, preset: &'static Preset, survey: &Survey) {
        let names: Vec<&str> = survey.fields.list.iter().map(|field| field.name.as_str()).collect();
        let misspelt = misspelt(preset, &names);
        for missing in preset.missing(names.iter().copied()) {
            let taken = misspelt.iter().find(|(field, _)| missing.contains(field));
            let required = missing.join(" or ");
            self.warnings.push(match taken {
                Some((_, name)) => {
                    format!("the format requires {required}; {name} is taken for it")
                }
                None => format!("the format requires {required}, which the source does not have"),
            });
        }
    }

    /// Tells what Naver's `class` was taken to mean: what names only changes, and what is the whole, look alike.
    pub(super) fn tell_changes(&mut self, preset: &'static Preset, survey: &Survey) {
        let mut fields = survey.fields.list.iter();
        let Some(class) = fields.find(|field| plain(&field.name) == "class" && field.filled > 0)
        else {
            return;
        };
        let words = class.words.as_deref().unwrap_or_default();
        let removes = words.iter().any(|word| word.eq_ignore_ascii_case("D"));
        let warning = match preset.format {
            Format::NaverEpSummary if removes => {
                "class says that products are gone, so the source is taken for one of changes only: no product is \
                 removed for being absent. If it is the whole catalogue: format = \"naver-ep\""
            }
            Format::NaverEpSummary => {
                "the source is taken for one of changes only, and no product in it is gone: nothing is removed by it. \
                 If it is the whole catalogue: format = \"naver-ep\""
            }
            Format::NaverEp => {
                "the source has a class, of which none is U or D, and is taken for the whole catalogue: products that \
                 are not in it are removed. If it names changes only: format = \"naver-ep-summary\""
            }
            _ => return,
        };
        self.warnings.push(warning.to_owned());
    }

    /// Sees whether the usual fields make an id, and proposes others where they don't.
    pub(super) fn choose_key(&mut self, survey: &Survey) {
        if self.preset.is_some() && self.key.usual.len() > 1 {
            // Of several parts, some may be empty: the trial shows what they are good for.
            return;
        }
        let has_some = !self.key.usual.is_empty();
        let keys = &survey.keys;
        self.key.lost = if has_some { keys.lost(&self.key.usual) } else { keys.records() };
        if self.key.lost == 0 {
            return;
        }
        self.key.better = survey.keys.unique(&self.key.usual);
        self.warn_of_key(survey);
        self.set_key = self.key.better.clone();
        if self.loses_few(survey) {
            self.set_key.clear();
        }
        if self.set_key.is_empty() && !has_some {
            // As above.
            self.set_key =
                survey.fields.list.iter().take(1).map(|field| field.name.clone()).collect();
        }
    }

    /// Whether the usual fields are an id but for a few records that are broken: at most one in a hundred, or two where
    /// there are less than 200, and no more than one in twenty.
    pub(super) fn loses_few(&self, survey: &Survey) -> bool {
        let (lost, records) = (self.key.lost, survey.keys.records());
        !self.key.usual.is_empty() && lost <= (records / 100).max(2) && lost * 20 <= records
    }

    pub(super) fn warn_of_key(&mut self, survey: &Survey) {
        let lost = text::count(self.key.lost);
        let records = text::count(survey.keys.records());
        let usual = self.key.usual.join(" and ");
        let mut warning = if self.key.usual.is_empty() {
            "no field looks like a product's id".to_owned()
        } else {
            format!(
                "{usual} is no id: {lost} of {records} records would be lost, as they have none or that of \
                 another one"
            )
        };
        warning.push_str(&match self.key.better.as_slice() {
            [] => "; no other field, and no few of them together, are different in every record"
                .to_owned(),
            [one] => format!("; {one} is different in every record"),
            several => format!("; {} are different in every record", several.join(" and ")),
        });
        if !self.key.better.is_empty() && self.loses_few(survey) {
            warning.push_str(
                ". So few records seem broken, and it stays the id; where a pipe is in use, another key renames every product",
            );
        }
        self.warnings.push(warning);
    }

    /// The pipe that was found, reading the sample's text instead of the source.
    pub(super) fn pipe(&self, location: &Location) -> Result<Pipe, FeedError> {
        let name: PipeName = "detected".parse().map_err(|_| unsound("its name"))?;
        let environment = BTreeMap::<String, String>::new();
        let pipe = parse_pipe(&name, &self.to_toml("sample"), Path::new("/"), &environment);
        let mut pipe = pipe.map_err(|mistakes| unsound(&mistakes.to_string()))?;
        pipe.source.location = location.clone();
        pipe.source.compression = Compression::None;
        pipe.source.encoding = Some("utf-8".to_owned());
        Ok(pipe)
    }

    /// Warns of what the text itself is like.
    pub(super) fn tell_sample(&mut self, sample: &Sample, survey: &Survey) {
        if let Some(label) = self.wrong_encoding_label {
            self.warnings.push(format!("it calls itself {label}, and is {}", self.encoding));
        }
        if let Some(why) = &sample.cut {
            self.warnings.push(format!("the source was cut off: {why}"));
        }
        let counted = [
            (sample.control_characters, "control characters in it are taken out"),
            (sample.broken_characters, "characters in it can't be decoded"),
        ];
        for (count, what) in counted.into_iter().filter(|(count, _)| *count > 0) {
            self.warnings.push(format!("{} {what}", text::count(count)));
        }
        if self.set_quoting == Some("off") {
            self.warnings.push(
                "cells begin with quotes that seem to be text: quoting = false is proposed. A cell that is quoted \
                 because the delimiter is in it would be refused"
                    .to_owned(),
            );
        }
        if self.delimiter.is_some() && shape::has_comment(sample.text()) {
            self.warnings.push(
                "the first line seems to be a comment, and is read as the header: ask the partner for a file that \
                 begins with its header"
                    .to_owned(),
            );
        }
        if !sample.parts.is_empty() {
            let parts = sample.parts.join(", ");
            self.warnings.push(format!(
                "the archive has further files, which are read with it if they go on with it: {parts}"
            ));
        }
        if !sample.others.is_empty() {
            let others = sample.others.join(", ");
            self.warnings
                .push(format!("the archive has further files, which are not read: {others}"));
        }
        let looks_like_data = |name: &str| name.contains("://") || name.parse::<f64>().is_ok();
        let first = survey.fields.list.iter().find(|field| looks_like_data(&field.name));
        if let Some(field) = first.filter(|_| self.delimiter.is_some()) {
            let name = text::shorten(&field.name, 60);
            self.warnings.push(format!("the first line may be no header: it has {name}"));
        }
        for field in survey.fields.list.iter().filter(|field| field.spaced_links > 0) {
            let count = text::count(field.spaced_links);
            self.warnings.push(format!("{count} addresses in {} have spaces in them", field.name));
        }
    }

    /// Tells what became of the sample when it was read as the pipe reads it.
    pub(super) fn tell_trial(&mut self, trial: Trial) {
        let Trial { diagnostics, lost, refused, warnings, error, cut, pointed_ids } = trial;
        // A page has no end of the whole.
        if let Some(why) = cut.filter(|_| !self.is_paged) {
            self.warnings.push(format!("the source was cut off: {why}"));
        }
        let shares = diagnostics.columns.keys();
        let shares =
            shares.map(|name| (name.clone(), diagnostics.coverage(name).unwrap_or_default()));
        self.coverage = shares.collect();
        let priced = diagnostics.columns.get("price").copied().unwrap_or_default();
        let named: u64 = diagnostics.currencies.values().sum();
        self.lacks_currency = named < priced;
        if self.lacks_currency {
            let count = text::count(priced - named);
            self.warnings
                .push(format!("{count} prices name no currency: set currency under [source]"));
        }
        let most = diagnostics.currencies.values().copied().max().unwrap_or_default();
        if most < named {
            let list = diagnostics.currencies.iter();
            let list: Vec<String> =
                list.map(|(name, count)| format!("{name} {}", text::count(*count))).collect();
            self.warnings.push(format!("prices in several currencies: {}", list.join(", ")));
        }
        self.currencies = diagnostics.currencies;
        if lost > 0 && self.key.lost == 0 {
            let count = text::count(lost);
            self.warnings
                .push(format!("{count} records have the id of another one, and would be lost"));
        }
        for (reason, (count, sample)) in refused {
            let count = text::count(count);
            self.warnings.push(format!("{count} records would be refused, {reason}: {sample}"));
        }
        if let (count, Some(first)) = pointed_ids {
            let count = text::count(count);
            self.warnings.push(format!(
                "{count} ids are whole numbers with a point, such as {}: they stay as they are, and a night that has them \
                 without it renames the products",
                text::shorten(&first, 60)
            ));
        }
        let (repeated, warnings): (Vec<_>, Vec<_>) = warnings
            .into_iter()
            .partition(|warning| warning.reason == RefusalReason::RepeatedField);
        for sample in repeated.iter().flat_map(|warning| &warning.samples) {
            let name = sample.field.as_deref().unwrap_or_default();
            self.warnings.push(format!(
                "the header has {} more than once: where one value is wanted, the first that is not empty is read",
                text::shorten(name, 60)
            ));
        }
        // Of a preset's fields, those that are absent or misspelt have been told.
        let is_of_preset = self.preset.is_some();
        let is_told = |reason| is_of_preset && reason == RefusalReason::MissingField;
        for warning in warnings.into_iter().filter(|warning| !is_told(warning.reason)) {
            let (count, reason) = (text::count(warning.count), warning.reason);
            let sample = warning.samples.first().map_or_else(String::new, such_as);
            self.warnings.push(format!("{count} × {reason}{sample}"));
        }
        if let Some(error) = error {
            self.warnings.push(format!("it can't be read to its end: {error}"));
        }
        for problem in diagnostics.problems.iter().filter(|p| p.kind != "other-currency") {
            let count = text::count(problem.count);
            self.warnings.push(format!("{} {} in {count} products", problem.column, problem.kind));
        }
    }
}

/// Whether the source has what a preset fills a column with.
fn is_filled(preset: &'static Preset, column: &str, survey: &Survey) -> bool {
    let known = preset.field_of(column);
    known.is_some_and(|known| fields_of(known, survey).iter().any(|(_, field)| field.filled > 0))
}

fn map_line(line: mapping::Line) -> MapLine {
    MapLine { column: line.column.to_owned(), field: line.field, value: line.value }
}

/// The source's fields that a preset takes for one of its own, each with the preset's name for it.
fn fields_of<'s>(
    known: &'static PresetField,
    survey: &'s Survey,
) -> Vec<(&'static str, &'s Field)> {
    let find = |name: &str| {
        let name = plain(name);
        survey.fields.list.iter().find(|field| plain(&field.name) == name)
    };
    known.names.iter().filter_map(|&name| Some((name, find(name)?))).collect()
}

/// Whether amounts name no currency, and the field that says theirs names only such ones.
fn are_beside(
    is_such: fn(&str) -> bool,
    amounts: &[(&'static str, &Field)],
    preset: &'static Preset,
    survey: &Survey,
) -> bool {
    if amounts.iter().any(|(_, field)| field.currencies > 0) {
        return false;
    }
    let own = preset.field_of("price_currency");
    let own = own.map_or_else(Vec::new, |known| fields_of(known, survey));
    let own = own.into_iter().map(|(_, field)| field).find(|field| field.filled > 0);
    let beside = || {
        let line = |amount: &Field| mapping::currency_beside(&survey.fields, amount);
        let line = amounts.iter().find_map(|&(_, amount)| line(amount))?;
        survey.fields.named(&line.field)
    };
    let words = own.or_else(beside).and_then(|field| field.words.as_deref()).unwrap_or_default();
    let is_one =
        |word: &String| currency::find(word).and_then(|named| named.code).is_some_and(is_such);
    !words.is_empty() && words.iter().all(is_one)
}

/// A sample of what a warning counts, as far as it says where it is, and of what.
fn such_as(sample: &Refusal) -> String {
    let place = sample.place();
    let field = sample.field.as_deref().unwrap_or_default();
    let value: &str = &text::shorten(sample.value.as_deref().unwrap_or_default(), 60);
    let parts = [place.as_str(), field, value].into_iter().filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    if parts.is_empty() { String::new() } else { format!(", such as {}", parts.join(" ")) }
}

/// A mistake in what was proposed, which is one of this program's.
fn unsound(mistakes: &str) -> FeedError {
    FeedError::configuration(format!("what was proposed is no sound pipe: {mistakes}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Position;

    #[test]
    fn samples_say_what_they_know() {
        let at = |position| Refusal::new(RefusalReason::MissingField, position, "x");
        let nowhere = at(Position::default());
        assert_eq!(
            such_as(&at(Position::HEADER).in_field("price", "5")),
            ", such as the header price 5"
        );
        assert_eq!(such_as(&nowhere.clone().in_field("price", "")), ", such as price");
        assert_eq!(such_as(&nowhere.clone().showing("NAME")), ", such as NAME");
        assert_eq!(such_as(&nowhere), "");
    }
}
