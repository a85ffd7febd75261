//! The log of a table as files: which versions can be loaded, and what the entry of each says: when it was committed,
//! by whom, with which figures, and which files it brought in. Upkeep, rollback, and whoever looks for the commit of
//! a run ([`Table::commit_of`]) see it this way; everything else asks a [`Snapshot`].

use crate::error::{CatalogError, Cause, Context};
use crate::files::{FilePlace, Found};
use crate::snapshot::{DataFile, Snapshot};
use crate::table::{LOG, READS, Table};
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
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
    /// Its size in bytes.
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entry,
    Checkpoint,
    Checksum,
    /// A checkpoint that was being written by somebody who was killed. It goes when its version is cut off.
    Unfinished,
}

/// What one entry of the log says that matters here.
pub(crate) struct Entry {
    /// When it was committed, by the clock of whoever did.
    pub committed: SystemTime,
    /// The data files and deletion vectors that it brought in.
    pub files: Vec<FilePlace>,
    /// The runs that it let in, by their application.
    pub fences: BTreeMap<String, i64>,
    /// Its figures, as far as they are whole numbers, by name.
    pub figures: BTreeMap<String, u64>,
}

/// Entries that are in memory at once.
const ENTRIES_AT_ONCE: usize = 64;

impl LogFiles {
    /// Lists the log of a table that exists.
    pub fn list(table: &Table) -> Result<Self, CatalogError> {
        // A store lists in order, and whole.
        let reads = table.folder().map_or(1, |_| READS);
        let listed = Self::list_until_whole(reads, || Ok(Self::of(table.list_log()?)))?;
        listed.ok_or_else(|| unusable(table, "its log has no entry"))
    }

    /// Lists a log again while entries are missing before others. A vacuum of a store that was cut short leaves such a
    /// gap for good.
    fn list_until_whole(
        reads: u32,
        list: impl Fn() -> Result<Option<Self>, CatalogError>,
    ) -> Result<Option<Self>, CatalogError> {
        let mut listed = list()?;
        for _ in 1..reads {
            if listed.as_ref().is_none_or(|log| log.oldest_entry() == Some(log.first)) {
                break;
            }
            listed = list()?;
        }
        Ok(listed)
    }

