//! How fast one host is asked: never more requests at once, and never closer together, than it allows, and slower
//! when it says or shows that it has enough.
//!
//! - 429 and 503 double the gap between requests (at least [`MIN_SLOW_GAP`], at most [`MAX_GAP`]), halve the requests
//!   at once, and stop all of them for `Retry-After`, or for the new gap. Answers to requests that began before the
//!   last slowing down don't slow down again: they tell of the old pace. `Retry-After` counts with any other status, too.
//! - When answers take [`SLOW_FACTOR`] times as long as the host's best, on average and the last one too, the gap grows by a quarter, at most to
//!   [`MAX_LATENCY_GAP`].
//! - [`GOOD_ANSWERS`] quick answers in a row shrink the gap by a fifth, down to what is allowed, and give back one
//!   request at once.

use crate::moment::later;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The gap after a first 429 or 503.
pub const MIN_SLOW_GAP: Duration = Duration::from_secs(1);
/// The longest gap that a host's refusals make.
pub const MAX_GAP: Duration = Duration::from_secs(300);
/// The longest gap that slow answers make.
pub const MAX_LATENCY_GAP: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is believed.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How many times slower than its best a host may be before it counts as slow.
pub const SLOW_FACTOR: u32 = 3;
/// Good answers in a row that make the pace quicker again.
pub const GOOD_ANSWERS: u32 = 10;
/// A host is not slow when it is slower by less than this: noise, on a quick one.
const SLOW_MARGIN: Duration = Duration::from_millis(50);
/// The first gap that slow answers make.
const FIRST_LATENCY_GAP: Duration = Duration::from_millis(20);
/// Answers after which a host's usual speed is known.
const WARM_UP: u32 = 8;
/// The best latency drifts upwards by this part of the difference, so that one quick answer long ago (a redirect,
/// an error page) does not make every page slow.
const BEST_DRIFT: u32 = 64;
/// The mean latency moves by this part of the difference.
const MEAN_WEIGHT: u32 = 8;

/// What a host allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Requests at once; at least 1.
    pub at_once: u32,
    /// Time between the starts of two requests: the pipe's, or the `Crawl-delay` of robots.txt if that is longer.
    pub gap: Duration,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status; none without an answer.
    pub status: Option<u16>,
    /// From the request to the first byte of the answer, or to the failure.
    pub latency: Duration,
    /// The answer's `Retry-After`, as time from now.
    pub retry_after: Option<Duration>,
}

/// When the next request may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// At this moment, which is not before the one asked for.
    At(DateTime<Utc>),
    /// When one of those under way has ended.
    WhenOneEnds,
}

/// The pace of one host. What it has learnt can be saved; restored, it knows of no request under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    allowance: Allowance,
    gap: Duration,
    at_once: u32,
    #[serde(skip)]
    under_way: u32,
    last_start: Option<DateTime<Utc>>,
    paused_until: Option<DateTime<Utc>>,
    slowed_at: Option<DateTime<Utc>>,
    best_latency: Option<Duration>,
    mean_latency: Duration,
    answers: u32,
    good_in_a_row: u32,
}

impl Pace {
    /// A pace as quick as is allowed.
    pub fn new(allowance: Allowance) -> Self {
        let allowance = Allowance { at_once: allowance.at_once.max(1), ..allowance };
        Self {
            allowance,
            gap: allowance.gap,
            at_once: allowance.at_once,
            under_way: 0,
            last_start: None,
            paused_until: None,
            slowed_at: None,
            best_latency: None,
            mean_latency: Duration::ZERO,
            answers: 0,
            good_in_a_row: 0,
        }
    }

    /// Sets what is allowed from now on; what was learnt stays.
    pub fn allow(&mut self, allowance: Allowance) {
        let is_learnt = self.gap > self.allowance.gap;
        self.allowance = Allowance { at_once: allowance.at_once.max(1), ..allowance };
        self.gap = if is_learnt { self.gap.max(allowance.gap) } else { allowance.gap };
        self.at_once = self.at_once.min(self.allowance.at_once);
    }

