//! A pipe's settings as the reader needs them, checked.

use crate::error::FeedError;
use crate::merge;
use crate::plan::Matching;
use crate::presets::{Preset, preset};
use crate::rule::Rule;
use crate::split::Dialect;
use crate::xml::XmlShape;
use encoding_rs::Encoding;
use feedfleet_config::{Compression, Format, MapEntry, Pipe, Source};

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
    Delimited(Dialect),
    Json { pointer: Option<String> },
    JsonLines,
    Xml(XmlShape),
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
        Ok(Self { fingerprint: pipe.mapping_fingerprint(), ..settings })
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
            shape: shape(source),
            rules: merge::rules(preset, map, &source.key, currency)?,
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
    match format {
        Format::GoogleXml => Matching::LooseXml,
        Format::Xml => Matching::Xml,
        Format::Json | Format::JsonLines => Matching::Json,
        Format::GoogleTsv
        | Format::NaverEp
        | Format::NaverEpSummary
        | Format::Csv
        | Format::Tsv => Matching::Loose,
    }
}

fn shape(source: &Source) -> Shape {
    let delimited = |delimiter, quoting| {
        Shape::Delimited(Dialect {
            delimiter: source.delimiter.unwrap_or(delimiter),
            quoting: source.quoting.unwrap_or(quoting),
            newline: b'\n',
        })
    };
    match source.format {
        Format::Csv => delimited(b',', true),
        Format::Tsv | Format::GoogleTsv => delimited(b'\t', true),
        // Values are never quoted there, and often have quotes in them.
        Format::NaverEp | Format::NaverEpSummary => delimited(b'\t', false),
        Format::Json => Shape::Json { pointer: source.items.clone() },
        Format::JsonLines => Shape::JsonLines,
        Format::GoogleXml => Shape::Xml(XmlShape {
            items: match &source.item {
                Some(item) => vec![item.clone()],
                None => vec!["item".to_owned(), "entry".to_owned()],
            },
            roots: &["rss", "feed", "rdf", "channel", "products"],
            compounds: preset(source.format).map_or(&[], |preset| preset.compounds),
            is_google: true,
        }),
        Format::Xml => Shape::Xml(XmlShape {
            items: source.item.iter().cloned().collect(),
            roots: &[],
            compounds: &[],
            is_google: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{field, source};
    use feedfleet_model::columns;

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
}
