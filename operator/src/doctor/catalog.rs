//! Whether the catalog's place can take a commit, and whether its tables can be read.

use super::scratch::{self, Scratch};
use super::{Finding, State, blocking, cloud};
use crate::context::Context;
use crate::view;
use anyhow::Result;
use chrono::{DateTime, Utc};
use feedfleet_catalog::{
    CatalogError, DamagedCheckpoint, DamagedEntry, DataFile, LogDamage, Snapshot, Table, read,
};
use feedfleet_config::Place;
use feedfleet_model::text;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

const CHECK: &str = "catalog";
/// What to do where a table cannot be read, and its log is not known to be damaged.
const ELSEWHERE: &str = "see to what the error names, such as the disk, the network or permissions. The table itself \
                         may be sound: leave it where it is";

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
            look(context.config.fleet.catalog.place.folder(), tables, is_reached, now)
        }
        Err(e) => vec![unopened(&context.config.fleet.catalog.place, &e)],
    };
    findings.extend(blocking(read).await);
    findings
}

/// Tries the folder, where the tables are in one, and reads each of them. `is_reached`: nothing is known to be wrong
/// with their place so far.
fn look(
    folder: Option<&Path>,
    tables: [&Table; 2],
    is_reached: bool,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        folder.map(|path| judged_folder(path, tables)).into_iter().collect();
    let is_reached = is_reached && found.iter().all(|finding| finding.state != State::Broken);
    found.extend(tables.map(|table| read_table(table, is_reached, now)));
    found
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
        Place::S3 { .. } => {
            Finding::broken("tables", format!("{place}: {}", view::told(e)), cloud::REMEDY)
        }
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
        let Some(folder) = table.folder().filter(|folder| folder.is_dir()) else { continue };
        // In a log without an entry our file would keep others from making the table.
        let has_table = table.snapshot().is_ok_and(|snapshot| snapshot.is_some());
        scratch::write_and_remove(folder, has_table.then(|| folder.join("_delta_log")).as_deref())?;
    }
    Ok(format!(
        "a commit excludes another of its version; rename and fsync work, a synced write takes {synced_write}"
    ))
}

/// Why a table could not be read, or not all that was committed to it, by what there is to do about it.
enum Fault {
    /// A column has another type than this release writes.
    Columns(CatalogError),
    /// Data files are missing or damaged; which.
    Files(String),
    /// An entry of its log is empty; readers do not fail on it.
    Empty(DamagedEntry),
    /// There is no table, and this file keeps it from being made.
    InTheWay(String),
    /// Anything else: its log, a disk or a store that refused or failed.
    Other(CatalogError),
}

impl From<CatalogError> for Fault {
    fn from(e: CatalogError) -> Self {
        Self::Other(e)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Columns(e) | Self::Other(e) => write!(f, "{e}"),
            Self::Files(which) => f.write_str(which),
            Self::Empty(entry) => write!(
                f,
                "{} of its log is empty: what that commit brought in is lost, and the table reads as if it had \
                 brought nothing",
                entry.name
            ),
            Self::InTheWay(file) => write!(
                f,
                "not there yet, and no run can make it: its log has no entry, but another file, '{file}'"
            ),
        }
    }
}

/// `is_reached`: nothing is known to be wrong with the place where the table is.
fn read_table(table: &Table, is_reached: bool, now: DateTime<Utc>) -> Finding {
    let check = format!("table {}", table.spec().name);
    match try_table(table, now) {
        Ok(found) => Finding::ok(check, found),
        Err(Fault::Empty(entry)) if entry.newer > 0 => {
            let remedy = passed_over(table);
            Finding::warning(check, Fault::Empty(entry).to_string(), remedy)
        }
        Err(fault) if !is_reached => {
            let remedy =
                format!("do what is said of the {CHECK} first: the table itself may be sound");
            Finding::broken(check, fault.to_string(), remedy)
        }
        Err(fault) => Finding::broken(check, fault.to_string(), remedy(table, &fault)),
    }
}