    /// None: there is no entry among them.
    fn of(listed: Vec<Found>) -> Option<Self> {
        let mut files = Vec::new();
        for found in listed {
            if let Some((version, kind)) = found.place.name().and_then(parse_name) {
                let (place, bytes) = (found.place, found.bytes);
                files.push(LogFile { version, place, kind, bytes });
            }
        }
        files.sort_by(|a, b| (a.version, &a.place).cmp(&(b.version, &b.place)));
        let versions = |kind: Kind| -> Vec<u64> {
            files.iter().filter(|f| f.kind == kind).map(|f| f.version).collect()
        };
        let entries = versions(Kind::Entry);
        let checkpoints = versions(Kind::Checkpoint);
        let newest = *entries.last()?;
        let without_gap = |&(back, version): &(u64, &u64)| *version + back == newest;
        let run = entries.iter().rev().enumerate().map(|(back, v)| (back as u64, v));
        let first = run.take_while(without_gap).last().map_or(newest, |(_, version)| *version);
        Some(Self { first, newest, checkpoints, files })
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

    /// From which entry on the newest version can be read without the checkpoints from this version on: that after an
    /// older checkpoint, or the first of all. None: what came before is not there any more.
    pub fn start_before(&self, checkpoint: u64) -> Option<u64> {
        if let Some(older) = self.checkpoints.iter().rev().find(|&&c| c < checkpoint) {
            return (*older + 1 >= self.first).then_some(older + 1);
        }
        (self.first == 0).then_some(0)
    }

    /// The oldest version with an entry, whatever is missing after it.
    pub fn oldest_entry(&self) -> Option<u64> {
        self.files.iter().find(|f| f.kind == Kind::Entry).map(|f| f.version)
    }

    /// The versions with an entry, from the newest to the oldest of those without a gap.
    pub fn versions_newest_first(&self) -> impl Iterator<Item = u64> + use<> {
        (self.first..=self.newest).rev()
    }

    /// The versions, from this one on, whose entry has not a byte, the oldest first.
    pub fn empty_entries(&self, first: u64) -> impl Iterator<Item = u64> {
        let is_empty = |f: &&LogFile| f.kind == Kind::Entry && f.bytes == 0;
        let files = self.files.iter().filter(move |f| f.version >= first);
        files.filter(is_empty).map(|f| f.version)
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
    let absent = || io::Error::from(io::ErrorKind::NotFound);
    let versions: Vec<u64> = versions.collect();
    for some in versions.chunks(ENTRIES_AT_ONCE) {
        for (&version, entry) in some.iter().zip(read_entries(table, some)?) {
            let place = entry_place(table, version)?;
            visit(version, entry?.ok_or_else(absent).with("read", &place)?);
        }
    }
    Ok(())
}

/// Reads the entries of these versions at once, and takes each apart when it is asked for. None: the entry is not
/// there.
pub(crate) fn read_entries(
    table: &Table,
    versions: &[u64],
) -> Result<impl Iterator<Item = Result<Option<Entry>, CatalogError>>, CatalogError> {
    let places: Vec<FilePlace> =
        versions.iter().map(|version| entry_place(table, *version)).collect::<Result<_, _>>()?;
    let texts = table.files().read(&places)?;
    let entries = places.into_iter().zip(texts).map(move |(place, text)| match text {
        Some(text) => entry_of(table, &place, &text),
        None => Ok(None),
    });
    Ok(entries)
}

/// Where the entry of a version is.
pub(crate) fn entry_place(table: &Table, version: u64) -> Result<FilePlace, CatalogError> {
    table.place(&format!("{LOG}{version:020}.json"))
}

/// None: it has gone since its text was read.
fn entry_of(table: &Table, place: &FilePlace, text: &[u8]) -> Result<Option<Entry>, CatalogError> {
    let said = parse(text).map_err(|e| CatalogError {
        action: "read",
        subject: place.to_string(),
        source: Cause::Unusable(e.to_string()),
    })?;
    let mut files = Vec::new();
    for add in &said.adds {
        files.push(table.place(&add.path)?);
        if let Some(vector) = &add.deletion_vector {
            files.extend(table.vector_place(vector)?);
        }
    }
    let committed = match said.committed {
        Some(time) => time,
        None => match table.files().find(place)? {
            Some(found) => found.modified,
            None => return Ok(None),
        },
    };
    Ok(Some(Entry { committed, files, fences: said.fences, figures: said.figures }))
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

/// What the lines of an entry say.
#[derive(Default)]
struct Said {
    committed: Option<SystemTime>,
    adds: Vec<Add>,
    fences: BTreeMap<String, i64>,
    figures: BTreeMap<String, u64>,
}

fn parse(text: &[u8]) -> serde_json::Result<Said> {
    let mut said = Said::default();
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let action: Action = serde_json::from_slice(line)?;
        said.adds.extend(action.add);
        if let Some(Txn { app_id, version }) = action.txn {
            said.fences.insert(app_id, version);
        }
        let Some(info) = action.commit_info else { continue };
        said.committed = info.timestamp.and_then(since_epoch);
        if let Some(Value::Object(figures)) = info.operation_metrics {
            let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
            let numbers =
                figures.into_iter().filter_map(|(name, value)| Some((name, number(&value)?)));
            said.figures.extend(numbers);
        }
    }
    Ok(said)
}

/// One line of an entry. Other actions are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    commit_info: Option<CommitInfo>,
    add: Option<Add>,
    txn: Option<Txn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitInfo {
    /// Milliseconds since the epoch.
    timestamp: Option<i64>,
    /// Text by name; other writers have other values.
    operation_metrics: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
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

/// Whether a file belongs to a version of a log, by its name.
pub(crate) fn is_of_log(name: &str) -> bool {
    parse_name(name).is_some()
}

/// Whether a file of the log is the entry of a version, by its name.
pub(crate) fn is_entry(name: &str) -> bool {
    parse_name(name).is_some_and(|(_, kind)| kind == Kind::Entry)
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
        // As the library that writes checkpoints calls them until they are whole.
        _ => match rest.strip_prefix("checkpoint.parquet#") {
            Some(n) if n.bytes().all(|b| b.is_ascii_digit()) => Kind::Unfinished,
            _ => return None,
        },
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
        assert_eq!(of("00000000000000000012.checkpoint.parquet#1"), Some((12, Kind::Unfinished)));
        for other in [
            ".00000000000000000012.json",
            "_last_checkpoint",
            "12.json",
            "00000000000000000012.json#1",
            "00000000000000000001.00000000000000000012.compacted.json",
            "00000000000000000012.checkpoint.0000000001.0000000002.parquet",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    /// The listing of a folder that is being written to may lack an entry and have the next.
    #[test]
    fn a_listing_with_a_gap_is_made_again() {
        let listing = |versions: &[u64]| {
            let found = |version: &u64| Found {
                bytes: 1,
                modified: UNIX_EPOCH,
                place: FilePlace::Disk(format!("{version:020}.json").into()),
            };
            Ok(LogFiles::of(versions.iter().map(found).collect()))
        };
        let first_of = |listings: &[&[u64]]| {
            let next = std::cell::Cell::new(0);
            let listed = LogFiles::list_until_whole(READS, || {
                let n = next.replace(next.get() + 1);
                listing(listings[n.min(listings.len() - 1)])
            });
            (listed.unwrap().map(|log| log.first), next.get())
        };
        assert_eq!(first_of(&[&[0, 1, 2]]), (Some(0), 1));
        assert_eq!(first_of(&[&[0, 1, 3], &[0, 2, 3, 4], &[0, 1, 2, 3, 4, 5]]), (Some(0), 3));
        assert_eq!(first_of(&[&[0, 1, 3]]), (Some(3), READS as usize));
        assert_eq!(first_of(&[&[]]), (None, 1));
    }

    #[test]
    fn an_entry_is_read_whoever_wrote_it() {
        let ours = concat!(
            r#"{"commitInfo":{"timestamp":1500,"operationMetrics":{"new":"7","odd":null}},"add":null}"#,
            "\n",
            r#"{"txn":{"appId":"acme/feed","version":12,"lastUpdated":1}}"#,
            "\n\n",
            r#"{"add":{"path":"x","size":1}}"#,
            "\n"
        );
        let said = parse(ours.as_bytes()).unwrap();
        assert_eq!(said.committed, Some(UNIX_EPOCH + Duration::from_millis(1500)));
        assert_eq!(said.fences, BTreeMap::from([("acme/feed".to_owned(), 12)]));
        assert_eq!(said.figures, BTreeMap::from([("new".to_owned(), 7)]));
        assert_eq!(said.adds.iter().map(|add| add.path.as_str()).collect::<Vec<_>>(), ["x"]);
        for metrics in ["null", r#"{"files":3,"times":{"ms":1}}"#, "[]"] {
            let other = format!(r#"{{"commitInfo":{{"operationMetrics":{metrics}}}}}"#);
            let said = parse(other.as_bytes()).unwrap();
            assert_eq!((said.committed, said.figures), (None, BTreeMap::new()), "{metrics}");
        }
        assert!(parse(br#"{"txn":"#).is_err());
    }

    #[test]
    fn a_deletion_vector_is_read_as_others_write_it() {
        let line = r#"{"add":{"path":"pipe=a/x%20y.parquet","dataChange":true,"deletionVector":
            {"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,
             "sizeInBytes":40,"cardinality":6}}}"#;
        let add = serde_json::from_str::<Action>(line).unwrap().add.unwrap();
        assert_eq!(add.path, "pipe=a/x%20y.parquet");
        assert_eq!(add.deletion_vector.unwrap().cardinality, 6);
    }
}
