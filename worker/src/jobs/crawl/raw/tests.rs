//! Snapshots that are cut short, taken up again, taken over, damaged.

use super::testing::Archive;
use super::*;
use bytes::Bytes;

/// Bytes of which no two parts are the same.
fn feed(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

#[test]
fn a_feed_is_kept_in_parts_and_read_as_one() {
    let archive = Archive::new();
    let feed = feed(2 * PART_BYTES + 10);
    let mut writer = archive.begin();
    for piece in feed.chunks(300_000) {
        writer.write(piece).unwrap();
    }
    assert!(!archive.look().facts.unwrap().complete, "not before its end");
    writer.finish(true).unwrap();
    assert!(archive.look().facts.unwrap().complete);
    assert_eq!(archive.look().bytes(), feed.len() as u64);
    assert!(archive.read() == feed);
    let parts = ["0001-00000000", "0001-00000001", "0001-00000002", "facts.json"];
    assert_eq!(archive.keys(), parts);
}

#[test]
fn an_empty_feed_is_complete() {
    let archive = Archive::new();
    archive.begin().finish(true).unwrap();
    assert!(archive.look().facts.unwrap().complete);
    assert!(archive.read().is_empty());
}

#[test]
fn a_killed_transfer_loses_less_than_a_part_and_an_interrupted_one_nothing() {
    let archive = Archive::new();
    let feed = feed(3 * PART_BYTES);
    let (first, rest) = feed.split_at(PART_BYTES + 5);
    let mut killed = archive.begin();
    killed.write(first).unwrap();
    killed.settle(0).unwrap();
    drop(killed);
    assert_eq!(archive.look().bytes(), PART_BYTES as u64);

    let mut interrupted = archive.resume();
    interrupted.write(&first[PART_BYTES..]).unwrap();
    interrupted.finish(false).unwrap();
    assert_eq!(archive.look().bytes(), first.len() as u64);
    assert!(!archive.look().facts.unwrap().complete);

    // One that dies before it has written anything changes nothing.
    drop(archive.resume());
    assert_eq!(archive.look().bytes(), first.len() as u64);

    let mut last = archive.resume();
    last.write(rest).unwrap();
    last.finish(true).unwrap();
    assert!(archive.look().facts.unwrap().complete);
    assert!(archive.read() == feed);
}

/// Two parts are on their way at once, and the worker dies when only the later one is there.
#[test]
fn a_part_behind_a_missing_one_does_not_count() {
    let archive = Archive::new();
    let feed = feed(3 * PART_BYTES + 5);
    let mut killed = archive.begin();
    killed.write(&feed[..3 * PART_BYTES]).unwrap();
    killed.settle(0).unwrap();
    drop(killed);
    let second = keys::raw_part(archive.place.run(), 1, 1);
    archive.runtime.block_on(archive.place.objects.delete(&second)).unwrap();
    assert_eq!(archive.look().bytes(), PART_BYTES as u64);

    let mut next = archive.resume();
    next.write(&feed[PART_BYTES..]).unwrap();
    next.finish(true).unwrap();
    assert!(archive.look().facts.unwrap().complete);
    assert!(archive.read() == feed);
}

#[test]
fn a_worker_that_was_replaced_spoils_nothing() {
    let archive = Archive::new();
    let feed = feed(2 * PART_BYTES);
    let mut slow = archive.begin();
    slow.write(&feed[..PART_BYTES]).unwrap();
    slow.settle(0).unwrap();
    let mut next = archive.resume();
    next.write(&feed[PART_BYTES..]).unwrap();
    // The first one has not noticed yet.
    slow.write(&vec![0; PART_BYTES + 1]).unwrap();
    let error = slow.finish(true).unwrap_err();
    assert!(error.to_string().contains("another worker"), "{error}");
    next.finish(true).unwrap();
    assert!(archive.read() == feed);
}

#[test]
fn of_two_who_take_over_at_once_one_succeeds() {
    let archive = Archive::new();
    drop(archive.begin());
    let found = archive.look();
    let facts = found.facts.clone().unwrap();
    let take = || archive.runtime.block_on(RawWriter::resume(&found, facts.clone()));
    assert!(take().is_ok());
    assert!(take().is_err());
    assert!(archive.runtime.block_on(RawWriter::begin(&found, facts.clone())).is_err());
}

#[test]
fn what_begins_anew_leaves_nothing_of_what_was() {
    let archive = Archive::new();
    let mut old = archive.begin();
    old.write(&feed(PART_BYTES + 1)).unwrap();
    old.finish(false).unwrap();
    let mut new = archive.begin();
    new.write(b"new").unwrap();
    new.finish(true).unwrap();
    assert_eq!(archive.read(), b"new");
    assert_eq!(archive.keys(), ["0002-00000000", "facts.json"]);
}

#[test]
fn what_is_no_feed_is_marked() {
    let archive = Archive::new();
    archive.place.reject().unwrap();
    assert!(archive.look().facts.is_none(), "there is nothing to mark");
    let mut writer = archive.begin();
    writer.write(b"<html>").unwrap();
    writer.finish(true).unwrap();
    assert!(!archive.look().facts.unwrap().rejected);
    archive.place.reject().unwrap();
    let facts = archive.look().facts.unwrap();
    assert!(facts.rejected && facts.complete);
    drop(archive.begin());
    assert!(!archive.look().facts.unwrap().rejected);
}

#[test]
fn a_damaged_snapshot_is_none_or_an_error_and_never_a_shorter_feed() {
    let archive = Archive::new();
    let objects = archive.place.objects.clone();
    let part = keys::raw_part(archive.place.run(), 1, 1);
    let facts = keys::raw_facts(archive.place.run());
    let mut writer = archive.begin();
    writer.write(&feed(2 * PART_BYTES + 1)).unwrap();
    writer.finish(true).unwrap();

    let put = |key: &ObjectKey, bytes: &'static str| {
        archive.runtime.block_on(objects.put(key, Bytes::from(bytes))).unwrap();
    };
    let mut reader = archive.look().reader();
    put(&part, "short");
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    assert!(archive.look().facts.is_none());

    archive.runtime.block_on(objects.delete(&part)).unwrap();
    assert!(archive.look().facts.is_none());
    assert!(archive.place.open().is_err());

    put(&facts, "not JSON");
    assert!(archive.look().facts.is_none());
    let mut anew = archive.begin();
    anew.write(b"anew").unwrap();
    anew.finish(true).unwrap();
    assert_eq!(archive.read(), b"anew");
}