fn remedy(table: &Table, fault: &Fault) -> String {
    match fault {
        Fault::Columns(_) => "this release and the table do not fit together: use the release that wrote the table, or \
                              a newer one. The table itself may be sound: leave it where it is"
            .to_owned(),
        Fault::Files(_) => lost_files(table),
        Fault::Empty(entry) => without(table, entry),
        Fault::InTheWay(_) => "move that out of there; the next run makes the table".to_owned(),
        Fault::Other(_) => match table.log_damage() {
            Ok(Some(LogDamage::Entry(entry))) => without(table, &entry),
            Ok(Some(LogDamage::Checkpoint(checkpoint))) => without_checkpoint(table, &checkpoint),
            Ok(None) => match table.empty_entry() {
                // Such as the first one, without which nobody reads the others.
                Ok(Some(entry)) => without(table, &entry),
                _ => ELSEWHERE.to_owned(),
            },
            Err(_) => ELSEWHERE.to_owned(),
        },
    }
}

/// Where the table is, without a slash at its end.
fn folder_of(table: &Table) -> String {
    table.address().trim_end_matches('/').to_owned()
}

/// What brings the rows back where there is no table any more.
fn anew(table: &Table) -> &'static str {
    if table.spec().name == "images" {
        "pictures that are missing then are asked for by themselves"
    } else {
        "the next run of each pipe reads its whole source (feedfleet run PIPE)"
    }
}

/// What to do about data files that are missing or damaged. What a rollback does not find is lost anyway.
fn lost_files(table: &Table) -> String {
    let (folder, anew) = (folder_of(table), anew(table));
    if table.spec().name == "images" {
        return format!(
            "put the files back into {folder} from a copy. Without one, move {folder} away, while no process of the \
             fleet runs: {anew}"
        );
    }
    format!(
        "put the files back into {folder} from a copy; or the pipe as it was after an earlier run whose files are there \
         (feedfleet runs list PIPE): feedfleet runs rollback PIPE RUN, then feedfleet pipes resume PIPE and \
         feedfleet run PIPE. Where there is neither, move {folder} away, while no process of the fleet runs: {anew}"
    )
}

/// What to do about a damaged checkpoint. A rollback could not read the log. Readers that are told of one that is not
/// there read nothing: it goes with the note of it.
fn without_checkpoint(table: &Table, checkpoint: &DamagedCheckpoint) -> String {
    let (name, folder) = (&checkpoint.name, folder_of(table));
    let otherwise = if checkpoint.is_spare {
        "move it, if it is there, and _last_checkpoint out of there, while no process of the fleet runs: the rest of the \
         log says the same. Then feedfleet doctor says whether it can be read"
            .to_owned()
    } else {
        format!(
            "nothing tells which files are the table's: move {folder} away, while no process of the fleet \
             runs: {}",
            anew(table)
        )
    };
    format!("put {name} back into {folder}/_delta_log from a copy. Without one, {otherwise}")
}

/// What to do about an empty entry of the log that others came after. They are good, and would go with it.
fn passed_over(table: &Table) -> String {
    let lost = if table.spec().name == "images" {
        "Pictures that are missing are asked for by themselves"
    } else {
        "The next run of the pipe whose commit it was reads its whole source by itself; what was approved or rolled back \
         then is to be approved or rolled back again"
    };
    format!("leave the log as it is: the entries after it are good. {lost}")
}

/// What to do about a damaged log. A rollback could not read it. A table without its newest entries is a whole one; and
/// validators count only for the run that is a pipe's newest in the table, so that runs read again what is lost.
fn without(table: &Table, entry: &DamagedEntry) -> String {
    let what = match entry.newer {
        0 => "it, which is the newest entry,".to_owned(),
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
        folder_of(table)
    )
}

