//! Several crawls of one host, by different workers, keep its delay together without talking: the clock deals out the
//! time, and each begins its requests in slots of its own.

use crate::moment::later;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Which part of the time is a crawl's.
///
/// A round has a slot for each crawl, which the host's delay and some slack apart. A request begins within the slack of its
/// slot, so that two of neighbouring slots are never closer than the delay, as far as the clocks agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Which crawl, from 0.
    pub nth: u32,
    /// Of how many.
    pub of: u32,
    /// The least time between two requests to the host.
    pub delay: Duration,
}

/// The longest slack. It is a quarter of the delay, where that is less: a worker wakes up so late at most, or waits for its
/// next slot.
const MAX_SLACK: Duration = Duration::from_millis(250);
/// The shortest: timers are not more exact.
const MIN_SLACK: Duration = Duration::from_millis(10);

impl Slot {
    /// The first moment from this one on at which a request may begin.
    pub fn next(self, from: DateTime<Utc>) -> DateTime<Utc> {
        if self.of < 2 || self.delay.is_zero() {
            return from;
        }
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 8);
        let slack = micros((self.delay / 4).clamp(MIN_SLACK, MAX_SLACK));
        let apart = micros(self.delay).saturating_add(slack);
        let round = apart.saturating_mul(i64::from(self.of));
        let begins = apart.saturating_mul(i64::from(self.nth));
        let into = from.timestamp_micros().saturating_sub(begins).rem_euclid(round);
        if into < slack {
            return from;
        }
        later(from, Duration::from_micros((round - into).unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    const DELAY: Duration = Duration::from_secs(1);

    fn slot(nth: u32, of: u32) -> Slot {
        Slot { nth, of, delay: DELAY }
    }

    #[test]
    fn requests_of_several_crawls_are_never_closer_than_the_delay() {
        let begin = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        for of in 2..5 {
            let mut requests: Vec<DateTime<Utc>> = Vec::new();
            for nth in 0..of {
                let mut at = begin;
                for late_millis in [0, 40, 249, 100, 3] {
                    at = slot(nth, of).next(at);
                    assert_eq!(slot(nth, of).next(at), at, "it is its turn");
                    let woken = at + TimeDelta::milliseconds(late_millis);
                    let woken = slot(nth, of).next(woken);
                    requests.push(woken);
                    at = later(woken, DELAY * of);
                }
            }
            requests.sort();
            for pair in requests.windows(2) {
                assert!(pair[1] - pair[0] >= TimeDelta::seconds(1), "{of}: {requests:?}");
            }
            let took = requests[requests.len() - 1] - requests[0];
            assert!(took <= TimeDelta::milliseconds(1_250) * 5 * of as i32, "{of}: {took}");
        }
    }

    #[test]
    fn short_delays_leave_time_to_wake_up() {
        let begin = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let slot = Slot { delay: Duration::from_millis(1), ..slot(1, 2) };
        let (mut at, mut requests) = (begin, 0);
        while at < begin + TimeDelta::seconds(1) {
            let woken = slot.next(at) + TimeDelta::milliseconds(3);
            requests += u32::from(slot.next(woken) == woken);
            at = later(woken, slot.delay * slot.of);
        }
        // A round takes 22 ms.
        assert!(requests >= 44, "{requests}");
    }

    #[test]
    fn who_is_too_late_waits_for_the_next_round() {
        let at = slot(1, 2).next(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let late = at + TimeDelta::milliseconds(250);
        assert_eq!(slot(1, 2).next(late), at + TimeDelta::milliseconds(2_500));
    }

    #[test]
    fn who_is_alone_or_need_not_wait_has_all_the_time() {
        let now = DateTime::from_timestamp(1_700_000_000, 600_000_000).unwrap();
        assert_eq!(slot(0, 1).next(now), now);
        assert_eq!(Slot { delay: Duration::ZERO, ..slot(1, 2) }.next(now), now);
        let longest = Slot { delay: Duration::MAX, ..slot(1, 2) };
        assert!(longest.next(now) >= now);
        let shortest = Slot { delay: Duration::from_nanos(1), ..slot(1, 2) };
        assert!(shortest.next(now) < now + TimeDelta::milliseconds(21));
    }
}
