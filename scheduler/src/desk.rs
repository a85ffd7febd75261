//! The desk of dead letters: what an operator can do about jobs that failed for good.
//!
//! The lasting dead letter is an object; the queue's own dead letter is only its place in line. So each decision is
//! carried out in this order: first what follows from it (a report reopened, a message sent), then the letter is
//! marked, then the queue's dead letter is forgotten. Cut off in between, the letter still waits, and the same
//! decision can be made again: nothing is lost, and at worst a job is sent twice, which the table's fence and the
//! idempotence of image jobs make harmless. What is left behind in the queue goes with the scheduler's sweep, which
//! takes over all that the queues have given up.

mod select;
mod sweep;
mod verdict;

pub use select::{Group, Selection, find, groups};
pub use sweep::waiting;
pub(crate) use sweep::{Letters, tidy};
pub use verdict::{Decider, Verdict};

use crate::damaged;
use crate::deps::Deps;
use crate::issue::{IssueError, send};
use crate::pause::pause_over;
use chrono::{DateTime, Utc};
use feedfleet_catalog::{Catalog, CatalogError, feed_app_id};
use feedfleet_model::hash::{bytes_hash, hex};
use feedfleet_model::report::RunState;
use feedfleet_model::text::printable;
use feedfleet_model::{Job, PipeName, RunId, RunKey, RunReport};
use feedfleet_objects::dead_letters::{Decision, LetterState};
use feedfleet_objects::{DeadLetter, DeadLetters, ReportError, Reports};
use feedfleet_queue::{MAX_NAME_BYTES, MessageId, NewMessage, QueueError};
use std::collections::{BTreeMap, BTreeSet};

/// Where decisions on dead letters are carried out.
pub struct Desk {
    deps: Deps,
    letters: DeadLetters,
    reports: Reports,
    /// The newest run of each pipe that this desk has replayed, or would have: an older one is pointless then.
    replayed: BTreeMap<PipeName, RunId>,
}

