//! The crawl of a site: its first half, which makes of a site's pages what a feed is: a snapshot with a row a product. The
//! second half is the load that feeds have, be it of this run or, as a replay, of another one.
//!
//! ```text
//! robots.txt, sitemaps, the pages of last time > frontier > fetch > page > rows ─▶ parts of the snapshot
//!                                                  ▲                 └──▶ links     │
//!                                                  └─────────────────────┘    state ┴─▶ saved every 20 s
//! ```
//!
//! Rows and state are saved in this order, and the state says which rows it counts: who takes the crawl up has each page
//! once. See `docs/sites.md`.

mod crawler;
mod credentials;
mod end;
mod fetch;
mod hosts;
mod intake;
mod last;
mod links;
mod page;
mod preview;
mod sitemaps;
mod state;
mod tasks;

pub(crate) use end::SiteEnd;
pub use preview::{PagePreview, preview_page};

use super::failure::Failure;
use super::load::Progress;
use super::raw::{Place, RawFacts, RawSnapshot, RawWriter};
use crate::backoff;
use crate::deps::Deps;
use bytes::Bytes;
use crawler::{Crawler, Stop};
use credentials::Credentials;
use feedfleet_config::{ConfigError, ConfigErrors, HostShares, Pipe, Site};
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::{ReasonClass, RunKey};
use feedfleet_site::{Frontier, Limits, UnseenPages, UrlKind};
use fetch::BodyRoom;
use hosts::{HostNotes, Hosts, agent_of};
use last::{KnownPages, Last};
use page::{PageReader, extraction};
use state::{Keeper, Notes, State};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tasks::Tools;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A crawl's memory for each URL that it may find: one that waits, and its place among those that were seen.
const BYTES_PER_URL: u64 = 800;
/// Portions of sitemaps on their way to the frontier.
const PORTIONS_AHEAD: usize = 8;
/// Pages that are read at once need this much of a crawl's memory each, for their trees.
const BYTES_PER_READER: u64 = 160 << 20;

/// What a crawl works with.
pub(super) struct Collect<'a> {
    pub deps: &'a Deps,
    pub key: &'a RunKey,
    pub pipe: &'a Pipe,
    pub site: &'a Site,
    /// The pipe's newest run in the table.
    pub committed: Option<i64>,
    /// The run that the table shows the pipe as: that one, unless it was rolled back. None where that is not known.
    pub base: Option<i64>,
    pub progress: &'a Progress,
    /// Bytes that came.
    pub fetched: &'a AtomicU64,
    pub cancel: &'a CancellationToken,
}

