//! The desk on real queues, objects and an empty catalog.

use super::*;
use crate::pause::Pause;
use crate::testing::World;
use chrono::{DateTime, TimeDelta};
use feedfleet_model::clock::ManualClock;
use feedfleet_model::report::{Attempt, AttemptEnd, Trigger};
use feedfleet_model::{Clock, CrawlJob, ImageItem, ImageJob, Reason, ReasonClass, keys};
use feedfleet_queue::{Queue, Receive, Received};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mod rollback;
mod sweep;

const NOW: Receive = Receive { max: 1, visibility: Duration::from_secs(600), wait: Duration::ZERO };

pub(super) fn crawl_letter(pipe: &str, run: i64) -> DeadLetter {
    let job = Job::Crawl(CrawlJob { pipe: pipe.parse().unwrap(), run: RunId(run), attempt: 1 });
    letter_of(Some(&job), &job.group(), &job.to_body(), "1")
}

pub(super) fn foreign_letter() -> DeadLetter {
    letter_of(None, "anything", "{\"hello\":1}", "9")
}

fn image_letter() -> DeadLetter {
    let job = Job::Image(ImageJob {
        pipe: "acme".parse().unwrap(),
        run: RunId(7),
        host: "shop.example".into(),
        shard: 2,
        round: 0,
        batch: 3,
        items: vec![ImageItem { url: "http://shop.example/1.png".into() }],
    });
    DeadLetter { queue: "image".into(), ..letter_of(Some(&job), &job.group(), &job.to_body(), "5") }
}

fn letter_of(job: Option<&Job>, group: &str, body: &str, message_id: &str) -> DeadLetter {
    let class = if job.is_some() { ReasonClass::SourceRefused } else { ReasonClass::Unreadable };
    DeadLetter {
        id: DeadLetter::id_of(job, message_id),
        queue: "crawl".into(),
        group: group.into(),
        body: body.into(),
        job: job.cloned(),
        reason: Reason::new(class, "a test"),
        worker: "w/1".into(),
        receives: 1,
        first_received_at: DateTime::UNIX_EPOCH,
        died_at: DateTime::UNIX_EPOCH,
        first_died_at: None,
        message_id: Some(message_id.into()),
        state: LetterState::Waiting,
        history: Vec::new(),
    }
}

fn ann() -> Decider {
    Decider { by: "ann".into(), note: Some("mended".into()), dry_run: false }
}

/// A desk with queues, objects and an empty catalog of its own.
struct Office {
    desk: Desk,
    clock: Arc<ManualClock>,
    buried: AtomicU32,
    _world: World,
}

impl Office {
    fn open() -> Self {
        let world = World::new();
        let desk = Desk::new(&world.deps);
        Self { clock: world.clock.clone(), desk, buried: AtomicU32::new(0), _world: world }
    }

    /// A run of the pipe in this state, with one attempt behind it.
    async fn run(&self, run: i64, state: RunState) -> RunKey {
        let key = run_key(run);
        let now = self.clock.now();
        let mut report = RunReport::new(key.clone(), Trigger::Schedule, now);
        report.state = state;
        let end = AttemptEnd { at: now, outcome: "retry".into(), reason: None, next_at: None };
        report.attempts.push(Attempt { worker: "w/1".into(), started_at: now, end: Some(end) });
        assert!(self.desk.reports.create(&report).await.unwrap());
        key
    }

    async fn keep(&self, letter: DeadLetter) -> DeadLetter {
        self.desk.letters.keep(&letter).await.unwrap();
        self.letter(&letter.id).await
    }

    async fn letter(&self, id: &str) -> DeadLetter {
        self.desk.letters.load(id).await.unwrap().unwrap()
    }

    async fn state(&self, key: &RunKey) -> RunState {
        self.desk.reports.load(key).await.unwrap().unwrap().state
    }

