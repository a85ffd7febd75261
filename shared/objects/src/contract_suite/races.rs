//! Conditional writes: of several who saw the same, one succeeds.

use super::bench::{Bench, key};
use crate::{Expected, PutOutcome};
use tokio::task::JoinSet;

/// Writers at the same time.
const WRITERS: usize = 16;

pub(super) async fn what_is_there_is_not_created_again(bench: Bench) {
    let PutOutcome::Written(version) = bench.put_if("a", "first", Expected::Absent).await else {
        panic!("a conditional put of what was not there lost");
    };
    assert_eq!(bench.version("a").await, version);
    assert_eq!(bench.put_if("a", "second", Expected::Absent).await, PutOutcome::Lost);
    // The same bytes too: it is the other one's object.
    assert_eq!(bench.put_if("a", "first", Expected::Absent).await, PutOutcome::Lost);
    assert_eq!(bench.get("a").await.expect("it is there"), "first");
    bench.store.delete(&key("a")).await.expect("delete");
    let again = bench.put_if("a", "third", Expected::Absent).await;
    assert_ne!(again, PutOutcome::Lost, "what was deleted can be created anew");
}

pub(super) async fn a_stale_version_loses(bench: Bench) {
    let first = bench.put("a", "first").await;
    let seen = bench.version("a").await;
    assert_eq!(seen, first, "put and get name one state alike");
    let second = bench.put_if("a", "second", Expected::Version(seen)).await;
    let PutOutcome::Written(second) = second else { panic!("the version was current") };
    let stale = bench.put_if("a", "stale", Expected::Version(first)).await;
    assert_eq!(stale, PutOutcome::Lost);
    assert_eq!(bench.get("a").await.expect("it is there"), "second");
    let third = bench.put_if("a", "third", Expected::Version(second)).await;
    assert_ne!(third, PutOutcome::Lost, "the version that a conditional put gave is current");
}

pub(super) async fn what_is_gone_is_not_updated(bench: Bench) {
    let version = bench.put("a", "first").await;
    bench.store.delete(&key("a")).await.expect("delete");
    let update = bench.put_if("a", "second", Expected::Version(version)).await;
    assert_eq!(update, PutOutcome::Lost);
    assert!(bench.get("a").await.is_none());
}

pub(super) async fn of_racing_creators_one_wins(bench: Bench) {
    assert_eq!(winners(&bench, Expected::Absent).await, 1);
}

pub(super) async fn of_racing_updaters_one_wins(bench: Bench) {
    let seen = bench.put("a/b", "before").await;
    assert_eq!(winners(&bench, Expected::Version(seen)).await, 1);
}

/// How many of several writers won, each with bytes of its own.
async fn winners(bench: &Bench, expected: Expected) -> usize {
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let (bench, expected) = (bench.clone(), expected.clone());
        writers.spawn(async move { (n, bench.put_if("a/b", &n.to_string(), expected).await) });
    }
    let ends = writers.join_all().await;
    let won: Vec<_> = ends.iter().filter(|(_, end)| *end != PutOutcome::Lost).collect();
    if let [(n, PutOutcome::Written(version))] = won.as_slice() {
        assert_eq!(bench.get("a/b").await.expect("it is there"), n.to_string());
        assert_eq!(bench.version("a/b").await, *version);
    }
    won.len()
}

pub(super) async fn updates_in_turn_are_all_in(bench: Bench) {
    bench.put("a", "0").await;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS / 2 {
        let bench = bench.clone();
        writers.spawn(async move {
            loop {
                let object = bench.store.get(&key("a")).await.expect("get").expect("it is there");
                let text = std::str::from_utf8(&object.bytes).expect("a number");
                let next = text.parse::<usize>().expect("a number") + 1;
                let expected = Expected::Version(object.version);
                if bench.put_if("a", &next.to_string(), expected).await != PutOutcome::Lost {
                    return;
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(bench.get("a").await.expect("it is there"), (WRITERS / 2).to_string());
}
