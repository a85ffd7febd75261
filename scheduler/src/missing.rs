//! Pictures that should be mirrored and are not: their job was lost with a queue, or they failed and are due
//! for another try. Invariant 4 of the design: an image that failed is a receipt, not a lost cause.
//!
//! A picture is asked for again only when nobody is about to bring it: its run is final, the image queue is
//! empty, and every receipt is in the table. The order of these looks matters: a final run's jobs were on the
//! queue before it became final; a queue that is empty after that has written their receipts; and a table that
//! is read after the receipts are folded has them all.

use crate::damaged;
use crate::deps::Deps;
use crate::share::{MAX_HASHES, Share};
use crate::upkeep::{DutyError, blocking};
use chrono::{DateTime, Utc};
use feedfleet_catalog::{Catalog, CatalogError, Snapshot, images, pictures};
use feedfleet_config::Config;
use feedfleet_model::image::ImageStatus;
use feedfleet_model::image_jobs::PictureLinks;
use feedfleet_model::{ImageJob, Job, PipeName, RunId, RunKey, keys};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::{DeadLetters, Listed};
use feedfleet_queue::{MAX_BATCH, NewMessage};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// Pictures of one pipe in one look; the next look asks for the others.
const MAX_PICTURES: u64 = 20_000;
/// A receipt that has not been folded for this long cannot be read, and is not waited for.
const RECEIPT_WAIT: Duration = Duration::from_secs(3600);
/// Shortest and longest pause before a picture that failed is asked for again, in seconds. In between it is as
/// long as the picture has been failing, so that each try comes after twice the time of the one before.
const MIN_PAUSE_SECS: i64 = 3600;
const MAX_PAUSE_SECS: i64 = 7 * 24 * 3600;

/// Sends image jobs for what is missing.
pub(crate) async fn request_missing(deps: &Deps, config: &Config, now: DateTime<Utc>) {
    if let Err(e) = try_request(deps, config, now).await {
        tracing::warn!(error = %e, "could not look for missing pictures, will try again");
    }
}

async fn try_request(deps: &Deps, config: &Config, now: DateTime<Utc>) -> Result<(), DutyError> {
    let mut pipes = Vec::new();
    for pipe in config.pipes.iter().filter(|pipe| pipe.images.mirror) {
        match damaged::last_of(deps, &pipe.name).await {
            // Pictures of an unfinished run are its worker's duty.
            Ok(Some(last)) => {
                let up_to = RunId(last.key.run.0 - i64::from(!last.state.is_final()));
                pipes.push((pipe.name.clone(), up_to));
            }
            Ok(None) => {}
            Err(e) => deps.complain(&e.to_string()),
        }
    }
    if !is_quiet(deps, now).await? {
        return Ok(());
    }
    let mut given_up = given_up(deps).await?;
    for (pipe, up_to) in pipes {
        let given_up = given_up.remove(&pipe).unwrap_or_default();
        let look = Look { pipe: pipe.clone(), up_to, given_up, now };
        match request_of_pipe(deps, look).await {
            Ok(0) => {}
            Ok(pictures) => tracing::info!(%pipe, pictures, "asked for missing pictures"),
            Err(e) => tracing::warn!(%pipe, error = %e, "could not ask for missing pictures"),
        }
    }
    Ok(())
}

/// Whether no image job waits or is in hand, and the receipts of those that were are folded.
async fn is_quiet(deps: &Deps, now: DateTime<Utc>) -> Result<bool, DutyError> {
    let counts = deps.image.counts().await?;
    if counts.visible > 0 || counts.in_flight > 0 {
        return Ok(false);
    }
    let receipts = deps.objects.list(&format!("{}/", keys::RECEIPTS), None, usize::MAX).await?;
    let waits = |receipt: &Listed| crate::age(now, receipt.modified.into()) < RECEIPT_WAIT;
    Ok(!receipts.iter().any(waits))
}

/// By pipe, hashes of pictures whose job is a dead letter that waits for an operator, or that one gave up. They
/// may have killed their workers, and must not come back by themselves.
async fn given_up(deps: &Deps) -> Result<HashMap<PipeName, HashSet<u128>>, DutyError> {
    let (letters, _) = DeadLetters::new(deps.objects.clone()).all().await?;
    let mut hashes: HashMap<PipeName, HashSet<u128>> = HashMap::new();
    for letter in letters {
        if matches!(letter.state, LetterState::Waiting | LetterState::Dropped)
            && let Some(Job::Image(job)) = letter.job
        {
            let of_pipe = hashes.entry(job.pipe).or_default();
            of_pipe.extend(job.items.iter().map(|item| keys::address_hash(&item.url)));
        }
    }
    Ok(hashes)
}

