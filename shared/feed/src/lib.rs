//! Everything between a source's bytes and mapped product rows: decompression, character encoding,
//! records of CSV, TSV, JSON and XML, and the mapping of their fields to the product table's columns.
//!
//! No network and no storage: a feed is any `Read`. All is synchronous, meant for a blocking thread.
//! The way of the data, one file each step:
//!
//! ```text
//! bytes, decompress (own thread) > encoding > window > delimited | json | json_lines | tagged | xml
//!     > fields (a record) > cells, gather, group > plan, map > Row
//! ```

#![deny(missing_docs)]

mod bytes;
mod cells;
mod charset;
mod clean;
mod combine;
mod convert;
mod currency;
mod dates;
mod decompress;
mod delimited;
pub mod detect;
mod diagnostics;
mod digits;
mod encoding;
mod entities;
mod entity_names;
mod error;
mod fields;
mod flatten;
mod foreign;
mod gather;
mod group;
mod gtin;
mod gzip;
mod header;
mod json;
mod json_lines;
mod json_scan;
mod links;
mod map;
mod merge;
mod money;
mod names;
mod number;
mod page_text;
mod plan;
pub mod presets;
mod profile;
mod quotes;
mod reader;
mod records;
mod rule;
mod separator;
mod settings;
mod split;
mod tagged;
mod window;
mod xml;
mod xml_find;
mod xml_input;
mod xml_item;
mod xml_plain;
mod xml_tags;
mod zip;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use bytes::CutOff;
pub use diagnostics::{Position, Refusal, RefusalReason, Warning};
pub use error::FeedError;
pub use money::{Money, MoneyError, parse_money};
pub use page_text::page_text;
pub use profile::Profile;
pub use reader::{Change, Completeness, FeedReader, Hints, ReadStats, Step};
pub use settings::Settings;
