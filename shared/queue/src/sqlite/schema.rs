//! The tables of a queue file, and how a connection is opened.
//!
//! What makes a receive cheap with any backlog is `message_group.ready_seq`: the first message
//! of a group that has none in flight, and `NULL` while the group is blocked. Runnable groups
//! are then one indexed range in the order of their oldest message. Leases that ran out are one
//! indexed range too, and each receive clears them first. Bodies stand apart, so that a lease
//! that changes does not rewrite a megabyte. A group's row lives as long as it has messages.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::failure::{OpError, is_busy};

/// The newest schema this program knows; a file keeps its own in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// More than the number of different statements here.
const STATEMENT_CACHE: usize = 64;

const TABLES: &str = "
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE message_group (
    id INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL REFERENCES queue (id),
    name TEXT NOT NULL,
    ready_seq INTEGER,
    UNIQUE (queue_id, name)
) STRICT;
CREATE INDEX message_group_ready ON message_group (queue_id, ready_seq)
    WHERE ready_seq IS NOT NULL;

-- AUTOINCREMENT: a sequence number is never used again, hence neither is a message's id or a receipt.
CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id INTEGER NOT NULL REFERENCES queue (id),
    group_id INTEGER NOT NULL REFERENCES message_group (id),
    sent_at_ms INTEGER NOT NULL,
    receive_count INTEGER NOT NULL DEFAULT 0,
    first_received_at_ms INTEGER,
    received_at_ms INTEGER,
    lease_until_ms INTEGER
) STRICT;
-- Both end with seq, as every index of a rowid table does.
CREATE INDEX message_of_queue ON message (queue_id);
CREATE INDEX message_of_group ON message (group_id);
CREATE INDEX message_leased ON message (queue_id, lease_until_ms)
    WHERE lease_until_ms IS NOT NULL;
CREATE INDEX message_leased_of_group ON message (group_id)
    WHERE lease_until_ms IS NOT NULL;

CREATE TABLE body (
    seq INTEGER PRIMARY KEY REFERENCES message (seq) ON DELETE CASCADE,
    text TEXT NOT NULL
) STRICT;

-- By the group's name, since an id is remembered after its message and group are gone.
CREATE TABLE dedup (
    id INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL REFERENCES queue (id),
    group_name TEXT NOT NULL,
    dedup_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    UNIQUE (queue_id, group_name, dedup_id)
) STRICT;
CREATE INDEX dedup_by_age ON dedup (queue_id, sent_at_ms);

CREATE TABLE dead (
    seq INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL REFERENCES queue (id),
    group_name TEXT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    receive_count INTEGER NOT NULL,
    died_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_by_age ON dead (queue_id, died_at_ms);
";

/// A file that was lost gives way to a new one, while dead letters remember ids of the old. The new one's sequence
/// numbers begin somewhere in the lower half of all that there are: they do not meet the old ones.
const BEGIN_ANYWHERE: &str = "
INSERT INTO sqlite_sequence (name, seq) VALUES ('message', random() & 0x3fffffffffffffff);
";

/// A connection ready for use, and the row of the queue it was opened for.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) queue_id: i64,
}

/// Opens the file at `path` and the queue `name` in it, making what is missing.
pub(super) fn open(path: &Path, name: &str) -> Result<Opened, OpError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // First of all: a newer program's file must not be changed, not even its journal mode.
    version(&connection)?;
    use_write_ahead_log(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    let queue_id = prepare(&mut connection, name)?;
    Ok(Opened { connection, queue_id })
}

/// The file's schema version, 0 if it is new.
fn version(conn: &Connection) -> Result<i64, OpError> {
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA_VERSION {
        return Err(OpError::SchemaTooNew { found, supported: SCHEMA_VERSION });
    }
    Ok(found)
}

/// The mode is kept in the file. Switching a new file needs it alone for a moment, and SQLite
/// does not wait by itself for that: several processes may be starting at once.
fn use_write_ahead_log(conn: &Connection) -> Result<(), OpError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = conn
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => return Err(OpError::NoWriteAheadLog(mode)),
            Err(error) if is_busy(&error) && Instant::now() < deadline => sleep(BUSY_PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The queue's row, if the file has it.
fn known(conn: &Connection, name: &str) -> Result<Option<i64>, OpError> {
    if version(conn)? == 0 {
        return Ok(None);
    }
    let sql = "SELECT id FROM queue WHERE name = ?1";
    Ok(conn.query_row(sql, [name], |row| row.get(0)).optional()?)
}

/// Makes the tables and the queue's row where they are missing; returns the row's id. Where nothing is, nobody is
/// waited for.
fn prepare(conn: &mut Connection, name: &str) -> Result<i64, OpError> {
    if let Some(queue_id) = known(conn, name)? {
        return Ok(queue_id);
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again: another process may have made the tables just now.
    if version(&tx)? == 0 {
        tx.execute_batch(TABLES)?;
        tx.execute_batch(BEGIN_ANYWHERE)?;
        tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    let queue_id = match known(&tx, name)? {
        Some(id) => id,
        None => {
            tx.execute("INSERT INTO queue (name) VALUES (?1)", [name])?;
            tx.last_insert_rowid()
        }
    };
    tx.commit()?;
    Ok(queue_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_twice_finds_the_same_queue() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("queue.db");
        let first = open(&path, "crawl").expect("open");
        let image = open(&path, "image").expect("open");
        let second = open(&path, "crawl").expect("open");
        assert_eq!(first.queue_id, second.queue_id);
        assert_ne!(first.queue_id, image.queue_id);
    }

    #[test]
    fn a_connection_waits_for_the_disk() {
        let dir = tempfile::tempdir().expect("tempdir");
        let opened = open(&dir.path().join("queue.db"), "crawl").expect("open");
        let conn = &opened.connection;
        let synchronous: i64 =
            conn.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("synchronous");
        assert_eq!(synchronous, 2, "2 is FULL");
        let mode: String =
            conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("journal_mode");
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_newer_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("queue.db");
        let conn = Connection::open(&path).expect("open");
        conn.pragma_update(None, "user_version", SCHEMA_VERSION + 1).expect("user_version");
        let error = open(&path, "crawl").err();
        assert!(matches!(error, Some(OpError::SchemaTooNew { found, .. }) if found == 2));
        let mode: String =
            conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("journal_mode");
        assert_eq!(mode, "delete");
    }
}
