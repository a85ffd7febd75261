//! How gently a group of instances is led to the number of workers that there should be. No backend is in it: the group
//! on Auto Scaling goes by it, and so does the simulation of one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A group shrinks to the most that was wanted within this time. An instance takes a minute or two to start and is
/// paid for a minute at least: one that is let go and missed half a minute later costs more than one that waits.
const SCALE_IN_AFTER: Duration = Duration::from_secs(60);
/// A group that has been told to have more, and has got no further for this long, cannot grow. An instance starts
/// in one to three minutes.
pub const SHORT_AFTER: Duration = Duration::from_secs(300);

/// What was wanted, and what came of it. Two schedulers at once each have their own; the group then follows the
/// one that wants more, since none lets it shrink before its own time.
#[derive(Debug)]
pub struct Pacing {
    began: Instant,
    /// What was wanted lately, and when.
    lately: VecDeque<(Instant, u32)>,
    /// Since when the group is too small without getting further, and the most there were until then.
    waiting: Option<(Instant, u32)>,
}

impl Pacing {
    /// A pacing that begins now, knowing nothing of what was wanted before.
    pub fn new(now: Instant) -> Self {
        Self { began: now, lately: VecDeque::new(), waiting: None }
    }

    /// The number that the group should be told: at once where more are wanted. Fewer only after a while, and not
    /// fewer than are `busy`: Auto Scaling spares those that are protected, and would keep trying.
    pub fn target(&mut self, now: Instant, wanted: u32, desired: u32, busy: u32) -> u32 {
        self.lately.push_back((now, wanted));
        while self.lately.front().is_some_and(|(then, _)| now - *then > SCALE_IN_AFTER) {
            self.lately.pop_front();
        }
        if wanted >= desired {
            return wanted;
        }
        // A scheduler that has just begun does not know what was wanted before.
        if now - self.began < SCALE_IN_AFTER {
            return desired;
        }
        let most = self.lately.iter().map(|(_, wanted)| *wanted).max().unwrap_or(wanted);
        most.max(busy).min(desired)
    }

    /// How many instances are missing, once the group has got no further for a while. One that takes the place of one
    /// that was taken away is no step further.
    pub fn short(&mut self, now: Instant, target: u32, in_service: u32) -> u32 {
        if in_service >= target {
            self.waiting = None;
            return 0;
        }
        let (since, most) = match self.waiting {
            Some((since, most)) if in_service <= most => (since, most),
            _ => (now, in_service),
        };
        self.waiting = Some((since, most));
        if now - since >= SHORT_AFTER { target - in_service } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pacing that began at `start`, and moments after it.
    fn pacing() -> (Pacing, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        (Pacing::new(start), move |secs| start + Duration::from_secs(secs))
    }

    #[test]
    fn it_grows_at_once_and_shrinks_to_the_most_of_the_last_minute() {
        let (mut pacing, at) = pacing();
        assert_eq!(pacing.target(at(0), 4, 0, 0), 4, "from zero");
        assert_eq!(pacing.target(at(30), 0, 4, 4), 4, "too soon after the beginning");
        assert_eq!(pacing.target(at(50), 2, 4, 1), 4);
        assert_eq!(pacing.target(at(61), 0, 4, 1), 2, "two were wanted ten seconds ago");
        assert_eq!(pacing.target(at(80), 0, 2, 1), 2);
        assert_eq!(pacing.target(at(115), 0, 2, 1), 1, "one is busy");
        assert_eq!(pacing.target(at(120), 0, 1, 0), 0, "to zero");
        assert_eq!(pacing.target(at(121), 3, 0, 0), 3);
    }

    #[test]
    fn a_new_scheduler_lets_what_it_finds_alone_for_a_while() {
        let (mut pacing, at) = pacing();
        for secs in [0, 20, 40, 59] {
            assert_eq!(pacing.target(at(secs), 0, 3, 0), 3);
        }
        assert_eq!(pacing.target(at(60), 0, 3, 0), 0);
    }

    #[test]
    fn a_group_that_cannot_grow_is_told_from_one_that_is_growing() {
        let (mut pacing, at) = pacing();
        assert_eq!(pacing.short(at(0), 4, 0), 0);
        assert_eq!(pacing.short(at(299), 4, 0), 0);
        assert_eq!(pacing.short(at(300), 4, 0), 4);
        assert_eq!(pacing.short(at(301), 4, 1), 0, "one has come");
        assert_eq!(pacing.short(at(600), 4, 1), 0);
        assert_eq!(pacing.short(at(601), 4, 1), 3);
        assert_eq!(pacing.short(at(602), 4, 0), 4, "one was taken away");
        assert_eq!(pacing.short(at(603), 0, 0), 0, "no longer wanted");
        assert_eq!(pacing.short(at(604), 1, 0), 0, "counted anew");
    }

    #[test]
    fn instances_that_only_replace_those_taken_away_are_no_growth() {
        let (mut pacing, at) = pacing();
        for (minute, in_service) in [4, 3, 4, 2, 4].into_iter().enumerate() {
            let secs = minute as u64 * 60;
            assert_eq!(pacing.short(at(secs), 6, in_service), 0, "{secs}");
        }
        assert_eq!(pacing.short(at(300), 6, 3), 3);
        assert_eq!(pacing.short(at(301), 6, 5), 0, "further than ever");
    }
}
