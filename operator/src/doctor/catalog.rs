//! Whether the catalog's place can take a commit, and whether its tables can be read.

use super::scratch::{self, Scratch};
use super::{Finding, State, blocking, cloud, plain};
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use feedfleet_catalog::{DamagedEntry, DataFile, Snapshot, Table, read};
use feedfleet_config::Place;
use feedfleet_model::text;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const CHECK: &str = "catalog";

/// Tries the place where the tables are, and reads of each table its log, its list of files, and one file.
pub async fn check(context: Arc<Context>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Place::S3 { bucket, prefix } = &context.config.fleet.catalog.place {
        findings.push(cloud::store(&context, CHECK, bucket, prefix).await);
    }
    let is_reached = findings.iter().all(|finding| finding.state != State::Broken);
    let now = context.clock.now();
    let read = move || match context.catalog() {
        Ok(catalog) => {
            let tables = [catalog.products(), catalog.images()];
            let folder = context.config.fleet.catalog.place.folder();
            let mut found: Vec<Finding> =
                folder.map(|path| judged_folder(path, tables)).into_iter().collect();
            found.extend(tables.map(|table| read_table(table, is_reached, now)));
            found
        }
        Err(e) => vec![unopened(&context.config.fleet.catalog.place, &e)],
    };
    findings.extend(blocking(read).await);
    findings
}

fn judged_folder(path: &Path, tables: [&Table; 2]) -> Finding {
    match try_folder(path, tables) {
        Ok(found) => Finding::ok(CHECK, format!("{}: {found}", path.display())),
        Err(e) => unusable(path, &e),
    }
}

fn unopened(place: &Place, e: &anyhow::Error) -> Finding {
    match place {
        Place::Folder(path) => unusable(path, e),
        Place::S3 { .. } => Finding::broken("tables", format!("{place}: {e:#}"), cloud::REMEDY),
    }
}

fn unusable(path: &Path, e: &anyhow::Error) -> Finding {
    let found = format!("{}: {e:#}", path.display());
    let remedy = "check url under [catalog] in fleet.toml: this user must be able to write there, on a local \
                  disk with room, with hard links and renames";
    Finding::broken(CHECK, found, remedy)
}

/// A log entry is a synced file, hard-linked to its name, which must not be there: two commits of one
/// version cannot both succeed.
fn try_folder(path: &Path, tables: [&Table; 2]) -> Result<String> {
    let scratch = Scratch::within(path)?;
    let probed = scratch::probe(scratch.path());
    let removed = scratch.remove();
    let synced_write = text::duration(probed?);
    removed?;
    for table in tables {
        let Some(folder) = table.folder() else { continue };
        for folder in [folder.to_owned(), folder.join("_delta_log")] {
            if folder.is_dir() {
                scratch::write_and_remove(&folder)?;
            }
        }
    }
    Ok(format!(
        "a commit excludes another of its version; rename and fsync work, a synced write takes {synced_write}"
    ))
}

/// `is_reached`: nothing is known to be wrong with the place where the table is.
fn read_table(table: &Table, is_reached: bool, now: DateTime<Utc>) -> Finding {
    let check = format!("table {}", table.spec().name);
    match try_table(table, now) {
        Ok(found) => Finding::ok(check, found),
        Err(e) => {
            let damaged = if is_reached { table.damaged_entry() } else { Ok(None) };
            let remedy = match damaged {
                _ if !is_reached => {
                    format!("do what is said of the {CHECK} first: the table itself may be sound")
                }
                Ok(Some(entry)) => without(table, &entry),
                _ => lost_files(table),
            };
            Finding::broken(check, format!("{e:#}"), remedy)
        }
    }
}

