//! Objects as files below one folder.
//!
//! A write goes to a file of its own under `.tmp/`, is synced, and then renamed (or, where the object must
//! be absent, hard-linked, which fails if it is not) into place; then the folder is synced. Conditional
//! writes against a version hold a lock file's advisory lock meanwhile, so that processes take turns.
//! Attributes are left out: nobody reads a folder over HTTP.

use crate::{
    Attributes, Expected, Listed, Object, ObjectError, Objects, PutOutcome, Upload, Version,
};
use bytes::Bytes;
use feedfleet_model::hash;
use feedfleet_model::keys::ObjectKey;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

/// A folder of objects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FolderObjects {
    root: Arc<PathBuf>,
}

const TEMPORARY: &str = ".tmp";
const LOCKS: &str = ".locks";
/// Lock files: conditional writes of different keys rarely meet.
const LOCK_STRIPES: u128 = 64;
/// Slashes in a key from which on its folder is that of one picture or one snapshot alone.
const DEEP: usize = 3;
/// How often a folder may be taken away while a file is placed in it.
const PLACE_TRIES: u32 = 10;

impl FolderObjects {
    /// Opens the folder, and makes it where it is absent.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, ObjectError> {
        let root = root.into();
        let failed = |source| ObjectError {
            action: "open the folder of",
            subject: root.display().to_string(),
            source,
        };
        make_folder(&root.join(TEMPORARY)).map_err(failed)?;
        make_folder(&root.join(LOCKS)).map_err(failed)?;
        Ok(Self { root: Arc::new(root) })
    }

    /// Whether a store has been made in this folder: opening it then makes nothing.
    pub fn is_made(root: &Path) -> bool {
        root.join(TEMPORARY).is_dir() && root.join(LOCKS).is_dir()
    }

    /// The folder of the locks that conditional writes take.
    pub fn lock_folder(&self) -> PathBuf {
        self.root.join(LOCKS)
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
        // A process that was killed leaves its files, and the next one may have its number.
        static START: LazyLock<u128> = LazyLock::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| since.as_nanos())
        });
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        self.root.join(TEMPORARY).join(format!("{}-{}-{n}", std::process::id(), *START))
    }

    /// Puts a synced temporary file in place.
    fn publish(&self, temporary: &Path, key: &ObjectKey, only_new: bool) -> io::Result<bool> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root);
        let placed = if only_new {
            let linked = place(folder, || fs::hard_link(temporary, &path));
            fs::remove_file(temporary)?;
            match linked {
                Ok(()) => true,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
                Err(e) => return Err(e),
            }
        } else {
            place(folder, || fs::rename(temporary, &path))?;
            true
        };
        match sync_folder(folder) {
            // Deleted again already, and its folder with it.
            Err(e) if is_absent(&e) => {}
            synced => synced?,
        }
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

/// Places a file in a folder, which is made if need be, and again if a delete took it, still empty.
fn place(folder: &Path, action: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let attempt = || make_folder(folder).and_then(|()| action());
    for _ in 0..PLACE_TRIES {
        match attempt() {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            placed => return placed,
        }
    }
    attempt()
}

/// Removes the folder of a deleted object if it is empty now. Folders that hold many objects are left: they
/// come back at once.
fn tidy(key: &ObjectKey, path: &Path) {
    let is_deep = key.as_str().matches('/').count() >= DEEP;
    if let Some(folder) = path.parent().filter(|_| is_deep) {
        // It fails where there is another object, as it should.
        fs::remove_dir(folder).ok();
    }
}

/// Makes a folder where it is absent, and those above it, each durable in the one that holds it.
///
/// # Errors
///
/// The file system's.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folder(above)?;
    match fs::create_dir(folder) {
        // Somebody else was faster.
        Err(e) if e.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(in_the_way(folder)),
        made => made?,
    }
    sync_folder(above)
}

