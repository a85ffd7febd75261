//! The thread that owns a handle's connection.
//!
//! SQLite calls block, for milliseconds as a rule and for seconds behind another process's
//! write. On a runtime's own threads they would hold up every task; on tokio's blocking pool
//! they would wait behind feeds being parsed and pictures being scaled, and a heartbeat that
//! comes too late loses the lease. With a thread of its own a heartbeat waits for this handle's
//! own short transactions and for nothing else.

use std::io;
use std::sync::mpsc;
use std::thread;

use rusqlite::Connection;
use thiserror::Error;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A way to the thread. The thread ends, and closes the connection, after the last clone is
/// dropped and all posted work is done.
#[derive(Clone)]
pub(super) struct DatabaseThread {
    jobs: mpsc::Sender<Job>,
}

/// The thread died of a panic, which is a bug.
#[derive(Debug, Error)]
#[error("the queue's thread has stopped")]
pub(super) struct ThreadGone;

impl DatabaseThread {
    pub(super) fn start(mut connection: Connection, name: &str) -> io::Result<Self> {
        let (jobs, posted) = mpsc::channel::<Job>();
        thread::Builder::new().name(format!("queue-{name}")).spawn(move || {
            for job in posted {
                job(&mut connection);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `op` on the thread, after what was posted before, and waits for its answer. `op`
    /// runs even if the caller has stopped waiting.
    pub(super) async fn run<T, F>(&self, op: F) -> Result<T, ThreadGone>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.post(move |conn| {
            // A caller that left has no use for the answer: dropping it is right.
            drop(reply.send(op(conn)));
        })?;
        answer.await.map_err(|_| ThreadGone)
    }

    /// Runs `op` on the thread, after what was posted before. Returns at once.
    pub(super) fn post<F>(&self, op: F) -> Result<(), ThreadGone>
    where
        F: FnOnce(&mut Connection) + Send + 'static,
    {
        self.jobs.send(Box::new(op)).map_err(|_| ThreadGone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_the_order_it_was_posted() {
        let connection = Connection::open_in_memory().expect("open");
        let thread = DatabaseThread::start(connection, "test").expect("start");
        thread
            .post(|conn| conn.execute_batch("CREATE TABLE t (n)").expect("create"))
            .expect("post");
        let inserted = thread
            .run(|conn| conn.execute("INSERT INTO t VALUES (1)", []))
            .await
            .expect("the thread lives");
        assert_eq!(inserted.expect("insert"), 1);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_to_those_who_wait() {
        let connection = Connection::open_in_memory().expect("open");
        let thread = DatabaseThread::start(connection, "test").expect("start");
        let answer = thread.run::<(), _>(|_| panic!("a bug")).await;
        assert!(answer.is_err());
    }
}
