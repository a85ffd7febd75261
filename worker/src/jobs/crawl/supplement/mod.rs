//! A supplement's run: a source of values that its pipe's rows are to show, by the products' ids.
//!
//! What it reads becomes the supplement's values, an object, written before the commit. The commit moves the
//! supplement's fence and rewrites those rows that are to show something else; rows keep beside such a value what
//! the pipe's own source says. From then on runs of the pipe lay the values over what they map. So every row of the
//! table is what its record says under what the supplements said last, whichever run came last.

mod blank;
mod overlay;
mod reading;
mod recovery;
mod state;
mod values;

pub(super) use overlay::Overlay;

use super::facts::LoadFacts;
use super::failure::Failure;
use super::load::{Loaded, Work, is_content, join, note_transfer, rejected, stopped};
use super::source::Incoming;
use feedfleet_catalog::amend::{Amended, amend};
use feedfleet_catalog::{CatalogError, Change, Ground, Snapshot, feed_app_id, rollback_app_id};
use feedfleet_config::{Layer, Pipe};
use feedfleet_feed::{Hints, Settings};
use feedfleet_model::report::{
    Bytes, Counts, Lists, RefusalSample, RefusalTally, SAMPLES_PER_REASON,
};
use feedfleet_model::{PipeName, ReasonClass, RunId, RunKey, text};
use feedfleet_objects::{Objects, ReportError, Reports};
use overlay::{Cover, too_large};
use reading::{ReadError, Reading, budget_bytes};
use state::{State, load_state, read_values, remedy, settle_state, write_values};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use tokio::runtime::Handle;
use values::Values;

/// Ids of a supplement that its pipe does not have: they are counted, and wait until it has.
const NOT_IN_PIPE: &str = "not-in-pipe";

/// The fences that a run of a pipe or a supplement rests on, as its snapshot has them.
pub(super) fn grounds(
    pipe: &Pipe,
    snapshot: Option<&Snapshot>,
) -> Result<Vec<Ground>, CatalogError> {
    let supplements = pipe.supplements.iter().map(|supplement| feed_app_id(&supplement.name));
    let app_ids = supplements.chain([rollback_app_id(&pipe.name)]);
    app_ids
        .map(|app_id| match snapshot {
            Some(snapshot) => snapshot.ground(app_id),
            None => Ok(Ground { app_id, run: None }),
        })
        .collect()
}

/// Whether "not modified" would say enough of a run's source: not where rows show values that are too old, and not
/// where what the source said last is not there any more.
pub(super) async fn may_be_unmodified(
    objects: &dyn Objects,
    pipe: &Pipe,
    run: RunId,
    snapshot: Option<&Snapshot>,
) -> Result<bool, Failure> {
    for supplement in &pipe.supplements {
        let of = run_in(snapshot, &supplement.name)?;
        if let (Some(layer), Some(of)) = (&supplement.layer, of)
            && is_outdated(layer, run, of.run)
        {
            return Ok(false);
        }
    }
    let Some(layer) = &pipe.layer else { return Ok(true) };
    let Some(last) = run_in(snapshot, &pipe.name)? else { return Ok(false) };
    // The pipe's newest run may have left them out, though this one was scheduled before it.
    let of_pipe = run_in(snapshot, &pipe.name.pipe())?;
    let newest = of_pipe.map_or(run, |of_pipe| of_pipe.run.max(run));
    Ok(!is_outdated(layer, newest, last.run) && load_state(objects, &last).await?.is_some())
}

/// Whether rows of a pipe may show what no supplement of it says any more: its newest run made them by another mapping,
/// or they were put back since. `committed` is that run.
pub(super) async fn may_show_others(
    reports: &Reports,
    pipe: &Pipe,
    mapping: &str,
    snapshot: Option<&Snapshot>,
    committed: Option<i64>,
) -> Result<bool, Failure> {
    let (Some(snapshot), Some(last)) = (snapshot, committed) else { return Ok(false) };
    if snapshot.fence(&rollback_app_id(&pipe.name))? > Some(last) {
        return Ok(true);
    }
    let report = match reports.load(&RunKey { pipe: pipe.name.clone(), run: RunId(last) }).await {
        Err(ReportError::Unreadable { .. }) => None,
        loaded => loaded?,
    };
    Ok(report.is_none_or(|report| report.source.mapping != mapping))
}

/// Makes the values of a supplement's last run those of this one, whose source has not changed.
pub(super) async fn carry_over(
    objects: &dyn Objects,
    key: &RunKey,
    committed: Option<i64>,
) -> Result<(), Failure> {
    let last = committed.map(|run| RunKey { pipe: key.pipe.clone(), run: RunId(run) });
    let state = match &last {
        Some(last) => load_state(objects, last).await?,
        None => None,
    };
    let text = || format!("what run {key} should go on with has gone");
    let state = state.ok_or_else(|| Failure::retry(ReasonClass::Storage, text()))?;
    if settle_state(objects, key, &state).await? == state {
        return Ok(());
    }
    let text = format!(
        "an earlier attempt at run {key} read values that it did not commit, and now the source says that nothing has \
         changed; {}",
        remedy(&key.pipe)
    );
    Err(Failure::dead(ReasonClass::Storage, text))
}

/// Deletes what older runs of a supplement read. What fails is left to the next run.
pub(super) async fn tidy(objects: &dyn Objects, key: &RunKey) {
    if let Err(e) = state::drop_older(objects, key).await {
        tracing::warn!(run = %key, error = %e, "could not delete what older runs read");
    }
}

