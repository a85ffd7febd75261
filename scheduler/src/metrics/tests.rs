use super::*;
use crate::rescue::{Watch, look_at_all, resend_lost_runs};
use crate::testing::{World, run};
use feedfleet_fleet::FleetView;
use feedfleet_fleet::{FleetError, Member, MemberState};
use feedfleet_model::Reason;
use feedfleet_model::report::{AttemptEnd, Trigger};
use feedfleet_queue::Counts;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Keeps what is published, or refuses it.
#[derive(Default)]
struct Sink {
    refuses: AtomicBool,
    /// Whether a publication waits until it may go on.
    waits: AtomicBool,
    asked: Notify,
    go_on: Notify,
    published: Mutex<Vec<Vec<Datum>>>,
}

#[async_trait::async_trait]
impl Metrics for Sink {
    async fn publish(&self, data: &[Datum]) -> Result<(), FleetError> {
        self.asked.notify_one();
        if self.waits.load(Ordering::SeqCst) {
            self.go_on.notified().await;
        }
        if self.refuses.load(Ordering::SeqCst) {
            return Err(FleetError::passing("publish", "namespace", "throttled"));
        }
        self.published.lock().unwrap().push(data.to_vec());
        Ok(())
    }
}

impl Sink {
    /// The greatest values of the last publication, as `Name` or `Name/dimension`.
    fn last(&self) -> BTreeMap<String, f64> {
        let published = self.published.lock().unwrap();
        let most = |datum: &Datum| datum.values.iter().copied().fold(f64::MIN, f64::max);
        published.last().unwrap().iter().map(|datum| (name(datum), most(datum))).collect()
    }

    /// The sum of a metric's values in all publications.
    fn sum(&self, wanted: &str) -> f64 {
        let published = self.published.lock().unwrap();
        let data = published.iter().flatten().filter(|datum| name(datum) == wanted);
        data.flat_map(|datum| datum.values.iter().copied()).sum()
    }
}

/// `Name` or `Name/dimension`.
fn name(datum: &Datum) -> String {
    match &datum.dimension {
        Some((_, of)) => format!("{}/{of}", datum.name),
        None => datum.name.to_owned(),
    }
}

fn metered() -> (World, Arc<Sink>, Meters) {
    let mut world = World::new();
    let sink = Arc::new(Sink::default());
    let meters = Meters::new(sink.clone(), 0.36, world.now());
    world.deps.meters = Some(meters.clone());
    meters.note_tick(world.now(), None);
    (world, sink, meters)
}

fn ended(world: &World, outcome: &str, class: Option<ReasonClass>) -> Attempt {
    let reason = class.map(|class| Reason::new(class, "why"));
    let end = AttemptEnd { at: world.now(), outcome: outcome.into(), reason, next_at: None };
    Attempt { worker: "w".into(), started_at: world.now(), end: Some(end) }
}

