//! Objects as files below one folder.
//!
//! A write goes to a file of its own under `.tmp/`, is synced, and then renamed (or, where the object must
//! be absent, hard-linked, which fails if it is not) into place; then the folder is synced. Conditional
//! writes against a version hold a lock file's advisory lock meanwhile, so that processes take turns.

use crate::{Expected, Listed, Object, ObjectError, Objects, PutOutcome, Upload, Version};
use bytes::Bytes;
use feedfleet_model::hash;
use feedfleet_model::keys::ObjectKey;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder of objects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FolderObjects {
    root: Arc<PathBuf>,
}

const TEMPORARY: &str = ".tmp";
const LOCKS: &str = ".locks";
/// Lock files: conditional writes of different keys rarely meet.
const LOCK_STRIPES: u128 = 64;

impl FolderObjects {
    /// Opens the folder, and makes it where it is absent.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, ObjectError> {
        let root = root.into();
        let failed = |source| ObjectError {
            action: "open the folder of",
            subject: root.display().to_string(),
            source,
        };
        fs::create_dir_all(root.join(TEMPORARY)).map_err(failed)?;
        fs::create_dir_all(root.join(LOCKS)).map_err(failed)?;
        Ok(Self { root: Arc::new(root) })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that holds an object.
    pub fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        subject: &str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let this = self.clone();
        let result = match tokio::task::spawn_blocking(move || work(&this)).await {
            Ok(result) => result,
            Err(stopped) => Err(io::Error::other(stopped)),
        };
        result.map_err(|source| ObjectError { action, subject: subject.to_owned(), source })
    }

    fn temporary(&self) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        self.root.join(TEMPORARY).join(format!("{}-{n}", std::process::id()))
    }

    /// Puts a synced temporary file in place.
    fn publish(&self, temporary: &Path, key: &ObjectKey, only_new: bool) -> io::Result<bool> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root);
        create_folder(folder)?;
        let placed = if only_new {
            let linked = fs::hard_link(temporary, &path);
            fs::remove_file(temporary)?;
            match linked {
                Ok(()) => true,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
                Err(e) => return Err(e),
            }
        } else {
            fs::rename(temporary, &path)?;
            true
        };
        sync_folder(folder)?;
        Ok(placed)
    }

    fn write(&self, key: &ObjectKey, bytes: &[u8], only_new: bool) -> io::Result<bool> {
        let temporary = self.temporary();
        let mut file = File::create_new(&temporary)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        drop(file);
        written.and_then(|()| self.publish(&temporary, key, only_new)).inspect_err(|_| {
            // The error is already on its way up; a leftover in the temporary folder harms nobody.
            fs::remove_file(&temporary).ok();
        })
    }

    fn read(&self, key: &ObjectKey) -> io::Result<Option<Object>> {
        match fs::read(self.path(key)) {
            Ok(bytes) => Ok(Some(Object { version: version(&bytes), bytes: bytes.into() })),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn replace(&self, key: &ObjectKey, bytes: &[u8], seen: &Version) -> io::Result<PutOutcome> {
        let stripe = hash::bytes_hash(key.as_str().as_bytes()) % LOCK_STRIPES;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.root.join(LOCKS).join(stripe.to_string()))?;
        lock.lock()?;
        let current = self.read(key)?;
        if current.is_none_or(|object| object.version != *seen) {
            return Ok(PutOutcome::Lost);
        }
        self.write(key, bytes, false)?;
        Ok(PutOutcome::Written(version(bytes)))
    }
}

/// A state is named by its content.
fn version(bytes: &[u8]) -> Version {
    Version(hash::hex(hash::bytes_hash(bytes)))
}

