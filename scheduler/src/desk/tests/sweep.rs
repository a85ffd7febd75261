//! What the scheduler does by itself.

use super::*;

async fn waiting_crawls(office: &Office) -> u64 {
    let deps = &office.desk.deps;
    let queues = [("crawl", deps.crawl.as_ref()), ("image", deps.image.as_ref())];
    let waiting = waiting(&office.desk.letters, queues).await.unwrap();
    waiting.get("crawl").copied().unwrap_or_default()
}

#[tokio::test]
async fn the_sweep_marks_runs_that_ended_by_another_message() {
    let office = Office::open();
    let done = office.run(7, RunState::Done).await;
    let dead = office.run(8, RunState::Dead).await;
    for run in [7, 8] {
        office.keep(crawl_letter("acme", run)).await;
    }
    let damaged = keys::dead_letter("image-acme-8-1");
    office.desk.deps.objects.put(&damaged, "{".into()).await.unwrap();
    let waiting = office.desk.settle_pointless(&Letters::default()).await.unwrap();
    let still = [("crawl".to_owned(), 1), ("image".to_owned(), 1)];
    assert_eq!(waiting, BTreeMap::from(still), "one cannot be read");
    let letter = office.letter("crawl-acme-7").await;
    assert_eq!(letter.state, LetterState::Superseded);
    assert_eq!(letter.history[0].by, "scheduler");
    assert_eq!(office.letter("crawl-acme-8").await.state, LetterState::Waiting);
    assert_eq!(office.state(&done).await, RunState::Done);
    assert_eq!(office.state(&dead).await, RunState::Dead);
}

/// While there is no newer version of the table, a dead run whose letter is as it was is not looked at again.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_run_is_held_against_each_version_once() {
    let world = World::new();
    let desk = Desk::new(&world.deps);
    let letters = Letters::default();
    world.add_rows(1, &["a"]);
    for (number, state) in [(2, RunState::Dead), (3, RunState::Running)] {
        world.report(number, state, |_| {}).await;
        desk.letters.keep(&crawl_letter("acme", number)).await.unwrap();
    }
    world.pass(TimeDelta::minutes(2));
    let settled = async || {
        let waiting = desk.settle_pointless(&letters).await.unwrap()["crawl"];
        let mut states = Vec::new();
        for number in [2, 3] {
            let id = format!("crawl-acme-{number}");
            states.push(desk.letters.load(&id).await.unwrap().unwrap().state);
        }
        (waiting, states)
    };
    let (waits, superseded) = (LetterState::Waiting, LetterState::Superseded);
    for _ in 0..2 {
        assert_eq!(settled().await, (2, vec![waits, waits]));
    }
    // Of the one that was dead nothing is read; the other had not ended.
    let end = |report: &mut RunReport| report.state = RunState::Done;
    for number in [2, 3] {
        world.deps.reports().update(&run_key(number), end).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(settled().await, (1, vec![waits, superseded]));
    }
    // Another letter changes nothing for the first; a newer version does.
    world.report(4, RunState::Dead, |_| {}).await;
    desk.letters.keep(&crawl_letter("acme", 4)).await.unwrap();
    assert_eq!(settled().await, (2, vec![waits, superseded]));
    world.add_rows(5, &["b"]);
    assert_eq!(settled().await, (0, vec![superseded, superseded]));
}

/// A run that its report does not know in the table is there, and was not superseded by the one that came after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_in_the_table_is_not_superseded() {
    let world = World::new();
    let desk = Desk::new(&world.deps);
    world.add_rows(1, &["a"]);
    world.add_rows(3, &["b"]);
    let ends = [(1, RunState::Dead, Some(1)), (2, RunState::Superseded, None)];
    for (number, state, version) in ends {
        world.report(number, RunState::Dead, |_| {}).await;
        desk.letters.keep(&crawl_letter("acme", number)).await.unwrap();
        desk.settle_pointless(&Letters::default()).await.unwrap();
        let report = desk.reports.load(&run_key(number)).await.unwrap().unwrap();
        assert_eq!((report.state, report.table_version), (state, version), "run {number}");
        let letter = desk.letters.load(&format!("crawl-acme-{number}")).await.unwrap().unwrap();
        assert_eq!(letter.state, LetterState::Superseded, "run {number}");
    }
}

