//! What happened in the chaos run, counted.

use feedfleet_tests::Output;
use std::collections::BTreeMap;
use std::fmt;

/// What must have happened in a long run.
const ALL: &[&str] = &[
    "attempts: interrupted",
    "attempts: lost",
    "attempts: retry",
    "checkpoints",
    "compactions",
    "damaged: facts of a snapshot torn",
    "damaged: list of absent products torn",
    "damaged: owner of upkeep",
    "damaged: part of a snapshot cut",
    "damaged: receipt torn",
    "damaged: report torn",
    "damaged: validators torn",
    "partner: busy",
    "partner: corrupt",
    "partner: cut",
    "partner: hang",
    "partner: reset",
    "partner: slow",
    "runs: held",
    "runs: report torn, and mended",
    "runs: resumed",
    "schedulers: killed",
    "schedulers: told to stop",
    "workers: crawl killed",
    "workers: killed",
    "workers: stopped past their leases",
    "workers: told to stop",
];

/// Counts by name.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// Once more.
    pub(super) fn add(&mut self, what: &str) {
        self.add_many(what, 1);
    }

    /// So many times more.
    pub(super) fn add_many(&mut self, what: &str, times: u64) {
        *self.0.entry(what.to_owned()).or_default() += times;
    }

    /// A command that failed and is given again. Only this may be the reason: a process that sleeps holds the
    /// queue for longer than a command waits for it.
    pub(super) fn note_busy_queue(&mut self, output: &Output) {
        assert!(output.all().contains("database is locked"), "{output:?}");
        self.add("commands: the queue was busy");
    }

    /// That every kind of fault happened, and what should come of some.
    pub(super) fn assert_all_happened(&self) {
        for what in ALL {
            assert!(self.0.contains_key(*what), "never: {what}\n{self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:8} {what}"))
    }
}
