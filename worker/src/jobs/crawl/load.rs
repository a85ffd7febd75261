//! The load: one pass (or, past the memory budget, several) of the source's rows through the diff.

use super::absence;
use super::facts::LoadFacts;
use super::failure::Failure;
use super::guard::{self, Source, Usual};
use super::pump::{PieceError, Pumped};
use super::raw::Place;
use super::site::SiteEnd;
use super::source::{Facts, Incoming};
use super::supplement::Overlay;
use feedfleet_catalog::diff::{Diff, PushError, Tally, nothing_changed, shares_needed};
use feedfleet_catalog::product_links::for_each_product_link;
use feedfleet_catalog::{Catalog, CatalogError, Change, DataFile, Snapshot, feed_app_id};
use feedfleet_config::{Compression, Pipe};
use feedfleet_feed::detect::advise_on_key;
use feedfleet_feed::{
    Change as RowChange, Completeness, CutOff, FeedError, FeedReader, Hints, Profile, Refusal,
    Settings, Step,
};
use feedfleet_model::keys::ObjectKey;
use feedfleet_model::report::{
    Bytes, Counts, KeyAdvice, Lists, RefusalCount, RefusalSample, RefusalTally, SourceFacts,
};
use feedfleet_model::{ReasonClass, Row, RunKey};
use feedfleet_objects::Objects;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How far a run has come, for those who watch.
#[derive(Debug)]
pub(crate) struct Progress {
    seen: AtomicU64,
    fetched: Arc<AtomicU64>,
    /// Warnings that are worth knowing before the run's end.
    told: Mutex<Vec<RefusalCount>>,
}

impl Progress {
    /// Of a run whose pump counts bytes in `fetched`.
    pub fn new(fetched: Arc<AtomicU64>) -> Self {
        Self { seen: AtomicU64::new(0), fetched, told: Mutex::default() }
    }

    /// Counts the records seen; of a site, its pages while they are collected.
    pub fn seen(&self) -> &AtomicU64 {
        &self.seen
    }

    /// Sets the warnings that are worth knowing before the run's end.
    pub fn tell(&self, warnings: Vec<RefusalCount>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
    }

    pub fn told(&self) -> Vec<RefusalCount> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records seen and bytes fetched.
    pub fn read(&self) -> (u64, u64) {
        (self.seen.load(Ordering::Relaxed), self.fetched.load(Ordering::Relaxed))
    }
}

/// What a load works with.
pub(crate) struct Work {
    pub catalog: Catalog,
    pub objects: Arc<dyn Objects>,
    pub snapshot: Option<Snapshot>,
    pub key: RunKey,
    pub pipe: Pipe,
    pub index_bytes: usize,
    /// What the source is usually like.
    pub usual: Usual,
    /// Rows may show what no supplement of the pipe says any more.
    pub may_show_others: bool,
    /// The last run's list of products that were absent and stayed.
    pub last_list: Option<ObjectKey>,
    /// Of a site: how its crawl ended.
    pub site: Option<SiteEnd>,
    pub progress: Arc<Progress>,
    pub cancel: CancellationToken,
}

/// A source that has been read to its end, and what is to be committed for it.
pub(crate) struct Loaded {
    pub change: Change,
    pub facts: LoadFacts,
    /// It is what the source said just now, and not what an earlier attempt at the run has read.
    pub is_newest: bool,
}

impl Loaded {
    /// The source said that nothing has changed.
    pub fn not_modified(pipe: &Pipe, key: &RunKey, base: Vec<DataFile>) -> Self {
        let change = nothing_changed(&key.pipe, key.run, &feed_app_id(&key.pipe), base);
        let live: u64 = change.base.iter().map(DataFile::live_rows).sum();
        let source = SourceFacts {
            location: pipe.source.location.display(),
            mapping: pipe.mapping_fingerprint(),
            not_modified: true,
            complete: true,
            ..SourceFacts::default()
        };
        let facts = LoadFacts {
            counts: Counts { unchanged: live, live, ..Counts::default() },
            bytes: Bytes::default(),
            source,
            lists: Lists::default(),
            refusals: Vec::new(),
            warnings: Vec::new(),
            diagnostics: None,
            note: None,
        };
        Self { change, facts, is_newest: true }
    }
}

