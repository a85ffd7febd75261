//! A run's report: created before its message is sent, final when the run is.

mod diagnostics;

pub use diagnostics::{Diagnostics, KeyAdvice, Problem, ProblemSample};

use crate::ids::{RunId, RunKey};
use crate::outcome::Reason;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema of reports that this build writes. To be raised with every word that [`RunState`], [`Trigger`] or
/// [`crate::ReasonClass`] gains: an older release must not take a report with that word for damaged.
pub const REPORT_SCHEMA: u32 = 1;
/// Samples kept of one kind of refusal.
pub const SAMPLES_PER_REASON: usize = 5;
/// With this the reason of a run that held removals goes on to say how to decide on them.
pub const TO_DECIDE: &str = ". To remove them: ";

/// What is known of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// [`REPORT_SCHEMA`] of the build that wrote it.
    pub schema: u32,
    /// The run.
    #[serde(flatten)]
    pub key: RunKey,
    /// Where it stands.
    pub state: RunState,
    /// Who asked for it.
    pub trigger: Trigger,
    /// When the report was created.
    pub created_at: DateTime<Utc>,
    /// When its message was last sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// Sendings so far; the next message's `attempt`.
    pub sendings: u32,
    /// Last sign of life: any write of this report.
    pub updated_at: DateTime<Utc>,
    /// When the run became final.
    pub finished_at: Option<DateTime<Utc>>,
    /// Each start of the job by a worker, in order.
    pub attempts: Vec<Attempt>,
    /// Attempts, from the first on, that do not count any more: those up to the run's commit, and those before its
    /// last replay from the dead letters.
    #[serde(default)]
    pub forgiven_attempts: usize,
    /// Rollbacks of the pipe that found the run dead, and count on that: [`RunReport::pass_over`].
    #[serde(default)]
    pub passed_over: u32,
    /// Records by what became of them.
    pub counts: Counts,
    /// Bytes by where they went.
    pub bytes: Bytes,
    /// What was read, and the proof that it was whole.
    pub source: SourceFacts,
    /// What it wrote down of products that its source did not mention.
    #[serde(default)]
    pub lists: Lists,
    /// Refused items by reason.
    pub refusals: Vec<RefusalCount>,
    /// Fields that were emptied because they could not be read, by reason.
    pub warnings: Vec<RefusalCount>,
    /// What the source's products are like as a whole; none where it was not read.
    #[serde(default)]
    pub diagnostics: Option<Diagnostics>,
    /// Seconds by phase.
    pub seconds: BTreeMap<String, f64>,
    /// The largest resident size of the worker during the run, in bytes.
    pub peak_memory_bytes: u64,
    /// The table version that holds the run.
    pub table_version: Option<u64>,
    /// Why it failed, or what an operator should know of a run that did not.
    pub reason: Option<Reason>,
    /// What an operator decided about removals that the run held.
    #[serde(default)]
    pub decision: Option<Decision>,
}

/// An operator's word on the removals that a run held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether they were carried out; otherwise the products stay.
    pub approved: bool,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why, in the operator's words.
    pub note: Option<String>,
}

impl Decision {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        if self.approved { "approved" } else { "rejected" }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Created; its message is, or soon will be, on the queue.
    Queued,
    /// A worker is at it.
    Running,
    /// In the table; its image jobs may not all be on their queue yet.
    Committed,
    /// In the table and its image jobs on their queue. Final.
    Done,
    /// In the table; removals wait for an operator. Final for the scheduler.
    Held,
    /// A newer run was in the table first. Final.
    Superseded,
    /// Failed for good. Final.
    Dead,
}

impl RunState {
    /// Whether nothing more will happen to the run by itself.
    pub fn is_final(self) -> bool {
        matches!(self, RunState::Done | RunState::Held | RunState::Superseded | RunState::Dead)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::Running => "running",
            RunState::Committed => "committed",
            RunState::Done => "done",
            RunState::Held => "held",
            RunState::Superseded => "superseded",
            RunState::Dead => "dead",
        }
    }
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The pipe's schedule.
    Schedule,
    /// An operator.
    Operator,
}

