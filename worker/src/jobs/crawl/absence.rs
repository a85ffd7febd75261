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
use feedfleet_objects::{
    ObjectError, Objects, ReportError, Reports, Visit, read_absences, write_absences,
};
use feedfleet_telemetry::failpoint;
use std::io::ErrorKind::{InvalidData, UnexpectedEof};

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

/// Tells the diff, at the beginning of a pass, for how many nights products have been absent. A list that is not the
/// one that was written tells nothing: counting begins anew.
pub(super) fn recall(work: &Work, diff: &mut Diff) -> Result<(), Failure> {
    if let Some(list) = &work.last_list
        && is_sound(work.objects.as_ref(), list)?
    {
        read_absences(work.objects.as_ref(), list, |id, nights| diff.note_absence(id, nights))?;
    }
    Ok(())
}

/// Whether a list is there, and is the one that was written. It is read for that before anything is taken from it.
fn is_sound(objects: &dyn Objects, list: &ObjectKey) -> Result<bool, ObjectError> {
    let why = match read_absences(objects, list, |_, _| {}) {
        // A rollback takes it away.
        Ok(None) => return Ok(false),
        Ok(content) if content == keys::content_of_list(list.as_str()) => return Ok(true),
        Ok(_) => "it is not the list that was written".to_owned(),
        // Only what a list says is wrong in this way: a store that fails does so otherwise.
        Err(e) if matches!(e.source.kind(), InvalidData | UnexpectedEof) => e.source.to_string(),
        Err(e) => return Err(e),
    };
    tracing::warn!(%list, why, "the list of absent products is damaged, counting begins anew");
    Ok(false)
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

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_objects::FolderObjects;
    use tempfile::TempDir;

    const LINES: [&str; 2] = ["{\"id\":\"a\",\"nights\":1}\n", "{\"id\":\"b\",\"doubtful\":2}\n"];

    /// The list of [`LINES`], as a run writes it.
    fn written() -> (TempDir, FolderObjects, ObjectKey) {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
        let for_each = |visit: &mut Visit<'_>| -> Result<(), ObjectError> {
            visit("a", Nights { complete: 1, doubtful: 0 });
            visit("b", Nights { complete: 0, doubtful: 2 });
            Ok(())
        };
        let written = write_absences(&objects, |content| keys::absent(&run, content), for_each);
        let list = keys::absent(&run, written.unwrap().unwrap());
        (folder, objects, list)
    }

    #[tokio::test]
    async fn only_the_list_that_was_written_is_counted_on() {
        let (_folder, objects, list) = written();
        assert!(is_sound(&objects, &list).unwrap());
        let whole = LINES.concat();
        objects.put(&list, whole.clone().into()).await.unwrap();
        assert!(is_sound(&objects, &list).unwrap());
        let damaged = [
            String::new(),
            whole[..20].to_owned(),
            whole[..whole.len() - 5].to_owned(),
            LINES[0].to_owned(),
            whole.replace(":1}", ":9}"),
            whole.replace("\"b\"", "\"c\""),
            format!("{whole}{whole}"),
            format!("{whole}[]\n"),
        ];
        for text in damaged {
            objects.put(&list, text.clone().into()).await.unwrap();
            assert!(!is_sound(&objects, &list).unwrap(), "{text}");
        }
        objects.put(&list, vec![0xff, 0xfe, b'\n'].into()).await.unwrap();
        assert!(!is_sound(&objects, &list).unwrap());
        objects.delete(&list).await.unwrap();
        assert!(!is_sound(&objects, &list).unwrap());
    }

    /// A store that fails says nothing of the list: the run is to be tried again.
    #[test]
    fn a_list_that_cannot_be_had_is_an_error() {
        let (folder, objects, list) = written();
        let path = folder.path().join(list.as_str());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        is_sound(&objects, &list).unwrap_err();
    }
}
