//! What holds for every night.

use super::course::Course;
use super::engine;
use super::instances::IDLE_BEFORE_RELEASE_MS;
use super::night::PipeLoad;
use super::requests::{BEACON_MS, MISSING_SECS, PART_BYTES, POLL_WAIT_MS, PROGRESS_MS, TURN_SECS};
use super::settings::Settings;
use super::{Night, Outcome, Work, fixture, simulate};
use feedfleet_model::image_jobs::BATCH;
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

fn course(pipes: &[PipeLoad], settings: &Settings) -> Course {
    engine::run(pipes, settings, &fixture::prices(), 1)
}

/// Pipes with a host each.
fn pipes(count: usize, change: impl Fn(usize, &mut PipeLoad)) -> Vec<PipeLoad> {
    let pipe = |n: usize| {
        let mut pipe = PipeLoad { image_host: n, ..fixture::pipe(&format!("pipe-{n}")) };
        change(n, &mut pipe);
        pipe
    };
    (0..count).map(pipe).collect()
}

/// A fleet of so many workers that are there from the beginning, and stay.
fn fixed(workers: u32) -> Settings {
    let mut settings = fixture::settings();
    (settings.workers.min, settings.workers.max) = (workers, workers);
    settings
}

fn last(course: &Course) -> u64 {
    let runs = course.runs_done.iter().map(|done| done.expect("every run is done")).max();
    runs.into_iter().chain(course.images_done).max().unwrap_or(0)
}

/// This crate cannot name the worker's constants, so the simulator has copies.
#[test]
fn the_simulators_times_are_those_of_the_code() {
    let seconds = |name: &str, millis: u64| {
        format!("const {name}: Duration = Duration::from_secs({});", millis / 1_000)
    };
    let minutes = |name: &str, secs: u64| {
        format!("const {name}: TimeDelta = TimeDelta::minutes({});", secs / 60)
    };
    let parts = format!("const PART_BYTES: usize = {} * 1024 * 1024;", PART_BYTES >> 20);
    for (file, line) in [
        ("worker/src/consumer.rs", seconds("PAID_POLL_WAIT", POLL_WAIT_MS)),
        ("worker/src/status.rs", seconds("PAID_BEACON", BEACON_MS)),
        ("worker/src/jobs/crawl/mod.rs", seconds("PAID_PROGRESS", PROGRESS_MS)),
        ("worker/src/jobs/crawl/raw.rs", parts),
        ("worker/src/instance.rs", seconds("IDLE_BEFORE_RELEASE", IDLE_BEFORE_RELEASE_MS)),
        ("scheduler/src/upkeep.rs", seconds("TURN", TURN_SECS * 1_000)),
        ("scheduler/src/upkeep.rs", minutes("MISSING_INTERVAL", MISSING_SECS)),
    ] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let source = std::fs::read_to_string(source).unwrap();
        assert!(
            source.contains(&line),
            "{file} has another time or size than the simulator: {line}"
        );
    }
}

#[test]
fn the_fleet_comes_from_zero_and_goes_to_zero() {
    let pipes = pipes(30, |n, pipe| {
        pipe.due_ms = 3_600_000 + n as u64 * 1_000;
        pipe.images = 400;
    });
    let course = course(&pipes, &fixture::settings());
    assert!(course.finished);
    let first = course.instances.iter().map(|instance| instance.launched).min().unwrap();
    assert!((3_600_000..=3_605_000).contains(&first), "at the first tick that sees work: {first}");
    let gone: Vec<_> = course.instances.iter().map(|instance| instance.gone.unwrap()).collect();
    assert!(gone.iter().all(|gone| *gone <= course.ended));
    let end = course.samples.last().unwrap();
    assert_eq!((end.workers, end.desired, end.crawls, end.pictures), (0, 0, 0, 0));
    // Idle for half a minute, unwanted for a minute, and then some seconds.
    assert!(course.ended - last(&course) < 90_000, "{} after {}", course.ended, last(&course));
    assert!(course.peak > 1 && course.peak <= 10, "{}", course.peak);
}