/// One start of the job by a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The worker: host and process.
    pub worker: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How it ended; none while it runs, or when the worker died under it.
    pub end: Option<AttemptEnd>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptEnd {
    /// When.
    pub at: DateTime<Utc>,
    /// The outcome's word: `done`, `superseded`, `retry`, `interrupted`, `continued` or `dead`.
    pub outcome: String,
    /// Why, unless it was done.
    pub reason: Option<Reason>,
    /// When the job's message comes again, of an attempt that failed and is to be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<DateTime<Utc>>,
}

/// Records by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records read.
    pub seen: u64,
    /// Products that were not in the pipe.
    pub new: u64,
    /// Products whose content differs.
    pub changed: u64,
    /// Products that are as they were.
    pub unchanged: u64,
    /// Products taken out.
    pub removed: u64,
    /// Products absent from the source that stay until an operator decides; afterwards, as they were.
    pub held: u64,
    /// Products absent from the source that stay until they have been absent from more runs in a row.
    pub absent: u64,
    /// Records that could not become a product.
    pub refused: u64,
    /// Records whose id had occurred in the same feed already.
    pub duplicates: u64,
    /// Live products after the run.
    pub live: u64,
    /// Picture addresses put on the image queue.
    pub images_queued: u64,
}

/// Bytes by where they went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bytes {
    /// Received from the source by the last attempt; of a site, by all attempts at its crawl.
    pub fetched: u64,
    /// After decompression and decoding.
    pub decoded: u64,
    /// Written to the table: data files and deletion vectors.
    pub written: u64,
}

/// What was read, and what it proves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceFacts {
    /// Where it is, without secrets.
    pub location: String,
    /// The source answered that nothing changed since the last complete run.
    pub not_modified: bool,
    /// Its ETag.
    pub etag: Option<String>,
    /// Its Last-Modified.
    pub last_modified: Option<String>,
    /// Key of the raw snapshot.
    pub raw_key: Option<String>,
    /// Bytes that earlier attempts of the run had archived, and that the last one read from there.
    pub resumed_at_bytes: Option<u64>,
    /// The raw snapshot this run read instead of the source.
    pub replayed_from: Option<String>,
    /// Its Content-Type, which a replay of the raw snapshot needs again.
    pub content_type: Option<String>,
    /// Encoding found.
    pub encoding: Option<String>,
    /// The encoding that setting, declaration or HTTP header named, where the bytes contradict it.
    pub wrong_encoding_label: Option<String>,
    /// Characters that could not be decoded.
    pub replaced_characters: u64,
    /// NUL and other control characters taken out.
    pub control_characters: u64,
    /// References such as `&lol;` that nobody knows; kept as written.
    pub unknown_references: u64,
    /// Values dropped because the source has too many field names, or too long ones.
    pub dropped_values: u64,
    /// Compression found.
    pub compression: Option<String>,
    /// Whether the source was read to its end, and how that is known.
    pub completeness: Option<String>,
    /// Of delimited text, whether the last record ends with its line; none where it was cut off or has no record, of
    /// other formats, and where an older worker has read it.
    pub last_line_ends: Option<bool>,
    /// Whether absent products may be taken as removed.
    pub complete: bool,
    /// The mapping that read it; empty where that is not known.
    pub mapping: String,
}

/// The keys of a run's lists. Each has a hash of what is in the list; the run's commit has the same hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lists {
    /// Of the products whose removal was held.
    pub held: Option<String>,
    /// Of the products that were absent and stay, and for how many runs.
    pub absent: Option<String>,
}

/// How often something was refused, and examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalCount {
    /// The reason's name.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// The first few.
    pub samples: Vec<RefusalSample>,
}

/// One refused item or field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalSample {
    /// Where: record number, and line or byte where they are known.
    pub position: String,
    /// The field at fault.
    pub field: Option<String>,
    /// Its value, shortened.
    pub value: Option<String>,
    /// What was expected.
    pub message: String,
}

