//! Vacuum: deletes what nobody needs any more. A file stays if a version within the window refers to it, or if
//! it is young enough to be a writer's work in progress. The log is cut off behind the window.

use crate::durable;
use crate::error::{CatalogError, Cause, Context};
use crate::log_files::{LogFile, LogFiles, places, read_entry, remove, snapshot_at};
use crate::table::{Snapshot, Table};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a vacuum spares.
#[derive(Debug, Clone, Copy)]
pub struct VacuumLimits {
    /// Versions that were the newest within this time can be read, and rolled back to, afterwards.
    pub keep: Duration,
    /// Files written within this time stay, whether a version refers to them or not.
    pub grace: Duration,
}

impl VacuumLimits {
    /// Twice the longest time that a writer may hold on to files it has not committed.
    pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
}

/// What a vacuum deleted, or would delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Data files and deletion vectors.
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

    let mut vacuumed = Vacuumed::default();
    for file in &found {
        let old = now.duration_since(file.modified).is_ok_and(|age| age >= limits.grace);
        if !old || window.needed.contains(&file.path) {
            continue;
        }
        if dry_run || remove(&file.path)? {
            vacuumed.files += 1;
            vacuumed.bytes += file.bytes;
        }
    }
    vacuumed.log_entries = trim_log(table, &log, window.start, dry_run)?;
    Ok(vacuumed)
}

/// A file below the table's folder that Feedfleet may have written.
struct Found {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

/// The table's files, the oldest first. Files of other kinds are not listed, and so never deleted.
fn list_files(table: &Table) -> Result<Vec<Found>, CatalogError> {
    let mut found = Vec::new();
    // Asked for as the log's paths are, so that both ways lead to the same names.
    let mut folders = vec![table.local_path("./")?];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).at("list", &folder)? {
            let entry = entry.at("list", &folder)?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|n| !n.starts_with(['_', '.'])) else { continue };
            let kind = entry.file_type().at("list", &path)?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_ours(name) {
                match entry.metadata() {
                    Ok(meta) => {
                        let modified = meta.modified().at("measure", &path)?;
                        found.push(Found { path, bytes: meta.len(), modified });
                    }
                    // Its writer has taken it back.
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e).at("measure", &path),
                }
            }
        }
    }
    found.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    Ok(found)
}

fn is_ours(name: &str) -> bool {
    name.ends_with(".parquet") || (name.starts_with("deletion_vector_") && name.ends_with(".bin"))
}

/// A live file that the listing lacks means that the table is damaged, or that names are understood wrongly:
/// either way nothing should be deleted.
fn refuse_if_incomplete(snapshot: &Snapshot, found: &[Found]) -> Result<(), CatalogError> {
    let listed: HashSet<&Path> = found.iter().map(|f| f.path.as_path()).collect();
    for file in snapshot.files(None)? {
        for place in places(snapshot.table(), &file)? {
            if !listed.contains(place.as_path()) {
                return Err(CatalogError {
                    action: "vacuum",
                    subject: snapshot.table().url().to_string(),
                    source: Cause::Unusable(format!(
                        "its file {} is missing, so nothing is deleted",
                        place.display()
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
    needed: HashSet<PathBuf>,
}

impl Window {
    /// Its first version is the one that was the newest at `cutoff`.
    fn find(table: &Table, log: &LogFiles, cutoff: SystemTime) -> Result<Self, CatalogError> {
        let mut start = log.oldest_loadable(table)?;
        let mut needed = HashSet::new();
        for version in start + 1..=log.newest {
            let entry = read_entry(table, version)?;
            // Every version before must be past, too: one commit whose clock was late does not end the
            // window of those before it.
            if start + 1 == version && entry.committed < cutoff {
                start = version;
            } else {
                needed.extend(entry.files);
            }
        }
        for file in snapshot_at(table, start)?.files(None)? {
            needed.extend(places(table, &file)?);
        }
        Ok(Self { start, needed })
    }
}

/// Deletes what lies before the newest checkpoint that is not within the window; the number of files. The
/// oldest goes first, so that what is left always begins with a whole history or with that checkpoint.
fn trim_log(
    table: &Table,
    log: &LogFiles,
    window_start: u64,
    dry_run: bool,
) -> Result<u64, CatalogError> {
    let Some(checkpoint) = log.checkpoint_up_to(window_start) else { return Ok(0) };
    let past: Vec<&LogFile> =
        log.files.iter().take_while(|f| f.version < checkpoint.version).collect();
    if past.is_empty() || dry_run {
        return Ok(past.len() as u64);
    }
    // From now on the checkpoint stands for all that was before it: it must be readable and on the disk.
    snapshot_at(table, checkpoint.version)?.files(None)?;
    durable::sync_file(&checkpoint.path)?;
    checkpoint.path.parent().map_or(Ok(()), durable::sync_folder)?;
    let mut removed = 0;
    for file in past {
        removed += u64::from(remove(&file.path)?);
    }
    Ok(removed)
}
