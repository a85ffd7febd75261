//! What the scheduler does at the desk by itself, once a minute: letters that a newer run has made pointless are
//! marked so, what the queues gave up gets a letter, and what was decided on leaves the queues' own lists.

use super::{Desk, DeskError, pointless};
use crate::deps::Deps;
use chrono::{DateTime, Utc};
use feedfleet_model::{Job, Reason, ReasonClass, RunKey};
use feedfleet_objects::DeadLetter;
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_queue::{DeadMessage, Queue};
use std::collections::BTreeSet;

/// Dead letters of a queue that are looked at in one round.
const DEAD_PER_ROUND: usize = 10_000;
/// The name under which the scheduler decides.
const SCHEDULER: &str = "scheduler";

/// Puts the desk in order. Safe beside operators and other schedulers: each step is one that they might do.
pub(crate) async fn tidy(deps: &Deps) {
    let desk = Desk::new(deps);
    if let Err(e) = desk.settle_pointless().await {
        tracing::warn!(error = %e, "could not look for superseded dead letters, will try again");
    }
    for (name, queue) in [("crawl", &deps.crawl), ("image", &deps.image)] {
        if let Err(e) = desk.tidy_queue(name, queue.as_ref()).await {
            tracing::warn!(queue = name, error = %e, "could not tidy the dead letters, will try again");
        }
    }
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
            let report = match self.reports.load(key).await {
                Ok(report) => report,
                Err(e) => {
                    // One report that cannot be read keeps no other letter waiting.
                    tracing::warn!(letter = %letter.id, error = %e, "could not look at a dead run");
                    continue;
                }
            };
            if let Some(why) = pointless(key, fences.get(&key.pipe).copied(), report.as_ref()) {
                self.supersede(letter, key, &why, SCHEDULER).await?;
            }
        }
        Ok(())
    }

    /// Brings a queue's own list of dead letters in line with the lasting ones.
    pub(super) async fn tidy_queue(&self, name: &str, queue: &dyn Queue) -> Result<(), DeskError> {
        if queue.counts().await?.dead == 0 {
            return Ok(());
        }
        for dead in queue.dead(DEAD_PER_ROUND).await? {
            let job = Job::from_body(&dead.body).ok();
            let letter =
                self.letters.load(&DeadLetter::id_of(job.as_ref(), dead.id.as_str())).await;
            match letter {
                Ok(letter) => match place(&dead, letter.as_ref()) {
                    Place::InLine => {}
                    Place::WithoutLetter => self.letters.keep(&adopted(name, dead, job)).await?,
                    Place::Settled => {
                        queue.forget_dead(&dead.id).await?;
                    }
                },
                // A letter that cannot be read: the queue's is the better one, and stays.
                Err(e) => {
                    tracing::warn!(queue = name, error = %e, "could not look at a dead letter")
                }
            }
        }
        Ok(())
    }
}

/// What a dead message is to the letters.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Its letter waits.
    InLine,
    /// The queue gave it up by itself: no worker wrote a letter.
    WithoutLetter,
    /// Its letter was decided on, or is that of a later message of the same job.
    Settled,
}

fn place(dead: &DeadMessage, letter: Option<&DeadLetter>) -> Place {
    let Some(letter) = letter else { return Place::WithoutLetter };
    let is_its_own = letter.message_id.as_deref() == Some(dead.id.as_str());
    let decided_at = letter.history.last().map(|last| last.at);
    match (letter.state, is_its_own) {
        (LetterState::Waiting, true) => Place::InLine,
        (LetterState::Waiting, false) | (_, true) => Place::Settled,
        // A message that the replay sent, given up by the queue.
        (_, false) if decided_at.is_some_and(|at| moment(dead.died_at_ms) > at) => {
            Place::WithoutLetter
        }
        (_, false) => Place::Settled,
    }
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
