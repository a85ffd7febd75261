//! What of a site is to be fetched, what is under way and what is done. Every canonical URL is handed out once,
//! and again only after it failed.
//!
//! Sitemaps come first, and pages wait for a while until they are read: they say of pages what these do not. Then come
//! products, the pages that sitemaps list, and the others, breadth first. A seen URL takes 16 bytes and the set's overhead,
//! one that waits its own length and some 50 bytes.

mod entry;
mod snapshot;

pub use self::entry::{FailedPage, Outcome, Tally, UrlEntry, UrlKind};
pub use self::snapshot::SnapshotError;

use crate::moment::{before, later};
use crate::pace::MAX_RETRY_AFTER;
use crate::traps::{Limits, PatternCounts, Skip};
use chrono::{DateTime, Utc};
use feedfleet_model::hash::bytes_hash;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

/// How often a URL is tried in all.
const MAX_TRIES: u8 = 4;
/// The wait after the first failure; each further one waits [`BACKOFF_FACTOR`] times as long.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
const BACKOFF_FACTOR: u32 = 3;
/// Pages wait for sitemaps, but not for longer than this while none is read.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// Redirects in a row that are followed.
const MAX_HOPS: u8 = 10;
/// URLs over [`Limits::max_depth`] that are remembered; links to further ones are counted each time, and for good.
const MAX_TOO_DEEP: usize = 4_096;
/// Queues, one a [`UrlKind`].
const LANES: usize = 4;

/// When a failed URL is due, and its hash.
type Waiting = (DateTime<Utc>, u128);

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Fetch this, and say what became of it: [`Frontier::done`].
    Fetch(UrlEntry),
    /// Nothing until then, unless what is under way brings new URLs: a failed one is tried again.
    WaitUntil(DateTime<Utc>),
    /// Nothing until something that is under way is done.
    WaitForAnswers,
    /// [`Limits::max_time`] is over, and nothing is under way any more.
    OutOfTime,
    /// All that was found has been fetched or given up.
    Done,
}

/// What became of a URL that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It will be fetched.
    New,
    /// It was found before.
    Known,
    /// A limit keeps it out.
    Refused(Skip),
}

/// The state of a crawl, as far as URLs go.
#[derive(Debug, Clone)]
pub struct Frontier {
    limits: Limits,
    /// When the crawl would have begun, had it been at work ever since.
    started: DateTime<Utc>,
    seen: HashSet<u128, foldhash::fast::RandomState>,
    lanes: [VecDeque<UrlEntry>; LANES],
    waiting: BTreeMap<Waiting, UrlEntry>,
    under_way: HashMap<u128, UrlEntry, foldhash::fast::RandomState>,
    patterns: PatternCounts,
    failed: Vec<FailedPage>,
    tally: Tally,
    /// URLs that only links over [`Limits::max_depth`] have led to so far.
    too_deep: BTreeSet<String>,
    /// Sitemaps that are neither read nor given up.
    open_sitemaps: usize,
    /// Since when pages wait for sitemaps, of which none has been read since.
    held_since: Option<DateTime<Utc>>,
}

impl Frontier {
    /// An empty frontier of a crawl that begins now.
    pub fn new(limits: &Limits, now: DateTime<Utc>) -> Self {
        Self {
            limits: limits.clone(),
            started: now,
            seen: HashSet::default(),
            lanes: Default::default(),
            waiting: BTreeMap::new(),
            under_way: HashMap::default(),
            patterns: PatternCounts::default(),
            failed: Vec::new(),
            tally: Tally::default(),
            too_deep: BTreeSet::new(),
            open_sitemaps: 0,
            held_since: None,
        }
    }

    /// Adds a canonical URL that the link rules let pass, unless it is known. `depth` counts the links since a
    /// start URL or a sitemap.
    pub fn add(&mut self, url: &str, kind: UrlKind, depth: u16) -> Added {
        self.insert(url, kind, depth, 0)
    }

    /// As [`Frontier::add`], of the URL that `from` redirects to. None, and nothing changes: it is one redirect too
    /// many.
    pub fn add_target(&mut self, url: &str, kind: UrlKind, from: &UrlEntry) -> Option<Added> {
        (from.hops < MAX_HOPS).then(|| self.insert(url, kind, from.depth, from.hops + 1))
    }