/// The newest run of a supplement that is in a snapshot.
fn run_in(snapshot: Option<&Snapshot>, name: &PipeName) -> Result<Option<RunKey>, CatalogError> {
    let fence = match snapshot {
        Some(snapshot) => snapshot.fence(&feed_app_id(name))?,
        None => None,
    };
    Ok(fence.map(|run| RunKey { pipe: name.clone(), run: RunId(run) }))
}

/// Whether values that were read for a run count no more for another one. No clock is asked.
fn is_outdated(layer: &Layer, run: RunId, of: RunId) -> bool {
    let age_secs = run.0.saturating_sub(of.0);
    layer.max_age.is_some_and(|most| age_secs > i64::try_from(most.as_secs()).unwrap_or(i64::MAX))
}

/// Reads the whole source, keeps what it says, and works out which rows change. Blocking.
pub(super) fn load(work: Work, layer: &Layer, incoming: Incoming) -> Result<Loaded, Failure> {
    let settings = Settings::of(&work.pipe)?;
    let Incoming { reader, pump, facts, stop } = incoming;
    let _transfer = stop.clone().drop_guard();
    let hints = Hints { content_type: facts.content_type.clone() };
    let mut reading = Reading::new(&work, layer);
    let ended = match reading.go(Box::new(reader), &settings, hints) {
        Err(ReadError::Feed(e)) if is_content(&e) => {
            // The rest of what is no feed need not come.
            stop.cancel();
            join(Some(pump));
            return Err(rejected(&work, &facts, e));
        }
        ended => ended,
    };
    let pumped = stopped(pump.join(), &work.cancel)?;
    match ended {
        Ok(()) => {}
        Err(ReadError::Feed(e)) => return Err(e.into()),
        Err(ReadError::Failed(failure)) => return Err(failure),
    }
    let kept = reading.settle(&pumped, facts.marked_end)?;
    let Reading { values, refusals, warnings, mut source, seen, duplicates, decoded, .. } = reading;
    let (values, is_newest) = keep(&work, layer, values)?;
    let (change, cover, amended) = cover_rows(&work, layer, values)?;
    note_transfer(&mut source, &work.pipe, &facts);

    let matched = cover.values.len() - cover.values.unmatched().count() as u64;
    let counts = Counts {
        seen,
        changed: amended.changed,
        unchanged: matched.saturating_sub(amended.changed),
        absent: kept.products,
        refused: refusals.total(),
        duplicates,
        live: amended.live,
        ..Counts::default()
    };
    let written = change.adds.iter().map(|file| file.size_bytes).sum();
    let facts = LoadFacts {
        counts,
        bytes: Bytes { fetched: work.progress.read().1, decoded, written },
        source,
        lists: Lists::default(),
        refusals: refusals.into_counts(),
        warnings: with_unmatched(warnings, &cover.values).into_counts(),
        diagnostics: None,
        note: kept.note,
    };
    Ok(Loaded { change, facts, is_newest })
}

/// Writes down what counts from this run on: what this attempt has read, unless an earlier one has written. With
/// whether it is what this one has read.
fn keep(work: &Work, layer: &Layer, values: Values) -> Result<(Values, bool), Failure> {
    // A worker that slept past its lease need not even begin.
    if work.cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    let objects = work.objects.as_ref();
    let key = write_values(objects, &work.key, &values)?;
    let state = State { values: key.map(|key| key.to_string()), products: values.len() };
    let counts = Handle::current().block_on(settle_state(objects, &work.key, &state))?;
    if counts == state {
        return Ok((values, true));
    }
    drop(values);
    let mut values = Values::new(layer.columns.clone(), budget_bytes(work));
    if let Some(key) = counts.key() {
        let mut taken = Ok(true);
        let read = read_values(objects, &key, |line| {
            taken = values.insert(&line.id, |column| line.value(column));
            taken.is_ok()
        });
        taken.map_err(|e| too_large(&work.key.pipe, &e))?;
        read?;
    }
    Ok((values, false))
}

/// Works out which rows of the pipe change.
fn cover_rows(
    work: &Work,
    layer: &Layer,
    values: Values,
) -> Result<(Change, Cover, Amended), Failure> {
    let mut cover = Cover::new(layer, values);
    let (products, snapshot) = (work.catalog.products(), work.snapshot.as_ref());
    let worked_out = amend(products, snapshot, &work.key, &layer.columns, |row| {
        if work.cancel.is_cancelled() {
            return ControlFlow::Break(());
        }
        cover.values.mark(row.id());
        cover.apply(row);
        ControlFlow::Continue(())
    })?;
    let (change, amended) = worked_out.ok_or_else(Failure::interrupted)?;
    Ok((change, cover, amended))
}

fn with_unmatched(mut warnings: RefusalTally, values: &Values) -> RefusalTally {
    let mut first = BTreeSet::new();
    let mut count = 0;
    for id in values.unmatched() {
        count += 1;
        first.insert(id);
        if first.len() > SAMPLES_PER_REASON {
            first.pop_last();
        }
    }
    if count > 0 {
        let samples = first.into_iter().map(|id| RefusalSample {
            position: format!("product {}", text::shorten(id, 80)),
            field: Some("id".to_owned()),
            value: Some(text::shorten(id, 80).into_owned()),
            message: "the pipe has no such product; what is said waits until it has".to_owned(),
        });
        warnings.add_many(NOT_IN_PIPE, count, samples);
    }
    warnings
}
