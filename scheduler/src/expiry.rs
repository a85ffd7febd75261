//! Expiry by age: raw snapshots, reports, decided dead letters, receipts that cannot be read, what supplements said that
//! are gone, and what killed writers left. Nothing that an unfinished run needs, and no pipe's newest report, is ever old enough.

use crate::age;
use crate::damaged;
use crate::deps::Deps;
use chrono::{DateTime, Utc};
use feedfleet_model::image::ImageReceipt;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunKey, RunReport};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::reports::from_json;
use feedfleet_objects::{DeadLetters, Listed, ReportError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// After this long without a write, a temporary file has no writer any more.
const UNFINISHED: Duration = Duration::from_secs(24 * 3600);

/// Deletes what is past its age. What fails is tried again the next time, and keeps nothing else waiting.
pub(crate) async fn expire(deps: &Deps, now: DateTime<Utc>) {
    let past = Past { deps, now };
    let expired = [
        ("raw snapshots", past.raw_snapshots().await),
        ("reports", past.reports().await),
        ("copies of damaged reports", past.damaged().await),
        ("dead letters", past.dead_letters().await),
        ("receipts", past.receipts().await),
        ("unfinished writes", past.unfinished_writes().await),
        ("words of dead workers", past.worker_statuses().await),
        ("words of supplements that are gone", past.supplements().await),
    ];
    for (what, result) in expired {
        match result {
            Ok(0) => {}
            Ok(count) => tracing::info!(what, count, "expired"),
            Err(e) => tracing::warn!(what, error = %e, "could not expire, will try again"),
        }
    }
}

/// What is past its age at one moment.
struct Past<'a> {
    deps: &'a Deps,
    now: DateTime<Utc>,
}

