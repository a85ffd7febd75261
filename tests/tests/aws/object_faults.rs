//! The rows of faults that concern S3, on objects: what happens when the network or the service fails in the
//! middle of a call. A proxy before SeaweedFS brings the faults about; a second store goes past it, as another
//! process would.

use feedfleet_aws::S3Objects;
use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::{Expected, Objects, PutOutcome};
use feedfleet_tests::aws::{Fault, Proxy, Request, Rule, Weed, aws_at};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant, SystemTime};

const BUCKET: &str = "objects";
const MIB: usize = 1 << 20;
/// More than one part of an upload.
const LARGE: usize = 9 * MIB;

/// A store, and two ways to it.
struct Rig {
    /// Through the proxy.
    store: S3Objects,
    /// Past it.
    other: S3Objects,
    proxy: Proxy,
    // The last to go: the proxy ends its calls to it first.
    weed: Weed,
}

impl Rig {
    /// None where SeaweedFS is not installed, which was said.
    async fn new() -> Option<Self> {
        let weed = Weed::start()?;
        weed.bucket(BUCKET).await;
        let proxy = Proxy::before(&weed.url());
        let store = S3Objects::open(&aws_at(&proxy.url()).await, BUCKET, "fleet/objects");
        let other = S3Objects::open(&aws_at(&weed.url()).await, BUCKET, "fleet/objects");
        Some(Self { store, other, proxy, weed })
    }

    /// What is there, past the proxy.
    async fn there(&self, name: &str) -> Option<Vec<u8>> {
        let object = self.other.get(&key(name)).await.expect("the server answers");
        object.map(|object| object.bytes.to_vec())
    }

