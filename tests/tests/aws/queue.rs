//! Promise 10: the contract suite, and the state machine over any sequence of operations, on SQS queues of
//! stand-ins. The differences that a stand-in is known for are in its [`Profile`], and in docs/aws.md.
//!
//! `FEEDFLEET_SQS_ENDPOINT` names any other endpoint, with `FEEDFLEET_SQS_PROFILE` (`aws`, `ministack` or `moto`)
//! and the region and keys of the environment. Queues are made there under names of their own, and deleted.

use async_trait::async_trait;
use feedfleet_aws::Aws;
use feedfleet_queue::Queue;
use feedfleet_queue::contract_suite::machine::{self, Step};
use feedfleet_queue::contract_suite::{Advance, Backend, Profile, run_all};
use feedfleet_tests::aws::{Ministack, Moto, Queues, aws_at};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use std::sync::Arc;
use std::time::Duration;

/// Longer than this nothing is waited for: what needs the five minutes of deduplication is shown on SQLite.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Sequences of the state machine, which run side by side, and their longest.
const CASES: usize = 12;
const STEPS: usize = 40;
/// Real seconds: leases that end within a test, and one that does not.
const LEASES: &[u64] = &[3, 5, 3_600];
const PAUSES: &[u64] = &[1, 3];
/// So that no message dies of its receives: when one does, a service decides.
const PLENTY_OF_RECEIVES: u32 = 1_000;

/// Queues of one endpoint.
struct SqsBackend {
    aws: Aws,
    queues: Queues,
    profile: Profile,
}

impl SqsBackend {
    fn new(aws: Aws, profile: Profile) -> Arc<Self> {
        let queues = Queues::new(&aws);
        Arc::new(Self { aws, queues, profile })
    }
}

#[async_trait]
impl Backend for SqsBackend {
    async fn fresh(&self, max_receives: u32) -> Arc<dyn Queue> {
        Arc::new(self.queues.pair(max_receives).await.open(&self.aws))
    }

    fn advance(&self) -> Advance {
        Advance::Sleep { longest: LONGEST_PAUSE }
    }

    fn profile(&self) -> Profile {
        self.profile.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqs_queue_keeps_the_contract_on_ministack() {
    let Some(ministack) = Ministack::start() else { return };
    run_all(SqsBackend::new(aws_at(&ministack.url()).await, Profile::ministack())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqs_queue_keeps_the_contract_on_moto_as_far_as_it_goes() {
    let Some(moto) = Moto::start() else { return };
    run_all(SqsBackend::new(aws_at(&moto.url()).await, Profile::moto())).await;
}

/// For AWS itself, and for stand-ins that are not installed here. Without the variable there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqs_queue_keeps_the_contract_at_a_given_endpoint() {
    let Ok(endpoint) = std::env::var("FEEDFLEET_SQS_ENDPOINT") else { return };
    let profile = std::env::var("FEEDFLEET_SQS_PROFILE").unwrap_or_else(|_| "aws".to_owned());
    let profile = match profile.as_str() {
        "aws" => Profile::sqs(),
        "ministack" => Profile::ministack(),
        "moto" => Profile::moto(),
        other => panic!("FEEDFLEET_SQS_PROFILE is aws, ministack or moto, not {other}"),
    };
    let aws = Aws::load_with(|loader| loader.endpoint_url(endpoint)).await;
    let backend = SqsBackend::new(aws, profile);
    let outcome = tokio::spawn(run_all(backend.clone())).await;
    backend.queues.delete_all().await;
    outcome.expect("a promise was broken");
}

/// Promise 10: the state machine that the SQLite queue answers as well, in real time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqs_queue_answers_as_the_model_on_ministack() {
    let Some(ministack) = Ministack::start() else { return };
    let aws = aws_at(&ministack.url()).await;
    let queues = Queues::new(&aws);
    let mut runner = TestRunner::default();
    let strategy = machine::steps(STEPS, LEASES, PAUSES);
    let mut cases = Vec::new();
    for _ in 0..CASES {
        let steps = strategy.new_tree(&mut runner).expect("every tree is accepted").current();
        let queue = queues.pair(PLENTY_OF_RECEIVES).await.open(&aws);
        cases.push(tokio::spawn(run(Arc::new(queue), steps)));
    }
    let (mut compared, mut all) = (0, 0);
    for case in cases {
        let (more, of) = case.await.expect("a case went wrong");
        compared += more;
        all += of;
    }
    println!("{compared} of {all} steps compared");
    assert!(compared * 2 >= all, "too slow a machine to tell: {compared} of {all} steps compared");
}

/// How many steps were compared, and how many there were.
async fn run(queue: Arc<dyn Queue>, steps: Vec<Step>) -> (usize, usize) {
    let advance = Advance::Sleep { longest: LONGEST_PAUSE };
    match machine::run(queue, PLENTY_OF_RECEIVES, &advance, &steps).await {
        Ok(compared) => (compared, steps.len()),
        Err(difference) => panic!("{difference}\nof the steps {steps:#?}"),
    }
}
