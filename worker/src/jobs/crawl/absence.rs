//! What a run remembers of products that its source did not mention: the list of those whose removal is
//! held, which an approval applies, and the list of those that stay, from which the next run counts on.
//!
//! Both are written before the commit, so a run that is in the table has its lists. Each attempt at a run writes
//! lists of its own, and the commit says which are the run's: see `facts.rs`. The others are read by nobody, and
//! expire with the run's report.

use super::failure::Failure;
use super::load::Work;
use feedfleet_catalog::diff::{Absent, Diff};
use feedfleet_config::Pipe;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::Lists;
use feedfleet_model::{Nights, RunId, RunKey};
use feedfleet_objects::{ReportError, Reports, Visit, read_absences, write_absences};
use feedfleet_telemetry::failpoint;

/// The list that the pipe's newest run in the table left of products that were absent and stayed. Where it left
/// none that can be found, counting begins anew.
pub(super) async fn last_list(
    reports: &Reports,
    pipe: &Pipe,
    committed: Option<i64>,
) -> Result<Option<ObjectKey>, ReportError> {
    let Some(last) = committed.filter(|_| is_counted(pipe)) else { return Ok(None) };
    let report = match reports.load(&RunKey { pipe: pipe.name.clone(), run: RunId(last) }).await {
        Err(ReportError::Unreadable { .. }) => None,
        loaded => loaded?,
    };
    Ok(report.and_then(|report| ObjectKey::parse(report.lists.absent.as_deref()?)))
}

/// Tells the diff, at the beginning of a pass, for how many nights products have been absent.
pub(super) fn recall(work: &Work, diff: &mut Diff) -> Result<(), Failure> {
    if let Some(list) = &work.last_list {
        read_absences(work.objects.as_ref(), list, |id, nights| diff.note_absence(id, nights))?;
    }
    Ok(())
}

/// Writes the lists of a run whose absent products are dealt with as `decided`.
pub(super) fn write_lists(work: &Work, diff: &Diff, decided: Absent) -> Result<Lists, Failure> {
    failpoint::hit("crawl.before-lists");
    // A worker that slept past its lease need not even begin.
    if work.cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let held = decided == Absent::Hold;
    let (key, objects) = (&work.key, work.objects.as_ref());
    let snapshot = work.snapshot.as_ref();
    let mut lists = Lists::default();
    if held {
        let ids = |visit: &mut Visit<'_>| -> Result<(), Failure> {
            diff.for_each_due(snapshot, &mut |id, _| visit(id, Nights::default()))?;
            Ok(())
        };
        let written = write_absences(objects, |content| keys::held(key, content), ids)?;
        lists.held = written.map(|content| keys::held(key, content).to_string());
    }
    if is_counted(&work.pipe) {
        let absent = |visit: &mut Visit<'_>| -> Result<(), Failure> {
            let mut counted = |id: &str, nights: Nights| {
                if nights != Nights::default() {
                    visit(id, nights);
                }
            };
            diff.for_each_waiting(snapshot, &mut counted)?;
            if held {
                diff.for_each_due(snapshot, &mut counted)?;
            }
            Ok(())
        };
        let written = write_absences(objects, |content| keys::absent(key, content), absent)?;
        lists.absent = written.map(|content| keys::absent(key, content).to_string());
    }
    Ok(lists)
}

/// Whether nights without a product are counted at all.
fn is_counted(pipe: &Pipe) -> bool {
    pipe.guard.absent_nights > 1 && !pipe.source.changes_only
}
