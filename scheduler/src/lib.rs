//! The scheduler: puts due runs on the queue, decides how many workers there should be, folds image
//! receipts, and keeps the tables in shape.
//!
//! Each duty is a reconciler: it looks at what is, compares it with what should be, and does what is
//! missing. It has no memory of its own, so two schedulers at once do no harm, and one that was down
//! catches up.

mod damaged;
pub mod decide;
mod deps;
pub mod desk;
mod due;
mod expiry;
pub mod fleet;
mod fold;
pub mod issue;
mod missing;
mod owner;
pub mod pause;
mod pictures;
mod rescue;
pub mod rollback;
pub mod scaling;
mod share;
#[cfg(test)]
mod testing;
mod upkeep;

pub use deps::Deps;
pub use fleet::{FleetStatus, LocalFleet};
pub use fold::fold_receipts;

use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_config::Config;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between looks at the dead letters.
const DESK_INTERVAL: Duration = Duration::from_secs(60);
/// Between looks for runs that lost their message.
const RESCUE_INTERVAL: Duration = Duration::from_secs(10);
/// Between looks at all reports.
const REPORTS_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Between foldings of image receipts.
const FOLD_INTERVAL: Duration = Duration::from_secs(5);

/// Works until `shutdown`; then stops the fleet in good order and returns.
pub async fn run(deps: Deps, mut fleet: Option<LocalFleet>, shutdown: CancellationToken) {
    let has_fleet = fleet.is_some();
    let folding = every(FOLD_INTERVAL, &shutdown, || fold::fold_receipts(&deps));
    let upkeep = upkeep::keep(&deps, &shutdown);
    let desk = every(DESK_INTERVAL, &shutdown, || desk::tidy(&deps));
    let rescue = every(RESCUE_INTERVAL, &shutdown, || rescue::resend_lost_runs(&deps));
    let reports = every(REPORTS_INTERVAL, &shutdown, || rescue::look_at_all(&deps));
    let ticking = async {
        let mut ticker = Ticker::new(deps.fleet.scheduler.tick);
        while ticker.next(&shutdown).await {
            if deps.issue_due_runs
                && let Some(config) = load_config(&deps)
            {
                due::send_due_runs(&deps, &config).await;
            }
            if let Some(fleet) = &mut fleet {
                fleet.reconcile(&deps).await;
            }
        }
        // Whatever else is going on: workers are told at once.
        if let Some(fleet) = fleet {
            fleet.stop(&deps).await;
        }
    };
    tokio::join!(ticking, rescue, reports, folding, upkeep, desk);
    if has_fleet {
        // The workers' last receipts.
        fold::fold_receipts(&deps).await;
    }
}

/// The configuration as it is now: pipes may come, go and change while the fleet runs. A broken pipe is
/// reported and left out; a broken `fleet.toml` stops nothing that runs.
fn load_config(deps: &Deps) -> Option<Config> {
    match feedfleet_config::load_lenient(&deps.config_folder, deps.environment.as_ref()) {
        Ok((config, errors)) => {
            for error in errors.iter() {
                deps.complain(&error.to_string());
            }
            Some(config)
        }
        Err(errors) => {
            deps.complain(&errors.to_string());
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