impl RunReport {
    /// The report with which a run begins.
    pub fn new(key: RunKey, trigger: Trigger, now: DateTime<Utc>) -> Self {
        Self {
            schema: REPORT_SCHEMA,
            key,
            state: RunState::Queued,
            trigger,
            created_at: now,
            sent_at: None,
            sendings: 0,
            updated_at: now,
            finished_at: None,
            attempts: Vec::new(),
            forgiven_attempts: 0,
            passed_over: 0,
            counts: Counts::default(),
            bytes: Bytes::default(),
            source: SourceFacts::default(),
            lists: Lists::default(),
            refusals: Vec::new(),
            warnings: Vec::new(),
            diagnostics: None,
            seconds: BTreeMap::new(),
            peak_memory_bytes: 0,
            table_version: None,
            reason: None,
            decision: None,
        }
    }

    /// When the run was to begin: the scheduled time, which is its id, or when an operator asked for it. (Of an operator's
    /// run the id may lie ahead: it must be greater than that of the pipe's last run.)
    pub fn scheduled_at(&self) -> DateTime<Utc> {
        let RunId(secs) = self.key.run;
        match self.trigger {
            Trigger::Schedule => DateTime::from_timestamp(secs, 0).unwrap_or(self.created_at),
            Trigger::Operator => self.created_at,
        }
    }

    /// The attempts since the run was created, committed, or last reopened.
    pub fn counted_attempts(&self) -> &[Attempt] {
        self.attempts.get(self.forgiven_attempts..).unwrap_or_default()
    }

    /// Takes a run back from the dead: it waits for a worker again, with all its attempts before it. Why it died
    /// stays with its attempts and in its dead letter. Runs in any other state stay as they are.
    pub fn reopen(&mut self, now: DateTime<Utc>) {
        if self.state != RunState::Dead {
            return;
        }
        // In the table already: what is missing is its image jobs.
        let in_table = self.table_version.is_some();
        self.state = if in_table { RunState::Committed } else { RunState::Queued };
        self.forgiven_attempts = self.attempts.len();
        self.reason = None;
        self.finished_at = None;
        self.updated_at = now;
    }

    /// Notes that the run is in the table. What is left of it has all attempts before it: those up to the commit, the
    /// one that committed among them, do not count any more.
    pub fn commit(&mut self) {
        if self.state != RunState::Committed {
            self.state = RunState::Committed;
            self.forgiven_attempts = self.attempts.len();
        }
    }

    /// Notes that a rollback of the pipe counts on the run's being dead: whoever looked at it before, to reopen
    /// it, has to look again. Runs in any other state stay as they are.
    pub fn pass_over(&mut self, now: DateTime<Utc>) {
        if self.state == RunState::Dead {
            self.passed_over += 1;
            self.updated_at = now;
        }
    }

    /// Another one since somebody looked: a rollback has passed the run over, or the report was damaged and has been
    /// replaced.
    pub fn mark(&self) -> (DateTime<Utc>, u32) {
        (self.created_at, self.passed_over)
    }

    /// Attempts that count against the limit: those that failed, and those without an end, under which the
    /// worker died.
    pub fn failed_attempts(&self) -> usize {
        self.counted_attempts()
            .iter()
            .filter(|a| a.end.as_ref().is_none_or(|end| end.outcome == "retry"))
            .count()
    }

    /// Seconds of all phases together.
    pub fn total_seconds(&self) -> f64 {
        self.seconds.values().sum::<f64>().max(0.0)
    }
}

/// Counts refusals by reason and keeps the first samples of each.
#[derive(Debug, Clone, Default)]
pub struct RefusalTally(BTreeMap<String, RefusalCount>);

impl RefusalTally {
    /// Counts one; `sample` is made only if it will be kept.
    pub fn add(&mut self, reason: &str, sample: impl FnOnce() -> RefusalSample) {
        let entry = match self.0.get_mut(reason) {
            Some(entry) => entry,
            None => self.0.entry(reason.to_owned()).or_insert_with(|| RefusalCount {
                reason: reason.to_owned(),
                count: 0,
                samples: Vec::new(),
            }),
        };
        entry.count += 1;
        if entry.samples.len() < SAMPLES_PER_REASON {
            entry.samples.push(sample());
        }
    }

    /// Counts many of one reason, of which these are the first.
    pub fn add_many(
        &mut self,
        reason: &str,
        count: u64,
        samples: impl IntoIterator<Item = RefusalSample>,
    ) {
        let new = RefusalCount { reason: reason.to_owned(), count: 0, samples: Vec::new() };
        let entry = self.0.entry(reason.to_owned()).or_insert(new);
        entry.count += count;
        entry.samples.extend(samples);
        entry.samples.truncate(SAMPLES_PER_REASON);
    }