    /// When the next request may begin.
    pub fn ready_at(&self, now: DateTime<Utc>) -> Ready {
        if self.under_way >= self.at_once {
            return Ready::WhenOneEnds;
        }
        // A start that is yet to come was by a clock that has been set back since.
        let last_start = self.last_start.filter(|start| *start <= now);
        let after_gap = last_start.map(|start| later(start, self.gap));
        let earliest = after_gap.max(self.paused_until);
        Ready::At(earliest.map_or(now, |earliest| earliest.max(now)))
    }

    /// Says that a request begins, which [`Pace::ready_at`] allowed.
    pub fn began(&mut self, now: DateTime<Utc>) {
        self.under_way += 1;
        self.last_start = Some(now);
    }

    /// Says that a request ended.
    pub fn ended(&mut self, now: DateTime<Utc>, answer: &Answer) {
        self.under_way = self.under_way.saturating_sub(1);
        let is_refusal = matches!(answer.status, Some(429 | 503));
        if is_refusal {
            self.refused(now, answer);
            return;
        }
        if let Some(wait) = answer.retry_after {
            self.pause(now, wait);
        }
        // An answer that never came says nothing of the host's speed but that it is no good one.
        let is_slow = match answer.status {
            Some(_) => self.is_slow(answer.latency),
            None => true,
        };
        if !is_slow {
            self.quicken();
            return;
        }
        self.good_in_a_row = 0;
        if self.is_news(now, answer.latency) {
            self.slowed_at = Some(now);
            let longer = (self.gap + self.gap / 4).max(FIRST_LATENCY_GAP);
            self.gap = longer.min(MAX_LATENCY_GAP.max(self.gap));
        }
    }

    /// Until when the host is left alone, if it is.
    pub fn paused_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.paused_until.filter(|until| *until > now)
    }

    /// The time between two requests, as it is now.
    pub fn gap(&self) -> Duration {
        self.gap
    }

    /// The requests at once, as it is now.
    pub fn at_once(&self) -> u32 {
        self.at_once
    }

    fn refused(&mut self, now: DateTime<Utc>, answer: &Answer) {
        self.good_in_a_row = 0;
        if self.is_news(now, answer.latency) {
            self.slowed_at = Some(now);
            let longer = self.gap.saturating_mul(2).max(MIN_SLOW_GAP);
            self.gap = longer.min(MAX_GAP.max(self.gap));
            self.at_once = (self.at_once / 2).max(1);
        }
        self.pause(now, answer.retry_after.unwrap_or(self.gap));
    }

    fn pause(&mut self, now: DateTime<Utc>, wait: Duration) {
        self.paused_until = self.paused_until.max(Some(later(now, wait.min(MAX_RETRY_AFTER))));
    }

    /// Whether the request began after the last slowing down.
    fn is_news(&self, now: DateTime<Utc>, latency: Duration) -> bool {
        let latency = TimeDelta::from_std(latency).unwrap_or(TimeDelta::MAX);
        let began = now.checked_sub_signed(latency);
        self.slowed_at.is_none_or(|slowed| began.is_some_and(|began| began >= slowed))
    }

    /// Learns an answer's latency; whether the host has become slow.
    fn is_slow(&mut self, latency: Duration) -> bool {
        let best = match self.best_latency {
            Some(best) if latency > best => best + (latency - best) / BEST_DRIFT,
            _ => latency,
        };
        self.best_latency = Some(best);
        self.mean_latency = if self.answers == 0 {
            latency
        } else {
            self.mean_latency - self.mean_latency / MEAN_WEIGHT + latency / MEAN_WEIGHT
        };
        self.answers = self.answers.saturating_add(1);
        let limit = best.saturating_mul(SLOW_FACTOR) + SLOW_MARGIN;
        self.answers >= WARM_UP && self.mean_latency > limit && latency > limit
    }

    fn quicken(&mut self) {
        self.good_in_a_row += 1;
        if self.good_in_a_row < GOOD_ANSWERS {
            return;
        }
        self.good_in_a_row = 0;
        self.at_once = (self.at_once + 1).min(self.allowance.at_once);
        let shorter = self.gap.saturating_sub(self.gap / 5 + Duration::from_millis(1));
        self.gap = shorter.max(self.allowance.gap);
    }
}