    /// Writes an object through the proxy in pieces, on a thread that may wait.
    async fn upload(&self, name: &'static str, bytes: Vec<u8>) -> Result<u64, String> {
        let store = self.store.clone();
        blocking(move || {
            let mut upload = store.upload(&key(name)).map_err(|e| e.to_string())?;
            upload.write_all(&bytes).map_err(|e| e.to_string())?;
            upload.finish().map_err(|e| e.to_string())
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).expect("a key")
}

/// Bytes of which none is where it would be after a wrong resume.
fn numbered(length: usize) -> Vec<u8> {
    (0..length as u32 / 4 + 1).flat_map(u32::to_be_bytes).take(length).collect()
}

fn is_put(request: &Request) -> bool {
    request.method == "PUT"
}

fn is_get(request: &Request) -> bool {
    request.method == "GET"
}

/// Completes an upload: a POST that names it.
fn completes(request: &Request) -> bool {
    request.is("POST", "uploadId=")
}

/// The reply to a conditional put is lost: whoever made it is not told that somebody else was faster.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_put_recognises_its_own_success() {
    let Some(rig) = Rig::new().await else { return };
    let lost = rig.proxy.add(Rule::when(is_put, Fault::DropReply).once());
    let made = rig.store.put_if(&key("a"), "first".into(), Expected::Absent).await;
    let PutOutcome::Written(first) = made.expect("put_if") else { panic!("its own was another's") };
    assert_eq!(lost.get(), 1);
    let lost = rig.proxy.add(Rule::when(is_put, Fault::DropReply).once());
    let made = rig.store.put_if(&key("a"), "second".into(), Expected::Version(first)).await;
    let PutOutcome::Written(second) = made.expect("put_if") else {
        panic!("its own was another's")
    };
    assert_eq!(lost.get(), 1);
    let found = rig.other.get(&key("a")).await.expect("get").expect("it is there");
    assert_eq!((found.bytes.as_ref(), found.version), (b"second".as_slice(), second));
}

/// The request is lost, and meanwhile somebody else writes the same bytes: those are not one's own.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_of_another_are_not_taken_for_ones_own() {
    let Some(rig) = Rig::new().await else { return };
    let other = rig.other.clone();
    // Dropped before it arrives; before the next try, the other has written.
    let (told, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let lost = rig.proxy.add(
        Rule::when(
            move |request| {
                let wanted = is_put(request);
                if wanted {
                    told.send(()).ok();
                }
                wanted
            },
            Fault::DropRequest,
        )
        .times(1),
    );
    let racing = tokio::spawn(async move {
        dropped.recv().await;
        other.put_if(&key("a"), "same".into(), Expected::Absent).await
    });
    let mine = rig.store.put_if(&key("a"), "same".into(), Expected::Absent).await.expect("put_if");
    let theirs = racing.await.expect("it does not panic").expect("put_if");
    assert_eq!(lost.get(), 1);
    let won = [mine, theirs].into_iter().filter(|end| *end != PutOutcome::Lost).count();
    assert_eq!(won, 1, "one of two has written");
}

/// The answer comes too late, which is as good as lost; 409 is no verdict on a conditional put.
#[tokio::test(flavor = "multi_thread")]
async fn late_answers_and_conflicts_decide_nothing() {
    let Some(rig) = Rig::new().await else { return };
    let delay = Duration::from_secs(60);
    let late = rig.proxy.add(Rule::when(is_put, Fault::DelayReply(delay)).once());
    let began = Instant::now();
    let made = rig.store.put_if(&key("a"), "late".into(), Expected::Absent).await.expect("put_if");
    assert_ne!(made, PutOutcome::Lost);
    assert_eq!(late.get(), 1);
    assert!(began.elapsed() < delay / 2, "it waited for the answer");

    let conflict = Fault::s3(409, "ConditionalRequestConflict");
    let conflicts = rig.proxy.add(Rule::when(is_put, conflict).times(2));
    let made = rig.store.put_if(&key("b"), "x".into(), Expected::Absent).await.expect("put_if");
    assert_ne!(made, PutOutcome::Lost);
    assert_eq!(conflicts.get(), 2);
    let conflict = Fault::s3(409, "ConditionalRequestConflict");
    let conflicts = rig.proxy.add(Rule::when(is_put, conflict).once());
    let made = rig.store.put_if(&key("b"), "y".into(), Expected::Absent).await.expect("put_if");
    assert_eq!((made, conflicts.get()), (PutOutcome::Lost, 1));
}

/// 500, 503 and throttling on every verb: asked again, and done.
#[tokio::test(flavor = "multi_thread")]
async fn every_verb_outlives_a_service_that_fails_for_a_while() {
    let Some(rig) = Rig::new().await else { return };
    let faults = [Fault::Status(500), Fault::Status(503), Fault::Throttle, Fault::DropRequest];
    for (number, fault) in faults.into_iter().enumerate() {
        let name = format!("a/{number}");
        let mut hits = 0;
        let mut failing = || {
            hits += 1;
            rig.proxy.clear();
            rig.proxy.add(Rule::all(fault.clone()).times(2))
        };
        let met = failing();
        rig.store.put(&key(&name), "first".into()).await.expect("put");
        assert_eq!(met.get(), 2);
        let met = failing();
        let found = rig.store.get(&key(&name)).await.expect("get").expect("it is there");
        assert_eq!((found.bytes.as_ref(), met.get()), (b"first".as_slice(), 2));
        let met = failing();
        let seen = Expected::Version(found.version);
        let made = rig.store.put_if(&key(&name), "second".into(), seen).await.expect("put_if");
        assert_ne!(made, PutOutcome::Lost);
        assert_eq!(met.get(), 2);
        let met = failing();
        assert_eq!(rig.store.list(&name, None, 5).await.expect("list").len(), 1);
        assert_eq!(met.get(), 2);
        let met = failing();
        rig.store.delete(&key(&name)).await.expect("delete");
        assert_eq!(met.get(), 2);
        assert_eq!(hits, 5);
        assert_eq!(rig.there(&name).await, None);
    }
}

/// A store that stays away is an error that says so, in bounded time, and may be tried again later.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stays_away_is_an_error_soon() {
    let Some(rig) = Rig::new().await else { return };
    let down = rig.proxy.add(Rule::all(Fault::DropRequest));
    let began = Instant::now();
    let error = rig.store.get(&key("a")).await.expect_err("nobody answers");
    assert!(error.is_retryable() && error.to_string().contains("'a'"), "{error}");
    assert!(down.get() > 3, "it was asked {} times", down.get());
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// A refusal is reported at once, and as one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_not_tried_again() {
    let Some(rig) = Rig::new().await else { return };
    let refused = rig.proxy.add(Rule::all(Fault::s3(403, "AccessDenied")));
    let error = rig.store.put(&key("a"), "x".into()).await.expect_err("it is refused");
    assert_eq!(refused.get(), 1);
    assert!(!error.is_retryable() && error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(error.source.kind(), std::io::ErrorKind::PermissionDenied);
    rig.proxy.clear();
    let elsewhere = S3Objects::open(&aws_at(&rig.weed.url()).await, "no-such-bucket", "");
    let error = elsewhere.get(&key("a")).await.expect_err("there is no such bucket");
    assert!(
        !error.is_retryable() || error.source.kind() == std::io::ErrorKind::NotFound,
        "{error}"
    );
}

/// A listing says why a bucket is refused, which a HEAD cannot; nothing more is asked where no answer came.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_bucket_that_is_refused_is_asked_why() {
    let Some(rig) = Rig::new().await else { return };
    let is_head = |request: &Request| request.method == "HEAD";
    let lost = rig.proxy.add(Rule::when(is_head, Fault::DropRequest).once());
    let error = rig.store.bucket_region().await.expect_err("nobody answers");
    assert!(error.is_retryable() && error.to_string().contains("HeadBucket: "), "{error}");
    assert_eq!((lost.get(), rig.proxy.requests("GET")), (1, 0));

