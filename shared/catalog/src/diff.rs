//! The diff: one pass of a source's rows against the pipe's index. Rows that are as they were are dropped
//! there and then; new and changed ones go to data files; in the end the rows replaced or gone are known by
//! their place, and one commit publishes all of it.
//!
//! Of several records with one id, the one with the smallest content hash wins, whatever order they came in.

mod budget;
mod end;

pub use crate::tally::{Absent, Tally, Verdict};
pub(crate) use budget::parts_needed;
pub use budget::{OverBudget, PushError, TooMuch, shares_needed};
pub use end::nothing_changed;

use crate::encode::{Lineage, RowBatch};
use crate::error::CatalogError;
use crate::index::{Entry, Index, Share, State, UNKNOWN, split};
use crate::snapshot::{DataFile, Snapshot};
use crate::stage::Stage;
use crate::table::Table;
use crate::unmentioned::{Missing, Unmentioned, link_hash};
use feedfleet_model::hash::{id_hash, images_hash};
use feedfleet_model::{Nights, Row, RunKey, columns};
use std::collections::HashMap;

/// A run's comparison of its source with the table.
pub struct Diff {
    run: RunKey,
    base: Vec<DataFile>,
    index: Index,
    changed: HashMap<u32, Was>,
    batch: RowBatch,
    stage: Stage,
    budget_bytes: usize,
    scratch: Vec<u8>,
    tally: Tally,
    /// By file: rows that are replaced or deleted.
    dead: Vec<Vec<u32>>,
    /// Rows that the source did not mention.
    unmentioned: Unmentioned,
    /// Whether these matter.
    notes_unmentioned: bool,
    /// Memory that the places of dead and unmentioned rows took when the last pass had ended.
    places_bytes: usize,
    /// Links of new rows, hashed: products that only changed their ids are known by them. As many as there is room for.
    new_links: Vec<u64>,
    /// Live rows of the pipe: no more links are kept, however many products are new.
    max_links: usize,
}

/// A changed row as it was in the table, and where its new content is staged.
struct Was {
    content: [u64; 2],
    images_run: u32,
    images_hash: i32,
    ordinal: u64,
}

const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

impl Diff {
    /// Begins a run's diff against `snapshot` (none: the table does not exist yet). `budget_bytes` bounds
    /// the index, with what is remembered beside it of rows that are new, changed or gone, and what is on its way to
    /// an object store.
    pub fn begin(
        table: &Table,
        snapshot: Option<&Snapshot>,
        run: &RunKey,
        budget_bytes: usize,
        shares: u32,
    ) -> Result<Self, CatalogError> {
        let base = match snapshot {
            Some(snapshot) => snapshot.files(Some(&run.pipe))?,
            None => Vec::new(),
        };
        let schema = table.spec().file_schema()?;
        let budget_bytes = budget_bytes - table.files().bytes_in_hand().min(budget_bytes / 2);
        let mut diff = Self {
            run: run.clone(),
            index: Index::empty(Share { nth: 0, of: shares.max(1) }),
            changed: HashMap::new(),
            batch: RowBatch::new(schema.clone(), run.pipe.clone()),
            stage: Stage::new(table.clone(), run, schema),
            budget_bytes: budget_bytes.max(budget::LEAST_BYTES),
            scratch: Vec::new(),
            tally: Tally::default(),
            dead: vec![Vec::new(); base.len()],
            unmentioned: Unmentioned::of(base.len()),
            notes_unmentioned: true,
            places_bytes: 0,
            new_links: Vec::new(),
            max_links: base.iter().map(|f| f.live_rows() as usize).sum(),
            base,
        };
        diff.load(snapshot)?;
        Ok(diff)
    }

    fn load(&mut self, snapshot: Option<&Snapshot>) -> Result<(), CatalogError> {
        if let Some(snapshot) = snapshot {
            self.index = Index::load(snapshot, &self.base, self.index.share)?;
            self.tally.live_before += self.index.entries.len() as u64;
        }
        Ok(())
    }

    /// The share that this pass deals with.
    pub fn share(&self) -> Share {
        self.index.share
    }

    /// What has become of the rows so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The source names changes only: what it does not mention stays, and need not be remembered. To be told at
    /// the beginning.
    pub fn keep_unmentioned(&mut self) {
        self.notes_unmentioned = false;
    }

