//! Rows that lie in another file than they did, because a compaction or an earlier rollback wrote them anew:
//! a rollback leaves them where they are now.

use crate::diff::parts_needed;
use crate::error::{CatalogError, Cause};
use crate::index::Share;
use crate::read::{Rows, for_each_batch};
use crate::snapshot::{DataFile, Snapshot};
use arrow::array::{Array, AsArray, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use feedfleet_model::hash::{bytes_hash, id_hash};
use std::collections::HashMap;

/// Some rows of one file, as one snapshot sees it.
pub(crate) struct Part {
    pub file: DataFile,
    /// Their places in the file, ascending.
    pub rows: Vec<u64>,
}

impl Part {
    /// All rows of a file that are alive.
    pub fn live(snapshot: &Snapshot, file: &DataFile) -> Result<Self, CatalogError> {
        let all: Vec<u64> = (0..file.rows).collect();
        let rows = without(&all, &snapshot.dead_rows(file)?);
        Ok(Self { file: file.clone(), rows })
    }

    /// Calls `visit` with the key and the place of each of these rows that is in the share.
    fn for_each_key(
        &self,
        snapshot: &Snapshot,
        share: Share,
        mut visit: impl FnMut(u128, u64),
    ) -> Result<(), CatalogError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        for_each_batch(snapshot, &self.file, Some(&["id", "content_hash", "run"]), |rows| {
            let columns = KeyColumns::of(&rows).ok_or_else(|| CatalogError {
                action: "read the ids of",
                subject: self.file.path.clone(),
                source: Cause::Unusable("it lacks the columns that Feedfleet writes".into()),
            })?;
            for &place in rows.among(&self.rows) {
                let row = (place - rows.first_row) as usize;
                let id = id_hash(columns.id.value(row));
                if share.holds(id) {
                    visit(columns.key(row, id), place);
                }
            }
            Ok(())
        })
    }
}

/// Memory of a key at most: its place in a hash table takes 33 bytes, and while the table grows there is half of it as well.
const BYTES_PER_KEY: usize = 116;
/// Memory for the keys of one pass.
const BUDGET_BYTES: usize = 256 * 1024 * 1024;

/// Takes the rows that are in both `back`, to be put back as they were in `then`, and `out`, to be taken out
/// of `now`, from both.
pub(crate) fn settle(
    (then, back): (&Snapshot, &mut [Part]),
    (now, out): (&Snapshot, &mut [Part]),
) -> Result<(), CatalogError> {
    let rows: u64 = out.iter().map(|part| part.rows.len() as u64).sum();
    if rows == 0 || back.iter().all(|part| part.rows.is_empty()) {
        return Ok(());
    }
    let mut same_back: Vec<Vec<u64>> = vec![Vec::new(); back.len()];
    let mut same_out: Vec<Vec<u64>> = vec![Vec::new(); out.len()];
    let of = parts_needed(rows, BYTES_PER_KEY, BUDGET_BYTES);
    for nth in 0..of {
        let share = Share { nth, of };
        let mut places: HashMap<u128, (usize, u64)> = HashMap::new();
        for (at, part) in out.iter().enumerate() {
            part.for_each_key(now, share, |key, place| {
                places.insert(key, (at, place));
            })?;
        }
        for (same, part) in same_back.iter_mut().zip(back.iter()) {
            part.for_each_key(then, share, |key, place| {
                if let Some((at, there)) = places.remove(&key) {
                    same.push(place);
                    same_out[at].push(there);
                }
            })?;
        }
    }
    for (part, mut same) in back.iter_mut().zip(same_back) {
        same.sort_unstable();
        part.rows = without(&part.rows, &same);
    }
    for (part, mut same) in out.iter_mut().zip(same_out) {
        same.sort_unstable();
        part.rows = without(&part.rows, &same);
    }
    Ok(())
}

/// What is in `all` and not in `others`; both ascend.
pub(crate) fn without(all: &[u64], others: &[u64]) -> Vec<u64> {
    all.iter().copied().filter(|row| others.binary_search(row).is_err()).collect()
}

/// The columns that tell one state of a product from all others: a run changes a product once.
struct KeyColumns<'a> {
    id: &'a StringArray,
    content: &'a BinaryArray,
    run: &'a Int64Array,
}

impl<'a> KeyColumns<'a> {
    fn of(rows: &'a Rows) -> Option<Self> {
        Some(Self {
            id: rows.batch.column_by_name("id")?.as_string_opt()?,
            content: rows.batch.column_by_name("content_hash")?.as_binary_opt()?,
            run: rows.batch.column_by_name("run")?.as_primitive_opt::<Int64Type>()?,
        })
    }

    fn key(&self, row: usize, id: u128) -> u128 {
        let mut key = Vec::with_capacity(40);
        key.extend_from_slice(&id.to_be_bytes());
        key.extend_from_slice(&self.run.value(row).to_be_bytes());
        if self.content.is_valid(row) {
            key.extend_from_slice(self.content.value(row));
        }
        bytes_hash(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn a_difference_is_what_one_side_lacks() {
        assert_eq!(without(&[1, 3, 5, 7], &[3, 4, 7]), [1, 5]);
        assert_eq!(without(&[], &[3]), [0; 0]);
        assert_eq!(without(&[2], &[]), [2]);
    }
}