    /// Sends a message, receives it, and lets it die.
    async fn bury(&self, queue: &dyn Queue, body: &str) -> Received {
        let dedup_id = format!("d{}", self.buried.fetch_add(1, Ordering::Relaxed));
        let message = NewMessage { group: "g".into(), dedup_id, body: body.to_owned() };
        queue.send(&[message]).await.unwrap();
        let received = queue.receive(NOW).await.unwrap().remove(0);
        queue.dead_letter(&received.receipt, "a test").await.unwrap();
        received
    }
}

async fn visible(queue: &dyn Queue) -> u64 {
    queue.counts().await.unwrap().visible
}

#[tokio::test]
async fn a_dead_run_is_replayed_under_its_own_id_with_its_attempts_forgiven() {
    let mut office = Office::open();
    let key = office.run(7, RunState::Dead).await;
    let letter = office.keep(crawl_letter("acme", 7)).await;

    let dry = Decider { dry_run: true, ..ann() };
    assert_eq!(office.desk.replay(&letter, &dry).await.unwrap(), Verdict::Replayed);
    assert_eq!(office.state(&key).await, RunState::Dead);
    assert_eq!(office.letter(&letter.id).await, letter);
    assert_eq!(visible(office.desk.deps.crawl.as_ref()).await, 0);

    assert_eq!(office.desk.replay(&letter, &ann()).await.unwrap(), Verdict::Replayed);
    let report = office.desk.reports.load(&key).await.unwrap().unwrap();
    assert_eq!((report.state, report.failed_attempts()), (RunState::Queued, 0));
    assert_eq!(visible(office.desk.deps.crawl.as_ref()).await, 1);
    let now = office.letter(&letter.id).await;
    assert_eq!(now.state, LetterState::Replayed);
    assert_eq!((now.history[0].by.as_str(), now.history[0].action), ("ann", now.state));
    assert_eq!(now.history[0].died_of, letter.reason);

    // Once more: it was decided on, and nothing is sent.
    let again = office.desk.replay(&now, &ann()).await.unwrap();
    assert!(matches!(&again, Verdict::Left(why) if why.contains("replayed by ann")), "{again:?}");
    assert_eq!(visible(office.desk.deps.crawl.as_ref()).await, 1);
}

#[tokio::test]
async fn a_replay_that_was_cut_off_is_made_again() {
    let mut office = Office::open();
    let key = office.run(7, RunState::Dead).await;
    let letter = office.keep(crawl_letter("acme", 7)).await;
    // Cut off after the report was reopened: there is no message.
    let now = office.clock.now();
    office.desk.reports.update(&key, |report| report.reopen(now)).await.unwrap();
    assert_eq!(office.desk.replay(&letter, &ann()).await.unwrap(), Verdict::Replayed);
    assert_eq!(visible(office.desk.deps.crawl.as_ref()).await, 1);
    assert_eq!(office.letter(&letter.id).await.state, LetterState::Replayed);
}

/// The message is on its way before the letter is marked: who comes too late for that is told.
#[tokio::test]
async fn a_replay_says_so_where_its_letter_was_decided_on_meanwhile() {
    let mut office = Office::open();
    office.run(7, RunState::Dead).await;
    let letter = office.keep(crawl_letter("acme", 7)).await;
    assert_eq!(office.desk.give_up(&letter, &ann()).await.unwrap(), Verdict::Dropped);
    let verdict = office.desk.replay(&letter, &ann()).await.unwrap();
    let why = verdict.why().unwrap();
    assert!(matches!(verdict, Verdict::Left(_)) && why.contains("was sent anew"), "{why}");
    let now = office.letter(&letter.id).await;
    assert_eq!((now.state, now.history.len()), (LetterState::Dropped, 1));
}

