//! Run reports: created once by a conditional put, then updated by whoever works on the run.

use crate::{Expected, ObjectError, Objects, PutOutcome, READS_AT_ONCE, Version};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{PipeName, RunId, RunKey, RunReport};
use futures::stream::{self, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The reports of all runs.
#[derive(Clone)]
pub struct Reports {
    objects: Arc<dyn Objects>,
}

/// Why a report could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The store failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The object is not a report that this build can read.
    #[error("the object '{key}' cannot be read: {source}")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// There is no such run.
    #[error("run {0} has no report")]
    Absent(RunKey),
    /// Others changed it again and again.
    #[error("the report of run {0} is being changed by others all the time")]
    Contended(RunKey),
}

/// Rounds in which an update may lose to others.
const MAX_ROUNDS: usize = 50;

impl Reports {
    /// The reports in this store.
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self { objects }
    }

    /// Creates a run's report. False: somebody else has created it.
    pub async fn create(&self, report: &RunReport) -> Result<bool, ReportError> {
        let key = keys::report(&report.key);
        let outcome = self.objects.put_if(&key, to_json(report), Expected::Absent).await?;
        Ok(outcome != PutOutcome::Lost)
    }

    /// A run's report; none where there is none.
    pub async fn load(&self, run: &RunKey) -> Result<Option<RunReport>, ReportError> {
        Ok(self.load_versioned(&keys::report(run)).await?.map(|(report, _)| report))
    }

    async fn load_versioned(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<(RunReport, Version)>, ReportError> {
        let Some(object) = self.objects.get(key).await? else { return Ok(None) };
        Ok(Some((from_json(key, &object.bytes)?, object.version)))
    }

    /// Changes a run's report: reads, applies `change`, writes, and does it again if somebody else wrote
    /// meanwhile. `change` may be called several times.
    pub async fn update(
        &self,
        run: &RunKey,
        mut change: impl FnMut(&mut RunReport) + Send,
    ) -> Result<RunReport, ReportError> {
        let key = keys::report(run);
        for _ in 0..MAX_ROUNDS {
            let Some((mut report, seen)) = self.load_versioned(&key).await? else {
                return Err(ReportError::Absent(run.clone()));
            };
            change(&mut report);
            let expected = Expected::Version(seen);
            if self.objects.put_if(&key, to_json(&report), expected).await? != PutOutcome::Lost {
                return Ok(report);
            }
        }
        Err(ReportError::Contended(run.clone()))
    }

    /// The runs of a pipe that have a report, oldest first.
    pub async fn runs_of(&self, pipe: &PipeName) -> Result<Vec<RunKey>, ReportError> {
        let listed = self.objects.list(&keys::reports_of(pipe), None, usize::MAX).await?;
        Ok(listed.iter().filter_map(|l| keys::run_of_report(&l.key)).collect())
    }

    /// As [`Reports::runs_of`], of a pipe and of its supplements, each by its name.
    pub async fn runs_of_sources(
        &self,
        pipe: &PipeName,
    ) -> Result<BTreeMap<PipeName, Vec<RunKey>>, ReportError> {
        let mut runs: BTreeMap<PipeName, Vec<RunKey>> = BTreeMap::new();
        for prefix in [keys::reports_of(&pipe.pipe()), keys::reports_of_supplements(pipe)] {
            let listed = self.objects.list(&prefix, None, usize::MAX).await?;
            for run in listed.iter().filter_map(|l| keys::run_of_report(&l.key)) {
                runs.entry(run.pipe.clone()).or_default().push(run);
            }
        }
        Ok(runs)
    }

    /// The newest report of a pipe.
    pub async fn last_of(&self, pipe: &PipeName) -> Result<Option<RunReport>, ReportError> {
        match self.runs_of(pipe).await?.last() {
            Some(run) => self.load(run).await,
            None => Ok(None),
        }
    }

    /// As [`Reports::last_of`], of many pipes side by side. One that fails stops no other.
    pub async fn last_of_each(
        &self,
        pipes: Vec<PipeName>,
    ) -> BTreeMap<PipeName, Result<Option<RunReport>, ReportError>> {
        let looks: Vec<_> = pipes.into_iter().map(|pipe| last_of(self.clone(), pipe)).collect();
        stream::iter(looks).buffer_unordered(READS_AT_ONCE).collect().await
    }

    /// The newest report of a pipe of which this run is known to have one: only what came after that is listed.
    pub async fn last_of_since(
        &self,
        pipe: &PipeName,
        known: RunId,
    ) -> Result<Option<RunReport>, ReportError> {
        let known = RunKey { pipe: pipe.clone(), run: known };
        let after = keys::report(&known);
        let listed = self.objects.list(&keys::reports_of(pipe), Some(&after), usize::MAX).await?;
        let newest = listed.iter().rev().find_map(|l| keys::run_of_report(&l.key));
        match self.load(&newest.unwrap_or(known)).await? {
            // Deleted meanwhile.
            None => self.last_of(pipe).await,
            found => Ok(found),
        }
    }

    /// Every run that has a report, by pipe and time.
    pub async fn all_runs(&self) -> Result<Vec<RunKey>, ReportError> {
        let listed = self.objects.list(&format!("{}/", keys::REPORTS), None, usize::MAX).await?;
        Ok(listed.iter().filter_map(|l| keys::run_of_report(&l.key)).collect())
    }
}

