//! Looking at a queue without leasing anything: counts and dead letters.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::failure::OpError;
use super::scope::{Scope, execute};
use crate::contract::{Counts, DeadMessage, MessageId};

/// Counts an index, a few milliseconds with 100,000 messages. The others are short.
const MESSAGES: &str = "SELECT count(*) FROM message WHERE queue_id = ?1";

pub(super) const IN_FLIGHT: &str = "
SELECT count(*) FROM message INDEXED BY message_leased
WHERE queue_id = ?1 AND lease_until_ms IS NOT NULL AND lease_until_ms > ?2";

pub(super) const OLDEST: &str = "
SELECT sent_at_ms FROM message INDEXED BY message_of_queue
WHERE queue_id = ?1 ORDER BY seq LIMIT 1";

const READY_GROUPS: &str = "
SELECT count(*) FROM message_group INDEXED BY message_group_ready
WHERE queue_id = ?1 AND ready_seq IS NOT NULL";

/// Groups that are blocked only by leases that have run out: the next receive frees them.
const FREED_GROUPS: &str = "
SELECT count(*) FROM (
    SELECT group_id FROM message INDEXED BY message_leased
    WHERE queue_id = ?1 AND lease_until_ms IS NOT NULL
    GROUP BY group_id HAVING max(lease_until_ms) <= ?2
)";

const DEAD: &str = "SELECT count(*) FROM dead WHERE queue_id = ?1";

pub(super) const DEAD_LETTERS: &str = "
SELECT seq, group_name, body, reason, receive_count, sent_at_ms, died_at_ms
FROM dead INDEXED BY dead_by_age
WHERE queue_id = ?1 ORDER BY died_at_ms, seq LIMIT ?2";

const FORGET_DEAD: &str = "DELETE FROM dead WHERE seq = ?1 AND queue_id = ?2";

/// Exact counts, all of one moment.
pub(super) fn counts(conn: &mut Connection, scope: &Scope) -> Result<Counts, OpError> {
    // A read transaction: every number is of the same state of the file.
    let tx = conn.transaction()?;
    let now_ms = scope.now_ms();
    let queue = scope.queue_id;
    let messages = count(&tx, MESSAGES, params![queue])?;
    let in_flight = count(&tx, IN_FLIGHT, params![queue, now_ms])?;
    let ready = count(&tx, READY_GROUPS, params![queue])?;
    let freed = count(&tx, FREED_GROUPS, params![queue, now_ms])?;
    let dead = count(&tx, DEAD, params![queue])?;
    let oldest_sent_at_ms: Option<i64> =
        tx.prepare_cached(OLDEST)?.query_row(params![queue], |row| row.get(0)).optional()?;
    tx.commit()?;
    Ok(Counts {
        visible: messages.saturating_sub(in_flight),
        in_flight,
        oldest_age: oldest_sent_at_ms.map(|sent_at_ms| age(sent_at_ms, now_ms)),
        runnable_groups: ready + freed,
        dead,
    })
}

/// Up to `limit` dead letters, the longest dead first.
pub(super) fn dead(
    conn: &Connection,
    scope: &Scope,
    limit: usize,
) -> Result<Vec<DeadMessage>, OpError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(DEAD_LETTERS)?;
    let rows = statement.query_map(params![scope.queue_id, limit], to_dead_message)?;
    let dead = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(dead)
}

/// Deletes one dead letter.
pub(super) fn forget_dead(
    conn: &Connection,
    scope: &Scope,
    id: &MessageId,
) -> Result<bool, OpError> {
    let Ok(seq) = id.as_str().parse::<i64>() else {
        return Ok(false);
    };
    // One statement is a transaction of its own, and begins as a write.
    let deleted = execute(conn, FORGET_DEAD, params![seq, scope.queue_id])?;
    Ok(deleted > 0)
}

fn count<P: Params>(conn: &Connection, sql: &str, params: P) -> rusqlite::Result<u64> {
    let mut statement = conn.prepare_cached(sql)?;
    let count: i64 = statement.query_row(params, |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Zero if the clock has been set back since.
fn age(since_ms: i64, now_ms: i64) -> Duration {
    let age_ms = now_ms.saturating_sub(since_ms);
    Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
}

fn to_dead_message(row: &Row<'_>) -> rusqlite::Result<DeadMessage> {
    let seq: i64 = row.get(0)?;
    Ok(DeadMessage {
        id: MessageId::new(seq.to_string()),
        group: row.get(1)?,
        body: row.get(2)?,
        reason: row.get(3)?,
        receive_count: row.get(4)?,
        sent_at_ms: row.get(5)?,
        died_at_ms: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_never_negative() {
        assert_eq!(age(1_000, 3_500), Duration::from_millis(2_500));
        assert_eq!(age(3_500, 1_000), Duration::ZERO);
    }
}