/// A report that is damaged keeps neither its letter nor its pipe's others waiting.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_reports_are_set_aside_where_the_desk_meets_them() {
    let mut office = Office::open();
    for run in [7, 8, 9] {
        let key = office.run(run, RunState::Dead).await;
        office.keep(crawl_letter("acme", run)).await;
        if run > 7 {
            office.desk.deps.objects.put(&keys::report(&key), "{".into()).await.unwrap();
        }
    }
    office.desk.settle_pointless(&Letters::default()).await.unwrap();
    let letter = office.letter("crawl-acme-9").await;
    assert_eq!(letter.reason.message, "a test", "the letter that there was");
    assert_eq!(office.desk.replay(&letter, &ann()).await.unwrap(), Verdict::Replayed);
    let report = office.desk.reports.load(&run_key(8)).await.unwrap().unwrap();
    assert_eq!(report.reason.unwrap().class, ReasonClass::Unreadable);
    assert_eq!(office.state(&run_key(9)).await, RunState::Queued);

    // Found by a replay alone: it is no letter's.
    let mut office = Office::open();
    let key = office.run(8, RunState::Dead).await;
    office.desk.deps.objects.put(&keys::report(&key), "{".into()).await.unwrap();
    office.run(7, RunState::Dead).await;
    let letter = office.keep(crawl_letter("acme", 7)).await;
    assert_eq!(office.desk.replay(&letter, &ann()).await.unwrap().word(), "left");
    assert_eq!(office.letter("crawl-acme-8").await.state, LetterState::Waiting);
}

fn run_key(run: i64) -> RunKey {
    RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) }
}

#[tokio::test]
async fn what_a_newer_run_is_doing_decides_what_becomes_of_a_dead_one() {
    for (state, expected) in [
        (RunState::Queued, "left"),
        (RunState::Running, "left"),
        (RunState::Committed, "left"),
        (RunState::Done, "superseded"),
        (RunState::Held, "superseded"),
        (RunState::Dead, "left"),
        (RunState::Superseded, "left"),
    ] {
        let mut office = Office::open();
        let key = office.run(7, RunState::Dead).await;
        office.run(8, state).await;
        let letter = office.keep(crawl_letter("acme", 7)).await;
        let verdict = office.desk.replay(&letter, &ann()).await.unwrap();
        assert_eq!(verdict.word(), expected, "{state:?}");
        let (run, letter) = match expected {
            "superseded" => (RunState::Superseded, LetterState::Superseded),
            _ => (RunState::Dead, LetterState::Waiting),
        };
        assert_eq!(office.state(&key).await, run, "{state:?}");
        assert_eq!(office.letter("crawl-acme-7").await.state, letter, "{state:?}");
        assert_eq!(visible(office.desk.deps.crawl.as_ref()).await, 0, "{state:?}");
    }
}

#[tokio::test]
async fn a_run_of_a_paused_pipe_waits() {
    let mut office = Office::open();
    let key = office.run(7, RunState::Dead).await;
    let letter = office.keep(crawl_letter("acme", 7)).await;
    let pause = Pause { at: office.clock.now(), by: "bob".into(), note: None, rolled_back: None };
    let objects = office.desk.deps.objects.as_ref();
    assert!(crate::pause::pause(objects, &key.pipe, &pause).await.unwrap());
    let verdict = office.desk.replay(&letter, &ann()).await.unwrap();
    let why = verdict.why().unwrap();
    assert!(why.contains("bob") && why.contains("feedfleet pipes resume acme"), "{why}");
    assert_eq!(office.letter(&letter.id).await, letter);
}

#[tokio::test]
async fn of_two_dead_runs_the_newer_is_replayed() {
    let mut office = Office::open();
    for run in [7, 8] {
        office.run(run, RunState::Dead).await;
        office.keep(crawl_letter("acme", run)).await;
    }
    let now = office.clock.now();
    let (letters, _) = find(&office.desk.letters, &Selection::default(), now).await.unwrap();
    let dry = Decider { dry_run: true, ..ann() };
    for decider in [dry, ann()] {
        let mut words = Vec::new();
        for letter in &letters {
            words.push(office.desk.replay(letter, &decider).await.unwrap().word());
        }
        assert_eq!(words, ["replayed", "left"]);
    }
}

