//! What is past its age goes, and what somebody may still need stays.

use super::*;
use crate::testing::{World, acme, run};
use chrono::TimeDelta;
use feedfleet_model::{Reason, ReasonClass, RunId};
use feedfleet_objects::DeadLetter;
use feedfleet_objects::dead_letters::Decision;

/// Numbers of the runs that have a report.
async fn reported(world: &World) -> Vec<i64> {
    let runs = world.deps.reports().runs_of(&acme()).await.unwrap();
    runs.into_iter().map(|run| run.run.0).collect()
}

#[tokio::test]
async fn old_reports_go_but_those_that_the_next_run_looks_at() {
    let world = World::new();
    let states = [
        (1, RunState::Running),
        (2, RunState::Done),
        (3, RunState::Superseded),
        (4, RunState::Done),
        (5, RunState::Held),
        (6, RunState::Dead),
        (7, RunState::Dead),
    ];
    for (number, state) in states {
        world.report(number, state, |_| ()).await;
        // Of two workers at the run, each has left a list.
        let lists = [keys::held(&run(number), 1), keys::held(&run(number), 2)];
        world.put(&lists).await;
        world.put(&[keys::absent(&run(number), 3)]).await;
    }
    world.pass(TimeDelta::days(89));
    expire(&world.deps, world.now()).await;
    assert_eq!(reported(&world).await, [1, 2, 3, 4, 5, 6, 7]);
    world.pass(TimeDelta::days(2));
    expire(&world.deps, world.now()).await;
    // Unfinished; the newest done; the newest in the table; the newest.
    assert_eq!(reported(&world).await, [1, 4, 5, 7]);
    assert!(!world.is_there(&keys::held(&run(2), 1)).await);
    assert!(!world.is_there(&keys::held(&run(2), 2)).await);
    assert!(!world.is_there(&keys::absent(&run(6), 3)).await);
    assert!(world.is_there(&keys::held(&run(5), 1)).await);
}