#[test]
fn all_work_is_done_once_however_often_it_is_interrupted() {
    let pipes = pipes(40, |n, pipe| {
        pipe.due_ms = n as u64 * 20_000;
        pipe.rows += n as u64;
        pipe.bytes *= 20;
        pipe.images = 1_000 + n as u64;
    });
    let mut settings = fixture::settings();
    settings.machines.interruptions_per_hour = 12.0;
    let course = course(&pipes, &settings);
    assert!(course.finished);
    let tally = course.tally;
    assert_eq!(tally.rows, pipes.iter().map(|pipe| pipe.rows).sum::<u64>());
    assert_eq!(tally.images, pipes.iter().map(|pipe| pipe.images).sum::<u64>());
    assert!(course.runs_done.iter().all(Option::is_some));
    assert!(tally.interruptions > 3, "{tally:?}");
    assert!(tally.rows_again > 0 && tally.images_again > 0, "{tally:?}");
    // An interruption costs a partner a part of the archive at most, for each crawl in hand.
    assert!(tally.bytes_again <= tally.interruptions * 4 * 1024 * 1024, "{tally:?}");
    let twice = tally.images_again.div_ceil(BATCH as u64);
    let slots = settings.workers.image_slots as u64;
    assert!(twice <= tally.interruptions * slots, "a message for each slot at most: {tally:?}");
}

#[test]
fn the_same_seed_gives_the_same_night() {
    let mut night = fixture::night();
    night.settings.machines.interruptions_per_hour = 2.0;
    night.settings.machines.start_p95 = Duration::from_secs(120);
    night.settings.machines.types.push("dear".into());
    assert_eq!(simulate(&night), simulate(&night));
    let other = simulate(&Night { seed: 2, ..night.clone() });
    assert_ne!(simulate(&night).outcomes, other.outcomes);
}

#[test]
fn a_host_is_never_asked_by_more_than_it_allows() {
    let one_host = pipes(4, |_, pipe| (pipe.images, pipe.image_host) = (2_000, 0));
    let done = |concurrency| {
        let mut settings = fixed(10);
        settings.hosts.concurrency = concurrency;
        let course = course(&one_host, &settings);
        course.images_done.unwrap() - course.runs_done[0].unwrap()
    };
    // 8,000 pictures of 112 ms, and 400 messages of 100 ms besides.
    let alone = 8_000 * 112 + 400 * 100;
    for concurrency in [1, 2, 4] {
        let fair = alone / concurrency as u64;
        let taken = done(concurrency);
        assert!((fair..fair + fair / 10 + 3_000).contains(&taken), "{concurrency}: {taken}");
    }
}

#[test]
fn a_night_costs_what_can_be_worked_out_by_hand() {
    // One pipe, one worker: asked for at the first tick, there after a minute; 3 s and 10 s of work; then idle
    // for 30 s, and unwanted for a minute by the tick.
    let pipes = pipes(1, |_, _| {});
    let settings = fixture::settings();
    let course = course(&pipes, &settings);
    assert_eq!(course.runs_done, [Some(60_000 + 13_000)]);
    assert_eq!(course.instances.len(), 1);
    let gone = course.instances[0].gone.unwrap();
    // The last tick that wanted it was at 70 s; at 135 s that is more than a minute ago. Then ten seconds.
    assert_eq!(gone, 135_000 + 10_000);
    let night = Night { work: Work::Recorded(pipes.clone()), ..fixture::night() };
    let outcome = Outcome::new("hand", &night, &settings, &pipes, &course);
    let hours = 145.0 / 3_600.0;
    assert!((outcome.instance_hours - hours).abs() < 1e-9);
    let item = |name: &str| {
        let items = outcome.bill.night.iter().chain(&outcome.bill.month);
        items.filter(|item| item.name == name).map(|item| item.usd).sum::<f64>()
    };
    assert!((item("spot instances") - hours * 0.1).abs() < 1e-9);
    assert!((item("disk") - hours * 0.01).abs() < 1e-9);
    assert_eq!(item("scheduler"), 10.0);
    assert!((item("nights") - outcome.bill.night_usd * 30.0).abs() < 1e-9);
    let last = outcome.timeline.last().unwrap();
    assert!((last.usd - hours * 0.11).abs() < 1e-9);
    // SQS: sent, received, deleted; and with each wait each line asked that had a free slot: that of crawls 62 of
    // the 75 seconds until it was told to go, that of pictures all of them.
    let asked = (135_000 - 60_000 - 13_000 + 135_000 - 60_000) / POLL_WAIT_MS;
    assert_eq!(outcome.requests.sqs, 3 + asked);
}

