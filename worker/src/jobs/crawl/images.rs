//! Image jobs of a run, derived from its commit: the rows whose picture addresses this run changed. Whoever
//! derives them, and however often, they are the same.

use super::blocking;
use super::failure::Failure;
use crate::deps::Deps;
use feedfleet_catalog::{Catalog, CatalogError, pictures};
use feedfleet_model::image_jobs::PictureLinks;
use feedfleet_model::{Job, RunKey};
use feedfleet_queue::{MAX_BATCH, NewMessage};

/// Puts the run's image jobs on their queue; the number of picture addresses in them.
pub(crate) async fn enqueue(deps: &Deps, key: &RunKey) -> Result<u64, Failure> {
    let (catalog, run) = (deps.catalog.clone(), key.clone());
    let links = blocking(move || changed_links(&catalog, &run)).await??;
    let total = links.len() as u64;
    let jobs = links.into_jobs(key, 0, deps.fleet.hosts.concurrency as u32);
    for chunk in jobs.chunks(MAX_BATCH) {
        let messages: Vec<NewMessage> = chunk
            .iter()
            .cloned()
            .map(Job::Image)
            .map(|job| NewMessage {
                group: job.group(),
                dedup_id: job.dedup_id(),
                body: job.to_body(),
            })
            .collect();
        deps.queues.image.send(&messages).await?;
    }
    Ok(total)
}

/// The addresses of pictures that the run changed.
fn changed_links(catalog: &Catalog, run: &RunKey) -> Result<PictureLinks, CatalogError> {
    let mut links = PictureLinks::default();
    let Some(snapshot) = catalog.products().snapshot()? else { return Ok(links) };
    pictures::for_each_live_link(&snapshot, &run.pipe, |changed_by, link| {
        if changed_by == run.run.0 {
            links.add(link);
        }
    })?;
    Ok(links)
}
