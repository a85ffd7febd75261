//! Receipts on their way into the table `images`: when the last one is in it, and what that asks of the store.

use super::requests::Requests;
use crate::fold::MAX_RECEIPTS;
use crate::store::StoreUse;
use std::collections::BTreeMap;

/// A receipt is read and deleted, each in so long.
const REQUEST_MS: u64 = 30;
/// A commit to the table reads its log and the pipe's keys, and writes: one after the other.
const COMMIT_MS: u64 = 1_000;

/// The scheduler's folding of receipts.
#[derive(Debug, Default)]
pub(super) struct Folding {
    /// Receipts that wait, by pipe.
    waiting: BTreeMap<usize, u64>,
    /// When the next folding begins, at the earliest.
    next: u64,
    /// When the last folding was done.
    done: Option<u64>,
}

impl Folding {
    /// A job of this pipe has left its receipt.
    pub(super) fn receipt(&mut self, pipe: usize) {
        *self.waiting.entry(pipe).or_default() += 1;
    }

    /// Begins a folding, if it is time.
    pub(super) fn tick(&mut self, now: u64, requests: &mut Requests) {
        if now >= self.next {
            self.fold(now, requests);
        }
    }

    /// The night is over: what waits is folded. When the last folding was done.
    pub(super) fn close(mut self, now: u64, requests: &mut Requests) -> Option<u64> {
        self.fold(now.max(self.next), requests);
        self.done
    }

    fn fold(&mut self, now: u64, requests: &mut Requests) {
        let receipts: u64 = self.waiting.values().sum();
        let interval =
            u64::try_from(StoreUse::BUCKET.fold_interval.as_millis()).unwrap_or(u64::MAX);
        let mut taken = 0;
        if receipts > 0 {
            // One for each pipe, and one more for each that lies across two steps.
            let commits = self.waiting.len() as u64 + receipts / MAX_RECEIPTS as u64;
            requests.folded(receipts, commits);
            let side_by_side = StoreUse::BUCKET.at_once as u64;
            taken = (2 * receipts * REQUEST_MS).div_ceil(side_by_side) + commits * COMMIT_MS;
            self.done = Some(now + taken);
            self.waiting.clear();
        }
        self.next = now + taken.max(interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_folded_pipe_by_pipe_and_not_before_the_last_folding_is_done() {
        let (mut folding, mut requests) = (Folding::default(), Requests::default());
        folding.tick(0, &mut requests);
        assert_eq!(requests, Requests::default(), "nothing waits");
        for pipe in [0, 0, 1] {
            folding.receipt(pipe);
        }
        folding.tick(29_999, &mut requests);
        assert_eq!(requests, Requests::default(), "not yet");
        folding.tick(30_000, &mut requests);
        let once = requests;
        assert!(once.s3_put > 0);
        // Two commits, and three receipts read and deleted side by side.
        assert_eq!(folding.done, Some(30_000 + 2_000 + 6));
        for pipe in 0..100 {
            folding.receipt(pipe);
        }
        folding.tick(60_000, &mut requests);
        folding.receipt(0);
        folding.tick(90_000, &mut requests);
        let long = 100_000 + 188;
        assert_eq!(folding.done, Some(60_000 + long), "the one of before goes on");
        assert_eq!(folding.close(100_000, &mut requests), Some(60_000 + long + 1_000 + 2));
        assert_eq!(requests.s3_put, once.s3_put / 2 * 103);
    }
}
