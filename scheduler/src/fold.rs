//! Folding image receipts into the `images` table. Receipts are deleted after the commit that holds them;
//! folding one twice changes nothing.

use crate::deps::Deps;
use feedfleet_catalog::images;
use feedfleet_model::PipeName;
use feedfleet_model::image::{ImageEntry, ImageReceipt, ImageStatus};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_objects::reports::from_json;
use std::collections::BTreeMap;

/// Receipts in one folding: what is in memory at once stays small.
const MAX_RECEIPTS: usize = 2000;

/// What can be folded of one pipe.
#[derive(Default)]
struct Pending {
    entries: Vec<ImageEntry>,
    receipts: Vec<ObjectKey>,
}

/// Folds the receipts that there are.
pub async fn fold_receipts(deps: &Deps) {
    let result: Result<(), Box<dyn std::error::Error + Send + Sync>> = async {
        let prefix = format!("{}/", keys::RECEIPTS);
        let listed = deps.objects.list(&prefix, None, MAX_RECEIPTS).await?;
        let mut pending: BTreeMap<PipeName, Pending> = BTreeMap::new();
        for entry in listed {
            let Some(object) = deps.objects.get(&entry.key).await? else { continue };
            let receipt: ImageReceipt = match from_json(&entry.key, &object.bytes) {
                Ok(receipt) => receipt,
                Err(e) => {
                    deps.complain(&e.to_string());
                    continue;
                }
            };
            // All pictures of one job are of one pipe.
            let Some(pipe) = receipt.entries.first().map(|e| e.pipe.clone()) else { continue };
            let pending = pending.entry(pipe).or_default();
            pending.entries.extend(receipt.entries);
            pending.receipts.push(entry.key);
        }
        for (pipe, Pending { entries, receipts }) in pending {
            let table = deps.catalog.images().clone();
            let results: Vec<ImageStatus> = entries.iter().map(|entry| entry.status).collect();
            let fold = move || images::fold(&table, &pipe, &entries);
            tokio::task::spawn_blocking(fold).await??;
            for receipt in receipts {
                deps.objects.delete(&receipt).await?;
            }
            if let Some(meters) = &deps.meters {
                meters.note_images(&results);
            }
        }
        Ok(())
    }
    .await;
    if let Err(e) = result {
        tracing::warn!(error = %e, "could not fold image receipts, will try again");
    }
}
