//! The diff: one pass of a source's rows against the pipe's index. Rows that are as they were are dropped
//! there and then; new and changed ones go to data files; in the end the rows replaced or gone are known by
//! their place, and one commit publishes all of it.
//!
//! Of several records with one id, the one with the smallest content hash wins, whatever order they came in.

use crate::commit::{Change, Fence};
use crate::encode::{Lineage, RowBatch};
use crate::error::CatalogError;
use crate::index::{BYTES_PER_ROW, Entry, Index, Share, State, UNKNOWN, split};
use crate::stage::{Stage, Staged};
use crate::table::{DataFile, Snapshot, Table};
use feedfleet_model::hash::{id_hash, images_hash};
use feedfleet_model::{PipeName, Row, RunId, RunKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A run's comparison of its source with the table.
pub struct Diff {
    run: RunKey,
    base: Vec<DataFile>,
    index: Index,
    changed: HashMap<u32, Was>,
    batch: RowBatch,
    stage: Stage,
    max_rows: usize,
    scratch: Vec<u8>,
    tally: Tally,
    /// By file: rows that are replaced or deleted.
    dead: Vec<Vec<u64>>,
    /// By file: rows that the source did not mention.
    unmentioned: Vec<Vec<u64>>,
    absent: u64,
}

/// A changed row as it was in the table, and where its new content is staged.
struct Was {
    content: [u64; 2],
    images_run: u32,
    images_hash: i32,
    ordinal: u64,
}

/// Rows by what became of them, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that were live before the run.
    pub live_before: u64,
    /// Not in the table before.
    pub new: u64,
    /// With other content.
    pub changed: u64,
    /// As they were.
    pub unchanged: u64,
    /// Gone by the source's word, or by absence.
    pub removed: u64,
    /// Absent, and kept.
    pub held: u64,
    /// Records whose id had occurred before.
    pub duplicates: u64,
}

/// What one row turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not in the table before.
    New,
    /// Other content than in the table.
    Changed,
    /// As it was.
    Unchanged,
    /// The id occurred before in this source.
    Duplicate,
    /// In another share of the pipe; see [`Share`].
    Elsewhere,
}

/// What to do with rows that the source did not mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// They are gone.
    Remove,
    /// They would be gone, but an operator shall decide.
    Hold,
    /// The source names changes only: absence means nothing.
    Keep,
}

/// The index does not fit its budget: go through the source again in more, smaller shares.
#[derive(Debug, thiserror::Error)]
#[error("the index of the pipe needs more than its budget of {budget_bytes} bytes")]
pub struct OverBudget {
    /// The budget.
    pub budget_bytes: usize,
}

/// Why a row could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// More, smaller shares are needed.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The table failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Shares that keep an index of `rows` rows within a budget.
pub fn shares_needed(rows: u64, budget_bytes: usize) -> u32 {
    let needed = rows.saturating_mul(BYTES_PER_ROW as u64);
    u32::try_from(needed.div_ceil(budget_bytes.max(1) as u64)).unwrap_or(u32::MAX).max(1)
}

const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

