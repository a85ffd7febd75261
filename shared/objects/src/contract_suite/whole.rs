//! Objects written, read and deleted whole.

use super::bench::{Bench, key, noise};
use crate::Attributes;
use bytes::Bytes;
use std::time::Duration;

/// More than one packet, less than one part.
const SOME_BYTES: usize = 3_000_001;

pub(super) async fn an_object_comes_back_as_it_was_written(bench: Bench) {
    let bytes = Bytes::from(noise(SOME_BYTES));
    let written = bench.store.put(&key("a/b"), bytes.clone()).await.expect("put");
    let read = bench.store.get(&key("a/b")).await.expect("get").expect("it is there");
    assert!(read.bytes == bytes, "the bytes have changed");
    assert_eq!(read.version, written);
    assert!(bench.get("a/c").await.is_none());
}

pub(super) async fn a_put_replaces(bench: Bench) {
    let first = bench.put("a", "first").await;
    let second = bench.put("a", "second, and longer").await;
    assert_ne!(first, second);
    assert_eq!(bench.get("a").await.expect("it is there"), "second, and longer");
    assert_eq!(bench.version("a").await, second);
}

pub(super) async fn an_empty_object_is_an_object(bench: Bench) {
    let version = bench.put("a", "").await;
    assert_eq!(bench.get("a").await.expect("it is there"), "");
    assert_eq!(bench.version("a").await, version);
    assert_eq!(bench.list("", None, 10).await[0].size_bytes, 0);
}

pub(super) async fn the_longest_key_is_a_key(bench: Bench) {
    // 3 segments of 255 and one of 32: a store may need some room for its own prefix.
    let segment = "k".repeat(255);
    let name = format!("{segment}/{segment}/{segment}/A-Z.a_z=0-9.{}", "x".repeat(19));
    bench.put(&name, "deep").await;
    assert_eq!(bench.get(&name).await.expect("it is there"), "deep");
    assert_eq!(bench.names("", None, 10).await, [name]);
}

pub(super) async fn attributes_change_no_byte(bench: Bench) {
    let attributes = Attributes::picture("image/gif").with("hash", "00ff").with("format", "gif");
    let bytes = Bytes::from_static(b"GIF89a");
    let version = bench.store.put_with(&key("a"), bytes.clone(), &attributes).await.expect("put");
    assert_eq!(bench.get("a").await.expect("it is there"), bytes);
    assert_eq!(bench.version("a").await, version);
}

pub(super) async fn what_was_deleted_is_gone(bench: Bench) {
    bench.put("a/b/c/d", "x").await;
    for _ in 0..2 {
        bench.store.delete(&key("a/b/c/d")).await.expect("delete, also of what is not there");
        assert!(bench.get("a/b/c/d").await.is_none());
        assert!(bench.names("", None, 10).await.is_empty());
    }
    bench.put("a/b/c/d", "again").await;
    assert_eq!(bench.get("a/b/c/d").await.expect("it is there"), "again");
}

pub(super) async fn a_link_names_the_object(bench: Bench) {
    let link = bench.store.link(&key("reports/a/7.json"), Duration::from_secs(60)).await;
    let link = link.expect("a link is made without looking");
    assert!(link.contains("reports/a/7.json"), "{link}");
    assert!(!bench.store.location().is_empty());
}