/// A run that the log cannot be asked for keeps no other letter waiting; and an entry that is damaged, and that a
/// checkpoint has made good, keeps none.
#[tokio::test(flavor = "multi_thread")]
async fn one_letter_that_cannot_be_settled_keeps_no_other_waiting() {
    let world = World::new();
    let desk = Desk::new(&world.deps);
    for number in [1, 4, 6, 9] {
        world.add_rows(number, &["a"]);
    }
    world.deps.catalog.products().snapshot().unwrap().unwrap().checkpoint().unwrap();
    for number in [3, 8] {
        world.report(number, RunState::Dead, |_| {}).await;
        desk.letters.keep(&crawl_letter("acme", number)).await.unwrap();
    }
    let settled = async || {
        desk.settle_pointless(&Letters::default()).await.unwrap();
        let mut states = Vec::new();
        for number in [3, 8] {
            let id = format!("crawl-acme-{number}");
            states.push(desk.letters.load(&id).await.unwrap().unwrap().state);
        }
        states
    };
    // What run 4 committed, in a log that is read from its end, lies before run 3 and behind run 8.
    let entry = world.table_path(&format!("_delta_log/{:020}.json", 2));
    std::fs::remove_file(&entry).unwrap();
    // It is listed, and reading it fails.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path(), &entry).unwrap();
    assert_eq!(settled().await, [LetterState::Waiting, LetterState::Superseded]);
    std::fs::remove_file(&entry).unwrap();
    std::fs::write(&entry, "{\"txn\":").unwrap();
    assert_eq!(settled().await, [LetterState::Superseded, LetterState::Superseded]);
}

#[tokio::test]
async fn what_the_queue_gave_up_gets_a_letter_and_leaves_the_queue() {
    let mut office = Office::open();
    let queue = office.desk.deps.crawl.clone();
    let body = crawl_letter("acme", 7).body;
    office.run(7, RunState::Dead).await;
    office.bury(queue.as_ref(), &body).await;
    assert_eq!(waiting_crawls(&office).await, 1, "though it has no letter yet");
    office.desk.take_over("crawl", queue.as_ref(), 10).await.unwrap();
    assert_eq!(waiting_crawls(&office).await, 1);
    let letter = office.letter("crawl-acme-7").await;
    assert_eq!(letter.reason.class, ReasonClass::WorkerLost);
    assert!(letter.reason.message.contains("a test"), "{:?}", letter.reason);
    assert_eq!(queue.counts().await.unwrap().dead, 0);

    // A second message of the same job has its letter already.
    office.bury(queue.as_ref(), &body).await;
    assert_eq!(waiting_crawls(&office).await, 1, "it is one job");
    office.desk.take_over("crawl", queue.as_ref(), 10).await.unwrap();
    assert_eq!(queue.counts().await.unwrap().dead, 0);
    assert_eq!(office.letter("crawl-acme-7").await, letter);

    // Nobody decided on it, though the queue knows nothing of it any more; and it can be decided on.
    let decision = Decision {
        at: letter.died_at - TimeDelta::milliseconds(1),
        by: "ann".into(),
        action: LetterState::Dropped,
        died_of: letter.reason.clone(),
        note: None,
    };
    assert!(office.desk.letters.decide(&letter, &decision).await.unwrap());
    assert_eq!(waiting_crawls(&office).await, 0);

    // The queue gives up what a replay sent: the letter waits again.
    office.bury(queue.as_ref(), &body).await;
    assert_eq!(waiting_crawls(&office).await, 1);
    office.desk.take_over("crawl", queue.as_ref(), 10).await.unwrap();
    let again = office.letter("crawl-acme-7").await;
    assert_eq!((again.state, again.history.len()), (LetterState::Waiting, 1));
    assert_eq!(office.desk.replay(&again, &ann()).await.unwrap(), Verdict::Replayed);
}

/// A drop that was cut off before the queue forgot.
#[tokio::test]
async fn what_was_decided_leaves_the_queue_and_stays_decided() {
    let office = Office::open();
    let queue = office.desk.deps.crawl.clone();
    let message = office.bury(queue.as_ref(), &crawl_letter("acme", 7).body).await;
    let mut letter = crawl_letter("acme", 7);
    letter.message_id = Some(message.id.as_str().to_owned());
    let letter = office.keep(letter).await;
    let decision = Decision {
        at: letter.died_at,
        by: "ann".into(),
        action: LetterState::Dropped,
        died_of: letter.reason.clone(),
        note: None,
    };
    assert!(office.desk.letters.decide(&letter, &decision).await.unwrap());
    office.desk.take_over("crawl", queue.as_ref(), 10).await.unwrap();
    assert_eq!(queue.counts().await.unwrap().dead, 0);
    assert_eq!(office.letter("crawl-acme-7").await.state, LetterState::Dropped);
}

/// However many there are: also where the queue's oldest have letters that cannot be read, and stay.
#[tokio::test]
async fn every_dead_message_gets_a_letter() {
    let office = Office::open();
    let queue = office.desk.deps.crawl.clone();
    for run in 1..=7 {
        office.bury(queue.as_ref(), &crawl_letter("acme", run).body).await;
    }
    for run in [1, 2, 3] {
        let damaged = keys::dead_letter(&format!("crawl-acme-{run}"));
        office.desk.deps.objects.put(&damaged, "{".into()).await.unwrap();
    }
    office.desk.take_over("crawl", queue.as_ref(), 2).await.unwrap();
    for run in 4..=7 {
        let letter = office.letter(&format!("crawl-acme-{run}")).await;
        assert_eq!(letter.state, LetterState::Waiting, "{run}");
    }
    assert_eq!(queue.counts().await.unwrap().dead, 3);
}