async fn last_of(
    reports: Reports,
    pipe: PipeName,
) -> (PipeName, Result<Option<RunReport>, ReportError>) {
    let last = reports.last_of(&pipe).await;
    (pipe, last)
}

/// An object of JSON, for people and programs.
pub fn to_json<T: Serialize>(value: &T) -> bytes::Bytes {
    serde_json::to_vec_pretty(value).expect("what is stored has string keys only").into()
}

/// Reads an object of JSON.
pub fn from_json<T: DeserializeOwned>(key: &ObjectKey, bytes: &[u8]) -> Result<T, ReportError> {
    serde_json::from_slice(bytes)
        .map_err(|source| ReportError::Unreadable { key: key.to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;
    use chrono::Utc;
    use feedfleet_model::report::Trigger;

    fn reports() -> (tempfile::TempDir, Reports) {
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(FolderObjects::open(folder.path()).unwrap());
        (folder, Reports::new(objects))
    }

    fn report(run: i64) -> RunReport {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        RunReport::new(key, Trigger::Schedule, Utc::now())
    }

    #[tokio::test]
    async fn a_run_is_created_once() {
        let (_folder, reports) = reports();
        assert!(reports.create(&report(1)).await.unwrap());
        assert!(!reports.create(&report(1)).await.unwrap());
        assert!(reports.create(&report(2)).await.unwrap());
        assert_eq!(reports.last_of(&report(1).key.pipe).await.unwrap().unwrap().key.run, RunId(2));
    }

    #[tokio::test]
    async fn the_runs_of_supplements_are_told_from_their_pipes() {
        let (_folder, reports) = reports();
        let pipe = report(1).key.pipe;
        for (name, run) in [("acme.stock", 3), ("acme.stock", 2), ("acme.prices", 4), ("acme-b", 5)]
        {
            let key = RunKey { pipe: name.parse().unwrap(), run: RunId(run) };
            let report = RunReport::new(key, Trigger::Schedule, Utc::now());
            assert!(reports.create(&report).await.unwrap());
        }
        assert!(reports.create(&report(1)).await.unwrap());
        let ids = |runs: &[RunKey]| runs.iter().map(|key| key.run.0).collect::<Vec<_>>();
        assert_eq!(ids(&reports.runs_of(&pipe).await.unwrap()), [1]);
        let found = reports.runs_of_sources(&pipe).await.unwrap();
        let told: Vec<_> = found.iter().map(|(name, runs)| (name.as_str(), ids(runs))).collect();
        assert_eq!(told, [("acme", vec![1]), ("acme.prices", vec![4]), ("acme.stock", vec![2, 3])]);
        let stock = pipe.with_supplement("stock").unwrap();
        assert_eq!(reports.runs_of_sources(&stock).await.unwrap(), found);
    }

    #[tokio::test]
    async fn the_newest_is_found_from_whatever_run_is_known() {
        let (_folder, reports) = reports();
        let pipe = report(1).key.pipe;
        let other = RunKey { pipe: "acme-b".parse().unwrap(), run: RunId(9) };
        let other = RunReport::new(other, Trigger::Schedule, Utc::now());
        assert!(reports.create(&other).await.unwrap());
        assert!(reports.last_of_since(&pipe, RunId(1)).await.unwrap().is_none());
        for run in [2, 3, 5] {
            assert!(reports.create(&report(run)).await.unwrap());
        }
        // Of the first and the sixth the reports are gone.
        for known in [1, 2, 3, 5, 6] {
            let last = reports.last_of_since(&pipe, RunId(known)).await.unwrap().unwrap();
            assert_eq!(last.key, report(5).key, "{known}");
        }
    }

    #[tokio::test]
    async fn the_newest_of_each_pipe_is_found_beside_one_that_cannot_be_read() {
        let (_folder, reports) = reports();
        let mut pipes: Vec<PipeName> = Vec::new();
        for n in 0..READS_AT_ONCE * 2 {
            let pipe: PipeName = format!("pipe-{n}").parse().unwrap();
            for run in [1, 2] {
                let key = RunKey { pipe: pipe.clone(), run: RunId(run) };
                let report = RunReport::new(key, Trigger::Schedule, Utc::now());
                assert!(reports.create(&report).await.unwrap());
            }
            pipes.push(pipe);
        }
        let damaged = RunKey { pipe: pipes[7].clone(), run: RunId(3) };
        reports.objects.put(&keys::report(&damaged), "{".into()).await.unwrap();
        pipes.push("none".parse().unwrap());
        let found = reports.last_of_each(pipes.clone()).await;
        assert_eq!(found.len(), pipes.len());
        for (pipe, last) in found {
            if pipe == damaged.pipe {
                assert!(matches!(last, Err(ReportError::Unreadable { .. })));
                continue;
            }
            let newest = last.unwrap().map(|report| report.key);
            let is_named = pipe.as_str() != "none";
            assert_eq!(newest, is_named.then_some(RunKey { pipe, run: RunId(2) }));
        }
    }

    #[tokio::test]
    async fn concurrent_updates_are_all_in() {
        let (_folder, reports) = reports();
        reports.create(&report(1)).await.unwrap();
        let updates = (0..10).map(|_| {
            let reports = reports.clone();
            tokio::spawn(async move {
                reports.update(&report(1).key, |r| r.counts.seen += 1).await.unwrap();
            })
        });
        for update in updates.collect::<Vec<_>>() {
            update.await.unwrap();
        }
        assert_eq!(reports.load(&report(1).key).await.unwrap().unwrap().counts.seen, 10);
    }
}
