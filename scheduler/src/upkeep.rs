//! Upkeep: what keeps tables and objects in shape, each duty at its own pace, by one scheduler at a time.
//!
//! Every duty looks at what is and does what is missing, in steps that may be cut short anywhere. A duty that
//! fails is tried again at its next turn.

mod keeper;

use crate::Ticker;
use crate::deps::Deps;
use crate::newest::Newest;
use crate::owner::{Done, Owner};
use crate::store::StoreUse;
use crate::{expiry, load_config, missing, pictures};
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_catalog::vacuum::{VacuumLimits, vacuum};
use feedfleet_catalog::{CatalogError, Table};
use feedfleet_model::PipeName;
use feedfleet_objects::{ObjectError, ReportError};
use feedfleet_queue::QueueError;
use keeper::Keeper;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Between turns.
const TURN: Duration = Duration::from_secs(60);
/// Between signs of life while a turn lasts.
const RENEWAL: Duration = Duration::from_secs(60);
/// Between looks for what has expired, and between vacuums.
const HOURLY: TimeDelta = TimeDelta::hours(1);
/// Between looks for missing pictures.
const MISSING_INTERVAL: TimeDelta = TimeDelta::minutes(10);
/// A turn begins no other sweep of a pipe's pictures after this long: all pipes may be due together, and the other duties
/// are not to wait for them.
const SWEEPING_TIME: TimeDelta = TimeDelta::minutes(1);

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
    let mut upkeep = Upkeep::new(deps);
    let owner = upkeep.owner.clone();
    let mut products = Keeper::new(upkeep.tables.products.clone());
    let mut images = Keeper::new(upkeep.tables.images.clone());
    let mut owned = upkeep.owned.subscribe();
    // On their own: however long the other duties take, a busy night has its checkpoints.
    let tables = async {
        let mut ticker = Ticker::new(TURN);
        while ticker.next(shutdown).await && owned.wait_for(|owned| *owned).await.is_ok() {
            tokio::join!(products.keep(), images.keep());
        }
    };
    let others = async {
        let mut ticker = Ticker::new(TURN);
        while ticker.next(shutdown).await {
            upkeep.turn().await;
        }
    };
    let both = async { tokio::join!(tables, others) };
    tokio::select! {
        ((), ()) = both => {}
        () = shutdown.cancelled() => {}
    }
    if let Err(e) = owner.release(deps.clock.now()).await {
        tracing::warn!(error = %e, "could not release upkeep, another scheduler takes it over in minutes");
    }
}

/// The tables as upkeep last saw them.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) products: Newest,
    pub(crate) images: Newest,
}

impl Tables {
    pub(crate) fn new(deps: &Deps) -> Self {
        Self {
            products: Newest::new(deps.catalog.products().clone()),
            images: Newest::new(deps.catalog.images().clone()),
        }
    }
}

/// The duties other than compaction and checkpoints, and what they remember: nothing that they need, and much that they
/// need not ask for again.
pub(crate) struct Upkeep<'a> {
    deps: &'a Deps,
    owner: Arc<Owner>,
    /// Whether upkeep was this scheduler's when it was last asked.
    owned: watch::Sender<bool>,
    tables: Tables,
    missing: missing::Memory,
    /// Duties that failed, and when: they are not noted as done, and not tried at every turn.
    failed: Done,
    sweeping_time: TimeDelta,
}

impl<'a> Upkeep<'a> {
    pub(crate) fn new(deps: &'a Deps) -> Self {
        Self {
            deps,
            owner: Arc::new(Owner::new(deps.objects.clone(), deps.clock.now())),
            owned: watch::Sender::new(false),
            tables: Tables::new(deps),
            missing: missing::Memory::default(),
            failed: Done::new(),
            sweeping_time: SWEEPING_TIME,
        }
    }

