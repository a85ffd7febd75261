//! Messages a second through receive, lease, acknowledge, with four workers: the embedded queue, SQS by ministack,
//! and `sqs-consumer` on the same ministack. scripts/bench/queue sets everything up and runs this.
//!
//!     queue_bench MESSAGES ROUNDS PEER_FOLDER

use feedfleet_aws::Aws;
use feedfleet_queue::{Queue, SqliteQueue, SqliteQueueOptions};
use feedfleet_tests::aws::{AwsEnv, Ministack, Queues, aws_at, drain};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

const WORKERS: usize = 4;
const GROUPS: usize = 100;
const MAX_RECEIVES: u32 = 5;
const PEER: &str = "sqs-consumer on ministack";

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().expect("queue_bench MESSAGES ROUNDS PEER_FOLDER");
    let messages: usize = next().parse().expect("a number of messages");
    let rounds: usize = next().parse().expect("a number of rounds");
    let peer = PathBuf::from(next());
    let ministack = Ministack::start().expect("scripts/bench/queue installs ministack");
    let aws = aws_at(&ministack.url()).await;
    let queues = Queues::new(&aws);
    let env = ministack.env(AwsEnv::new());

    // By turns, so that whatever else the machine does falls upon all of them.
    let mut rates: [Vec<f64>; 3] = Default::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        rates[0].push(embedded(messages).await);
        rates[1].push(sqs(&queues, &aws, messages).await);
        rates[2].push(sqs_consumer(&queues, &aws, &env, &peer, messages).await);
    }
    let names = ["embedded queue", "SQS on ministack", PEER];
    let medians = rates.map(median);
    println!("{messages} messages, {GROUPS} groups, {WORKERS} workers, median of {rounds} rounds");
    println!("\n{:28}{:>14}{:>22}", "", "messages/s", "of sqs-consumer's");
    for (name, rate) in names.iter().zip(medians) {
        println!("{name:28}{rate:>14.0}{:>22.2}", rate / medians[2]);
    }
}

/// The queue in a file, a handle a worker, as processes would have.
async fn embedded(messages: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("queue.db");
    let open = || -> Arc<dyn Queue> {
        let options = SqliteQueueOptions::new(MAX_RECEIVES);
        Arc::new(SqliteQueue::open(&path, "bench", options).expect("a new queue can be opened"))
    };
    ours((0..WORKERS).map(|_| open()).collect(), messages).await
}

async fn sqs(queues: &Queues, aws: &Aws, messages: usize) -> f64 {
    let pair = queues.pair(MAX_RECEIVES).await;
    let open = || -> Arc<dyn Queue> { Arc::new(pair.open(aws)) };
    let rate = ours((0..WORKERS).map(|_| open()).collect(), messages).await;
    queues.delete_all().await;
    rate
}

/// Messages a second.
async fn ours(handles: Vec<Arc<dyn Queue>>, messages: usize) -> f64 {
    drain::fill(&*handles[0], messages, GROUPS).await;
    let drained = drain::drain(handles, messages).await;
    assert_eq!(drained.bodies.len(), messages, "each message comes once");
    messages as f64 / drained.time.as_secs_f64()
}

/// Messages a second.
async fn sqs_consumer(
    queues: &Queues,
    aws: &Aws,
    env: &AwsEnv,
    folder: &Path,
    messages: usize,
) -> f64 {
    let pair = queues.pair(MAX_RECEIVES).await;
    drain::fill(&pair.open(aws), messages, GROUPS).await;
    let mut command = Command::new("node");
    env.set(&mut command);
    command.arg("--no-warnings").arg("consumer.mjs").arg(&pair.url);
    command.arg(messages.to_string()).arg(WORKERS.to_string());
    command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().expect("node can be started");
    queues.delete_all().await;
    assert!(output.status.success(), "sqs-consumer: {}", output.status);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    messages as f64 / answer["seconds"].as_f64().expect("it prints its seconds")
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