    let mute = Fault::Answer { status: 403, content_type: "application/xml", body: String::new() };
    rig.proxy.add(Rule::when(is_head, mute));
    let refused = rig.proxy.add(Rule::when(is_get, Fault::s3(403, "InvalidAccessKeyId")));
    let error = rig.store.bucket_region().await.expect_err("it is refused");
    assert!(error.to_string().contains("InvalidAccessKeyId"), "{error}");
    assert_eq!(refused.get(), 1);
}

/// A body that is cut off is never taken for the whole: read anew, or from where it broke.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_off_comes_whole_in_the_end() {
    let Some(rig) = Rig::new().await else { return };
    let bytes = numbered(LARGE);
    rig.other.put(&key("a"), bytes.clone().into()).await.expect("put");
    let cut = rig.proxy.add(Rule::when(is_get, Fault::CutBody(100_000)).times(2));
    let found = rig.store.get(&key("a")).await.expect("get").expect("it is there");
    assert!(found.bytes == bytes, "other bytes came");
    assert_eq!(cut.get(), 2);

    let cut = rig.proxy.add(Rule::when(is_get, Fault::CutBody(2 * MIB + 1)).times(3));
    let store = rig.store.clone();
    let read = blocking(move || {
        let mut read = Vec::new();
        let mut reader = store.open(&key("a")).expect("open").expect("it is there");
        reader.read_to_end(&mut read).map(|_| read)
    });
    assert!(read.await.expect("it is resumed") == bytes, "other bytes came");
    assert_eq!(cut.get(), 3);
}

/// What replaces an object while it is read is not read on from the middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_keeps_to_the_state_that_it_began_with() {
    let Some(rig) = Rig::new().await else { return };
    rig.other.put(&key("a"), numbered(LARGE).into()).await.expect("put");
    rig.proxy.add(Rule::when(is_get, Fault::CutBody(MIB)).once());
    let store = rig.store.clone();
    let mut reader =
        blocking(move || store.open(&key("a")).expect("open").expect("it is there")).await;
    rig.other.put(&key("a"), vec![0; LARGE].into()).await.expect("put");
    let error = blocking(move || reader.read_to_end(&mut Vec::new())).await;
    let error = error.expect_err("half of one and half of the other");
    assert!(error.to_string().contains("'a'"), "{error}");
}

/// Lost replies to the parts of an upload, and to its end, leave one whole object and no rest.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlives_lost_replies() {
    let Some(rig) = Rig::new().await else { return };
    let bytes = numbered(LARGE);
    let parts = rig.proxy.add(Rule::when(is_put, Fault::DropReply).times(2));
    let end = rig.proxy.add(Rule::when(completes, Fault::DropReply).once());
    let written = rig.upload("a", bytes.clone()).await.expect("upload");
    assert_eq!((written, parts.get(), end.get()), (LARGE as u64, 2, 1));
    assert!(rig.there("a").await.expect("it is there") == bytes, "other bytes are there");

    // AWS forgets an upload some time after its end: then the object itself tells.
    rig.proxy.clear();
    let end = rig.proxy.add(Rule::when(completes, Fault::DropReply).once());
    let gone = rig.proxy.add(Rule::when(completes, Fault::s3(404, "NoSuchUpload")).once());
    rig.upload("b", bytes.clone()).await.expect("upload");
    assert_eq!((end.get(), gone.get()), (1, 1));
    assert!(rig.there("b").await.expect("it is there") == bytes, "other bytes are there");

    // One that nobody began does not pass for one that has ended.
    rig.proxy.clear();
    rig.proxy.add(Rule::when(completes, Fault::s3(404, "NoSuchUpload")));
    let error = rig.upload("c", bytes).await.expect_err("there is no such upload");
    assert!(error.contains("NoSuchUpload"), "{error}");
    assert_eq!(rig.there("c").await, None);
    let later = SystemTime::now() + Duration::from_secs(3_600);
    let left = rig.other.discard_unfinished(later).await.expect("discard");
    assert_eq!(left, 0, "the last one was aborted when it was given up");
}

/// An unfinished upload that S3 refuses to abort keeps no other one, and is an error all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_aborted_keeps_no_other() {
    let Some(rig) = Rig::new().await else { return };
    let client = rig.weed.client().await;
    for name in ["fleet/objects/a", "fleet/objects/b", "fleet/objects/c"] {
        let begun = client.create_multipart_upload().bucket(BUCKET).key(name).send().await;
        begun.expect("an upload can be begun");
    }
    let aborts = |request: &Request| request.is("DELETE", "uploadId=");
    let refused = rig.proxy.add(Rule::when(aborts, Fault::s3(403, "AccessDenied")).once());
    let later = SystemTime::now() + Duration::from_secs(3_600);
    let error = rig.store.discard_unfinished(later).await.expect_err("one was refused");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(refused.get(), 1, "a refusal is not asked again");
    assert_eq!(rig.other.discard_unfinished(later).await.expect("discard"), 1, "the refused one");
}
