//! The job from end to end.

use super::fixture::{Bench, Shop, key_of, path, response, tagged, thumb_key};
use super::*;
use feedfleet_config::RenditionFormat;
use feedfleet_model::ImageItem;
use feedfleet_pictures::samples::{self, thumb};
use std::sync::Mutex;

#[tokio::test]
async fn a_picture_is_stored_once_and_then_found_unchanged() {
    let picture = samples::jpeg(120, 60);
    let body = picture.clone();
    let shop = Shop::open(move |head| tagged(head, "a", &body)).await;
    let bench = Bench::new();
    let job = shop.job(&["/1.jpg"]);

    let first = bench.entries(&job).await.remove(0);
    assert_eq!(first.status, ImageStatus::Stored);
    assert_eq!((first.width, first.height), (Some(120), Some(60)));
    assert_eq!(first.format.as_deref(), Some("jpeg"));
    assert_eq!(first.size_bytes, Some(picture.len() as i64));
    assert_eq!(bench.get(&key_of(&first)).await.unwrap(), picture);
    let thumb = bench.get(&thumb_key(&first)).await.unwrap();
    let thumb = ::image::load_from_memory(&thumb).unwrap();
    assert_eq!((thumb.width(), thumb.height()), (50, 25));

    let second = bench.entries(&job).await.remove(0);
    let expected =
        ImageEntry { status: ImageStatus::Unchanged, checked_at: second.checked_at, ..first };
    assert_eq!(second, expected);
    assert_eq!(shop.paths().len(), 2);
}

#[tokio::test]
async fn the_same_bytes_are_unchanged_without_validators_too() {
    let body = samples::png(30, 30);
    let shop = Shop::open(move |_| response("200 OK", "", &body)).await;
    let bench = Bench::new();
    let job = shop.job(&["/1.png", "/1.png"]);
    let statuses: Vec<_> = bench.entries(&job).await.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [ImageStatus::Stored, ImageStatus::Unchanged]);
}

#[tokio::test]
async fn another_picture_replaces_the_stored_one() {
    let state = Arc::new(Mutex::new(("a", samples::png(30, 30))));
    let shown = Arc::clone(&state);
    let shop = Shop::open(move |head| {
        let (tag, body) = shown.lock().unwrap().clone();
        tagged(head, tag, &body)
    })
    .await;
    let bench = Bench::new();
    let job = shop.job(&["/1"]);
    bench.entries(&job).await;
    let other = samples::gif(40, 20);
    *state.lock().unwrap() = ("b", other.clone());

    let entry = bench.entries(&job).await.remove(0);
    assert_eq!(entry.status, ImageStatus::Stored);
    assert_eq!(entry.format.as_deref(), Some("gif"));
    assert_eq!(entry.etag.as_deref(), Some("\"b\""));
    assert_eq!(bench.get(&key_of(&entry)).await.unwrap(), other);
}

#[tokio::test]
async fn a_new_rendition_is_made_of_the_stored_original() {
    let body = samples::png(100, 100);
    let shop = Shop::open(move |head| tagged(head, "a", &body)).await;
    let mut bench = Bench::new();
    let job = shop.job(&["/1.png"]);
    bench.entries(&job).await;
    bench.settings.renditions = vec![thumb(20, RenditionFormat::Webp)];

    let entry = bench.entries(&job).await.remove(0);
    assert_eq!(entry.status, ImageStatus::Stored);
    let small = ::image::load_from_memory(&bench.get(&thumb_key(&entry)).await.unwrap()).unwrap();
    assert_eq!((small.width(), small.height()), (20, 20));
    assert_eq!(shop.paths().len(), 2, "nothing was fetched but a 304");

    // Without the original there is nothing to make it of: it is fetched again.
    bench.objects.delete(&key_of(&entry)).await.unwrap();
    bench.settings.renditions = vec![thumb(10, RenditionFormat::Webp)];
    let entry = bench.entries(&job).await.remove(0);
    assert_eq!(entry.status, ImageStatus::Stored);
    assert!(bench.get(&key_of(&entry)).await.is_some());
    assert_eq!(shop.paths().len(), 4);
}

#[tokio::test]
async fn a_failure_costs_only_its_item() {
    let good = samples::png(10, 10);
    let shop = Shop::open(move |head| match path(head) {
        "/gone" => response("404 Not Found", "", b"no"),
        "/page" => response("200 OK", "Content-Type: image/jpeg\r\n", b"<html>Hi</html>"),
        "/empty" => response("200 OK", "", b""),
        "/broken" => response("200 OK", "", b"\xFF\xD8\xFF\xE0"),
        "/bomb" => response("200 OK", "", &samples::png_header(16_384, 16_384, 8, 2)),
        "/large" => response("200 OK", "", &vec![0; (1 << 20) + 1]),
        "/down" => response("502 Bad Gateway", "", b""),
        _ => response("200 OK", "Content-Type: text/html\r\n", &good),
    })
    .await;
    let bench = Bench::new();
    let mut job =
        shop.job(&["/gone", "/page", "/empty", "/broken", "/bomb", "/large", "/down", "/good"]);
    job.items.insert(0, ImageItem { url: "http://10.0.0.1/secret.png".to_owned() });

    let entries = bench.entries(&job).await;
    let expected = [
        ("is not a public address", false),
        ("404", false),
        ("an HTML page", false),
        ("is empty", false),
        ("stops before its end", false),
        ("16384 x 16384", false),
        ("larger than 1048576 bytes", false),
        ("502", true),
    ];
    for (entry, (part, retry)) in entries.iter().zip(expected) {
        assert_eq!((entry.status, entry.retry), (ImageStatus::Failed, retry), "{entry:?}");
        assert!(entry.error.as_deref().unwrap().contains(part), "{entry:?}");
        assert!(bench.get(&key_of(entry)).await.is_none());
    }
    assert_eq!(entries.len(), 9);
    assert_eq!(entries[8].status, ImageStatus::Stored);
}

