//! Whether AWS can be used: who the fleet is to it, its queues, its buckets, its group of workers. What is refused
//! is told with the permission that is missing.

use super::objects::{exercise, key};
use super::queue::load;
use super::{Finding, blocking, plain};
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use feedfleet_aws::{AutoScalingGroup, GroupFacts, S3Objects};
use feedfleet_config::{FleetBackend, Workers};
use feedfleet_fleet::names::DRAIN_HOOK;
use feedfleet_model::text;
use feedfleet_objects::Objects;
use feedfleet_queue::Queue;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const AWS: &str = "aws";
const GROUP: &str = "group";
/// A worker that is let go is gone within 100 s; an instance's end has to wait that long.
const LEAST_DRAIN_SECS: u32 = 110;
/// What to do where nothing better is known.
pub const REMEDY: &str = "check [queue], [catalog], [objects], [fleet] and [aws] in fleet.toml, and the role or \
                          the user that this machine is to AWS";
/// What to do where AWS does not take the credentials for anybody's.
const CREDENTIALS: &str = "correct this machine's credentials for AWS: the access key, its secret and the session \
                           token, or its role";
/// Where those that it takes have run out.
const EXPIRED: &str = "this machine's credentials for AWS have run out: give it new ones, or a role, whose are renewed by \
                       themselves";
/// Where there are none.
const NO_CREDENTIALS: &str =
    "give the machine a role, or the user credentials as for AWS's own command line";
/// Where it is not known whom to ask.
const NO_REGION: &str = "set region under [aws] in fleet.toml or AWS_REGION";
/// Where AWS does not believe the time of a request.
const CLOCK: &str = "set this machine's clock, and keep it by NTP";
/// How services and the SDK say so, whatever was asked. The first that fit count: a signature of another time has the
/// code of a wrong one.
const BEFORE_PERMISSIONS: [(&[&str], &str); 5] = [
    (
        &[
            "RequestTimeTooSkewed",
            "RequestExpired",
            "Signature expired",
            "Signature not yet current",
        ],
        CLOCK,
    ),
    (&["ExpiredToken"], EXPIRED),
    (&["credential provider was not enabled"], NO_CREDENTIALS),
    (&["no region is set", "missing signing region", "A region must be set"], NO_REGION),
    (
        &[
            "AuthFailure",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "InvalidToken",
            "MissingAuthenticationToken",
            "SignatureDoesNotMatch",
            "UnrecognizedClient",
        ],
        CREDENTIALS,
    ),
];
/// S3 tells whole seconds, and the answer takes its time.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// Calls, as errors name them, and what a role needs for them.
const PERMISSIONS: [(&str, &str); 19] = [
    ("AbortMultipartUpload", "s3:AbortMultipartUpload"),
    ("ChangeMessageVisibility", "sqs:ChangeMessageVisibility"),
    ("CompleteMultipartUpload", "s3:PutObject"),
    ("CreateMultipartUpload", "s3:PutObject"),
    ("DeleteMessage", "sqs:DeleteMessage"),
    ("DeleteObject", "s3:DeleteObject"),
    ("DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups"),
    ("DescribeLifecycleHooks", "autoscaling:DescribeLifecycleHooks"),
    // Without the latter S3 answers 403 for what is not there, too.
    ("GetObject", "s3:GetObject, and s3:ListBucket on the bucket"),
    ("GetQueueAttributes", "sqs:GetQueueAttributes"),
    ("HeadBucket", "s3:ListBucket on the bucket"),
    ("HeadObject", "s3:GetObject, and s3:ListBucket on the bucket"),
    ("ListMultipartUploads", "s3:ListBucketMultipartUploads on the bucket"),
    ("ListObjectsV2", "s3:ListBucket on the bucket"),
    ("PutObject", "s3:PutObject"),
    ("ReceiveMessage", "sqs:ReceiveMessage"),
    ("SendMessage", "sqs:SendMessage"),
    ("SetDesiredCapacity", "autoscaling:SetDesiredCapacity"),
    ("UploadPart", "s3:PutObject"),
];