/// Why a folder cannot be made whose name is taken. Not that something exists: to a conditional put that would say that
/// the object does.
fn in_the_way(folder: &Path) -> io::Error {
    match folder.symlink_metadata() {
        Ok(_) if !folder.is_dir() => io::Error::other(format!(
            "'{}' is no folder, or leads to none: move it away, or mount what it leads to",
            folder.display()
        )),
        // A delete took it, still empty, and somebody may have made it again.
        _ => ErrorKind::NotFound.into(),
    }
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

    async fn put_with(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        _: &Attributes,
    ) -> Result<Version, ObjectError> {
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
            let path = this.path(&target);
            match fs::remove_file(&path) {
                Err(e) if !is_absent(&e) => return Err(e),
                _ => tidy(&target, &path),
            }
            Ok(())
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

    async fn discard_unfinished(&self, before: SystemTime) -> Result<u64, ObjectError> {
        self.blocking("discard unfinished", TEMPORARY, move |this| {
            let mut discarded = 0;
            for entry in fs::read_dir(this.root.join(TEMPORARY))? {
                let entry = entry?;
                // Its writer may finish it, or another may discard it, at any moment.
                let modified = match entry.metadata().and_then(|m| m.modified()) {
                    Ok(modified) => modified,
                    Err(e) if is_absent(&e) => continue,
                    Err(e) => return Err(e),
                };
                if modified >= before {
                    continue;
                }
                match fs::remove_file(entry.path()) {
                    Ok(()) => discarded += 1,
                    Err(e) if is_absent(&e) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(discarded)
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

    async fn link(&self, key: &ObjectKey, _: Duration) -> Result<String, ObjectError> {
        Ok(self.path(key).display().to_string())
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
    async fn what_killed_writers_left_is_discarded_by_age() {
        let (folder, store) = store();
        let temporary = folder.path().join(TEMPORARY);
        for (name, hours) in [("1-1-0", 25), ("2-1-0", 1)] {
            let file = File::create(temporary.join(name)).unwrap();
            let modified = SystemTime::now() - std::time::Duration::from_secs(hours * 3600);
            file.set_modified(modified).unwrap();
        }
        store.put(&key("r/a"), "x".into()).await.unwrap();
        let day_ago = SystemTime::now() - std::time::Duration::from_secs(24 * 3600);
        assert_eq!(store.discard_unfinished(day_ago).await.unwrap(), 1);
        let left: Vec<_> = fs::read_dir(&temporary).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [temporary.join("2-1-0")]);
        assert!(store.get(&key("r/a")).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_last_delete_takes_a_deep_folder_along() {
        let (folder, store) = store();
        for name in ["images/acme/ab/h/original", "images/acme/ab/h/facts.json", "dead/x"] {
            store.put(&key(name), "x".into()).await.unwrap();
        }
        store.delete(&key("images/acme/ab/h/facts.json")).await.unwrap();
        assert!(store.get(&key("images/acme/ab/h/original")).await.unwrap().is_some());
        store.delete(&key("images/acme/ab/h/original")).await.unwrap();
        assert!(!folder.path().join("images/acme/ab/h").exists());
        store.delete(&key("dead/x")).await.unwrap();
        assert!(folder.path().join("dead").is_dir());
        store.put(&key("images/acme/ab/h/original"), "y".into()).await.unwrap();
    }

    /// Such as a link to a disk that is not mounted.
    #[tokio::test]
    async fn what_is_in_a_folders_place_is_an_error_and_no_object() {
        let (folder, store) = store();
        std::os::unix::fs::symlink("/not/there", folder.path().join("r")).unwrap();
        fs::write(folder.path().join("s"), "").unwrap();
        for name in ["r/a", "s/a"] {
            let put = store.put_if(&key(name), "x".into(), Expected::Absent).await;
            let told = put.map(|_| ()).unwrap_err().source.to_string();
            assert!(told.contains("is no folder, or leads to none"), "{name}: {told}");
        }
    }

    #[tokio::test]
    async fn an_unfinished_upload_leaves_no_file() {
        let (folder, store) = store();
        let mut upload = store.upload(&key("raw/x")).unwrap();
        upload.write_all(b"half").unwrap();
        drop(upload);
        assert_eq!(fs::read_dir(folder.path().join(TEMPORARY)).unwrap().count(), 0);
    }
}