    /// All refusals counted.
    pub fn total(&self) -> u64 {
        self.0.values().map(|c| c.count).sum()
    }

    /// The most frequent reason.
    pub fn most_frequent(&self) -> Option<&RefusalCount> {
        self.0.values().max_by_key(|c| c.count)
    }

    /// The counts, by reason.
    pub fn into_counts(self) -> Vec<RefusalCount> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_json() {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(5) };
        let mut report = RunReport::new(key, Trigger::Operator, Utc::now());
        report.seconds.insert("read".into(), 1.5);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<RunReport>(&json).unwrap(), report);
    }

    /// A report with a word that a release does not know is damaged to that release, unless the schema says that it is
    /// of a newer one: who adds a word here raises [`REPORT_SCHEMA`] with it.
    #[test]
    fn a_new_word_needs_a_new_schema() {
        fn words<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> String {
            // The error lists the words that there are.
            let told = serde_json::from_str::<T>("\"?\"").unwrap_err().to_string();
            let listed = told.split_once("expected ").unwrap().1;
            let listed = listed.split_once(" at line").map_or(listed, |(words, _)| words);
            listed.replace("one of ", "").replace(" or ", ", ").replace('`', "")
        }
        let words = [words::<RunState>(), words::<Trigger>(), words::<crate::ReasonClass>()];
        let of_schema_1 = [
            "queued, running, committed, done, held, superseded, dead",
            "schedule, operator",
            "configuration, source-unavailable, source-refused, not-a-feed, limit-exceeded, \
             address-refused, storage, deadline, panicked, worker-lost, unreadable",
        ];
        assert_eq!((REPORT_SCHEMA, words), (1, of_schema_1.map(str::to_owned)));
    }

    #[test]
    fn interrupted_attempts_do_not_count() {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(5) };
        let mut report = RunReport::new(key, Trigger::Schedule, Utc::now());
        let ended = |outcome: &str| Attempt {
            worker: "w".into(),
            started_at: Utc::now(),
            end: Some(AttemptEnd {
                at: Utc::now(),
                outcome: outcome.into(),
                reason: None,
                next_at: None,
            }),
        };
        report.attempts = vec![ended("interrupted"), ended("retry"), ended("interrupted")];
        report.attempts.push(Attempt { worker: "w".into(), started_at: Utc::now(), end: None });
        assert_eq!(report.failed_attempts(), 2);

        report.reopen(Utc::now());
        assert_eq!((report.state, report.failed_attempts()), (RunState::Queued, 2), "not dead");
        report.pass_over(Utc::now());
        assert_eq!(report.passed_over, 0, "not dead");
        report.state = RunState::Dead;
        report.finished_at = Some(Utc::now());
        report.pass_over(Utc::now());
        assert_eq!((report.passed_over, report.state), (1, RunState::Dead));
        report.reopen(Utc::now());
        assert_eq!((report.state, report.failed_attempts()), (RunState::Queued, 0));
        assert_eq!((report.attempts.len(), report.finished_at), (4, None));
        report.attempts.push(ended("retry"));
        assert_eq!(report.failed_attempts(), 1);
    }

    /// What fails up to the commit does not count against what comes after it; and what comes after it counts.
    #[test]
    fn a_commit_gives_all_attempts_back_once() {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(5) };
        let mut report = RunReport::new(key, Trigger::Schedule, Utc::now());
        let lost = || Attempt { worker: "w".into(), started_at: Utc::now(), end: None };
        report.state = RunState::Running;
        for failed_after in [0, 1, 2] {
            report.attempts.push(lost());
            report.commit();
            let (state, failed) = (report.state, report.failed_attempts());
            assert_eq!((state, failed), (RunState::Committed, failed_after));
        }
        // A replay gives them back too.
        (report.state, report.table_version) = (RunState::Dead, Some(3));
        report.reopen(Utc::now());
        assert_eq!((report.state, report.failed_attempts()), (RunState::Committed, 0));
    }
}
