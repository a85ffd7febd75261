//! Objects on S3: the contract suite on SeaweedFS, and what an operator sees of them.
//!
//! `FEEDFLEET_S3_BUCKET` names a bucket of AWS, or of the endpoint that the environment names, for the suite: it
//! keeps to a prefix of its own there, and leaves objects behind.

use async_trait::async_trait;
use feedfleet_aws::{Aws, S3Objects};
use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::contract_suite::{Backend, Deviations, run_all};
use feedfleet_objects::{Attributes, Objects};
use feedfleet_tests::aws::{AwsEnv, Weed, aws_at, send};
use feedfleet_tests::{Fleet, eventually};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

const BUCKET: &str = "objects";

/// Stores of one bucket, each below a prefix of its own.
struct S3Backend {
    aws: Aws,
    bucket: String,
    /// Of this run of the suite.
    prefix: String,
    stores: AtomicU32,
    deviations: Deviations,
}

impl S3Backend {
    fn new(aws: Aws, bucket: &str, deviations: Deviations) -> Arc<Self> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let prefix = format!("suite-{}", since.map_or(0, |since| since.as_millis()));
        let (bucket, stores) = (bucket.to_owned(), AtomicU32::new(0));
        Arc::new(Self { aws, bucket, prefix, stores, deviations })
    }
}

#[async_trait]
impl Backend for S3Backend {
    async fn fresh(&self) -> Arc<dyn Objects> {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{}/{number:02}", self.prefix);
        Arc::new(S3Objects::open(&self.aws, &self.bucket, &prefix))
    }

    fn deviations(&self) -> Deviations {
        self.deviations
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_keeps_the_contract() {
    let Some(weed) = Weed::start() else { return };
    weed.bucket(BUCKET).await;
    let deviations = Deviations { lists_as_a_tree: true, ..Deviations::default() };
    run_all(S3Backend::new(aws_at(&weed.url()).await, BUCKET, deviations)).await;
}

/// For AWS itself, and for stand-ins that are not installed here. Without the variable there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_keeps_the_contract_in_a_given_bucket() {
    let Ok(bucket) = std::env::var("FEEDFLEET_S3_BUCKET") else { return };
    run_all(S3Backend::new(Aws::load(None).await, &bucket, Deviations::default())).await;
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).expect("a key")
}

/// What a reader over HTTP is told, and for how long a link is good.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_the_object_for_a_while() {
    let Some(weed) = Weed::start() else { return };
    weed.bucket(BUCKET).await;
    let store = S3Objects::open(&aws_at(&weed.url()).await, BUCKET, "");
    let attributes = Attributes::picture("image/gif").with("hash", "00ff");
    let name = key("images/acme/ab/h/original");
    store.put_with(&name, "GIF89a".into(), &attributes).await.expect("put");
    store.put(&key("reports/acme/7.json"), "{}".into()).await.expect("put");

    let link = store.link(&name, Duration::from_secs(15)).await.expect("link");
    let (status, answer) = send("GET", &link).expect("the server answers");
    let lower = answer.to_ascii_lowercase();
    assert_eq!(status, 200, "{answer}");
    assert!(answer.ends_with("GIF89a"), "{answer}");
    assert!(lower.contains("content-type: image/gif"), "{answer}");
    assert!(lower.contains("cache-control: public, max-age=86400"), "{answer}");
    assert!(lower.contains("x-amz-meta-hash: 00ff"), "{answer}");
    let unsigned = link.split('?').next().expect("it has a path");
    assert_eq!(send("GET", unsigned).expect("the server answers").0, 403);
    eventually(Duration::from_secs(60), "the link runs out", || {
        let (status, _) = send("GET", &link).expect("the server answers");
        (status == 403).then_some(())
    });
    let link = store.link(&key("reports/acme/7.json"), Duration::from_secs(60)).await;
    let (_, answer) = send("GET", &link.expect("link")).expect("the server answers");
    assert!(answer.to_ascii_lowercase().contains("content-type: application/json"), "{answer}");
}

/// What an operator is told of a bucket, through the real binary.
#[test]
fn the_doctor_examines_buckets() {
    let Some(weed) = Weed::start() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(weed.bucket(BUCKET));
    let places = |bucket: &str| {
        format!(
            "[catalog]\nurl = \"s3://{bucket}/catalog\"\n[objects]\nurl = \"s3://{bucket}/objects\"\n"
        )
    };
    let fleet = Fleet::with_fleet_toml(&places(BUCKET));
    fleet.write("products.csv", "sku,name\n1,One\n");
    let map = "[map]\nid = \"sku\"\ntitle = \"name\"\n";
    fleet.pipe("shop", &format!("[source]\nurl = \"products.csv\"\nformat = \"csv\"\n{map}"));
    let findings = examine(&fleet, &weed);
    for check in ["aws", "objects", "catalog", "table products", "dead letters"] {
        assert_eq!(finding(&findings, check)["state"], "ok", "{findings:#}");
    }
    let left = runtime.block_on(async {
        let client = weed.client().await;
        let listed =
            client.list_objects_v2().bucket(BUCKET).send().await.expect("it can be listed");
        listed.contents().len()
    });
    assert_eq!(left, 0, "the doctor has left something");

    let elsewhere = Fleet::with_fleet_toml(&places("no-such-bucket"));
    let findings = examine(&elsewhere, &weed);
    let told = finding(&findings, "objects");
    assert_eq!(told["state"], "broken", "{findings:#}");
    assert!(told["remedy"].to_string().contains("make the bucket"), "{told:#}");
    assert!(told["found"].to_string().contains(" 's3://no-such-bucket': "), "{told:#}");
}

fn examine(fleet: &Fleet, weed: &Weed) -> Value {
    let mut command = fleet.command(&["doctor", "--offline", "--json"]);
    weed.env(AwsEnv::new()).set(&mut command);
    fleet.finish(command).json()
}

#[track_caller]
fn finding<'a>(findings: &'a Value, check: &str) -> &'a Value {
    let list = findings.as_array().expect("findings are a list");
    let found = list.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("{check} in {findings:#}"))
}
