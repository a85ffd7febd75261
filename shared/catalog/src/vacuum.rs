//! Vacuum: deletes what nobody needs any more. A file stays if a version within the window refers to it, or if
//! it is young enough to be a writer's work in progress. The log is cut off behind the window.

use crate::durable::is_entry_draft;
use crate::error::{CatalogError, Cause};
use crate::files::{DRAFT, FilePlace, Found};
use crate::log_files::{LogFile, LogFiles, for_each_entry, places, snapshot_at};
use crate::snapshot::Snapshot;
use crate::table::Table;
use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a vacuum spares.
#[derive(Debug, Clone, Copy)]
pub struct VacuumLimits {
    /// Versions that were the newest within this time can be read, and rolled back to, afterwards.
    pub keep: Duration,
    /// Files written within this time stay, whether a version refers to them or not. A store dates its files by
    /// its own clock, and one that was sent in parts from when it was begun.
    pub grace: Duration,
}

impl VacuumLimits {
    /// Twice the longest time that a writer may hold on to files it has not committed.
    pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
}

/// What a vacuum deleted, or would delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Data files and deletion vectors, and what writers left that were killed.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files of the log: entries, and checkpoints that a newer one replaces.
    pub log_entries: u64,
}

/// Deletes the table's files that no version of the last `limits.keep` refers to, and the log's files that
/// loading those versions does not need. Safe beside any number of writers; one vacuum at a time. `dry_run`:
/// deletes nothing, and says what it would. Fails, and deletes nothing, if the log cannot be read or the table
/// lacks a file.
pub fn vacuum(
    table: &Table,
    limits: VacuumLimits,
    now: SystemTime,
    dry_run: bool,
) -> Result<Vacuumed, CatalogError> {
    let Some(before) = table.snapshot()? else { return Ok(Vacuumed::default()) };
    // Files first, then the log: a file that is committed in between is known to be needed.
    let found = list_files(table)?;
    refuse_if_incomplete(&before, &found)?;
    let log = LogFiles::list(table)?;
    let window = Window::find(table, &log, now.checked_sub(limits.keep).unwrap_or(UNIX_EPOCH))?;

    let is_past = |file: &&Found| {
        let old = now.duration_since(file.modified).is_ok_and(|age| age >= limits.grace);
        old && !window.needed.contains(&file.place)
    };
    let past: Vec<&Found> = found.iter().filter(is_past).collect();
    let gone = match dry_run {
        true => vec![true; past.len()],
        false => remove(table, past.iter().map(|file| &file.place))?,
    };
    let mut vacuumed = Vacuumed::default();
    for (file, _) in past.iter().zip(gone).filter(|(_, gone)| *gone) {
        vacuumed.files += 1;
        vacuumed.bytes += file.bytes;
    }
    vacuumed.log_entries = trim_log(table, &log, window.start, dry_run)?;
    Ok(vacuumed)
}

/// The table's files, the oldest first. Files of other kinds are not listed, and so never deleted.
fn list_files(table: &Table) -> Result<Vec<Found>, CatalogError> {
    // Asked for as the log's paths are, so that both ways lead to the same names.
    let mut found = table.files().list_below(&table.place("./")?)?;
    found.retain(|file| file.place.name().is_some_and(is_ours));
    found.sort_by(|a, b| (a.modified, &a.place).cmp(&(b.modified, &b.place)));
    Ok(found)
}

/// Deletes files, in this order where that is known; of each, whether it was still there.
fn remove<'a>(
    table: &Table,
    places: impl Iterator<Item = &'a FilePlace>,
) -> Result<Vec<bool>, CatalogError> {
    let places: Vec<FilePlace> = places.cloned().collect();
    table.files().remove(&places)
}

fn is_ours(name: &str) -> bool {
    if is_entry_draft(name) {
        return true;
    }
    let name = name.strip_suffix(DRAFT).unwrap_or(name);
    name.ends_with(".parquet") || (name.starts_with("deletion_vector_") && name.ends_with(".bin"))
}

/// A live file that the listing lacks means that the table is damaged, or that names are understood wrongly:
/// either way nothing should be deleted.
fn refuse_if_incomplete(snapshot: &Snapshot, found: &[Found]) -> Result<(), CatalogError> {
    let listed: HashSet<&FilePlace> = found.iter().map(|f| &f.place).collect();
    for file in snapshot.files(None)? {
        for place in places(snapshot.table(), &file)? {
            if !listed.contains(&place) {
                return Err(CatalogError {
                    action: "vacuum",
                    subject: snapshot.table().url().to_string(),
                    source: Cause::Unusable(format!(
                        "its file {place} is missing, so nothing is deleted"
                    )),
                });
            }
        }
    }
    Ok(())
}

/// The versions that stay readable.
struct Window {
    /// The oldest of them.
    start: u64,
    /// The files that one of them refers to.
    needed: HashSet<FilePlace>,
}

impl Window {
    /// Its first version is the one that was the newest at `cutoff`.
    fn find(table: &Table, log: &LogFiles, cutoff: SystemTime) -> Result<Self, CatalogError> {
        let mut start = log.oldest_loadable(table)?;
        let mut needed = HashSet::new();
        for_each_entry(table, start + 1..=log.newest, &mut |version, entry| {
            // Every version before must be past, too: one commit whose clock was late does not end the
            // window of those before it.
            if start + 1 == version && entry.committed < cutoff {
                start = version;
            } else {
                needed.extend(entry.files);
            }
        })?;
        for file in snapshot_at(table, start)?.files(None)? {
            needed.extend(places(table, &file)?);
        }
        Ok(Self { start, needed })
    }
}

/// Deletes what lies before the newest checkpoint that is not within the window; the number of files. On this
/// machine the oldest goes first, so that what is left begins with a whole history or with that checkpoint. A
/// store deletes a thousand at a time, in no order; if it is cut short there is a gap before the checkpoint,
/// which no version of the window needs and the next vacuum takes away.
fn trim_log(
    table: &Table,
    log: &LogFiles,
    window_start: u64,
    dry_run: bool,
) -> Result<u64, CatalogError> {
    let Some(checkpoint) = log.checkpoint_up_to(window_start) else { return Ok(0) };
    let past: Vec<&LogFile> =
        log.files.iter().take_while(|f| f.version < checkpoint.version).collect();
    if past.is_empty() {
        return Ok(0);
    }
    // From now on the checkpoint stands for all that was before it: it must be readable and on the disk.
    let snapshot = snapshot_at(table, checkpoint.version)?;
    snapshot.files(None)?;
    if snapshot.checkpoint_version() != Some(checkpoint.version) {
        tracing::warn!(
            checkpoint = %checkpoint.place,
            "the log is not cut off: the checkpoint that would stand for what is before it cannot be read"
        );
        return Ok(0);
    }
    if dry_run {
        return Ok(past.len() as u64);
    }
    table.files().sync(&checkpoint.place)?;
    let removed = remove(table, past.iter().map(|file| &file.place))?;
    Ok(removed.into_iter().filter(|gone| *gone).count() as u64)
}
