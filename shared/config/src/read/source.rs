//! Reads `[source]`.

use super::{currency, login, place, site};
use crate::format::{Format, TextKind};
use crate::pipe::{Compression, Quoting, Source, SourceLimits};
use crate::secret::Secret;
use crate::suggest::one_of;
use crate::table::Table;
use crate::value::Value;
use std::time::Duration;

const COMPRESSIONS: [(&str, Compression); 5] = [
    ("auto", Compression::Auto),
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
    ("zip", Compression::Zip),
];

/// Bounds of one fetch where the pipe doesn't say.
pub(super) const DEFAULT_LIMITS: SourceLimits = SourceLimits {
    max_bytes: 10 << 30,
    max_inflated_bytes: 50 << 30,
    max_record_bytes: 8 << 20,
    max_time: Duration::from_secs(2 * 3_600),
};
const LONGEST_FETCH: Duration = Duration::from_secs(24 * 3_600);

/// What a source is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Feed,
    Site,
}

/// What `[map]` says of the product's id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapped {
    /// There is no `[map]`.
    Nothing,
    /// It maps other columns.
    OtherThanId,
    /// It maps the id.
    Id,
}

impl Mapped {
    /// What this `[map]` says.
    pub(super) fn by(mapping: Option<&Table<'_>>) -> Self {
        match mapping {
            None => Self::Nothing,
            Some(table) if table.has("id") => Self::Id,
            Some(_) => Self::OtherThanId,
        }
    }
}

/// Reads the section; none when it lacks what it can't do without.
pub(super) fn source(table: &mut Table<'_>, mapped: Mapped) -> Option<Source> {
    let kinds = [("feed", Kind::Feed), ("site", Kind::Site)];
    let kind = table.take("kind").and_then(|v| v.text()?.choose("a kind of source", &kinds));
    if kind == Some(Kind::Site) {
        return site::source(table);
    }
    let formats = formats();
    let names: Vec<&str> = formats.iter().map(|(name, _)| *name).collect();
    let url = table.required("url", "expected an https:// address or a file's path");
    let format_value = table.required("format", &one_of(None, &names));
    let mut headers = table.section("headers", Vec::new(), |t, _| headers(t));
    let login = login::take(table);
    let compression = table.read("compression", Compression::Auto, |v| {
        v.text()?.choose("a compression", &COMPRESSIONS)
    });
    let encoding = table.take("encoding").and_then(|v| v.word());
    let delimiter = table.take("delimiter");
    let quoting = table.take("quoting");
    let item = table.take("item");
    let items = table.take("items");
    let key = table.read("key", Vec::new(), |v| v.words());
    let group = table.take("group").and_then(|v| v.word());
    let currency = table.take("currency").and_then(|v| currency(&v));
    let changes_only = table.take("changes_only");
    let limits = table.section("limits", DEFAULT_LIMITS, limits);

    let location = url.and_then(|v| login.attach(&v, place::source(&v)?, &mut headers));
    let format_value = format_value?;
    let format = format_value.text()?.choose("a format", &formats)?;
    check_map(&format_value, format, mapped, !key.is_empty());
    only_for(&delimiter, format, is_delimited(format), "csv, tsv and the text presets");
    only_for(&quoting, format, is_delimited(format), "csv, tsv and the text presets");
    only_for(&item, format, format.text_kind() == TextKind::Xml, "xml and the XML presets");
    only_for(&items, format, format == Format::Json, "json");
    if format == Format::Xml && item.is_none() {
        table.mistake("format 'xml' needs item", "expected item = the element that is one product");
    }
    Some(Source {
        location: location?,
        headers,
        format,
        compression,
        encoding: encoding.map(|label| label.trim().to_ascii_lowercase()).filter(|l| l != "auto"),
        delimiter: delimiter.and_then(|v| one_byte(&v)),
        quoting: quoting.and_then(|v| quotes(&v)),
        item: item.and_then(|v| local_name(&v)),
        items: items.and_then(|v| pointer(&v)),
        key,
        group,
        currency,
        changes_only: only_changes(changes_only, format),
        limits,
    })
}