    fn insert(&mut self, url: &str, kind: UrlKind, depth: u16, hops: u8) -> Added {
        let hash = hash_of(url);
        if self.seen.contains(&hash) {
            return Added::Known;
        }
        let max = self.limits.max_pages_a_pattern;
        if self.seen.len() >= self.limits.max_pages {
            return self.refuse(Skip::SiteFull, url);
        }
        if kind.is_trap_prone() && depth > 0 && !self.patterns.count(url, max) {
            return self.refuse(Skip::PatternFull, url);
        }
        self.seen.insert(hash);
        self.reach(url);
        self.open_sitemaps += usize::from(kind == UrlKind::Sitemap);
        self.lanes[lane(kind)].push_back(UrlEntry {
            url: url.to_owned(),
            kind,
            depth,
            failures: 0,
            hops,
        });
        Added::New
    }

    /// Whether a canonical URL was found before.
    pub fn knows(&self, url: &str) -> bool {
        self.seen.contains(&hash_of(url))
    }

    fn refuse(&mut self, skip: Skip, url: &str) -> Added {
        self.note(skip, url);
        Added::Refused(skip)
    }

    /// Counts a link that was kept out before it came here: [`crate::Rules::judge`]. One that leads too far is left out
    /// only if no shorter way leads to its URL, before or later.
    pub fn note(&mut self, skip: Skip, url: &str) {
        if skip == Skip::TooDeep {
            if self.knows(url) || self.too_deep.contains(url) {
                return;
            }
            if self.too_deep.len() < MAX_TOO_DEEP {
                self.too_deep.insert(url.to_owned());
            }
        }
        *self.tally.refused.entry(skip).or_default() += 1;
        self.tally.first_refused.entry(skip).or_insert_with(|| url.to_owned());
    }

    /// Takes back that a URL was left out for its depth: a shorter way leads to it.
    fn reach(&mut self, url: &str) {
        if !self.too_deep.remove(url) {
            return;
        }
        let Tally { refused, first_refused, .. } = &mut self.tally;
        if let Some(count) = refused.get_mut(&Skip::TooDeep) {
            *count = count.saturating_sub(1);
        }
        if first_refused.get(&Skip::TooDeep).is_some_and(|first| first == url) {
            first_refused.remove(&Skip::TooDeep);
            first_refused.extend(self.too_deep.first().map(|next| (Skip::TooDeep, next.clone())));
        }
    }

