//! Missing pictures are asked for once nobody else is about to bring them.

use super::*;
use crate::load_config;
use crate::testing::{World, acme, entry, link};
use chrono::TimeDelta;
use feedfleet_model::image::ImageStatus;
use feedfleet_model::report::RunState;
use feedfleet_model::{ImageItem, Reason, ReasonClass};
use feedfleet_objects::DeadLetter;

async fn look(world: &World) {
    let config = load_config(&world.deps).unwrap();
    request_missing(&world.deps, &config, world.now()).await;
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
    let lasting = feedfleet_model::image::ImageEntry {
        retry: false,
        ..entry("b", run, ImageStatus::Failed, world.now() + TimeDelta::seconds(1))
    };
    world.fold(&[lasting]);
    world.pass(TimeDelta::days(30));
    look(&world).await;
    assert!(asked(&world).await.is_empty(), "it never will be a picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_a_run_under_way_are_left_to_it() {
    let (world, run) = world().await;
    world.add_rows(run + 60, &["c"]);
    world.report(run + 60, RunState::Committed, |_| ()).await;
    look(&world).await;
    assert_eq!(asked(&world).await, [link("a"), link("b")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_on_their_way_are_waited_for_and_broken_ones_are_not() {
    let (world, _) = world().await;
    world.put(&[keys::receipt("broken")]).await;
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
    look(&world).await;
    assert_eq!(asked(&world).await, [link("a")]);
}
