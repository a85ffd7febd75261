//! Feeds that partners put into buckets: SeaweedFS.

use feedfleet_aws::{AtHand, Aws, SourceObject};
use feedfleet_tests::Fleet;
use feedfleet_tests::aws::{AwsEnv, Weed, aws_at};
use serde_json::Value;

const BUCKET: &str = "partner";
const KEY: &str = "out/feed.csv";

async fn put(weed: &Weed, bytes: Vec<u8>) {
    let put = weed.client().await.put_object().bucket(BUCKET).key(KEY).body(bytes.into());
    put.send().await.unwrap_or_else(|e| panic!("the object cannot be put: {e:?}"));
}

async fn open(aws: &Aws, at_hand: AtHand<'_>) -> Option<SourceObject> {
    let opened = aws.open_source(BUCKET, KEY, at_hand).await;
    opened.unwrap_or_else(|e| panic!("{e}"))
}

async fn rest(mut object: SourceObject) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = object.next().await.unwrap_or_else(|e| panic!("{e}")) {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_read_and_read_on() {
    let Some(weed) = Weed::start() else { return };
    weed.bucket(BUCKET).await;
    let aws = aws_at(&weed.url()).await;
    let missing = aws.open_source(BUCKET, KEY, AtHand::Nothing).await;
    let missing = missing.expect_err("there is no such object");
    assert_eq!((missing.status(), missing.is_passing()), (Some(404), false), "{missing}");

    let bytes: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    put(&weed, bytes.clone()).await;
    let whole = open(&aws, AtHand::Nothing).await.expect("nothing is at hand");
    assert_eq!((whole.from(), whole.length_bytes()), (0, 2_000_000));
    let tag = whole.tag().expect("S3 names each state").to_owned();
    assert!(rest(whole).await == bytes);
    assert!(open(&aws, AtHand::Whole(&tag)).await.is_none(), "nothing has changed");

    let later = open(&aws, AtHand::Beginning(1_500_000, &tag)).await.expect("some is missing");
    assert_eq!((later.from(), later.length_bytes()), (1_500_000, 2_000_000));
    assert!(rest(later).await == bytes[1_500_000..]);

    // Another state comes from its start.
    put(&weed, b"other".to_vec()).await;
    for at_hand in [AtHand::Whole(&tag), AtHand::Beginning(3, &tag)] {
        let other = open(&aws, at_hand).await.expect("it has changed");
        assert_eq!((other.from(), other.length_bytes()), (0, 5));
        assert_eq!(rest(other).await, b"other");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_in_a_bucket_is_loaded_and_not_loaded_again() {
    let Some(weed) = Weed::start() else { return };
    weed.bucket(BUCKET).await;
    put(&weed, b"sku,name\n1,Lamp\n2,Chair\n".to_vec()).await;
    let fleet = Fleet::new();
    fleet.pipe(
        "shop",
        &format!(
            "[source]\nurl = \"s3://{BUCKET}/{KEY}\"\nformat = \"csv\"\n\
             [map]\nid = \"sku\"\ntitle = \"name\"\n[images]\nmirror = false\n"
        ),
    );
    let env = weed.env(AwsEnv::new());
    let run = || -> Value {
        let mut command = fleet.command(&["run", "shop", "--wait", "--json"]);
        env.set(&mut command);
        fleet.finish(command).ok().json()
    };
    let report = run();
    assert_eq!(report["counts"]["new"], 2, "{report:#}");
    assert_eq!(report["source"]["location"], format!("s3://{BUCKET}/{KEY}"), "{report:#}");
    let report = run();
    assert_eq!(report["source"]["not_modified"], true, "{report:#}");
    put(&weed, b"sku,name\n1,Lamp\n2,Chair\n3,Table\n".to_vec()).await;
    let report = run();
    assert_eq!(report["counts"]["new"], 1, "{report:#}");
}
