//! What a report says of a run that is in the table, and what the commit itself says of it.
//!
//! Two workers may be at one run: one that slept past its lease, and its successor. Each writes into the report what
//! it is about to commit; the fence lets one commit in, and its figures are those of the run. So the worker that
//! committed writes its facts once more afterwards, and whoever else ends the run holds the report against the commit.

use super::guard;
use feedfleet_catalog::RunCommit;
use feedfleet_model::report::{
    Bytes, Counts, Diagnostics, Lists, RefusalCount, RunState, SourceFacts,
};
use feedfleet_model::{Reason, ReasonClass, RunKey, RunReport};

/// What is to be said of what was loaded.
#[derive(Clone)]
pub(crate) struct LoadFacts {
    pub counts: Counts,
    pub bytes: Bytes,
    pub source: SourceFacts,
    pub lists: Lists,
    pub refusals: Vec<RefusalCount>,
    pub warnings: Vec<RefusalCount>,
    /// What the source's products are like; none where it was not read.
    pub diagnostics: Option<Diagnostics>,
    /// What an operator should know.
    pub note: Option<Reason>,
}

/// Stands for what the worker that committed a run took with it.
const NOT_KNOWN: &str = "not known: what the worker that committed the run said of it is lost";

/// Writes into a run's report what was loaded for it.
pub(super) fn write(report: &mut RunReport, facts: &LoadFacts) {
    let facts = facts.clone();
    report.counts = facts.counts;
    report.bytes = facts.bytes;
    report.lists = facts.lists;
    report.refusals = facts.refusals;
    report.warnings = facts.warnings;
    report.diagnostics = facts.diagnostics;
    report.reason = facts.note;
    let replayed_from = report.source.replayed_from.take();
    report.source = SourceFacts { replayed_from, ..facts.source };
}

/// Makes a report say what the run's commit says. Where that is something else, the report's facts are of an attempt
/// that did not get into the table, and those that the commit does not have are taken out.
pub(super) fn settle(report: &mut RunReport, commit: &RunCommit) {
    report.table_version = Some(commit.version);
    if report.state != RunState::Committed {
        // The commit does not say by which mapping its rows were made, and another attempt may have written another one
        // here. Where none is known, the next run looks whether rows show what no supplement says any more.
        report.source.mapping.clear();
    }
    let (counts, lists) = (commit.counts(report.counts), commit.lists(&report.key));
    if counts == report.counts && lists == report.lists {
        if is_of_attempt(report) {
            report.reason = (counts.held > 0).then(|| note(&report.key, counts, None));
        }
        return;
    }
    (report.counts, report.lists) = (counts, lists);
    report.refusals.clear();
    report.warnings.clear();
    report.diagnostics = None;
    let source = std::mem::take(&mut report.source);
    report.source = SourceFacts {
        location: source.location,
        mapping: source.mapping,
        replayed_from: source.replayed_from,
        completeness: Some(NOT_KNOWN.to_owned()),
        ..SourceFacts::default()
    };
    let why = report.reason.take().filter(|reason| reason.class == ReasonClass::Unreadable);
    report.reason = Some(note(&report.key, counts, why));
}

/// Whether an attempt failed after its commit, before the report knew of that, and its reason is where the note was.
fn is_of_attempt(report: &RunReport) -> bool {
    let mut ends = report.attempts.iter().filter_map(|attempt| attempt.end.as_ref());
    report.reason.is_some() && ends.any(|end| end.reason == report.reason)
}

