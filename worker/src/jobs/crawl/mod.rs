//! The crawl job: fetch, parse, map, diff, commit; then the image jobs that follow. Of a site, `site` first makes of its
//! pages what the fetch of a feed brings.
//!
//! What must hold whatever happens in between: the commit carries the run's fence, so the run is in the
//! table once or not at all; image jobs are derived from the commit, so a worker that finds the run
//! committed sends the same ones again; the report is final only after that.

mod absence;
mod facts;
pub(crate) mod failure;
mod guard;
mod images;
pub(crate) mod load;
mod paging;
mod pump;
mod raw;
mod remote;
pub(crate) mod site;
pub(crate) mod source;
mod supplement;

use crate::deps::Deps;
use chrono::{DateTime, Utc};
use facts::LoadFacts;
use failure::Failure;
use feedfleet_catalog::restore::shown_since_rollback;
use feedfleet_catalog::{
    CommitOutcome, Ground, RunCommit, Snapshot, feed_app_id, rollback_app_id, run_figures,
};
use feedfleet_config::{Location, Pipe, Site};
use feedfleet_model::report::RunState;
use feedfleet_model::{CrawlJob, Outcome, ReasonClass, RunKey, RunReport, hash, keys};
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_telemetry::{failpoint, memory};
use load::{Loaded, Progress};
use raw::Place;
use serde::{Deserialize, Serialize};
use site::{Collect, SiteEnd};
use source::{Access, Opened};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often the report says how far the run has come, where that costs nothing.
const PROGRESS: Duration = Duration::from_secs(2);
/// How often it does where each word is paid for, but once a lease at least: after two without a word a run counts as
/// silent.
const PAID_PROGRESS: Duration = Duration::from_secs(20);
/// Times a run is worked out anew because its pipe changed under it.
const MAX_MOVES: usize = 5;

/// What a pipe's last complete run saw of its source: an unchanged source then costs one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    /// Hash of the source's address, which may hold secrets.
    source: String,
    mapping: String,
    etag: Option<String>,
    last_modified: Option<String>,
    run: i64,
}

/// Does a crawl job.
pub async fn run(deps: &Deps, job: &CrawlJob, cancel: &CancellationToken) -> Outcome {
    let key = RunKey { pipe: job.pipe.clone(), run: job.run };
    let crawl = Crawl { deps, key, cancel, fetched: Arc::default(), seconds: BTreeMap::new() };
    match crawl.run().await {
        Ok(outcome) => outcome,
        Err(failure) => failure.into_outcome(),
    }
}

/// Makes the report of a run that is in the table say so. The worker that committed it may have died before it did,
/// and what the report says may be another's.
pub(crate) async fn note_committed(deps: &Deps, key: &RunKey) -> Result<(), Failure> {
    let commit = commit_of(deps, key).await?;
    let reports = deps.reports();
    let noted = reports.update(key, |report| {
        if report.state.is_final() {
            return;
        }
        if let Some(commit) = &commit {
            facts::settle(report, commit);
        }
        report.commit();
    });
    noted.await?;
    Ok(())
}

/// The run's commit, where the log has it. What is found there is durable.
async fn commit_of(deps: &Deps, key: &RunKey) -> Result<Option<RunCommit>, Failure> {
    let (products, run) = (deps.catalog.products().clone(), key.clone());
    let find = move || {
        products.sync_log()?;
        products.commit_of(&feed_app_id(&run.pipe), run.run.0)
    };
    Ok(blocking(find).await??)
}

/// Ends the report of a run that is in the table.
fn end(report: &mut RunReport, now: DateTime<Utc>) {
    report.state = if report.counts.held > 0 { RunState::Held } else { RunState::Done };
    report.finished_at = Some(now);
    report.updated_at = now;
}

struct Crawl<'a> {
    deps: &'a Deps,
    key: RunKey,
    cancel: &'a CancellationToken,
    /// Bytes that came from the source itself, however often it was opened.
    fetched: Arc<AtomicU64>,
    seconds: BTreeMap<String, f64>,
}

