//! What a receipt's holder can do: extend, release, delete, dead-letter.
//!
//! A receipt is the message's sequence number and its receive count. Each receive raises the
//! count and a sequence number is never used twice, not even in the file that follows a lost
//! one, so the pair names one lease for ever.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::failure::OpError;
use super::scope::{Scope, execute, millis};
use crate::contract::Receipt;
use crate::limits::MAX_VISIBILITY;

pub(super) const HELD: &str = "
SELECT group_id, received_at_ms FROM message
WHERE seq = ?1 AND queue_id = ?2 AND receive_count = ?3 AND lease_until_ms > ?4";

const LEASE_UNTIL: &str = "UPDATE message SET lease_until_ms = ?2 WHERE seq = ?1";

/// The body goes with it, by its foreign key.
pub(super) const DELETE: &str = "DELETE FROM message WHERE seq = ?1";

pub(super) const BURY: &str = "
INSERT INTO dead
    (seq, queue_id, group_name, body, reason, sent_at_ms, receive_count, died_at_ms)
SELECT m.seq, m.queue_id, g.name, b.text, ?2, m.sent_at_ms, m.receive_count, ?3
FROM message AS m
JOIN message_group AS g ON g.id = m.group_id
JOIN body AS b ON b.seq = m.seq
WHERE m.seq = ?1";

pub(super) const DROP_EMPTY_GROUP: &str = "
DELETE FROM message_group WHERE id = ?1 AND NOT EXISTS (
    SELECT 1 FROM message INDEXED BY message_of_group WHERE group_id = ?1
)";

pub(super) const REFRESH_GROUP: &str = "
UPDATE message_group SET ready_seq = CASE
    WHEN EXISTS (
        SELECT 1 FROM message INDEXED BY message_leased_of_group
        WHERE group_id = ?1 AND lease_until_ms IS NOT NULL
    ) THEN NULL
    ELSE (
        SELECT seq FROM message INDEXED BY message_of_group
        WHERE group_id = ?1 ORDER BY seq LIMIT 1
    )
END
WHERE id = ?1";

/// Sets the lease's end to `visibility` from now.
pub(super) fn extend(
    conn: &mut Connection,
    scope: &Scope,
    receipt: &Receipt,
    visibility: Duration,
) -> Result<(), OpError> {
    if visibility.is_zero() {
        return release(conn, scope, receipt);
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now_ms = scope.now_ms();
    let held = held(&tx, scope, receipt, now_ms)?;
    let lease_until_ms = now_ms.saturating_add(millis(visibility));
    if lease_until_ms > held.received_at_ms.saturating_add(millis(MAX_VISIBILITY)) {
        return Err(OpError::Invalid("a lease ends at most 12 hours after its receive"));
    }
    execute(&tx, LEASE_UNTIL, params![held.seq, lease_until_ms])?;
    tx.commit()?;
    Ok(())
}

/// Ends the lease now.
pub(super) fn release(
    conn: &mut Connection,
    scope: &Scope,
    receipt: &Receipt,
) -> Result<(), OpError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let held = held(&tx, scope, receipt, scope.now_ms())?;
    execute(&tx, LEASE_UNTIL, params![held.seq, None::<i64>])?;
    refresh_group(&tx, held.group_id)?;
    tx.commit()?;
    Ok(())
}

/// Deletes the message.
pub(super) fn delete(
    conn: &mut Connection,
    scope: &Scope,
    receipt: &Receipt,
) -> Result<(), OpError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let held = held(&tx, scope, receipt, scope.now_ms())?;
    execute(&tx, DELETE, params![held.seq])?;
    refresh_group(&tx, held.group_id)?;
    tx.commit()?;
    Ok(())
}

/// Moves the message to the dead letters.
pub(super) fn dead_letter(
    conn: &mut Connection,
    scope: &Scope,
    receipt: &Receipt,
    reason: &str,
) -> Result<(), OpError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now_ms = scope.now_ms();
    let held = held(&tx, scope, receipt, now_ms)?;
    bury(&tx, held.seq, held.group_id, reason, now_ms)?;
    tx.commit()?;
    Ok(())
}

/// Copies the message to the dead letters, deletes it, and lets its group go on.
pub(super) fn bury(
    tx: &Transaction<'_>,
    seq: i64,
    group_id: i64,
    reason: &str,
    now_ms: i64,
) -> Result<(), OpError> {
    execute(tx, BURY, params![seq, reason, now_ms])?;
    execute(tx, DELETE, params![seq])?;
    refresh_group(tx, group_id)
}

/// Brings the group's `ready_seq` in line with its messages, or drops the group if it has none.
pub(super) fn refresh_group(tx: &Transaction<'_>, group_id: i64) -> Result<(), OpError> {
    let dropped = execute(tx, DROP_EMPTY_GROUP, params![group_id])?;
    if dropped == 0 {
        execute(tx, REFRESH_GROUP, params![group_id])?;
    }
    Ok(())
}

/// The receipt for the `receive_count`th lease of message `seq`.
pub(super) fn receipt(seq: i64, receive_count: u32) -> Receipt {
    Receipt::new(format!("{seq}.{receive_count}"))
}

fn parse_receipt(receipt: &Receipt) -> Option<(i64, u32)> {
    let (seq, receive_count) = receipt.as_str().split_once('.')?;
    Some((seq.parse().ok()?, receive_count.parse().ok()?))
}

struct Held {
    seq: i64,
    group_id: i64,
    received_at_ms: i64,
}

/// The message that the receipt still holds. The lease may have run out without anybody having
/// noticed yet, so the time decides, not the presence of a lease.
fn held(
    tx: &Transaction<'_>,
    scope: &Scope,
    receipt: &Receipt,
    now_ms: i64,
) -> Result<Held, OpError> {
    let Some((seq, receive_count)) = parse_receipt(receipt) else {
        return Err(OpError::ReceiptExpired);
    };
    let mut statement = tx.prepare_cached(HELD)?;
    let held = statement
        .query_row(params![seq, scope.queue_id, receive_count, now_ms], |row| {
            Ok(Held { seq, group_id: row.get(0)?, received_at_ms: row.get(1)? })
        })
        .optional()?;
    held.ok_or(OpError::ReceiptExpired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_read_back() {
        assert_eq!(parse_receipt(&receipt(7, 3)), Some((7, 3)));
    }

    #[test]
    fn foreign_receipts_do_not() {
        for text in ["", "7", "7.", ".3", "7.x", "7.-1", "AQEB0x3f"] {
            assert_eq!(parse_receipt(&Receipt::new(text)), None, "{text}");
        }
    }
}
