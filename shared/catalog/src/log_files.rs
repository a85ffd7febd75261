//! The log of a table as files: which versions can be loaded, when each was committed, and which files each
//! brought in. Only upkeep and rollback look at it this way; everything else asks a [`Snapshot`].

use crate::error::{CatalogError, Cause, Context};
use crate::files::FilePlace;
use crate::snapshot::{DataFile, Snapshot};
use crate::table::{LOG, Table};
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use serde::Deserialize;
use std::io;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A listing of the log's folder.
pub(crate) struct LogFiles {
    /// The oldest version from which on every version has its entry.
    first: u64,
    /// The newest version.
    pub newest: u64,
    /// Versions with a checkpoint, ascending.
    checkpoints: Vec<u64>,
    /// Everything in the log that belongs to one version, the oldest version first. What is of another
    /// form is not listed.
    pub files: Vec<LogFile>,
}

/// A file of the log that belongs to one version.
pub(crate) struct LogFile {
    pub version: u64,
    pub place: FilePlace,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entry,
    Checkpoint,
    Checksum,
}

/// What one entry of the log says that matters here.
pub(crate) struct Entry {
    /// When it was committed, by the clock of whoever did.
    pub committed: SystemTime,
    /// The data files and deletion vectors that it brought in.
    pub files: Vec<FilePlace>,
}

/// Entries that are in memory at once.
const ENTRIES_AT_ONCE: usize = 64;

impl LogFiles {
    /// Lists the log of a table that exists.
    pub fn list(table: &Table) -> Result<Self, CatalogError> {
        let mut files = Vec::new();
        for found in table.files().list(&table.place(LOG)?)? {
            if let Some((version, kind)) = found.place.name().and_then(parse_name) {
                files.push(LogFile { version, place: found.place, kind });
            }
        }
        files.sort_by(|a, b| (a.version, &a.place).cmp(&(b.version, &b.place)));
        let versions = |kind: Kind| -> Vec<u64> {
            files.iter().filter(|f| f.kind == kind).map(|f| f.version).collect()
        };
        let entries = versions(Kind::Entry);
        let checkpoints = versions(Kind::Checkpoint);
        let newest = *entries.last().ok_or_else(|| unusable(table, "its log has no entry"))?;
        let without_gap = |&(back, version): &(u64, &u64)| *version + back == newest;
        let run = entries.iter().rev().enumerate().map(|(back, v)| (back as u64, v));
        let first = run.take_while(without_gap).last().map_or(newest, |(_, version)| *version);
        Ok(Self { first, newest, checkpoints, files })
    }

    /// The oldest version that can be loaded, and with it every later one.
    pub fn oldest_loadable(&self, table: &Table) -> Result<u64, CatalogError> {
        let start = if self.first == 0 {
            Some(0)
        } else {
            self.checkpoints.iter().copied().find(|&c| c >= self.first && c <= self.newest)
        };
        start.ok_or_else(|| unusable(table, "its log begins without a checkpoint"))
    }

    /// The entries and their versions, from the newest to the oldest of those without a gap.
    pub fn entries_newest_first(&self) -> impl Iterator<Item = (u64, &FilePlace)> {
        let first = self.first;
        let entries = self.files.iter().rev().filter(|f| f.kind == Kind::Entry);
        entries.take_while(move |f| f.version >= first).map(|f| (f.version, &f.place))
    }

    /// The newest checkpoint that is not newer than `version`.
    pub fn checkpoint_up_to(&self, version: u64) -> Option<&LogFile> {
        self.files.iter().rev().find(|f| f.kind == Kind::Checkpoint && f.version <= version)
    }
}

/// The table at a version that the log's files say is there.
pub(crate) fn snapshot_at(table: &Table, version: u64) -> Result<Snapshot, CatalogError> {
    table.snapshot_at(version)?.ok_or_else(|| unusable(table, "it is not there any more"))
}

/// When a version was committed, by the clock of whoever did.
pub(crate) fn committed_at(table: &Table, version: u64) -> Result<SystemTime, CatalogError> {
    let mut committed = UNIX_EPOCH;
    for_each_entry(table, version..=version, &mut |_, entry| committed = entry.committed)?;
    Ok(committed)
}

/// Calls `visit` with the entries of these versions, in order.
pub(crate) fn for_each_entry(
    table: &Table,
    versions: RangeInclusive<u64>,
    visit: &mut dyn FnMut(u64, Entry),
) -> Result<(), CatalogError> {
    let versions: Vec<u64> = versions.collect();
    for some in versions.chunks(ENTRIES_AT_ONCE) {
        let name = |version: &u64| table.place(&format!("{LOG}{version:020}.json"));
        let places = some.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        let texts = table.files().read(&places)?;
        for ((&version, place), text) in some.iter().zip(&places).zip(texts) {
            visit(version, parse_entry(table, place, &text)?);
        }
    }
    Ok(())
}