impl Past<'_> {
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, ReportError> {
        Ok(self.deps.objects.list(&format!("{prefix}/"), None, usize::MAX).await?)
    }

    fn is_older(&self, entry: &Listed, keep: Duration) -> bool {
        age(self.now, DateTime::from(entry.modified)) > keep
    }

    /// A report; none where there is none. One that cannot be read and not be set aside either, as one of a newer
    /// release, is complained of, and is no reason to stop.
    async fn report(&self, run: &RunKey) -> Result<Report, ReportError> {
        match damaged::load(self.deps, run).await {
            Ok(Some(report)) => Ok(Report::Readable(Box::new(report))),
            Ok(None) => Ok(Report::Absent),
            Err(e @ ReportError::Unreadable { .. }) => {
                self.deps.complain(&e.to_string());
                Ok(Report::Unreadable)
            }
            Err(e) => Err(e),
        }
    }

    /// A worker tells of itself every few seconds, and takes its word away when it ends; one that was killed, or
    /// whose machine was, leaves it behind under a name that nobody has again.
    async fn worker_statuses(&self) -> Result<u64, ReportError> {
        let mut expired = 0;
        for entry in self.list(keys::WORKERS).await? {
            if self.is_older(&entry, UNFINISHED) {
                self.deps.objects.delete(&entry.key).await?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// What supplements said that no pipe's file names any more, and that did not run for as long as reports are kept:
    /// it would count again if they came back. Not while a file has mistakes, for it may be the one that names them.
    async fn supplements(&self) -> Result<u64, ReportError> {
        let keep = self.deps.fleet.keep.reports;
        let mut supplements: BTreeMap<PipeName, Vec<Listed>> = BTreeMap::new();
        for entry in self.list(keys::SUPPLEMENTS).await? {
            if let Some(run) = keys::run_of_supplement_object(&entry.key) {
                supplements.entry(run.pipe).or_default().push(entry);
            }
        }
        supplements.retain(|_, objects| objects.iter().all(|object| self.is_older(object, keep)));
        if supplements.is_empty() {
            return Ok(0);
        }
        let (folder, environment) = (&self.deps.config_folder, self.deps.environment.as_ref());
        let Ok(config) = feedfleet_config::load(folder, environment) else { return Ok(0) };
        let mut expired = 0;
        for (name, objects) in supplements {
            if config.sources().any(|source| source.name == name) {
                continue;
            }
            for object in objects {
                self.deps.objects.delete(&object.key).await?;
            }
            expired += 1;
        }
        Ok(expired)
    }

    async fn raw_snapshots(&self) -> Result<u64, ReportError> {
        let keep = self.deps.fleet.keep.raw;
        let mut snapshots: BTreeMap<RunKey, Vec<Listed>> = BTreeMap::new();
        for entry in self.list(keys::RAW).await? {
            if let Some(run) = keys::run_of_raw_object(&entry.key) {
                snapshots.entry(run).or_default().push(entry);
            }
        }
        snapshots.retain(|_, parts| parts.iter().all(|part| self.is_older(part, keep)));
        let mut expired = 0;
        for (run, parts) in snapshots {
            match self.expire_snapshot(&run, parts).await {
                Ok(is_gone) => expired += u64::from(is_gone),
                Err(e) => self.pass_over(&run, &e),
            }
        }
        Ok(expired)
    }

    /// Whether it is gone; not, where a run reads it.
    async fn expire_snapshot(
        &self,
        run: &RunKey,
        mut parts: Vec<Listed>,
    ) -> Result<bool, ReportError> {
        if self.is_read_by_a_run(run, &parts).await? {
            return Ok(false);
        }
        // Facts first: half a snapshot must not look like a whole one.
        parts.sort_by_key(|part| !part.key.name().starts_with("facts"));
        for part in parts {
            self.deps.objects.delete(&part.key).await?;
        }
        Ok(true)
    }

    /// What cannot be read or deleted keeps nothing behind it waiting.
    fn pass_over(&self, run: &RunKey, error: &ReportError) {
        tracing::warn!(%run, %error, "could not expire what is old of a run, will try again");
    }

    /// Whether the run that took this snapshot, or the pipe's newest that replays it, is unfinished.
    async fn is_read_by_a_run(&self, run: &RunKey, parts: &[Listed]) -> Result<bool, ReportError> {
        match self.report(run).await? {
            Report::Readable(report) if report.state.is_final() => {}
            Report::Absent => {}
            _ => return Ok(true),
        }
        let runs = self.deps.reports().runs_of(&run.pipe).await?;
        let Some(newest) = runs.last() else { return Ok(false) };
        Ok(match self.report(newest).await? {
            Report::Readable(newest) if newest.state.is_final() => false,
            Report::Readable(newest) => newest.source.replayed_from.as_ref().is_some_and(|raw| {
                parts.iter().any(|part| part.key.as_str().starts_with(raw.as_str()))
            }),
            Report::Absent => false,
            Report::Unreadable => true,
        })
    }

    async fn reports(&self) -> Result<u64, ReportError> {
        let keep = self.deps.fleet.keep.reports;
        let mut pipes: BTreeMap<PipeName, Vec<(RunKey, Listed)>> = BTreeMap::new();
        for entry in self.list(keys::REPORTS).await? {
            if let Some(run) = keys::run_of_report(&entry.key) {
                pipes.entry(run.pipe.clone()).or_default().push((run, entry));
            }
        }
        let mut expired = 0;
        for mut runs in pipes.into_values() {
            runs.sort_by(|(a, _), (b, _)| a.cmp(b));
            let Some(((newest, _), older)) = runs.split_last() else { continue };
            let old: Vec<&RunKey> = older
                .iter()
                .filter(|(_, entry)| self.is_older(entry, keep))
                .map(|(run, _)| run)
                .collect();
            if old.is_empty() {
                continue;
            }
            let spared = self.spared(older, newest).await?;
            for run in old.into_iter().filter(|run| !spared.contains(*run)) {
                match self.expire_if_ended(run).await {
                    Ok(is_gone) => expired += u64::from(is_gone),
                    Err(e) => self.pass_over(run, &e),
                }
            }
        }
        Ok(expired)
    }

    async fn expire_if_ended(&self, run: &RunKey) -> Result<bool, ReportError> {
        match self.report(run).await? {
            Report::Readable(report) if self.has_ended_long_ago(&report) => {
                self.expire_run(run).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn has_ended_long_ago(&self, report: &RunReport) -> bool {
        let ended = report.finished_at.unwrap_or(report.updated_at);
        report.state.is_final() && age(self.now, ended) > self.deps.fleet.keep.reports
    }

    /// Besides the newest run of a pipe: the newest that is done, and the newest whose rows are in the table.
    /// Conditional requests, the guard and the list of absent products go back to them.
    async fn spared(
        &self,
        older: &[(RunKey, Listed)],
        newest: &RunKey,
    ) -> Result<BTreeSet<RunKey>, ReportError> {
        let mut spared = BTreeSet::new();
        for run in [newest].into_iter().chain(older.iter().rev().map(|(run, _)| run)) {
            let Report::Readable(report) = self.report(run).await? else { continue };
            match report.state {
                RunState::Done => {
                    spared.insert(run.clone());
                    break;
                }
                RunState::Held if spared.is_empty() => {
                    spared.insert(run.clone());
                }
                _ => {}
            }
        }
        Ok(spared)
    }

    /// The report goes last: as long as it is there, the rest is found again.
    async fn expire_run(&self, run: &RunKey) -> Result<(), ReportError> {
        for lists in [keys::held_by(run), keys::absent_from(run)] {
            self.deps.delete_all(&lists).await?;
        }
        Ok(self.deps.objects.delete(&keys::report(run)).await?)
    }

    /// Copies of what could not be read: as old as reports may become.
    async fn damaged(&self) -> Result<u64, ReportError> {
        let mut expired = 0;
        for entry in self.list(keys::DAMAGED).await? {
            if self.is_older(&entry, self.deps.fleet.keep.reports) {
                self.deps.objects.delete(&entry.key).await?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// Those that an operator, or a newer run, has decided. One that waits stays for as long as it takes.
    async fn dead_letters(&self) -> Result<u64, ReportError> {
        let (letters, _) = DeadLetters::new(self.deps.objects.clone()).all().await?;
        let mut expired = 0;
        for letter in letters.iter().filter(|letter| letter.state != LetterState::Waiting) {
            let decided_at = letter.history.last().map_or(letter.died_at, |decision| decision.at);
            if age(self.now, decided_at) > self.deps.fleet.keep.reports {
                self.deps.objects.delete(&keys::dead_letter(&letter.id)).await?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// Those that cannot be read or say nothing. The others are folded and deleted within seconds.
    async fn receipts(&self) -> Result<u64, ReportError> {
        let mut expired = 0;
        for entry in self.list(keys::RECEIPTS).await? {
            if self.is_older(&entry, self.deps.fleet.keep.reports)
                && self.is_void(&entry.key).await?
            {
                self.deps.objects.delete(&entry.key).await?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    async fn is_void(&self, key: &ObjectKey) -> Result<bool, ReportError> {
        let Some(object) = self.deps.objects.get(key).await? else { return Ok(false) };
        let receipt = from_json::<ImageReceipt>(key, &object.bytes);
        Ok(receipt.map_or(true, |receipt| receipt.entries.is_empty()))
    }

    async fn unfinished_writes(&self) -> Result<u64, ReportError> {
        let before = SystemTime::from(crate::before(self.now, UNFINISHED));
        Ok(self.deps.objects.discard_unfinished(before).await?)
    }
}

/// What is known of a run.
enum Report {
    Readable(Box<RunReport>),
    Unreadable,
    Absent,
}

#[cfg(test)]
mod tests;