/// The number of pictures that were asked for.
async fn request_of_pipe(deps: &Deps, look: Look) -> Result<u64, DutyError> {
    let (catalog, pipe, now) = (deps.catalog.clone(), look.pipe.clone(), look.now);
    let missing = blocking(move || look.missing(&catalog)).await?;
    let mut asked = 0;
    for (run, links) in missing {
        asked += links.len() as u64;
        send(deps, &RunKey { pipe: pipe.clone(), run }, links, now).await?;
    }
    Ok(asked)
}

async fn send(
    deps: &Deps,
    run: &RunKey,
    links: PictureLinks,
    now: DateTime<Utc>,
) -> Result<(), DutyError> {
    // Two schedulers that look in the same minute send the same ids.
    let round = now.timestamp() / 60;
    let jobs = links.into_jobs(run, round, 0, deps.fleet.hosts.concurrency as u32);
    for chunk in jobs.chunks(MAX_BATCH) {
        let message = |job: &ImageJob| {
            let job = Job::Image(job.clone());
            NewMessage { group: job.group(), dedup_id: job.dedup_id(), body: job.to_body() }
        };
        let messages: Vec<NewMessage> = chunk.iter().map(message).collect();
        deps.image.send(&messages).await?;
    }
    Ok(())
}

/// One look at one pipe.
struct Look {
    pipe: PipeName,
    /// Rows whose pictures a later run changed are passed over.
    up_to: RunId,
    given_up: HashSet<u128>,
    now: DateTime<Utc>,
}

impl Look {
    /// The addresses that live rows have and the `images` table has no current entry for, by the run that
    /// brought them.
    fn missing(&self, catalog: &Catalog) -> Result<BTreeMap<RunId, PictureLinks>, CatalogError> {
        let mut missing: BTreeMap<RunId, PictureLinks> = BTreeMap::new();
        let Some(products) = catalog.products().snapshot()? else { return Ok(missing) };
        let images = catalog.images().snapshot()?;
        let mut found = 0;
        let mut share = Some(Share::ALL);
        while let Some(this) = share {
            let Some(mut known) = self.known(images.as_ref(), this)? else {
                share = this.half();
                continue;
            };
            pictures::for_each_live_link(&products, &self.pipe, |run, link| {
                let hash = keys::address_hash(link);
                let wanted = found < MAX_PICTURES
                    && run <= self.up_to.0
                    && this.holds(hash)
                    && !known.contains(&hash)
                    && !self.given_up.contains(&hash);
                if wanted && missing.entry(RunId(run)).or_default().add(link) {
                    known.insert(hash);
                    found += 1;
                }
            })?;
            share = this.next();
        }
        Ok(missing)
    }

    /// Hashes of the share's pictures that need not be asked for; none when they are too many and the share
    /// can be halved.
    fn known(
        &self,
        images: Option<&Snapshot>,
        share: Share,
    ) -> Result<Option<HashSet<u128>>, CatalogError> {
        let mut known = HashSet::new();
        let mut too_many = false;
        let Some(images) = images else { return Ok(Some(known)) };
        images::for_each_entry(images, &self.pipe, |entry| {
            let Some(hash) = keys::picture_hash(entry.key) else { return };
            if !too_many && share.holds(hash) && !self.is_due_again(&entry) {
                known.insert(hash);
                too_many = known.len() > MAX_HASHES && share.half().is_some();
            }
        })?;
        Ok((!too_many).then_some(known))
    }

    fn is_due_again(&self, entry: &images::Known<'_>) -> bool {
        if entry.status != ImageStatus::Failed.word() || !entry.retry {
            return false;
        }
        let checked_at = entry.checked_at_us / 1_000_000;
        // A run's id is the time for which it was scheduled.
        let failing_for = checked_at.saturating_sub(entry.run.0);
        let pause = failing_for.clamp(MIN_PAUSE_SECS, MAX_PAUSE_SECS);
        self.now.timestamp() >= checked_at.saturating_add(pause)
    }
}

#[cfg(test)]
mod tests;