/// Rows between looks at the cancellation.
pub(super) const CANCEL_INTERVAL: u64 = 1024;

/// Products of a source that are looked at for its diagnostics, even where they are known: all of a small one.
const LOOKED_AT: u64 = 20_000;
/// So many records with an id that occurred before, and this share of all, ask for a better key.
const MANY_DUPLICATES: u64 = 5;
const MANY_DUPLICATES_SHARE: f64 = 0.01;

/// Reads the whole source and works out the change.
pub(crate) fn load(mut work: Work, incoming: Incoming) -> Result<Loaded, Failure> {
    let settings = Settings::of(&work.pipe)?;
    let overlay = Overlay::load(&work)?;
    work.index_bytes = work.index_bytes.saturating_sub(overlay.memory_bytes());
    let Incoming { reader, pump, facts, stop } = incoming;
    let _transfer = stop.clone().drop_guard();
    let hints = Hints { content_type: facts.content_type.clone() };
    let rows: u64 = match &work.snapshot {
        Some(snapshot) => {
            let files = snapshot.files(Some(&work.key.pipe))?;
            files.iter().map(DataFile::live_rows).sum()
        }
        None => 0,
    };
    let mut shares = shares_needed(rows, work.index_bytes);
    let mut input: Box<dyn Read + Send> = Box::new(reader);
    let mut pump = Some(pump);
    let mut pumped = None;
    'begin: loop {
        let mut pass = Pass::begin(&work, &settings, &hints, &overlay, shares, rows)?;
        loop {
            let ended = match pass.go(input) {
                Err(PassError::Feed(e)) if is_content(&e) => {
                    // The rest of what is no feed need not come.
                    stop.cancel();
                    join(pump.take());
                    return Err(rejected(&work, &facts, e));
                }
                ended => ended,
            };
            // How the source itself ended says more than what the parser made of it. Once the pump has
            // stopped, the archive is whole, and further passes read from there.
            if let Some(pump) = pump.take() {
                pumped = Some(stopped(pump.join(), &work.cancel)?);
            }
            match (ended, &pumped) {
                (Ok(false), Some(pumped)) => return pass.finish(&facts, pumped),
                (Err(PassError::Failed(failure)), _) => return Err(failure),
                (Err(PassError::Feed(e)), _) => return Err(e.into()),
                (Err(PassError::OverBudget), _) => {
                    shares *= 2;
                    tracing::info!(run = %work.key, shares, "the index is over its budget: reading in shares");
                    input = reopen(&work, &facts, pumped.as_ref())?;
                    continue 'begin;
                }
                (Ok(_), _) => input = reopen(&work, &facts, pumped.as_ref())?,
            }
        }
    }
}

/// The archived source, which ends as the source itself did.
fn reopen(
    work: &Work,
    facts: &Facts,
    pumped: Option<&Pumped>,
) -> Result<Box<dyn Read + Send>, Failure> {
    let run = facts.archived_by.clone().unwrap_or_else(|| work.key.clone());
    let archived = Place::new(work.objects.clone(), run).open()?;
    Ok(match pumped.map(|pumped| &pumped.end) {
        Some(Err(PieceError::Truncated(why))) => Box::new(archived.chain(CutEnd(why.clone()))),
        _ => archived,
    })
}

/// The end of a source that was cut off.
struct CutEnd(String);

impl Read for CutEnd {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(CutOff(self.0.clone())))
    }
}

/// Whether it is what came that cannot be read, and not that it did not come.
pub(super) fn is_content(e: &FeedError) -> bool {
    !matches!(e, FeedError::Io { .. } | FeedError::Truncated { .. })
}

pub(super) fn join(pump: Option<JoinHandle<Pumped>>) {
    if let Some(Err(panic)) = pump.map(JoinHandle::join) {
        std::panic::resume_unwind(panic);
    }
}

/// What came cannot be read as a feed: a later attempt of the run shall not fail on the same bytes.
pub(super) fn rejected(work: &Work, facts: &Facts, e: FeedError) -> Failure {
    if facts.raw_key.is_some()
        && let Err(error) = Place::new(work.objects.clone(), work.key.clone()).reject()
    {
        tracing::warn!(run = %work.key, %error, "the raw snapshot still passes for a feed");
    }
    e.into()
}

