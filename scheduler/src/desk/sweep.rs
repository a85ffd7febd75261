//! What the scheduler does at the desk by itself, once a minute: letters that a newer run has made pointless are
//! marked so, and what the queues gave up is taken over, with a letter for what has none.

use super::{Desk, DeskError, pointless};
use crate::damaged;
use crate::deps::Deps;
use crate::seen::Seen;
use chrono::{DateTime, Utc};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::RunState;
use feedfleet_model::{Job, Reason, ReasonClass, RunId, RunKey, RunReport};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::reports::from_json;
use feedfleet_objects::{DeadLetter, DeadLetters, ReportError};
use feedfleet_queue::{DeadMessage, Queue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Dead letters of a queue that are looked at in one go: SQS shows each for half a minute, in which it must be taken
/// over.
const PAGE: usize = 100;
/// The name under which the scheduler decides.
const SCHEDULER: &str = "scheduler";

/// What sweeps remember, so that letters of runs that wait for days are not looked at each minute: a fence is a replay
/// of the table's log, which a store is paid for.
#[derive(Default)]
pub(crate) struct Letters {
    /// The letters, by their keys.
    seen: Seen<ObjectKey, Standing>,
    /// The version of the products that dead runs were last held against; none while no letter of one waits.
    version: Mutex<Option<u64>>,
}

impl Letters {
    fn version(&self) -> MutexGuard<'_, Option<u64>> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a letter stood when it was read.
#[derive(Debug, Clone)]
enum Standing {
    Decided,
    /// A job of this queue waits for a decision.
    Waits {
        queue: String,
        /// The version of the products against which its run was held, and nothing was to be done.
        settled_at: Option<u64>,
    },
}

/// Puts the desk in order. Safe beside operators and other schedulers: each step is one that they might do.
pub(crate) async fn tidy(deps: &Deps, known: &Letters) {
    let desk = Desk::new(deps);
    for (name, queue) in [("crawl", &deps.crawl), ("image", &deps.image)] {
        if let Err(e) = desk.take_over(name, queue.as_ref(), PAGE).await {
            tracing::warn!(queue = name, error = %e, "could not take over dead letters, will try again");
        }
    }
    match desk.settle_pointless(known).await {
        Ok(waiting) => {
            if let Some(meters) = &deps.meters {
                meters.note_dead(&waiting);
            }
        }
        Err(e) => {
            tracing::warn!(error = %e, "could not look for superseded dead letters, will try again");
        }
    }
}

/// How many dead letters wait for a decision, by the queue of their jobs: also those that cannot be read, and those
/// of jobs that a queue gave up by itself and that have no letter before the next sweep.
///
/// # Errors
/// [`DeskError::Objects`] and [`DeskError::Queue`].
pub async fn waiting(
    letters: &DeadLetters,
    queues: [(&str, &dyn Queue); 2],
) -> Result<BTreeMap<String, u64>, DeskError> {
    let mut waiting = letters.waiting().await?;
    for (name, queue) in queues {
        let dead = queue.counts().await?.dead;
        if dead == 0 {
            continue;
        }
        let mut without_letter = BTreeSet::new();
        for message in queue.dead(usize::try_from(dead).unwrap_or(usize::MAX)).await? {
            let job = Job::from_body(&message.body).ok();
            let id = DeadLetter::id_of(job.as_ref(), message.id.as_str());
            match letters.load(&id).await {
                Ok(letter) if is_without_letter(&message, letter.as_ref()) => {
                    without_letter.insert(id);
                }
                // One that cannot be read is counted already.
                Ok(_) | Err(ReportError::Unreadable { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        *waiting.entry(name.to_owned()).or_default() += without_letter.len() as u64;
    }
    Ok(waiting)
}

/// A run whose letter waits.
struct WaitingRun {
    run: RunKey,
    letter: DeadLetter,
    /// The letter's object, when that was written, and when it was read.
    object: (ObjectKey, SystemTime, DateTime<Utc>),
}

impl Desk {
    /// Marks the dead runs that a newer run of their pipe has made pointless, and their letters. How many letters
    /// wait still, by the queue that their job was on, and those that cannot be read.
    pub(super) async fn settle_pointless(
        &self,
        known: &Letters,
    ) -> Result<BTreeMap<String, u64>, DeskError> {
        let unchanged = self.unchanged(known).await?;
        let (runs, mut waiting) = self.waiting(known, unchanged).await?;
        if runs.is_empty() {
            *known.version() = unchanged;
            return Ok(waiting);
        }
        let pipes: BTreeSet<_> = runs.iter().map(|found| found.run.pipe.clone()).collect();
        let (version, fences) = self.fences(pipes).await?;
        *known.version() = version;
        for WaitingRun { run: key, letter, object } in runs {
            let key = &key;
            let fence = fences.get(&key.pipe).copied();
            let report = match damaged::load(&self.deps, key).await {
                Ok(report) => report,
                Err(e) => {
                    // One report that cannot be read keeps no other letter waiting.
                    tracing::warn!(letter = %letter.id, error = %e, "could not look at a dead run");
                    continue;
                }
            };
            let Some(why) = pointless(key, fence, report.as_ref()) else {
                if is_settled(key, fence, report.as_ref()) {
                    let standing = Standing::Waits { queue: letter.queue, settled_at: version };
                    let (key, written, read_at) = object;
                    known.seen.note(key, written, read_at, standing);
                }
                continue;
            };
            match self.supersede(&letter, key, &why, SCHEDULER).await {
                Ok(()) => {
                    if let Some(count) = waiting.get_mut(&letter.queue) {
                        *count -= 1;
                    }
                }
                Err(e) => {
                    // Nor does one that cannot be marked.
                    tracing::warn!(letter = %letter.id, error = %e, "could not mark a dead run as superseded");
                }
            }
        }
        Ok(waiting)
    }

    /// The version of the products that dead runs were last held against, if there is none newer.
    async fn unchanged(&self, known: &Letters) -> Result<Option<u64>, DeskError> {
        let last = *known.version();
        let Some(version) = last else { return Ok(None) };
        let products = self.deps.catalog.products().clone();
        let is_newest = tokio::task::spawn_blocking(move || products.is_newest(version)).await??;
        Ok(is_newest.then_some(version))
    }

    /// The runs whose letters wait for a decision, but for those that were settled at the version that is `unchanged`;
    /// and how many letters of all kinds wait, by the queue that their job was on. Those of pictures, of which there may
    /// be thousands, are read once.
    async fn waiting(
        &self,
        known: &Letters,
        unchanged: Option<u64>,
    ) -> Result<(Vec<WaitingRun>, BTreeMap<String, u64>), DeskError> {
        let listed = self.deps.objects.list(&format!("{}/", keys::DEAD), None, usize::MAX).await;
        let listed = listed.map_err(ReportError::from)?;
        let all: BTreeSet<&ObjectKey> = listed.iter().map(|entry| &entry.key).collect();
        known.seen.keep(|key| all.contains(key));
        let mut runs = Vec::new();
        let mut waiting: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &listed {
            let (key, written) = (&entry.key, entry.modified);
            let is_run = key.as_str().starts_with(keys::DEAD_CRAWLS);
            let now = self.deps.clock.now();
            match known.seen.get(key, written, now) {
                Some(Standing::Decided) => continue,
                Some(Standing::Waits { queue, settled_at })
                    if !is_run || (settled_at.is_some() && settled_at == unchanged) =>
                {
                    *waiting.entry(queue).or_default() += 1;
                    continue;
                }
                _ => {}
            }
            let letter = match self.deps.objects.get(key).await {
                Ok(Some(object)) => from_json::<DeadLetter>(key, &object.bytes).ok(),
                Ok(None) => continue,
                Err(e) => {
                    self.deps.complain(&e.to_string());
                    None
                }
            };
            let Some(letter) = letter else {
                // Nobody knows whether it was decided on; `feedfleet dlq list` tells of it.
                *waiting.entry(DeadLetter::queue_by_key(key).to_owned()).or_default() += 1;
                continue;
            };
            let standing = match letter.state {
                LetterState::Waiting => {
                    Standing::Waits { queue: letter.queue.clone(), settled_at: None }
                }
                _ => Standing::Decided,
            };
            if matches!(standing, Standing::Waits { .. }) {
                *waiting.entry(letter.queue.clone()).or_default() += 1;
                if let Some(run) = letter.job.as_ref().filter(|_| is_run).map(Job::run_key) {
                    let object = (key.clone(), written, now);
                    runs.push(WaitingRun { run, letter, object });
                }
            }
            known.seen.note(key.clone(), written, now, standing);
        }
        Ok((runs, waiting))
    }

    /// Takes over what a queue has given up, a page at a time: each dead message has its letter, and then the queue
    /// forgets it. Only so does a look come to all of them, for a queue shows its dead letters from the first one
    /// on, and SQS only those that it happens to come by, ten of a group at most.
    pub(super) async fn take_over(
        &self,
        name: &str,
        queue: &dyn Queue,
        page: usize,
    ) -> Result<(), DeskError> {
        if queue.counts().await?.dead == 0 {
            return Ok(());
        }
        // Those that stay in the queue are looked past.
        let mut stay = 0;
        loop {
            let found = queue.dead(stay + page).await?;
            let (shown, is_page) = (found.len(), found.len() == stay + page);
            stay = 0;
            for dead in found {
                if !self.take_over_one(name, queue, dead).await? {
                    stay += 1;
                }
            }
            // What went may have hidden others of its group.
            if !is_page && stay == shown {
                return Ok(());
            }
        }
    }

    /// False: the message stays in the queue.
    async fn take_over_one(
        &self,
        name: &str,
        queue: &dyn Queue,
        dead: DeadMessage,
    ) -> Result<bool, DeskError> {
        let job = Job::from_body(&dead.body).ok();
        let id = dead.id.clone();
        let letter = match self.letters.load(&DeadLetter::id_of(job.as_ref(), id.as_str())).await {
            Ok(letter) => letter,
            // A letter that cannot be read: the queue's is the better one, and stays.
            Err(e) => {
                tracing::warn!(queue = name, error = %e, "could not look at a dead letter");
                return Ok(false);
            }
        };
        if is_without_letter(&dead, letter.as_ref()) {
            self.letters.keep(&adopted(name, dead, job)).await?;
        }
        Ok(queue.forget_dead(&id).await?)
    }
}

/// Whether only a newer version of the products, or another letter, could change what becomes of the run. One that has
/// not ended may end by itself, and so may a dead one that is in the table after all: its worker may only have slept.
fn is_settled(key: &RunKey, fence: Option<RunId>, report: Option<&RunReport>) -> bool {
    report.is_none_or(|report| report.state == RunState::Dead) && fence != Some(key.run)
}

/// Whether no worker wrote a letter: the queue gave the message up by itself.
fn is_without_letter(dead: &DeadMessage, letter: Option<&DeadLetter>) -> bool {
    let Some(letter) = letter else { return true };
    let is_its_own = letter.message_id.as_deref() == Some(dead.id.as_str());
    let decided_at = letter.history.last().map(|last| last.at);
    // After the decision, another message of the job: the one that a replay sent. A letter that waits is that of a
    // later message, or of this one.
    letter.state != LetterState::Waiting
        && !is_its_own
        && decided_at.is_some_and(|at| moment(dead.died_at_ms) > at)
}

/// The letter of a message that the queue gave up by itself. The run's report stays as it is: the run is sent again
/// if nobody works on it, and the letter is superseded when it ends well.
fn adopted(queue: &str, dead: DeadMessage, job: Option<Job>) -> DeadLetter {
    let text = format!("the queue gave the message up: {}", dead.reason);
    DeadLetter {
        id: DeadLetter::id_of(job.as_ref(), dead.id.as_str()),
        queue: queue.to_owned(),
        group: dead.group,
        body: dead.body,
        job,
        reason: Reason::new(ReasonClass::WorkerLost, text),
        worker: "none: it was the queue".to_owned(),
        receives: dead.receive_count,
        first_received_at: moment(dead.sent_at_ms),
        died_at: moment(dead.died_at_ms),
        first_died_at: None,
        message_id: Some(dead.id.as_str().to_owned()),
        state: LetterState::Waiting,
        history: Vec::new(),
    }
}

fn moment(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