/// Whether an error contains one of these.
fn says(error: &str, words: &[&str]) -> bool {
    words.iter().any(|word| error.contains(word))
}

/// What to do about an error that comes before any permission: of who asks, whom, and when.
fn before_permissions(error: &str) -> Option<&'static str> {
    let known = BEFORE_PERMISSIONS.iter().find(|(words, _)| says(error, words));
    known.map(|(_, remedy)| *remedy)
}

/// What to do about an error.
fn remedy(error: &str) -> String {
    if let Some(remedy) = before_permissions(error) {
        return remedy.to_owned();
    }
    let refused = ["AccessDenied", "HTTP 403", "UnauthorizedOperation"];
    let is_refused = says(error, &refused);
    let call = PERMISSIONS.iter().find(|(call, _)| error.contains(&format!("{call}: ")));
    match call {
        Some((_, permission)) if is_refused => {
            format!("allow this machine's role {permission} (infra/README.md)")
        }
        _ if error.contains("NoSuchBucket") || error.contains("HTTP 404") => {
            "make the bucket, or correct url in fleet.toml; see infra/README.md".to_owned()
        }
        _ if error.contains("PermanentRedirect") || error.contains("HTTP 301") => {
            "the bucket is in another region: set region under [aws] in fleet.toml".to_owned()
        }
        _ => REMEDY.to_owned(),
    }
}

/// Region and credentials, without a call.
pub async fn identity(context: Arc<Context>) -> Vec<Finding> {
    vec![who(&context).await.unwrap_or_else(|e| {
        let found = format!("{e:#}");
        let remedy = before_permissions(&found).unwrap_or(NO_CREDENTIALS);
        Finding::broken(AWS, found, remedy)
    })]
}

async fn who(context: &Arc<Context>) -> Result<Finding> {
    let own = context.clone();
    let aws = blocking(move || own.cloud.aws().cloned()).await?;
    let Some(region) = aws.region() else { bail!("no region is set") };
    let identity = aws.identity().await.map_err(plain)?;
    let mut found = format!("region {region}; an access key that ends in {}", identity.key_ends);
    if let Some(account) = identity.account {
        found.push_str(&format!(", of account {account}"));
    }
    if let Some(expires) = identity.expires {
        let expires = DateTime::<Utc>::from(expires);
        found.push_str(&format!(", good {}", view::distance(context.clock.now(), expires)));
    }
    Ok(Finding::ok(AWS, found))
}

/// Tries a part of a bucket with a key of the check's own.
pub async fn store(context: &Arc<Context>, check: &str, bucket: &str, prefix: &str) -> Finding {
    let own = context.clone();
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    match blocking(move || own.cloud.s3(&bucket, &prefix)).await {
        Ok(store) => try_store(check, &store.impatient(), context.clock.now()).await,
        Err(e) => Finding::broken(check, format!("{e:#}"), REMEDY),
    }
}

async fn try_store(check: &str, store: &S3Objects, now: DateTime<Utc>) -> Finding {
    let place = store.location();
    let failed = |e: anyhow::Error| {
        let found = format!("{place}: {e:#}");
        let remedy = remedy(&found);
        Finding::broken(check, found, remedy)
    };
    let (found, written) = match round_trip(store).await {
        Ok(found) => found,
        Err(e) => return failed(e),
    };
    let found = format!("{place}: {found}");
    let (clock, now) = (DateTime::<Utc>::from(written), SystemTime::from(now));
    let apart = written.duration_since(now).unwrap_or_else(|e| e.duration());
    if apart > CLOCKS_APART {
        let found = format!("{found}; by the clock of S3 it is {}", view::moment(clock));
        return Finding::warning(check, found, CLOCK);
    }
    // Looks for none that old: only whether it may.
    if let Err(e) = store.discard_unfinished(SystemTime::UNIX_EPOCH).await {
        let found = format!("{found}; what dead writers leave can't be discarded: {e}");
        let remedy = remedy(&found);
        return Finding::warning(check, found, remedy);
    }
    Finding::ok(check, found)
}

