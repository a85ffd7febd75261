//! Rows of the table that a source did not mention: where they lie, and for how many runs in a row. They are
//! due to be removed, or wait until they have been missing for longer. Their ids and links are read from the
//! data files when somebody asks for them; here are places only, eight bytes a row.

use crate::error::CatalogError;
use crate::read::for_each_batch;
use crate::table::{DataFile, Snapshot};
use arrow::array::{Array, AsArray, StringArray};
use feedfleet_model::hash::bytes_hash;

/// A row that was not mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Missing {
    /// Its place in the file.
    pub row: u32,
    /// Complete runs in a row that did not mention it.
    pub nights: u8,
}

/// The unmentioned rows of all files that a diff began with.
pub(crate) struct Unmentioned {
    /// By file: rows that are to be removed, or held.
    pub due: Vec<Vec<Missing>>,
    /// By file: rows that stay, since they have not been missing for long enough.
    pub waiting: Vec<Vec<Missing>>,
}

impl Unmentioned {
    /// Nothing, in so many files.
    pub fn of(files: usize) -> Self {
        Self { due: vec![Vec::new(); files], waiting: vec![Vec::new(); files] }
    }

    pub fn push(&mut self, file: u32, missing: Missing) {
        self.due[file as usize].push(missing);
    }

    /// Brings the rows of each file into the file's order: passes over shares give them interleaved.
    pub fn sort(&mut self) {
        for rows in &mut self.due {
            rows.sort_unstable();
        }
    }

    /// Counts this run, if it is `complete`, and lets wait what has been missing in fewer than `nights`.
    pub fn let_wait(&mut self, nights: u8, complete: bool) {
        for (due, waiting) in self.due.iter_mut().zip(&mut self.waiting) {
            for missing in due.iter_mut() {
                missing.nights = missing.nights.saturating_add(u8::from(complete));
            }
            waiting.extend(due.iter().filter(|missing| missing.nights < nights));
            due.retain(|missing| missing.nights >= nights);
        }
    }
}

/// How many rows these are.
pub(crate) fn count(rows: &[Vec<Missing>]) -> u64 {
    rows.iter().map(|rows| rows.len() as u64).sum()
}

/// Calls `visit` with a text column of these rows, and with the runs that they have been missing; rows in
/// which it is null are left out. `files` and `rows` go together; the rows of a file ascend.
pub(crate) fn for_each_text(
    snapshot: Option<&Snapshot>,
    files: &[DataFile],
    rows: &[Vec<Missing>],
    column: &str,
    visit: &mut dyn FnMut(&str, u8),
) -> Result<(), CatalogError> {
    // Without a snapshot there was no table, so nothing can be missing from it.
    let Some(snapshot) = snapshot else { return Ok(()) };
    for (file, missing) in files.iter().zip(rows) {
        if missing.is_empty() {
            continue;
        }
        let mut rest = missing.iter().peekable();
        for_each_batch(snapshot, file, Some(&[column]), |rows| {
            let end = rows.first_row + rows.batch.num_rows() as u64;
            let found = rows.batch.column_by_name(column);
            let texts: Option<&StringArray> = found.and_then(|c| c.as_string_opt::<i32>());
            while let Some(missing) = rest.next_if(|missing| u64::from(missing.row) < end) {
                let place = (u64::from(missing.row) - rows.first_row) as usize;
                if let Some(texts) = texts.filter(|texts| texts.is_valid(place)) {
                    visit(texts.value(place), missing.nights);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Stands for a product's page where pages are compared.
pub(crate) fn link_hash(link: &str) -> u64 {
    bytes_hash(link.as_bytes()) as u64
}

/// How many of `a` can be paired with one of `b` that is equal, each once. Both are sorted for it.
pub(crate) fn in_common(a: &mut [u64], b: &mut [u64]) -> u64 {
    a.sort_unstable();
    b.sort_unstable();
    let (mut pairs, mut i, mut j) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                pairs += 1;
                i += 1;
                j += 1;
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_links_are_paired_once_each() {
        assert_eq!(in_common(&mut [3, 1, 2], &mut [2, 4, 3]), 2);
        // One page for the whole shop pairs no more products than there are new ones.
        assert_eq!(in_common(&mut [7, 7, 7], &mut [7]), 1);
        assert_eq!(in_common(&mut [], &mut [1]), 0);
    }

    #[test]
    fn a_row_is_due_after_as_many_complete_runs_as_are_asked_for() {
        let mut rows = Unmentioned::of(1);
        for (row, nights) in [(0, 0), (1, 1), (2, 2), (3, 250), (4, 255)] {
            rows.push(0, Missing { row, nights });
        }
        rows.let_wait(3, true);
        let places = |rows: &[Vec<Missing>]| rows[0].iter().map(|m| m.row).collect::<Vec<_>>();
        assert_eq!((places(&rows.due), places(&rows.waiting)), (vec![2, 3, 4], vec![0, 1]));
        assert_eq!(rows.waiting[0][0].nights, 1);
        assert_eq!((count(&rows.due), count(&rows.waiting)), (3, 2));
    }

    #[test]
    fn an_incomplete_run_counts_for_nothing() {
        let mut rows = Unmentioned::of(1);
        for (row, nights) in [(0, 0), (1, 2), (2, 3)] {
            rows.push(0, Missing { row, nights });
        }
        rows.let_wait(3, false);
        assert_eq!(rows.due[0], [Missing { row: 2, nights: 3 }]);
        let waiting = [Missing { row: 0, nights: 0 }, Missing { row: 1, nights: 2 }];
        assert_eq!(rows.waiting[0], waiting);
    }
}
