//! From a web page to products: the structured data that a page carries (JSON-LD, microdata, RDFa, Open Graph),
//! and, where it carries none, what its elements say.
//!
//! No network and no storage. The way of a page, one file each step:
//!
//! ```text
//! html > scan (tags alone, no tree)  > json_ld, open_graph                  > extract, if that is enough
//!      > document (the tree)         > json_ld, microdata, rdfa, open_graph > product
//!                                    > selectors, heuristics                > extract
//! ```

#![deny(missing_docs)]

mod document;
mod dom;
mod extract;
mod graph;
mod heuristics;
mod item;
mod json;
mod json_ld;
mod links;
mod microdata;
mod open_graph;
mod product;
mod rdfa;
mod rdfa_names;
mod robots_meta;
mod scan;
mod selectors;
mod tags;
mod text;
mod tree;

pub use document::Document;
pub use extract::{
    Extraction, Field, FieldValue, Origin, Product, extract, extract_page, extract_scan,
    extract_structured,
};
pub use item::{Item, Value};
pub use json_ld::{JsonLd, json_ld};
pub use links::web_url;
pub use open_graph::OpenGraph;
pub use robots_meta::RobotsMeta;
pub use scan::{Anchor, Scan, scan};
pub use selectors::{SelectorError, Selectors};
