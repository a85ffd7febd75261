//! Receiving: clear leases that ran out, pick the oldest of the runnable groups, lease.

use std::mem;
use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};
use tracing::warn;

use super::failure::OpError;
use super::scope::{Scope, execute, millis};
use super::settle::{self, bury, refresh_group};
use super::thread::DatabaseThread;
use crate::contract::{MessageId, Receipt, Receive, Received};

/// Whether a receive could find anything: a runnable group, or a lease that ran out.
pub(super) const ANYTHING: &str = "
SELECT EXISTS (
    SELECT 1 FROM message_group INDEXED BY message_group_ready
    WHERE queue_id = ?1 AND ready_seq IS NOT NULL
) OR EXISTS (
    SELECT 1 FROM message INDEXED BY message_leased
    WHERE queue_id = ?1 AND lease_until_ms IS NOT NULL AND lease_until_ms <= ?2
)";

pub(super) const END_LEASES: &str = "
UPDATE message INDEXED BY message_leased SET lease_until_ms = NULL
WHERE queue_id = ?1 AND lease_until_ms IS NOT NULL AND lease_until_ms <= ?2
RETURNING group_id";

pub(super) const RUNNABLE_GROUPS: &str = "
SELECT id FROM message_group INDEXED BY message_group_ready
WHERE queue_id = ?1 AND ready_seq IS NOT NULL ORDER BY ready_seq LIMIT ?2";

pub(super) const FIRST_OF_GROUP: &str = "
SELECT seq, receive_count FROM message INDEXED BY message_of_group
WHERE group_id = ?1 ORDER BY seq LIMIT ?2";

pub(super) const LEASE: &str = "
UPDATE message SET
    receive_count = receive_count + 1,
    first_received_at_ms = coalesce(first_received_at_ms, ?2),
    received_at_ms = ?2,
    lease_until_ms = ?3
WHERE seq = ?1";

const BLOCK_GROUP: &str = "UPDATE message_group SET ready_seq = NULL WHERE id = ?1";

pub(super) const READ: &str = "
SELECT m.seq, g.name, b.text, m.receive_count, m.sent_at_ms, m.first_received_at_ms
FROM message AS m
JOIN message_group AS g ON g.id = m.group_id
JOIN body AS b ON b.seq = m.seq
WHERE m.seq = ?1";

/// Leases what a valid request asks for, as far as it is there now; ignores its wait.
pub(super) fn receive(
    conn: &mut Connection,
    scope: &Scope,
    request: &Receive,
) -> Result<Vec<Received>, OpError> {
    // A look without the write lock, so that idle receivers stand in nobody's way.
    if !is_anything(conn, scope)? {
        return Ok(Vec::new());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now_ms = scope.now_ms();
    end_leases(&tx, scope, now_ms)?;
    let mut buried = Vec::new();
    let picked = loop {
        let (exhausted, picked): (Vec<_>, Vec<_>) = oldest_runnable(&tx, scope, request.max)?
            .into_iter()
            .partition(|candidate| candidate.receive_count >= scope.max_receives);
        if exhausted.is_empty() {
            break picked;
        }
        // The groups go on without them, so the choice is made anew.
        for candidate in &exhausted {
            let reason =
                format!("received {} times without being settled", candidate.receive_count);
            bury(&tx, candidate.seq, candidate.group_id, &reason, now_ms)?;
            buried.push((candidate.seq, reason));
        }
    };
    let lease_until_ms = now_ms.saturating_add(millis(request.visibility));
    let mut received = Vec::with_capacity(picked.len());
    for candidate in &picked {
        execute(&tx, LEASE, params![candidate.seq, now_ms, lease_until_ms])?;
        execute(&tx, BLOCK_GROUP, params![candidate.group_id])?;
        let mut statement = tx.prepare_cached(READ)?;
        received.push(statement.query_row(params![candidate.seq], to_received)?);
    }
    tx.commit()?;
    for (seq, reason) in buried {
        warn!(queue = %scope.label, message_id = seq, %reason, "dead-lettered");
    }
    Ok(received)
}

struct Candidate {
    seq: i64,
    group_id: i64,
    receive_count: u32,
}

fn is_anything(conn: &Connection, scope: &Scope) -> Result<bool, OpError> {
    let mut statement = conn.prepare_cached(ANYTHING)?;
    let now_ms = scope.now_ms();
    let anything = statement.query_row(params![scope.queue_id, now_ms], |row| row.get(0))?;
    Ok(anything)
}

/// Makes messages whose lease ran out visible, and their groups runnable.
fn end_leases(tx: &Transaction<'_>, scope: &Scope, now_ms: i64) -> Result<(), OpError> {
    let mut statement = tx.prepare_cached(END_LEASES)?;
    let mut groups = statement
        .query_map(params![scope.queue_id, now_ms], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    groups.sort_unstable();
    groups.dedup();
    for group_id in groups {
        refresh_group(tx, group_id)?;
    }
    Ok(())
}

/// The first `max` messages of all runnable groups together, in the order of sending. Those are
/// among the first `max` messages of the `max` groups whose heads are oldest.
fn oldest_runnable(
    tx: &Transaction<'_>,
    scope: &Scope,
    max: usize,
) -> Result<Vec<Candidate>, OpError> {
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut runnable = tx.prepare_cached(RUNNABLE_GROUPS)?;
    let groups = runnable
        .query_map(params![scope.queue_id, limit], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut first_of_group = tx.prepare_cached(FIRST_OF_GROUP)?;
    let mut candidates = Vec::new();
    for group_id in groups {
        let rows = first_of_group.query_map(params![group_id, limit], |row| {
            Ok(Candidate { seq: row.get(0)?, group_id, receive_count: row.get(1)? })
        })?;
        for candidate in rows {
            candidates.push(candidate?);
        }
    }
    candidates.sort_unstable_by_key(|candidate| candidate.seq);
    candidates.truncate(max);
    Ok(candidates)
}

fn to_received(row: &Row<'_>) -> rusqlite::Result<Received> {
    let seq: i64 = row.get(0)?;
    let receive_count: u32 = row.get(3)?;
    Ok(Received {
        id: MessageId::new(seq.to_string()),
        group: row.get(1)?,
        body: row.get(2)?,
        receipt: settle::receipt(seq, receive_count),
        receive_count,
        sent_at_ms: row.get(4)?,
        first_received_at_ms: row.get(5)?,
    })
}

/// Leased messages on their way to the caller. If the caller is gone when they arrive (a
/// receive dropped at shutdown), they are released, not left to the end of their lease.
pub(super) struct Delivery {
    received: Vec<Received>,
    thread: DatabaseThread,
    scope: Arc<Scope>,
}

impl Delivery {
    pub(super) fn new(received: Vec<Received>, thread: DatabaseThread, scope: Arc<Scope>) -> Self {
        Self { received, thread, scope }
    }

    /// The messages, now the caller's.
    pub(super) fn claim(mut self) -> Vec<Received> {
        mem::take(&mut self.received)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.received.is_empty() {
            return;
        }
        let unclaimed = mem::take(&mut self.received);
        let receipts: Vec<Receipt> = unclaimed.into_iter().map(|one| one.receipt).collect();
        let scope = Arc::clone(&self.scope);
        let posted = self.thread.post(move |conn| {
            for receipt in &receipts {
                if let Err(error) = settle::release(conn, &scope, receipt) {
                    warn!(queue = %scope.label, %error, "could not give back an unclaimed message");
                }
            }
        });
        if let Err(error) = posted {
            warn!(queue = %self.scope.label, %error, "could not give back unclaimed messages");
        }
    }
}
