//! The jobs, one folder a kind. The set is closed: the compiler checks that every kind has a handler.

pub mod crawl;
pub mod image;

use crate::backoff;
use crate::deps::Deps;
use feedfleet_model::{Job, Outcome, Reason, ReasonClass};
use feedfleet_telemetry::failpoint;
use tokio_util::sync::CancellationToken;

/// Does a job. `cancel` asks it to stop soon and to return [`Outcome::Interrupted`].
pub async fn run(deps: &Deps, job: &Job, cancel: &CancellationToken) -> Outcome {
    match job {
        Job::Crawl(job) => crawl::run(deps, job, cancel).await,
        Job::Image(job) => {
            let pipe = match deps.pipe(&job.pipe) {
                Ok(pipe) => pipe,
                Err(errors) => {
                    let reason = Reason::new(ReasonClass::Configuration, errors);
                    // In a night there are dozens of jobs a second: one save would cost as many their pictures.
                    return if deps.was_just_saved(&job.pipe) {
                        Outcome::RetryAfter(backoff::after_failures(1), reason)
                    } else {
                        Outcome::Dead(reason)
                    };
                }
            };
            let image = image::ImageDeps {
                objects: deps.objects.clone(),
                http: deps.http.clone(),
                gate: deps.gate.clone(),
                clock: deps.clock.clone(),
                transfers: deps.transfers.clone(),
                draw: deps.draw.clone(),
            };
            image::run(&image, &pipe.images, job, cancel).await
        }
    }
}

/// As [`run`], on a task of its own: a panic is a failed attempt, and waits longer the more `failures` there
/// have been.
pub(crate) async fn run_caught(
    deps: &Deps,
    job: &Job,
    cancel: &CancellationToken,
    failures: u32,
) -> Outcome {
    let (deps, job, cancel) = (deps.clone(), job.clone(), cancel.clone());
    let work = tokio::spawn(async move {
        failpoint::hit("job.begun");
        run(&deps, &job, &cancel).await
    });
    match work.await {
        Ok(outcome) => outcome,
        Err(panic) if panic.is_panic() => {
            let reason = Reason::new(ReasonClass::Panicked, panic_text(panic.into_panic()));
            Outcome::RetryAfter(backoff::after_failures(failures), reason)
        }
        Err(_) => Outcome::Interrupted,
    }
}

fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    format!("the job panicked: {}", text.as_deref().unwrap_or("no message"))
}
