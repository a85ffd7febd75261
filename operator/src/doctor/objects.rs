//! Whether objects can be written, read, listed and deleted, and whether conditional writes decide races.

use super::scratch::{self, Scratch};
use super::{Finding, blocking, cloud, plain};
use crate::context::Context;
use anyhow::{Context as _, Result, bail, ensure};
use feedfleet_config::Place;
use feedfleet_model::keys::ObjectKey;
use feedfleet_model::text;
use feedfleet_objects::{Expected, FolderObjects, Objects, PutOutcome};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const CHECK: &str = "objects";

/// Tries the store with a key of the check's own; that of a folder also in a scratch folder.
pub async fn check(context: Arc<Context>) -> Vec<Finding> {
    vec![match &context.config.fleet.objects.place {
        Place::Folder(root) => folder(root).await,
        Place::S3 { bucket, prefix } => cloud::store(&context, CHECK, bucket, prefix).await,
    }]
}

async fn folder(root: &Path) -> Finding {
    match try_out(root).await {
        Ok(found) => Finding::ok(CHECK, format!("{}: {found}", root.display())),
        Err(e) => {
            let found = format!("{}: {e:#}", root.display());
            let remedy = "check url under [objects] in fleet.toml: this user must be able to write there, on a \
                          local disk with room, with hard links, renames and file locks";
            Finding::broken(CHECK, found, remedy)
        }
    }
}

/// The store, if it has been made; looking makes none. One on S3 needs no making.
pub fn existing(context: &Context) -> Result<Option<Arc<dyn Objects>>> {
    let folder = context.config.fleet.objects.place.folder();
    let made = folder.is_none_or(FolderObjects::is_made);
    if made { Ok(Some(context.objects()?)) } else { Ok(None) }
}

async fn try_out(root: &Path) -> Result<String> {
    let place = root.to_owned();
    let scratch = blocking(move || Scratch::within(&place)).await?;
    let tried = try_scratch(scratch.path()).await;
    let removed = blocking(move || scratch.remove()).await;
    let (took, synced_write) = tried?;
    removed?;
    let mut found = format!(
        "put, get, conditional put, list and delete in {}; rename, hard link and fsync work, a synced write \
         takes {}",
        text::duration(took),
        text::duration(synced_write)
    );
    if FolderObjects::is_made(root) {
        try_in_use(root).await?;
    } else {
        found.push_str("; the folder itself is made by the first run");
    }
    Ok(found)
}

/// Tries a store of the check's own, on the file system of the fleet's.
async fn try_scratch(folder: &Path) -> Result<(Duration, Duration)> {
    let own = folder.to_owned();
    let synced_write = blocking(move || scratch::probe(&own)).await?;
    let root = folder.join("objects");
    let store = blocking(move || FolderObjects::open(root)).await.map_err(plain)?;
    let started = Instant::now();
    exercise(&store, &key()?, true).await?;
    Ok((started.elapsed(), synced_write))
}

/// Tries the fleet's own store: its folders may belong to somebody else.
async fn try_in_use(root: &Path) -> Result<()> {
    let root = root.to_owned();
    let store = blocking(move || FolderObjects::open(root)).await.map_err(plain)?;
    let key = key()?;
    // Without versions: a lock file would stay, and must, since others may hold it by then.
    let tried = exercise(&store, &key, false).await;
    let removed = store.delete(&key).await.map_err(plain);
    let path = store.path(&key);
    blocking(move || {
        if let Some(folder) = path.parent().filter(|folder| folder.is_dir()) {
            std::fs::remove_dir(folder)
                .with_context(|| format!("could not remove {}", folder.display()))?;
        }
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    tried?;
    removed?;
    blocking(move || scratch::write_and_remove(&store.lock_folder(), None)).await
}

/// Writes, reads, lists and deletes an object; with `versions`, replaces it by its version too. When it was
/// written, by the store's own clock.
pub async fn exercise(store: &dyn Objects, key: &ObjectKey, versions: bool) -> Result<SystemTime> {
    let made = store.put_if(key, "first".into(), Expected::Absent).await.map_err(plain)?;
    let PutOutcome::Written(first) = made else {
        bail!("a conditional put of an object that was not there lost");
    };
    let again = store.put_if(key, "again".into(), Expected::Absent).await.map_err(plain)?;
    ensure!(again == PutOutcome::Lost, "a conditional put replaced an object that was there");
    let found = store.get(key).await.map_err(plain)?;
    let same = found.is_some_and(|o| o.bytes.as_ref() == b"first" && o.version == first);
    ensure!(same, "an object came back as another than was written");
    let listed = store.list(key.as_str(), None, 2).await.map_err(plain)?;
    let listed = listed.into_iter().find(|l| l.key == *key);
    let listed = listed.context("an object that was written is not listed")?;
    let second = store.put(key, "second".into()).await.map_err(plain)?;
    if versions {
        let stale = Expected::Version(first);
        let stale = store.put_if(key, "stale".into(), stale).await.map_err(plain)?;
        ensure!(stale == PutOutcome::Lost, "a put against a stale version did not lose");
        let current = Expected::Version(second);
        let current = store.put_if(key, "third".into(), current).await.map_err(plain)?;
        ensure!(current != PutOutcome::Lost, "a put against the current version lost");
    }
    store.delete(key).await.map_err(plain)?;
    let left = store.get(key).await.map_err(plain)?;
    ensure!(left.is_none(), "an object that was deleted is still there");
    Ok(listed.modified)
}

/// A key in a folder that nobody else uses, so that the folder can be removed.
pub fn key() -> Result<ObjectKey> {
    ObjectKey::parse(&format!("{}/object", scratch::name())).context("the scratch key is no key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_store_in_use_is_as_it_was() {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let root = scratch.path().join("objects");
        let found = try_out(&root).await.unwrap();
        assert!(found.contains("made by the first run"), "{found}");
        assert!(!root.exists());

        let store = FolderObjects::open(&root).unwrap();
        let kept = ObjectKey::parse("reports/acme/1.json").unwrap();
        store.put(&kept, "{}".into()).await.unwrap();
        let (before, locks) = (names(&root), names(&store.lock_folder()));
        try_out(&root).await.unwrap();
        assert_eq!(names(&root), before);
        assert_eq!(names(&store.lock_folder()), locks);
        assert!(store.get(&kept).await.unwrap().is_some());
    }
}