/// How the source ended, unless it failed.
pub(super) fn stopped(
    joined: std::thread::Result<Pumped>,
    cancel: &CancellationToken,
) -> Result<Pumped, Failure> {
    if cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let mut pumped = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    std::mem::replace(&mut pumped.archive, Ok(()))?;
    match std::mem::replace(&mut pumped.end, Ok(())) {
        Ok(()) => Ok(pumped),
        Err(e @ PieceError::Truncated(_)) => Ok(Pumped { end: Err(e), ..pumped }),
        Err(PieceError::Fetch(e)) => Err(e.into()),
        Err(PieceError::Remote(e)) => Err(e.into()),
        Err(PieceError::Failed(failure)) => Err(failure),
        Err(PieceError::Io(e)) => Err(Failure::retry(
            ReasonClass::SourceUnavailable,
            format!("could not read the source: {e}"),
        )),
        Err(PieceError::Stopped) => {
            Err(Failure::retry(ReasonClass::SourceUnavailable, "the transfer was given up"))
        }
    }
}

enum PassError {
    OverBudget,
    Feed(FeedError),
    Failed(Failure),
}

impl PassError {
    fn of_push(e: PushError) -> Self {
        match e {
            PushError::OverBudget(_) => PassError::OverBudget,
            PushError::TooMuch(e) => {
                let text = format!(
                    "{e}: a crawl's share of memory, in [workers] of fleet.toml, is too small"
                );
                PassError::Failed(Failure::dead(ReasonClass::LimitExceeded, text))
            }
            PushError::Catalog(e) => e.into(),
        }
    }
}

impl<E: Into<Failure>> From<E> for PassError {
    fn from(e: E) -> Self {
        PassError::Failed(e.into())
    }
}

/// The diff, and what has been read for it.
struct Pass<'a> {
    work: &'a Work,
    settings: &'a Settings,
    hints: &'a Hints,
    overlay: &'a Overlay,
    diff: Diff,
    seen: u64,
    refusals: RefusalTally,
    /// Refused records whose product is not known.
    unreadable: u64,
    warnings: RefusalTally,
    mended: RefusalTally,
    profile: Profile,
    /// One of so many records is looked at for the diagnostics.
    one_of: u128,
    facts: SourceFacts,
    completeness: Completeness,
    decoded: u64,
}

impl<'a> Pass<'a> {
    fn begin(
        work: &'a Work,
        settings: &'a Settings,
        hints: &'a Hints,
        overlay: &'a Overlay,
        shares: u32,
        rows: u64,
    ) -> Result<Self, Failure> {
        let products = work.catalog.products();
        let snapshot = work.snapshot.as_ref();
        let mut diff = Diff::begin(products, snapshot, &work.key, work.index_bytes, shares)?;
        if work.pipe.source.changes_only {
            diff.keep_unmentioned();
        }
        absence::recall(work, &mut diff)?;
        Ok(Self {
            work,
            settings,
            hints,
            overlay,
            diff,
            seen: 0,
            refusals: RefusalTally::default(),
            unreadable: 0,
            warnings: RefusalTally::default(),
            mended: RefusalTally::default(),
            profile: Profile::of(work.pipe.source.format),
            // What names changes only is as good as small: most of it has to be mapped anyway.
            one_of: if work.pipe.source.changes_only {
                1
            } else {
                u128::from((rows / LOOKED_AT).max(1))
            },
            facts: SourceFacts::default(),
            completeness: Completeness::Unproven("it was not read".to_owned()),
            decoded: 0,
        })
    }

