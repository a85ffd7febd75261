//! A look at one pipe: which pictures its rows show and the `images` table does not have.

use crate::newest::State;
use crate::share::{MAX_HASHES, Share};
use chrono::{DateTime, Utc};
use feedfleet_catalog::{CatalogError, images, pictures};
use feedfleet_model::image::ImageStatus;
use feedfleet_model::image_jobs::PictureLinks;
use feedfleet_model::{PipeName, RunId, keys};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Pictures of one pipe in one look; the next look asks for the others.
const MAX_PICTURES: u64 = 20_000;
/// Shortest and longest pause before a picture that failed is asked for again, in seconds. In between it is as
/// long as the picture has been failing, so that each try comes after twice the time of the one before.
const MIN_PAUSE_SECS: i64 = 3600;
const MAX_PAUSE_SECS: i64 = 7 * 24 * 3600;

/// One look at one pipe.
pub(super) struct Look {
    pub(super) pipe: PipeName,
    /// Rows whose pictures a later run changed are passed over.
    pub(super) up_to: RunId,
    pub(super) products: Arc<State>,
    pub(super) images: Option<Arc<State>>,
    pub(super) given_up: BTreeSet<u128>,
    pub(super) now: DateTime<Utc>,
}

/// What a look has found.
#[derive(Default)]
pub(super) struct Missing {
    /// The addresses that live rows have and the `images` table has no current entry for, by the run that brought
    /// them.
    pub(super) links: BTreeMap<RunId, PictureLinks>,
    /// Whether no row was left to a run that is not final.
    pub(super) is_all: bool,
    /// When the next picture that failed is due, in epoch seconds.
    pub(super) due: Option<i64>,
}

impl Look {
    /// Reads the pipe's entries and rows. Blocks.
    pub(super) fn missing(&self) -> Result<Missing, CatalogError> {
        let mut missing = Missing { is_all: true, ..Missing::default() };
        let products = &self.products;
        let mut found = 0;
        let mut share = Some(Share::ALL);
        while let Some(this) = share {
            let Some(mut known) = self.known(this, &mut missing.due)? else {
                share = this.half();
                continue;
            };
            let files = products.files_of(&self.pipe);
            pictures::for_each_live_link_in(&products.snapshot, files, |run, link| {
                let hash = keys::address_hash(link);
                if !this.holds(hash) || known.contains(&hash) || self.given_up.contains(&hash) {
                    return;
                }
                if run > self.up_to.0 {
                    missing.is_all = false;
                } else if found < MAX_PICTURES
                    && missing.links.entry(RunId(run)).or_default().add(link)
                {
                    known.insert(hash);
                    found += 1;
                }
            })?;
            share = this.next();
        }
        Ok(missing)
    }

    /// Hashes of the share's pictures that need not be asked for; none when they are too many and the share
    /// can be halved. `due` becomes no later than the time at which the next of the pipe's pictures must be.
    fn known(
        &self,
        share: Share,
        due: &mut Option<i64>,
    ) -> Result<Option<HashSet<u128>>, CatalogError> {
        let mut known = HashSet::new();
        let mut too_many = false;
        let Some(images) = &self.images else { return Ok(Some(known)) };
        let files = images.files_of(&self.pipe);
        images::for_each_entry_in(&images.snapshot, files, |entry| {
            let Some(hash) = keys::picture_hash(entry.key) else { return };
            let due_at = due_again_at(&entry);
            if due_at.is_some_and(|at| at <= self.now.timestamp()) {
                return;
            }
            if let Some(at) = due_at {
                *due = Some(due.map_or(at, |before| before.min(at)));
            }
            if !too_many && share.holds(hash) {
                known.insert(hash);
                too_many = known.len() > MAX_HASHES && share.half().is_some();
            }
        })?;
        Ok((!too_many).then_some(known))
    }
}

/// When a picture that failed should be asked for again, in epoch seconds; none where it did not fail. What is refused for
/// good is too, though seldom: a host that forbids for an hour, or names pictures before it has them, means it no more.
fn due_again_at(entry: &images::Known<'_>) -> Option<i64> {
    if entry.status != ImageStatus::Failed.word() {
        return None;
    }
    let checked_at = entry.checked_at_us / 1_000_000;
    // A run's id is the time for which it was scheduled.
    let failing_for = checked_at.saturating_sub(entry.run.0);
    let pause = if entry.retry {
        failing_for.clamp(MIN_PAUSE_SECS, MAX_PAUSE_SECS)
    } else {
        MAX_PAUSE_SECS
    };
    Some(checked_at.saturating_add(pause))
}