/// Without a preset, somebody has to say which field is the product's id.
fn check_map(value: &Value<'_>, format: Format, mapped: Mapped, has_key: bool) {
    if format.is_preset() {
        return;
    }
    let name = format.name();
    match mapped {
        Mapped::Nothing => {
            value.refuse(format!("format '{name}' needs a [map]"), "expected one with at least id");
        }
        Mapped::OtherThanId if !has_key => {
            let message = format!("format '{name}' needs to know what a product's id is");
            value.refuse(message, "expected id in [map], or key in [source]");
        }
        Mapped::OtherThanId | Mapped::Id => {}
    }
}

fn only_for(value: &Option<Value<'_>>, format: Format, fits: bool, formats: &str) {
    if let Some(value) = value
        && !fits
    {
        let message = format!("{} has no use with format '{}'", value.name(), format.name());
        value.refuse_key(message, format!("expected it with {formats} only"));
    }
}

fn is_delimited(format: Format) -> bool {
    format.text_kind() == TextKind::Delimited
}

/// The formats that a feed may have, by name.
fn formats() -> Vec<(&'static str, Format)> {
    let formats = Format::ALL.into_iter().filter(|format| format.is_of_feeds());
    formats.map(|format| (format.name(), format)).collect()
}

/// Reads a table of headers.
pub(super) fn headers(table: &mut Table<'_>) -> Vec<(String, Secret)> {
    let mut headers = Vec::new();
    for entry in table.entries() {
        entry.document().hide(entry.span());
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if entry.key().is_empty() || !entry.key().bytes().all(token) {
            entry.refuse_key("this is not a header's name", "expected letters, digits and '-'");
        }
        let Some(text) = entry.text() else {
            continue;
        };
        // A line break would begin another header.
        if text.value.chars().any(|c| c.is_control() && c != '\t') {
            let message =
                format!("{} holds a line break or another control character", entry.name());
            entry.refuse(message, "expected one line");
        }
        headers.push((entry.key().to_owned(), Secret::new(text.value)));
    }
    headers
}

fn limits(table: &mut Table<'_>, default: SourceLimits) -> SourceLimits {
    let record_bytes = default.max_record_bytes;
    SourceLimits {
        max_bytes: table.read("max_bytes", default.max_bytes, |v| v.size(1)),
        max_inflated_bytes: table
            .read("max_inflated_bytes", default.max_inflated_bytes, |v| v.size(1)),
        max_record_bytes: table
            .read("max_record_bytes", record_bytes, |v| usize::try_from(v.size(1)?).ok()),
        max_time: table.read("max_time", default.max_time, |v| {
            v.duration(Duration::from_secs(1), LONGEST_FETCH)
        }),
    }
}

fn one_byte(value: &Value<'_>) -> Option<u8> {
    let text = value.plain()?;
    if text == "tab" {
        return Some(b'\t');
    }
    match text.as_bytes() {
        [byte]
            if *byte == b'\t'
                || (byte.is_ascii_punctuation() && *byte != b'"')
                || *byte == b' ' =>
        {
            Some(*byte)
        }
        _ => value
            .text()?
            .refuse("a delimiter", "expected 'tab', or one character such as ',' or '|'"),
    }
}

fn quotes(value: &Value<'_>) -> Option<Quoting> {
    if value.is_text() {
        let text = value.text()?;
        return match text.value.as_str() {
            "backslash" => Some(Quoting::Backslash),
            _ => text.refuse("a way of quoting", "expected true, false or 'backslash'"),
        };
    }
    Some(if value.flag()? { Quoting::Doubled } else { Quoting::Off })
}

fn local_name(value: &Value<'_>) -> Option<String> {
    let name = value.word()?;
    if name.contains([':', '/', '<', '>', ' ']) {
        return value.text()?.refuse("an element's local name", "expected the name without prefix");
    }
    Some(name)
}

fn pointer(value: &Value<'_>) -> Option<String> {
    let pointer = value.plain()?;
    if pointer.is_empty() || pointer.starts_with('/') {
        return Some(pointer);
    }
    value.text()?.refuse("a JSON pointer", "expected a path such as '/data/products'")
}

fn only_changes(value: Option<Value<'_>>, format: Format) -> bool {
    let implied = format == Format::NaverEpSummary;
    let Some(value) = value else {
        return implied;
    };
    let changes_only = value.flag().unwrap_or(implied);
    if implied && !changes_only {
        value.refuse(
            "format 'naver-ep-summary' always names changes only",
            "expected true or nothing",
        );
    }
    changes_only
}