    /// Goes through the source once. True: it must be gone through again for the next share.
    fn go(&mut self, input: Box<dyn Read + Send>) -> Result<bool, PassError> {
        let first = self.diff.share().nth == 0;
        let mut reader =
            FeedReader::open(input, self.settings, self.hints.clone()).map_err(PassError::Feed)?;
        let mut row = Row::new();
        let mut records = 0;
        loop {
            let (diff, overlay, one_of) = (&mut self.diff, self.overlay, self.one_of);
            let mut is_looked_at = first;
            // By its hash: the same ones every night. The diff finds those as they were all the same.
            let is_known = &mut |hash: u128| {
                is_looked_at = first && hash.is_multiple_of(one_of);
                !is_looked_at && overlay.is_in_table() && diff.recognise(hash)
            };
            let step = match reader.next_unless(&mut row, is_known) {
                Ok(step) => step,
                Err(_) if self.work.cancel.is_cancelled() => {
                    return Err(PassError::Failed(Failure::interrupted()));
                }
                Err(e) => return Err(PassError::Feed(e)),
            };
            records += 1;
            if records % CANCEL_INTERVAL == 0 {
                if self.work.cancel.is_cancelled() {
                    return Err(PassError::Failed(Failure::interrupted()));
                }
                self.work.progress.seen.store(records, Ordering::Relaxed);
            }
            match step {
                Step::End => break,
                Step::Known => {}
                Step::Refused(refusal) => {
                    // A bad item costs only itself: the product stays as it was.
                    if !row.id().is_empty() {
                        self.diff.keep(row.id());
                    }
                    if first {
                        self.unreadable += u64::from(row.id().is_empty());
                        self.refusals.add(refusal.reason.name(), || sample(&refusal));
                    }
                }
                Step::Row(change) => {
                    let pushed = match change {
                        RowChange::Upsert => {
                            if is_looked_at {
                                self.profile.add(&row);
                            }
                            self.overlay.apply(&mut row);
                            self.diff.push(&row)
                        }
                        // In a whole catalogue it is as good as left out, and the guard has its say.
                        RowChange::Delete if !self.work.pipe.source.changes_only => continue,
                        RowChange::Delete => self.diff.delete(row.id()),
                    };
                    pushed.map_err(PassError::of_push)?;
                }
            }
        }
        if first {
            self.seen = records - 1;
            self.note_reading(&mut reader);
        }
        self.keep_unseen()?;
        let ended = self.diff.end_pass(self.work.snapshot.as_ref());
        let more = ended.map_err(PassError::of_push)?;
        if more {
            absence::recall(self.work, &mut self.diff)?;
        }
        Ok(more)
    }

    /// Products on pages of a site that nobody saw stay as they are.
    fn keep_unseen(&mut self) -> Result<(), CatalogError> {
        let unseen = self.work.site.as_ref().and_then(|site| site.unseen.as_ref());
        let (Some(unseen), Some(snapshot)) = (unseen, &self.work.snapshot) else { return Ok(()) };
        let diff = &mut self.diff;
        for_each_product_link(snapshot, &self.work.key.pipe, |id, link| {
            if unseen.keep(link.unwrap_or_default()) {
                diff.keep(id);
            }
        })
    }

    fn note_reading(&mut self, reader: &mut FeedReader) {
        for warning in reader.take_warnings() {
            let is_mended = warning.reason.is_mended();
            let tally = if is_mended { &mut self.mended } else { &mut self.warnings };
            tally.add_many(
                warning.reason.name(),
                warning.count,
                warning.samples.iter().map(sample),
            );
        }
        self.decoded = note_stats(&mut self.facts, reader);
        self.completeness = reader.completeness();
    }

    /// Decides about the rows that the source did not mention, and ends the diff.
    fn finish(mut self, facts: &Facts, pumped: &Pumped) -> Result<Loaded, Failure> {
        if let Err(PieceError::Truncated(why)) = &pumped.end {
            self.completeness = Completeness::Truncated(why.clone());
        } else if let Some(site) = &self.work.site {
            // That its rows end where they end says nothing of the site.
            self.completeness = site.completeness.clone();
        }
        for (reason, count, samples) in self.work.site.iter().flat_map(|site| &site.warnings) {
            self.warnings.add_many(reason, *count, samples.iter().cloned());
        }
        for (reason, told) in self.overlay.lost() {
            self.warnings.add_many(reason, 1, [told]);
        }
        let source = Source {
            end: &self.completeness,
            transfer_ends: facts.marked_end,
            seen: self.seen,
            unreadable: self.unreadable,
            usual: self.work.usual.records,
            // Nothing is held of a source of changes, so that nobody could say that it is right so.
            lost_line_end: !self.work.pipe.source.changes_only
                && self.facts.last_line_ends == Some(false)
                && self.work.usual.last_line_ends == Some(true),
            supplement: None,
        };
        let whole = guard::wholeness(&source, &self.work.pipe.guard);
        let decided = guard::decide(self.work, &mut self.diff, &source, &self.refusals, &whole)?;
        (self.facts.complete, self.facts.completeness) = (whole.is_complete(), Some(whole.text));
        let key = &self.work.key;
        let (mut change, tally) = self.diff.finish(&feed_app_id(&key.pipe), decided.absent)?;
        let taken_back = self.overlay.take_back(self.work, &mut change)?;
        let refused = self.refusals.total();
        note_transfer(&mut self.facts, &self.work.pipe, facts);
        let mut counts = counts(&tally, self.seen, refused);
        counts.changed += taken_back;
        let mut diagnostics = self.profile.finish(self.work.pipe.source.currency.as_deref());
        diagnostics.mended = self.mended.into_counts();
        diagnostics.key = better_key(self.work, self.settings, self.hints, facts, counts);
        let written = change.adds.iter().map(|f| f.size_bytes).sum();
        let facts = LoadFacts {
            counts,
            bytes: Bytes { fetched: self.work.progress.read().1, decoded: self.decoded, written },
            source: self.facts,
            lists: decided.lists,
            refusals: self.refusals.into_counts(),
            warnings: self.warnings.into_counts(),
            diagnostics: Some(diagnostics),
            note: decided.note,
        };
        Ok(Loaded { change, facts, is_newest: true })
    }
}

