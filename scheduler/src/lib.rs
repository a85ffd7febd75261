//! The scheduler: puts due runs on the queue, decides how many workers there should be, folds image
//! receipts, and keeps the tables in shape.
//!
//! Each duty is a reconciler: it looks at what is, compares it with what should be, and does what is
//! missing. What it remembers saves requests and decides nothing, so two schedulers at once do no harm, and one that was
//! down catches up.

mod damaged;
pub mod decide;
mod deps;
pub mod desk;
pub mod diagnose;
mod due;
mod expiry;
pub mod fleet;
mod fold;
pub mod issue;
mod metrics;
mod missing;
mod newest;
mod owner;
pub mod pause;
mod pictures;
mod rescue;
pub mod rollback;
pub mod scaling;
mod seen;
mod share;
pub mod simulate;
mod store;
#[cfg(test)]
mod testing;
mod upkeep;

pub use deps::Deps;
pub use fleet::{FleetStatus, LocalFleet};
pub use fold::fold_receipts;
pub use metrics::Meters;

use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_config::Config;
use feedfleet_fleet::Fleet;
use futures::future::BoxFuture;
use std::time::Duration;
use store::StoreUse;
use tokio_util::sync::CancellationToken;

/// Between looks at the dead letters.
const DESK_INTERVAL: Duration = Duration::from_secs(60);
/// How long the workers' last receipts may take at the end; what is left waits for the next scheduler.
const LAST_FOLDING: Duration = Duration::from_secs(30);
/// How long the last look for figures may take at the end, and as long their publication.
const LAST_FIGURES: Duration = Duration::from_secs(5);
/// Between looks at all reports.
const REPORTS_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Works until `shutdown`; then stops the fleet in good order and returns.
///
/// In a box, so that all of it is compiled with this crate, and not by each that waits for it.
pub fn run(
    deps: Deps,
    fleet: Option<Box<dyn Fleet>>,
    shutdown: CancellationToken,
) -> BoxFuture<'static, ()> {
    Box::pin(work(deps, fleet, shutdown))
}

async fn work(deps: Deps, mut fleet: Option<Box<dyn Fleet>>, shutdown: CancellationToken) {
    let has_fleet = fleet.is_some();
    let store = StoreUse::of(&deps.fleet.objects.place);
    let folding = every(store.fold_interval, &shutdown, || fold::fold_receipts(&deps));
    let upkeep = upkeep::keep(&deps, &shutdown);
    let letters = desk::Letters::default();
    let desk = every(DESK_INTERVAL, &shutdown, || desk::tidy(&deps, &letters));
    let watch = rescue::Watch::of(&deps.fleet);
    let lost = || rescue::resend_lost_runs(&deps, &watch);
    let rescue = every(store.rescue_interval, &shutdown, lost);
    let figures = publish_figures(&deps, &shutdown);
    let issuing = issue_due_runs(&deps, &watch, &shutdown);
    let reports = every(REPORTS_INTERVAL, &shutdown, || rescue::look_at_all(&deps, &watch));
    // On its own: however long the others take, the fleet follows the work.
    let ticking = async {
        let mut ticker = Ticker::new(deps.fleet.scheduler.tick);
        let mut known = fleet::Known::default();
        while ticker.next(&shutdown).await {
            if fleet.is_none() && deps.meters.is_none() {
                continue;
            }
            let look = fleet::tick(&deps, fleet.as_deref_mut(), &mut known).await;
            if let Some(look) = &look {
                watch.note_crawls(&look.crawl, deps.clock.now());
            }
            if let Some(meters) = &deps.meters {
                meters.note_tick(deps.clock.now(), look);
            }
        }
        // Whatever else is going on: workers are told at once.
        if let Some(fleet) = &mut fleet {
            fleet::stop(&deps, fleet.as_mut()).await;
        }
    };
    let telling = async {
        if !has_fleet {
            every(fleet::ALONE_INTERVAL, &shutdown, || fleet::publish_alone(&deps)).await;
            if tokio::time::timeout(LAST_FIGURES, fleet::leave(&deps)).await.is_err() {
                tracing::warn!("the scheduler's word that it runs stays for a minute");
            }
        }
    };
    tokio::join!(ticking, issuing, rescue, reports, folding, upkeep, desk, figures, telling);
    if has_fleet {
        // The workers' last receipts.
        if tokio::time::timeout(LAST_FOLDING, fold::fold_receipts(&deps)).await.is_err() {
            tracing::info!("image receipts are left for the next scheduler");
        }
    }
    if deps.meters.is_some() {
        // The next scheduler counts nothing of what ended before it began.
        watch.stir();
        let look = rescue::resend_lost_runs(&deps, &watch);
        let looked = tokio::time::timeout(LAST_FIGURES, look).await;
        let published = tokio::time::timeout(LAST_FIGURES, metrics::publish(&deps)).await;
        if looked.is_err() || published.is_err() {
            tracing::warn!("figures of the last minutes may be missing");
        }
    }
}

