//! What a pipe's source is usually like, by the reports of its last runs: how many records it has, how many of them
//! have an id that occurred before, and whether its last line has an end.

use feedfleet_model::report::RunState;
use feedfleet_model::{RunKey, RunReport, text};
use feedfleet_objects::{ReportError, Reports};

/// Runs that the usual number of records is the median of.
const USUAL_RUNS: usize = 7;
/// With fewer, nothing is usual yet.
const FEWEST_USUAL_RUNS: usize = 3;
/// Reports that are looked at for them.
const LOOK_BACK: usize = 30;
/// So many records with an id that occurred before, and so much more of all records than usual, mean that what was an
/// id is none any more.
const MANY_DUPLICATES: u64 = 20;
const MORE_DUPLICATES_SHARE: f64 = 0.05;
/// What is said of such a night, and of no other.
const IDS_REPEATED: &str = "have an id that occurred before";
/// So great a share of records with the id of another one is told from the first night on, when nothing is usual yet.
const MOST_REPEATED_SHARE: f64 = 0.5;

/// What a pipe's source is usually like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usual {
    /// Records; none: not known yet.
    pub records: Option<u64>,
    /// The share of them whose id had occurred before, from 0 to 1; none: not known yet.
    pub duplicates: Option<f64>,
    /// Whether the last record ends with its line: by the last run that says so; none: not known.
    pub last_line_ends: Option<bool>,
}

/// What the pipe's source is usually like: the median of its last complete runs, and how the last of them ended. An
/// approval says that a run was right however it looked, so history begins with the last one that was approved. Where
/// nothing since says how a last line ends, as text that was cut off does not, runs before it do.
pub(crate) async fn usual(reports: &Reports, run: &RunKey) -> Result<Usual, ReportError> {
    let runs = reports.runs_of(&run.pipe).await?;
    let (mut seen, mut duplicates, mut left_out) = (Vec::new(), Vec::new(), false);
    let (mut last_line_ends, mut has_begun) = (None, false);
    for earlier in runs.iter().rev().filter(|earlier| earlier.run < run.run).take(LOOK_BACK) {
        let report = match reports.load(earlier).await {
            Ok(Some(report)) => report,
            // It has expired, or is of another release: one voice less.
            Ok(None) | Err(ReportError::Unreadable { .. }) => continue,
            Err(e) => return Err(e),
        };
        let approved = report.decision.as_ref().is_some_and(|decision| decision.approved);
        if approved || read_all(&report) {
            last_line_ends = last_line_ends.or(report.source.last_line_ends);
        }
        if has_begun {
            if last_line_ends.is_some() {
                break;
            }
            continue;
        }
        if (approved || read_all(&report)) && seen.len() < USUAL_RUNS {
            seen.push(report.counts.seen);
        }
        if approved || (read_all(&report) && is_as_usual(&report)) {
            duplicates.extend(share(report.counts.duplicates, report.counts.seen));
        } else {
            left_out |= read_all(&report);
        }
        has_begun = approved;
        let is_enough = seen.len() >= USUAL_RUNS && !duplicates.is_empty();
        if is_enough || (has_begun && last_line_ends.is_some()) {
            break;
        }
    }
    duplicates.sort_by(f64::total_cmp);
    let duplicates = duplicates.get(duplicates.len().saturating_sub(1) / 2).copied();
    // Where nothing but nights with ids that were lost is left to look at, nothing is taken for usual.
    let duplicates = duplicates.or(left_out.then_some(0.0));
    Ok(Usual { records: median(seen), duplicates, last_line_ends })
}

pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What shows that the ids of a source are none any more. None: they are as good as they used to be.
pub(super) fn lost_key(duplicates: u64, seen: u64, usual: Option<f64>) -> Option<String> {
    let (now, usual) = share(duplicates, seen).zip(usual)?;
    (duplicates >= MANY_DUPLICATES && now >= usual + MORE_DUPLICATES_SHARE).then(|| {
        format!(
            "{} of {} records {IDS_REPEATED}, {:.1} %, usually {:.1} %: what makes the id seems not to \
             be enough any more; a key that is may be found by feedfleet pipes diagnose",
            text::count(duplicates),
            text::count(seen),
            now * 100.0,
            usual * 100.0
        )
    })
}

/// What shows, where nothing is usual yet, that most records have no id of their own. Whoever reads it lets it be or makes
/// another key: it says nothing of what is usual.
pub(super) fn mostly_repeated(duplicates: u64, seen: u64, usual: Option<f64>) -> Option<String> {
    let now = share(duplicates, seen).filter(|_| usual.is_none())?;
    (duplicates >= MANY_DUPLICATES && now > MOST_REPEATED_SHARE).then(|| {
        format!(
            "{} of {} records, {:.1} %, have the id of another record, and one of each id is kept; if they are other \
             products, what makes the id is not enough: a key that is may be found by feedfleet pipes diagnose",
            text::count(duplicates),
            text::count(seen),
            now * 100.0
        )
    })
}

