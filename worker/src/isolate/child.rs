//! The child's side: one job from standard input, its outcome to standard output.

use super::wire::{EndLine, tell_memory_refusals};
use crate::backoff;
use crate::deps::Deps;
use crate::jobs;
use feedfleet_model::{Job, Outcome, Reason, ReasonClass};
use feedfleet_telemetry::{budget, memory};
use futures::future::BoxFuture;
use std::io::{self, BufRead, Write};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Does the job that a worker sends on standard input, within a crawl's share of the worker's memory, and says
/// on standard output how it ended. `stop` asks the job to stop; so does the end of the input.
///
/// `deps`: what to work with, or why there is nothing; the worker is told so.
///
/// # Errors
///
/// Standard input or output failed. The worker takes the child for lost.
///
/// In a box, so that all of it is compiled with this crate, and not by each that waits for it.
pub fn serve_job(
    deps: Result<Deps, String>,
    stop: CancellationToken,
) -> BoxFuture<'static, io::Result<()>> {
    Box::pin(serve(deps, stop))
}

async fn serve(deps: Result<Deps, String>, stop: CancellationToken) -> io::Result<()> {
    tell_memory_refusals()?;
    let line = first_line(stop.clone())?;
    let outcome = match deps {
        Err(why) => {
            let reason = Reason::new(ReasonClass::Configuration, why);
            Outcome::RetryAfter(backoff::after_failures(1), reason)
        }
        Ok(deps) => {
            let share = deps.fleet.workers.memory_shares().crawl_bytes;
            budget::set_limit(usize::try_from(share).unwrap_or(usize::MAX));
            let line = line.await.map_err(|_| io::ErrorKind::UnexpectedEof)??;
            match Job::from_body(&line) {
                Ok(job) => jobs::run_caught(&deps, &job, &stop, 1).await,
                Err(e) => Outcome::Dead(Reason::new(ReasonClass::Unreadable, e.to_string())),
            }
        }
    };
    let peak_memory_bytes = memory::peak_resident_bytes();
    let end = EndLine { outcome: outcome.into(), peak_memory_bytes };
    let mut line = serde_json::to_string(&end)?;
    line.push('\n');
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes())?;
    output.flush()
}

/// The first line of standard input. At the end of the input, which comes when the worker wants the job to
/// stop or has gone itself, `stop` is cancelled.
///
/// A thread reads it, and none of the runtime's: those keep a process from ending while they wait.
fn first_line(stop: CancellationToken) -> io::Result<oneshot::Receiver<io::Result<String>>> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("worker".into()).spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = String::new();
        let read = input.read_line(&mut line).map(|_| line);
        // Nobody waits for it where the job cannot be done anyway.
        sender.send(read).ok();
        // The worker sends nothing more: what comes is the end.
        if let Err(e) = io::copy(&mut input, &mut io::sink()) {
            tracing::warn!(error = %e, "could not listen to the worker any more");
        }
        stop.cancel();
    })?;
    Ok(receiver)
}
