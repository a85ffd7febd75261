//! Workers killed with SIGKILL at random moments, and the ledger reconciled with the table afterwards.

use super::nights::{Nights, Random, Row, Shop, rows};
use super::support::{
    Commit, attempts, commits, fleet, is_final, issue, number, report, status, stop,
};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use feedfleet_catalog::{Catalog, Table, read};
use feedfleet_tests::{Fleet, Running, eventually};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// Workers at once.
const WORKERS: usize = 3;
/// A worker is killed this long after its start at the latest: it starts in 50 ms and does a run in 150 ms.
const LONGEST_LIFE_MS: u64 = 400;
/// Workers are killed for so many seconds a run; those that are started later live on, so that there is an end.
const KILLING_SECS_PER_RUN: u64 = 2;

/// Promises 1, 3 and 5: whatever moment workers are killed at, every run ends, is in the table once, and
/// leaves exactly its night's rows and pictures; and no version of the table shows anything else.
#[test]
fn killed_at_random_moments() {
    let (runs, seed) = (setting("FEEDFLEET_CHAOS_RUNS", 12), setting("FEEDFLEET_CHAOS_SEED", 1));
    println!("chaos: {runs} runs, seed {seed}");
    let mut chaos = Chaos::new(seed, runs);
    let begun = Instant::now();
    eventually(Duration::from_secs(120 + 10 * runs), "every run to end", || {
        chaos.step().then_some(())
    });
    let seconds = begun.elapsed().as_secs();
    let kills = chaos.kills;
    let (fleet, pipes) = chaos.end();
    println!("chaos: {kills} workers killed in {seconds} s");
    reconcile(&fleet, &pipes);
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{name} is '{text}': {e}")),
        Err(_) => default,
    }
}

/// A pipe, its nights so far, and what the table must hold after each.
struct Pipe {
    name: String,
    /// Whether its pictures are mirrored. All are of one host, whose few groups would else be locked by dead
    /// workers most of the time.
    mirrors: bool,
    nights: Nights,
    nights_to_go: u64,
    running: Option<i64>,
    ended: Vec<(i64, Vec<Row>)>,
}

impl Pipe {
    /// Notes the end of the present run, and issues the next; whether all have ended.
    fn advance(&mut self, fleet: &Fleet, shop: &Shop) -> bool {
        if let Some(run) = self.running {
            if !is_final(&report(fleet, &self.name, run)) {
                return false;
            }
            self.running = None;
            self.nights.committed(run);
            self.ended.push((run, self.nights.rows()));
        }
        if self.nights_to_go == 0 {
            return true;
        }
        if !self.ended.is_empty() {
            self.nights.pass();
        }
        shop.publish(&self.name, &self.nights);
        self.running = Some(issue(fleet, &self.name));
        self.nights_to_go -= 1;
        false
    }
}

/// A worker, and when it is killed; none: never.
struct Victim {
    worker: Running,
    dies_at: Option<Instant>,
}

struct Chaos {
    // Dropped first: workers before the folder they work in.
    workers: Vec<Victim>,
    random: Random,
    shop: Shop,
    fleet: Fleet,
    pipes: Vec<Pipe>,
    kills: u64,
    killing_until: Instant,
}

impl Chaos {
    fn new(seed: u64, runs: u64) -> Self {
        // Here every kill is a failed attempt, and shall not make the run a dead letter.
        let fleet = fleet("visibility = \"10s\"\nmax_receives = 1000", "max = 3");
        let (shop, mut random) = (Shop::open(), Random::new(seed));
        let count = (runs / 2).clamp(1, 24);
        let mut pipes = Vec::new();
        for n in 0..count {
            let name = format!("pipe-{n}");
            let mirrors = n % 2 == 0;
            shop.write_pipe(&fleet, &name, mirrors);
            pipes.push(Pipe {
                name,
                mirrors,
                nights: Nights::new(random.below(u64::MAX), 40),
                nights_to_go: runs / count + u64::from(n < runs % count),
                running: None,
                ended: Vec::new(),
            });
        }
        let killing_until = Instant::now() + Duration::from_secs(KILLING_SECS_PER_RUN * runs);
        Self { workers: Vec::new(), random, shop, fleet, pipes, kills: 0, killing_until }
    }

