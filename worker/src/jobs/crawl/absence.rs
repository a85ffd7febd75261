//! What a run remembers of products that its source did not mention: the list of those whose removal is
//! held, which an approval applies, and the list of those that stay, from which the next run counts on.
//!
//! Both are written before the commit, so a run that is in the table has its lists. They carry the run's
//! name: lists of a run that never got there are read by nobody.

use super::failure::Failure;
use super::load::Work;
use feedfleet_catalog::diff::{Absent, Diff};
use feedfleet_catalog::feed_app_id;
use feedfleet_model::{RunId, RunKey, keys};
use feedfleet_objects::{AbsenceList, read_absences};

/// Tells the diff, at the beginning of a pass, for how many nights products have been absent: as the run that
/// is in the table left it. Where it left no list, counting begins anew.
pub(super) fn recall(work: &Work, diff: &mut Diff) -> Result<(), Failure> {
    if !is_counted(work) {
        return Ok(());
    }
    let Some(snapshot) = &work.snapshot else { return Ok(()) };
    let Some(last) = snapshot.fence(&feed_app_id(&work.key.pipe))? else { return Ok(()) };
    let key = keys::absent(&RunKey { pipe: work.key.pipe.clone(), run: RunId(last) });
    read_absences(work.objects.as_ref(), &key, |id, nights| {
        diff.note_absence(id, nights.unwrap_or(0));
    })?;
    Ok(())
}

/// Writes the lists of a run whose absent products are dealt with as `decided`.
pub(super) fn write_lists(work: &Work, diff: &Diff, decided: Absent) -> Result<(), Failure> {
    let held = decided == Absent::Hold;
    let snapshot = work.snapshot.as_ref();
    if held {
        let mut list = AbsenceList::begin(work.objects.as_ref(), &keys::held(&work.key))?;
        diff.for_each_due(snapshot, &mut |id, _| list.push(id, None))?;
        list.finish()?;
    }
    if is_counted(work) {
        // Also when there is nothing to write: an earlier attempt of this run may have left a list.
        let mut list = AbsenceList::begin(work.objects.as_ref(), &keys::absent(&work.key))?;
        let mut push = |id: &str, nights: u8| {
            if nights > 0 {
                list.push(id, Some(nights));
            }
        };
        diff.for_each_waiting(snapshot, &mut push)?;
        if held {
            diff.for_each_due(snapshot, &mut push)?;
        }
        list.finish()?;
    }
    Ok(())
}

/// Whether nights without a product are counted at all.
fn is_counted(work: &Work) -> bool {
    work.pipe.guard.absent_nights > 1 && !work.pipe.source.changes_only
}
