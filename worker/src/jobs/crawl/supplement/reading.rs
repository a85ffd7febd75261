//! Reading a supplement's source: what it says now, and what stays of what it said before.

use super::blank::{self, Blank};
use super::overlay::too_large;
use super::recovery::{Gone, recover, told};
use super::state::{is_damage, load_state, read_values, write_values};
use super::values::{TooLarge, Values};
use super::{is_outdated, run_in};
use crate::jobs::crawl::failure::Failure;
use crate::jobs::crawl::guard::{self, Source, reason_to_keep};
use crate::jobs::crawl::load::{CANCEL_INTERVAL, Work, note_stats, sample};
use crate::jobs::crawl::pump::{PieceError, Pumped};
use feedfleet_config::Layer;
use feedfleet_feed::{
    Change as RowChange, Completeness, FeedError, FeedReader, Hints, RefusalReason, Settings, Step,
    Warning,
};
use feedfleet_model::hash::id_hash;
use feedfleet_model::keys::ObjectKey;
use feedfleet_model::report::{RefusalTally, SourceFacts};
use feedfleet_model::{ColumnId, Reason, ReasonClass, Row, ValueRef};
use feedfleet_objects::ObjectError;
use std::collections::HashSet;
use std::io::Read;
use std::sync::atomic::Ordering;
use tokio::runtime::Handle;

/// Why a source could not be read to its end.
pub(super) enum ReadError {
    Feed(FeedError),
    Failed(Failure),
}

/// What has been read of a supplement's source.
pub(super) struct Reading<'a> {
    work: &'a Work,
    layer: &'a Layer,
    pub values: Values,
    /// Products of which the source says that they are gone, by the hashes of their ids.
    deleted: HashSet<u128>,
    /// Products whose record could not be used.
    refused: HashSet<u128>,
    /// Refused records whose product is not known.
    unreadable: u64,
    pub refusals: RefusalTally,
    pub warnings: RefusalTally,
    pub source: SourceFacts,
    completeness: Completeness,
    pub seen: u64,
    pub duplicates: u64,
    pub decoded: u64,
}

/// What a source lacks of what it said before.
struct Lacks {
    /// Products of which something was said.
    before: u64,
    /// Of those, the ones that are gone.
    products: u64,
    columns: Vec<Blank>,
}

/// Products that keep something of what was said of them before.
pub(super) struct Kept {
    pub products: u64,
    /// What an operator should know of it.
    pub note: Option<Reason>,
}

/// A hash's place in a set.
const BYTES_PER_HASH: usize = size_of::<u128>() + 1;

/// What runs of the pipe can hold beside their index: more must not get into the table.
pub(super) fn budget_bytes(work: &Work) -> usize {
    work.index_bytes / 2
}

/// A field that is mapped and not there would take what it said away from all products.
fn lacking(warning: &Warning) -> Failure {
    let absent: Vec<&str> = warning.samples.iter().filter_map(|s| s.field.as_deref()).collect();
    let text = format!(
        "the source has no field {}, which the supplement's mapping names; what it said before stays",
        absent.join(", ")
    );
    Failure::dead(ReasonClass::Configuration, text)
}

impl<'a> Reading<'a> {
    pub fn new(work: &'a Work, layer: &'a Layer) -> Self {
        Self {
            work,
            layer,
            values: Values::new(layer.columns.clone(), budget_bytes(work)),
            deleted: HashSet::new(),
            refused: HashSet::new(),
            unreadable: 0,
            refusals: RefusalTally::default(),
            warnings: RefusalTally::default(),
            source: SourceFacts::default(),
            completeness: Completeness::Unproven("it was not read".to_owned()),
            seen: 0,
            duplicates: 0,
            decoded: 0,
        }
    }

