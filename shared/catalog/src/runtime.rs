//! The threads that wait for logs and for object stores: one set a process, which ends with it. A runtime that
//! belonged to a catalog could not be dropped where other runtimes' tasks drop catalogs.

use crate::error::{CatalogError, Cause};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use std::sync::{Arc, LazyLock};
use tokio::runtime::{Builder, Handle, Runtime};

/// What the log's library runs its tasks on.
pub(crate) fn executor() -> Result<Arc<TokioMultiThreadExecutor>, CatalogError> {
    Ok(Arc::new(TokioMultiThreadExecutor::new(handle()?)))
}

/// The threads.
pub(crate) fn handle() -> Result<Handle, CatalogError> {
    static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
        Builder::new_multi_thread()
            // They wait, and encrypt; rows are encoded and decoded by whoever asks for them.
            .worker_threads(2)
            .max_blocking_threads(4)
            .thread_name("catalog-log")
            .enable_all()
            .build()
    });
    match RUNTIME.as_ref() {
        Ok(runtime) => Ok(runtime.handle().clone()),
        Err(e) => Err(CatalogError {
            action: "start the threads of",
            subject: "the catalog".to_owned(),
            source: Cause::Unusable(e.to_string()),
        }),
    }
}
