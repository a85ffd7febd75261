//! Upkeep: what keeps tables and objects in shape, each duty at its own pace, by one scheduler at a time.
//!
//! Every duty looks at what is and does what is missing, in steps that may be cut short anywhere. A duty that
//! fails is tried again at its next turn.

use crate::Ticker;
use crate::deps::Deps;
use crate::owner::{Done, Owner};
use crate::{expiry, load_config, missing, pictures};
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_catalog::compact::{CompactionLimits, compact};
use feedfleet_catalog::vacuum::{VacuumLimits, vacuum};
use feedfleet_catalog::{CatalogError, Table};
use feedfleet_model::PipeName;
use feedfleet_objects::{ObjectError, ReportError};
use feedfleet_queue::QueueError;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// Between turns; compaction and checkpoints are looked at in each.
const TURN: Duration = Duration::from_secs(60);
/// Between signs of life while a turn lasts.
const RENEWAL: Duration = Duration::from_secs(60);
/// Between vacuums, and between looks for what has expired.
const HOURLY: TimeDelta = TimeDelta::hours(1);
/// Between looks for missing pictures.
const MISSING_INTERVAL: TimeDelta = TimeDelta::minutes(10);
/// Between looks for pictures that nothing shows, for each pipe.
const PICTURES_INTERVAL: TimeDelta = TimeDelta::days(1);
/// Log entries after which a checkpoint is worth its writing.
const COMMITS_PER_CHECKPOINT: u64 = 20;

/// Why a duty could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DutyError {
    /// A table failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The objects failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// A report failed.
    #[error(transparent)]
    Reports(#[from] ReportError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The work panicked, or the process ends.
    #[error("the work was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
}

/// Does upkeep until `shutdown`, whenever no other scheduler does. Work in hand is then left where it is.
pub(crate) async fn keep(deps: &Deps, shutdown: &CancellationToken) {
    let owner = Owner::new(deps.objects.clone(), deps.clock.now());
    let mut ticker = Ticker::new(TURN);
    while ticker.next(shutdown).await {
        tokio::select! {
            () = turn(deps, &owner) => {}
            () = shutdown.cancelled() => break,
        }
    }
    if let Err(e) = owner.release(deps.clock.now()).await {
        tracing::warn!(error = %e, "could not release upkeep, another scheduler takes it over in minutes");
    }
}

/// One turn, if upkeep is this scheduler's.
pub(crate) async fn turn(deps: &Deps, owner: &Owner) {
    let done = match owner.hold(deps.clock.now()).await {
        Ok(Some(done)) => done,
        Ok(None) => return,
        Err(e) => {
            tracing::warn!(error = %e, "could not find out who does upkeep, will try again");
            return;
        }
    };
    let work = do_what_is_due(deps, owner, &done);
    tokio::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return,
            () = tokio::time::sleep(RENEWAL) => {
                // Lost or not: the work goes on, for it is safe beside another owner's.
                if let Err(e) = owner.hold(deps.clock.now()).await {
                    tracing::warn!(error = %e, "could not renew the ownership of upkeep");
                }
            }
        }
    }
}

/// Vacuum comes before the pictures: what its files named may go next.
async fn do_what_is_due(deps: &Deps, owner: &Owner, done: &Done) {
    let due = |duty: &str, interval| is_due(done, duty, interval, deps.clock.now());
    compact_and_checkpoint(deps).await;
    if due("vacuum", HOURLY) {
        let now = deps.clock.now();
        vacuum_tables(deps, now).await;
        note(owner, "vacuum", now).await;
    }
    if due("expiry", HOURLY) {
        let now = deps.clock.now();
        expiry::expire(deps, now).await;
        note(owner, "expiry", now).await;
    }
    if due("missing", MISSING_INTERVAL)
        && let Some(config) = load_config(deps)
    {
        let now = deps.clock.now();
        missing::request_missing(deps, &config, now).await;
        note(owner, "missing", now).await;
    }
    let pipes = pictures::pipes(deps).await.unwrap_or_else(|e| {
        tracing::warn!(error = %e, "could not list the pipes with pictures, will try again");
        BTreeSet::new()
    });
    for pipe in pipes {
        let duty = format!("pictures/{pipe}");
        if due(&duty, PICTURES_INTERVAL) {
            let now = deps.clock.now();
            if expire_pictures(deps, &pipe, now).await {
                note(owner, &duty, now).await;
            }
        }
    }
}

