//! The chaos run: processes that are killed, stopped and told to stop at random moments, a partner whose
//! server misbehaves, and objects that are damaged, while many pipes go through their nights. Afterwards
//! everything is reconciled with everything else, and a tally is printed.
//!
//! The seed decides the nights, what the partner's server does to each, what befalls each process in the order
//! of their starts and how long after its start, and what is damaged at each death. When that is in the course
//! of a run depends on the machine: the same seed draws the same faults, and meets other moments.

mod damage;
mod ledger;
mod leftovers;
mod partner;
mod pictures;
mod pipe;
mod reconcile;
mod tally;
mod victim;

use super::nights::Random;
use super::support::{SOON, fleet, number};
use damage::Damage;
use feedfleet_tests::{Fleet, eventually};
use partner::Partner;
use pipe::Pipe;
use reconcile::reconcile;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant, SystemTime};
use tally::Tally;
use victim::{Event, Plan, Victim};

/// Workers at once, those that sleep or are leaving not counted.
const WORKERS: usize = 3;
/// There is trouble for so long a run; what is started later lives on, so that there is an end.
const TROUBLE_MS_PER_RUN: u64 = 1500;
/// With so many runs every kind of fault must have happened.
const MANY_RUNS: u64 = 300;

/// Promises 1, 2, 3, 4, 5, 9, 12 and 13: whatever befalls workers, crawls, schedulers, sources and objects,
/// every run ends, is in the table once, and leaves exactly its night's rows and pictures; no version of the
/// table shows anything else, and nothing is left over.
#[test]
fn faults_at_random_moments() {
    let (runs, seed) = (setting("FEEDFLEET_CHAOS_RUNS", 12), setting("FEEDFLEET_CHAOS_SEED", 1));
    println!("chaos: {runs} runs, seed {seed}");
    let begun = Instant::now();
    let mut chaos = Chaos::new(seed, runs);
    eventually(Duration::from_secs(120 + 10 * runs), "every run to end", || {
        chaos.step().then_some(())
    });
    let mut aftermath = chaos.end();
    reconcile(&mut aftermath);
    println!("chaos: {} s\n{}", begun.elapsed().as_secs(), aftermath.tally);
    if runs >= MANY_RUNS {
        aftermath.tally.assert_all_happened();
    }
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{name} is '{text}': {e}")),
        Err(_) => default,
    }
}

struct Chaos {
    // Dropped first: processes before the folder they work in.
    workers: Vec<Victim>,
    scheduler: Option<Victim>,
    fleet: Fleet,
    partner: Partner,
    pipes: Vec<Pipe>,
    worker_plans: Random,
    scheduler_plans: Random,
    damage: Damage,
    /// The last one has been started: nothing befalls any report after it.
    has_last_scheduler: bool,
    trouble_until: Instant,
    last_kill: SystemTime,
    tally: Tally,
}

/// What is left when all have gone.
struct Aftermath {
    fleet: Fleet,
    partner: Partner,
    pipes: Vec<Pipe>,
    /// When the last process was killed.
    last_kill: SystemTime,
    tally: Tally,
}

impl Chaos {
    fn new(seed: u64, runs: u64) -> Self {
        // Here every kill is a failed attempt, and shall not make the run a dead letter.
        let fleet = fleet("visibility = \"10s\"\nmax_receives = 1000", "max = 3");
        let (partner, mut random) = (Partner::open(), Random::new(seed));
        let mut part = || Random::new(random.below(u64::MAX));
        let (worker_plans, scheduler_plans) = (part(), part());
        let damage = Damage::new(part());
        let count = (runs / 2).clamp(1, 24);
        let pipes = (0..count)
            .map(|n| {
                Pipe::new(&fleet, &partner, n, runs / count + u64::from(n < runs % count), part())
            })
            .collect();
        Self {
            workers: Vec::new(),
            scheduler: None,
            fleet,
            partner,
            pipes,
            worker_plans,
            scheduler_plans,
            damage,
            has_last_scheduler: false,
            trouble_until: Instant::now() + Duration::from_millis(TROUBLE_MS_PER_RUN * runs),
            last_kill: SystemTime::now(),
            tally: Tally::default(),
        }
    }

    fn is_troubled(&self) -> bool {
        Instant::now() < self.trouble_until
    }

