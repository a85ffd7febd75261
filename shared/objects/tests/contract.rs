//! The contract suite over objects as files.

use async_trait::async_trait;
use feedfleet_objects::contract_suite::{Backend, run_all};
use feedfleet_objects::{FolderObjects, Objects};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// A folder a store.
struct FolderBackend {
    dir: TempDir,
    stores: AtomicU32,
}

#[async_trait]
impl Backend for FolderBackend {
    async fn fresh(&self) -> Arc<dyn Objects> {
        let name = format!("store-{}", self.stores.fetch_add(1, Ordering::Relaxed));
        Arc::new(FolderObjects::open(self.dir.path().join(name)).expect("open the store"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_folder_keeps_the_contract() {
    let dir = tempfile::tempdir().expect("tempdir");
    run_all(Arc::new(FolderBackend { dir, stores: AtomicU32::new(0) })).await;
}
