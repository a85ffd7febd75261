//! What a check of a table asks beyond what its readers and writers do.

use crate::error::{CatalogError, Cause};
use crate::files::FilePlace;
use crate::log_files::{self, LogFiles, for_each_entry, read_entries};
use crate::snapshot::Snapshot;
use crate::table::{LOG, Table};
use serde::Deserialize;
use std::time::SystemTime;

/// What of a table's log cannot be read, or is not there, so that the table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogDamage {
    /// An entry.
    Entry(DamagedEntry),
    /// A checkpoint.
    Checkpoint(DamagedCheckpoint),
}

/// An entry of a table's log that is empty, cannot be read, or is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedEntry {
    /// The file's name, in the log's folder.
    pub name: String,
    /// Entries that came after it.
    pub newer: u64,
}

/// A checkpoint of a table's log that cannot be read, or is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedCheckpoint {
    /// The file's name, in the log's folder.
    pub name: String,
    /// Whether the log has all that is in it: in its entries since an older checkpoint, or in all of them.
    pub is_spare: bool,
}

/// The log's own note of its newest checkpoint, in the log's folder.
const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// As far as it matters here.
#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

impl Table {
    /// What of the log cannot be read, or is missing, of that without which the table cannot be read. An error where
    /// that cannot be told.
    pub fn log_damage(&self) -> Result<Option<LogDamage>, CatalogError> {
        // Before what is there: a checkpoint is noted once it is.
        let told = self.last_checkpoint()?;
        let log = LogFiles::list(self)?;
        // First: entries are read from the one after it on.
        if let Some(version) = self.damaged_checkpoint(&log, told)? {
            let name = format!("{version:020}.checkpoint.parquet");
            let is_spare = self.is_spare(&log, version);
            return Ok(Some(LogDamage::Checkpoint(DamagedCheckpoint { name, is_spare })));
        }
        Ok(self.damaged_entry(&log)?.map(LogDamage::Entry))
    }

    /// The oldest entry that is empty, among those since the log's last checkpoint. Readers take it for a commit of
    /// nothing: what it brought in is lost, and nobody fails. Every commit writes something, and a power cut can take it.
    pub fn empty_entry(&self) -> Result<Option<DamagedEntry>, CatalogError> {
        let log = LogFiles::list(self)?;
        let empty = log.empty_entries(first_entry(&log)).next();
        Ok(empty.map(|version| damaged(&log, version)))
    }

    /// The oldest entry of the log that cannot be read, or is missing, among those since its last checkpoint. Readers pass
    /// over one that is empty.
    fn damaged_entry(&self, log: &LogFiles) -> Result<Option<DamagedEntry>, CatalogError> {
        for version in first_entry(log)..=log.newest {
            for entry in read_entries(self, &[version])? {
                match entry {
                    Ok(Some(_)) => {}
                    Err(e) if matches!(e.source, Cause::Io(_) | Cause::Store(_)) => return Err(e),
                    Ok(None) | Err(_) => return Ok(Some(damaged(log, version))),
                }
            }
        }
        Ok(None)
    }

    /// The checkpoint with which readers begin, if it cannot be read or is missing. `told`: the one that the log notes.
    fn damaged_checkpoint(
        &self,
        log: &LogFiles,
        told: Option<u64>,
    ) -> Result<Option<u64>, CatalogError> {
        if let Some(file) = log.checkpoint_up_to(log.newest)
            && !self.is_readable(&file.place)?
        {
            return Ok(Some(file.version));
        }
        let listed = self.list_log()?;
        let names = listed.iter().filter_map(|found| found.place.name());
        // Of any form: other writers have theirs in parts.
        let versions = names
            .filter(|name| name.contains(".checkpoint."))
            .filter_map(|name| name.get(..20)?.parse::<u64>().ok());
        Ok(match (told, versions.max()) {
            // A reader that was told of one begins with it or a newer one, or not at all.
            (Some(told), newest) => Some(told).filter(|told| newest.is_none_or(|n| n < *told)),
            // What came before the oldest entry was in one.
            (None, None) => log.oldest_entry().filter(|oldest| *oldest > 0),
            (None, Some(_)) => None,
        })
    }

    fn is_readable(&self, checkpoint: &FilePlace) -> Result<bool, CatalogError> {
        // A vacuum takes one only where a newer one stands for it.
        let Some(bytes) = self.files().size(checkpoint)? else { return Ok(true) };
        match self.files().for_each_batch(checkpoint, bytes, None, &mut |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(e) if e.is_damage() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The version of the checkpoint that the log notes as its newest. Readers pass over a note that is damaged.
    fn last_checkpoint(&self) -> Result<Option<u64>, CatalogError> {
        let place = self.place(&format!("{LOG}{LAST_CHECKPOINT}"))?;
        let text = self.files().read(&[place])?.pop().flatten();
        let told = text.and_then(|text| serde_json::from_slice::<LastCheckpoint>(&text).ok());
        Ok(told.map(|told| told.version))
    }

    fn is_spare(&self, log: &LogFiles, checkpoint: u64) -> bool {
        let Some(first) = log.start_before(checkpoint) else { return false };
        for_each_entry(self, first..=log.newest, &mut |_, _| {}).is_ok()
    }
}

/// The first version whose entry readers of the newest one read.
fn first_entry(log: &LogFiles) -> u64 {
    log.checkpoint_up_to(log.newest).map_or(0, |file| file.version + 1)
}

fn damaged(log: &LogFiles, version: u64) -> DamagedEntry {
    DamagedEntry { name: format!("{version:020}.json"), newer: log.newest - version }
}

impl Snapshot {
    /// When this version was committed, by the clock of whoever did.
    pub fn committed_at(&self) -> Result<SystemTime, CatalogError> {
        log_files::committed_at(self.table(), self.version())
    }

    /// Columns of this release that the table lacks; the next commit adds them. An error where a column has
    /// another type than this release writes.
    pub fn missing_columns(&self) -> Result<Vec<String>, CatalogError> {
        self.table().missing_columns(self)
    }
}