    /// Does what is due to the processes, issues what is next, and starts a worker where there is work; whether
    /// all is done.
    fn step(&mut self) -> bool {
        self.strike_workers();
        self.strike_scheduler();
        let is_troubled = self.is_troubled();
        let mut all_ended = true;
        for pipe in &mut self.pipes {
            let ended = pipe.advance(&self.fleet, &self.partner, is_troubled, &mut self.tally);
            all_ended &= ended;
        }
        let Some(status) = self.status() else { return false };
        let sum = |field: &str| number(&status, "crawl", field) + number(&status, "image", field);
        if all_ended && sum("visible") + sum("in_flight") == 0 {
            if self.pipes.iter().all(|pipe| pipe.has_its_reports(&self.fleet)) {
                return true;
            }
            // Reports that were torn after newer runs: a scheduler looks at all of them when it starts.
            if !is_troubled && !self.has_last_scheduler {
                self.has_last_scheduler = true;
                self.scheduler.iter_mut().for_each(Victim::end);
            }
        }
        let at_work = self.workers.iter().filter(|worker| worker.is_at_work()).count();
        if sum("runnable_groups") > 0 && at_work < WORKERS {
            let plan =
                if is_troubled { Plan::of_worker(&mut self.worker_plans) } else { Plan::none() };
            self.workers.push(Victim::worker(&self.fleet, plan));
            self.tally.add("workers started");
        }
        false
    }

    fn strike_workers(&mut self) {
        let (pipes, tally) = (&self.pipes, &mut self.tally);
        let (mut dead, mut has_killed) = (Vec::new(), false);
        self.workers.retain_mut(|worker| {
            let pid = worker.pid();
            // A second failure costs the run half a minute: the crawls that are killed are in their first attempt.
            let event = worker.look(|| pipes.iter().any(|pipe| pipe.has_first_attempt_of(pid)));
            if let Some(word) = event.word() {
                tally.add(&format!("workers: {word}"));
            }
            has_killed |= matches!(event, Event::Killed | Event::CrawlKilled);
            if event == Event::Killed {
                dead.push(pid);
            }
            !matches!(event, Event::Killed | Event::Left)
        });
        if has_killed {
            self.last_kill = SystemTime::now();
        }
        for pid in dead {
            if let Some(what) = self.damage.after_death(&self.fleet, &mut self.pipes, pid) {
                self.tally.add(&format!("damaged: {what}"));
            }
        }
    }

    /// Does to the scheduler what is due. There is always one.
    fn strike_scheduler(&mut self) {
        let event =
            self.scheduler.as_mut().map_or(Event::Left, |scheduler| scheduler.look(|| false));
        if let Some(word) = event.word() {
            self.tally.add(&format!("schedulers: {word}"));
        }
        if event == Event::Killed {
            self.last_kill = SystemTime::now();
            // What it owned would be its for five minutes; what cannot be read is nobody's.
            damage::tear_owner(&self.fleet);
            self.tally.add("damaged: owner of upkeep");
        }
        if matches!(event, Event::Killed | Event::Left) {
            let is_troubled = self.is_troubled();
            let random = &mut self.scheduler_plans;
            let plan = if is_troubled { Plan::of_scheduler(random) } else { Plan::none() };
            self.scheduler = Some(Victim::scheduler(&self.fleet, plan));
        }
    }

    /// `feedfleet fleet status`; none while the queue cannot be had.
    fn status(&mut self) -> Option<Value> {
        let output = self.fleet.run(&["fleet", "status", "--json"]);
        if output.code == Some(0) {
            return Some(output.json());
        }
        self.tally.note_busy_queue(&output);
        None
    }

    /// Stops who lives, when the last receipts are folded.
    fn end(mut self) -> Aftermath {
        self.trouble_until = Instant::now();
        for worker in &mut self.workers {
            worker.end();
        }
        eventually(SOON, "the receipts to be folded", || {
            self.strike_scheduler();
            (!has_receipts(&self.fleet)).then_some(())
        });
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.end();
        }
        let Self { fleet, partner, pipes, last_kill, tally, .. } = self;
        Aftermath { fleet, partner, pipes, last_kill, tally }
    }
}

/// Whether there are receipts beside those that nobody can read.
fn has_receipts(fleet: &Fleet) -> bool {
    let entries = fs::read_dir(fleet.path("var/objects/receipts")).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| !name.starts_with(damage::TORN))
}
