//! A pipe's settings as the reader needs them, checked.

use crate::error::FeedError;
use crate::merge;
use crate::plan::Matching;
use crate::presets::{Frame, Layout, Lists, Preset, RowGroup, Tags, preset};
use crate::rule::Rule;
use crate::split::Dialect;
use crate::xml::XmlShape;
use encoding_rs::Encoding;
use feedfleet_config::{Compression, Format, Location, MapEntry, Pipe, Quoting, Source, TextKind};

/// Bytes of a record that the reader can handle at most.
const MAX_RECORD_BYTES: usize = 1 << 30;

/// How a pipe's feed is read and mapped. Made once a run, or kept; opening a feed does not change it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) shape: Shape,
    pub(crate) rules: Vec<Rule>,
    pub(crate) matching: Matching,
    pub(crate) preset: Option<&'static Preset>,
    pub(crate) compression: Compression,
    pub(crate) encoding: Option<&'static Encoding>,
    /// The field that names the group of rows that belong together.
    pub(crate) group: Option<String>,
    pub(crate) max_inflated_bytes: u64,
    pub(crate) max_record_bytes: usize,
    /// Names the mapping: records are the same only under the same one.
    pub(crate) fingerprint: String,
}

/// What records look like.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Delimited(DelimitedShape),
    Json(JsonShape),
    JsonLines,
    Xml(XmlShape),
    Tagged(&'static Tags),
}

/// What delimited text looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DelimitedShape {
    pub(crate) dialect: Dialect,
    /// The delimiters among which the first line chooses; none: the dialect's.
    pub(crate) delimiters: &'static [u8],
    /// Whether quotes quote where commas turn out to be the delimiter, whatever the dialect has.
    pub(crate) has_quotes_between_commas: bool,
    pub(crate) frame: Option<&'static Frame>,
    /// Whether a record's last cell is the frame's last column, whatever its place.
    pub(crate) ends_with_last: bool,
    /// The preset's way of putting rows together.
    pub(crate) group: Option<&'static RowGroup>,
    pub(crate) json_cells: &'static [&'static str],
}

/// What JSON looks like.
#[derive(Debug, Clone, Default)]
pub(crate) struct JsonShape {
    /// Where the array of products is, as a JSON pointer.
    pub(crate) pointer: Option<String>,
    pub(crate) lists: Option<&'static Lists>,
    /// Whether it is page after page, and an empty one ends it.
    pub(crate) is_paged: bool,
}

impl Settings {
    /// The settings of a pipe: its preset's mapping with its own over it.
    ///
    /// # Errors
    ///
    /// [`FeedError::Encoding`] when there is no encoding of the name in the pipe,
    /// [`FeedError::Configuration`] when a line of the mapping does not fit its column or no id is mapped.
    pub fn of(pipe: &Pipe) -> Result<Self, FeedError> {
        let settings = Self::from_source(&pipe.source, &pipe.map)?;
        let mut fingerprint = pipe.mapping_fingerprint();
        if settings.preset.is_some_and(Preset::uses_origin) {
            // Its rows are others once the source is elsewhere.
            fingerprint.extend(origin(&pipe.source));
        }
        Ok(Self { fingerprint, ..settings })
    }

    /// As [`Settings::of`], from the parts of a pipe that count.
    ///
    /// # Errors
    ///
    /// As [`Settings::of`].
    pub fn from_source(source: &Source, map: &[MapEntry]) -> Result<Self, FeedError> {
        let encoding = match &source.encoding {
            None => None,
            Some(label) => {
                let found = Encoding::for_label_no_replacement(label.as_bytes());
                Some(found.ok_or_else(|| FeedError::Encoding {
                    message: format!("there is no character encoding '{label}'"),
                })?)
            }
        };
        let preset = preset(source.format);
        let currency = source.currency.as_deref();
        Ok(Self {
            shape: shape(source, preset),
            rules: merge::rules(preset, map, &source.key, currency, origin(source).as_deref())?,
            matching: matching(source.format),
            preset,
            compression: source.compression,
            encoding,
            group: source.group.clone(),
            max_inflated_bytes: source.limits.max_inflated_bytes,
            max_record_bytes: source.limits.max_record_bytes.min(MAX_RECORD_BYTES),
            fingerprint: String::new(),
        })
    }
}

fn matching(format: Format) -> Matching {
    match format.text_kind() {
        TextKind::Xml if format.is_preset() => Matching::LooseXml,
        TextKind::Xml => Matching::Xml,
        TextKind::Json | TextKind::JsonLines => Matching::Json,
        TextKind::Delimited | TextKind::Tagged => Matching::Loose,
    }
}