/// What was found, and when the store says that it was.
async fn round_trip(store: &S3Objects) -> Result<(String, SystemTime)> {
    let region = store.bucket_region().await.map_err(plain)?;
    let key = key()?;
    let started = Instant::now();
    let tried = exercise(store, &key, true).await;
    let took = text::duration(started.elapsed());
    let removed = store.delete(&key).await.map_err(plain);
    let written = tried?;
    removed?;
    store.try_parts(&key).await.map_err(plain)?;
    let region = region.map(|region| format!(" in {region}")).unwrap_or_default();
    let found = format!(
        "the bucket is there{region}; put, get, conditional put, list and delete in {took}; an upload in parts \
         begins and is aborted"
    );
    Ok((found, written))
}

/// How a queue is set up. Nothing is sent: a worker would get it.
pub async fn queue(context: &Arc<Context>, name: &str, url: &str, dead_url: &str) -> Finding {
    let check = format!("queue {name}");
    match look_at(context, name, url, dead_url).await {
        Ok((found, faults)) if faults.is_empty() => Finding::ok(check, format!("{url}: {found}")),
        Ok((found, faults)) => {
            let found = format!("{url}: {found}; {}", faults.join("; "));
            Finding::broken(check, found, "set the queue up as docs/aws.md says")
        }
        Err(e) => {
            let found = format!("{e:#}");
            let remedy = remedy(&found);
            Finding::broken(check, found, remedy)
        }
    }
}

async fn look_at(
    context: &Arc<Context>,
    name: &str,
    url: &str,
    dead_url: &str,
) -> Result<(String, Vec<String>)> {
    let own = context.clone();
    let receives = context.receives();
    let (name, url, dead_url) = (name.to_owned(), url.to_owned(), dead_url.to_owned());
    let queue = blocking(move || own.cloud.sqs(&name, &url, &dead_url, receives)).await?;
    let attributes = queue.attributes().await?;
    let dead = queue.dead_attributes().await?;
    let counts = queue.counts().await?;
    let encrypted = if attributes.encrypted && dead.encrypted { "" } else { "not " };
    let found = format!(
        "FIFO, {}encrypted; {}, {} among its dead letters",
        encrypted,
        load(&counts),
        text::count(counts.dead)
    );
    let faults = attributes.faults(receives, &dead);
    // It waits for its thread.
    blocking(move || drop(queue)).await;
    Ok((found, faults))
}

/// The group of workers.
pub async fn group(context: Arc<Context>) -> Vec<Finding> {
    let FleetBackend::AutoScaling { group } = &context.config.fleet.fleet else {
        return Vec::new();
    };
    vec![match facts(&context, group).await {
        Ok((facts, hook)) => judged(group, &facts, hook, &context.config.fleet.workers),
        Err(e) => {
            let found = format!("{e:#}");
            let remedy = remedy(&found);
            Finding::broken(GROUP, found, remedy)
        }
    }]
}

async fn facts(context: &Arc<Context>, group: &str) -> Result<(GroupFacts, Option<u32>)> {
    let own = context.clone();
    let aws = blocking(move || own.cloud.aws().cloned()).await?;
    let group = AutoScalingGroup::new(&aws, group, context.clock.clone());
    let facts = group.facts().await.map_err(plain)?;
    let hook = group.drain_hook().await.map_err(plain)?;
    Ok((facts, hook))
}