/// What was held for its ids is not usual until an operator says so, however many such nights there are; nor is what
/// would have been, had its absent products not had to wait for other nights: that was told. A night of which only
/// something else was told has ids as good as any.
fn is_as_usual(report: &RunReport) -> bool {
    match &report.reason {
        Some(reason) => !reason.message.contains(IDS_REPEATED),
        None => report.counts.held == 0 && report.decision.is_none(),
    }
}

fn read_all(report: &RunReport) -> bool {
    matches!(report.state, RunState::Done | RunState::Held)
        && report.source.complete
        && !report.source.not_modified
}

fn median(mut seen: Vec<u64>) -> Option<u64> {
    if seen.len() < FEWEST_USUAL_RUNS {
        return None;
    }
    seen.sort_unstable();
    seen.get((seen.len() - 1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::crawl::guard::{Absences, Wholeness, held, reason_to_hold};
    use chrono::Utc;
    use feedfleet_config::Guard;
    use feedfleet_model::report::{Decision, Trigger};
    use feedfleet_model::{Night, Reason, ReasonClass, RunId};
    use feedfleet_objects::FolderObjects;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_is_usual_is_the_median_since_the_last_approval() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::new(Arc::new(FolderObjects::open(folder.path()).unwrap()));
        let key = |run| RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        let now = Utc::now();
        let add = async |run: i64, seen: u64, complete: bool, approved: bool| {
            let mut report = RunReport::new(key(run), Trigger::Schedule, now);
            report.state = RunState::Done;
            report.counts.seen = seen;
            report.counts.duplicates = seen / 10;
            report.source.complete = complete;
            report.decision =
                approved.then(|| Decision { approved, by: "ada".to_owned(), at: now, note: None });
            assert!(reports.create(&report).await.unwrap());
        };
        let duplicates = usual(&reports, &key(1)).await.unwrap().duplicates;
        assert_eq!(duplicates, None);
        let usual = async |run: i64| usual(&reports, &key(run)).await.unwrap().records;
        add(1, 100, true, false).await;
        add(2, 120, true, false).await;
        assert_eq!(usual(9).await, None);
        add(3, 5, false, false).await;
        assert_eq!(usual(9).await, None);
        add(4, 110, true, false).await;
        assert_eq!(usual(9).await, Some(110));
        assert_eq!(usual(4).await, None, "a run is no part of its own history");
        add(5, 50, false, true).await;
        assert_eq!(usual(9).await, None);
        add(6, 52, true, false).await;
        add(7, 51, true, false).await;
        assert_eq!(usual(9).await, Some(51));
        // 5 of 50, 5 of 52, 5 of 51.
        let duplicates = super::usual(&reports, &key(9)).await.unwrap().duplicates;
        assert_eq!(duplicates, Some(5.0 / 51.0));
    }

    #[tokio::test]
    async fn the_last_line_is_as_in_the_last_run_that_was_complete_or_approved() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::new(Arc::new(FolderObjects::open(folder.path()).unwrap()));
        let key = |run| RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        let add = async |run: i64, ends: Option<bool>, complete: bool| {
            let mut report = RunReport::new(key(run), Trigger::Schedule, Utc::now());
            report.state = RunState::Done;
            report.source.complete = complete;
            report.source.last_line_ends = ends;
            assert!(reports.create(&report).await.unwrap());
        };
        let usual = async |run: i64| usual(&reports, &key(run)).await.unwrap().last_line_ends;
        assert_eq!(usual(1).await, None);
        add(1, None, true).await;
        assert_eq!(usual(9).await, None, "an older worker says nothing");
        add(2, Some(true), true).await;
        assert_eq!(usual(2).await, None, "a run is no part of its own history");
        assert_eq!(usual(9).await, Some(true));
        add(3, None, true).await;
        add(4, Some(false), false).await;
        assert_eq!(usual(9).await, Some(true), "it was doubtful");
        let approve = |report: &mut RunReport| {
            let (by, at) = ("ada".to_owned(), Utc::now());
            report.decision = Some(Decision { approved: true, by, at, note: None });
        };
        reports.update(&key(4), approve).await.unwrap();
        assert_eq!(usual(9).await, Some(false));
        add(5, Some(true), true).await;
        assert_eq!(usual(9).await, Some(true));
        add(6, None, false).await;
        reports.update(&key(6), approve).await.unwrap();
        assert_eq!(usual(9).await, Some(true), "what was approved does not tell");
    }

    #[tokio::test]
    async fn ids_that_were_lost_do_not_become_usual_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::new(Arc::new(FolderObjects::open(folder.path()).unwrap()));
        let key = |run| RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        for night in 1..=9 {
            let mut report = RunReport::new(key(night), Trigger::Schedule, Utc::now());
            report.source.complete = true;
            report.counts.seen = 1_000;
            report.state = RunState::Done;
            if night > 1 {
                report.state = RunState::Held;
                (report.counts.held, report.counts.duplicates) = (500, 600);
                let why = lost_key(600, 1_000, Some(0.0)).unwrap();
                report.reason = Some(held(&key(night), 500, 1_000, &why));
            }
            assert!(reports.create(&report).await.unwrap());
        }
        assert_eq!(usual(&reports, &key(10)).await.unwrap().duplicates, Some(0.0));
        let decided = |approved| {
            move |report: &mut RunReport| {
                let (by, at) = ("ada".to_owned(), Utc::now());
                report.state = RunState::Done;
                report.decision = Some(Decision { approved, by, at, note: None });
            }
        };
        reports.update(&key(9), decided(false)).await.unwrap();
        assert_eq!(usual(&reports, &key(10)).await.unwrap().duplicates, Some(0.0));
        reports.update(&key(9), decided(true)).await.unwrap();
        assert_eq!(usual(&reports, &key(10)).await.unwrap().duplicates, Some(0.6));
    }

    /// With `absent_nights`, nothing is held in the first nights, and nothing that was held is forgotten by waiting.
    #[tokio::test]
    async fn ids_that_were_lost_do_not_become_usual_while_products_wait() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::new(Arc::new(FolderObjects::open(folder.path()).unwrap()));
        let key = |run| RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        let last = 2 + LOOK_BACK as i64;
        for night in 1..=last {
            let mut report = RunReport::new(key(night), Trigger::Schedule, Utc::now());
            report.source.complete = true;
            report.counts.seen = 1_000;
            report.state = RunState::Done;
            if night > 1 {
                report.counts.duplicates = 600;
                let told = lost_key(600, 1_000, Some(0.0)).unwrap();
                report.reason = Some(Reason::new(ReasonClass::LimitExceeded, told));
            }
            assert!(reports.create(&report).await.unwrap());
        }
        for tonight in [3, 4, 9, last + 1] {
            let usual = usual(&reports, &key(tonight)).await.unwrap().duplicates;
            assert_eq!(usual, Some(0.0), "night {tonight}");
        }
    }

    /// A pipe with repeated ids by nature does not seem to lose its ids because its removals are held.
    #[tokio::test]
    async fn what_was_held_for_another_reason_is_usual_in_its_ids() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::new(Arc::new(FolderObjects::open(folder.path()).unwrap()));
        let key = |run| RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        let nights = LOOK_BACK as i64 + 1;
        let guard = Guard { max_removed: 0.3, absent_nights: 1, min_records: 0.8 };
        let whole = Wholeness { night: Night::Complete, text: String::new() };
        let absences = Absences { absent: 500, live: 1_000, renamed: 0, unreadable: 0 };
        for night in 1..=nights {
            let mut report = RunReport::new(key(night), Trigger::Schedule, Utc::now());
            report.source.complete = true;
            report.state = RunState::Held;
            (report.counts.seen, report.counts.duplicates) = (1_000, 100);
            report.counts.held = 500;
            let why = reason_to_hold(&guard, &whole, absences, None, None).unwrap();
            report.reason = Some(held(&key(night), 500, 1_000, &why));
            assert!(reports.create(&report).await.unwrap());
        }
        let usual = usual(&reports, &key(nights + 1)).await.unwrap().duplicates;
        assert_eq!(usual, Some(0.1));
        assert_eq!(lost_key(100, 1_000, usual), None);
    }

    #[test]
    fn ids_that_are_none_any_more_show() {
        assert_eq!(lost_key(500, 1_000, None), None);
        assert_eq!(lost_key(19, 100, Some(0.0)), None);
        assert_eq!(lost_key(49, 1_000, Some(0.0)), None);
        assert_eq!(lost_key(449, 1_000, Some(0.4)), None);
        assert_eq!(lost_key(0, 0, Some(0.0)), None);
        let why = lost_key(450, 1_000, Some(0.4)).unwrap();
        assert!(why.contains("450 of 1,000") && why.contains("usually 40.0 %"), "{why}");
    }

    #[test]
    fn a_first_night_of_repeated_ids_says_so_and_is_usual() {
        assert_eq!(mostly_repeated(180, 360, None), None);
        assert_eq!(mostly_repeated(19, 20, None), None);
        assert_eq!(mostly_repeated(300, 360, Some(0.8)), None, "it is usual by now");
        assert_eq!(mostly_repeated(0, 0, None), None);
        let why = mostly_repeated(300, 360, None).unwrap();
        assert!(why.contains("300 of 360 records, 83.3 %"), "{why}");
        // The nights behind it have this for usual.
        let mut report = RunReport::new(
            RunKey { pipe: "acme".parse().unwrap(), run: RunId(1) },
            Trigger::Schedule,
            Utc::now(),
        );
        report.reason = Some(Reason::new(ReasonClass::LimitExceeded, why));
        assert!(is_as_usual(&report));
    }
}