fn parse_entry(table: &Table, place: &FilePlace, text: &[u8]) -> Result<Entry, CatalogError> {
    let mut committed = None;
    let mut files = Vec::new();
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let action: Action = serde_json::from_slice(line).map_err(|e| CatalogError {
            action: "read",
            subject: place.to_string(),
            source: Cause::Unusable(e.to_string()),
        })?;
        if let Some(info) = action.commit_info {
            committed = info.timestamp.and_then(since_epoch);
        }
        if let Some(add) = action.add {
            files.push(table.place(&add.path)?);
            if let Some(vector) = &add.deletion_vector {
                files.extend(table.vector_place(vector)?);
            }
        }
    }
    if let Some(committed) = committed {
        return Ok(Entry { committed, files });
    }
    let absent = || io::Error::from(io::ErrorKind::NotFound);
    let found = table.files().find(place)?.ok_or_else(absent).with("measure", place)?;
    Ok(Entry { committed: found.modified, files })
}

/// Where a file of a snapshot and its deletion vector are.
pub(crate) fn places(table: &Table, file: &DataFile) -> Result<Vec<FilePlace>, CatalogError> {
    let mut places = vec![table.place(&file.path)?];
    if let Some(vector) = &file.dead {
        places.extend(table.vector_place(vector)?);
    }
    Ok(places)
}

/// Whether a file of a snapshot, and its deletion vector, are still there, the file at its full size.
pub(crate) fn is_present(table: &Table, file: &DataFile) -> Result<bool, CatalogError> {
    if table.files().size(&table.place(&file.path)?)? != Some(file.size_bytes) {
        return Ok(false);
    }
    let vector = file.dead.as_ref().map(|vector| table.vector_place(vector)).transpose()?;
    match vector.flatten() {
        Some(place) => Ok(table.files().size(&place)?.is_some()),
        None => Ok(true),
    }
}

/// One line of an entry. Other actions are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    commit_info: Option<CommitInfo>,
    add: Option<Add>,
}

#[derive(Deserialize)]
struct CommitInfo {
    /// Milliseconds since the epoch.
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Add {
    path: String,
    deletion_vector: Option<DeletionVectorDescriptor>,
}

fn since_epoch(millis: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(millis).ok()?))
}

/// The version and kind of a file of the log, by its name.
fn parse_name(name: &str) -> Option<(u64, Kind)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kind = match rest {
        "json" => Kind::Entry,
        "checkpoint.parquet" => Kind::Checkpoint,
        "crc" => Kind::Checksum,
        _ => return None,
    };
    Some((digits.parse().ok()?, kind))
}

fn unusable(table: &Table, why: &str) -> CatalogError {
    CatalogError {
        action: "read the history of table",
        subject: table.url().to_string(),
        source: Cause::Unusable(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_one_version_are_of_the_log() {
        let of = |name: &str| parse_name(name);
        assert_eq!(of("00000000000000000012.json"), Some((12, Kind::Entry)));
        assert_eq!(of("00000000000000000012.crc"), Some((12, Kind::Checksum)));
        assert_eq!(of("00000000000000000012.checkpoint.parquet"), Some((12, Kind::Checkpoint)));
        for other in [
            "_last_checkpoint",
            "12.json",
            "00000000000000000012.json#1",
            "00000000000000000001.00000000000000000012.compacted.json",
            "00000000000000000012.checkpoint.0000000001.0000000002.parquet",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn an_entry_is_read_as_others_write_it() {
        let line = r#"{"add":{"path":"pipe=a/x%20y.parquet","dataChange":true,"deletionVector":
            {"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,
             "sizeInBytes":40,"cardinality":6}}}"#;
        let add = serde_json::from_str::<Action>(line).unwrap().add.unwrap();
        assert_eq!(add.path, "pipe=a/x%20y.parquet");
        assert_eq!(add.deletion_vector.unwrap().cardinality, 6);
        let other = r#"{"commitInfo":{"timestamp":1500,"operation":"MERGE"},"add":null}"#;
        let action: Action = serde_json::from_str(other).unwrap();
        assert!(action.add.is_none());
        let time = since_epoch(action.commit_info.unwrap().timestamp.unwrap()).unwrap();
        assert_eq!(time, UNIX_EPOCH + Duration::from_millis(1500));
    }
}
