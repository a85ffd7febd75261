//! A pipe's index: for every live row, a hash of its id, those of its content and of the record it
//! was made of, and where it lies. Six columns of a hundred are read for it.

use crate::error::{CatalogError, Cause};
use crate::read::for_each_batch;
use crate::snapshot::{DataFile, Snapshot};
use arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use feedfleet_model::Nights;
use feedfleet_model::hash::id_hash;
use hashbrown::HashTable;
use std::ops;

/// One live row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub id: [u64; 2],
    pub content: [u64; 2],
    /// Of the record that the row was made of; zero where it is not known.
    pub source: [u64; 2],
    /// Where it lies: a place in the list of files, and the row in that file.
    pub file: u32,
    pub row: u32,
    /// Epoch seconds.
    pub first_seen: u32,
    pub images_run: u32,
    pub images_hash: i32,
    /// Runs in a row, up to the last one, that did not mention the row.
    pub nights: Nights,
    pub state: State,
}

/// What the run has seen of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In the table, and not seen in this run.
    Absent,
    /// Seen, and as it was.
    Unchanged,
    /// The source has it, but says nothing of it that can be used: unchanged, unless another record says
    /// more.
    Kept,
    /// Seen with other content; what it was is in the diff's list of changed rows.
    Changed,
    /// Not in the table before.
    New,
    /// The source says that it is gone.
    Deleted,
    /// Was not in the table, came, and was taken back by the same source.
    Withdrawn,
}

/// Memory one row of the index needs at most, but for the last piece of entries: its entry, and its part of two hash tables. A place in these takes five
/// bytes, at least seven of sixteen are taken, and while a table grows there is half of it as well.
pub const BYTES_PER_ROW: usize = size_of::<Entry>() + 2 * 16;

/// Entries, in pieces that stay where they are. In one piece they would be copied as they become more, into twice the
/// memory.
#[derive(Default)]
pub(crate) struct Entries(Vec<Vec<Entry>>);

const ENTRIES_PER_PIECE: usize = 4096;

impl Entries {
    pub fn len(&self) -> usize {
        let full = self.0.len().saturating_sub(1) * ENTRIES_PER_PIECE;
        self.0.last().map_or(0, |last| full + last.len())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().flatten()
    }

    /// Its place.
    fn push(&mut self, entry: Entry) -> u32 {
        let at = self.len() as u32;
        match self.0.last_mut() {
            Some(last) if last.len() < ENTRIES_PER_PIECE => last.push(entry),
            _ => {
                let mut piece = Vec::with_capacity(ENTRIES_PER_PIECE);
                piece.push(entry);
                self.0.push(piece);
            }
        }
        at
    }
}

impl ops::Index<u32> for Entries {
    type Output = Entry;

    fn index(&self, at: u32) -> &Entry {
        &self.0[at as usize / ENTRIES_PER_PIECE][at as usize % ENTRIES_PER_PIECE]
    }
}

impl ops::IndexMut<u32> for Entries {
    fn index_mut(&mut self, at: u32) -> &mut Entry {
        &mut self.0[at as usize / ENTRIES_PER_PIECE][at as usize % ENTRIES_PER_PIECE]
    }
}

/// A share of a pipe's products, by the hash of their ids: what one pass of a diff deals with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which share, from 0.
    pub nth: u32,
    /// Of how many.
    pub of: u32,
}

impl Share {
    /// Everything.
    pub const ALL: Share = Share { nth: 0, of: 1 };

    pub(crate) fn holds(self, id: u128) -> bool {
        self.of == 1 || ((id >> 96) as u64 * u64::from(self.of)) >> 32 == u64::from(self.nth)
    }
}

/// The index of one pipe, or of a share of it.
pub(crate) struct Index {
    pub entries: Entries,
    /// By the hash of the id.
    places: HashTable<u32>,
    /// By the hash of the record.
    sources: HashTable<u32>,
    pub share: Share,
}

/// No record is known.
pub(crate) const UNKNOWN: [u64; 2] = [0, 0];

pub(crate) fn split(hash: u128) -> [u64; 2] {
    [(hash >> 64) as u64, hash as u64]
}

impl Index {
    pub fn empty(share: Share) -> Self {
        Self {
            entries: Entries::default(),
            places: HashTable::new(),
            sources: HashTable::new(),
            share,
        }
    }