    /// Notes from how many runs in a row, the last one included, a product of this pass's share has been
    /// absent. To be told at the beginning of each pass; ids that are not in the table are left alone.
    pub fn note_absence(&mut self, id: &str, nights: Nights) {
        if let Some(at) = self.find(id_hash(id)) {
            self.index.entries[at].nights = nights;
        }
    }

    /// Takes a record of the source by its hash alone, if a live row was made of just this record and the
    /// run has not seen that row yet. False: the record must be mapped and [pushed](Self::push).
    pub fn recognise(&mut self, source_hash: u128) -> bool {
        let Some(at) = self.index.find_source(split(source_hash)) else { return false };
        if !is_unread(self.index.entries[at].state) {
            return false;
        }
        self.set_state(at, State::Unchanged);
        true
    }

    /// Takes a row of the source.
    pub fn push(&mut self, row: &Row) -> Result<Verdict, PushError> {
        let hash = id_hash(row.id());
        if !self.index.share.holds(hash) {
            return Ok(Verdict::Elsewhere);
        }
        let content = split(row.content_hash(&mut self.scratch));
        let id = split(hash);
        let Some(at) = self.index.find(id) else {
            self.admit(id, content, row)?;
            return Ok(Verdict::New);
        };
        let entry = self.index.entries[at];
        match entry.state {
            state if is_unread(state) && entry.content == content => {
                self.set_state(at, State::Unchanged);
                Ok(Verdict::Unchanged)
            }
            state if is_unread(state) => {
                self.replace(at, content, row)?;
                Ok(Verdict::Changed)
            }
            _ => {
                self.tally.duplicates += 1;
                self.settle_duplicate(at, content, row)?;
                Ok(Verdict::Duplicate)
            }
        }
    }

    /// Takes the source's word that a product is still there, though what it says of it cannot be used: the
    /// row stays as it is.
    pub fn keep(&mut self, id: &str) {
        if let Some(at) = self.find(id_hash(id))
            && self.index.entries[at].state == State::Absent
        {
            self.set_state(at, State::Kept);
        }
    }

    /// Takes the source's word that a product is gone.
    pub fn delete(&mut self, id: &str) -> Result<Verdict, PushError> {
        let hash = id_hash(id);
        if !self.index.share.holds(hash) {
            return Ok(Verdict::Elsewhere);
        }
        let Some(at) = self.index.find(split(hash)) else { return Ok(Verdict::Unchanged) };
        let entry = self.index.entries[at];
        if entry.state == State::New {
            self.stage.drop_row(ordinal_of(&entry));
            self.set_state(at, State::Withdrawn);
        } else if !matches!(entry.state, State::Deleted | State::Withdrawn) {
            self.restore(at);
            self.set_state(at, State::Deleted);
        }
        Ok(Verdict::Changed)
    }

    /// A product's place in the index; none also where it is in another share.
    fn find(&self, id: u128) -> Option<u32> {
        self.index.share.holds(id).then(|| self.index.find(split(id))).flatten()
    }

    /// A product that the table does not have.
    fn admit(&mut self, id: [u64; 2], content: [u64; 2], row: &Row) -> Result<(), PushError> {
        self.check_budget()?;
        if let Some(link) = row.text(columns::LINK) {
            self.note_link(link_hash(link));
        }
        let run = self.run_secs();
        let at = self.index.insert(Entry {
            id,
            content,
            source: UNKNOWN,
            file: 0,
            row: 0,
            first_seen: run,
            images_run: run,
            images_hash: 0,
            nights: Nights::default(),
            state: State::Absent,
        });
        self.stage_new(at, content, row)
    }

    /// A row that the table does not have lies nowhere: its entry holds its place in the stage instead.
    fn stage_new(&mut self, at: u32, content: [u64; 2], row: &Row) -> Result<(), PushError> {
        let ordinal = self.stage_row(at, content, row)?;
        let entry = &mut self.index.entries[at];
        (entry.file, entry.row) = ((ordinal >> 32) as u32, ordinal as u32);
        self.set_state(at, State::New);
        Ok(())
    }

    /// Other content for a row that lies in the table.
    fn replace(&mut self, at: u32, content: [u64; 2], row: &Row) -> Result<(), PushError> {
        self.check_budget()?;
        let entry = self.index.entries[at];
        let ordinal = self.stage_row(at, content, row)?;
        let (images_run, images_hash) = (entry.images_run, entry.images_hash);
        self.changed.insert(at, Was { content: entry.content, images_run, images_hash, ordinal });
        self.set_state(at, State::Changed);
        Ok(())
    }

