//! Dead letters: jobs that failed for good, kept with their reason until an operator decides, and then with the
//! decision until they expire. The object is the lasting dead letter; the queue's own dead letter is only its
//! place in line.

use crate::reports::{ReportError, from_json, to_json};
use crate::{Expected, ObjectError, Objects, PutOutcome, READS_AT_ONCE, get_all};
use chrono::{DateTime, Utc};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{Job, PipeName, Reason, RunId};
use futures::stream::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The job's own id, or the queue's message id where the body is no job: [`DeadLetter::id_of`].
    pub id: String,
    /// The queue it was on.
    pub queue: String,
    /// Its message group.
    pub group: String,
    /// Its body, as it was.
    pub body: String,
    /// The job, where the body is one.
    pub job: Option<Job>,
    /// Why it failed.
    pub reason: Reason,
    /// The worker that gave it up.
    pub worker: String,
    /// Receives of its message.
    pub receives: u32,
    /// When its message was first received.
    pub first_received_at: DateTime<Utc>,
    /// When it was given up, the last time.
    pub died_at: DateTime<Utc>,
    /// When it was given up for the first time, where it has been given up before.
    #[serde(default)]
    pub first_died_at: Option<DateTime<Utc>>,
    /// The queue's id of the message, by which it can be forgotten there.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Whether it still waits for a decision.
    #[serde(default)]
    pub state: LetterState,
    /// What was decided so far, oldest first. More than one entry: it was replayed and died again.
    #[serde(default)]
    pub history: Vec<Decision>,
}

/// Where a dead letter stands.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LetterState {
    /// An operator has to decide.
    #[default]
    Waiting,
    /// Its job was sent anew.
    Replayed,
    /// An operator gave the job up.
    Dropped,
    /// A newer run of the pipe made the job pointless.
    Superseded,
}

impl LetterState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            LetterState::Waiting => "waiting",
            LetterState::Replayed => "replayed",
            LetterState::Dropped => "dropped",
            LetterState::Superseded => "superseded",
        }
    }
}

/// One decision on a dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: an operator's name, or `scheduler`.
    pub by: String,
    /// What was decided: the state that the letter came into.
    pub action: LetterState,
    /// What the job had died of.
    pub died_of: Reason,
    /// Why, in the words of whoever decided.
    pub note: Option<String>,
}

impl DeadLetter {
    /// The id of a job's dead letter: the job's own, which survives what the queue does to its message ids; or
    /// one made of the message's id, where the body is no job.
    pub fn id_of(job: Option<&Job>, message_id: &str) -> String {
        job.map_or_else(|| format!("message-{message_id}"), Job::id)
    }

    /// The queue that a letter's job was on, as far as its key tells: for one that cannot be read.
    pub fn queue_by_key(key: &ObjectKey) -> &'static str {
        if key.name().starts_with("image-") { "image" } else { "crawl" }
    }

    /// The pipe whose job it is; none where the body is no job.
    pub fn pipe(&self) -> Option<&PipeName> {
        match self.job.as_ref()? {
            Job::Crawl(job) => Some(&job.pipe),
            Job::Image(job) => Some(&job.pipe),
        }
    }

    /// The run that the job belongs to; none where the body is no job.
    pub fn run(&self) -> Option<RunId> {
        match self.job.as_ref()? {
            Job::Crawl(job) => Some(job.run),
            Job::Image(job) => Some(job.run),
        }
    }

    /// This letter, of a job that has an earlier one: with the history of that.
    fn after(&self, earlier: &DeadLetter) -> DeadLetter {
        let mut letter = self.clone();
        letter.history.clone_from(&earlier.history);
        // A worker that could not settle the message keeps the letter once more: that is no second death.
        let is_same_death = earlier.state == LetterState::Waiting
            && earlier.message_id.is_some()
            && earlier.message_id == self.message_id;
        if is_same_death {
            letter.died_at = earlier.died_at;
            letter.first_died_at = earlier.first_died_at;
        } else {
            letter.first_died_at = Some(earlier.first_died_at.unwrap_or(earlier.died_at));
        }
        letter
    }
}

/// All dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    objects: Arc<dyn Objects>,
}

/// Rounds in which a write may lose to others.
const MAX_ROUNDS: usize = 50;

