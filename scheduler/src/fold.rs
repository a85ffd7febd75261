//! Folding image receipts into the `images` table. Receipts are deleted after the commit that holds them;
//! folding one twice changes nothing.

use crate::deps::Deps;
use crate::store::StoreUse;
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_catalog::images;
use feedfleet_model::PipeName;
use feedfleet_model::image::{ImageEntry, ImageReceipt, ImageStatus};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_objects::reports::from_json;
use feedfleet_objects::{ObjectError, Objects, get_all};
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Receipts in one step: what is in memory at once stays small. A pipe's are neighbours, so a step makes few commits.
pub(crate) const MAX_RECEIPTS: usize = 2000;

/// So many receipts may be unreadable in a row before it is the store that fails.
const UNREADABLE: usize = 8;

/// A worker's clock that is further off than this when it writes a receipt does not count, but the store's.
const MOST_OFF: TimeDelta = TimeDelta::hours(1);

/// Why a step failed.
type FoldError = Box<dyn std::error::Error + Send + Sync>;

/// What can be folded of one pipe.
#[derive(Default)]
struct Pending {
    entries: Vec<ImageEntry>,
    receipts: Vec<ObjectKey>,
}

/// Folds the receipts that there are.
pub async fn fold_receipts(deps: &Deps) {
    fold_in_steps(deps, MAX_RECEIPTS).await;
}

/// Goes through all receipts once, so many at a time. One that cannot be read is passed over, and so is a pipe whose
/// receipts cannot be folded.
async fn fold_in_steps(deps: &Deps, step: usize) {
    let mut after = None;
    loop {
        let folded = fold_step(deps, after.as_ref(), step).await;
        match folded {
            Ok(None) => return,
            Ok(last) => after = last,
            Err(e) => {
                tracing::warn!(error = %e, "could not fold image receipts, will try again");
                return;
            }
        }
    }
}

/// Folds the next receipts after this key. The last one's key, where there may be more.
async fn fold_step(
    deps: &Deps,
    after: Option<&ObjectKey>,
    step: usize,
) -> Result<Option<ObjectKey>, FoldError> {
    let at_once = StoreUse::of(&deps.fleet.objects.place).at_once;
    let listed = deps.objects.list(&format!("{}/", keys::RECEIPTS), after, step).await?;
    let is_last = listed.len() < step;
    let last = listed.last().filter(|_| !is_last).map(|entry| entry.key.clone());
    let written: HashMap<ObjectKey, DateTime<Utc>> =
        listed.iter().map(|entry| (entry.key.clone(), entry.modified.into())).collect();
    let keys = listed.into_iter().map(|entry| entry.key);
    let mut reads = get_all(&deps.objects, keys, at_once);
    let mut pending: BTreeMap<PipeName, Pending> = BTreeMap::new();
    let (mut had, mut failed) = (0, 0);
    while let Some((key, object)) = reads.next().await {
        let object = match object {
            Ok(Some(object)) => object,
            Ok(None) => continue,
            // It is the store that fails, and not this object.
            Err(e) if had == 0 && failed >= at_once.max(UNREADABLE) => return Err(e.into()),
            Err(e) => {
                failed += 1;
                deps.complain(&e.to_string());
                continue;
            }
        };
        had += 1;
        let mut receipt: ImageReceipt = match from_json(&key, &object.bytes) {
            Ok(receipt) => receipt,
            Err(e) => {
                deps.complain(&e.to_string());
                continue;
            }
        };
        // All pictures of one job are of one pipe.
        let Some(pipe) = receipt.entries.first().map(|e| e.pipe.clone()) else { continue };
        if let Some(written_at) = written.get(&key) {
            receipt.entries.iter_mut().for_each(|entry| set_right(entry, *written_at));
        }
        let pending = pending.entry(pipe).or_default();
        pending.entries.extend(receipt.entries);
        pending.receipts.push(key);
    }
    for (pipe, pending) in pending {
        if let Err(e) = fold_pipe(deps, &pipe, pending, at_once).await {
            // The other pipes need not wait for this one, whose receipts stay.
            tracing::warn!(%pipe, error = %e, "could not fold image receipts, will try again");
        }
    }
    Ok(last)
}

/// One worker's clock that is a year ahead would keep what others see out of the table for a year, and what one sees whose
/// clock is behind would never come in.
fn set_right(entry: &mut ImageEntry, written_at: DateTime<Utc>) {
    if (entry.checked_at - written_at).abs() > MOST_OFF {
        entry.checked_at = written_at;
    }
}

async fn fold_pipe(
    deps: &Deps,
    pipe: &PipeName,
    pending: Pending,
    at_once: usize,
) -> Result<(), FoldError> {
    let Pending { entries, receipts } = pending;
    let (table, pipe) = (deps.catalog.images().clone(), pipe.clone());
    let results: Vec<ImageStatus> = entries.iter().map(|entry| entry.status).collect();
    let fold = move || images::fold(&table, &pipe, &entries);
    tokio::task::spawn_blocking(fold).await??;
    let deletes: Vec<_> =
        receipts.into_iter().map(|key| delete(deps.objects.clone(), key)).collect();
    let mut deletes = stream::iter(deletes).buffer_unordered(at_once);
    while let Some(deleted) = deletes.next().await {
        deleted?;
    }
    if let Some(meters) = &deps.meters {
        meters.note_images(&results);
    }
    Ok(())
}