#[test]
fn the_table_knows_of_the_last_picture_soon_after_it_is_done() {
    let pipes = pipes(20, |n, pipe| {
        pipe.due_ms = n as u64 * 10_000;
        pipe.images = 2_000;
    });
    let course = course(&pipes, &fixture::settings());
    let (done, folded) = (course.images_done.unwrap(), course.images_folded.unwrap());
    // Before it the wait for the next folding, or the last one; then a second for each pipe.
    assert!((done..done + 80_000).contains(&folded), "{folded} after {done}");
    assert!(course.crawling_ms >= 200_000, "{}", course.crawling_ms);
}

#[test]
fn a_fleet_that_is_always_on_is_paid_for_all_day() {
    let mut night = fixture::night();
    night.always_on.workers = Some(3);
    night.nights_a_month = 20.0;
    let simulation = simulate(&night);
    let always_on = &simulation.outcomes[1];
    assert_eq!(always_on.name, "always on, 3");
    assert_eq!((always_on.peak_workers, always_on.interruptions), (3, 0));
    assert!((always_on.instance_hours - 72.0).abs() < 1e-9);
    let item = |name: &str| {
        let items = always_on.bill.night.iter().chain(&always_on.bill.month);
        items.filter(|item| item.name == name).map(|item| item.usd).sum::<f64>()
    };
    assert!((item("on-demand instances") - 72.0 * 0.2).abs() < 1e-9);
    let idle_days = 365.0 / 12.0 - 20.0;
    assert!((item("days without a night") - idle_days * 72.0 * 0.21).abs() < 1e-6);
}

#[test]
fn a_pipe_that_ran_twice_is_one_pipe() {
    let twice = pipes(3, |n, pipe| pipe.name = format!("pipe-{}", n % 2));
    let recorded = Night { work: Work::Recorded(twice), ..fixture::night() };
    let simulation = simulate(&recorded);
    assert_eq!((simulation.pipes, simulation.runs), (2, 3));
    assert_eq!(simulation.pipes_and_runs(), "3 runs of 2 pipes");
    let once = Night { work: Work::Recorded(pipes(3, |_, _| {})), ..fixture::night() };
    assert_eq!(simulate(&once).pipes_and_runs(), "3 pipes");
}

#[test]
fn a_night_that_cannot_end_says_so() {
    // A partner that sends a byte a second.
    let pipes = pipes(1, |_, pipe| pipe.bytes_per_sec = 1.0);
    let course = course(&pipes, &fixture::settings());
    assert!(!course.finished);
    assert_eq!(course.runs_done, [None]);
    assert_eq!(course.ended, 7 * 86_400_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With a fleet that is there from the beginning, workers more are never a reason to be later: each crawl begins
    /// when it did, or before.
    #[test]
    fn more_workers_are_never_later(
        loads in prop::collection::vec((0_u64..600_000, 1_u64..300), 1..40),
        few in 1_u32..6,
        more in 1_u32..6,
    ) {
        let pipes = pipes(loads.len(), |n, pipe| {
            (pipe.due_ms, pipe.bytes) = (loads[n].0, loads[n].1 * 1_000_000);
        });
        let end = |workers| last(&course(&pipes, &fixed(workers)));
        prop_assert!(end(few + more) <= end(few));
    }

    /// Whatever happens to the fleet, each row and each picture is done once.
    #[test]
    fn nothing_is_lost(
        loads in prop::collection::vec((0_u64..600_000, 0_u64..200, 0_u64..500), 1..20),
        interruptions in 0.0_f64..10.0,
        seed in any::<u64>(),
    ) {
        let pipes = pipes(loads.len(), |n, pipe| {
            (pipe.due_ms, pipe.images) = (loads[n].0, loads[n].2);
            (pipe.rows, pipe.bytes) = (loads[n].1 * 1_000, loads[n].1 * 1_000_000);
        });
        let mut settings = fixture::settings();
        settings.machines.interruptions_per_hour = interruptions;
        let course = engine::run(&pipes, &settings, &fixture::prices(), seed);
        prop_assert!(course.finished);
        prop_assert_eq!(course.tally.rows, pipes.iter().map(|pipe| pipe.rows).sum::<u64>());
        prop_assert_eq!(course.tally.images, pipes.iter().map(|pipe| pipe.images).sum::<u64>());
    }
}
