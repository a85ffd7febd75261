//! The jobs, one folder a kind. The set is closed: the compiler checks that every kind has a handler.

pub mod crawl;
pub mod image;

use crate::deps::Deps;
use feedfleet_model::{Job, Outcome, Reason, ReasonClass};
use tokio_util::sync::CancellationToken;

/// Does a job. `cancel` asks it to stop soon and to return [`Outcome::Interrupted`].
pub async fn run(deps: &Deps, job: &Job, cancel: &CancellationToken) -> Outcome {
    match job {
        Job::Crawl(job) => crawl::run(deps, job, cancel).await,
        Job::Image(job) => {
            let pipe = match deps.pipe(&job.pipe) {
                Ok(pipe) => pipe,
                Err(errors) => {
                    return Outcome::Dead(Reason::new(ReasonClass::Configuration, errors));
                }
            };
            let image = image::ImageDeps {
                objects: deps.objects.clone(),
                http: deps.http.clone(),
                gate: deps.gate.clone(),
                clock: deps.clock.clone(),
                decode_slots: deps.decode_slots.clone(),
            };
            image::run(&image, &pipe.images, job, cancel).await
        }
    }
}