    /// Goes through the source.
    pub fn go(
        &mut self,
        input: Box<dyn Read + Send>,
        settings: &Settings,
        hints: Hints,
    ) -> Result<(), ReadError> {
        let mut reader = FeedReader::open(input, settings, hints).map_err(ReadError::Feed)?;
        let mut row = Row::new();
        let work = self.work;
        let is_cancelled = || work.cancel.is_cancelled();
        loop {
            let step = match reader.next(&mut row) {
                Ok(step) => step,
                Err(_) if is_cancelled() => return Err(ReadError::Failed(Failure::interrupted())),
                Err(e) => return Err(ReadError::Feed(e)),
            };
            if step == Step::End {
                break;
            }
            self.seen += 1;
            if self.seen.is_multiple_of(CANCEL_INTERVAL) {
                if is_cancelled() {
                    return Err(ReadError::Failed(Failure::interrupted()));
                }
                work.progress.seen().store(self.seen, Ordering::Relaxed);
            }
            match step {
                Step::Row(RowChange::Upsert) => {
                    let taken = self.values.insert(row.id(), |column| row.get(column));
                    let failed = |e| ReadError::Failed(too_large(&work.key.pipe, &e));
                    self.duplicates += u64::from(!taken.map_err(failed)?);
                }
                Step::Row(RowChange::Delete) => {
                    self.deleted.insert(id_hash(row.id()));
                    self.keep_budget()?;
                }
                Step::Refused(refusal) => {
                    // A bad item costs only itself: what was said of the product before stays.
                    if row.id().is_empty() {
                        self.unreadable += 1;
                    } else {
                        self.refused.insert(id_hash(row.id()));
                        self.keep_budget()?;
                    }
                    self.refusals.add(refusal.reason.name(), || sample(&refusal));
                }
                Step::Known | Step::End => {}
            }
        }
        for hash in &self.deleted {
            self.values.remove(*hash);
        }
        for warning in reader.take_warnings() {
            if warning.reason == RefusalReason::MissingField && !work.pipe.source.format.is_preset()
            {
                return Err(ReadError::Failed(lacking(&warning)));
            }
            let samples = warning.samples.iter().map(sample);
            self.warnings.add_many(warning.reason.name(), warning.count, samples);
        }
        self.decoded = note_stats(&mut self.source, &reader);
        self.completeness = reader.completeness();
        Ok(())
    }

    /// What is only remembered of products has a part in the budget too.
    fn keep_budget(&self) -> Result<(), ReadError> {
        let budget_bytes = budget_bytes(self.work);
        let remembered = self.deleted.capacity() + self.refused.capacity();
        if remembered * BYTES_PER_HASH + self.values.memory_bytes() <= budget_bytes {
            return Ok(());
        }
        Err(ReadError::Failed(too_large(&self.work.key.pipe, &TooLarge { budget_bytes })))
    }

    /// Decides about the products and columns that the source says nothing of any more, and adds the values that stay.
    pub fn settle(&mut self, pumped: &Pumped, transfer_ends: bool) -> Result<Kept, Failure> {
        if let Err(PieceError::Truncated(why)) = &pumped.end {
            self.completeness = Completeness::Truncated(why.clone());
        }
        let work = self.work;
        let supplement = work.key.pipe.supplement();
        let completeness = self.completeness.clone();
        let source = Source {
            end: &completeness,
            transfer_ends,
            seen: self.seen,
            unreadable: self.unreadable,
            usual: work.usual.records,
            // Nobody could say that it is right so: what a supplement's run keeps is not up for approval.
            lost_line_end: false,
            supplement,
        };
        let whole = guard::wholeness(&source, &work.pipe.guard);
        self.source.complete = whole.is_complete();
        self.source.completeness = Some(whole.text.clone());
        let nothing = Kept { products: 0, note: None };
        let Some(mut previous) = self.previous()? else { return Ok(nothing) };
        let lacks = match self.compare(&previous) {
            Err(e) if is_damage(&e) => {
                tracing::warn!(run = %work.key, error = %e, "what the last run read is damaged");
                let Some(recovered) = self.recover(Gone::Lost)? else { return Ok(nothing) };
                previous = recovered;
                self.compare(&previous)?
            }
            lacks => lacks?,
        };
        let guard = &work.pipe.guard;
        let reason = || reason_to_keep(guard, &whole, (lacks.products, lacks.before), &source);
        let why = if work.pipe.source.changes_only { None } else { reason() };
        let keeps_gone = work.pipe.source.changes_only || why.is_some();
        let blank = blank::columns(&self.values, &lacks.columns, guard.max_removed);
        self.keep(&previous, keeps_gone, &blank.filled)?;
        let mut kept = nothing;
        let mut notes = Vec::new();
        if let Some(why) = why {
            kept.products = lacks.products;
            notes.push(format!(
                "{} of {} products that the supplement said something of are absent from it, and keep those values: \
                 {why}",
                lacks.products, lacks.before
            ));
        }
        if blank.products > 0 {
            kept.products += blank.products;
            notes.push(blank.text(supplement.unwrap_or_default()));
        }
        if !notes.is_empty() {
            kept.note = Some(Reason::new(ReasonClass::LimitExceeded, notes.join("; ")));
        }
        Ok(kept)
    }