    /// One turn, if upkeep is this scheduler's.
    pub(crate) async fn turn(&mut self) {
        let deps = self.deps;
        let owner = self.owner.clone();
        let owned = self.owned.clone();
        let done = match owner.hold(deps.clock.now()).await {
            Ok(done) => {
                owned.send_replace(done.is_some());
                done
            }
            Err(e) => {
                tracing::warn!(error = %e, "could not find out who does upkeep, will try again");
                return;
            }
        };
        let Some(done) = done else { return };
        let work = self.do_what_is_due(&done);
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => return,
                () = tokio::time::sleep(RENEWAL) => {
                    // Lost or not: the work goes on, for it is safe beside another owner's.
                    match owner.hold(deps.clock.now()).await {
                        Ok(done) => {
                            owned.send_replace(done.is_some());
                        }
                        Err(e) => {
                            tracing::warn!(error = %e, "could not renew the ownership of upkeep");
                        }
                    }
                }
            }
        }
    }

    /// Vacuum comes before the pictures: what its files named may go next.
    async fn do_what_is_due(&mut self, done: &Done) {
        let (deps, owner) = (self.deps, &*self.owner);
        let due = |duty: &str, interval| is_due(done, duty, interval, deps.clock.now());
        let now = deps.clock.now();
        if due("vacuum", vacuum_interval(deps)) && is_due(&self.failed, "vacuum", HOURLY, now) {
            if vacuum_tables(deps, now).await {
                self.failed.remove("vacuum");
                note(owner, "vacuum", now).await;
            } else {
                self.failed.insert("vacuum".to_owned(), now);
            }
        }
        if due("expiry", HOURLY) {
            let now = deps.clock.now();
            expiry::expire(deps, now).await;
            note(owner, "expiry", now).await;
        }
        let begins = due("missing", MISSING_INTERVAL);
        if (begins || self.missing.is_waiting())
            && let Some(config) = load_config(deps)
        {
            let now = deps.clock.now();
            missing::request_missing(deps, &config, &self.tables, &mut self.missing, now).await;
            if begins {
                note(owner, "missing", now).await;
            }
        }
        self.sweep_pictures(done).await;
    }

    /// Deletes pictures that nothing shows, of one pipe after the other. What this turn has no time for is left to the
    /// next.
    async fn sweep_pictures(&mut self, done: &Done) {
        let deps = self.deps;
        let between_sweeps = StoreUse::of(&deps.fleet.objects.place).between_sweeps;
        let began = deps.clock.now();
        let pipes = self.pipes_with_pictures().await;
        for pipe in pipes {
            let now = deps.clock.now();
            let duty = format!("pictures/{pipe}");
            if !is_due(done, &duty, between_sweeps, now)
                || !is_due(&self.failed, &duty, HOURLY, now)
            {
                continue;
            }
            match pictures::remove_unshown(deps, &pipe, now).await {
                Ok(Some(removed)) => {
                    tell_of(&pipe, removed);
                    self.failed.remove(&duty);
                    note(&self.owner, &duty, now).await;
                }
                // A run of the pipe is under way: not now, but soon.
                Ok(None) => {}
                Err(e) => {
                    tracing::warn!(%pipe, error = %e, "could not look for pictures to delete, will try again in an hour");
                    self.failed.insert(duty, now);
                }
            }
            if deps.clock.now() - began >= self.sweeping_time {
                return;
            }
        }
    }

    async fn pipes_with_pictures(&self) -> Vec<PipeName> {
        let images = self.tables.images.clone();
        match blocking(move || images.look()).await {
            Ok(Some(state)) => state.files.keys().cloned().collect(),
            Ok(None) => Vec::new(),
            Err(e) => {
                tracing::warn!(error = %e, "could not list the pipes with pictures, will try again");
                Vec::new()
            }
        }
    }
}

/// A vacuum reads every entry of the window. In a store that is worth its requests once a day.
fn vacuum_interval(deps: &Deps) -> TimeDelta {
    if deps.catalog.products().folder().is_some() { HOURLY } else { TimeDelta::days(1) }
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

fn tell_of(pipe: &PipeName, removed: pictures::Removed) {
    if removed != pictures::Removed::default() {
        tracing::info!(
            %pipe, pictures = removed.pictures, bytes = removed.bytes, entries = removed.entries,
            "pictures expired"
        );
    }
}

fn tables(deps: &Deps) -> [Table; 2] {
    [deps.catalog.products().clone(), deps.catalog.images().clone()]
}

/// Whether all of them could be.
async fn vacuum_tables(deps: &Deps, now: DateTime<Utc>) -> bool {
    let mut all = true;
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
            Err(e) => {
                tracing::warn!(table = name, error = %e, "could not vacuum, will try again in an hour");
                all = false;
            }
        }
    }
    all
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
    use crate::testing::{World, entry};
    use feedfleet_catalog::images;
    use feedfleet_model::image::{ImageEntry, ImageStatus};
    use feedfleet_model::report::{RunState, Trigger};
    use feedfleet_model::{RunId, RunKey, RunReport};

    /// Other duties need not wait until the pictures of all pipes are looked at.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_turn_sweeps_some_pipes_and_the_next_goes_on() {
        let world = World::new();
        world.add_rows(1, &["a"]);
        for name in ["aaa", "acme"] {
            let pipe: PipeName = name.parse().unwrap();
            let seen = ImageEntry {
                pipe: pipe.clone(),
                ..entry("a", 1, ImageStatus::Stored, world.now())
            };
            images::fold(world.deps.catalog.images(), &pipe, &[seen]).unwrap();
            let key = RunKey { pipe, run: RunId(1) };
            let mut report = RunReport::new(key, Trigger::Schedule, world.now());
            report.state = RunState::Done;
            assert!(world.deps.reports().create(&report).await.unwrap());
        }
        let mut upkeep = Upkeep::new(&world.deps);
        upkeep.sweeping_time = TimeDelta::zero();
        for expected in [vec!["pictures/aaa"], vec!["pictures/aaa", "pictures/acme"]] {
            upkeep.turn().await;
            let done = upkeep.owner.hold(world.now()).await.unwrap().unwrap();
            let swept: Vec<&String> =
                done.keys().filter(|duty| duty.starts_with("pictures/")).collect();
            assert_eq!(swept, expected);
        }
    }

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