    /// Reads the index of these files.
    pub fn load(
        snapshot: &Snapshot,
        files: &[DataFile],
        share: Share,
    ) -> Result<Self, CatalogError> {
        let live: u64 = files.iter().map(DataFile::live_rows).sum();
        let expected = (live / u64::from(share.of)) as usize;
        let mut index = Self {
            entries: Entries::default(),
            places: HashTable::with_capacity(expected),
            sources: HashTable::with_capacity(expected),
            share,
        };
        const COLUMNS: [&str; 6] =
            ["id", "content_hash", "source_hash", "first_seen", "images_run", "images_hash"];
        for (place, file) in files.iter().enumerate() {
            for_each_batch(snapshot, file, Some(&COLUMNS), |rows| {
                let columns = IndexColumns::of(&rows.batch).ok_or_else(|| unusable(file))?;
                for row in rows.live() {
                    let id = id_hash(columns.id.value(row));
                    if !share.holds(id) {
                        continue;
                    }
                    let entry = columns.entry(row, id, place as u32, rows.first_row + row as u64);
                    index.insert(entry.ok_or_else(|| unusable(file))?);
                }
                Ok(())
            })?;
        }
        Ok(index)
    }

    pub fn find(&self, id: [u64; 2]) -> Option<u32> {
        self.places.find(id[1], |&at| self.entries[at].id == id).copied()
    }

    pub fn insert(&mut self, entry: Entry) -> u32 {
        let at = self.entries.push(entry);
        let entries = &self.entries;
        self.places.insert_unique(entry.id[1], at, |&at| entries[at].id[1]);
        if entry.source != UNKNOWN {
            self.sources.insert_unique(entry.source[1], at, |&at| entries[at].source[1]);
        }
        at
    }

    /// The row that was made of the record with this hash.
    pub fn find_source(&self, source: [u64; 2]) -> Option<u32> {
        self.sources.find(source[1], |&at| self.entries[at].source == source).copied()
    }
}

fn unusable(file: &DataFile) -> CatalogError {
    CatalogError {
        action: "index the file",
        subject: file.path.clone(),
        source: Cause::Unusable("it lacks the columns that Feedfleet writes".into()),
    }
}

struct IndexColumns<'a> {
    id: &'a StringArray,
    content: &'a BinaryArray,
    /// Not in files of the first releases.
    source: Option<&'a BinaryArray>,
    first_seen: &'a arrow::array::PrimitiveArray<TimestampMicrosecondType>,
    images_run: &'a arrow::array::PrimitiveArray<Int64Type>,
    images_hash: &'a arrow::array::PrimitiveArray<Int64Type>,
}

impl<'a> IndexColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            id: batch.column_by_name("id")?.as_string_opt()?,
            content: batch.column_by_name("content_hash")?.as_binary_opt()?,
            source: batch.column_by_name("source_hash").and_then(|c| c.as_binary_opt()),
            first_seen: batch.column_by_name("first_seen")?.as_primitive_opt()?,
            images_run: batch.column_by_name("images_run")?.as_primitive_opt()?,
            images_hash: batch.column_by_name("images_hash")?.as_primitive_opt()?,
        })
    }

    fn entry(&self, row: usize, id: u128, file: u32, file_row: u64) -> Option<Entry> {
        if self.content.is_null(row) {
            return None;
        }
        let content: [u8; 16] = self.content.value(row).try_into().ok()?;
        let source = self.source.filter(|source| source.is_valid(row));
        let source = match source {
            Some(source) => split(u128::from_be_bytes(source.value(row).try_into().ok()?)),
            None => UNKNOWN,
        };
        Some(Entry {
            source,
            id: split(id),
            content: split(u128::from_be_bytes(content)),
            file,
            row: u32::try_from(file_row).ok()?,
            first_seen: (self.first_seen.value(row) / 1_000_000) as u32,
            images_run: self.images_run.value(row) as u32,
            images_hash: self.images_hash.value(row) as i32,
            nights: Nights::default(),
            state: State::Absent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_in_exactly_one_share() {
        for n in 0..2000 {
            let id = id_hash(&n.to_string());
            let holders = (0..7).filter(|&nth| Share { nth, of: 7 }.holds(id)).count();
            assert_eq!(holders, 1);
            assert!(Share::ALL.holds(id));
        }
    }
}
