//! Everything between a source's bytes and mapped product rows: decompression, character encoding,
//! records of CSV, TSV, JSON and XML, and the mapping of their fields to the product table's columns.
//!
//! No network and no storage: a feed is any `Read`. All is synchronous, meant for a blocking thread.
//! The way of the data, one file each step:
//!
//! ```text
//! bytes, decompress (own thread) > encoding > window > delimited | json | json_lines | xml
//!     > fields (a record) > group > plan, map > Row
//! ```

#![deny(missing_docs)]

mod bytes;
mod clean;
mod convert;
mod currency;
mod dates;
mod decompress;
mod delimited;
mod detect;
mod diagnostics;
mod digits;
mod encoding;
mod entities;
mod error;
mod fields;
mod flatten;
mod group;
mod gzip;
mod header;
mod json;
mod json_lines;
mod json_scan;
mod links;
mod map;
mod merge;
mod money;
mod number;
mod plan;
mod presets;
mod reader;
mod records;
mod rule;
mod settings;
mod split;
mod window;
mod xml;
mod xml_input;
mod xml_item;
mod zip;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use bytes::CutOff;
pub use diagnostics::{Position, Refusal, RefusalReason, Warning};
pub use error::FeedError;
pub use money::{Money, MoneyError, parse_money};
pub use reader::{Change, Completeness, FeedReader, Hints, ReadStats, Step};
pub use settings::Settings;
