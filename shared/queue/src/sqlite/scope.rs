//! What an operation needs to know besides its connection: which queue, and by what rules.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Params};

use crate::clock::QueueClock;

/// One named queue of the file, and its rules.
pub(super) struct Scope {
    /// Row of the `queue` table.
    pub(super) queue_id: i64,
    /// Name and file, for errors and logs.
    pub(super) label: String,
    pub(super) max_receives: u32,
    pub(super) clock: Arc<dyn QueueClock>,
}

impl Scope {
    /// The time now, in milliseconds since 1970. Ask inside the transaction: getting the write
    /// lock may have taken seconds, and a lease may have run out meanwhile.
    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}

/// Whole milliseconds, rounded up, so that no lease ends before the time it was given.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// Runs one statement of a fixed text, compiled once a connection.
pub(super) fn execute<P: Params>(
    conn: &Connection,
    sql: &str,
    params: P,
) -> rusqlite::Result<usize> {
    let mut statement = conn.prepare_cached(sql)?;
    statement.execute(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up() {
        assert_eq!(millis(Duration::from_secs(2)), 2_000);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::MAX), i64::MAX);
    }
}
