//! What this handle knows of the leases it holds: the message, and until when the lease can last at most.
//!
//! SQS does not always refuse a dead receipt: a change of visibility after the lease's end may be answered
//! with success and do nothing, and a receipt that was released may be taken for the next holder's. So the
//! contract's word, that a dead receipt fails, is kept here first: past the latest moment at which the lease
//! can have ended, or once it was settled, SQS is not asked. SQS remains the judge of everything before that.
//!
//! It also holds the messages themselves: a dead letter is a copy, and a receipt alone does not carry one.

use super::failure::SqsFailure;
use feedfleet_queue::{MAX_VISIBILITY, Receipt, Received};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an ended lease is remembered: a heartbeat that was under way when its job settled comes a little
/// later.
const REMEMBERED: Duration = Duration::from_secs(20);
/// Ended leases are cleared away this often.
const CLEARED: Duration = Duration::from_secs(1);

/// The leases of one handle, by receipt.
#[derive(Debug)]
pub(super) struct Leases {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    by_receipt: HashMap<String, Lease>,
    cleared: Instant,
}

#[derive(Debug)]
struct Lease {
    /// Gone once it was settled.
    message: Option<Arc<Received>>,
    /// The latest moment of its receive: the answer's.
    received: Instant,
    /// The latest moment of its end.
    until: Instant,
}

impl Lease {
    fn is_over(&self, now: Instant) -> bool {
        self.message.is_none() || now >= self.until
    }
}

