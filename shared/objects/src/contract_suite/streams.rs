//! Large objects, written and read in pieces.

use super::bench::{Bench, key, noise};
use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

/// Twice S3's parts and a bit: the last part is a small one.
const LARGE_BYTES: usize = 17 << 20;
/// What S3's backend sends as one part: on either side of it.
const PART_BYTES: usize = 8 << 20;

pub(super) async fn an_unfinished_upload_shows_nothing(bench: Bench) {
    bench
        .blocking(|store| {
            let mut upload = store.upload(&key("raw/x")).expect("begin");
            upload.write_all(&noise(LARGE_BYTES)).expect("write");
            upload.flush().expect("flush");
        })
        .await;
    assert!(bench.get("raw/x").await.is_none(), "it was dropped");
    assert!(bench.names("", None, 10).await.is_empty());
}

pub(super) async fn uploads_of_any_size_come_back_whole(bench: Bench) {
    for length in [0, 5, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, LARGE_BYTES] {
        let same = bench
            .blocking(move |store| {
                let bytes = noise(length);
                let mut upload = store.upload(&key("raw/x")).expect("begin");
                // Pieces that fit no part.
                for piece in bytes.chunks(1_000_003) {
                    upload.write_all(piece).expect("write");
                }
                assert_eq!(upload.finish().expect("finish"), length as u64);
                let mut reader = store.open(&key("raw/x")).expect("open").expect("it is there");
                let mut read = Vec::new();
                reader.read_to_end(&mut read).expect("read");
                read == bytes
            })
            .await;
        assert!(same, "{length} bytes came back as others");
        assert_eq!(bench.list("raw/", None, 2).await[0].size_bytes, length as u64);
        assert_eq!(bench.get("raw/x").await.expect("it is there").len(), length);
    }
}

pub(super) async fn an_upload_replaces(bench: Bench) {
    bench.put("a", "before").await;
    bench
        .blocking(|store| {
            let mut upload = store.upload(&key("a")).expect("begin");
            upload.write_all(b"after").expect("write");
            upload.finish().expect("finish");
        })
        .await;
    assert_eq!(bench.get("a").await.expect("it is there"), "after");
}

pub(super) async fn what_is_not_there_does_not_open(bench: Bench) {
    let found = bench.blocking(|store| store.open(&key("a/b")).expect("open").is_some()).await;
    assert!(!found);
}

pub(super) async fn a_reader_may_stop_early(bench: Bench) {
    let bytes = noise(PART_BYTES);
    bench.store.put(&key("a"), bytes.clone().into()).await.expect("put");
    bench
        .blocking(move |store| {
            for _ in 0..3 {
                let mut reader = store.open(&key("a")).expect("open").expect("it is there");
                let mut start = [0; 10];
                assert_eq!(reader.read(&mut []).expect("nothing to read"), 0);
                reader.read_exact(&mut start).expect("read");
                assert_eq!(start, bytes[..10]);
            }
        })
        .await;
}

pub(super) async fn what_dead_writers_left_is_discarded(bench: Bench) {
    let hour = Duration::from_secs(3_600);
    bench.put("kept", "x").await;
    bench
        .blocking(|store| {
            let mut upload = store.upload(&key("left")).expect("begin");
            upload.write_all(&noise(PART_BYTES + 1)).expect("write");
            // A writer that was killed drops nothing.
            std::mem::forget(upload);
        })
        .await;
    let discard = async |before| bench.store.discard_unfinished(before).await.expect("discard");
    assert_eq!(discard(SystemTime::now() - hour).await, 0, "it is too young");
    assert_eq!(discard(SystemTime::now() + hour).await, 1);
    assert_eq!(discard(SystemTime::now() + hour).await, 0, "it has gone");
    assert_eq!(bench.names("", None, 10).await, ["kept"]);
}
