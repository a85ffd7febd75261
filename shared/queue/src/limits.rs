//! The contract's limits, and the checks that every backend makes before it does anything.

use std::time::Duration;

use crate::contract::{NewMessage, Receive};
use crate::error::QueueError;

/// Most messages in one send and in one receive.
pub const MAX_BATCH: usize = 10;
/// Longest message body, in bytes of UTF-8 (1 MiB).
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest group and longest deduplication id, in bytes of printable ASCII.
pub const MAX_NAME_BYTES: usize = 128;
/// Longest visibility timeout, and the ceiling of one lease counted from its receive (12 hours).
pub const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);
/// Longest wait of one receive.
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// How long a deduplication id is remembered, counted from the send that was delivered.
pub const DEDUP_WINDOW: Duration = Duration::from_secs(5 * 60);

impl NewMessage {
    /// Checks the limits; for backends. `queue` names the queue in the error.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] and [`QueueError::TooLarge`].
    pub fn validate(&self, queue: &str) -> Result<(), QueueError> {
        validate_name(queue, "a message group", &self.group)?;
        validate_name(queue, "a deduplication id", &self.dedup_id)?;
        let bytes = self.body.len();
        if bytes > MAX_BODY_BYTES {
            return Err(QueueError::TooLarge {
                queue: queue.to_owned(),
                bytes,
                limit: MAX_BODY_BYTES,
            });
        }
        if self.body.is_empty() || self.body.chars().any(is_refused_in_bodies) {
            return Err(invalid(queue, "a body is empty or holds a character SQS refuses"));
        }
        Ok(())
    }
}

impl Receive {
    /// Checks the limits; for backends. `queue` names the queue in the error.
    ///
    /// # Errors
    /// [`QueueError::Invalid`].
    pub fn validate(&self, queue: &str) -> Result<(), QueueError> {
        if !(1..=MAX_BATCH).contains(&self.max) {
            return Err(invalid(queue, "a receive takes 1 to 10 messages"));
        }
        if self.visibility.is_zero() {
            return Err(invalid(queue, "the visibility timeout of a receive is more than zero"));
        }
        if self.wait > MAX_WAIT {
            return Err(invalid(queue, "a receive waits at most 20 seconds"));
        }
        validate_visibility(queue, self.visibility)
    }
}

/// Checks a batch to send; for backends. `queue` names the queue in the error.
///
/// # Errors
/// [`QueueError::Invalid`] and [`QueueError::TooLarge`].
pub fn validate_batch(queue: &str, batch: &[NewMessage]) -> Result<(), QueueError> {
    if batch.len() > MAX_BATCH {
        return Err(invalid(queue, "a batch holds at most 10 messages"));
    }
    batch.iter().try_for_each(|message| message.validate(queue))
}

/// Checks a visibility timeout; for backends. `queue` names the queue in the error.
///
/// # Errors
/// [`QueueError::Invalid`] if it is over [`MAX_VISIBILITY`].
pub fn validate_visibility(queue: &str, visibility: Duration) -> Result<(), QueueError> {
    if visibility > MAX_VISIBILITY {
        return Err(invalid(queue, "a visibility timeout is at most 12 hours"));
    }
    Ok(())
}

/// Checks a group, a deduplication id or a queue's name, which `subject` says.
pub(crate) fn validate_name(queue: &str, subject: &str, name: &str) -> Result<(), QueueError> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let rule = "is 1 to 128 characters of printable ASCII without spaces";
    Err(invalid(queue, &format!("{subject} {rule}, not {name:?}")))
}

fn invalid(queue: &str, what: &str) -> QueueError {
    QueueError::Invalid { queue: queue.to_owned(), what: what.to_owned() }
}

fn is_refused_in_bodies(c: char) -> bool {
    let control = c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    control || matches!(c, '\u{FFFE}' | '\u{FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(group: &str, dedup_id: &str, body: &str) -> NewMessage {
        NewMessage { group: group.to_owned(), dedup_id: dedup_id.to_owned(), body: body.to_owned() }
    }

    #[test]
    fn names_are_printable_ascii_of_bounded_length() {
        let longest = "x".repeat(MAX_NAME_BYTES);
        for name in ["a", "shop.example#3", "~!", longest.as_str()] {
            assert!(message(name, name, "{}").validate("q").is_ok(), "{name}");
        }
        let too_long = "x".repeat(MAX_NAME_BYTES + 1);
        for name in ["", "a b", "ä", "a\n", too_long.as_str()] {
            assert!(message(name, "d", "{}").validate("q").is_err(), "{name}");
            assert!(message("g", name, "{}").validate("q").is_err(), "{name}");
        }
    }

    #[test]
    fn bodies_are_bounded_and_free_of_control_characters() {
        let longest = "x".repeat(MAX_BODY_BYTES);
        for body in ["{}", "tab\tline\r\n", "äöü \u{FFFD} 😀", longest.as_str()] {
            assert!(message("g", "d", body).validate("q").is_ok());
        }
        for body in ["", "\0", "\u{1b}", "\u{FFFF}"] {
            let error = message("g", "d", body).validate("q");
            assert!(matches!(error, Err(QueueError::Invalid { .. })), "{body:?}");
        }
        let over = "x".repeat(MAX_BODY_BYTES + 1);
        let error = message("g", "d", &over).validate("q");
        assert!(matches!(error, Err(QueueError::TooLarge { .. })));
    }

    #[test]
    fn a_receive_has_limits() {
        let good = Receive { max: 1, visibility: Duration::from_secs(1), wait: Duration::ZERO };
        assert!(good.validate("q").is_ok());
        let over = Duration::from_secs(1);
        let bad = [
            Receive { max: 0, ..good },
            Receive { max: 11, ..good },
            Receive { visibility: Duration::ZERO, ..good },
            Receive { visibility: MAX_VISIBILITY + over, ..good },
            Receive { wait: MAX_WAIT + over, ..good },
        ];
        for request in bad {
            assert!(request.validate("q").is_err(), "{request:?}");
        }
    }
}
