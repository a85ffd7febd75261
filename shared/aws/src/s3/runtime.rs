//! Where the blocking side of the store waits for S3.

use std::io;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Handle, Runtime};

/// The threads on which uploads and readers talk to S3: one set a process, which ends with it. The runtime of
/// whoever calls may be one that ends sooner, or one that cannot be waited on.
pub(super) fn handle() -> io::Result<&'static Handle> {
    static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("objects-s3")
            .enable_all()
            .build()
    });
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.handle()),
        Err(e) => Err(io::Error::new(e.kind(), e.to_string())),
    }
}
