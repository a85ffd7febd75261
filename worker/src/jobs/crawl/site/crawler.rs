//! The crawl itself: one loop that hands URLs out, takes in what came of them (`intake`), and saves both. Requests run as tasks beside
//! it; the frontier, the hosts and the rows are the loop's alone.
//!
//! A page is done when its rows are in the buffer and its links in the frontier. The buffer becomes a part of the
//! snapshot, then the frontier is saved with the parts that it counts: at any moment the saved frontier and the rows that
//! it names tell of the same pages.

use super::super::failure::Failure;
use super::super::load::Progress;
use super::super::raw::{PART_BYTES, RawWriter};
use super::hosts::{Hosts, Turn};
use super::last::{KnownPage, KnownPages, Picture};
use super::page::PageTag;
use super::sitemaps::Listed;
use super::state::{Keeper, Spent, State};
use super::tasks::{Ended, Tools};
use chrono::{DateTime, Utc};
use feedfleet_config::Site;
use feedfleet_model::hash::bytes_hash;
use feedfleet_site::{Next, Outcome, Skip, UrlEntry, UrlKind};
use feedfleet_telemetry::failpoint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often rows and frontier are saved, if rows do not fill a part sooner. A killed crawl loses this, and the time
/// that saving takes.
const SAVE_EVERY: Duration = Duration::from_secs(20);
/// Requests at once to all hosts together.
const MAX_AT_ONCE: usize = 64;
/// URLs that wait for their hosts: while one host is slow, others go on.
const AHEAD: usize = 128;

/// A crawl at work.
pub(super) struct Crawler<'a> {
    pub site: &'a Site,
    pub state: State,
    pub hosts: Hosts,
    pub tools: Tools,
    /// What the tasks find in sitemaps.
    pub listed: Receiver<Vec<Listed>>,
    pub known: KnownPages,
    pub writer: RawWriter,
    pub keeper: Keeper,
    /// Rows that are in no part yet.
    pub rows: Vec<u8>,
    pub tasks: JoinSet<Ended>,
    /// For those who watch: pages read, what there is to be known, and bytes that came.
    pub progress: &'a Progress,
    pub fetched: &'a AtomicU64,
    /// When this attempt began, and the seconds of those before it.
    pub begun: Instant,
    pub seconds_before: f64,
    pub cancel: &'a CancellationToken,
}

/// Why a crawl stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// There is nothing more to fetch, or no time for it.
    Ended,
    /// Its slice is over.
    Slice,
}

/// What comes next.
enum Step {
    /// Something ended, or it may before this moment.
    Go(Option<DateTime<Utc>>),
    Ended,
}

enum Event {
    Ended(Box<Result<Ended, JoinError>>),
    Listed(Vec<Listed>),
    Time,
}