/// Looks for what would make a better id, where many records have that of another one. The archived source is looked
/// at: nobody knew before that it would be needed.
fn better_key(
    work: &Work,
    settings: &Settings,
    hints: &Hints,
    facts: &Facts,
    counts: Counts,
) -> Option<KeyAdvice> {
    let share = counts.duplicates as f64 / counts.seen.max(1) as f64;
    if counts.duplicates < MANY_DUPLICATES || share < MANY_DUPLICATES_SHARE {
        return None;
    }
    let looked = reopen(work, facts, None)
        .and_then(|input| advise_on_key(input, settings, hints.clone()).map_err(Failure::from));
    match looked {
        Ok(advice) => Some(advice),
        Err(failure) => {
            let why = failure.into_outcome();
            tracing::warn!(run = %work.key, ?why, "could not look for a better key");
            None
        }
    }
}

/// Notes what reading has found out about a source; its bytes after decompression.
pub(super) fn note_stats(source: &mut SourceFacts, reader: &FeedReader) -> u64 {
    let stats = reader.stats();
    source.encoding = Some(stats.encoding.to_owned());
    source.wrong_encoding_label = stats.wrong_encoding_label.map(str::to_owned);
    source.replaced_characters = stats.replaced_characters;
    source.control_characters = stats.control_characters;
    source.unknown_references = stats.unknown_references;
    source.dropped_values = stats.dropped_values;
    source.last_line_ends = stats.last_line_ends;
    source.compression = Some(compression_name(&stats.compression));
    stats.decoded_bytes
}

/// Notes where a source is, how it is mapped, and what its transfer has told of it.
pub(super) fn note_transfer(source: &mut SourceFacts, pipe: &Pipe, facts: &Facts) {
    source.location = pipe.source.location.display();
    source.mapping = pipe.mapping_fingerprint();
    source.content_type = facts.content_type.clone();
    source.etag = facts.etag.clone();
    source.last_modified = facts.last_modified.clone();
    source.raw_key = facts.raw_key.as_ref().map(ToString::to_string);
    source.resumed_at_bytes = facts.resumed_at_bytes;
}

/// Compressions as they lay around each other.
pub(crate) fn compression_name(found: &[Compression]) -> String {
    let names: Vec<&str> = found
        .iter()
        .map(|c| match c {
            Compression::Auto | Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Zip => "zip",
        })
        .collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" in ") }
}

fn counts(tally: &Tally, seen: u64, refused: u64) -> Counts {
    Counts {
        seen,
        new: tally.new,
        changed: tally.changed,
        unchanged: tally.unchanged,
        removed: tally.removed,
        held: tally.held,
        absent: tally.waiting,
        refused,
        duplicates: tally.duplicates,
        live: tally.live_before + tally.new - tally.removed,
        images_queued: 0,
    }
}

pub(super) fn sample(refusal: &Refusal) -> RefusalSample {
    RefusalSample {
        position: refusal.place(),
        field: refusal.field.clone(),
        value: refusal.value.clone(),
        message: refusal.message.to_string(),
    }
}