/// Whether the duty's time has come. A note from the future was made by a clock that was wrong.
fn is_due(done: &Done, duty: &str, interval: TimeDelta, now: DateTime<Utc>) -> bool {
    done.get(duty).is_none_or(|last| *last > now || now - *last >= interval)
}

async fn note(owner: &Owner, duty: &str, at: DateTime<Utc>) {
    if let Err(e) = owner.note(duty, at).await {
        tracing::warn!(duty, error = %e, "could not note that a duty was done, it will be done again");
    }
}

/// False: not now, but soon.
async fn expire_pictures(deps: &Deps, pipe: &PipeName, now: DateTime<Utc>) -> bool {
    match pictures::remove_unshown(deps, pipe, now).await {
        Ok(None) => return false,
        Ok(Some(removed)) if removed == pictures::Removed::default() => {}
        Ok(Some(removed)) => tracing::info!(
            %pipe, pictures = removed.pictures, bytes = removed.bytes, entries = removed.entries,
            "pictures expired"
        ),
        Err(e) => tracing::warn!(%pipe, error = %e, "pictures stay as they are until tomorrow"),
    }
    true
}

fn tables(deps: &Deps) -> [Table; 2] {
    [deps.catalog.products().clone(), deps.catalog.images().clone()]
}

async fn vacuum_tables(deps: &Deps, now: DateTime<Utc>) {
    for table in tables(deps) {
        let name = table.spec().name;
        let limits = VacuumLimits { keep: deps.fleet.keep.rollback, grace: VacuumLimits::GRACE };
        match blocking(move || vacuum(&table, limits, SystemTime::from(now), false)).await {
            Ok(done) if done.files == 0 && done.log_entries == 0 => {}
            Ok(done) => tracing::info!(
                table = name,
                files = done.files,
                bytes = done.bytes,
                log_entries = done.log_entries,
                "vacuumed"
            ),
            Err(e) => tracing::warn!(table = name, error = %e, "could not vacuum, will try again"),
        }
    }
}

async fn compact_and_checkpoint(deps: &Deps) {
    for table in tables(deps) {
        let name = table.spec().name;
        if let Err(e) = blocking(move || keep_table(&table)).await {
            tracing::warn!(table = name, error = %e, "upkeep failed, will try again");
        }
    }
}

fn keep_table(table: &Table) -> Result<(), CatalogError> {
    let Some(snapshot) = table.snapshot()? else { return Ok(()) };
    if snapshot.commits_since_checkpoint() >= COMMITS_PER_CHECKPOINT {
        snapshot.checkpoint()?;
        tracing::info!(
            table = table.spec().name,
            version = snapshot.version(),
            "checkpoint written"
        );
    }
    let pipes: BTreeSet<PipeName> =
        snapshot.files(None)?.iter().filter_map(|f| f.pipe.parse().ok()).collect();
    for pipe in pipes {
        match compact(table, &snapshot, &pipe, CompactionLimits::default()) {
            Ok(None) => {}
            Ok(Some(done)) => tracing::info!(
                table = table.spec().name, %pipe, files_before = done.files_before,
                files_after = done.files_after, dead_rows = done.dead_rows, "pipe compacted"
            ),
            // The other pipes need not wait for this one.
            Err(e) => {
                tracing::warn!(table = table.spec().name, %pipe, error = %e, "could not compact");
            }
        }
    }
    Ok(())
}

/// Runs work on a table off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
) -> Result<T, DutyError> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_is_due_after_its_interval_and_when_the_clock_was_wrong() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let done = |minutes| Done::from([("expiry".to_owned(), now - TimeDelta::minutes(minutes))]);
        assert!(is_due(&Done::new(), "expiry", HOURLY, now), "never done");
        assert!(!is_due(&done(59), "expiry", HOURLY, now));
        assert!(is_due(&done(60), "expiry", HOURLY, now));
        assert!(is_due(&done(-5), "expiry", HOURLY, now), "noted in the future");
        assert!(is_due(&done(1), "vacuum", HOURLY, now), "each has its own time");
    }
}