/// Where a source at an address is, as in `https://shop.example`.
fn origin(source: &Source) -> Option<String> {
    let Location::Http(address) = &source.location else {
        return None;
    };
    let (scheme, rest) = address.expose().split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    Some(format!("{scheme}://{host}"))
}

fn shape(source: &Source, preset: Option<&'static Preset>) -> Shape {
    let Some(preset) = preset else {
        return shape_by_hand(source);
    };
    match preset.layout {
        Layout::Delimited { delimiters, quoting, frame, group, json_cells } => {
            Shape::Delimited(DelimitedShape {
                dialect: dialect(source, delimiters[0], usual(quoting)),
                delimiters: if source.delimiter.is_none() { delimiters } else { &[] },
                has_quotes_between_commas: frame.is_none() && source.quoting.is_none(),
                frame,
                ends_with_last: frame.is_some() && source.changes_only,
                group: group.filter(|_| source.group.is_none()),
                json_cells,
            })
        }
        Layout::Xml { items, roots, compounds } => Shape::Xml(XmlShape {
            items: match &source.item {
                Some(item) => vec![item.clone()],
                None => items.iter().map(|item| (*item).to_owned()).collect(),
            },
            roots,
            compounds,
            is_google: true,
        }),
        Layout::Json { items, lists, paging } => Shape::Json(JsonShape {
            pointer: Some(items.to_owned()),
            lists: Some(lists),
            is_paged: paging.is_some(),
        }),
        Layout::JsonLines => Shape::JsonLines,
        Layout::Tagged(tags) => Shape::Tagged(tags),
    }
}

/// The shape of a format without a preset.
fn shape_by_hand(source: &Source) -> Shape {
    match source.format.text_kind() {
        TextKind::Xml => Shape::Xml(XmlShape {
            items: source.item.iter().cloned().collect(),
            roots: &[],
            compounds: &[],
            is_google: false,
        }),
        TextKind::Json => {
            Shape::Json(JsonShape { pointer: source.items.clone(), ..JsonShape::default() })
        }
        TextKind::JsonLines => Shape::JsonLines,
        TextKind::Delimited | TextKind::Tagged => {
            let delimiter = if source.format == Format::Tsv { b'\t' } else { b',' };
            Shape::Delimited(DelimitedShape {
                dialect: dialect(source, delimiter, Quoting::Doubled),
                delimiters: &[],
                has_quotes_between_commas: false,
                frame: None,
                ends_with_last: false,
                group: None,
                json_cells: &[],
            })
        }
    }
}

/// A format's way of quoting.
fn usual(quoting: bool) -> Quoting {
    if quoting { Quoting::Doubled } else { Quoting::Off }
}

fn dialect(source: &Source, delimiter: u8, quoting: Quoting) -> Dialect {
    Dialect {
        delimiter: source.delimiter.unwrap_or(delimiter),
        quoting: source.quoting.unwrap_or(quoting),
        newline: b'\n',
        columns: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{field, source};
    use feedfleet_config::{Secret, parse_pipe};
    use feedfleet_model::{PipeName, columns};
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn labels_are_checked() {
        let map = [field(columns::ID, "id")];
        let mut csv = source(Format::Csv);
        csv.encoding = Some("cp949".to_owned());
        let unknown = Settings::from_source(&csv, &map).unwrap_err();
        assert!(matches!(unknown, FeedError::Encoding { .. }));
        csv.encoding = Some("ks_c_5601-1987".to_owned());
        let settings = Settings::from_source(&csv, &map).unwrap();
        assert_eq!(settings.encoding, Some(encoding_rs::EUC_KR));
    }

    #[test]
    fn where_links_are_made_of_the_address_another_one_is_another_mapping() {
        let name: PipeName = "acme".parse().unwrap();
        let of = |host: &str, format: &str| {
            let text = format!(
                "[source]\nurl = \"https://{host}/products.json\"\nformat = \"{format}\"\n"
            );
            let environment = BTreeMap::<String, String>::new();
            let pipe = parse_pipe(&name, &text, Path::new("/"), &environment);
            let pipe = pipe.unwrap_or_else(|mistakes| panic!("{mistakes}"));
            Settings::of(&pipe).unwrap().fingerprint
        };
        assert_ne!(of("a.example", "shopify-json"), of("b.example", "shopify-json"));
        assert_eq!(of("a.example", "google-csv"), of("b.example", "google-csv"));
    }

    #[test]
    fn an_address_begins_with_its_origin() {
        let mut json = source(Format::ShopifyJson);
        assert_eq!(origin(&json), None);
        let address = "https://a.example:8443/products.json?limit=250";
        json.location = Location::Http(Secret::new(address));
        assert_eq!(origin(&json).as_deref(), Some("https://a.example:8443"));
    }
}
