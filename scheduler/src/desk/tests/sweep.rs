//! What the scheduler does by itself.

use super::*;
use feedfleet_model::keys;

#[tokio::test]
async fn the_sweep_marks_runs_that_ended_by_another_message() {
    let office = Office::open();
    let done = office.run(7, RunState::Done).await;
    let dead = office.run(8, RunState::Dead).await;
    for run in [7, 8] {
        office.keep(crawl_letter("acme", run)).await;
    }
    let waiting = office.desk.settle_pointless(&Letters::default()).await.unwrap();
    assert_eq!(waiting, BTreeMap::from([("crawl".to_owned(), 1)]));
    let letter = office.letter("crawl-acme-7").await;
    assert_eq!(letter.state, LetterState::Superseded);
    assert_eq!(letter.history[0].by, "scheduler");
    assert_eq!(office.letter("crawl-acme-8").await.state, LetterState::Waiting);
    assert_eq!(office.state(&done).await, RunState::Done);
    assert_eq!(office.state(&dead).await, RunState::Dead);
}

#[tokio::test]
async fn what_the_queue_gave_up_gets_a_letter_and_leaves_the_queue() {
    let mut office = Office::open();
    let queue = office.desk.crawl.clone();
    let body = crawl_letter("acme", 7).body;
    office.run(7, RunState::Dead).await;
    office.bury(queue.as_ref(), &body).await;
    office.desk.take_over("crawl", queue.as_ref(), 10).await.unwrap();
    let letter = office.letter("crawl-acme-7").await;
    assert_eq!(letter.reason.class, ReasonClass::WorkerLost);
    assert!(letter.reason.message.contains("a test"), "{:?}", letter.reason);
    assert_eq!(queue.counts().await.unwrap().dead, 0);

    // A second message of the same job has its letter already.
    office.bury(queue.as_ref(), &body).await;
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

    // The queue gives up what a replay sent: the letter waits again.
    office.bury(queue.as_ref(), &body).await;
    office.desk.take_over("crawl", queue.as_ref(), 10).await.unwrap();
    let again = office.letter("crawl-acme-7").await;
    assert_eq!((again.state, again.history.len()), (LetterState::Waiting, 1));
    assert_eq!(office.desk.replay(&again, &ann()).await.unwrap(), Verdict::Replayed);
}

/// A drop that was cut off before the queue forgot.
#[tokio::test]
async fn what_was_decided_leaves_the_queue_and_stays_decided() {
    let office = Office::open();
    let queue = office.desk.crawl.clone();
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
    let queue = office.desk.crawl.clone();
    for run in 1..=7 {
        office.bury(queue.as_ref(), &crawl_letter("acme", run).body).await;
    }
    for run in [1, 2, 3] {
        let damaged = keys::dead_letter(&format!("crawl-acme-{run}"));
        office.desk.objects.put(&damaged, "{".into()).await.unwrap();
    }
    office.desk.take_over("crawl", queue.as_ref(), 2).await.unwrap();
    for run in 4..=7 {
        let letter = office.letter(&format!("crawl-acme-{run}")).await;
        assert_eq!(letter.state, LetterState::Waiting, "{run}");
    }
    assert_eq!(queue.counts().await.unwrap().dead, 3);
}
