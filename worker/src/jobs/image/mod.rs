//! The image job: mirrors a batch of pictures of one host.
//!
//! Each picture is fetched (conditionally, if it is there already), checked by its first bytes and its
//! header, decoded in a child of the worker ([`Draw`]), and stored with its renditions and its facts. What
//! came of each goes into the job's receipt, which is written last. A picture that fails is an entry in the
//! receipt and fails nothing else.
//!
//! Doing a job again is cheap and harmless: pictures that are there cost one conditional request, and of two
//! receipts the later one counts.

mod decoder;
mod decoders;
mod draw;
mod facts;
mod fetch;
mod frames;
mod item;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use decoder::serve_pictures;
pub use decoders::Decoders;
pub use draw::Draw;

use crate::room::Room;
use chrono::{DateTime, Utc};
use feedfleet_config::Images;
use feedfleet_http::{Client, HostGate};
use feedfleet_model::image::{ImageEntry, ImageReceipt, ImageStatus};
use feedfleet_model::{Clock, ImageJob, Job, Outcome, Reason, ReasonClass, keys};
use feedfleet_objects::{ObjectError, Objects};
use fetch::{Failure, HostTrouble};
use item::{Batch, Look};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a job waits at least after the object store failed.
const STORAGE_RETRY: Duration = Duration::from_secs(30);
/// The bounds of what a host may ask for with `Retry-After`.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);
/// After so many pictures in a row for which the host could not be reached, the rest is not asked for.
const MAX_UNREACHABLE: u32 = 3;

/// What the image job works with. Cheap to clone.
#[derive(Clone)]
pub struct ImageDeps {
    /// Where pictures, facts and receipts go.
    pub objects: Arc<dyn Objects>,
    /// The HTTP client, behind the guard.
    pub http: Client,
    /// Requests at once to one host.
    pub gate: Arc<HostGate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Bytes of pictures on their way from the source to the objects.
    pub transfers: Room,
    /// Where pictures are decoded.
    pub draw: Draw,
}

/// Mirrors the pictures of a batch, one after the other, and writes the receipt.
///
/// - [`Outcome::Done`]: the receipt is durable, or the pipe doesn't mirror pictures.
/// - [`Outcome::RetryAfter`]: the object store failed, or the host's first answer was to come back later.
/// - [`Outcome::Interrupted`]: `cancel` was called. What is stored already is kept.
pub async fn run(
    deps: &ImageDeps,
    settings: &Images,
    job: &ImageJob,
    cancel: &CancellationToken,
) -> Outcome {
    if !settings.mirror {
        return Outcome::Done;
    }
    // Stopping between any two steps is safe; see `item`.
    let mirrored = tokio::select! {
        biased;
        () = cancel.cancelled() => return Outcome::Interrupted,
        mirrored = mirror(Batch { deps, settings, job }) => mirrored,
    };
    mirrored.unwrap_or_else(|error| {
        Outcome::RetryAfter(STORAGE_RETRY, Reason::new(ReasonClass::Storage, error.to_string()))
    })
}

async fn mirror(batch: Batch<'_>) -> Result<Outcome, ObjectError> {
    let job = batch.job;
    let mut host = HostWatch::default();
    let mut entries = Vec::with_capacity(job.items.len());
    for item in &job.items {
        let look = match host.given_up {
            Some(why) => item::pass_over(batch, &item.url, why).await?,
            None => item::look_at(batch, &item.url).await?,
        };
        if entries.is_empty()
            && let Err(failure) = &look.result
            && let HostTrouble::Busy { retry_after: Some(wait) } = failure.host
        {
            let wait = wait.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER);
            let message = format!("host '{}': {}", job.host, failure.message);
            let reason = Reason::new(ReasonClass::SourceUnavailable, message);
            return Ok(Outcome::RetryAfter(wait, reason));
        }
        host.note(&look.result);
        entries.push(entry(job, &item.url, look, batch.deps.clock.now()));
    }
    write_receipt(batch, entries).await?;
    Ok(Outcome::Done)
}

/// Whether it makes sense to go on asking the host.
#[derive(Default)]
struct HostWatch {
    unreachable_in_a_row: u32,
    given_up: Option<&'static str>,
}

impl HostWatch {
    fn note(&mut self, result: &Result<ImageStatus, Failure>) {
        match result.as_ref().map_err(|failure| failure.host) {
            Err(HostTrouble::Busy { .. }) => {
                self.given_up = Some("not asked for: the host wants fewer requests");
            }
            Err(HostTrouble::Unreachable) => {
                self.unreachable_in_a_row += 1;
                if self.unreachable_in_a_row >= MAX_UNREACHABLE {
                    self.given_up = Some("not asked for: the host can't be reached");
                }
            }
            Ok(_) | Err(HostTrouble::None) => self.unreachable_in_a_row = 0,
        }
    }
}

/// A line of the receipt. After a failure it still tells of the picture that is stored, if there is one.
fn entry(job: &ImageJob, url: &str, look: Look, checked_at: DateTime<Utc>) -> ImageEntry {
    let (status, error, retry) = match look.result {
        Ok(status) => (status, None, false),
        Err(failure) => (ImageStatus::Failed, Some(failure.message), failure.retry),
    };
    let mut entry = ImageEntry {
        key: keys::image_key(&job.pipe, url).to_string(),
        url: url.to_owned(),
        pipe: job.pipe.clone(),
        run: job.run,
        status,
        error,
        retry,
        etag: None,
        last_modified: None,
        hash: None,
        size_bytes: None,
        format: None,
        width: None,
        height: None,
        renditions: Vec::new(),
        checked_at,
    };
    if let Some(facts) = look.facts {
        entry.etag = facts.validators.etag;
        entry.last_modified = facts.validators.last_modified;
        entry.hash = Some(facts.hash);
        entry.size_bytes = i64::try_from(facts.size_bytes).ok();
        entry.format = Some(facts.format);
        entry.width = i32::try_from(facts.width).ok();
        entry.height = i32::try_from(facts.height).ok();
        entry.renditions = facts
            .renditions
            .into_iter()
            .map(|made| format!("{}={}", made.name, made.key))
            .collect();
    }
    entry
}

async fn write_receipt(batch: Batch<'_>, entries: Vec<ImageEntry>) -> Result<(), ObjectError> {
    let job = Job::Image(batch.job.clone()).id();
    let count = |status| entries.iter().filter(|entry| entry.status == status).count();
    tracing::info!(
        %job,
        host = %batch.job.host,
        stored = count(ImageStatus::Stored),
        unchanged = count(ImageStatus::Unchanged),
        failed = count(ImageStatus::Failed),
        "mirrored pictures"
    );
    let key = keys::receipt(&job, batch.deps.clock.now().timestamp_micros());
    let receipt = ImageReceipt { job, entries };
    let body = serde_json::to_vec(&receipt).expect("a receipt has only strings, numbers and times");
    batch.deps.objects.put(&key, body.into()).await?;
    Ok(())
}