impl Crawl<'_> {
    async fn run(mut self) -> Result<Outcome, Failure> {
        memory::reset_peak();
        let pipe = self
            .deps
            .pipe(&self.key.pipe)
            .map_err(|errors| Failure::dead(ReasonClass::Configuration, errors))?;
        let app_id = feed_app_id(&self.key.pipe);
        let mut moves = 0;
        loop {
            let snapshot = self.snapshot().await?;
            let fence = match &snapshot {
                Some(snapshot) => snapshot.fence(&app_id)?,
                None => None,
            };
            match fence {
                Some(run) if run == self.key.run.0 => {
                    note_committed(self.deps, &self.key).await?;
                    return self.follow_up(&pipe, None).await;
                }
                Some(run) if run > self.key.run.0 => return self.overtaken().await,
                _ => {}
            }
            let Some(prepared) = self.prepare(&pipe, snapshot).await? else {
                return Ok(Outcome::Interrupted);
            };
            match self.commit(prepared).await? {
                (CommitOutcome::Committed { .. }, validators) => {
                    return self.follow_up(&pipe, validators).await;
                }
                // By another worker, which may have seen another source: its validators are not known.
                (CommitOutcome::AlreadyIn, _) => {
                    note_committed(self.deps, &self.key).await?;
                    return self.follow_up(&pipe, None).await;
                }
                (CommitOutcome::Superseded { .. }, _) => return self.overtaken().await,
                (CommitOutcome::Moved, _) if moves < MAX_MOVES => moves += 1,
                (CommitOutcome::Moved, _) => {
                    let text = format!("the pipe changed under the run {MAX_MOVES} times");
                    return Err(Failure::retry(ReasonClass::Storage, text));
                }
            }
        }
    }

    async fn snapshot(&self) -> Result<Option<Snapshot>, Failure> {
        let products = self.deps.catalog.products().clone();
        Ok(blocking(move || products.snapshot()).await??)
    }

    /// Reads the source and works out the change. None: interrupted.
    async fn prepare(
        &mut self,
        pipe: &Pipe,
        snapshot: Option<Snapshot>,
    ) -> Result<Option<Prepared>, Failure> {
        let mut begun = Instant::now();
        let mapping = pipe.mapping_fingerprint();
        let report = self.report().await?;
        let committed = match &snapshot {
            Some(snapshot) => snapshot.fence(&feed_app_id(&self.key.pipe))?,
            None => None,
        };
        let rollback = match &snapshot {
            Some(snapshot) => snapshot.fence(&rollback_app_id(&self.key.pipe))?,
            None => None,
        };
        // What the newest run saw of its source says nothing of a table that was put back since.
        let shown = committed.filter(|run| rollback.is_none_or(|back| back < *run));
        let grounds = supplement::grounds(pipe, snapshot.as_ref())?;
        let (deps, run) = (self.deps, self.key.run);
        let objects = deps.objects.as_ref();
        let may_be_unmodified =
            supplement::may_be_unmodified(objects, pipe, run, snapshot.as_ref()).await?;
        // Where the pipe changed under the run, what this attempt collected is there, and what it cost is counted.
        let is_collected = self.seconds.contains_key("crawl");
        if let Location::Site(site) = &pipe.source.location
            && report.source.replayed_from.is_none()
            && !is_collected
        {
            self.lap("open", begun);
            let base = match shown {
                Some(run) => Some(run),
                None => self.shown_since_rollback(snapshot.clone()).await?,
            };
            self.collect(pipe, site, committed, base).await?;
            begun = Instant::now();
        }
        let validators = self.validators(pipe, &mapping, &report, shown).await?;
        let validators = validators.filter(|_| may_be_unmodified);
        let reports = self.deps.reports();
        let usual = guard::usual(&reports, &self.key).await?;
        let snapshot_now = snapshot.as_ref();
        let may_show_others =
            supplement::may_show_others(&reports, pipe, &mapping, snapshot_now, committed).await?;
        let last_list = absence::last_list(&reports, pipe, shown).await?;
        let archive = Place::new(self.deps.objects.clone(), self.key.clone());
        let stop = self.cancel.child_token();
        let access = Access {
            http: &self.deps.http,
            remote: &self.deps.remote,
            archive: Some(&archive),
            fetched: &self.fetched,
            cancel: &stop,
        };
        let opened = async {
            match &report.source.replayed_from {
                Some(key) => source::open_replay(access, &self.deps.objects, key).await,
                None => source::open(access, pipe, validators.as_ref()).await,
            }
        };
        let opened = tokio::select! {
            opened = opened => opened?,
            () = self.cancel.cancelled() => return Ok(None),
        };
        self.lap("open", begun);
        let incoming = match opened {
            Opened::NotModified => {
                let base = match &snapshot {
                    Some(snapshot) => snapshot.files(Some(&self.key.pipe))?,
                    None => Vec::new(),
                };
                if pipe.layer.is_some() {
                    supplement::carry_over(objects, &self.key, committed).await?;
                }
                let loaded = Loaded::not_modified(pipe, &self.key, base);
                let validators = validators.map(|v| Validators { run: self.key.run.0, ..v });
                return Ok(Some(Prepared { loaded, validators, grounds }));
            }
            Opened::Body(incoming) => *incoming,
        };
        let next = Validators {
            source: source_hash(pipe),
            mapping,
            etag: incoming.facts.etag.clone(),
            last_modified: incoming.facts.last_modified.clone(),
            run: self.key.run.0,
        };
        let site = match (&pipe.source.location, &incoming.facts.archived_by) {
            (Location::Site(site), Some(run)) => {
                Some(SiteEnd::of(self.deps.objects.as_ref(), run, site).await?)
            }
            _ => None,
        };
        let begun = Instant::now();
        let progress = Arc::new(Progress::new(self.fetched.clone()));
        let ticker = self.tell_progress(progress.clone());
        let work = load::Work {
            catalog: self.deps.catalog.clone(),
            objects: self.deps.objects.clone(),
            snapshot,
            key: self.key.clone(),
            pipe: pipe.clone(),
            index_bytes: self.index_bytes(),
            usual,
            may_show_others,
            last_list,
            site,
            progress,
            cancel: self.cancel.clone(),
        };
        let layer = pipe.layer.clone();
        let load = move || match &layer {
            Some(layer) => supplement::load(work, layer, incoming),
            None => load::load(work, incoming),
        };
        let loaded = blocking(load).await?;
        drop(ticker);
        self.lap("read", begun);
        match loaded {
            Err(failure) if failure.is_interrupted() => Ok(None),
            Err(failure) => Err(failure),
            Ok(loaded) => {
                // "Not modified since" must mean what is in the table.
                let validators = Some(next).filter(|_| loaded.is_newest);
                Ok(Some(Prepared { loaded, validators, grounds }))
            }
        }
    }

    /// The run that the table shows the pipe as since a rollback. None where that is not known, or there is none.
    async fn shown_since_rollback(
        &self,
        snapshot: Option<Snapshot>,
    ) -> Result<Option<i64>, Failure> {
        let Some(snapshot) = snapshot else { return Ok(None) };
        let pipe = self.key.pipe.clone();
        let shown = blocking(move || shown_since_rollback(&snapshot, &pipe)).await??;
        Ok(shown.map(|run| run.0))
    }

    /// Collects the products of a site into the run's snapshot.
    async fn collect(
        &mut self,
        pipe: &Pipe,
        site: &Site,
        committed: Option<i64>,
        base: Option<i64>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let progress = Arc::new(Progress::new(self.fetched.clone()));
        let ticker = self.tell_progress(progress.clone());
        let collect = Collect {
            deps: self.deps,
            key: &self.key,
            pipe,
            site,
            committed,
            base,
            progress: &progress,
            fetched: &self.fetched,
            cancel: self.cancel,
        };
        let seconds_before = collect.run().await?;
        drop(ticker);
        self.lap("crawl", begun);
        *self.seconds.entry("crawl".to_owned()).or_default() += seconds_before;
        Ok(())
    }

    /// Half of what a crawl may hold; the rest is for decoding and encoding.
    fn index_bytes(&self) -> usize {
        self.deps.fleet.workers.memory_shares().index_bytes()
    }

    async fn report(&self) -> Result<RunReport, Failure> {
        let report = self.deps.reports().load(&self.key).await?;
        report.ok_or_else(|| {
            Failure::dead(ReasonClass::Unreadable, format!("run {} has no report", self.key))
        })
    }

    /// The last complete run's, if they were made from the same place by the same mapping, and if that run
    /// is what the table shows: `shown` is its newest one.
    async fn validators(
        &self,
        pipe: &Pipe,
        mapping: &str,
        report: &RunReport,
        shown: Option<i64>,
    ) -> Result<Option<Validators>, Failure> {
        let key = keys::validators(&self.key.pipe);
        let Some(object) = self.deps.objects.get(&key).await? else { return Ok(None) };
        // One that cannot be read is as good as none: the source is read whole.
        let Ok(found) = from_json::<Validators>(&key, &object.bytes) else { return Ok(None) };
        let same = found.source == source_hash(pipe)
            && found.mapping == mapping
            && Some(found.run) == shown;
        Ok((same && report.source.replayed_from.is_none()).then_some(found))
    }

    /// Writes into the report what is about to be committed, then commits it.
    async fn commit(
        &mut self,
        prepared: Prepared,
    ) -> Result<(CommitOutcome, Option<Validators>), Failure> {
        let Prepared { loaded, validators, grounds } = prepared;
        let Loaded { mut change, facts, .. } = loaded;
        let begun = Instant::now();
        // An unchanged source must be looked at again while an operator has something to decide, and while
        // nights without a product are counted.
        let settled = facts.counts.held == 0 && facts.counts.absent == 0;
        let complete = facts.source.complete && settled;
        self.announce(&facts).await?;
        failpoint::hit("crawl.before-commit");
        let products = self.deps.catalog.products().clone();
        change.metrics = run_figures(facts.counts, &facts.lists);
        let outcome = blocking(move || products.commit_run(&change, &grounds)).await??;
        failpoint::hit("crawl.committed");
        self.lap("commit", begun);
        if let CommitOutcome::Committed { version, vector_bytes } = outcome {
            let seconds = self.seconds.clone();
            let peak = memory::peak_resident_bytes();
            self.update(move |report| {
                // Another worker has ended the run meanwhile, by what the commit says.
                if matches!(report.state, RunState::Done | RunState::Held) {
                    return;
                }
                // Once more: a worker that slept past its lease may have written its own in between.
                facts::write(report, &facts);
                report.commit();
                report.table_version = Some(version);
                report.bytes.written += vector_bytes;
                report.seconds = seconds.clone();
                report.peak_memory_bytes = peak;
            })
            .await?;
        }
        Ok((outcome, validators.filter(|_| complete)))
    }

    /// Writes into the report what is about to be committed. A worker that slept past its lease must not undo what
    /// another has done: where the run is in the table, the report stays as it is. A run that has ended goes no
    /// further, and whoever gets its message next deletes it. One that ends between this and the commit is the table's
    /// concern: where its pipe was rolled back meanwhile, the commit is void, and the run comes by here again.
    async fn announce(&self, facts: &LoadFacts) -> Result<(), Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let now = self.deps.clock.now();
        let report = self
            .update(|report| {
                if !report.state.is_final() && report.state != RunState::Committed {
                    facts::write(report, facts);
                    report.updated_at = now;
                }
            })
            .await?;
        if report.state.is_final() || self.cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        Ok(())
    }

    /// A newer run is in the table. If this one came before it, only its report is left to be ended; upkeep looks for
    /// pictures that nobody asked for.
    async fn overtaken(&self) -> Result<Outcome, Failure> {
        let Some(commit) = commit_of(self.deps, &self.key).await? else {
            return Ok(Outcome::Superseded);
        };
        let now = self.deps.clock.now();
        self.update(|report| {
            if !report.state.is_final() {
                facts::settle(report, &commit);
                end(report, now);
            }
        })
        .await?;
        Ok(Outcome::Done)
    }

    /// After the commit: the image jobs, the validators, and the report's end.
    async fn follow_up(
        &mut self,
        pipe: &Pipe,
        validators: Option<Validators>,
    ) -> Result<Outcome, Failure> {
        let begun = Instant::now();
        let queued =
            if pipe.images.mirror { images::enqueue(self.deps, &self.key).await? } else { 0 };
        failpoint::hit("crawl.images-sent");
        if pipe.layer.is_some() {
            supplement::tidy(self.deps.objects.as_ref(), &self.key).await;
        }
        self.lap("images", begun);
        // Before the report's end: from then on the pipe may be put back to an earlier run, and forget them.
        if let Some(validators) = validators {
            self.deps.objects.put(&keys::validators(&self.key.pipe), to_json(&validators)).await?;
        }
        let now = self.deps.clock.now();
        let lap = self.seconds.get("images").copied().unwrap_or_default();
        let report = self
            .update(move |report| {
                if report.state.is_final() {
                    return;
                }
                report.counts.images_queued = queued;
                report.seconds.insert("images".into(), lap);
                end(report, now);
            })
            .await?;
        tracing::info!(
            run = %self.key, seen = report.counts.seen, new = report.counts.new,
            changed = report.counts.changed, removed = report.counts.removed,
            held = report.counts.held, refused = report.counts.refused, images = queued,
            "run finished"
        );
        Ok(Outcome::Done)
    }

    async fn update(
        &self,
        change: impl FnMut(&mut RunReport) + Send,
    ) -> Result<RunReport, Failure> {
        Ok(self.deps.reports().update(&self.key, change).await?)
    }

    fn lap(&mut self, phase: &str, begun: Instant) {
        *self.seconds.entry(phase.to_owned()).or_default() += begun.elapsed().as_secs_f64();
    }

    /// Writes into the report how far the run has come, until the handle is dropped.
    fn tell_progress(&self, progress: Arc<Progress>) -> impl Drop + use<> {
        let (reports, key, clock) =
            (self.deps.reports(), self.key.clone(), self.deps.clock.clone());
        let interval = match self.deps.fleet.objects.place {
            feedfleet_config::Place::Folder(_) => PROGRESS,
            feedfleet_config::Place::S3 { .. } => {
                PAID_PROGRESS.min(self.deps.fleet.leases.visibility)
            }
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    () = tokio::time::sleep(interval) => {}
                }
                let (seen, fetched) = progress.read();
                let told = progress.told();
                let now: DateTime<Utc> = clock.now();
                let written = reports
                    .update(&key, |report| {
                        if report.state == RunState::Running && !stopped.is_cancelled() {
                            report.counts.seen = seen;
                            report.bytes.fetched = fetched;
                            // What an earlier attempt met is over.
                            report.warnings.clone_from(&told);
                            report.updated_at = now;
                        }
                    })
                    .await;
                if let Err(e) = written {
                    tracing::warn!(run = %key, error = %e, "could not write progress");
                }
            }
        });
        stop.drop_guard()
    }
}

/// Tells one source from another, also where their addresses differ only in what is never shown.
fn source_hash(pipe: &Pipe) -> String {
    let address = match &pipe.source.location {
        Location::Http(url) => url.expose().to_owned(),
        Location::File(path) => path.display().to_string(),
        Location::Server(server) => server.url.expose().to_owned(),
        object @ Location::Object { .. } => object.display(),
        // Whether its pages have changed is for each of them to say.
        Location::Site(site) => site.fingerprint(),
    };
    hash::hex(hash::bytes_hash(address.as_bytes()))
}

/// A change that is ready to be committed.
struct Prepared {
    loaded: Loaded,
    validators: Option<Validators>,
    /// What it rests on besides its files.
    grounds: Vec<Ground>,
}

/// Runs blocking work off the runtime's threads. A panic in it is a panic here.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result),
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(Failure::interrupted()),
    }
}