async fn delete(objects: Arc<dyn Objects>, key: ObjectKey) -> Result<(), ObjectError> {
    objects.delete(&key).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, acme, entry};
    use feedfleet_objects::reports::to_json;
    use std::collections::BTreeSet;

    /// However many there are, and whatever lies between them, all receipts are in the table after one folding, on a
    /// folder and where many are asked for at once.
    #[tokio::test(flavor = "multi_thread")]
    async fn all_receipts_are_folded_in_steps_and_what_cannot_be_read_stays() {
        for is_bucket in [false, true] {
            let mut world = World::new();
            if is_bucket {
                world.as_in_a_bucket();
            }
            let odd = [keys::receipt("image-0", 0), keys::receipt("image-2", 2)];
            world.put(&odd).await;
            let names = ["a", "b", "c", "d", "e"];
            let mut receipts = Vec::new();
            for (number, name) in names.into_iter().enumerate() {
                let entries = vec![entry(name, 1, ImageStatus::Stored, world.now())];
                let job = format!("image-{number}");
                let key = keys::receipt(&job, 1);
                let receipt = to_json(&ImageReceipt { job, entries });
                world.deps.objects.put(&key, receipt).await.unwrap();
                receipts.push(key);
            }
            fold_in_steps(&world.deps, 2).await;
            let expected: BTreeSet<String> = names
                .iter()
                .map(|name| entry(name, 1, ImageStatus::Stored, world.now()).key)
                .collect();
            assert_eq!(world.entries(), expected);
            for key in receipts {
                assert!(!world.is_there(&key).await, "{key}");
            }
            for key in odd {
                assert!(world.is_there(&key).await, "{key}");
            }
        }
    }

    /// What a worker says whose clock is wrong stands in the way of nothing that is seen later, and is not lost.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_clock_that_is_far_off_does_not_count() {
        let world = World::new();
        let tell = async |name, off: TimeDelta, status| {
            let entries = vec![entry(name, 1, status, world.now() + off)];
            let key = keys::receipt("image-1", off.num_seconds());
            world
                .deps
                .objects
                .put(&key, to_json(&ImageReceipt { job: "j".into(), entries }))
                .await
                .unwrap();
            fold_receipts(&world.deps).await;
        };
        let year = TimeDelta::days(365);
        tell("ahead", year, ImageStatus::Failed).await;
        tell("ahead", TimeDelta::minutes(10), ImageStatus::Stored).await;
        tell("behind", TimeDelta::zero(), ImageStatus::Failed).await;
        tell("behind", -year, ImageStatus::Stored).await;
        let snapshot = world.deps.catalog.images().snapshot().unwrap().unwrap();
        let mut failed = 0;
        images::for_each_entry(&snapshot, &acme(), |entry| {
            failed += usize::from(entry.status != ImageStatus::Stored.word());
        })
        .unwrap();
        assert_eq!((world.entries().len(), failed), (2, 0));
    }

    /// A pipe of whose entries a file is missing keeps its receipts until the file is back, and no other pipe waiting.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_pipe_that_cannot_be_folded_holds_up_no_other() {
        let world = World::new();
        // It is the first in the order of pipes.
        let broken: PipeName = "aaa".parse().unwrap();
        let seen = |pipe: &PipeName, name: &str| ImageEntry {
            pipe: pipe.clone(),
            ..entry(name, 1, ImageStatus::Stored, world.now())
        };
        let table = world.deps.catalog.images();
        images::fold(table, &broken, &[seen(&broken, "x")]).unwrap();
        let files = table.folder().unwrap().join("pipe=aaa");
        let elsewhere = tempfile::tempdir().unwrap();
        let aside = elsewhere.path().join("aside");
        std::fs::rename(&files, &aside).unwrap();
        let receipts = [keys::receipt("image-1", 1), keys::receipt("image-2", 1)];
        for (key, pipe) in receipts.iter().zip([&broken, &acme()]) {
            let receipt = ImageReceipt { job: "j".into(), entries: vec![seen(pipe, "a")] };
            world.deps.objects.put(key, to_json(&receipt)).await.unwrap();
        }
        fold_receipts(&world.deps).await;
        assert_eq!(world.entries(), BTreeSet::from([seen(&acme(), "a").key]));
        let there = [world.is_there(&receipts[0]).await, world.is_there(&receipts[1]).await];
        assert_eq!(there, [true, false]);

        std::fs::rename(&aside, &files).unwrap();
        fold_receipts(&world.deps).await;
        assert!(!world.is_there(&receipts[0]).await);
    }
}
