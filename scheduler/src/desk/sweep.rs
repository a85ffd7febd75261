//! What the scheduler does at the desk by itself, once a minute: letters that a newer run has made pointless are
//! marked so, and what the queues gave up is taken over, with a letter for what has none.

use super::{Desk, DeskError, pointless};
use crate::damaged;
use crate::deps::Deps;
use chrono::{DateTime, Utc};
use feedfleet_model::{Job, Reason, ReasonClass, RunKey};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::{DeadLetter, DeadLetters, ReportError};
use feedfleet_queue::{DeadMessage, Queue};
use std::collections::{BTreeMap, BTreeSet};

/// Dead letters of a queue that are looked at in one go.
const PAGE: usize = 1_000;
/// The name under which the scheduler decides.
const SCHEDULER: &str = "scheduler";

/// Puts the desk in order. Safe beside operators and other schedulers: each step is one that they might do.
pub(crate) async fn tidy(deps: &Deps) {
    let desk = Desk::new(deps);
    if let Err(e) = desk.settle_pointless().await {
        tracing::warn!(error = %e, "could not look for superseded dead letters, will try again");
    }
    for (name, queue) in [("crawl", &deps.crawl), ("image", &deps.image)] {
        if let Err(e) = desk.take_over(name, queue.as_ref(), PAGE).await {
            tracing::warn!(queue = name, error = %e, "could not take over dead letters, will try again");
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

impl Desk {
    /// Marks the dead runs that a newer run of their pipe has made pointless, and their letters.
    pub(super) async fn settle_pointless(&self) -> Result<(), DeskError> {
        let (letters, _) = self.letters.crawls().await?;
        let waiting: Vec<(DeadLetter, RunKey)> = letters
            .into_iter()
            .filter(|letter| letter.state == LetterState::Waiting)
            .filter_map(|letter| {
                let key = letter.job.as_ref()?.run_key();
                Some((letter, key))
            })
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let pipes: BTreeSet<_> = waiting.iter().map(|(_, key)| key.pipe.clone()).collect();
        let fences = self.fences(pipes).await?;
        for (letter, key) in &waiting {
            let report = match damaged::load(&self.deps, key).await {
                Ok(report) => report,
                Err(e) => {
                    // One report that cannot be read keeps no other letter waiting.
                    tracing::warn!(letter = %letter.id, error = %e, "could not look at a dead run");
                    continue;
                }
            };
            if let Some(why) = pointless(key, fences.get(&key.pipe).copied(), report.as_ref())
                && let Err(e) = self.supersede(letter, key, &why, SCHEDULER).await
            {
                // Nor does one that cannot be marked.
                tracing::warn!(letter = %letter.id, error = %e, "could not mark a dead run as superseded");
            }
        }
        Ok(())
    }

    /// Takes over what a queue has given up, a page at a time: each dead message has its letter, and then the queue
    /// forgets it. Only so does a look come to all of them, for a queue shows its dead letters from the first one
    /// on, and SQS only those that it happens to come by.
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
            let is_last = found.len() < stay + page;
            stay = 0;
            for dead in found {
                if !self.take_over_one(name, queue, dead).await? {
                    stay += 1;
                }
            }
            if is_last {
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