/// Why a decision could not be carried out, or a letter not be found.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Letters or reports failed.
    #[error(transparent)]
    Objects(#[from] ReportError),
    /// A queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The table failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The run's message could not be sent.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The thread that read the table's log did not come to its end.
    #[error("could not read the table's log: {0}")]
    Stopped(#[from] tokio::task::JoinError),
    /// There is no such letter.
    #[error("there is no dead letter '{}'; see: feedfleet dlq list --each", printable(.id))]
    Unknown {
        /// The id that was asked for.
        id: String,
    },
}

/// As [`RunReport::mark`].
type Mark = (DateTime<Utc>, u32);
/// The newest run in the table of each pipe that has one.
type Fences = BTreeMap<PipeName, RunId>;

/// What a replay of a dead run would come to.
#[derive(Debug)]
enum Prospect {
    /// It can be sent, if no rollback passes the run over that had not by then.
    Open {
        /// [`RunReport::mark`] before anybody looked for a pause.
        mark: Mark,
    },
    Pointless(String),
    /// Not now, or not at all.
    Closed(String),
}

impl Desk {
    /// The desk of this fleet.
    pub fn new(deps: &Deps) -> Self {
        Self {
            deps: deps.clone(),
            letters: DeadLetters::new(deps.objects.clone()),
            reports: deps.reports(),
            replayed: BTreeMap::new(),
        }
    }

    /// Sends the letter's job anew: an image job as it was, a run under its own id. Letters of several runs should
    /// come newest run first, as [`find`] gives them.
    ///
    /// # Errors
    /// The letter waits still, and may be replayed again.
    pub async fn replay(
        &mut self,
        letter: &DeadLetter,
        decider: &Decider,
    ) -> Result<Verdict, DeskError> {
        if let Some(why) = decided(letter) {
            return Ok(Verdict::Left(why));
        }
        match Job::from_body(&letter.body) {
            Ok(job @ Job::Crawl(_)) => self.replay_run(letter, &job.run_key(), decider).await,
            Ok(Job::Image(_)) => {
                if !decider.dry_run {
                    let dedup_id = dedup_id(letter);
                    let (group, body) = (letter.group.clone(), letter.body.clone());
                    self.deps.image.send(&[NewMessage { group, dedup_id, body }]).await?;
                    if !self.decide(letter, LetterState::Replayed, decider).await? {
                        return Ok(sent_but_not_entered());
                    }
                }
                Ok(Verdict::Replayed)
            }
            Err(e) => Ok(Verdict::Left(format!("it is not a job of this release: {e}"))),
        }
    }

    /// Gives the letter's job up. A dead run stays dead.
    ///
    /// # Errors
    /// The letter may be dropped already; the queue's own dead letter then goes with the scheduler's next sweep.
    pub async fn give_up(
        &self,
        letter: &DeadLetter,
        decider: &Decider,
    ) -> Result<Verdict, DeskError> {
        if let Some(why) = decided(letter) {
            return Ok(Verdict::Left(why));
        }
        if !decider.dry_run && !self.decide(letter, LetterState::Dropped, decider).await? {
            let why = "it was decided on, or its job died anew, a moment ago; look again";
            return Ok(Verdict::Left(why.to_owned()));
        }
        Ok(Verdict::Dropped)
    }

    async fn replay_run(
        &mut self,
        letter: &DeadLetter,
        key: &RunKey,
        decider: &Decider,
    ) -> Result<Verdict, DeskError> {
        if let Some(newer) = self.replayed.get(&key.pipe).filter(|newer| **newer > key.run) {
            let why = format!("run {newer} of the pipe is newer and replayed too");
            return Ok(Verdict::Left(why));
        }
        let mark = match self.prospect(key).await? {
            Prospect::Closed(why) => return Ok(Verdict::Left(why)),
            Prospect::Pointless(why) => {
                if !decider.dry_run {
                    self.supersede(letter, key, &why, &decider.by).await?;
                }
                return Ok(Verdict::Superseded(why));
            }
            Prospect::Open { mark } => mark,
        };
        if !decider.dry_run {
            if !self.reopen(key, mark).await? {
                let why = "a rollback of the pipe began, or the run's report was damaged, while this was looked \
                           at; look again";
                return Ok(Verdict::Left(why.to_owned()));
            }
            send(&self.deps, key).await?;
        }
        self.replayed.insert(key.pipe.clone(), key.run);
        if !decider.dry_run && !self.decide(letter, LetterState::Replayed, decider).await? {
            return Ok(sent_but_not_entered());
        }
        Ok(Verdict::Replayed)
    }

    /// Takes a run back from the dead, unless a rollback has passed it over since its prospect was looked at: then
    /// the answer is false. The comment at `refuse_if_unfinished` in `rollback.rs` says why that is enough.
    async fn reopen(&self, key: &RunKey, mark: Mark) -> Result<bool, DeskError> {
        let now = self.deps.clock.now();
        let reopened = self.reports.update(key, |report| {
            // It may not be dead any more: an earlier replay came as far as this, and the message may be missing.
            if report.mark() == mark {
                report.reopen(now);
            }
        });
        Ok(reopened.await?.mark() == mark)
    }

    /// The report is loaded before the look for a pause: a rollback rests on that.
    async fn prospect(&self, key: &RunKey) -> Result<Prospect, DeskError> {
        let (_, fences) = self.fences(BTreeSet::from([key.pipe.clone()])).await?;
        let report = damaged::load(&self.deps, key).await?;
        let fence = fences.get(&key.pipe).copied();
        let is_in = fence == Some(key.run);
        if let Some(why) = pointless(key, fence, report.as_ref()) {
            return Ok(Prospect::Pointless(why));
        }
        let pipe = &key.pipe;
        let Some(mark) = report.as_ref().map(RunReport::mark) else {
            let why = format!("its report has gone; begin another run: feedfleet run {pipe}");
            return Ok(Prospect::Closed(why));
        };
        if let Some((whose, pause)) = pause_over(self.deps.objects.as_ref(), pipe).await? {
            let why = format!(
                "the pipe is paused {pause}; to let it run again: feedfleet pipes resume {whose}"
            );
            return Ok(Prospect::Closed(why));
        }
        let runs = self.reports.runs_of(pipe).await?;
        for newer in runs.iter().rev().take_while(|newer| newer.run > key.run) {
            let Some(report) = damaged::load(&self.deps, newer).await? else { continue };
            let (run, word) = (newer.run, report.state.word());
            if !report.state.is_final() {
                let why = format!("run {run} of the pipe is {word} and must end first");
                return Ok(Prospect::Closed(why));
            }
            match report.state {
                RunState::Done | RunState::Held => {
                    let why = format!("run {run} of the pipe is newer and {word}");
                    return Ok(Prospect::Pointless(why));
                }
                // Who looks at a pipe's newest run, to see whether one is under way, would not see this one. One that
                // is in the table has image jobs to send, and no crawl.
                _ if !is_in => {
                    let why = format!(
                        "run {run} of the pipe is newer and {word}: replay that one, or begin another: feedfleet \
                         run {pipe}, with --replay {} for what this one had fetched, if it came so far",
                        key.run
                    );
                    return Ok(Prospect::Closed(why));
                }
                _ => {}
            }
        }
        Ok(Prospect::Open { mark })
    }

    /// Marks run and letter as superseded, the run first: a letter that waits is looked at again.
    async fn supersede(
        &self,
        letter: &DeadLetter,
        key: &RunKey,
        why: &str,
        by: &str,
    ) -> Result<(), DeskError> {
        // The letter may outlive the report.
        if self.reports.load(key).await?.as_ref().is_some_and(is_open) {
            let now = self.deps.clock.now();
            // None: it is not in, or so old that the log does not tell any more.
            let version = self.deps.commit_of(key).await??.map(|commit| commit.version);
            let marked = self.reports.update(key, |report| {
                if !is_open(report) {
                    return;
                }
                report.table_version = version;
                // A run that is in the table was not superseded, though its image jobs may be missing.
                if version.is_none() {
                    report.state = RunState::Superseded;
                    report.finished_at.get_or_insert(now);
                    report.updated_at = now;
                }
            });
            match marked.await {
                Ok(_) | Err(ReportError::Absent(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let decider = Decider { by: by.to_owned(), note: Some(why.to_owned()), dry_run: false };
        self.decide(letter, LetterState::Superseded, &decider).await?;
        Ok(())
    }

    /// Marks the letter, then takes it out of the queue's line. False: it was decided on by somebody else, or its
    /// job died anew, since it was read; then that stands.
    async fn decide(
        &self,
        letter: &DeadLetter,
        action: LetterState,
        decider: &Decider,
    ) -> Result<bool, DeskError> {
        let decision = Decision {
            at: self.deps.clock.now(),
            by: decider.by.clone(),
            action,
            died_of: letter.reason.clone(),
            note: decider.note.clone(),
        };
        let decided = self.letters.decide(letter, &decision).await?;
        if let Some(id) = &letter.message_id {
            let queue = if letter.queue == "image" { &self.deps.image } else { &self.deps.crawl };
            queue.forget_dead(&MessageId::new(id.clone())).await?;
        }
        tracing::info!(letter = %letter.id, action = action.word(), by = %decider.by, "dead letter decided");
        Ok(decided)
    }

    async fn fences(&self, pipes: BTreeSet<PipeName>) -> Result<(Option<u64>, Fences), DeskError> {
        fences_in(&self.deps.catalog, pipes).await
    }
}

/// How many of these letters wait for nothing any more, as a newer run of their pipe is in the table: the scheduler's next
/// sweep marks them.
///
/// # Errors
/// [`DeskError::Catalog`].
pub async fn count_overtaken(
    catalog: &Catalog,
    letters: &[DeadLetter],
) -> Result<usize, DeskError> {
    let waiting = letters.iter().filter(|letter| letter.state == LetterState::Waiting);
    let jobs = waiting.filter_map(|letter| letter.job.as_ref());
    let runs: Vec<RunKey> =
        jobs.filter(|job| matches!(job, Job::Crawl(_))).map(Job::run_key).collect();
    if runs.is_empty() {
        return Ok(0);
    }
    let (_, fences) = fences_in(catalog, runs.iter().map(|key| key.pipe.clone()).collect()).await?;
    let is_overtaken = |key: &&RunKey| fences.get(&key.pipe).is_some_and(|fence| *fence > key.run);
    Ok(runs.iter().filter(is_overtaken).count())
}

/// The newest run of each pipe that is in the table, and the table's version; none where there is no table.
async fn fences_in(
    catalog: &Catalog,
    pipes: BTreeSet<PipeName>,
) -> Result<(Option<u64>, Fences), DeskError> {
    let products = catalog.products().clone();
    let read = move || -> Result<(Option<u64>, Fences), CatalogError> {
        let mut fences = Fences::new();
        let Some(snapshot) = products.snapshot()? else { return Ok((None, fences)) };
        for pipe in pipes {
            if let Some(run) = snapshot.fence(&feed_app_id(&pipe))? {
                fences.insert(pipe, RunId(run));
            }
        }
        Ok((Some(snapshot.version()), fences))
    };
    Ok(tokio::task::spawn_blocking(read).await??)
}

/// Whether a run does not know itself in the table, and waits for nobody but an operator. Queued: reopened by a replay
/// that was cut off.
fn is_open(report: &RunReport) -> bool {
    matches!(report.state, RunState::Dead | RunState::Queued) && report.table_version.is_none()
}

/// Why nothing can come of the run any more; none where something can. A dead run that is itself the newest in the
/// table still lacks its image jobs, and a replay sends them.
fn pointless(key: &RunKey, fence: Option<RunId>, report: Option<&RunReport>) -> Option<String> {
    if let Some(newer) = fence.filter(|fence| *fence > key.run) {
        return Some(format!("run {newer} of the pipe is newer and in the table"));
    }
    let state = report?.state;
    let is_over = state.is_final() && state != RunState::Dead;
    is_over.then(|| format!("the run itself is {} by now", state.word()))
}

/// A replay whose letter was changed by somebody else in between: what they wrote stands, and the job is sent.
fn sent_but_not_entered() -> Verdict {
    let why = "its job was sent anew, but it was decided on, or its job died anew, a moment ago, and says \
               nothing of this; look again";
    Verdict::Left(why.to_owned())
}

/// What was decided on a letter that does not wait any more.
fn decided(letter: &DeadLetter) -> Option<String> {
    if letter.state == LetterState::Waiting {
        return None;
    }
    let word = letter.state.word();
    Some(match letter.history.last() {
        Some(last) => {
            let at = last.at.format("%Y-%m-%d %H:%M:%S UTC");
            format!("it was {word} by {} at {at}", last.by)
        }
        None => format!("it is {word}"),
    })
}

/// The deduplication id of a replay. It names the death: a replay that was cut off and is made again may be
/// dropped as a duplicate, one of a job that has died anew never.
fn dedup_id(letter: &DeadLetter) -> String {
    let id = format!("replay/{}/{}", letter.id, letter.died_at.timestamp_millis());
    if id.len() <= MAX_NAME_BYTES {
        id
    } else {
        format!("replay/{}", hex(bytes_hash(id.as_bytes())))
    }
}

#[cfg(test)]
mod tests;
