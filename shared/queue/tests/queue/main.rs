//! The SQLite queue against the contract suite, against a model, and with several handles.

mod contract;
mod handles;
mod property;

use std::path::Path;
use std::sync::Arc;

use feedfleet_queue::{ManualClock, NewMessage, SqliteQueue, SqliteQueueOptions};

/// Where the tests' clocks start: 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

fn open(path: &Path, name: &str, max_receives: u32, clock: &Arc<ManualClock>) -> SqliteQueue {
    let options = SqliteQueueOptions { max_receives, clock: clock.clone() };
    SqliteQueue::open(path, name, options).expect("open the queue")
}

/// A message whose body is its deduplication id too.
fn message(group: &str, body: &str) -> NewMessage {
    NewMessage { group: group.to_owned(), dedup_id: body.to_owned(), body: body.to_owned() }
}
