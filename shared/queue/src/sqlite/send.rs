//! Sending: deduplicate, append.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::failure::OpError;
use super::scope::{Scope, execute, millis};
use crate::contract::{MessageId, NewMessage, Sent};
use crate::limits::DEDUP_WINDOW;

pub(super) const EARLIER: &str = "
SELECT seq FROM dedup
WHERE queue_id = ?1 AND group_name = ?2 AND dedup_id = ?3 AND sent_at_ms > ?4";

/// More rows than a batch adds, so that the table shrinks back after a burst, and few enough
/// that no send is slow.
pub(super) const FORGET: &str = "
DELETE FROM dedup WHERE id IN (
    SELECT id FROM dedup INDEXED BY dedup_by_age
    WHERE queue_id = ?1 AND sent_at_ms <= ?2 LIMIT 100
)";

pub(super) const FIND_GROUP: &str = "
SELECT id FROM message_group WHERE queue_id = ?1 AND name = ?2";

const NEW_GROUP: &str = "INSERT INTO message_group (queue_id, name) VALUES (?1, ?2)";
const READY: &str = "UPDATE message_group SET ready_seq = ?2 WHERE id = ?1";
const NEW_MESSAGE: &str = "
INSERT INTO message (queue_id, group_id, sent_at_ms) VALUES (?1, ?2, ?3)";
const NEW_BODY: &str = "INSERT INTO body (seq, text) VALUES (?1, ?2)";
const REMEMBER: &str = "
INSERT INTO dedup (queue_id, group_name, dedup_id, seq, sent_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (queue_id, group_name, dedup_id)
DO UPDATE SET seq = excluded.seq, sent_at_ms = excluded.sent_at_ms";

/// Appends a valid batch in one transaction.
pub(super) fn send(
    conn: &mut Connection,
    scope: &Scope,
    batch: &[NewMessage],
) -> Result<Vec<Sent>, OpError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now_ms = scope.now_ms();
    let forgotten_ms = now_ms.saturating_sub(millis(DEDUP_WINDOW));
    execute(&tx, FORGET, params![scope.queue_id, forgotten_ms])?;
    let mut sent = Vec::with_capacity(batch.len());
    for message in batch {
        // FORGET may have left old rows behind, so the age is asked here too.
        let earlier = earlier(&tx, scope, message, forgotten_ms)?;
        let duplicate = earlier.is_some();
        let seq = match earlier {
            Some(seq) => seq,
            None => append(&tx, scope, message, now_ms)?,
        };
        sent.push(Sent { id: MessageId::new(seq.to_string()), duplicate });
    }
    tx.commit()?;
    Ok(sent)
}

fn earlier(
    tx: &Transaction<'_>,
    scope: &Scope,
    message: &NewMessage,
    forgotten_ms: i64,
) -> Result<Option<i64>, OpError> {
    let mut statement = tx.prepare_cached(EARLIER)?;
    let (queue_id, group, dedup_id) = (scope.queue_id, &message.group, &message.dedup_id);
    let seq = statement
        .query_row(params![queue_id, group, dedup_id, forgotten_ms], |row| row.get(0))
        .optional()?;
    Ok(seq)
}

fn append(
    tx: &Transaction<'_>,
    scope: &Scope,
    message: &NewMessage,
    now_ms: i64,
) -> Result<i64, OpError> {
    let queue_id = scope.queue_id;
    let known = find_group(tx, queue_id, &message.group)?;
    let group_id = match known {
        Some(id) => id,
        None => {
            execute(tx, NEW_GROUP, params![queue_id, message.group])?;
            tx.last_insert_rowid()
        }
    };
    execute(tx, NEW_MESSAGE, params![queue_id, group_id, now_ms])?;
    let seq = tx.last_insert_rowid();
    execute(tx, NEW_BODY, params![seq, message.body])?;
    // A group that exists has older messages: its head, or its being blocked, stays.
    if known.is_none() {
        execute(tx, READY, params![group_id, seq])?;
    }
    let (group, dedup_id) = (&message.group, &message.dedup_id);
    execute(tx, REMEMBER, params![queue_id, group, dedup_id, seq, now_ms])?;
    Ok(seq)
}

fn find_group(tx: &Transaction<'_>, queue_id: i64, name: &str) -> Result<Option<i64>, OpError> {
    let mut statement = tx.prepare_cached(FIND_GROUP)?;
    let id = statement.query_row(params![queue_id, name], |row| row.get(0)).optional()?;
    Ok(id)
}
