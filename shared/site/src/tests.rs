//! Tests of several parts together, and against files that others made. Those files are not part of the project:
//! where they are absent, a test says so and passes.

mod frontier;
mod pace;
mod robots;
mod sitemaps;
mod urls;

use chrono::{DateTime, TimeDelta, Utc};
use std::fs;
use std::path::PathBuf;

/// Where the files of others are.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// One of those files; none, loudly, where it is absent.
fn data(file: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(DATA).join(file);
    let read = fs::read(&path);
    if read.is_err() {
        eprintln!("SKIPPED: no {}", path.display());
    }
    read.ok()
}

/// A file of crawler-commons.
fn crawler_commons(file: &str) -> Option<Vec<u8>> {
    data(&format!("crawler-commons/src/test/resources/{file}"))
}

/// A moment so many seconds after the epoch.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// A page's URL.
fn url(number: usize) -> String {
    format!("http://shop.example/{number}")
}
