//! Rows of the table that a source did not mention: where they lie, and for how many runs in a row. They are
//! due to be removed, or wait until they have been missing for longer. Their ids and links are read from the
//! data files when somebody asks for them; here are places only, eight bytes a row.

use crate::error::CatalogError;
use crate::read::for_each_batch;
use crate::snapshot::{DataFile, Snapshot};
use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::{Night, Nights};

/// A row that was not mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Missing {
    /// Its place in the file.
    pub row: u32,
    /// Runs in a row that did not mention it.
    pub nights: Nights,
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

    /// Counts this run as such a night, and lets wait what has not been missing for as many as are needed.
    pub fn let_wait(&mut self, needed: u8, night: Night) {
        for (due, waiting) in self.due.iter_mut().zip(&mut self.waiting) {
            for missing in due.iter_mut() {
                missing.nights.add(night);
            }
            let is_due = |missing: &Missing| missing.nights.are_enough(needed, night);
            // No room to spare: what the places take has been measured, and is to stay.
            waiting.reserve_exact(due.iter().filter(|missing| !is_due(missing)).count());
            waiting.extend(due.iter().filter(|missing| !is_due(missing)));
            due.retain(is_due);
            due.shrink_to_fit();
        }
    }

    /// Gives back memory that was taken in advance.
    pub fn shrink_to_fit(&mut self) {
        self.due.iter_mut().chain(&mut self.waiting).for_each(Vec::shrink_to_fit);
    }

    /// Memory that the places take.
    pub fn memory_bytes(&self) -> usize {
        let rows = self.due.iter().chain(&self.waiting).map(Vec::capacity);
        rows.sum::<usize>() * size_of::<Missing>()
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
    visit: &mut dyn FnMut(&str, Nights),
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

/// A row's link, and when its product was first seen, in epoch microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Page {
    pub link: u64,
    pub first_seen: i64,
}

/// Calls `visit` with the page of every live row, and whether it is one of `rows`. `files` and `rows` go
/// together; the rows of a file ascend.
pub(crate) fn for_each_page(
    snapshot: &Snapshot,
    files: &[DataFile],
    rows: &[Vec<Missing>],
    visit: &mut dyn FnMut(Page, bool),
) -> Result<(), CatalogError> {
    for (file, missing) in files.iter().zip(rows) {
        let mut rest = missing.iter().map(|missing| u64::from(missing.row)).peekable();
        for_each_batch(snapshot, file, Some(&["link", "first_seen"]), |rows| {
            let column = |name| rows.batch.column_by_name(name);
            let links = column("link").and_then(|c| c.as_string_opt::<i32>());
            let times =
                column("first_seen").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
            let (Some(links), Some(times)) = (links, times) else { return Ok(()) };
            for place in rows.live() {
                let row = rows.first_row + place as u64;
                let is_among = rest.next_if_eq(&row).is_some();
                if links.is_valid(place) {
                    let link = link_hash(links.value(place));
                    visit(Page { link, first_seen: times.value(place) }, is_among);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// How many of `gone` can be paired, each once, with one of `others` that has the same link and was first
/// seen later.
pub(crate) fn successors(mut gone: Vec<Page>, mut others: Vec<Page>) -> u64 {
    gone.sort_unstable();
    others.sort_unstable();
    let (mut pairs, mut others) = (0, others.into_iter().peekable());
    for page in gone {
        while others.next_if(|other| *other <= page).is_some() {}
        if others.next_if(|other| other.link == page.link).is_some() {
            pairs += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_successor_that_came_later() {
        let pages = |pages: &[(u64, i64)]| -> Vec<Page> {
            pages.iter().map(|&(link, first_seen)| Page { link, first_seen }).collect()
        };
        let pairs = |gone: &[_], others: &[_]| successors(pages(gone), pages(others));
        assert_eq!(pairs(&[(3, 1), (1, 1), (2, 1)], &[(2, 9), (4, 9), (3, 9)]), 2);
        // One page for the whole shop pairs no more products than came later.
        assert_eq!(pairs(&[(7, 1), (7, 1), (7, 1)], &[(7, 9)]), 1);
        // Variants of one product came together: that some are left is no change of ids.
        assert_eq!(pairs(&[(7, 5)], &[(7, 5), (7, 4)]), 0);
        assert_eq!(pairs(&[(7, 2), (7, 8)], &[(7, 5), (7, 9)]), 2);
        assert_eq!(pairs(&[], &[(1, 1)]), 0);
    }

    fn complete(complete: u8) -> Nights {
        Nights { complete, doubtful: 0 }
    }

    fn places(rows: &[Vec<Missing>]) -> Vec<u32> {
        rows[0].iter().map(|m| m.row).collect()
    }

    #[test]
    fn a_row_is_due_after_as_many_complete_runs_as_are_asked_for() {
        let mut rows = Unmentioned::of(1);
        for (row, nights) in [(0, 0), (1, 1), (2, 2), (3, 250), (4, 255)] {
            rows.push(0, Missing { row, nights: complete(nights) });
        }
        rows.let_wait(3, Night::Complete);
        assert_eq!((places(&rows.due), places(&rows.waiting)), (vec![2, 3, 4], vec![0, 1]));
        assert_eq!(rows.waiting[0][0].nights, complete(1));
        assert_eq!((count(&rows.due), count(&rows.waiting)), (3, 2));
    }

    #[test]
    fn rows_that_wait_take_no_more_memory_than_they_took_before() {
        let mut rows = Unmentioned::of(1);
        for row in 0..999 {
            rows.push(0, Missing { row, nights: complete((row % 3) as u8) });
        }
        rows.shrink_to_fit();
        let before = rows.memory_bytes();
        rows.let_wait(3, Night::Complete);
        assert_eq!((count(&rows.due), count(&rows.waiting)), (333, 666));
        assert!(rows.memory_bytes() <= before, "{} > {before}", rows.memory_bytes());
    }

    #[test]
    fn a_run_that_was_cut_off_counts_for_nothing() {
        let mut rows = Unmentioned::of(1);
        for (row, nights) in [(0, 0), (1, 2), (2, 3)] {
            rows.push(0, Missing { row, nights: complete(nights) });
        }
        rows.let_wait(3, Night::Cut);
        assert_eq!(rows.due[0], [Missing { row: 2, nights: complete(3) }]);
        let waiting =
            [Missing { row: 0, nights: complete(0) }, Missing { row: 1, nights: complete(2) }];
        assert_eq!(rows.waiting[0], waiting);
    }

    #[test]
    fn a_doubtful_run_counts_for_an_operator_alone() {
        let rows = || {
            let mut rows = Unmentioned::of(1);
            for (row, nights) in [(0, 0), (1, 1)] {
                rows.push(0, Missing { row, nights: Nights { complete: nights, doubtful: 1 } });
            }
            rows
        };
        let (mut doubtful, mut complete) = (rows(), rows());
        doubtful.let_wait(3, Night::Doubtful);
        assert_eq!((places(&doubtful.due), places(&doubtful.waiting)), (vec![1], vec![0]));
        complete.let_wait(3, Night::Complete);
        assert_eq!((places(&complete.due), places(&complete.waiting)), (vec![], vec![0, 1]));
    }
}