    /// Another record of an id that this run has seen.
    fn settle_duplicate(&mut self, at: u32, content: [u64; 2], row: &Row) -> Result<(), PushError> {
        let entry = self.index.entries[at];
        let gone = matches!(entry.state, State::Deleted | State::Withdrawn);
        if content >= entry.content && !gone {
            return Ok(());
        }
        match entry.state {
            State::New => {
                self.stage.drop_row(ordinal_of(&entry));
                self.stage_new(at, content, row)?;
            }
            State::Withdrawn => self.stage_new(at, content, row)?,
            _ => {
                self.restore(at);
                if self.index.entries[at].content == content {
                    self.set_state(at, State::Unchanged);
                } else {
                    self.replace(at, content, row)?;
                }
            }
        }
        Ok(())
    }

    /// Puts a row of the table back as it was before the run changed it.
    fn restore(&mut self, at: u32) {
        if let Some(was) = self.changed.remove(&at) {
            self.stage.drop_row(was.ordinal);
            let entry = &mut self.index.entries[at];
            entry.content = was.content;
            entry.images_run = was.images_run;
            entry.images_hash = was.images_hash;
        }
    }

    /// Encodes a row, and notes in its entry what it now is.
    fn stage_row(&mut self, at: u32, content: [u64; 2], row: &Row) -> Result<u64, CatalogError> {
        let run = self.run_secs();
        let images = images_hash(row.image_links());
        let ordinal = self.stage.next_ordinal();
        let entry = &mut self.index.entries[at];
        if images != entry.images_hash {
            entry.images_run = run;
            entry.images_hash = images;
        }
        entry.content = content;
        let lineage = Lineage {
            first_seen: i64::from(entry.first_seen),
            run: self.run.run.0,
            images_run: i64::from(entry.images_run),
            images_hash: images,
            content_hash: u128::from(content[0]) << 64 | u128::from(content[1]),
            source_hash: row.source_hash(),
        };
        self.batch.push(row, &lineage);
        if self.batch.rows() >= BATCH_ROWS || self.batch.bytes() >= BATCH_BYTES {
            self.stage.write(self.batch.take()?)?;
        }
        Ok(ordinal)
    }

    fn set_state(&mut self, at: u32, state: State) {
        let entry = &mut self.index.entries[at];
        for (state, step) in [(entry.state, -1i64), (state, 1)] {
            let count = match state {
                State::Absent | State::Withdrawn => continue,
                State::Unchanged | State::Kept => &mut self.tally.unchanged,
                State::Changed => &mut self.tally.changed,
                State::New => &mut self.tally.new,
                State::Deleted => &mut self.tally.removed,
            };
            *count = count.wrapping_add_signed(step);
        }
        entry.state = state;
    }

    fn run_secs(&self) -> u32 {
        self.run.run.0.clamp(0, i64::from(u32::MAX)) as u32
    }

    /// Ends a pass over the source: notes which rows of the table are dead, and which were not mentioned.
    /// True: there are more shares; the next one's index is loaded, and the source is to be gone through
    /// again.
    pub fn end_pass(&mut self, snapshot: Option<&Snapshot>) -> Result<bool, PushError> {
        for entry in self.index.entries.iter() {
            match entry.state {
                State::Changed | State::Deleted => {
                    self.dead[entry.file as usize].push(entry.row);
                }
                State::Absent if self.notes_unmentioned => {
                    let missing = Missing { row: entry.row, nights: entry.nights };
                    self.unmentioned.push(entry.file, missing);
                }
                _ => {}
            }
        }
        self.changed = HashMap::new();
        let Share { nth, of } = self.index.share;
        self.measure_places();
        if nth + 1 >= of {
            self.index = Index::empty(self.index.share);
            self.unmentioned.sort();
            self.check_budget()?;
            return Ok(false);
        }
        self.index = Index::empty(Share { nth: nth + 1, of });
        self.load(snapshot)?;
        self.check_budget()?;
        Ok(true)
    }
}

/// Whether no record has said yet what the row is to be.
fn is_unread(state: State) -> bool {
    matches!(state, State::Absent | State::Kept)
}

/// The place in the stage of a row that the table does not have.
fn ordinal_of(entry: &Entry) -> u64 {
    u64::from(entry.file) << 32 | u64::from(entry.row)
}