fn try_table(table: &Table, now: DateTime<Utc>) -> Result<String, Fault> {
    let Some(snapshot) = table.snapshot()? else {
        if let Some(file) = table.in_the_way()? {
            return Err(Fault::InTheWay(file));
        }
        return Ok("not there yet; the first run makes it".to_owned());
    };
    let missing = snapshot.missing_columns().map_err(Fault::Columns)?;
    let files = snapshot.files(None)?;
    check_files(&snapshot, &files)?;
    read_one(&snapshot, &files)?;
    // Last: the table can be read in spite of it.
    if let Some(entry) = table.empty_entry()? {
        return Err(Fault::Empty(entry));
    }
    let committed = DateTime::<Utc>::from(snapshot.committed_at()?);
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
fn check_files(snapshot: &Snapshot, files: &[DataFile]) -> Result<(), Fault> {
    let mut faults = 0;
    let mut first = None;
    let stored = snapshot.stored_bytes(files)?;
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
            let files = files.len();
            let which =
                format!("{faults} of {files} data files are missing or damaged, first {first}");
            Err(Fault::Files(which))
        }
    }
}

/// Reads one column of the smallest file, its dead rows included.
fn read_one(snapshot: &Snapshot, files: &[DataFile]) -> Result<(), Fault> {
    let Some(smallest) = files.iter().min_by_key(|f| f.size_bytes) else { return Ok(()) };
    let column = snapshot.table().spec().stats_columns.first().copied();
    let columns = column.map(|column| [column]);
    let columns = columns.as_ref().map(|columns| columns.as_slice());
    let read = read::for_each_batch(snapshot, smallest, columns, |_| Ok(()));
    read.map_err(|e| if e.is_damage() { Fault::Files(e.to_string()) } else { Fault::Other(e) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_catalog::Catalog;
    use std::fs;
    use std::path::PathBuf;

    /// A table's first entry, with one column.
    fn entry(column: &str, kind: &str) -> String {
        let schema = serde_json::json!({"type": "struct", "fields": [
            {"name": column, "type": kind, "nullable": true, "metadata": {}}
        ]});
        let metadata = serde_json::json!({"metaData": {
            "id": "a-table", "format": {"provider": "parquet", "options": {}},
            "schemaString": schema.to_string(), "partitionColumns": [], "configuration": {},
            "createdTime": 1
        }});
        let protocol =
            serde_json::json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
        format!("{protocol}\n{metadata}\n")
    }

    /// What is found of the products where this is their log's first entry; `folder`: the catalog's, as it is tried.
    fn found(entry: &str, folder: impl FnOnce(&Path) -> PathBuf) -> Finding {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let log = scratch.path().join("products/_delta_log");
        fs::create_dir_all(&log).unwrap();
        fs::write(log.join(format!("{:020}.json", 0)), entry).unwrap();
        let catalog = Catalog::open(scratch.path()).unwrap();
        let folder = folder(scratch.path());
        let tables = [catalog.products(), catalog.images()];
        let mut findings = look(Some(&folder), tables, true, Utc::now());
        assert_eq!(findings.len(), 3, "{findings:?}");
        findings.swap_remove(1)
    }

    #[test]
    fn a_table_in_a_place_that_fails_is_left_where_it_is() {
        let below_a_file = |catalog: &Path| {
            let file = catalog.join("file");
            fs::write(&file, b"").unwrap();
            file.join("catalog")
        };
        let remedy = found("{", below_a_file).remedy.unwrap();
        assert!(remedy.contains("said of the catalog first"), "{remedy}");
        assert!(!remedy.contains("move"), "{remedy}");
        let remedy = found("{", Path::to_owned).remedy.unwrap();
        assert!(remedy.contains("move it, which is the newest entry"), "{remedy}");
    }

    #[test]
    fn an_empty_log_entry_is_told_though_the_table_can_be_read() {
        let with_empty_entry = |catalog: &Path| {
            let log = catalog.join("products/_delta_log");
            fs::write(log.join(format!("{:020}.json", 1)), b"").unwrap();
            catalog.to_owned()
        };
        let table = found(&entry("id", "string"), with_empty_entry);
        assert_eq!(table.state, State::Broken, "{table}");
        assert!(table.found.contains("00000000000000000001.json of its log is empty"), "{table}");
        let remedy = table.remedy.unwrap();
        assert!(remedy.contains("move it, which is the newest entry"), "{remedy}");

        // Without any other it cannot.
        let table = found("", Path::to_owned);
        assert_eq!(table.state, State::Broken, "{table}");
        let remedy = table.remedy.unwrap();
        assert!(remedy.contains("move it, which is the newest entry"), "{remedy}");
    }

    #[test]
    fn an_empty_log_entry_that_others_came_after_is_left_where_it_is() {
        let first = entry("id", "string");
        let with_entries = |catalog: &Path| {
            let log = catalog.join("products/_delta_log");
            for (version, text) in [(1, ""), (2, first.as_str())] {
                fs::write(log.join(format!("{version:020}.json")), text).unwrap();
            }
            catalog.to_owned()
        };
        let table = found(&first, with_entries);
        assert_eq!(table.state, State::Warning, "{table}");
        assert!(table.found.contains("00000000000000000001.json of its log is empty"), "{table}");
        let remedy = table.remedy.unwrap();
        assert!(remedy.contains("leave the log as it is"), "{remedy}");
        assert!(!remedy.contains("move"), "{remedy}");
    }

    #[test]
    fn what_keeps_a_table_from_being_made_is_told() {
        let first = format!("{:020}.json", 0);
        let with_a_copy = |catalog: &Path| {
            let log = catalog.join("products/_delta_log");
            fs::rename(log.join(&first), log.join("copy of 0.json")).unwrap();
            catalog.to_owned()
        };
        let table = found("", with_a_copy);
        assert_eq!(table.state, State::Broken, "{table}");
        assert!(table.found.contains("products/_delta_log/copy of 0.json'"), "{table}");
        assert!(table.remedy.unwrap().contains("move that out of there"));

        // What is left of a table is not to be moved away.
        let with_a_checkpoint = |catalog: &Path| {
            let log = catalog.join("products/_delta_log");
            fs::rename(log.join(&first), log.join(format!("{:020}.checkpoint.parquet", 7)))
                .unwrap();
            catalog.to_owned()
        };
        assert!(!found("", with_a_checkpoint).to_string().contains("move that out of there"));
    }

    /// A file there, if only for a moment, would keep the table's first writers from making it.
    #[test]
    fn a_log_without_an_entry_is_not_written_to() {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let log = scratch.path().join("products/_delta_log");
        fs::create_dir_all(&log).unwrap();
        let catalog = Catalog::open(scratch.path()).unwrap();
        let is_written_to = || {
            let folder = fs::File::open(&log).unwrap();
            folder.set_modified(std::time::UNIX_EPOCH).unwrap();
            try_folder(scratch.path(), [catalog.products(), catalog.images()]).unwrap();
            folder.metadata().unwrap().modified().unwrap() != std::time::UNIX_EPOCH
        };
        assert!(!is_written_to());
        catalog.products().ensure().unwrap();
        assert!(is_written_to());
    }

    #[test]
    fn a_table_of_another_release_is_left_where_it_is() {
        let table = found(&entry("id", "long"), Path::to_owned);
        assert_eq!(table.state, State::Broken, "{table}");
        assert!(table.found.contains("column 'id' is long"), "{table}");
        let remedy = table.remedy.unwrap();
        assert!(remedy.contains("the release that wrote the table"), "{remedy}");
        assert!(!remedy.contains("move"), "{remedy}");
    }

    #[test]
    fn an_error_that_is_no_damage_moves_nothing() {
        // The log is whole, and asks for more than this release can do.
        let newer =
            entry("id", "string").replace("\"minReaderVersion\":1", "\"minReaderVersion\":99");
        let table = found(&newer, Path::to_owned);
        assert_eq!(table.state, State::Broken, "{table}");
        let remedy = table.remedy.unwrap();
        assert!(remedy.contains("see to what the error names"), "{remedy}");
        assert!(!remedy.contains("move"), "{remedy}");
    }
}