impl Leases {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { by_receipt: HashMap::new(), cleared: Instant::now() }) }
    }

    /// Notes leases that have just been answered.
    pub(super) fn hold(&self, messages: &[Received], visibility: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        if now.duration_since(state.cleared) >= CLEARED {
            state.cleared = now;
            state.by_receipt.retain(|_, lease| now < lease.until + REMEMBERED);
        }
        for message in messages {
            let lease = Lease {
                message: Some(Arc::new(message.clone())),
                received: now,
                until: now + visibility,
            };
            state.by_receipt.insert(message.receipt.as_str().to_owned(), lease);
        }
    }

    /// Refuses a receipt that is dead for certain. A receipt of another handle is for SQS to judge.
    pub(super) fn check(&self, receipt: &Receipt) -> Result<(), SqsFailure> {
        let now = Instant::now();
        match self.lock().by_receipt.get(receipt.as_str()) {
            Some(lease) if lease.is_over(now) => Err(SqsFailure::Expired),
            _ => Ok(()),
        }
    }

    /// Notes that the lease may last `visibility` from now, before SQS is asked for it.
    pub(super) fn extending(
        &self,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), SqsFailure> {
        let now = Instant::now();
        let mut state = self.lock();
        let Some(lease) = state.by_receipt.get_mut(receipt.as_str()) else { return Ok(()) };
        if lease.is_over(now) {
            return Err(SqsFailure::Expired);
        }
        if now + visibility > lease.received + MAX_VISIBILITY {
            return Err(SqsFailure::PastCeiling);
        }
        lease.until = lease.until.max(now + visibility);
        Ok(())
    }

    /// Notes that SQS has made the lease end `visibility` from a moment before now.
    pub(super) fn extended(&self, receipt: &Receipt, visibility: Duration) {
        let now = Instant::now();
        if let Some(lease) = self.lock().by_receipt.get_mut(receipt.as_str()) {
            lease.until = now + visibility;
        }
    }

    /// Notes that the lease has ended: its message was settled, or SQS says that the receipt is dead.
    pub(super) fn ended(&self, receipt: &Receipt) {
        let now = Instant::now();
        if let Some(lease) = self.lock().by_receipt.get_mut(receipt.as_str()) {
            lease.message = None;
            lease.until = now;
        }
    }

    /// How long the lease may last yet, in whole seconds; nothing, where that is not known.
    pub(super) fn left(&self, receipt: &Receipt) -> Duration {
        let now = Instant::now();
        let state = self.lock();
        let until = state.by_receipt.get(receipt.as_str()).map(|lease| lease.until);
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        Duration::from_secs(left.as_secs())
    }

    /// The message that the receipt holds.
    pub(super) fn message(&self, receipt: &Receipt) -> Result<Arc<Received>, SqsFailure> {
        let now = Instant::now();
        let state = self.lock();
        let held = state.by_receipt.get(receipt.as_str()).filter(|lease| !lease.is_over(now));
        held.and_then(|lease| lease.message.clone()).ok_or(SqsFailure::Expired)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step: whoever panicked left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_queue::MessageId;

    const LONG: Duration = Duration::from_secs(60);

    fn message(receipt: &str) -> Received {
        Received {
            id: MessageId::new("id"),
            group: "g".to_owned(),
            body: "body".to_owned(),
            receipt: Receipt::new(receipt),
            receive_count: 1,
            sent_at_ms: 1,
            first_received_at_ms: 2,
        }
    }

    #[test]
    fn a_lease_is_over_when_its_time_is_up_or_it_was_settled() {
        let leases = Leases::new();
        leases.hold(&[message("a")], LONG);
        leases.hold(&[message("b")], Duration::ZERO);
        let (a, b) = (Receipt::new("a"), Receipt::new("b"));
        assert_eq!(leases.check(&a), Ok(()));
        assert_eq!(leases.message(&a).unwrap().body, "body");
        assert_eq!(leases.check(&b), Err(SqsFailure::Expired));
        assert_eq!(leases.extending(&b, LONG), Err(SqsFailure::Expired), "it does not come back");
        assert_eq!(leases.message(&b), Err(SqsFailure::Expired));

        leases.ended(&a);
        assert_eq!(leases.check(&a), Err(SqsFailure::Expired));
        assert_eq!(leases.message(&a), Err(SqsFailure::Expired));
    }

    #[test]
    fn an_extension_may_shorten_once_sqs_has_agreed() {
        let leases = Leases::new();
        let a = Receipt::new("a");
        leases.hold(&[message("a")], LONG);
        assert_eq!(leases.extending(&a, Duration::ZERO), Ok(()));
        assert_eq!(leases.check(&a), Ok(()), "SQS may not have heard of it");
        leases.extended(&a, Duration::ZERO);
        assert_eq!(leases.check(&a), Err(SqsFailure::Expired));
    }

    #[test]
    fn what_is_left_of_a_lease_never_asks_for_more_of_it() {
        let leases = Leases::new();
        let a = Receipt::new("a");
        leases.hold(&[message("a")], MAX_VISIBILITY);
        let left = leases.left(&a);
        assert!(left < MAX_VISIBILITY && left + LONG > MAX_VISIBILITY, "{left:?}");
        assert_eq!(leases.extending(&a, left), Ok(()), "within the ceiling");
        assert_eq!(leases.left(&Receipt::new("foreign")), Duration::ZERO);
    }

    #[test]
    fn no_lease_lasts_longer_than_twelve_hours_from_its_receive() {
        let leases = Leases::new();
        let a = Receipt::new("a");
        leases.hold(&[message("a")], LONG);
        let rest = MAX_VISIBILITY - Duration::from_secs(1);
        assert_eq!(leases.extending(&a, rest), Ok(()));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(leases.extending(&a, MAX_VISIBILITY), Err(SqsFailure::PastCeiling));
        assert_eq!(leases.check(&a), Ok(()), "a refusal leaves the lease as it was");
    }

    #[test]
    fn receipts_of_other_handles_are_left_to_sqs_and_cannot_be_copied() {
        let leases = Leases::new();
        let foreign = Receipt::new("foreign");
        assert_eq!(leases.check(&foreign), Ok(()));
        assert_eq!(leases.extending(&foreign, LONG), Ok(()));
        assert_eq!(leases.message(&foreign), Err(SqsFailure::Expired));
    }
}
