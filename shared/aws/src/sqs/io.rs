//! The thread on which a queue talks to SQS: calls, batches and retries run on a runtime of its own.
//!
//! A connection is worked by the runtime that opened it. Were it the worker's, CPU work there would hold up a
//! heartbeat that uses the same connection; were it the heartbeat's, the connection would die with it. A
//! caller only waits for an answer, on whatever runtime it likes, and may go away.

use std::panic::resume_unwind;
use thiserror::Error;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread; it ends, with all that still runs on it, when this is dropped.
#[derive(Debug)]
pub(super) struct Io {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

/// The thread has ended before the work was done.
#[derive(Debug, Clone, Copy, Error)]
#[error("the queue was closed")]
pub(super) struct Closed;

impl Io {
    /// Starts the thread, named after the queue.
    pub(super) fn start(name: &str) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name(format!("sqs-{name}")).spawn(move || {
            // Nobody sends: it is the drop of the other end that is waited for.
            runtime.block_on(stopped).ok();
            // A name that is being looked up must not hold up the thread's end.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _stop: stop })
    }

    /// For what starts work there by itself.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Does the work there. A caller that goes away does not stop it.
    pub(super) async fn run<T, Work>(&self, work: Work) -> Result<T, Closed>
    where
        T: Send + 'static,
        Work: Future<Output = T> + Send + 'static,
    {
        match self.handle.spawn(work).await {
            Ok(done) => Ok(done),
            Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
            Err(_) => Err(Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn work_goes_on_while_the_callers_runtime_is_busy() {
        let io = Io::start("test").unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        io.handle().spawn(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            done.send(()).unwrap();
        });
        // The only thread of this test's runtime does nothing else meanwhile.
        is_done.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(io.run(async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_runs_ends_with_the_thread() {
        let io = Io::start("test").unwrap();
        let (held, ended) = oneshot::channel::<()>();
        io.handle().spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(io);
        assert!(tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().is_err());
    }
}
