//! Listings.

use super::bench::Bench;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

/// More than S3 gives at once.
const MANY: usize = 1_003;
/// Writers at the same time, so that many objects are soon there.
const WRITERS: usize = 16;

pub(super) async fn a_list_has_what_begins_so(bench: Bench) {
    for name in ["r/a-1", "r/a/1", "r/b", "rx", "other"] {
        bench.put(name, "x").await;
    }
    let set = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>();
    let expected = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(set(bench.names("r/", None, 10).await), expected(&["r/a-1", "r/a/1", "r/b"]));
    assert_eq!(set(bench.names("r/a", None, 10).await), expected(&["r/a-1", "r/a/1"]));
    assert_eq!(set(bench.names("r", None, 10).await).len(), 4);
    assert_eq!(set(bench.names("", None, 10).await).len(), 5);
    assert!(bench.names("absent/", None, 10).await.is_empty());
    assert_eq!(bench.names("r/", None, 2).await.len(), 2);
    assert!(bench.names("r/", None, 0).await.is_empty());
}

pub(super) async fn a_list_is_in_key_order(bench: Bench) {
    for name in ["r/b", "r/a/1", "r/a-1", "r/a.1", "r/B", "r/a1"] {
        bench.put(name, "x").await;
    }
    let names = bench.names("r/", None, 10).await;
    assert_eq!(names, ["r/B", "r/a-1", "r/a.1", "r/a/1", "r/a1", "r/b"]);
}

pub(super) async fn a_list_goes_on_where_it_ended(bench: Bench) {
    for name in ["r/a-1", "r/a/1", "r/b"] {
        bench.put(name, "x").await;
    }
    assert_eq!(bench.names("r/", Some("r/a-1"), 1).await, ["r/a/1"]);
    assert_eq!(bench.names("r/", Some("r/a-1"), 10).await, ["r/a/1", "r/b"]);
    assert_eq!(bench.names("r/", Some("r/a0"), 10).await, ["r/b"]);
    assert!(bench.names("r/", Some("r/b"), 10).await.is_empty());
}

pub(super) async fn a_long_list_is_whole(bench: Bench) {
    let name = |n: usize| format!("many/{n:05}");
    let mut writers = JoinSet::new();
    for first in 0..WRITERS {
        let bench = bench.clone();
        writers.spawn(async move {
            for n in (first..MANY).step_by(WRITERS) {
                bench.put(&name(n), "x").await;
            }
        });
    }
    writers.join_all().await;
    let expected: Vec<String> = (0..MANY).map(name).collect();
    assert!(bench.names("many/", None, usize::MAX).await == expected, "all, each once, in order");
    assert!(bench.names("many/", None, MANY - 1).await == expected[..MANY - 1]);
    assert!(bench.names("many/", Some(&expected[0]), MANY).await == expected[1..]);
}

pub(super) async fn a_list_tells_size_and_time(bench: Bench) {
    bench.put("a", "12345").await;
    let listed = bench.list("a", None, 2).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].size_bytes, 5);
    // A server's clock may be some way off, and may tell whole seconds.
    let hour = Duration::from_secs(3_600);
    let now = SystemTime::now();
    assert!(listed[0].modified > now - hour && listed[0].modified < now + hour, "{listed:?}");
}