impl Crawler<'_> {
    /// Crawls until there is nothing more to do, or for as long as a slice is. What was done is saved then, also where
    /// the crawl is told to stop, which is a failure.
    pub(super) async fn run(&mut self) -> Result<Stop, Failure> {
        let begun = Instant::now();
        let mut saved = Instant::now();
        loop {
            if self.cancel.is_cancelled() {
                self.tasks.shutdown().await;
                self.save().await?;
                return Err(Failure::interrupted());
            }
            if saved.elapsed() >= SAVE_EVERY || self.rows.len() >= PART_BYTES {
                self.save().await?;
                saved = Instant::now();
            }
            let mut wake = None;
            if begun.elapsed() < self.site.slice {
                match self.start(self.now()) {
                    Step::Ended => {
                        self.save().await?;
                        return Ok(Stop::Ended);
                    }
                    Step::Go(at) => wake = at,
                }
            } else if self.tasks.is_empty() {
                self.save().await?;
                return Ok(Stop::Slice);
            }
            let left = SAVE_EVERY.saturating_sub(saved.elapsed());
            let left = match wake {
                Some(at) => left.min((at - self.now()).to_std().unwrap_or_default()),
                None => left,
            };
            match self.wait(left.max(Duration::from_millis(1))).await {
                Event::Ended(ended) => self.end(joined(*ended)?),
                Event::Listed(entries) => self.add_listed(entries),
                Event::Time => {}
            }
        }
    }

    async fn wait(&mut self, at_most: Duration) -> Event {
        let is_busy = !self.tasks.is_empty();
        tokio::select! {
            Some(ended) = self.tasks.join_next(), if is_busy => Event::Ended(Box::new(ended)),
            Some(entries) = self.listed.recv() => Event::Listed(entries),
            () = tokio::time::sleep(at_most) => Event::Time,
            () = self.cancel.cancelled() => Event::Time,
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.tools.clock.now()
    }

    /// Begins all requests that may begin now.
    fn start(&mut self, now: DateTime<Utc>) -> Step {
        let mut wake = None;
        if self.state.frontier.is_out_of_time(now) {
            // With a long delay between requests, those that wait for their hosts would take hours more.
            for entry in self.hosts.clear() {
                self.state.frontier.put_back(&entry.url);
            }
        }
        while self.hosts.waiting() < AHEAD {
            match self.state.frontier.next(now) {
                Next::Fetch(entry) => self.hosts.queue(entry),
                Next::WaitUntil(at) => {
                    wake = Some(at);
                    break;
                }
                Next::WaitForAnswers => break,
                Next::OutOfTime | Next::Done => return Step::Ended,
            }
        }
        for key in self.hosts.keys() {
            while self.tasks.len() < MAX_AT_ONCE {
                match self.hosts.turn(&key, now) {
                    Turn::Fetch(entry) => self.fetch(key.clone(), entry),
                    Turn::Robots(origin) => {
                        let tools = self.tools.clone();
                        self.tasks.spawn(tools.robots(key.clone(), origin));
                    }
                    Turn::Forbidden(entry, why) => {
                        self.done(&entry, &Outcome::Forbidden, Some(why.to_owned()), now);
                        // It may have been the last one, or make room for others.
                        wake = Some(now);
                    }
                    Turn::At(at) => {
                        wake = Some(wake.map_or(at, |wake: DateTime<Utc>| wake.min(at)));
                        break;
                    }
                    Turn::Wait => break,
                }
            }
        }
        // Time may be over before anything else happens.
        let ends_at = self.state.frontier.ends_at().filter(|end| *end > now);
        Step::Go(wake.into_iter().chain(ends_at).min())
    }

    fn fetch(&mut self, host: String, entry: UrlEntry) {
        let tools = self.tools.clone();
        if entry.kind == UrlKind::Sitemap {
            self.tasks.spawn(tools.sitemap(host, entry));
            return;
        }
        let known = self.known.get(&bytes_hash(entry.url.as_bytes())).cloned();
        let KnownPage { tag, picture: before } = known.unwrap_or_default();
        let named = self.state.notes.pictures.get(&entry.url).cloned();
        let picture = match (&before, named) {
            (Picture::OfSitemap(before), None) if !self.knows_all_pictures() => {
                Some(before.clone())
            }
            (_, named) => named,
        };
        let is_same_picture = match &before {
            Picture::OfPage => true,
            Picture::Missing => picture.is_none(),
            Picture::OfSitemap(before) => picture.as_ref() == Some(before),
        };
        // What a start leads to has to be seen anew.
        let may_be_unchanged = entry.kind == UrlKind::Product && is_same_picture;
        let tag = if may_be_unchanged { tag } else { PageTag::default() };
        self.tasks.spawn(tools.page(host, entry, tag, picture));
    }

    /// Whether all that sitemaps say of pictures is known: one that they do not name is theirs no more.
    fn knows_all_pictures(&self) -> bool {
        let State { notes, frontier, .. } = &self.state;
        !notes.counts.lacks_pictures
            && frontier.tally().sitemaps > 0
            && frontier.open_sitemaps() == 0
            // There may have been a sitemap among what there was no room for.
            && !frontier.tally().refused.contains_key(&Skip::SiteFull)
    }

    /// Adds rows that come from elsewhere than from a page.
    pub(super) async fn add_rows(&mut self, rows: &[u8]) -> Result<(), Failure> {
        self.rows.extend_from_slice(rows);
        if self.rows.len() >= PART_BYTES {
            self.put_rows().await?;
        }
        Ok(())
    }

    async fn put_rows(&mut self) -> Result<(), Failure> {
        let rows = std::mem::take(&mut self.rows);
        let is_part = !rows.is_empty();
        self.writer.put_rows(rows.into()).await?;
        if is_part {
            failpoint::hit("crawl.site-part");
        }
        Ok(())
    }

    /// Saves all that was done: the rows first, then the frontier that counts them.
    pub(super) async fn save(&mut self) -> Result<(), Failure> {
        self.put_rows().await?;
        self.state.notes.segments = self.writer.segments();
        self.state.notes.hosts = self.hosts.notes();
        self.state.notes.spent = Spent {
            seconds: self.seconds_before + self.begun.elapsed().as_secs_f64(),
            bytes: self.fetched.load(Ordering::Relaxed),
        };
        self.keeper.save(&self.state).await?;
        failpoint::hit("crawl.site-saved");
        Ok(())
    }
}

fn joined(ended: Result<Ended, JoinError>) -> Result<Ended, Failure> {
    ended.map_err(|e| match e.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Failure::interrupted(),
    })
}
