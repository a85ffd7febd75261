//! What a pipe's source is like and what is wrong with it, by its last run, held against the run before.

use chrono::{DateTime, Utc};
use feedfleet_model::report::{Counts, Diagnostics, KeyAdvice, Problem, RefusalCount, SourceFacts};
use feedfleet_model::{PipeName, RunId, RunKey, RunReport};
use feedfleet_objects::{ReportError, Reports};
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs that are looked at for one that has read its source.
const LOOK_BACK: usize = 60;
/// Of a column's share of products, so much more or less is worth a word.
const MOVED: f64 = 0.02;

/// What is known of a pipe's source.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// The run that read it.
    pub run: RunKey,
    /// When.
    pub at: DateTime<Utc>,
    /// What became of its records.
    pub counts: Counts,
    /// What was read.
    pub source: SourceFacts,
    /// The run that it is held against; none where there is no earlier one.
    pub before: Option<RunId>,
    /// Products that coverage, currencies and problems are of.
    pub looked_at: u64,
    /// The columns that either run has a value of, by name.
    pub columns: Vec<Coverage>,
    /// Products by the currency of their price.
    pub currencies: BTreeMap<String, u64>,
    /// What is wrong with values, the most frequent first.
    pub problems: Vec<Found>,
    /// Records that were refused, by reason.
    pub refused: Vec<RefusalCount>,
    /// Fields that were emptied, and what else was noted, by reason.
    pub emptied: Vec<RefusalCount>,
    /// What was mended, by reason.
    pub mended: Vec<RefusalCount>,
    /// What was found out about the product's id, where it is not unique.
    pub key: Option<KeyAdvice>,
}

/// How many products have a value of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// The column.
    pub column: String,
    /// The share of the products, from 0 to 1.
    pub share: f64,
    /// The same, of the run before.
    pub before: Option<f64>,
}

impl Coverage {
    /// Whether it is another than in the run before.
    pub fn has_moved(&self) -> bool {
        self.before.is_some_and(|before| (self.share - before).abs() >= MOVED)
    }
}

/// A problem, and how many products had it in the run before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// What it is.
    #[serde(flatten)]
    pub problem: Problem,
    /// The share of the products, from 0 to 1.
    pub share: f64,
    /// The same, of the run before.
    pub share_before: Option<f64>,
}

/// What is known of a pipe's source by this run, or by the last one that read it. None: no run has, as far as reports
/// are kept.
///
/// # Errors
///
/// The reports can't be had. One that can't be read is passed over.
pub async fn diagnose(
    reports: &Reports,
    pipe: &PipeName,
    run: Option<RunId>,
) -> Result<Option<Diagnosis>, ReportError> {
    let runs = reports.runs_of(pipe).await?;
    let runs = runs.iter().rev().filter(|key| run.is_none_or(|run| key.run <= run));
    let mut found: Option<(RunReport, Diagnostics)> = None;
    for key in runs.take(LOOK_BACK) {
        // Of a run that somebody asked for, nothing else will do.
        if found.is_none() && run.is_some_and(|run| run != key.run) {
            return Ok(None);
        }
        let mut report = match reports.load(key).await {
            Ok(Some(report)) => report,
            Ok(None) | Err(ReportError::Unreadable { .. }) => continue,
            Err(e) => return Err(e),
        };
        let diagnostics = report.diagnostics.take();
        match (found.take(), diagnostics) {
            (None, Some(diagnostics)) => found = Some((report, diagnostics)),
            (Some((last, now)), Some(before)) => {
                return Ok(Some(compare(last, now, Some((report.key.run, before)))));
            }
            (before, None) => found = before,
        }
    }
    Ok(found.map(|(report, diagnostics)| compare(report, diagnostics, None)))
}

