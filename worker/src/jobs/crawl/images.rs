//! Image jobs of a run, derived from its commit: the rows whose picture addresses this run changed. Whoever
//! derives them, and however often, they are the same. Of a host that has too many for the queue the rest is left to
//! the scheduler's look for missing pictures.

use super::blocking;
use super::failure::Failure;
use crate::deps::Deps;
use feedfleet_catalog::{Catalog, CatalogError, pictures};
use feedfleet_config::{HostShares, QueueBackend};
use feedfleet_model::image_jobs::PictureLinks;
use feedfleet_model::{ImageJob, Job, ReasonClass, RunKey};
use feedfleet_queue::{MAX_BATCH, NewMessage};
use std::collections::HashMap;
use tokio::sync::mpsc::Sender;

/// Addresses in memory at once.
const LINKS_AT_ONCE: usize = 10_000;
/// Portions of jobs on their way to the queue.
const PORTIONS_AHEAD: usize = 1;
/// Jobs of one host that a run sends to SQS, which looks for a group that is free in the first 120,000 messages only:
/// behind more of one slow host nobody's work would be found.
const MOST_OF_A_HOST: usize = 50_000;

/// Puts the run's image jobs on their queue; the number of picture addresses in them.
pub(crate) async fn enqueue(deps: &Deps, key: &RunKey) -> Result<u64, Failure> {
    let (portions, mut incoming) = tokio::sync::mpsc::channel(PORTIONS_AHEAD);
    let shares = deps.host_shares().map_err(|errors| {
        // Somebody is at the files: the run is in the table, and its pictures can wait.
        Failure::retry(ReasonClass::Configuration, errors)
    })?;
    let derive = {
        let (catalog, key) = (deps.catalog.clone(), key.clone());
        let most_of_a_host = match deps.fleet.queue.backend {
            QueueBackend::Sqlite { .. } => usize::MAX,
            QueueBackend::Sqs { .. } => MOST_OF_A_HOST,
        };
        let hosts = Hosts { most: most_of_a_host, jobs: HashMap::new() };
        let derivation = Derivation { key, shares, portions, sent: 0, hosts };
        tokio::spawn(blocking(move || derivation.run(&catalog)))
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
    shares: HostShares,
    portions: Sender<Vec<ImageJob>>,
    sent: u32,
    hosts: Hosts,
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
        self.hosts.tell_of_the_rest(&self.key);
        Ok(())
    }

    fn hand_on(&mut self, links: PictureLinks) {
        let jobs = links.into_jobs(&self.key, 0, self.sent, &|host| self.shares.of_pictures(host));
        self.sent += jobs.len() as u32;
        let jobs = self.hosts.admit(jobs);
        // A receiver that has gone away has failed, and says so itself.
        self.portions.blocking_send(jobs).ok();
    }
}

/// Jobs of each host, so that none has more of them on the queue than is good for the others.
struct Hosts {
    most: usize,
    jobs: HashMap<String, usize>,
}

impl Hosts {
    /// Those of the jobs that are sent.
    fn admit(&mut self, mut jobs: Vec<ImageJob>) -> Vec<ImageJob> {
        jobs.retain(|job| {
            let of_host = self.jobs.entry(job.host.clone()).or_default();
            *of_host += 1;
            *of_host <= self.most
        });
        jobs
    }

    fn tell_of_the_rest(&self, run: &RunKey) {
        for (host, jobs) in self.jobs.iter().filter(|(_, jobs)| **jobs > self.most) {
            let later = jobs - self.most;
            tracing::warn!(%run, %host, later, "too many image jobs of one host, the rest is asked for later");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::RunId;
    use feedfleet_model::image_jobs::BATCH;

    #[test]
    fn a_host_with_too_many_pictures_holds_up_no_other() {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1) };
        let jobs = |hosts: &[(&str, usize)]| {
            let mut links = PictureLinks::default();
            for (host, batches) in hosts {
                for picture in 0..batches * BATCH {
                    assert!(links.add(&format!("http://{host}/{picture}.jpg")));
                }
            }
            links.into_jobs(&key, 0, 0, &|_| 4)
        };
        let mut hosts = Hosts { most: 3, jobs: HashMap::new() };
        let mut admitted = hosts.admit(jobs(&[("large", 2), ("small", 1)]));
        admitted.extend(hosts.admit(jobs(&[("large", 4), ("small", 1)])));
        let of = |host: &str| admitted.iter().filter(|job| job.host == host).count();
        assert_eq!((of("large"), of("small")), (3, 2));

        let mut hosts = Hosts { most: usize::MAX, jobs: HashMap::new() };
        assert_eq!(hosts.admit(jobs(&[("large", 6)])).len(), 6);
    }
}
