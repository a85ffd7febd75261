//! The contract suite over the SQLite queue, with a clock that the suite moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use feedfleet_queue::contract_suite::{Advance, Backend, Profile, run_all};
use feedfleet_queue::{ManualClock, Queue};
use tempfile::TempDir;

use super::{START_MS, open};

/// All the suite's queues live in one file, as they do in use.
struct SqliteBackend {
    dir: TempDir,
    clock: Arc<ManualClock>,
    queues: AtomicU32,
}

#[async_trait]
impl Backend for SqliteBackend {
    async fn fresh(&self, max_receives: u32) -> Arc<dyn Queue> {
        let name = format!("queue-{}", self.queues.fetch_add(1, Ordering::Relaxed));
        let path = self.dir.path().join("queue.db");
        Arc::new(open(&path, &name, max_receives, &self.clock))
    }

    fn advance(&self) -> Advance {
        Advance::Manual(Arc::clone(&self.clock))
    }

    fn profile(&self) -> Profile {
        Profile::exact("SQLite")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqlite_queue_keeps_the_contract() {
    let backend = SqliteBackend {
        dir: tempfile::tempdir().expect("tempdir"),
        clock: Arc::new(ManualClock::new(START_MS)),
        queues: AtomicU32::new(0),
    };
    run_all(Arc::new(backend)).await;
}