fn judged(name: &str, facts: &GroupFacts, hook: Option<u32>, workers: &Workers) -> Finding {
    let (least, most) = facts.bounds;
    let found = format!(
        "{name}: {least} to {most} instances, {} wanted, {} there",
        facts.desired,
        facts.instances.len()
    );
    if facts.is_weighted {
        let found = format!("{found}; some instance types count as more than one");
        return Finding::broken(GROUP, found, "take the weights out of the group's overrides");
    }
    let Some(drain_secs) = hook else {
        let found = format!("{found}; no lifecycle hook {DRAIN_HOOK} for instances that end");
        let remedy = "make the hook (infra/README.md): without it a worker that is taken away has no time to \
                      hand its work back";
        return Finding::broken(GROUP, found, remedy);
    };
    let found = format!("{found}; a worker that leaves has {drain_secs} s");
    if drain_secs < LEAST_DRAIN_SECS {
        let remedy = format!(
            "give the hook {DRAIN_HOOK} a HeartbeatTimeout of 150 s: a worker may take 100 s to hand its work back"
        );
        return Finding::warning(GROUP, found, remedy);
    }
    if most < workers.max || least > workers.min {
        let found = format!("{found}; [workers] wants {} to {}", workers.min, workers.max);
        let remedy = "give the group MinSize and MaxSize that take in min and max under [workers]";
        return Finding::warning(GROUP, found, remedy);
    }
    Finding::ok(GROUP, found)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_refusal_names_the_permission() {
        let refused =
            "s3://b/p: could not write object 'x': PutObject: AccessDenied: no (HTTP 403)";
        assert!(remedy(refused).contains("s3:PutObject"), "{}", remedy(refused));
        let head = "could not look for 's3://b': HeadBucket: refused without a code (HTTP 403)";
        assert!(remedy(head).contains("s3:ListBucket"), "{}", remedy(head));
        let elsewhere = "HeadBucket: refused without a code (HTTP 301)";
        assert!(remedy(elsewhere).contains("region"), "{}", remedy(elsewhere));
        assert!(remedy("GetObject: NoSuchBucket: no (HTTP 404)").contains("make the bucket"));
        assert_eq!(remedy("GetObject: request has timed out"), REMEDY);
        for code in ["SignatureDoesNotMatch", "InvalidAccessKeyId"] {
            let signed = format!("could not list 's3://b': ListObjectsV2: {code}: no (HTTP 403)");
            assert_eq!(remedy(&signed), CREDENTIALS);
        }
    }

    #[test]
    fn who_asks_and_when_comes_before_permissions() {
        for (error, expected) in [
            ("ListObjectsV2: RequestTimeTooSkewed: The difference is too large (HTTP 403)", CLOCK),
            ("DeleteMessage: SignatureDoesNotMatch: Signature expired: 2026 (HTTP 403)", CLOCK),
            ("GetObject: ExpiredToken: The provided token has expired. (HTTP 403)", EXPIRED),
            ("GetQueueAttributes: com.amazonaws.sqs#ExpiredTokenException: no (HTTP 403)", EXPIRED),
            (
                "HeadBucket: dispatch failure: other: the credential provider was not enabled: no credentials found",
                NO_CREDENTIALS,
            ),
            ("GetQueueAttributes: dispatch failure: other: missing signing region", NO_REGION),
        ] {
            assert_eq!(remedy(error), expected, "{error}");
        }
    }

    #[test]
    fn a_group_that_cannot_hold_the_workers_is_told() {
        let workers =
            Workers { min: 0, max: 4, crawl_slots: 1, image_slots: 8, memory_bytes: 2 << 30 };
        let facts =
            |bounds| GroupFacts { bounds, desired: 0, instances: Vec::new(), is_weighted: false };
        let state = |bounds, hook| judged("g", &facts(bounds), hook, &workers).state;
        assert_eq!(state((0, 4), Some(120)), State::Ok);
        assert_eq!(state((0, 3), Some(120)), State::Warning);
        assert_eq!(state((1, 4), Some(120)), State::Warning);
        assert_eq!(state((0, 4), None), State::Broken);
        assert_eq!(state((0, 4), Some(100)), State::Warning);
    }
}