    /// Issues what is next, kills whose time has come, and starts a worker where there is work; whether all
    /// is done.
    fn step(&mut self) -> bool {
        let mut all_ended = true;
        for pipe in &mut self.pipes {
            all_ended &= pipe.advance(&self.fleet, &self.shop);
        }
        self.workers.retain_mut(|victim| {
            assert!(victim.worker.is_running(), "ended by itself: {}", victim.worker.stderr());
            // What is not kept is dropped, which is SIGKILL.
            victim.dies_at.is_none_or(|at| Instant::now() < at)
        });
        let status = status(&self.fleet);
        let sum = |field: &str| number(&status, "crawl", field) + number(&status, "image", field);
        if all_ended && sum("visible") + sum("in_flight") == 0 {
            return true;
        }
        if sum("runnable_groups") > 0 && self.workers.len() < WORKERS {
            let now = Instant::now();
            let dies_at = (now < self.killing_until).then(|| {
                self.kills += 1;
                now + Duration::from_millis(self.random.below(LONGEST_LIFE_MS))
            });
            self.workers.push(Victim { worker: self.fleet.spawn(&["worker"]), dies_at });
        }
        false
    }

    /// Stops who lives.
    fn end(mut self) -> (Fleet, Vec<Pipe>) {
        for victim in &mut self.workers {
            stop(&mut victim.worker);
        }
        (self.fleet, self.pipes)
    }
}

/// Compares reports, log, rows, pictures and queues with what must be, and prints a tally.
fn reconcile(fleet: &Fleet, pipes: &[Pipe]) {
    let (mut runs, mut lost, mut tried, mut pictures) = (0, 0, 0, 0);
    let mut issued = BTreeSet::new();
    for pipe in pipes {
        for (run, _) in &pipe.ended {
            let report = report(fleet, &pipe.name, *run);
            assert_eq!(report["state"], "done", "{report:#}");
            assert!(!report["finished_at"].is_null(), "{report:#}");
            runs += 1;
            tried += attempts(&report).len();
            lost += attempts(&report).iter().filter(|a| a["end"].is_null()).count();
            issued.insert((format!("{}/feed", pipe.name), *run));
        }
        let reports = fs::read_dir(fleet.path("var/objects/reports").join(&pipe.name));
        assert_eq!(reports.expect("the pipe has reports").count(), pipe.ended.len());
        let products = fleet.products(&pipe.name);
        assert_eq!(rows(&products), pipe.nights.rows(), "{}", pipe.name);
        let keys = products.iter().map(|p| p.text("image_key"));
        for key in keys.filter(|key| pipe.mirrors && !key.is_empty()) {
            assert!(fleet.path("var/objects").join(key).is_file(), "{key} is not there");
            pictures += 1;
        }
    }

    let commits = commits(fleet);
    let committed: BTreeSet<_> = commits.iter().map(|c| (c.app.clone(), c.run)).collect();
    assert_eq!(committed.len(), commits.len(), "a run is in the table twice: {commits:#?}");
    assert_eq!(committed, issued);
    assert_every_version(fleet, pipes, &commits);

    let status = status(fleet);
    for queue in ["crawl", "image"] {
        assert_eq!(number(&status, queue, "dead"), 0, "dead letters in {queue}");
    }
    println!(
        "chaos: {runs} runs done in {tried} noted attempts, of which {lost} were lost; {} commits, \
         {pictures} pictures",
        commits.len()
    );
}

/// At each version, the pipe that it changed has the rows of that run's night.
fn assert_every_version(fleet: &Fleet, pipes: &[Pipe], commits: &[Commit]) {
    let catalog = Catalog::open(&fleet.path("var/catalog")).expect("the catalog can be opened");
    for commit in commits {
        let of_commit = |pipe: &&Pipe| commit.app == format!("{}/feed", pipe.name);
        let pipe = pipes.iter().find(of_commit).expect("only these pipes commit");
        let night = pipe.ended.iter().find(|(run, _)| *run == commit.run);
        let (_, expected) = night.expect("only issued runs commit");
        let found = rows_at(catalog.products(), commit.version, &pipe.name);
        assert_eq!(found, *expected, "{commit:?}");
    }
}

fn rows_at(table: &Table, version: u64, pipe: &str) -> Vec<Row> {
    let snapshot = table.snapshot_at(version).expect("the table's log can be read");
    let snapshot = snapshot.expect("the version exists");
    let name = pipe.parse().expect("a pipe's name");
    let mut found = Vec::new();
    for file in snapshot.files(Some(&name)).expect("the table's log can be read") {
        let columns = ["id", "title", "price", "run"];
        read::for_each_batch(&snapshot, &file, Some(&columns), |rows| {
            let column = |name| rows.batch.column_by_name(name).expect("the file has the column");
            let (ids, titles) =
                (column("id").as_string::<i32>(), column("title").as_string::<i32>());
            let prices = column("price").as_primitive::<Decimal128Type>();
            let runs = column("run").as_primitive::<Int64Type>();
            for row in rows.live() {
                let price = prices.is_valid(row).then(|| prices.value(row) as i64);
                let (id, title) = (ids.value(row).to_owned(), titles.value(row).to_owned());
                found.push((id, title, price, runs.value(row)));
            }
            Ok(())
        })
        .expect("a data file can be read");
    }
    found.sort();
    found
}