/// Also where a segment of the key's path is a file: no such object can exist.
fn is_absent(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// A rename is durable once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[async_trait::async_trait]
impl Objects for FolderObjects {
    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, ObjectError> {
        let wanted = key.clone();
        self.blocking("read", key.as_str(), move |this| this.read(&wanted)).await
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<Version, ObjectError> {
        let target = key.clone();
        self.blocking("write", key.as_str(), move |this| {
            this.write(&target, &bytes, false)?;
            Ok(version(&bytes))
        })
        .await
    }

    async fn put_if(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<PutOutcome, ObjectError> {
        let target = key.clone();
        self.blocking("write", key.as_str(), move |this| match expected {
            Expected::Version(seen) => this.replace(&target, &bytes, &seen),
            Expected::Absent if this.write(&target, &bytes, true)? => {
                Ok(PutOutcome::Written(version(&bytes)))
            }
            Expected::Absent => Ok(PutOutcome::Lost),
        })
        .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let target = key.clone();
        self.blocking("delete", key.as_str(), move |this| {
            match fs::remove_file(this.path(&target)) {
                Err(e) if !is_absent(&e) => Err(e),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError> {
        let wanted = prefix.to_owned();
        let after = after.cloned();
        self.blocking("list", prefix, move |this| {
            // Only the deepest folder that the prefix names whole needs to be walked.
            let folder = wanted.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut found = Vec::new();
            walk(&this.root, &this.root.join(folder), &mut found)?;
            found.retain(|l| {
                l.key.as_str().starts_with(&wanted) && after.as_ref().is_none_or(|a| l.key > *a)
            });
            found.sort_by(|a, b| a.key.cmp(&b.key));
            found.truncate(limit);
            Ok(found)
        })
        .await
    }

    fn upload(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, ObjectError> {
        let temporary = self.temporary();
        match File::create_new(&temporary) {
            Ok(file) => Ok(Box::new(FolderUpload {
                store: self.clone(),
                key: key.clone(),
                temporary,
                file: io::BufWriter::with_capacity(256 * 1024, file),
                written: 0,
                finished: false,
            })),
            Err(source) => {
                Err(ObjectError { action: "begin", subject: key.as_str().to_owned(), source })
            }
        }
    }

    fn open(&self, key: &ObjectKey) -> Result<Option<Box<dyn Read + Send>>, ObjectError> {
        match File::open(self.path(key)) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(e) if is_absent(&e) => Ok(None),
            Err(source) => {
                Err(ObjectError { action: "open", subject: key.as_str().to_owned(), source })
            }
        }
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Listed>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if is_absent(&e) => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // An object may be deleted while the folder is walked.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(e) if is_absent(&e) => continue,
            Err(e) => return Err(e),
        };
        if metadata.is_dir() {
            walk(root, &path, found)?;
            continue;
        }
        let key = path.strip_prefix(root).ok().and_then(Path::to_str).and_then(ObjectKey::parse);
        if let Some(key) = key {
            found.push(Listed { key, size_bytes: metadata.len(), modified: metadata.modified()? });
        }
    }
    Ok(())
}

struct FolderUpload {
    store: FolderObjects,
    key: ObjectKey,
    temporary: PathBuf,
    file: io::BufWriter<File>,
    written: u64,
    finished: bool,
}

impl Write for FolderUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Upload for FolderUpload {
    fn finish(mut self: Box<Self>) -> Result<u64, ObjectError> {
        let placed = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| self.store.publish(&self.temporary, &self.key, false));
        self.finished = placed.is_ok();
        placed.map(|_| self.written).map_err(|source| ObjectError {
            action: "finish",
            subject: self.key.as_str().to_owned(),
            source,
        })
    }
}

impl Drop for FolderUpload {
    fn drop(&mut self) {
        if !self.finished {
            fs::remove_file(&self.temporary).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, FolderObjects) {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderObjects::open(folder.path()).unwrap();
        (folder, store)
    }

    fn key(text: &str) -> ObjectKey {
        ObjectKey::parse(text).unwrap()
    }

    #[tokio::test]
    async fn of_racing_creators_one_wins() {
        let (_folder, store) = store();
        let target = key("a/b");
        let mut tasks = Vec::new();
        for n in 0..16 {
            let (store, target) = (store.clone(), target.clone());
            tasks.push(tokio::spawn(async move {
                let bytes = Bytes::from(format!("{n}"));
                store.put_if(&target, bytes, Expected::Absent).await.unwrap() != PutOutcome::Lost
            }));
        }
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
    }

    #[tokio::test]
    async fn of_racing_updaters_one_wins() {
        let (_folder, store) = store();
        let target = key("a");
        let seen = store.put(&target, "0".into()).await.unwrap();
        let mut tasks = Vec::new();
        for n in 1..=16 {
            let (store, target, seen) = (store.clone(), target.clone(), seen.clone());
            tasks.push(tokio::spawn(async move {
                let bytes = Bytes::from(format!("{n}"));
                let outcome = store.put_if(&target, bytes, Expected::Version(seen)).await.unwrap();
                outcome != PutOutcome::Lost
            }));
        }
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
    }

    #[tokio::test]
    async fn listing_is_ordered_and_pages() {
        let (_folder, store) = store();
        for name in ["r/a-1", "r/a/1", "r/b", "other"] {
            store.put(&key(name), "x".into()).await.unwrap();
        }
        let all = store.list("r/", None, 10).await.unwrap();
        let names: Vec<_> = all.iter().map(|l| l.key.as_str()).collect();
        assert_eq!(names, ["r/a-1", "r/a/1", "r/b"]);
        let rest = store.list("r/", Some(&key("r/a-1")), 1).await.unwrap();
        assert_eq!(rest[0].key, key("r/a/1"));
        assert_eq!(store.list("r/a", None, 10).await.unwrap().len(), 2);
        assert!(store.list("absent/", None, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_unfinished_upload_leaves_nothing() {
        let (folder, store) = store();
        let mut upload = store.upload(&key("raw/x")).unwrap();
        upload.write_all(b"half").unwrap();
        assert!(store.get(&key("raw/x")).await.unwrap().is_none());
        drop(upload);
        assert_eq!(fs::read_dir(folder.path().join(TEMPORARY)).unwrap().count(), 0);
        let mut upload = store.upload(&key("raw/x")).unwrap();
        upload.write_all(b"whole").unwrap();
        assert_eq!(upload.finish().unwrap(), 5);
        assert_eq!(store.get(&key("raw/x")).await.unwrap().unwrap().bytes, "whole");
    }
}