    /// Holds what the source says against the values of the last run.
    fn compare(&self, previous: &ObjectKey) -> Result<Lacks, ObjectError> {
        let columns = self.values.columns();
        let columns = columns.iter().map(|column| Blank { column: *column, before: 0, blank: 0 });
        let mut lacks = Lacks { before: 0, products: 0, columns: columns.collect() };
        read_values(self.work.objects.as_ref(), previous, |line| {
            lacks.before += 1;
            lacks.products += u64::from(self.is_gone(id_hash(&line.id)));
            let mut said = self.values.of(&line.id).map(|said| said.values());
            for blank in &mut lacks.columns {
                let now = said.as_mut().and_then(Iterator::next);
                if line.value(blank.column) != ValueRef::Null {
                    blank.before += 1;
                    blank.blank += u64::from(now == Some(ValueRef::Null));
                }
            }
            true
        })?;
        Ok(lacks)
    }

    /// Adds those of the last run's values that stay: of products of which the record was refused, of those that are
    /// gone, if these are kept, and in these columns.
    fn keep(
        &mut self,
        previous: &ObjectKey,
        keeps_gone: bool,
        columns: &[ColumnId],
    ) -> Result<(), Failure> {
        let work = self.work;
        let mut taken = Ok(());
        read_values(work.objects.as_ref(), previous, |line| {
            let hash = id_hash(&line.id);
            if self.values.has(hash) {
                if !columns.is_empty() {
                    taken = self.values.fill(&line.id, columns, |column| line.value(column));
                }
            } else if self.refused.contains(&hash) || (keeps_gone && self.is_gone(hash)) {
                taken = self.values.insert(&line.id, |column| line.value(column)).map(drop);
            }
            taken.is_ok()
        })?;
        taken.map_err(|e| too_large(&work.key.pipe, &e))
    }

    /// Whether the source says nothing of a product, of which it said something before, and not that it is gone either.
    fn is_gone(&self, hash: u128) -> bool {
        let is_told = self.deleted.contains(&hash) || self.refused.contains(&hash);
        !is_told && !self.values.has(hash)
    }

    /// The values of the last run.
    fn previous(&mut self) -> Result<Option<ObjectKey>, Failure> {
        let work = self.work;
        let Some(last) = run_in(work.snapshot.as_ref(), &work.key.pipe)? else { return Ok(None) };
        if is_outdated(self.layer, work.key.run, last.run) {
            return Ok(None);
        }
        match Handle::current().block_on(load_state(work.objects.as_ref(), &last))? {
            Some(state) => Ok(state.key()),
            None => self.recover(Gone::of(work.snapshot.as_ref(), &last)?),
        }
    }

    /// The values of the last run as rows show them, where they are not there: as an object of this run, which goes with
    /// the next.
    fn recover(&mut self, gone: Gone) -> Result<Option<ObjectKey>, Failure> {
        let work = self.work;
        let none = Values::new(self.layer.columns.clone(), budget_bytes(work));
        let recovered = recover(work, &work.key.pipe, self.layer, none, gone)?;
        self.warnings.add_many(gone.reason(), 1, [told(&work.key.pipe, gone)]);
        Ok(write_values(work.objects.as_ref(), &work.key, &recovered)?)
    }
}
