//! Reads the file that describes a night, its prices, and what is set on the command line. Mistakes are told all at
//! once, with file, line and what was expected.

mod pipes;
mod prices;
mod settings;

use super::night::{AlwaysOn, Night, PipeLoad, Variant, Work};
use super::prices::{InstancePrice, Item, Prices};
use super::settings::Settings;
use feedfleet_config::reading::{Document, Table, Value};
use feedfleet_config::{ConfigError, ConfigErrors, Fleet};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

/// More than anything costs, in US dollars: what is above it is a mistake.
const DEAREST: f64 = 1e9;
/// Nights in a month unless something else is said.
const NIGHTS_A_MONTH: f64 = 30.4;

/// A file: its name in messages, and its text.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The name.
    pub file: &'a Path,
    /// The text.
    pub text: &'a str,
}

/// Reads a night. What it does not say about settings is as in `fleet`. `recorded` stands in the place of the pipes that
/// the file describes. `open` reads a file beside this one.
///
/// # Errors
/// All mistakes in the file, and in that of its prices.
pub fn read_night(
    source: Source<'_>,
    fleet: &Fleet,
    recorded: Option<Vec<PipeLoad>>,
    open: &dyn Fn(&str) -> io::Result<String>,
) -> Result<Night, ConfigErrors> {
    let environment = BTreeMap::<String, String>::new();
    let document = Document::new(source.file, source.text, Path::new(""), &environment);
    let mut elsewhere = Vec::new();
    let night = document.root().and_then(|mut root| {
        if let Some((what, expected)) = another_file(&root, source.file) {
            root.mistake(what, expected);
            return None;
        }
        let prices = prices::prices(&mut root, source.file, open, &mut elsewhere);
        let night = night(&mut root, prices, fleet, recorded);
        root.finish();
        night
    });
    let mut errors: Vec<ConfigError> = document.finish().into_iter().collect();
    errors.append(&mut elsewhere);
    match night {
        Some(night) if errors.is_empty() => Ok(night),
        _ => Err(errors.into()),
    }
}

/// What a file is that describes no night, and what to do with it.
fn another_file(root: &Table<'_>, file: &Path) -> Option<(&'static str, String)> {
    let has = |keys: &[&str]| keys.iter().any(|key| root.has(key));
    if has(&["prices", "pipes"]) {
        return None;
    }
    let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if has(&["instances", "requests"]) {
        let expected = format!(
            "expected a night: write prices = '{name}' into a file beside it, with [[pipes]] or for --recorded, \
             and name that file (docs/simulate.md)"
        );
        return Some(("this is a file of prices", expected));
    }
    // What a night's file knows nothing of.
    let of_a_fleet = ["catalog", "objects", "keep", "console", "http", "fleet", "metrics", "aws"];
    (name == "fleet.toml" || has(&of_a_fleet)).then(|| {
        let expected = "expected a night: its settings are read from the folder that --config names; name a file \
                        with prices and [[pipes]] (docs/simulate.md)";
        ("this is a fleet.toml", expected.to_owned())
    })
}

/// Reads settings such as `workers.max=40`: together they are one more variant of the night.
///
/// # Errors
/// All mistakes in them.
pub fn read_variant(assignments: &[String], night: &Night) -> Result<Variant, ConfigErrors> {
    let lines: Vec<String> = assignments.iter().map(|assignment| as_toml(assignment)).collect();
    let text = lines.join("\n");
    let environment = BTreeMap::<String, String>::new();
    let document = Document::new(Path::new("--set"), &text, Path::new(""), &environment);
    let known = &night.prices.instances;
    let settings = document.root().map(|mut root| {
        let settings = settings::settings(&mut root, night.settings.clone(), known);
        root.finish();
        settings
    });
    let errors = document.finish();
    match settings {
        Some(settings) if errors.is_empty() => {
            Ok(Variant { name: assignments.join(", "), settings })
        }
        _ => Err(errors),
    }
}

/// `key=value` as TOML: what is neither a number nor written as a TOML value is a text.
fn as_toml(assignment: &str) -> String {
    let Some((key, value)) = assignment.split_once('=') else { return assignment.to_owned() };
    let value = value.trim();
    let is_toml = value.parse::<f64>().is_ok()
        || value.parse::<bool>().is_ok()
        || value.starts_with(['"', '\'', '[', '{'])
        || value.contains('\'');
    if is_toml { format!("{key} = {value}") } else { format!("{key} = '{value}'") }
}

fn night(
    root: &mut Table<'_>,
    prices: Option<Prices>,
    fleet: &Fleet,
    recorded: Option<Vec<PipeLoad>>,
) -> Option<Night> {
    // Without prices no type is known, and none is refused.
    let known = prices.as_ref().map(|prices| prices.instances.as_slice()).unwrap_or_default();
    let first = known.first().map_or("", |instance| instance.name.as_str());
    let settings = settings::settings(root, Settings::of(fleet, first), known);
    let variants = variants(root, &settings, known);
    let always_on = root.section("always_on", AlwaysOn::default(), |t, d| AlwaysOn {
        workers: t.read("workers", d.workers, |v| v.count(1, 10_000).map(Some)),
        kind: t.read("type", d.kind, |v| settings::kind(v, known).map(Some)),
    });
    let says_pipes = root.has("pipes");
    let described = pipes::groups(root);
    let work = match recorded {
        Some(pipes) => Work::Recorded(pipes),
        None => {
            if !says_pipes {
                let expected = "expected [[pipes]], or that --recorded names a day";
                root.mistake("the file describes no pipes", expected);
            }
            Work::Described(described)
        }
    };
    let begin = root.read("begin", Duration::ZERO, pipes::clock);
    let begin = match work {
        // A recorded day begins at midnight.
        Work::Recorded(_) => Duration::ZERO,
        Work::Described(_) => begin,
    };
    let night = Night {
        work,
        seed: root.read("seed", 1, |v| v.integer(0, i64::MAX as u64)),
        begin,
        nights_a_month: root.read("nights_a_month", NIGHTS_A_MONTH, |v| v.amount(31.0)),
        settings,
        variants,
        always_on,
        month: items(root, "month"),
        compare: items(root, "compare"),
        prices: prices?,
    };
    Some(night)
}

/// `[[variants]]`: each with a name, and the settings that are other than the night's.
fn variants(root: &mut Table<'_>, base: &Settings, known: &[InstancePrice]) -> Vec<Variant> {
    tables(root, "variants", |table| {
        let name = table.required("name", "expected a name for the settings");
        let name = name.and_then(|value| value.word());
        let settings = settings::settings(table, base.clone(), known);
        Some(Variant { name: name?, settings })
    })
}

/// The tables of a list, each read by `read`; those with mistakes are left out.
fn tables<'d, T>(
    root: &mut Table<'d>,
    key: &'static str,
    mut read: impl FnMut(&mut Table<'d>) -> Option<T>,
) -> Vec<T> {
    let items = root.take(key).and_then(|list| list.items()).unwrap_or_default();
    let mut found = Vec::new();
    for item in items {
        if let Some(mut table) = item.table() {
            found.extend(read(&mut table));
            table.finish();
        }
    }
    found
}

/// A table of costs, in US dollars: anything may have one.
fn items(table: &mut Table<'_>, key: &'static str) -> Vec<Item> {
    let Some(mut items) = table.take(key).and_then(|value| value.table()) else {
        return Vec::new();
    };
    let item = |entry: Value<'_>| Some(Item::new(entry.key(), entry.amount(DEAREST)?));
    items.entries().into_iter().filter_map(item).collect()
}

#[cfg(test)]
mod tests;