impl Diff {
    /// Begins a run's diff against `snapshot` (none: the table does not exist yet). `budget_bytes` bounds
    /// the index.
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
        let mut diff = Self {
            run: run.clone(),
            index: Index::empty(Share { nth: 0, of: shares.max(1) }),
            changed: HashMap::new(),
            batch: RowBatch::new(schema.clone(), run.pipe.clone()),
            stage: Stage::new(table.clone(), run, schema),
            max_rows: (budget_bytes / BYTES_PER_ROW).max(1024),
            scratch: Vec::new(),
            tally: Tally::default(),
            dead: vec![Vec::new(); base.len()],
            unmentioned: vec![Vec::new(); base.len()],
            absent: 0,
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

    /// Rows of the passes that have ended which the source has not mentioned.
    pub fn absent(&self) -> u64 {
        self.absent
    }

    /// Takes a record of the source by its hash alone, if a live row was made of just this record and the
    /// run has not seen that row yet. False: the record must be mapped and [pushed](Self::push).
    pub fn recognise(&mut self, source_hash: u128) -> bool {
        let Some(at) = self.index.find_source(split(source_hash)) else { return false };
        if self.index.entries[at as usize].state != State::Absent {
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
        let entry = self.index.entries[at as usize];
        match entry.state {
            State::Absent if entry.content == content => {
                self.set_state(at, State::Unchanged);
                Ok(Verdict::Unchanged)
            }
            State::Absent => {
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
        let hash = id_hash(id);
        let found = self.index.share.holds(hash).then(|| self.index.find(split(hash))).flatten();
        if let Some(at) = found
            && self.index.entries[at as usize].state == State::Absent
        {
            self.set_state(at, State::Unchanged);
        }
    }

    /// Takes the source's word that a product is gone.
    pub fn delete(&mut self, id: &str) -> Result<Verdict, PushError> {
        let hash = id_hash(id);
        if !self.index.share.holds(hash) {
            return Ok(Verdict::Elsewhere);
        }
        let Some(at) = self.index.find(split(hash)) else { return Ok(Verdict::Unchanged) };
        let entry = self.index.entries[at as usize];
        if entry.state == State::New {
            self.stage.drop_row(ordinal_of(&entry));
            self.set_state(at, State::Withdrawn);
        } else if !matches!(entry.state, State::Deleted | State::Withdrawn) {
            self.restore(at);
            self.set_state(at, State::Deleted);
        }
        Ok(Verdict::Changed)
    }

    /// A product that the table does not have.
    fn admit(&mut self, id: [u64; 2], content: [u64; 2], row: &Row) -> Result<(), PushError> {
        if self.index.entries.len() >= self.max_rows {
            let budget_bytes = self.max_rows * BYTES_PER_ROW;
            return Err(OverBudget { budget_bytes }.into());
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
            state: State::Absent,
        });
        self.stage_new(at, content, row)
    }

    /// A row that the table does not have lies nowhere: its entry holds its place in the stage instead.
    fn stage_new(&mut self, at: u32, content: [u64; 2], row: &Row) -> Result<(), PushError> {
        let ordinal = self.stage_row(at, content, row)?;
        let entry = &mut self.index.entries[at as usize];
        (entry.file, entry.row) = ((ordinal >> 32) as u32, ordinal as u32);
        self.set_state(at, State::New);
        Ok(())
    }

    /// Other content for a row that lies in the table.
    fn replace(&mut self, at: u32, content: [u64; 2], row: &Row) -> Result<(), PushError> {
        let entry = self.index.entries[at as usize];
        let ordinal = self.stage_row(at, content, row)?;
        let (images_run, images_hash) = (entry.images_run, entry.images_hash);
        self.changed.insert(at, Was { content: entry.content, images_run, images_hash, ordinal });
        self.set_state(at, State::Changed);
        Ok(())
    }

    /// Another record of an id that this run has seen.
    fn settle_duplicate(&mut self, at: u32, content: [u64; 2], row: &Row) -> Result<(), PushError> {
        let entry = self.index.entries[at as usize];
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
                if self.index.entries[at as usize].content == content {
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
            let entry = &mut self.index.entries[at as usize];
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
        let entry = &mut self.index.entries[at as usize];
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
        let entry = &mut self.index.entries[at as usize];
        for (state, step) in [(entry.state, -1i64), (state, 1)] {
            let count = match state {
                State::Absent | State::Withdrawn => continue,
                State::Unchanged => &mut self.tally.unchanged,
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
    pub fn end_pass(&mut self, snapshot: Option<&Snapshot>) -> Result<bool, CatalogError> {
        for entry in &self.index.entries {
            let rows = match entry.state {
                State::Changed | State::Deleted => &mut self.dead,
                State::Absent => {
                    self.absent += 1;
                    &mut self.unmentioned
                }
                _ => continue,
            };
            rows[entry.file as usize].push(u64::from(entry.row));
        }
        self.changed.clear();
        let Share { nth, of } = self.index.share;
        if nth + 1 >= of {
            self.index = Index::empty(self.index.share);
            return Ok(false);
        }
        self.index = Index::empty(Share { nth: nth + 1, of });
        self.load(snapshot)?;
        Ok(true)
    }

    /// Ends the diff: the change to commit, and what it consists of.
    pub fn finish(mut self, app_id: &str, absent: Absent) -> Result<(Change, Tally), CatalogError> {
        match absent {
            Absent::Remove => {
                self.tally.removed += self.absent;
                for (dead, unmentioned) in self.dead.iter_mut().zip(&mut self.unmentioned) {
                    dead.append(unmentioned);
                }
            }
            Absent::Hold => self.tally.held += self.absent,
            Absent::Keep => {}
        }
        if self.batch.rows() > 0 {
            self.stage.write(self.batch.take()?)?;
        }
        let Staged { files } = self.stage.finish()?;
        let (mut dead, mut drops) = (BTreeMap::new(), BTreeSet::new());
        for (file, rows) in self.base.iter().zip(self.dead) {
            if rows.is_empty() {
                continue;
            }
            if file.dead_rows() + rows.len() as u64 >= file.rows {
                drops.insert(file.path.clone());
            } else {
                dead.insert(file.path.clone(), rows);
            }
        }
        let tally = self.tally;
        let change = Change {
            pipe: self.run.pipe.clone(),
            base: self.base,
            adds: files,
            dead,
            drops,
            fence: Fence { app_id: app_id.to_owned(), run: self.run.run.0 },
            metrics: metrics(&tally),
            data_change: true,
        };
        Ok((change, tally))
    }
}

/// A change that only moves the fence: the run found nothing to change.
pub fn nothing_changed(pipe: &PipeName, run: RunId, app_id: &str, base: Vec<DataFile>) -> Change {
    let live = base.iter().map(|f| f.rows - f.dead_rows().min(f.rows)).sum();
    Change {
        pipe: pipe.clone(),
        base,
        adds: Vec::new(),
        dead: BTreeMap::new(),
        drops: BTreeSet::new(),
        fence: Fence { app_id: app_id.to_owned(), run: run.0 },
        metrics: metrics(&Tally { live_before: live, unchanged: live, ..Tally::default() }),
        data_change: true,
    }
}

fn metrics(tally: &Tally) -> Vec<(&'static str, u64)> {
    vec![
        ("new", tally.new),
        ("changed", tally.changed),
        ("unchanged", tally.unchanged),
        ("removed", tally.removed),
        ("held", tally.held),
        ("duplicates", tally.duplicates),
    ]
}

/// The place in the stage of a row that the table does not have.
fn ordinal_of(entry: &Entry) -> u64 {
    u64::from(entry.file) << 32 | u64::from(entry.row)
}