fn compare(report: RunReport, now: Diagnostics, before: Option<(RunId, Diagnostics)>) -> Diagnosis {
    let earlier = before.as_ref().map(|(_, earlier)| earlier).filter(|e| e.looked_at > 0);
    let mut names: Vec<&String> = now.columns.keys().collect();
    names.extend(earlier.into_iter().flat_map(|earlier| earlier.columns.keys()));
    names.sort_unstable();
    names.dedup();
    let columns = names.into_iter().map(|column| Coverage {
        column: column.clone(),
        share: now.coverage(column).unwrap_or_default(),
        before: earlier.and_then(|earlier| earlier.coverage(column)),
    });
    let columns = columns.collect();
    let share = |count: u64, of: &Diagnostics| count as f64 / of.looked_at.max(1) as f64;
    let problems = now.problems.iter().map(|problem| Found {
        share: share(problem.count, &now),
        share_before: earlier.map(|earlier| share(count_of(problem, earlier), earlier)),
        problem: problem.clone(),
    });
    let problems = problems.collect();
    Diagnosis {
        at: report.scheduled_at(),
        run: report.key,
        counts: report.counts,
        source: report.source,
        before: before.as_ref().map(|(run, _)| *run),
        looked_at: now.looked_at,
        columns,
        problems,
        currencies: now.currencies,
        refused: report.refusals,
        emptied: report.warnings,
        mended: now.mended,
        key: now.key,
    }
}

/// How many products had a problem.
fn count_of(problem: &Problem, diagnostics: &Diagnostics) -> u64 {
    let is_same = |other: &&Problem| {
        let (a, b) = (problem, *other);
        (&a.column, &a.kind, a.limit) == (&b.column, &b.kind, b.limit)
    };
    diagnostics.problems.iter().filter(is_same).map(|problem| problem.count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::report::{RunState, Trigger};
    use feedfleet_objects::FolderObjects;
    use std::sync::Arc;

    fn pipe() -> PipeName {
        "acme".parse().unwrap()
    }

    fn diagnostics(looked_at: u64, titles: u64, zero: u64) -> Diagnostics {
        let problem = Problem {
            column: "price".to_owned(),
            kind: "zero".to_owned(),
            count: zero,
            ..Problem::default()
        };
        Diagnostics {
            looked_at,
            columns: BTreeMap::from([("title".to_owned(), titles)]),
            problems: vec![problem],
            ..Diagnostics::default()
        }
    }

    #[tokio::test]
    async fn the_last_run_that_read_its_source_is_held_against_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::new(Arc::new(FolderObjects::open(folder.path()).unwrap()));
        let add = async |run: i64, diagnostics: Option<Diagnostics>| {
            let key = RunKey { pipe: pipe(), run: RunId(run) };
            let mut report = RunReport::new(key, Trigger::Schedule, Utc::now());
            report.state = RunState::Done;
            report.diagnostics = diagnostics;
            assert!(reports.create(&report).await.unwrap());
        };
        assert!(diagnose(&reports, &pipe(), None).await.unwrap().is_none());
        add(1, Some(diagnostics(10, 10, 1))).await;
        let first = diagnose(&reports, &pipe(), None).await.unwrap().unwrap();
        assert_eq!((first.run.run, first.before, first.columns[0].before), (RunId(1), None, None));
        add(2, None).await;
        add(3, Some(diagnostics(20, 10, 5))).await;
        // The source had not changed.
        add(4, None).await;
        let last = diagnose(&reports, &pipe(), None).await.unwrap().unwrap();
        assert_eq!((last.run.run, last.before), (RunId(3), Some(RunId(1))));
        let title = &last.columns[0];
        assert_eq!((title.share, title.before, title.has_moved()), (0.5, Some(1.0), true));
        let zero = &last.problems[0];
        assert_eq!((zero.share, zero.share_before), (0.25, Some(0.1)));
        let earlier = diagnose(&reports, &pipe(), Some(RunId(1))).await.unwrap().unwrap();
        assert_eq!(earlier.run.run, RunId(1));
        // It has not read its source; there is no such run.
        for run in [2, 9] {
            assert!(diagnose(&reports, &pipe(), Some(RunId(run))).await.unwrap().is_none());
        }
    }
}
