//! A night, simulated: `feedfleet fleet simulate`.
//!
//! A night that was recorded or described goes through the scheduler's own decision ([`crate::scaling`]), its pace in
//! growing and shrinking ([`feedfleet_fleet::Pacing`]) and the queues' order, with instances that take a while to
//! start and are taken away by chance. What comes out is how long it takes, how many workers it needs and what it
//! costs: with this fleet, with one that is always on, and with other settings.
//!
//! Nothing here reads a file, a clock or the network. The same night and the same seed give the same figures.
//! `docs/simulate.md` says what is simulated, and what is not.

mod bill;
mod course;
mod crawl;
mod engine;
#[cfg(test)]
mod fixture;
mod folding;
mod image_job;
mod instances;
mod night;
mod outcome;
mod prices;
mod queues;
mod random;
mod read;
mod recorded;
mod requests;
mod settings;
mod svg;
#[cfg(test)]
mod tests;

pub use bill::Bill;
pub use night::{AlwaysOn, Due, Night, PipeGroup, PipeLoad, Variant, Work};
pub use outcome::{Again, Outcome, Point, Simulation};
pub use prices::{InstancePrice, Item, Prices};
pub use read::{Source, read_night, read_variant};
pub use recorded::recorded;
pub use requests::Requests;
pub use settings::{Machines, QueueKind, RowSpeed, Settings, Speed};
pub use svg::svg;

use std::collections::BTreeSet;

/// Tries the night with this fleet, with one that is always on, and with every variant.
pub fn simulate(night: &Night) -> Simulation {
    let pipes = night.pipes();
    let attempt = |name: &str, settings: &Settings| {
        let course = engine::run(&pipes, settings, &night.prices, night.seed);
        Outcome::new(name, night, settings, &pipes, &course)
    };
    let mut outcomes = vec![attempt("this fleet", &night.settings)];
    let workers = night.always_on.workers.unwrap_or(outcomes[0].peak_workers).max(1);
    let kind = night.always_on.kind.as_ref().or(night.settings.machines.types.first());
    if let Some(kind) = kind {
        let always_on = night.settings.always_on(workers, kind);
        outcomes.push(attempt(&format!("always on, {workers}"), &always_on));
    }
    outcomes.extend(night.variants.iter().map(|v| attempt(&v.name, &v.settings)));
    let changed: f64 = pipes.iter().map(|pipe| pipe.rows as f64 * pipe.changed).sum();
    let names = match &night.work {
        Work::Recorded(runs) => {
            runs.iter().map(|run| run.name.as_str()).collect::<BTreeSet<_>>().len()
        }
        Work::Described(_) => pipes.len(),
    };
    Simulation {
        pipes: names as u64,
        runs: pipes.len() as u64,
        products: pipes.iter().map(|pipe| pipe.rows).sum(),
        changed: changed.round() as u64,
        images: pipes.iter().map(|pipe| pipe.images).sum(),
        bytes: pipes.iter().map(|pipe| pipe.bytes).sum(),
        begin_secs: night.begin.as_secs(),
        first_due_secs: outcome::first_due_ms(&pipes) / 1_000,
        nights_a_month: night.nights_a_month,
        seed: night.seed,
        prices: night.prices.source.clone(),
        outcomes,
        compare: night.compare.clone(),
    }
}