/// `why` the report lacks what it should say, where that is known.
fn note(run: &RunKey, counts: Counts, why: Option<Reason>) -> Reason {
    if counts.held > 0 {
        let before = (counts.live + counts.removed).saturating_sub(counts.new);
        return guard::held(run, counts.held, before, &format!("why is {NOT_KNOWN}"));
    }
    let text = "what the worker that committed the run said of it is lost, but for these counts";
    why.unwrap_or_else(|| Reason::new(ReasonClass::WorkerLost, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use feedfleet_catalog::run_figures;
    use feedfleet_model::report::{Attempt, AttemptEnd, Trigger};
    use feedfleet_model::{RunId, keys};
    use std::collections::BTreeMap;

    fn key() -> RunKey {
        RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) }
    }

    fn facts(held: u64) -> LoadFacts {
        let list = (held > 0).then(|| keys::held(&key(), held).to_string());
        LoadFacts {
            counts: Counts { seen: 4, unchanged: 4, held, live: 4 + held, ..Counts::default() },
            bytes: Bytes { fetched: 100 * held, ..Bytes::default() },
            source: SourceFacts { complete: true, ..SourceFacts::default() },
            lists: Lists { held: list, absent: Some(keys::absent(&key(), 9).to_string()) },
            refusals: vec![RefusalCount { reason: "x".into(), count: held, samples: Vec::new() }],
            warnings: Vec::new(),
            diagnostics: None,
            note: None,
        }
    }

    fn commit(facts: &LoadFacts) -> RunCommit {
        let figures = run_figures(facts.counts, &facts.lists);
        let figures = figures.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
        RunCommit { version: 3, figures }
    }

    fn report(facts: &LoadFacts) -> RunReport {
        let mut report = RunReport::new(key(), Trigger::Schedule, Utc::now());
        report.source.replayed_from = Some("raw/acme/1".to_owned());
        write(&mut report, facts);
        report
    }

    #[test]
    fn the_facts_of_the_run_that_is_in_stay() {
        let mut settled = report(&facts(6));
        settle(&mut settled, &commit(&facts(6)));
        assert_eq!(settled, RunReport { table_version: Some(3), ..report_like(&settled, 6) });
    }

    /// Rows may be by the mapping of one attempt, and the report by that of another, with the same figures.
    #[test]
    fn a_mapping_that_may_be_of_another_attempt_gives_way() {
        for (state, figures, mapping) in [
            (RunState::Running, 6, ""),
            (RunState::Running, 0, ""),
            // By the worker that committed.
            (RunState::Committed, 6, "old"),
        ] {
            let mut settled = report(&facts(6));
            settled.state = state;
            settled.source.mapping = "old".to_owned();
            settle(&mut settled, &commit(&facts(figures)));
            assert_eq!(settled.source.mapping, mapping, "{state:?}, {figures}");
        }
    }

    /// The report of `facts(held)`, created when the other one was.
    fn report_like(other: &RunReport, held: u64) -> RunReport {
        let (created_at, updated_at) = (other.created_at, other.updated_at);
        RunReport { created_at, updated_at, ..report(&facts(held)) }
    }

    /// Promise 4: what a worker without its lease wrote into the report gives way to what is in the table.
    #[test]
    fn the_facts_of_an_attempt_that_is_not_in_give_way() {
        let mut settled = report(&facts(6));
        settle(&mut settled, &commit(&facts(0)));
        let (counts, lists) = (facts(0).counts, facts(0).lists);
        assert_eq!((settled.counts, settled.lists), (counts, lists));
        assert!(settled.refusals.is_empty() && !settled.source.complete);
        assert_eq!(settled.source.replayed_from.as_deref(), Some("raw/acme/1"));
        assert!(settled.reason.is_some_and(|why| why.class == ReasonClass::WorkerLost));

        let mut settled = report(&facts(0));
        settle(&mut settled, &commit(&facts(6)));
        assert_eq!((settled.counts, settled.lists), (facts(6).counts, facts(6).lists));
        let why = settled.reason.unwrap().message;
        assert!(why.contains("6 of 10") && why.contains("runs approve acme 7"), "{why}");

        // The same counts, other products.
        let mut others = facts(6);
        others.lists.held = Some(keys::held(&key(), 17).to_string());
        let mut settled = report(&facts(6));
        settle(&mut settled, &commit(&others));
        assert_eq!(settled.lists, others.lists);
    }

    #[test]
    fn the_reason_of_an_attempt_is_none_of_a_run_that_is_in() {
        let lost = Reason::new(ReasonClass::WorkerLost, "killed");
        let settled = |held, of_attempt: Option<&Reason>| {
            let mut settled = report(&facts(held));
            settled.reason = Some(lost.clone());
            let now = Utc::now();
            let (outcome, reason) = ("retry".to_owned(), of_attempt.cloned());
            settled.attempts.push(Attempt {
                worker: "host/1".to_owned(),
                started_at: now,
                end: Some(AttemptEnd { at: now, outcome, reason, next_at: None }),
            });
            settle(&mut settled, &commit(&facts(held)));
            assert_eq!(settled.attempts[0].end.as_ref().unwrap().reason.as_ref(), of_attempt);
            settled.reason
        };
        assert_eq!(settled(0, Some(&lost)), None);
        let why = settled(6, Some(&lost)).unwrap().message;
        assert!(why.contains("6 of 10") && why.contains("runs approve acme 7"), "{why}");
        assert_eq!(settled(0, None), Some(lost.clone()), "it is what was said of the run");
    }

    #[test]
    fn a_commit_without_figures_takes_nothing_away_but_lists() {
        let mut settled = report(&facts(0));
        settled.lists = Lists::default();
        let before = settled.clone();
        settle(&mut settled, &RunCommit { version: 3, figures: BTreeMap::new() });
        assert_eq!(settled, RunReport { table_version: Some(3), ..before });
    }
}