#[tokio::test]
async fn a_busy_host_is_left_alone() {
    let good = samples::png(10, 10);
    let shop = Shop::open(move |head| match path(head) {
        "/busy" => response("429 Too Many Requests", "Retry-After: 7200\r\n", b""),
        _ => response("200 OK", "", &good),
    })
    .await;
    let bench = Bench::new();
    let Outcome::RetryAfter(wait, reason) = bench.run(&shop.job(&["/busy", "/1"])).await else {
        panic!("the job comes back later");
    };
    assert_eq!((wait, reason.class), (MAX_RETRY_AFTER, ReasonClass::SourceUnavailable));
    assert!(bench.receipt().await.is_none());
    assert_eq!(shop.paths(), ["/busy"]);

    // With some of the batch done the rest is left for another time.
    let entries = bench.entries(&shop.job(&["/1", "/busy", "/2"])).await;
    let results: Vec<_> = entries.iter().map(|entry| (entry.status, entry.retry)).collect();
    let failed = (ImageStatus::Failed, true);
    assert_eq!(results, [(ImageStatus::Stored, false), failed, failed]);
    assert_eq!(shop.paths(), ["/busy", "/1", "/busy"]);
}

#[tokio::test]
async fn a_failed_look_keeps_what_is_known() {
    let is_down = Arc::new(Mutex::new(false));
    let down = Arc::clone(&is_down);
    let body = samples::png(10, 10);
    let shop = Shop::open(move |head| match *down.lock().unwrap() {
        true => response("500 Internal Server Error", "", b""),
        false => tagged(head, "a", &body),
    })
    .await;
    let bench = Bench::new();
    let job = shop.job(&["/1"]);
    let stored = bench.entries(&job).await.remove(0);
    *is_down.lock().unwrap() = true;
    let failed = bench.entries(&job).await.remove(0);
    assert_eq!((failed.status, failed.retry), (ImageStatus::Failed, true));
    assert_eq!((failed.hash, failed.renditions), (stored.hash, stored.renditions));
}

#[tokio::test]
async fn a_cancelled_job_keeps_what_it_has_stored() {
    let good = samples::png(10, 10);
    let shop = Shop::open(move |head| match path(head) {
        "/1" => response("200 OK", "", &good),
        _ => None,
    })
    .await;
    let bench = Bench::new();
    let job = shop.job(&["/1", "/2"]);
    let stop = async {
        shop.left_waiting.notified().await;
        bench.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(bench.run(&job), stop);
    assert_eq!(outcome, Outcome::Interrupted);
    assert!(bench.receipt().await.is_none());
    let facts = keys::image_facts(&keys::image_key(&job.pipe, &shop.url("/1")));
    assert!(bench.get(&facts).await.is_some());
}

#[tokio::test]
async fn a_failing_store_brings_the_job_back() {
    let good = samples::png(10, 10);
    let shop = Shop::open(move |_| response("200 OK", "", &good)).await;
    let bench = Bench::new();
    // Where the folder of all pictures would have to be made.
    std::fs::write(bench.folder.path().join("images"), b"a file").unwrap();
    let Outcome::RetryAfter(wait, reason) = bench.run(&shop.job(&["/1"])).await else {
        panic!("the job comes back later");
    };
    assert_eq!((wait, reason.class), (STORAGE_RETRY, ReasonClass::Storage));
}

#[tokio::test]
async fn a_pipe_without_mirroring_asks_for_nothing() {
    let shop = Shop::open(|_| response("200 OK", "", b"")).await;
    let mut bench = Bench::new();
    bench.settings.mirror = false;
    assert_eq!(bench.run(&shop.job(&["/1"])).await, Outcome::Done);
    assert!(shop.paths().is_empty());
    assert!(bench.receipt().await.is_none());
}

#[test]
fn a_host_that_cannot_be_reached_is_given_up() {
    let unreachable = || Failure { host: HostTrouble::Unreachable, ..Failure::passing("no") };
    let mut host = HostWatch::default();
    for result in [Err(unreachable()), Err(unreachable()), Ok(ImageStatus::Stored)] {
        host.note(&result);
    }
    assert_eq!(host.given_up, None);
    for _ in 0..MAX_UNREACHABLE {
        assert_eq!(host.given_up, None);
        host.note(&Err(unreachable()));
    }
    assert!(host.given_up.is_some());
}
