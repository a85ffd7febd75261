//! Image jobs of a run, derived from its commit: the rows whose picture addresses this run changed. Whoever
//! derives them, and however often, they are the same.

use super::blocking;
use super::failure::Failure;
use crate::deps::Deps;
use feedfleet_catalog::{Catalog, CatalogError, pictures};
use feedfleet_model::image_jobs::PictureLinks;
use feedfleet_model::{ImageJob, Job, RunKey};
use feedfleet_queue::{MAX_BATCH, NewMessage};
use tokio::sync::mpsc::Sender;

/// Addresses in memory at once.
const LINKS_AT_ONCE: usize = 10_000;
/// Portions of jobs on their way to the queue.
const PORTIONS_AHEAD: usize = 1;

/// Puts the run's image jobs on their queue; the number of picture addresses in them.
pub(crate) async fn enqueue(deps: &Deps, key: &RunKey) -> Result<u64, Failure> {
    let (portions, mut incoming) = tokio::sync::mpsc::channel(PORTIONS_AHEAD);
    let derive = {
        let (catalog, key) = (deps.catalog.clone(), key.clone());
        let shards = deps.fleet.hosts.concurrency as u32;
        tokio::spawn(blocking(move || Derivation { key, shards, portions, sent: 0 }.run(&catalog)))
    };
    let mut links = 0;
    while let Some(jobs) = incoming.recv().await {
        for chunk in jobs.chunks(MAX_BATCH) {
            send(deps, chunk).await?;
        }
        links += jobs.iter().map(|job| job.items.len() as u64).sum::<u64>();
    }
    match derive.await {
        Ok(derived) => derived??,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => return Err(Failure::interrupted()),
    }
    Ok(links)
}

async fn send(deps: &Deps, jobs: &[ImageJob]) -> Result<(), Failure> {
    let message = |job: &ImageJob| {
        let job = Job::Image(job.clone());
        NewMessage { group: job.group(), dedup_id: job.dedup_id(), body: job.to_body() }
    };
    let messages: Vec<NewMessage> = jobs.iter().map(message).collect();
    deps.queues.image.send_unordered(&messages).await?;
    Ok(())
}

/// Goes through the pipe's rows, and makes jobs of the addresses that the run changed, a portion at a time.
struct Derivation {
    key: RunKey,
    shards: u32,
    portions: Sender<Vec<ImageJob>>,
    sent: u32,
}

impl Derivation {
    fn run(mut self, catalog: &Catalog) -> Result<(), CatalogError> {
        let Some(snapshot) = catalog.products().snapshot()? else { return Ok(()) };
        let (pipe, run) = (self.key.pipe.clone(), self.key.run.0);
        let mut links = PictureLinks::default();
        pictures::for_each_live_link(&snapshot, &pipe, |changed_by, link| {
            if changed_by == run && links.add(link) && links.len() >= LINKS_AT_ONCE {
                self.hand_on(std::mem::take(&mut links));
            }
        })?;
        self.hand_on(links);
        Ok(())
    }

    fn hand_on(&mut self, links: PictureLinks) {
        let jobs = links.into_jobs(&self.key, 0, self.sent, self.shards);
        self.sent += jobs.len() as u32;
        // A receiver that has gone away has failed, and says so itself.
        self.portions.blocking_send(jobs).ok();
    }
}
