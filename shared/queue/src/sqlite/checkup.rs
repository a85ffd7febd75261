//! For whoever checks a queue's file: the settings that durability rests on, and the end of a queue that was
//! only opened to be tried.

use rusqlite::{Connection, TransactionBehavior, params};

use super::SqliteQueue;
use super::failure::OpError;
use super::scope::{Scope, execute};
use crate::error::QueueError;

/// Everything of a queue, in an order that no reference forbids. Bodies go with their messages.
const DISCARD: [&str; 5] = [
    "DELETE FROM message WHERE queue_id = ?1",
    "DELETE FROM message_group WHERE queue_id = ?1",
    "DELETE FROM dedup WHERE queue_id = ?1",
    "DELETE FROM dead WHERE queue_id = ?1",
    "DELETE FROM queue WHERE id = ?1",
];

/// The settings on which it rests that what was acknowledged survives a power cut, as SQLite tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// The file's `journal_mode`; `wal` is right.
    pub journal_mode: String,
    /// The connection's `synchronous`: 2, which is FULL, or more is right.
    pub synchronous: i64,
}

impl SqliteQueue {
    /// The settings that are in force.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    pub async fn settings(&self) -> Result<SqliteSettings, QueueError> {
        self.run("read the settings", |conn, _| settings(conn)).await
    }

    /// Takes the queue out of the file, with everything that is on it: for a queue that was opened to try
    /// the file. This handle, and any other of the queue, is of no use afterwards.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    pub async fn discard(&self) -> Result<(), QueueError> {
        self.run("discard the queue", |conn, scope| discard(conn, scope)).await
    }
}

fn settings(conn: &Connection) -> Result<SqliteSettings, OpError> {
    Ok(SqliteSettings {
        journal_mode: conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
        synchronous: conn.pragma_query_value(None, "synchronous", |row| row.get(0))?,
    })
}

fn discard(conn: &mut Connection, scope: &Scope) -> Result<(), OpError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for statement in DISCARD {
        execute(&tx, statement, params![scope.queue_id])?;
    }
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contract::{NewMessage, Queue, Receive};
    use crate::sqlite::SqliteQueueOptions;

    const TABLES: [&str; 6] = ["queue", "message_group", "message", "body", "dedup", "dead"];

    fn message(group: &str) -> NewMessage {
        NewMessage { group: group.into(), dedup_id: group.into(), body: "{}".into() }
    }

    #[tokio::test]
    async fn a_discarded_queue_leaves_the_others_and_nothing_else() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("queue.db");
        let open = |name| SqliteQueue::open(&path, name, SqliteQueueOptions::new(3)).expect("open");
        let (kept, tried) = (open("crawl"), open("tried"));
        kept.send(&[message("acme")]).await.expect("send");
        tried.send(&[message("a"), message("b"), message("c")]).await.expect("send");
        let request = Receive { max: 2, visibility: Duration::from_secs(60), wait: Duration::ZERO };
        let received = tried.receive(request).await.expect("receive");
        tried.dead_letter(&received[0].receipt, "tried").await.expect("dead letter");

        tried.discard().await.expect("discard");
        let conn = Connection::open(&path).expect("open");
        let rows = TABLES.map(|table| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            conn.query_row(&sql, [], |row| row.get(0)).expect("count")
        });
        assert_eq!(rows, [1, 1, 1, 1, 1, 0]);
        assert_eq!(kept.counts().await.expect("counts").visible, 1);
    }

    #[tokio::test]
    async fn the_settings_are_those_that_are_durable() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("queue.db");
        let queue = SqliteQueue::open(&path, "crawl", SqliteQueueOptions::new(3)).expect("open");
        let settings = queue.settings().await.expect("settings");
        assert_eq!(settings, SqliteSettings { journal_mode: "wal".into(), synchronous: 2 });
    }
}