/// Publishes figures each minute. Counts on their way are not cut short at once: nobody would know whether they were
/// taken.
async fn publish_figures(deps: &Deps, shutdown: &CancellationToken) {
    let mut ticker = Ticker::new(metrics::INTERVAL);
    while ticker.next(shutdown).await {
        let patience = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_FIGURES).await;
        };
        tokio::select! {
            () = metrics::publish(deps) => {}
            () = patience => return,
        }
    }
}

/// Issues what pipes' schedules ask for, at every tick.
async fn issue_due_runs(deps: &Deps, watch: &rescue::Watch, shutdown: &CancellationToken) {
    let mut ticker = Ticker::new(deps.fleet.scheduler.tick);
    let mut issued = due::Issued::default();
    while deps.issue_due_runs && ticker.next(shutdown).await {
        let Some(config) = load_config(deps) else { continue };
        tokio::select! {
            tried = due::send_due_runs(deps, &config, &mut issued) => {
                // Whatever came of it: a run that was created and not sent is looked for.
                if tried {
                    watch.stir();
                }
            }
            () = shutdown.cancelled() => return,
        }
    }
}

/// The configuration as it is now: pipes may come, go and change while the fleet runs. A broken pipe is
/// reported and left out; a broken `fleet.toml` stops nothing that runs.
fn load_config(deps: &Deps) -> Option<Config> {
    match feedfleet_config::load_lenient(&deps.config_folder, deps.environment.as_ref()) {
        Ok((config, errors)) => {
            for error in errors.iter() {
                deps.complain(&error.one_line());
            }
            Some(config)
        }
        Err(errors) => {
            deps.complain(&errors.one_line());
            None
        }
    }
}

/// Does a duty again and again. Each can be cut short at any point, as a kill would.
async fn every<F: Future<Output = ()>>(
    interval: Duration,
    shutdown: &CancellationToken,
    mut duty: impl FnMut() -> F,
) {
    let mut ticker = Ticker::new(interval);
    while ticker.next(shutdown).await {
        tokio::select! {
            () = duty() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

struct Ticker(tokio::time::Interval);

impl Ticker {
    fn new(interval: Duration) -> Self {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self(interval)
    }

    /// Waits for the next tick; false when it is time to stop.
    async fn next(&mut self, shutdown: &CancellationToken) -> bool {
        tokio::select! {
            _ = self.0.tick() => !shutdown.is_cancelled(),
            () = shutdown.cancelled() => false,
        }
    }
}

/// The moment that lies `time` before `now`; the epoch at the earliest.
fn before(now: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let then = TimeDelta::from_std(time).ok().and_then(|time| now.checked_sub_signed(time));
    then.map_or(DateTime::UNIX_EPOCH, |then| then.max(DateTime::UNIX_EPOCH))
}

/// Seconds since `then`, not negative.
fn age(now: DateTime<Utc>, then: DateTime<Utc>) -> Duration {
    (now - then).to_std().unwrap_or_default()
}