impl DeadLetters {
    /// The dead letters in this store.
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self { objects }
    }

    /// Keeps a dead letter. A job that dies again waits again, and keeps the history of its earlier letter.
    pub async fn keep(&self, letter: &DeadLetter) -> Result<(), ReportError> {
        self.keep_where(letter, |_| true).await
    }

    /// As [`DeadLetters::keep`], for who knows only that the job is dead: a letter of the job that is there already
    /// stays as it is, unless it says that the job was sent anew.
    pub async fn keep_if_missing(&self, letter: &DeadLetter) -> Result<(), ReportError> {
        self.keep_where(letter, |earlier| earlier.state == LetterState::Replayed).await
    }

    /// Keeps a dead letter unless there is one already that it does not follow.
    async fn keep_where(
        &self,
        letter: &DeadLetter,
        follows: impl Fn(&DeadLetter) -> bool + Send,
    ) -> Result<(), ReportError> {
        let key = keys::dead_letter(&letter.id);
        for _ in 0..MAX_ROUNDS {
            let (merged, expected) = match self.objects.get(&key).await? {
                None => (letter.clone(), Expected::Absent),
                Some(object) => {
                    // One that cannot be read has no history to keep.
                    let earlier = from_json::<DeadLetter>(&key, &object.bytes).ok();
                    if earlier.as_ref().is_some_and(|earlier| !follows(earlier)) {
                        return Ok(());
                    }
                    let merged = earlier.map_or_else(|| letter.clone(), |e| letter.after(&e));
                    (merged, Expected::Version(object.version))
                }
            };
            let put = self.objects.put_if(&key, to_json(&merged), expected).await?;
            if put != PutOutcome::Lost {
                return Ok(());
            }
        }
        Err(ObjectError::contended(&key).into())
    }

    /// Enters a decision on a letter, unless the letter was decided on or its job died anew since it was `seen`:
    /// then it stays as it is, and the answer is false.
    pub async fn decide(
        &self,
        seen: &DeadLetter,
        decision: &Decision,
    ) -> Result<bool, ReportError> {
        let key = keys::dead_letter(&seen.id);
        for _ in 0..MAX_ROUNDS {
            let Some(object) = self.objects.get(&key).await? else { return Ok(false) };
            let mut letter: DeadLetter = from_json(&key, &object.bytes)?;
            if letter.state != LetterState::Waiting || letter.died_at != seen.died_at {
                return Ok(false);
            }
            letter.state = decision.action;
            letter.history.push(decision.clone());
            let expected = Expected::Version(object.version);
            let put = self.objects.put_if(&key, to_json(&letter), expected).await?;
            if put != PutOutcome::Lost {
                return Ok(true);
            }
        }
        Err(ObjectError::contended(&key).into())
    }

    /// The dead letter of this id; none where there is none, or the text is no id.
    pub async fn load(&self, id: &str) -> Result<Option<DeadLetter>, ReportError> {
        let Some(key) = keys::dead_letter_named(id) else { return Ok(None) };
        let Some(object) = self.objects.get(&key).await? else { return Ok(None) };
        Ok(Some(from_json(&key, &object.bytes)?))
    }

    /// Every dead letter that can be read, by id, and the keys of those that cannot.
    pub async fn all(&self) -> Result<(Vec<DeadLetter>, Vec<ObjectKey>), ReportError> {
        let listed = self.objects.list(&format!("{}/", keys::DEAD), None, usize::MAX).await?;
        let keys = listed.into_iter().map(|entry| entry.key);
        let mut reads = get_all(&self.objects, keys, READS_AT_ONCE);
        let (mut letters, mut unreadable) = (Vec::new(), Vec::new());
        while let Some((key, object)) = reads.next().await {
            let Some(object) = object? else { continue };
            match from_json(&key, &object.bytes) {
                Ok(letter) => letters.push(letter),
                Err(_) => unreadable.push(key),
            }
        }
        Ok((letters, unreadable))
    }

    /// How many letters wait for a decision, by the queue that their job was on. Nobody knows of one that cannot be
    /// read whether it was decided on: it counts, and its queue is told by its key.
    pub async fn waiting(&self) -> Result<BTreeMap<String, u64>, ReportError> {
        let (letters, unreadable) = self.all().await?;
        let mut waiting = BTreeMap::new();
        for letter in letters.into_iter().filter(|l| l.state == LetterState::Waiting) {
            *waiting.entry(letter.queue).or_default() += 1;
        }
        for key in unreadable {
            *waiting.entry(DeadLetter::queue_by_key(&key).to_owned()).or_default() += 1;
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;
    use chrono::TimeDelta;
    use feedfleet_model::{CrawlJob, ReasonClass};

    fn desk() -> (tempfile::TempDir, DeadLetters) {
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(FolderObjects::open(folder.path()).unwrap());
        (folder, DeadLetters::new(objects))
    }

    fn letter(message_id: &str, minute: i64) -> DeadLetter {
        let job = Job::Crawl(CrawlJob { pipe: "acme".parse().unwrap(), run: RunId(7), attempt: 1 });
        DeadLetter {
            id: DeadLetter::id_of(Some(&job), message_id),
            queue: "crawl".into(),
            group: job.group(),
            body: job.to_body(),
            job: Some(job),
            reason: Reason::new(ReasonClass::SourceRefused, "404"),
            worker: "w/1".into(),
            receives: 1,
            first_received_at: DateTime::UNIX_EPOCH,
            died_at: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute),
            first_died_at: None,
            message_id: Some(message_id.into()),
            state: LetterState::Waiting,
            history: Vec::new(),
        }
    }

    fn decision(action: LetterState) -> Decision {
        let reason = Reason::new(ReasonClass::SourceRefused, "404");
        let at = DateTime::UNIX_EPOCH;
        Decision { at, by: "ann".into(), action, died_of: reason, note: None }
    }

    #[tokio::test]
    async fn a_job_that_dies_again_waits_again_with_its_history() {
        let (_folder, letters) = desk();
        let first = letter("1", 1);
        letters.keep(&first).await.unwrap();
        assert!(letters.decide(&first, &decision(LetterState::Replayed)).await.unwrap());
        letters.keep(&letter("2", 5)).await.unwrap();
        let now = letters.load(&first.id).await.unwrap().unwrap();
        assert_eq!(now.state, LetterState::Waiting);
        assert_eq!(letters.waiting().await.unwrap(), BTreeMap::from([("crawl".to_owned(), 1)]));
        assert_eq!(now.history, [decision(LetterState::Replayed)]);
        assert_eq!(now.first_died_at, Some(first.died_at));
        assert_eq!(now.died_at, letter("2", 5).died_at);
        // What was decided on the first death is no decision on the second.
        assert!(!letters.decide(&first, &decision(LetterState::Dropped)).await.unwrap());
        assert!(letters.decide(&now, &decision(LetterState::Dropped)).await.unwrap());
        assert_eq!(letters.waiting().await.unwrap(), BTreeMap::new());
        assert!(!letters.decide(&now, &decision(LetterState::Replayed)).await.unwrap());
    }

    #[tokio::test]
    async fn a_letter_kept_twice_for_one_message_died_once() {
        let (_folder, letters) = desk();
        letters.keep(&letter("1", 1)).await.unwrap();
        letters.keep(&letter("1", 2)).await.unwrap();
        let kept = letters.load("crawl-acme-7").await.unwrap().unwrap();
        assert_eq!((kept.died_at, kept.first_died_at), (letter("1", 1).died_at, None));
    }

    #[tokio::test]
    async fn many_letters_come_by_their_ids() {
        let (_folder, letters) = desk();
        let mut ids: Vec<String> = (0..READS_AT_ONCE * 2).map(|n| format!("crawl-{n}")).collect();
        for id in &ids {
            letters.keep(&DeadLetter { id: id.clone(), ..letter(id, 1) }).await.unwrap();
        }
        ids.sort();
        let (found, unreadable) = letters.all().await.unwrap();
        assert_eq!(found.into_iter().map(|l| l.id).collect::<Vec<_>>(), ids);
        assert!(unreadable.is_empty(), "{unreadable:?}");
    }

    #[tokio::test]
    async fn letters_of_earlier_releases_wait() {
        let (_folder, letters) = desk();
        let mut old = serde_json::to_value(letter("1", 1)).unwrap();
        for name in ["first_died_at", "message_id", "state", "history"] {
            old.as_object_mut().unwrap().remove(name);
        }
        letters.objects.put(&keys::dead_letter("crawl-acme-7"), to_json(&old)).await.unwrap();
        let damaged = keys::dead_letter("crawl-acme-8");
        letters.objects.put(&damaged, "{".into()).await.unwrap();
        letters.objects.put(&keys::dead_letter("message-1"), "{}".into()).await.unwrap();
        let (found, unreadable) = letters.all().await.unwrap();
        assert_eq!(found[0].state, LetterState::Waiting);
        assert_eq!(found[0].message_id, None);
        assert_eq!((found.len(), unreadable), (1, vec![damaged, keys::dead_letter("message-1")]));
        letters.objects.put(&keys::dead_letter("image-acme-8-1"), "{".into()).await.unwrap();
        let waiting = [("crawl".to_owned(), 3), ("image".to_owned(), 1)];
        assert_eq!(letters.waiting().await.unwrap(), BTreeMap::from(waiting));
        assert!(letters.load("../reports/x").await.unwrap().is_none());
    }
}