#[tokio::test]
async fn copies_of_damaged_reports_go_as_reports_do() {
    let world = World::new();
    let (old, new) = (keys::damaged_report(&run(1), 1), keys::damaged_report(&run(2), 1));
    world.put(&[old.clone(), new.clone()]).await;
    world.age(&old, 91);
    world.age(&new, 89);
    expire(&world.deps, world.now()).await;
    assert_eq!((world.is_there(&old).await, world.is_there(&new).await), (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_report_is_set_aside_and_goes_in_its_turn() {
    let world = World::new();
    for number in 1..=5 {
        world.report(number, RunState::Done, |_| ()).await;
    }
    world.add_rows(1, &["a"]);
    world.add_rows(5, &["b"]);
    world.deps.objects.put(&keys::report(&run(1)), "{".into()).await.unwrap();
    world.pass(TimeDelta::days(91));
    expire(&world.deps, world.now()).await;
    assert_eq!(reported(&world).await, [1, 5]);
    let report = world.deps.reports().load(&run(1)).await.unwrap().unwrap();
    assert_eq!((report.state, report.table_version), (RunState::Done, Some(1)));
    world.pass(TimeDelta::days(91));
    expire(&world.deps, world.now()).await;
    assert_eq!(reported(&world).await, [5]);
}

#[tokio::test]
async fn a_report_that_was_written_lately_is_not_old() {
    let world = World::new();
    world.report(1, RunState::Done, |_| ()).await;
    world.report(2, RunState::Done, |_| ()).await;
    world.pass(TimeDelta::days(91));
    // An operator has decided on the run today: its end is of today.
    let now = world.now();
    world.deps.reports().update(&run(1), |r| r.finished_at = Some(now)).await.unwrap();
    expire(&world.deps, now).await;
    assert_eq!(reported(&world).await, [1, 2]);
    world.pass(TimeDelta::days(91));
    expire(&world.deps, world.now()).await;
    assert_eq!(reported(&world).await, [2]);
}

#[tokio::test]
async fn old_raw_snapshots_go_but_those_of_unfinished_runs() {
    let world = World::new();
    for (number, state) in [(1, RunState::Done), (2, RunState::Done), (3, RunState::Dead)] {
        world.report(number, state, |_| ()).await;
    }
    // The newest run replays the second's snapshot.
    world
        .report(4, RunState::Running, |report| {
            report.source.replayed_from = Some(keys::raw(&run(2)).to_string());
        })
        .await;
    let part = |number, part| keys::raw_part(&run(number), 1, part);
    for number in 0..=4 {
        world.put(&[part(number, 0), part(number, 1), keys::raw_facts(&run(number))]).await;
        world.age(&part(number, 0), 20);
    }
    expire(&world.deps, world.now()).await;
    for number in 0..=4 {
        assert!(world.is_there(&part(number, 0)).await, "the rest of run {number}'s is young");
        world.age(&part(number, 1), 15);
        world.age(&keys::raw_facts(&run(number)), 15);
    }
    expire(&world.deps, world.now()).await;
    let mut left = Vec::new();
    for number in 0..=4 {
        if world.is_there(&part(number, 0)).await && world.is_there(&part(number, 1)).await {
            left.push(number);
        }
    }
    assert_eq!(left, [2, 4]);
    assert!(!world.is_there(&keys::raw_facts(&run(1))).await);
}

fn letter(id: &str, state: LetterState, decided_at: DateTime<Utc>) -> DeadLetter {
    let reason = Reason::new(ReasonClass::SourceRefused, "404");
    let decision = Decision {
        at: decided_at,
        by: "ann".into(),
        action: state,
        died_of: reason.clone(),
        note: None,
    };
    DeadLetter {
        id: id.into(),
        queue: "crawl".into(),
        group: "acme".into(),
        body: "{}".into(),
        job: None,
        reason,
        worker: "w/1".into(),
        receives: 1,
        first_received_at: DateTime::UNIX_EPOCH,
        died_at: DateTime::UNIX_EPOCH,
        first_died_at: None,
        message_id: None,
        state,
        history: vec![decision],
    }
}

#[tokio::test]
async fn decided_dead_letters_go_and_waiting_ones_never() {
    let world = World::new();
    let letters = DeadLetters::new(world.deps.objects.clone());
    let long_ago = world.now() - TimeDelta::days(91);
    for kept in [
        letter("waiting", LetterState::Waiting, long_ago),
        letter("dropped", LetterState::Dropped, long_ago),
        letter("replayed", LetterState::Replayed, long_ago),
        letter("lately", LetterState::Dropped, world.now()),
    ] {
        letters.keep(&kept).await.unwrap();
    }
    expire(&world.deps, world.now()).await;
    let (left, _) = letters.all().await.unwrap();
    let left: Vec<&str> = left.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(left, ["lately", "waiting"]);
}

#[tokio::test]
async fn receipts_that_cannot_be_read_go_when_they_are_old() {
    let world = World::new();
    let receipt = keys::receipt("image-acme-1-0", 1);
    world.put(std::slice::from_ref(&receipt)).await;
    world.age(&receipt, 89);
    expire(&world.deps, world.now()).await;
    assert!(world.is_there(&receipt).await);
    world.age(&receipt, 91);
    expire(&world.deps, world.now()).await;
    assert!(!world.is_there(&receipt).await);
}

#[tokio::test]
async fn the_words_of_workers_that_were_killed_go() {
    let world = World::new();
    let (killed, alive) = (keys::worker_status("i-0a/7"), keys::worker_status("i-0b/7"));
    world.put(&[killed.clone(), alive.clone()]).await;
    world.age(&killed, 2);
    expire(&world.deps, world.now()).await;
    assert!(!world.is_there(&killed).await);
    assert!(world.is_there(&alive).await);
}

/// What a supplement said counts for as long as it is configured, however seldom it runs.
#[tokio::test]
async fn what_a_supplement_said_goes_when_it_has_been_gone_for_long() {
    let world = World::new();
    let of = |name: &str, number: i64| {
        let pipe = acme().with_supplement(name).unwrap();
        keys::supplement_state(&RunKey { pipe, run: RunId(number) })
    };
    let file = world.deps.config_folder.join("pipes/acme.toml");
    let pipe = std::fs::read_to_string(&file).unwrap();
    let stock = "[supplements.stock]\ncolumns = 'price'\n\
                 source = { url = 'http://shop.example/stock', format = 'google-xml' }\n";
    std::fs::write(&file, format!("{pipe}{stock}")).unwrap();
    let (here, gone, lately) = (of("stock", 1), of("gone", 1), of("lately", 1));
    let again = of("lately", 2);
    let all = [here.clone(), gone.clone(), lately.clone(), again.clone()];
    world.put(&all).await;
    for (key, days) in [(&here, 1000), (&gone, 91), (&lately, 91), (&again, 89)] {
        world.age(key, days);
    }
    // As long as a file has a mistake, nobody knows what it names.
    let broken = world.deps.config_folder.join("pipes/other.toml");
    std::fs::write(&broken, "[source").unwrap();
    expire(&world.deps, world.now()).await;
    assert!(world.is_there(&gone).await);
    std::fs::remove_file(&broken).unwrap();
    expire(&world.deps, world.now()).await;
    assert!(!world.is_there(&gone).await);
    for key in [&here, &lately, &again] {
        assert!(world.is_there(key).await, "{key}");
    }
}