impl Collect<'_> {
    /// Makes the run's snapshot, or what is missing of it; the seconds that earlier attempts took, whose bytes count as
    /// fetched. [`Failure::Continued`]: it is not whole yet, and the job's slice is over.
    pub(super) async fn run(&self) -> Result<f64, Failure> {
        // Before the rows: what whoever has the crawl yet saves in between is a part more, and never one less.
        let (keeper, saved) = Keeper::open(self.deps.objects.clone(), self.key).await?;
        let place = Place::new(self.deps.objects.clone(), self.key.clone());
        let found = place.look().await?;
        let location = self.pipe.source.location.display();
        let facts = RawFacts { location, marked_end: true, ..RawFacts::default() };
        let is_whole = found
            .facts
            .as_ref()
            .is_some_and(|f| f.complete && !f.rejected && f.location == facts.location);
        let notes = saved.as_deref().and_then(state::notes_in);
        let is_rolled_back = match &notes {
            Some(notes) => self.is_rolled_back(notes).await?,
            None => false,
        };
        if is_rolled_back {
            tracing::warn!(run = %self.key, "the run before was rolled back: the crawl begins anew");
        } else if is_whole {
            let spent = notes.map(|notes| notes.spent).unwrap_or_default();
            self.fetched.fetch_add(spent.bytes, Ordering::Relaxed);
            return Ok(spent.seconds);
        }
        let saved = saved.filter(|_| !is_rolled_back);
        let mut crawler = self.begin(keeper, saved, &found, facts).await?;
        if !crawler.state.notes.is_completed {
            match crawler.run().await? {
                Stop::Slice => return Err(Failure::Continued),
                Stop::Ended => {}
            }
            let pause = crawler.hosts.longest_pause(crawler.now());
            if let Some(failure) = self.nothing_read(&crawler.state, pause) {
                crawler.keeper.discard().await?;
                return Err(failure);
            }
            self.carry_over(&mut crawler).await?;
        }
        let Crawler { state, writer, seconds_before, .. } = crawler;
        tracing::info!(
            run = %self.key, pages = state.frontier.tally().pages,
            products = state.notes.counts.products, unchanged = state.unchanged.len(),
            failed = state.frontier.failed().len(), "site crawled"
        );
        writer.complete().await?;
        Ok(seconds_before)
    }

    /// Takes up what an earlier attempt saved, or begins.
    async fn begin(
        &self,
        keeper: Keeper,
        saved: Option<Bytes>,
        found: &RawSnapshot,
        facts: RawFacts,
    ) -> Result<Crawler<'_>, Failure> {
        let (deps, begun) = (self.deps, Instant::now());
        let shares = self.shares()?;
        let memory_bytes = deps.fleet.workers.memory_shares().crawl_bytes;
        let limits = self.limits(memory_bytes);
        let refused = |why: String| Failure::dead(ReasonClass::Configuration, why);
        let reader = Arc::new(PageReader::new(self.site, memory_bytes).map_err(refused)?);
        // Rows that cannot be read as a feed are not gone on with.
        let is_rejected = found.facts.as_ref().is_some_and(|facts| facts.rejected);
        let saved = saved.filter(|_| !is_rejected);
        let saved = saved.and_then(|bytes| match State::from_bytes(&bytes, &limits) {
            Ok(state) if !found.has(&state.notes.segments) => {
                tracing::warn!(run = %self.key, "saved rows are gone: the crawl begins anew");
                None
            }
            Ok(state) if self.can_go_on(&state.notes) => Some(state),
            Ok(_) => {
                tracing::warn!(run = %self.key, "the site's settings, or how its pages are read, are others: the crawl begins anew");
                None
            }
            Err(why) => {
                tracing::warn!(run = %self.key, why, "the crawl begins anew");
                None
            }
        });
        let (state, known, writer) = match saved {
            Some(mut state) => {
                let worked = Duration::try_from_secs_f64(state.notes.spent.seconds);
                state.frontier.go_on(worked.unwrap_or_default(), deps.clock.now());
                let segments = state.notes.segments.clone();
                let writer = RawWriter::resume_at(found, facts, segments).await?;
                let known = match self.last_of(&state.notes).await? {
                    Some(last) => last.pages(&reader, None).await?.0,
                    None => KnownPages::new(),
                };
                (state, known, writer)
            }
            None => {
                let writer = RawWriter::begin(found, facts).await?;
                let (state, known) = self.new_state(&limits, &reader).await?;
                (state, known, writer)
            }
        };
        let (listed, incoming) = mpsc::channel(PORTIONS_AHEAD);
        let readers = usize::try_from(memory_bytes / BYTES_PER_READER).unwrap_or(usize::MAX);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let notes: HostNotes = state.notes.hosts.clone();
        let spent = state.notes.spent;
        self.fetched.fetch_add(spent.bytes, Ordering::Relaxed);
        let agent = agent_of(&deps.fleet.http.user_agent);
        let mut crawler = Crawler {
            site: self.site,
            hosts: Hosts::new(self.pipe.name.clone(), self.site, shares, agent, notes),
            state,
            tools: Tools {
                http: deps.http.clone(),
                clock: deps.clock.clone(),
                room: BodyRoom::new(memory_bytes / 4),
                readers: Arc::new(Semaphore::new(readers.clamp(1, cores))),
                reader,
                credentials: Arc::new(Credentials::of(self.pipe, self.site)),
                listed,
            },
            listed: incoming,
            known,
            writer,
            keeper,
            rows: Vec::new(),
            tasks: JoinSet::new(),
            progress: self.progress,
            fetched: self.fetched,
            begun,
            seconds_before: spent.seconds,
            cancel: self.cancel,
        };
        // Whoever had this crawl before, and may still be at work, cannot save it any more.
        crawler.save().await?;
        crawler.tell_busy_still();
        Ok(crawler)
    }

    /// How much this crawl may ask of each host: by all pipes of the fleet, of which this must be one.
    fn shares(&self) -> Result<HostShares, Failure> {
        let refused = |why: String| Failure::dead(ReasonClass::Configuration, why);
        let environment = self.deps.environment.as_ref();
        let (config, mistakes) =
            feedfleet_config::load_lenient(&self.deps.config_folder, environment)
                .map_err(|errors| refused(errors.one_line()))?;
        if !config.pipes.iter().any(|pipe| pipe.name == self.pipe.name) {
            // Its file is broken or gone by now; or it is a crawl too many.
            self.deps.pipe(&self.pipe.name).map_err(refused)?;
            let mistakes = mistakes.into_iter().filter(|mistake| mistake.file == self.pipe.file);
            let mistakes: Vec<ConfigError> = mistakes.collect();
            if mistakes.is_empty() {
                let why =
                    format!("the file of pipe '{}' changed while it was read", self.pipe.name);
                return Err(Failure::retry(ReasonClass::Configuration, why));
            }
            return Err(refused(ConfigErrors::from(mistakes).one_line()));
        }
        Ok(HostShares::of(self.deps.fleet.hosts.concurrency, &config.pipes))
    }

    /// The site's limits, within a crawl's memory: half of it is for the frontier.
    fn limits(&self, memory_bytes: u64) -> Limits {
        let affordable = usize::try_from(memory_bytes / BYTES_PER_URL).unwrap_or(usize::MAX);
        let limits = self.site.limits.clone();
        if limits.max_pages > affordable {
            tracing::warn!(
                run = %self.key, max_pages = affordable,
                "fewer pages than the pipe's max_pages fit into a crawl's memory"
            );
        }
        Limits { max_pages: limits.max_pages.min(affordable), ..limits }
    }

    fn can_go_on(&self, notes: &Notes) -> bool {
        notes.site == self.site.fingerprint() && notes.extraction == extraction(self.site)
    }

    async fn last(&self) -> Result<Option<Last>, Failure> {
        let reports = self.deps.reports();
        let extraction = extraction(self.site);
        Last::find(&self.deps.objects, &reports, self.key, self.base, &extraction).await
    }

    /// Whether the table shows the pipe as another run than the one that a crawl began with.
    async fn is_rolled_back(&self, notes: &Notes) -> Result<bool, Failure> {
        let Some(last) = notes.last else { return Ok(false) };
        let Some(base) = self.base else { return Ok(true) };
        let raw = Last::raw_run(&self.deps.reports(), self.key, base).await?;
        Ok(raw.is_some_and(|(raw, _)| raw.run != last))
    }

    /// What the crawl began with, if that is what the table shows yet.
    async fn last_of(&self, notes: &Notes) -> Result<Option<Last>, Failure> {
        let last = if notes.last.is_some() { self.last().await? } else { None };
        Ok(last.filter(|last| Some(last.run) == notes.last))
    }

    async fn new_state(
        &self,
        limits: &Limits,
        reader: &Arc<PageReader>,
    ) -> Result<(State, KnownPages), Failure> {
        let last = self.last().await?;
        let mut frontier = Frontier::new(limits, self.deps.clock.now());
        for sitemap in &self.site.sitemaps {
            if let Some(url) = reader.canonical.apply(sitemap.clone()) {
                frontier.add(url.as_str(), UrlKind::Sitemap, 0);
            }
        }
        for start in &self.site.starts {
            if let Some(url) = reader.canonical.apply(start.clone()) {
                let kind = reader.judge(&url, 0).unwrap_or(UrlKind::Page);
                frontier.add(url.as_str(), kind, 0);
            }
        }
        let (known, frontier) = match &last {
            Some(last) => {
                let (known, added) = last.pages(reader, Some(frontier)).await?;
                let lost = || Failure::retry(ReasonClass::Storage, "the frontier was lost");
                (known, added.ok_or_else(lost)?)
            }
            None => (KnownPages::new(), frontier),
        };
        // Where nothing is known of a table that has products, some may be on pages that nobody knows of.
        let has_gaps = last.as_ref().map_or(self.committed.is_some(), |last| last.has_gaps);
        let last = last.map(|last| last.run);
        let mut notes = Notes::new(self.site.fingerprint(), extraction(self.site), last);
        notes.has_gaps = has_gaps;
        let (unchanged, moved) = (HashSet::new(), HashMap::new());
        Ok((State { notes, unchanged, moved, frontier }, known))
    }

    /// Why there is nothing to load: the site could not be read at all, or shows no products. `pause`: the host that is to
    /// be left alone yet, by another attempt too, and for how long.
    fn nothing_read(&self, state: &State, pause: Option<(String, Duration)>) -> Option<Failure> {
        let counts = &state.notes.counts;
        if counts.products > 0 || !state.unchanged.is_empty() {
            return None;
        }
        let place = self.pipe.source.location.display();
        let evidence = end::evidence(state);
        let away = match &counts.led_away {
            Some(away) => format!("; {away}: expected its host in hosts of [source]"),
            None => String::new(),
        };
        let told = pause.as_ref().and_then(|(host, _)| Some((host, counts.busy_hosts.get(host)?)));
        let busy = told.map_or_else(String::new, |(host, told)| format!("; {host} {told}"));
        let pause = pause.map(|(_, pause)| pause.max(backoff::after_failures(1)));
        if let Some(origin) = &counts.unreachable_origin {
            let why = counts.why_failed.get(origin);
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let text = format!(
                "the robots.txt of {origin} cannot be had{why}: nothing may be fetched{busy}"
            );
            return Some(Failure::retry_after(pause, ReasonClass::SourceUnavailable, text));
        }
        if evidence.pages == 0 && evidence.failed == 0 && state.frontier.remaining() > 0 {
            let text = format!(
                "max_time was over before a page of {place} was read; raise it, or look how long its \
                 robots.txt, its sitemaps and its delay make it{busy}"
            );
            return Some(Failure::retry_after(pause, ReasonClass::LimitExceeded, text));
        }
        if evidence.failed >= evidence.pages {
            let failed = state.frontier.failed();
            let is_passing =
                failed.iter().any(|page| matches!(page.status, None | Some(429 | 500..)));
            let is_unreadable =
                !failed.is_empty() && failed.iter().all(|page| page.status == Some(200));
            let first = failed.first().filter(|page| page.status.is_some());
            let first = first.map_or_else(String::new, |page| {
                format!("; the first, {}: {}", page.url, end::what_failed(page, counts))
            });
            let read = match evidence.pages {
                0 => "no page".to_owned(),
                pages => format!("only {pages} pages"),
            };
            let text =
                format!("{read} of {place} could be read, {} failed{first}{away}", evidence.failed);
            return Some(if is_passing {
                let text = format!("{text}{busy}: they did not answer, or robots.txt forbids them");
                Failure::retry_after(pause, ReasonClass::SourceUnavailable, text)
            } else if is_unreadable {
                Failure::dead(ReasonClass::NotAFeed, format!("{text}; {}", self.look_at_one()))
            } else {
                let text = format!("{text}; check its robots.txt and whether it refuses crawlers");
                Failure::dead(ReasonClass::SourceRefused, text)
            });
        }
        let left = state.frontier.remaining();
        if left > 0 {
            let text = format!(
                "max_time was over before a product was found, on {} pages of {place}, with {left} left{away}; raise \
                 it, or {}{busy}",
                evidence.pages,
                self.look_at_one()
            );
            return Some(if busy.is_empty() {
                Failure::dead(ReasonClass::LimitExceeded, text)
            } else {
                Failure::retry_after(pause, ReasonClass::LimitExceeded, text)
            });
        }
        let text = format!(
            "no product was found on {} pages of {place}{away}; {}",
            evidence.pages,
            self.look_at_one()
        );
        Some(Failure::dead(ReasonClass::NotAFeed, text))
    }

    fn look_at_one(&self) -> String {
        format!("look at one with: feedfleet pipes preview {} --url PAGE", self.key.pipe)
    }

    /// Adds the rows of pages that are as they were, and of those that could not be read or that there was no time for,
    /// from the run before.
    async fn carry_over(&self, crawler: &mut Crawler<'_>) -> Result<(), Failure> {
        let state = &crawler.state;
        let canonical = &crawler.tools.reader.canonical;
        let unseen = UnseenPages::of(&state.frontier, &state.moved, canonical);
        let mut pages = state.unchanged.clone();
        pages.extend(unseen.hashes());
        pages.extend(state.frontier.unfetched().map(|entry| bytes_hash(entry.url.as_bytes())));
        let lacks_rows = !pages.is_empty();
        let last = if lacks_rows { self.last_of(&state.notes).await? } else { None };
        if last.is_none() && !state.unchanged.is_empty() {
            // Without them, products of unchanged pages would seem to be gone.
            crawler.keeper.discard().await?;
            let text = "the rows of the run before have expired, or were rolled back, during the crawl, which begins \
                        anew";
            return Err(Failure::retry(ReasonClass::Storage, text));
        }
        let has_failed = state.frontier.failed().iter().any(|page| page.kind != UrlKind::Sitemap);
        let is_unknown = last.is_none() && self.committed.is_some();
        let notes = &mut crawler.state.notes;
        notes.counts.forgotten = has_failed && (notes.has_gaps || is_unknown);
        notes.has_gaps |= is_unknown && lacks_rows;
        if let Some(last) = last {
            let mut rows = last.rows(pages);
            while let Some(portion) = rows.recv().await {
                if self.cancel.is_cancelled() {
                    return Err(Failure::interrupted());
                }
                crawler.add_rows(&portion?).await?;
            }
        }
        let state = &mut crawler.state;
        let is_whole = end::evidence(state).prove(self.site.max_failed).is_whole();
        state.notes.has_gaps &= !is_whole;
        state.notes.has_gaps |= state.notes.counts.forgotten;
        state.notes.is_completed = true;
        crawler.save().await
    }
}
