//! Property: after any sequence of operations the SQLite queue has answered as the model did.

use std::sync::Arc;

use feedfleet_queue::ManualClock;
use feedfleet_queue::contract_suite::Advance;
use feedfleet_queue::contract_suite::machine::{self, Step};
use proptest::prelude::*;

use super::{START_MS, open};

const MAX_RECEIVES: u32 = 3;
const SECONDS: &[u64] = &[1, 10, 30, 299, 300, 3_600, 43_200];

proptest! {
    #![proptest_config(ProptestConfig {
        // Every step is a durable write: more cases cost minutes on a slow disk.
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_sqlite_queue_answers_as_the_model(steps in machine::steps(60, SECONDS, SECONDS)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("runtime");
        runtime.block_on(run(&steps))?;
    }
}

async fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().expect("tempdir");
    let clock = Arc::new(ManualClock::new(START_MS));
    let queue = open(&dir.path().join("queue.db"), "crawl", MAX_RECEIVES, &clock);
    let compared =
        machine::run(Arc::new(queue), MAX_RECEIVES, &Advance::Manual(clock), steps).await?;
    prop_assert_eq!(compared, steps.len());
    Ok(())
}