/// Who looks whether a run of the pipe is under way looks at the newest. So the older one does not come back below it, by
/// whatever selection.
#[tokio::test]
async fn a_dead_run_below_a_dead_one_is_left_and_told_how_to_load_it() {
    let mut office = Office::open();
    for run in [7, 8] {
        office.run(run, RunState::Dead).await;
    }
    let letter = office.keep(crawl_letter("acme", 7)).await;
    let verdict = office.desk.replay(&letter, &ann()).await.unwrap();
    let why = verdict.why().unwrap();
    assert!(why.contains("run 8") && why.contains("feedfleet run acme, with --replay 7"), "{why}");
    assert_eq!(office.state(&run_key(7)).await, RunState::Dead);
}

#[tokio::test]
async fn an_image_job_is_sent_as_it_was_once_a_death() {
    let mut office = Office::open();
    let letter = office.keep(image_letter()).await;
    assert_eq!(office.desk.replay(&letter, &ann()).await.unwrap(), Verdict::Replayed);
    // Another operator has the letter as it was: the job is dropped as a duplicate, and this is no decision.
    let again = office.desk.replay(&letter, &ann()).await.unwrap();
    assert!(again.why().is_some_and(|why| why.contains("look again")), "{again:?}");
    assert_eq!(visible(office.desk.deps.image.as_ref()).await, 1);
    let received = office.desk.deps.image.receive(NOW).await.unwrap().remove(0);
    assert_eq!((received.group, received.body), (letter.group.clone(), letter.body.clone()));
    office.desk.deps.image.delete(&received.receipt).await.unwrap();

    // It dies again, within the time in which duplicates are dropped.
    let died_at = office.clock.now();
    let again = DeadLetter { died_at, message_id: Some("6".into()), ..letter };
    let again = office.keep(again).await;
    assert_eq!((again.state, again.history.len()), (LetterState::Waiting, 1));
    assert_eq!(office.desk.replay(&again, &ann()).await.unwrap(), Verdict::Replayed);
    assert_eq!(visible(office.desk.deps.image.as_ref()).await, 1);
    assert_eq!(office.letter(&again.id).await.history.len(), 2);
}

#[tokio::test]
async fn a_body_that_is_no_job_can_be_dropped_and_not_replayed() {
    let mut office = Office::open();
    let queue = office.desk.deps.crawl.clone();
    let message = office.bury(queue.as_ref(), "{\"hello\":1}").await;
    let mut letter = foreign_letter();
    letter.message_id = Some(message.id.as_str().to_owned());
    let letter = office.keep(letter).await;
    let verdict = office.desk.replay(&letter, &ann()).await.unwrap();
    assert!(verdict.why().unwrap().contains("not a job of this release"), "{verdict:?}");
    assert_eq!(office.letter(&letter.id).await, letter);

    assert_eq!(office.desk.give_up(&letter, &ann()).await.unwrap(), Verdict::Dropped);
    assert_eq!(office.letter(&letter.id).await.state, LetterState::Dropped);
    assert_eq!(queue.counts().await.unwrap().dead, 0, "its place in line is free");
    let again = office.desk.give_up(&letter, &ann()).await.unwrap();
    assert_eq!(again.word(), "left");
}

#[test]
fn a_deduplication_id_fits_the_queue() {
    let long = DeadLetter { id: "image-".repeat(40), ..image_letter() };
    for letter in [image_letter(), long] {
        assert!(dedup_id(&letter).len() <= MAX_NAME_BYTES);
        let later =
            DeadLetter { died_at: DateTime::UNIX_EPOCH + TimeDelta::days(9), ..letter.clone() };
        assert_ne!(dedup_id(&letter), dedup_id(&later));
    }
}