/// What to do about data files that are missing or damaged. What a rollback does not find is lost anyway. Without a
/// table, runs read their whole source again.
fn lost_files(table: &Table) -> String {
    let address = table.address();
    let folder = address.trim_end_matches('/');
    if table.spec().name == "images" {
        return format!(
            "put the files back into {folder} from a copy. Without one, move {folder} away, while no process of the \
             fleet runs: pictures that are missing then are asked for by themselves"
        );
    }
    format!(
        "put the files back into {folder} from a copy; or the pipe as it was after an earlier run whose files are there \
         (feedfleet runs list PIPE): feedfleet runs rollback PIPE RUN, then feedfleet pipes resume PIPE and \
         feedfleet run PIPE. Where there is neither, move {folder} away, while no process of the fleet runs: the next \
         run of each pipe reads its whole source (feedfleet run PIPE)"
    )
}

/// What to do about a damaged log. A rollback could not read it. A table without its newest entries is a whole one; and
/// validators count only for the run that is a pipe's newest in the table, so that runs read again what is lost.
fn without(table: &Table, entry: &DamagedEntry) -> String {
    let what = match entry.newer {
        0 => "it, which is the newest entry".to_owned(),
        newer => format!("it and the {newer} newer entries"),
    };
    let lost = if table.spec().name == "images" {
        "Pictures that are missing then are asked for by themselves"
    } else {
        "The next run of each pipe that had changed reads its whole source (feedfleet run PIPE), and holds again what \
         was approved since; what was rolled back since is to be rolled back again"
    };
    format!(
        "put {} back into {}/_delta_log from a copy. Without one, move {what} out of there, while no process of the \
         fleet runs: the table is then as it was before that commit. {lost}. Then feedfleet doctor says whether all files \
         are there",
        entry.name,
        table.address().trim_end_matches('/')
    )
}

fn try_table(table: &Table, now: DateTime<Utc>) -> Result<String> {
    let Some(snapshot) = table.snapshot().map_err(plain)? else {
        return Ok("not there yet; the first run makes it".to_owned());
    };
    // An error where a column has another type than this release writes.
    let missing = snapshot.missing_columns().map_err(plain)?;
    let files = snapshot.files(None).map_err(plain)?;
    check_files(&snapshot, &files)?;
    read_one(&snapshot, &files)?;
    let committed = DateTime::<Utc>::from(snapshot.committed_at().map_err(plain)?);
    let pipes: BTreeSet<&str> = files.iter().map(|f| f.pipe.as_str()).collect();
    let rows: u64 = files.iter().map(DataFile::live_rows).sum();
    let schema = match missing.len() {
        0 => "the schema is this release's".to_owned(),
        n => format!("the next commit adds {n} columns of this release"),
    };
    Ok(format!(
        "version {} of {} ({}); {} rows of {} pipes in {} files of {}; {schema}",
        snapshot.version(),
        view::moment(committed),
        view::distance(now, committed),
        text::count(rows),
        pipes.len(),
        files.len(),
        text::bytes(files.iter().map(|f| f.size_bytes).sum()),
    ))
}

/// Every file that the table refers to is there, and as long as its log says.
fn check_files(snapshot: &Snapshot, files: &[DataFile]) -> Result<()> {
    let mut faults = 0;
    let mut first = None;
    let stored = snapshot.stored_bytes(files).map_err(plain)?;
    for (file, stored) in files.iter().zip(stored) {
        let fault = match stored {
            Some(bytes) if bytes == file.size_bytes => continue,
            Some(bytes) => format!("is {}", text::bytes(bytes)),
            None => "is missing".to_owned(),
        };
        faults += 1;
        first.get_or_insert_with(|| format!("{}: {fault}", file.path));
    }
    match first {
        None => Ok(()),
        Some(first) => {
            bail!("{faults} of {} data files are missing or damaged, first {first}", files.len())
        }
    }
}

/// Reads one column of the smallest file, its dead rows included.
fn read_one(snapshot: &Snapshot, files: &[DataFile]) -> Result<()> {
    let Some(smallest) = files.iter().min_by_key(|f| f.size_bytes) else { return Ok(()) };
    let column = snapshot.table().spec().stats_columns.first().copied();
    let columns = column.map(|column| [column]);
    let columns = columns.as_ref().map(|columns| columns.as_slice());
    read::for_each_batch(snapshot, smallest, columns, |_| Ok(())).map_err(plain)
}