fn report(world: &World, number: i64, state: RunState) -> RunReport {
    let mut report = RunReport::new(run(number), Trigger::Schedule, world.now());
    report.state = state;
    report.finished_at = state.is_final().then(|| world.now());
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_those_of_the_last_tick_and_go_quiet_without_one() {
    let (world, sink, meters) = metered();
    let member =
        |busy| Member { id: "i-1".into(), since: world.now(), state: MemberState::InService, busy };
    let view = FleetView { target: 3, members: vec![member(true), member(false)], short: 1 };
    // What lies on the queue's own list is about to be taken over.
    let crawl = Counts {
        visible: 5,
        dead: 2,
        oldest_age: Some(Duration::from_secs(7)),
        ..Counts::default()
    };
    let look = Look { crawl, image: Counts::default(), desired: 3, view: Some(view) };
    meters.note_tick(world.now(), Some(look.clone()));
    world.pass(TimeDelta::seconds(50));
    let quiet = Look { desired: 2, ..look };
    meters.note_tick(world.now(), Some(quiet));
    publish(&world.deps).await;
    let told = sink.last();
    for (name, value) in [
        ("SchedulerAlive", 1.0),
        ("Visible/crawl", 5.0),
        ("OldestAge/crawl", 7.0),
        ("Visible/image", 0.0),
        ("Desired", 3.0),
        ("InService", 2.0),
        ("Busy", 1.0),
        ("CapacityShort", 1.0),
        ("HeldRuns", 0.0),
        ("LateRuns", 0.0),
    ] {
        assert_eq!(told.get(name), Some(&value), "{name} in {told:?}");
    }
    assert!(!told.contains_key("OldestAge/image"), "not known");
    assert!(!told.contains_key("Dead/crawl"), "nor this, yet");
    assert!((told["Cost"] - 0.01).abs() < 1e-9, "two workers for 50 seconds at 36 cents an hour");

    world.pass(TimeDelta::seconds(20));
    publish(&world.deps).await;
    assert_eq!(sink.last()["Desired"], 2.0, "as the last tick saw it");
    world.pass(TimeDelta::seconds(41));
    publish(&world.deps).await;
    let told = sink.last();
    assert_eq!(
        told.keys().map(String::as_str).collect::<Vec<_>>(),
        ["Cost", "HeldRuns", "LateRuns"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_cannot_be_asked_about_are_paid_for() {
    let (world, sink, meters) = metered();
    let worker =
        Member { id: "i-1".into(), since: world.now(), state: MemberState::Starting, busy: false };
    let view = FleetView { target: 1, members: vec![worker], short: 0 };
    meters.note_tick(world.now(), Some(Look { view: Some(view), ..Look::default() }));
    // Of the queues alone, and of neither.
    for look in [Some(Look::default()), None, None] {
        world.pass(TimeDelta::seconds(50));
        meters.note_tick(world.now(), look);
    }
    publish(&world.deps).await;
    assert!((sink.last()["Cost"] - 0.015).abs() < 1e-9, "150 seconds at 36 cents an hour");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_told_for_as_long_as_they_wait() {
    let (world, sink, meters) = metered();
    meters.note_dead(&BTreeMap::from([("crawl".to_owned(), 2)]));
    for _ in 0..2 {
        publish(&world.deps).await;
        let told = sink.last();
        assert_eq!((told["Dead/crawl"], told["Dead/image"]), (2.0, 0.0));
    }
    meters.note_dead(&BTreeMap::new());
    publish(&world.deps).await;
    assert_eq!(sink.last()["Dead/crawl"], 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_is_counted_once_and_again_if_it_was_not_taken() {
    let (world, sink, meters) = metered();
    // Ended before this scheduler began.
    let mut old = report(&world, 1, RunState::Done);
    old.counts.new = 1000;
    old.finished_at = Some(world.now() - TimeDelta::hours(1));
    meters.note_run(&old);
    world.pass(TimeDelta::seconds(10));
    let mut night = report(&world, 2, RunState::Running);
    night.attempts.push(ended(&world, "retry", Some(ReasonClass::SourceUnavailable)));
    night.attempts.push(Attempt { worker: "x".into(), started_at: world.now(), end: None });
    meters.note_run(&night);
    meters.note_run(&night);
    meters.note_images(&[ImageStatus::Stored, ImageStatus::Stored, ImageStatus::Failed]);
    sink.refuses.store(true, Ordering::SeqCst);
    publish(&world.deps).await;

    // The second attempt's worker died; the third did it.
    night.attempts.push(ended(&world, "done", None));
    night.state = RunState::Done;
    night.finished_at = Some(world.now());
    (night.counts.new, night.counts.changed) = (30, 4);
    meters.note_run(&night);
    sink.refuses.store(false, Ordering::SeqCst);
    publish(&world.deps).await;
    let told = sink.last();
    for (name, value) in [
        ("Rows/new", 30.0),
        ("Rows/changed", 4.0),
        ("Images/stored", 2.0),
        ("Images/failed", 1.0),
        ("Failures/source-unavailable", 1.0),
        ("Failures/worker-lost", 1.0),
    ] {
        assert_eq!(told.get(name), Some(&value), "{name} in {told:?}");
    }
    assert!(!told.contains_key("Rows/removed"), "none was");
    meters.note_run(&night);
    publish(&world.deps).await;
    assert!(!sink.last().contains_key("Rows/new"), "counted already");
}

/// A night's dead runs are replayed in the morning, as a rule under another scheduler.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_run_that_died_under_an_earlier_scheduler_are_counted_once_it_is_replayed() {
    let (world, sink, meters) = metered();
    let mut dead = report(&world, 1, RunState::Dead);
    dead.finished_at = Some(world.now() - TimeDelta::hours(1));
    meters.note_run(&dead);
    // What is in the table was counted then, and is no more for being decided on.
    let mut held = report(&world, 2, RunState::Held);
    held.finished_at = dead.finished_at;
    held.counts.new = 1000;
    meters.note_run(&held);
    publish(&world.deps).await;
    world.pass(TimeDelta::minutes(1));

    dead.state = RunState::Done;
    dead.finished_at = Some(world.now());
    dead.counts.new = 37;
    held.state = RunState::Done;
    for _ in 0..2 {
        meters.note_run(&dead);
        meters.note_run(&held);
        publish(&world.deps).await;
    }
    assert_eq!(sink.sum("Rows/new"), 37.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_and_late_runs_are_told_until_they_are_not() {
    let (world, sink, meters) = metered();
    let began = world.now().timestamp();
    meters.note_run(&report(&world, began - 7200, RunState::Held));
    meters.note_run(&report(&world, began - 3600, RunState::Running));
    publish(&world.deps).await;
    assert_eq!((sink.last()["HeldRuns"], sink.last()["LateRuns"]), (1.0, 0.0));
    world.pass(TimeDelta::hours(5) + TimeDelta::minutes(1));
    publish(&world.deps).await;
    assert_eq!(sink.last()["LateRuns"], 1.0, "six hours after it was due");

    meters.note_run(&report(&world, began - 3600, RunState::Done));
    publish(&world.deps).await;
    let told = sink.last();
    assert_eq!((told["HeldRuns"], told["LateRuns"]), (0.0, 0.0), "a newer run has ended");
    meters.keep_runs(&BTreeSet::new());
    assert!(meters.lock().runs.is_empty());
}

/// Reports stay for months, and all are looked at each day.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_among_the_newest_any_more_is_not_counted_again() {
    let (world, sink, _) = metered();
    let watch = Watch::default();
    world.pass(TimeDelta::seconds(10));
    let attempt = ended(&world, "retry", Some(ReasonClass::SourceUnavailable));
    for number in 1..=5 {
        let end = |report: &mut RunReport| {
            report.counts.new = 10;
            report.attempts.push(attempt.clone());
        };
        world.report(number, RunState::Done, end).await;
        resend_lost_runs(&world.deps, &watch).await;
    }
    publish(&world.deps).await;
    let told = sink.last();
    assert_eq!((told["Rows/new"], told["Failures/source-unavailable"]), (50.0, 5.0));
    for _ in 0..2 {
        world.pass(TimeDelta::days(1));
        look_at_all(&world.deps, &watch).await;
        resend_lost_runs(&world.deps, &watch).await;
        publish(&world.deps).await;
        let told = sink.last();
        let again = ["Rows/new", "Failures/source-unavailable"].map(|name| told.get(name));
        assert_eq!(again, [None, None]);
    }
}

/// Its removals can be decided on until a newer run is in the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_run_is_told_however_many_have_died_since() {
    let (mut world, sink, _) = metered();
    let watch = Watch::default();
    let held = async |world: &World| {
        resend_lost_runs(&world.deps, &watch).await;
        publish(&world.deps).await;
        sink.last()["HeldRuns"]
    };
    world.report(1, RunState::Held, |_| ()).await;
    for number in 2..=6 {
        assert_eq!(held(&world).await, 1.0, "before run {number}");
        world.report(number, RunState::Dead, |_| ()).await;
    }
    assert_eq!(held(&world).await, 1.0);

    // The next scheduler learns of it when it looks at all reports.
    let meters = Meters::new(sink.clone(), 0.36, world.now());
    meters.note_tick(world.now(), None);
    world.deps.meters = Some(meters);
    look_at_all(&world.deps, &watch).await;
    assert_eq!(held(&world).await, 1.0);
    let decide = |report: &mut RunReport| report.state = RunState::Done;
    world.deps.reports().update(&run(1), decide).await.unwrap();
    assert_eq!(held(&world).await, 0.0);

    // One that is not the newest in the table any more is of no interest.
    world.report(7, RunState::Held, |_| ()).await;
    assert_eq!(held(&world).await, 1.0);
    world.report(8, RunState::Done, |_| ()).await;
    for number in 9..=12 {
        world.report(number, RunState::Superseded, |_| ()).await;
    }
    look_at_all(&world.deps, &watch).await;
    assert_eq!(held(&world).await, 0.0);
}

/// It leads nobody: whoever waits for the alarm must hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_cannot_look_at_its_queues_does_not_call_itself_alive() {
    let (world, sink, meters) = metered();
    publish(&world.deps).await;
    assert!(!sink.last().contains_key(names::SCHEDULER_ALIVE), "{:?}", sink.last());
    meters.note_tick(world.now(), Some(Look::default()));
    publish(&world.deps).await;
    assert_eq!(sink.last()[names::SCHEDULER_ALIVE], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_queue_does_not_tell_the_oldest_crawl_is_that_of_the_oldest_run() {
    let (world, sink, meters) = metered();
    let sent = |minutes| Some(world.now() - TimeDelta::minutes(minutes));
    for (number, state, minutes) in
        [(1, RunState::Done, 90), (2, RunState::Running, 30), (3, RunState::Queued, 10)]
    {
        let mut report = report(&world, number, state);
        report.sent_at = sent(minutes);
        meters.note_run(&report);
    }
    meters.note_run(&report(&world, 4, RunState::Queued));
    publish(&world.deps).await;
    let told = sink.last();
    assert_eq!(told["OldestAge/crawl"], 1800.0);
    assert!(!told.contains_key("OldestAge/image"), "no report tells of it");

    // One that does tell is taken at its word.
    let crawl = Counts { oldest_age: Some(Duration::from_secs(7)), ..Counts::default() };
    meters.note_tick(world.now(), Some(Look { crawl, ..Look::default() }));
    publish(&world.deps).await;
    assert_eq!(sink.last()["OldestAge/crawl"], 7.0);

    for number in [2, 3, 4] {
        meters.note_run(&report(&world, number, RunState::Done));
    }
    meters.note_tick(world.now(), Some(Look::default()));
    publish(&world.deps).await;
    assert!(!sink.last().contains_key("OldestAge/crawl"), "nothing is under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_late_when_the_next_is_due() {
    let (world, sink, meters) = metered();
    let pipe = "schedule = \"0 * * * *\"\n\
                [source]\nurl = \"http://shop.example/feed.xml\"\nformat = \"google-xml\"\n";
    std::fs::write(world.deps.config_folder.join("pipes/acme.toml"), pipe).unwrap();
    let due = world.now().timestamp() / 3600 * 3600;
    meters.note_run(&report(&world, due, RunState::Queued));
    publish(&world.deps).await;
    assert_eq!(sink.last()["LateRuns"], 0.0);
    world.pass(TimeDelta::minutes(61));
    publish(&world.deps).await;
    assert_eq!(sink.last()["LateRuns"], 1.0);
}

/// Each release and each change of `fleet.toml` replaces the scheduler, and the next one takes what ended before it for
/// counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_stops_publishes_what_it_holds_and_what_has_just_ended() {
    let (world, sink, meters) = metered();
    sink.waits.store(true, Ordering::SeqCst);
    meters.note_images(&[ImageStatus::Stored]);
    let shutdown = CancellationToken::new();
    let scheduler = tokio::spawn(crate::run(world.deps.clone(), None, shutdown.clone()));
    let asked = sink.asked.notified();
    tokio::time::timeout(Duration::from_secs(30), asked).await.expect("it publishes");
    // The picture is on its way.
    let failed = ended(&world, "dead", Some(ReasonClass::SourceUnavailable));
    let due = world.now().timestamp();
    world.report(due, RunState::Done, |report| report.counts.new = 30).await;
    world.report(due + 1, RunState::Dead, |report| report.attempts.push(failed)).await;
    shutdown.cancel();
    sink.waits.store(false, Ordering::SeqCst);
    sink.go_on.notify_one();
    tokio::time::timeout(Duration::from_secs(30), scheduler).await.unwrap().unwrap();
    for (name, count) in
        [("Images/stored", 1.0), ("Rows/new", 30.0), ("Failures/source-unavailable", 1.0)]
    {
        assert_eq!(sink.sum(name), count, "{name}");
    }
}
