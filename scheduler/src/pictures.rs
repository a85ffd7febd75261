//! Expiry of pictures: those that no product within the rollback window shows.
//!
//! What is shown is taken widely: by any row, live or dead, of any data file that is still there. Vacuum
//! takes away the files that no version within the window needs, so what no file names, no rollback can bring
//! back. A new run could: a row that it adds may show a picture again, and its image job would find it there. So
//! nothing is deleted while a run of the pipe is unfinished, and it is asked again between deletions: a run has
//! its report before anything else happens of it.

use crate::damaged;
use crate::deps::Deps;
use crate::share::{MAX_HASHES, Share};
use crate::store::StoreUse;
use crate::upkeep::{DutyError, blocking};
use chrono::{DateTime, Utc};
use feedfleet_catalog::{CatalogError, Table, images, pictures};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunId};
use feedfleet_objects::{Listed, ObjectError, Objects};
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

/// Pictures deleted between two looks for a new run: a few hundredths of a second.
const BETWEEN_LOOKS: usize = 50;

/// A run, and when its report changed: one that was dead and is again has been at work in between.
type Last = (RunId, DateTime<Utc>);

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Pictures, with their renditions and facts.
    pub(crate) pictures: u64,
    /// Their size in bytes.
    pub(crate) bytes: u64,
    /// Entries of the `images` table.
    pub(crate) entries: u64,
}

/// Deletes the pipe's pictures that nothing shows and that are older than the rollback window. None: a run of
/// the pipe is under way, so this is not the time.
pub(crate) async fn remove_unshown(
    deps: &Deps,
    pipe: &PipeName,
    now: DateTime<Utc>,
) -> Result<Option<Removed>, DutyError> {
    let Some(last) = last_run_if_final(deps, pipe).await? else { return Ok(None) };
    let mut removed = Removed::default();
    let mut share = Some(Share::ALL);
    while let Some(this) = share {
        let (products, name) = (deps.catalog.products().clone(), pipe.clone());
        let shown = blocking(move || shown(&products, &name, this, MAX_HASHES)).await?;
        share = match shown {
            None => this.half(),
            Some(shown) => {
                let sweep = Sweep { deps, pipe, last, share: this, shown: Arc::new(shown), now };
                if !sweep.delete_objects(&mut removed).await? {
                    break;
                }
                // The entries go last: as long as there is one, the pipe is looked at.
                removed.entries += sweep.remove_entries().await?;
                this.next()
            }
        };
    }
    Ok(Some(removed))
}

/// The pipe's newest run, and when it changed, if no run that could still commit is under way. A pipe without any run is
/// left alone.
async fn last_run_if_final(deps: &Deps, pipe: &PipeName) -> Result<Option<Last>, DutyError> {
    let mut last = None;
    for key in deps.reports().runs_of(pipe).await?.iter().rev() {
        let Some(report) = damaged::load(deps, key).await? else { continue };
        if !report.state.is_final() {
            return Ok(None);
        }
        last.get_or_insert((report.key.run, report.updated_at));
        // None before it comes back. A dead one may be replayed, and an older one have been when this was alive.
        if matches!(report.state, RunState::Done | RunState::Held) {
            break;
        }
    }
    Ok(last)
}

/// Hashes of the share's pictures that some row shows; none when they are more than `limit` and the share can
/// be halved.
fn shown(
    products: &Table,
    pipe: &PipeName,
    share: Share,
    limit: usize,
) -> Result<Option<HashSet<u128>>, CatalogError> {
    let mut shown = HashSet::new();
    let mut too_many = false;
    pictures::for_each_named(products, pipe, &mut |hash| {
        if !too_many && share.holds(hash) {
            shown.insert(hash);
            too_many = shown.len() > limit && share.half().is_some();
        }
    })?;
    Ok((!too_many).then_some(shown))
}

/// The deletion of what a share has and nothing shows.
struct Sweep<'a> {
    deps: &'a Deps,
    pipe: &'a PipeName,
    /// The pipe's newest run when the rows were read.
    last: Last,
    share: Share,
    shown: Arc<HashSet<u128>>,
    now: DateTime<Utc>,
}

impl Sweep<'_> {
    fn window_start(&self) -> DateTime<Utc> {
        crate::before(self.now, self.deps.fleet.keep.rollback)
    }

    /// False: a run of the pipe has begun, and the rest was left alone.
    async fn delete_objects(&self, removed: &mut Removed) -> Result<bool, DutyError> {
        let window_start = SystemTime::from(self.window_start());
        let at_once = StoreUse::of(&self.deps.fleet.objects.place).at_once;
        for byte in self.share.first_bytes() {
            let prefix = keys::pictures_of(self.pipe, byte);
            let mut gone: BTreeMap<u128, Vec<Listed>> = BTreeMap::new();
            for entry in self.deps.objects.list(&prefix, None, usize::MAX).await? {
                match keys::picture_hash(entry.key.as_str()) {
                    Some(hash) if !self.shown.contains(&hash) => {
                        gone.entry(hash).or_default().push(entry);
                    }
                    _ => {}
                }
            }
            gone.retain(|_, objects| objects.iter().all(|o| o.modified < window_start));
            let gone: Vec<Vec<Listed>> = gone.into_values().collect();
            for some in gone.chunks(BETWEEN_LOOKS) {
                if last_run_if_final(self.deps, self.pipe).await? != Some(self.last) {
                    return Ok(false);
                }
                let mut deletes = Vec::new();
                for objects in some {
                    let keys: Vec<ObjectKey> = objects.iter().map(|o| o.key.clone()).collect();
                    deletes.push(delete_picture(self.deps.objects.clone(), keys));
                }
                let mut deletes = stream::iter(deletes).buffer_unordered(at_once);
                while let Some(deleted) = deletes.next().await {
                    deleted?;
                }
                for objects in some {
                    removed.pictures += 1;
                    removed.bytes += objects.iter().map(|o| o.size_bytes).sum::<u64>();
                }
            }
        }
        Ok(true)
    }

    /// Takes out what the table says of pictures that nothing shows, those that never could be fetched
    /// included.
    async fn remove_entries(&self) -> Result<u64, DutyError> {
        let (table, pipe) = (self.deps.catalog.images().clone(), self.pipe.clone());
        let (share, shown) = (self.share, self.shown.clone());
        let window_start_us = self.window_start().timestamp_micros();
        let removed = blocking(move || {
            images::remove(&table, &pipe, &|key, checked_at_us| {
                checked_at_us < window_start_us
                    && keys::picture_hash(key)
                        .is_some_and(|hash| share.holds(hash) && !shown.contains(&hash))
            })
        });
        Ok(removed.await? as u64)
    }
}

/// The facts go first: without them a picture is not there, and whoever wants it fetches it whole.
async fn delete_picture(
    store: Arc<dyn Objects>,
    mut objects: Vec<ObjectKey>,
) -> Result<(), ObjectError> {
    objects.sort_by_key(|key| !keys::is_image_facts(key));
    for key in &objects {
        store.delete(key).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