    /// What to fetch next. What it hands out is under way until [`Frontier::done`].
    pub fn next(&mut self, now: DateTime<Utc>) -> Next {
        if self.is_out_of_time(now) {
            let is_idle = self.under_way.is_empty();
            return match (self.remaining(), is_idle) {
                (0, _) => Next::Done,
                (_, true) => Next::OutOfTime,
                (_, false) => Next::WaitForAnswers,
            };
        }
        // A URL whose time has come goes first: others must not make it wait for ever.
        if let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            let entry = first.remove();
            return self.hand_out(entry);
        }
        let [sitemaps, pages @ ..] = &mut self.lanes;
        if let Some(entry) = sitemaps.pop_front() {
            return self.hand_out(entry);
        }
        // What a sitemap says of a page has to be known when that is read. One that failed keeps nobody waiting, nor do
        // those that wait for a host which wants to be left alone.
        if self.under_way.values().any(|entry| entry.kind == UrlKind::Sitemap) {
            let until = later(*self.held_since.get_or_insert(now), LONGEST_HOLD);
            if now < until {
                return Next::WaitUntil(until);
            }
        }
        if let Some(entry) = pages.iter_mut().find_map(VecDeque::pop_front) {
            return self.hand_out(entry);
        }
        match self.waiting.keys().next() {
            Some((due, _)) => Next::WaitUntil(*due),
            None if self.under_way.is_empty() => Next::Done,
            None => Next::WaitForAnswers,
        }
    }

    fn hand_out(&mut self, entry: UrlEntry) -> Next {
        self.under_way.insert(hash_of(&entry.url), entry.clone());
        Next::Fetch(entry)
    }

    /// Takes back a URL that [`Frontier::next`] gave and nobody has begun to fetch. False, and nothing changes, when it is
    /// not under way.
    pub fn put_back(&mut self, url: &str) -> bool {
        let Some(entry) = self.under_way.remove(&hash_of(url)) else { return false };
        self.lanes[lane(entry.kind)].push_front(entry);
        true
    }

    /// Says what became of a URL that [`Frontier::next`] gave. False, and nothing changes, when it is not under
    /// way. Links that were found on the page have to be added before, so that the frontier is never empty too
    /// early.
    pub fn done(&mut self, url: &str, outcome: &Outcome, now: DateTime<Utc>) -> bool {
        let hash = hash_of(url);
        let Some(mut entry) = self.under_way.remove(&hash) else { return false };
        let is_sitemap = entry.kind == UrlKind::Sitemap;
        match outcome {
            Outcome::Done if is_sitemap => {
                self.tally.sitemaps += 1;
                self.held_since = None;
            }
            Outcome::Done => self.tally.pages += 1,
            Outcome::Gone => self.tally.gone += 1,
            Outcome::Forbidden => self.give_up(entry, None),
            Outcome::Failed { status, is_transient, retry_after } => {
                entry.failures = entry.failures.saturating_add(1);
                if *is_transient && entry.failures < MAX_TRIES {
                    let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
                    let backoff = backoff(entry.failures).max(asked);
                    self.tally.retries += 1;
                    self.waiting.insert((later(now, backoff), hash), entry);
                    return true;
                } else {
                    self.give_up(entry, *status);
                }
            }
        }
        self.open_sitemaps -= usize::from(is_sitemap);
        true
    }

    fn give_up(&mut self, entry: UrlEntry, status: Option<u16>) {
        self.failed.push(FailedPage { url: entry.url, kind: entry.kind, status });
    }

    /// URLs that are still to be fetched, those under way included.
    pub fn remaining(&self) -> usize {
        let queued: usize = self.lanes.iter().map(VecDeque::len).sum();
        queued + self.waiting.len() + self.under_way.len()
    }

    /// The URLs that are still to be fetched, those under way included, in no order.
    pub fn unfetched(&self) -> impl Iterator<Item = &UrlEntry> {
        let queued = self.lanes.iter().flatten();
        queued.chain(self.waiting.values()).chain(self.under_way.values())
    }

    /// Sitemaps that are still to be read, those under way included.
    pub fn open_sitemaps(&self) -> usize {
        self.open_sitemaps
    }

    /// URLs that are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// URLs that were found, sitemaps included.
    pub fn found(&self) -> usize {
        self.seen.len()
    }

    /// URLs that were given up. Their products stay: nobody knows whether they are gone.
    pub fn failed(&self) -> &[FailedPage] {
        &self.failed
    }

    /// How far the crawl is.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The crawl goes on after this much work: time in which nobody was at it does not count against
    /// [`Limits::max_time`].
    pub fn go_on(&mut self, worked: Duration, now: DateTime<Utc>) {
        self.started = before(now, worked);
    }

    /// When [`Limits::max_time`] is over, if there is one: nothing is handed out any more.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        self.limits.max_time.map(|max| later(self.started, max))
    }

    /// Whether that is now.
    pub fn is_out_of_time(&self, now: DateTime<Utc>) -> bool {
        self.ends_at().is_some_and(|end| now >= end)
    }
}

/// How long a URL waits that failed so often.
fn backoff(failures: u8) -> Duration {
    let exponent = u32::from(failures.saturating_sub(1));
    FIRST_BACKOFF.saturating_mul(BACKOFF_FACTOR.saturating_pow(exponent))
}

fn hash_of(url: &str) -> u128 {
    bytes_hash(url.as_bytes())
}

fn lane(kind: UrlKind) -> usize {
    match kind {
        UrlKind::Sitemap => 0,
        UrlKind::Product => 1,
        UrlKind::Listed => 2,
        UrlKind::Page => 3,
    }
}
