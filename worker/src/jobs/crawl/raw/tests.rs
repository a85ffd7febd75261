//! Snapshots that are cut short, taken up again, taken over, damaged.

use super::*;
use bytes::Bytes;
use feedfleet_model::RunId;
use feedfleet_objects::FolderObjects;
use tempfile::TempDir;
use tokio::runtime::Runtime;

struct Scene {
    runtime: Runtime,
    place: Place,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(FolderObjects::open(folder.path()).unwrap());
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
        let runtime = Runtime::new().unwrap();
        let place = runtime.block_on(async { Place::new(objects, run) });
        Self { runtime, place, _folder: folder }
    }

    fn look(&self) -> RawSnapshot {
        self.runtime.block_on(self.place.look()).unwrap()
    }

    fn begin(&self) -> RawWriter {
        let facts = RawFacts { location: "here".to_owned(), ..RawFacts::default() };
        self.runtime.block_on(RawWriter::begin(&self.look(), facts)).unwrap()
    }

    fn resume(&self) -> RawWriter {
        let found = self.look();
        let facts = found.facts.clone().unwrap();
        self.runtime.block_on(RawWriter::resume(&found, facts)).unwrap()
    }

    fn read(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.place.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn keys(&self) -> Vec<String> {
        let prefix = keys::raw_prefix(self.place.run());
        let list = self.place.objects.list(&prefix, None, usize::MAX);
        let listed = self.runtime.block_on(list).unwrap();
        listed.iter().map(|object| object.key.name().to_owned()).collect()
    }
}

/// Bytes of which no two parts are the same.
fn feed(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

#[test]
fn a_feed_is_kept_in_parts_and_read_as_one() {
    let scene = Scene::new();
    let feed = feed(2 * PART_BYTES + 10);
    let mut writer = scene.begin();
    for piece in feed.chunks(300_000) {
        writer.write(piece).unwrap();
    }
    assert!(!scene.look().facts.unwrap().complete, "not before its end");
    writer.finish(true).unwrap();
    assert!(scene.look().facts.unwrap().complete);
    assert_eq!(scene.look().bytes(), feed.len() as u64);
    assert!(scene.read() == feed);
    let parts = ["0001-00000000", "0001-00000001", "0001-00000002", "facts.json"];
    assert_eq!(scene.keys(), parts);
}

#[test]
fn an_empty_feed_is_complete() {
    let scene = Scene::new();
    scene.begin().finish(true).unwrap();
    assert!(scene.look().facts.unwrap().complete);
    assert!(scene.read().is_empty());
}

#[test]
fn a_killed_transfer_loses_less_than_a_part_and_an_interrupted_one_nothing() {
    let scene = Scene::new();
    let feed = feed(3 * PART_BYTES);
    let (first, rest) = feed.split_at(PART_BYTES + 5);
    let mut killed = scene.begin();
    killed.write(first).unwrap();
    killed.settle().unwrap();
    drop(killed);
    assert_eq!(scene.look().bytes(), PART_BYTES as u64);

    let mut interrupted = scene.resume();
    interrupted.write(&first[PART_BYTES..]).unwrap();
    interrupted.finish(false).unwrap();
    assert_eq!(scene.look().bytes(), first.len() as u64);
    assert!(!scene.look().facts.unwrap().complete);

    // One that dies before it has written anything changes nothing.
    drop(scene.resume());
    assert_eq!(scene.look().bytes(), first.len() as u64);

    let mut last = scene.resume();
    last.write(rest).unwrap();
    last.finish(true).unwrap();
    assert!(scene.look().facts.unwrap().complete);
    assert!(scene.read() == feed);
}

#[test]
fn a_worker_that_was_replaced_spoils_nothing() {
    let scene = Scene::new();
    let feed = feed(2 * PART_BYTES);
    let mut slow = scene.begin();
    slow.write(&feed[..PART_BYTES]).unwrap();
    slow.settle().unwrap();
    let mut next = scene.resume();
    next.write(&feed[PART_BYTES..]).unwrap();
    // The first one has not noticed yet.
    slow.write(&vec![0; PART_BYTES + 1]).unwrap();
    let error = slow.finish(true).unwrap_err();
    assert!(error.to_string().contains("another worker"), "{error}");
    next.finish(true).unwrap();
    assert!(scene.read() == feed);
}

#[test]
fn of_two_who_take_over_at_once_one_succeeds() {
    let scene = Scene::new();
    drop(scene.begin());
    let found = scene.look();
    let facts = found.facts.clone().unwrap();
    let take = || scene.runtime.block_on(RawWriter::resume(&found, facts.clone()));
    assert!(take().is_ok());
    assert!(take().is_err());
    assert!(scene.runtime.block_on(RawWriter::begin(&found, facts.clone())).is_err());
}

#[test]
fn what_begins_anew_leaves_nothing_of_what_was() {
    let scene = Scene::new();
    let mut old = scene.begin();
    old.write(&feed(PART_BYTES + 1)).unwrap();
    old.finish(false).unwrap();
    let mut new = scene.begin();
    new.write(b"new").unwrap();
    new.finish(true).unwrap();
    assert_eq!(scene.read(), b"new");
    assert_eq!(scene.keys(), ["0002-00000000", "facts.json"]);
}

#[test]
fn what_is_no_feed_is_marked() {
    let scene = Scene::new();
    scene.place.reject().unwrap();
    assert!(scene.look().facts.is_none(), "there is nothing to mark");
    let mut writer = scene.begin();
    writer.write(b"<html>").unwrap();
    writer.finish(true).unwrap();
    assert!(!scene.look().facts.unwrap().rejected);
    scene.place.reject().unwrap();
    let facts = scene.look().facts.unwrap();
    assert!(facts.rejected && facts.complete);
    drop(scene.begin());
    assert!(!scene.look().facts.unwrap().rejected);
}

#[test]
fn a_damaged_snapshot_is_none_or_an_error_and_never_a_shorter_feed() {
    let scene = Scene::new();
    let objects = scene.place.objects.clone();
    let part = keys::raw_part(scene.place.run(), 1, 1);
    let facts = keys::raw_facts(scene.place.run());
    let mut writer = scene.begin();
    writer.write(&feed(2 * PART_BYTES + 1)).unwrap();
    writer.finish(true).unwrap();

    let put = |key: &ObjectKey, bytes: &'static str| {
        scene.runtime.block_on(objects.put(key, Bytes::from(bytes))).unwrap();
    };
    let mut reader = scene.look().reader();
    put(&part, "short");
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    assert!(scene.look().facts.is_none());

    scene.runtime.block_on(objects.delete(&part)).unwrap();
    assert!(scene.look().facts.is_none());
    assert!(scene.place.open().is_err());

    put(&facts, "not JSON");
    assert!(scene.look().facts.is_none());
    let mut anew = scene.begin();
    anew.write(b"anew").unwrap();
    anew.finish(true).unwrap();
    assert_eq!(scene.read(), b"anew");
}
