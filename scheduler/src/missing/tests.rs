//! Missing pictures are asked for once nobody else is about to bring them.

use super::*;
use crate::load_config;
use crate::testing::{World, acme, entry, link};
use chrono::TimeDelta;
use feedfleet_model::image::{ImageEntry, ImageStatus};
use feedfleet_model::report::RunState;
use feedfleet_model::{ImageItem, Reason, ReasonClass};
use feedfleet_objects::DeadLetters;

/// Looks of one scheduler, which remembers.
struct Looks {
    tables: Tables,
    memory: Memory,
}

impl Looks {
    fn new(world: &World) -> Self {
        Self { tables: Tables::new(&world.deps), memory: Memory::default() }
    }

    /// Looks; how many pipes were read.
    async fn look(&mut self, world: &World) -> usize {
        let config = load_config(&world.deps).unwrap();
        let (tables, memory) = (&self.tables, &mut self.memory);
        try_request(&world.deps, &config, tables, memory, world.now()).await.unwrap()
    }

    /// Looks ten minutes later.
    async fn look_later(&mut self, world: &World) -> usize {
        world.pass(TimeDelta::minutes(10));
        self.look(world).await
    }
}

/// A look of a scheduler that has just begun.
async fn look(world: &World) {
    Looks::new(world).look(world).await;
}

/// What is asked for, by the jobs that are on the queue; they are taken from it.
async fn asked(world: &World) -> Vec<String> {
    let jobs = world.image_jobs().await;
    let mut urls: Vec<String> =
        jobs.iter().flat_map(|job| job.items.iter().map(|item| item.url.clone())).collect();
    urls.sort();
    urls
}

