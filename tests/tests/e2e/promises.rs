//! Promises that no other test shows whole: what is on the disk before an acknowledgement, a worker that is told
//! to stop, a full disk, and crawled text on a terminal and in CSV. Each test says in its first line which promise
//! it shows.

mod disk;
mod durable;
mod stopping;
mod terminal;
mod trace;

use std::io::Write as _;

/// Says aloud what was not tested, and why.
fn skipped(what: &str, why: &str) {
    // Not through `println`, which the test harness keeps to itself when a test passes.
    let line = format!("SKIPPED {what}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}