/// A pipe whose run, finished ten minutes ago, brought the pictures `a` and `b`. The run.
async fn world() -> (World, i64) {
    let world = World::new();
    let run = world.now().timestamp() - 600;
    world.add_rows(run, &["a", "b"]);
    world.report(run, RunState::Done, |_| ()).await;
    (world, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_lost_with_the_queue_are_asked_for_once() {
    let (world, run) = world().await;
    look(&world).await;
    world.pass(TimeDelta::minutes(10));
    // Its own jobs are on the queue: nothing is asked for twice.
    look(&world).await;
    let jobs = world.image_jobs().await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!((jobs[0].run, jobs[0].items.len()), (RunId(run), 2));
    let id = Job::Image(jobs[0].clone()).id();
    assert!(id.starts_with(&format!("image-acme-{run}-r")), "not the run's own: {id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_pictures_come_again_after_longer_and_longer_pauses() {
    let (world, run) = world().await;
    let fold = |status| world.fold(&[entry("b", run, status, world.now())]);
    world.fold(&[entry("a", run, ImageStatus::Stored, world.now())]);
    fold(ImageStatus::Failed);
    // An hour at first, though it has been failing for ten minutes; then as long as it has been failing.
    for (pause_minutes, name) in [(60, "first"), (70, "second"), (140, "third")] {
        world.pass(TimeDelta::minutes(pause_minutes - 1));
        look(&world).await;
        assert!(asked(&world).await.is_empty(), "too early for the {name} time");
        world.pass(TimeDelta::minutes(1));
        look(&world).await;
        assert_eq!(asked(&world).await, [link("b")], "the {name} time");
        fold(ImageStatus::Failed);
    }
}

/// What is no picture, or is refused, may be one later: a wall that stood there for an hour has gone.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_failed_for_good_come_again_after_a_week() {
    let (world, run) = world().await;
    let lasting = ImageEntry { retry: false, ..entry("b", run, ImageStatus::Failed, world.now()) };
    world.fold(&[entry("a", run, ImageStatus::Stored, world.now()), lasting]);
    world.pass(TimeDelta::days(7) - TimeDelta::minutes(1));
    look(&world).await;
    assert!(asked(&world).await.is_empty());
    world.pass(TimeDelta::minutes(1));
    look(&world).await;
    assert_eq!(asked(&world).await, [link("b")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_a_run_under_way_are_left_to_it() {
    let (world, run) = world().await;
    world.add_rows(run + 60, &["c"]);
    world.report(run + 60, RunState::Committed, |_| ()).await;
    let mut looks = Looks::new(&world);
    assert_eq!(looks.look(&world).await, 1);
    assert_eq!(asked(&world).await, [link("a"), link("b")]);

    let stored = |name| entry(name, run, ImageStatus::Stored, world.now());
    world.fold(&[stored("a"), stored("b")]);
    assert_eq!(looks.look_later(&world).await, 1);
    assert!(asked(&world).await.is_empty());
    // That no more was missing then says nothing of when the run has ended.
    let ended = |report: &mut feedfleet_model::RunReport| report.state = RunState::Done;
    world.deps.reports().update(&crate::testing::run(run + 60), ended).await.unwrap();
    assert_eq!(looks.look_later(&world).await, 1);
    assert_eq!(asked(&world).await, [link("c")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_read_again_when_something_of_it_has_changed() {
    let (world, run) = world().await;
    let stored = |name| entry(name, run, ImageStatus::Stored, world.now());
    world.fold(&[stored("a"), stored("b")]);
    let mut looks = Looks::new(&world);
    assert_eq!(looks.look(&world).await, 1);
    assert_eq!(looks.look_later(&world).await, 0);

    world.add_rows(run + 60, &["c"]);
    world.report(run + 60, RunState::Done, |_| ()).await;
    for time in ["first", "second"] {
        assert_eq!(looks.look_later(&world).await, 1);
        assert_eq!(asked(&world).await, [link("c")], "the {time} job may have been lost too");
    }
    world.fold(&[stored("c")]);
    assert_eq!((looks.look_later(&world).await, looks.look_later(&world).await), (1, 0));

    let pass = |minutes| world.pass(TimeDelta::minutes(minutes));
    world.fold(&[entry("c", run, ImageStatus::Failed, world.now())]);
    assert_eq!((looks.look(&world).await, looks.look(&world).await), (1, 0));
    pass(59);
    assert_eq!(looks.look(&world).await, 0, "it is not due yet");
    pass(60);
    assert_eq!(looks.look(&world).await, 1);
    assert_eq!(asked(&world).await, [link("c")]);
}

/// SQS tells late what is on a queue: that it is empty counts when it said so a minute after the runs were final.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_numbers_lag_is_asked_again_after_a_minute() {
    let (mut world, _) = world().await;
    let url = String::new;
    let (crawl_dead_url, image_dead_url) = (url(), url());
    Arc::make_mut(&mut world.deps.fleet).queue.backend =
        QueueBackend::Sqs { crawl_url: url(), image_url: url(), crawl_dead_url, image_dead_url };
    let mut looks = Looks::new(&world);
    let pass = |seconds| world.pass(TimeDelta::seconds(seconds));
    assert_eq!(looks.look(&world).await, 0);
    assert!(looks.memory.is_waiting());
    pass(59);
    assert_eq!(looks.look(&world).await, 0);
    assert!(looks.memory.is_waiting());

    let receipt = keys::receipt("late", 1);
    world.put(std::slice::from_ref(&receipt)).await;
    pass(1);
    assert_eq!(looks.look(&world).await, 0);
    assert!(!looks.memory.is_waiting(), "there was work after all");

    world.deps.objects.delete(&receipt).await.unwrap();
    looks.look(&world).await;
    pass(60);
    assert_eq!(looks.look(&world).await, 1);
    assert_eq!(asked(&world).await, [link("a"), link("b")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_on_their_way_are_waited_for_and_broken_ones_are_not() {
    let (world, _) = world().await;
    world.put(&[keys::receipt("broken", 1)]).await;
    look(&world).await;
    assert!(asked(&world).await.is_empty());
    world.pass(TimeDelta::hours(2));
    look(&world).await;
    assert_eq!(asked(&world).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_in_a_dead_letter_wait_for_the_operator() {
    let (world, run) = world().await;
    let job = Job::Image(feedfleet_model::ImageJob {
        pipe: acme(),
        run: RunId(run),
        host: "pictures.example".into(),
        shard: 0,
        round: 0,
        batch: 0,
        items: vec![ImageItem { url: link("b") }],
    });
    let letter = DeadLetter {
        id: job.id(),
        queue: "image".into(),
        group: job.group(),
        body: job.to_body(),
        job: Some(job),
        reason: Reason::new(ReasonClass::WorkerLost, "killed its worker"),
        worker: "w/1".into(),
        receives: 5,
        first_received_at: world.now(),
        died_at: world.now(),
        first_died_at: None,
        message_id: None,
        state: LetterState::Waiting,
        history: Vec::new(),
    };
    DeadLetters::new(world.deps.objects.clone()).keep(&letter).await.unwrap();
    let mut looks = Looks::new(&world);
    assert_eq!(looks.look(&world).await, 1);
    assert_eq!(asked(&world).await, [link("a")]);
    world.fold(&[entry("a", run, ImageStatus::Stored, world.now())]);
    assert_eq!((looks.look_later(&world).await, looks.look_later(&world).await), (1, 0));
    assert!(asked(&world).await.is_empty());

    world.deps.objects.delete(&keys::dead_letter(&letter.id)).await.unwrap();
    assert_eq!(looks.look_later(&world).await, 1);
    assert_eq!(asked(&world).await, [link("b")], "nobody will decide on it any more");
}
