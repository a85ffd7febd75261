//! Trying out a file system where it will be used: in a scratch folder, which is gone afterwards.

use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A name that no other check and no other process uses, of letters, digits and `-`.
pub fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    format!("doctor-{}-{n}-{nanos}", std::process::id())
}

/// The path, or the nearest one above it that is there: what is missing below would be made in it.
pub fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|p| p.exists()).unwrap_or(path)
}

/// A folder of a check's own.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes one in `folder`, or where that is missing in the nearest folder above it.
    pub fn within(folder: &Path) -> Result<Self> {
        let present = nearest(folder);
        let own = present.join(format!(".{}", name()));
        fs::create_dir(&own)
            .with_context(|| format!("could not make a folder in {}", present.display()))?;
        Ok(Self { folder: own })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Removes it; an error says that what was written cannot be removed.
    pub fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("could not remove {}", self.folder.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Gone already, unless a check ended early; that check has told why.
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Tries in an empty folder what every writer of the fleet relies on: synced writes, hard links that
/// replace nothing, renames that replace, synced folders. How long a synced write took.
pub fn probe(folder: &Path) -> Result<Duration> {
    let within = folder.join("within");
    fs::create_dir(&within).context("could not make a folder")?;
    let (draft, entry) = (folder.join("draft"), within.join("entry"));
    let started = Instant::now();
    write_synced(&draft, b"first").context("could not write and sync a file")?;
    let synced_write = started.elapsed();
    fs::hard_link(&draft, &entry).context("could not make a hard link")?;
    match fs::hard_link(&draft, &entry) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e).context("could not try a second hard link"),
        Ok(()) => bail!("a hard link took the place of a file that was there"),
    }
    let next = folder.join("next");
    write_synced(&next, b"second").context("could not write and sync a file")?;
    fs::rename(&next, &entry).context("could not rename a file over another")?;
    if fs::read(&entry).context("could not read a file")? != b"second" || next.exists() {
        bail!("a rename did not replace the file that was there");
    }
    File::open(folder).and_then(|f| f.sync_all()).context("could not sync a folder")?;
    fs::remove_file(&draft).and_then(|()| fs::remove_file(&entry)).context("could not delete")?;
    Ok(synced_write)
}

/// Writes a file in a folder that is in use, gives it a second name in another one, and removes both. The name is
/// hidden: no reader takes it for one of the folder's own.
pub fn write_and_remove(folder: &Path, other: Option<&Path>) -> Result<()> {
    let name = format!(".{}", name());
    let file = folder.join(&name);
    let at = || format!("could not write and remove a file in {}", folder.display());
    write_synced(&file, b"").with_context(at)?;
    let linked = other.map_or(Ok(()), |other| {
        let second = other.join(&name);
        fs::hard_link(&file, &second).and_then(|()| fs::remove_file(&second)).with_context(|| {
            format!("could not link a file of {} into {}", folder.display(), other.display())
        })
    });
    fs::remove_file(&file).with_context(at)?;
    linked
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_is_gone_afterwards() {
        let parent = std::env::temp_dir();
        let scratch = Scratch::within(&parent.join(name()).join("not/there")).unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(path.parent(), Some(parent.as_path()));
        probe(&path).unwrap();
        let within = path.join("within");
        write_and_remove(&path, Some(&within)).unwrap();
        for folder in [&path, &within] {
            let files =
                fs::read_dir(folder).unwrap().filter(|f| f.as_ref().unwrap().path().is_file());
            assert_eq!(files.count(), 0);
        }
        scratch.remove().unwrap();
        assert!(!path.exists());
        let dropped = Scratch::within(&parent).unwrap();
        let path = dropped.path().to_owned();
        drop(dropped);
        assert!(!path.exists());
    }

    #[test]
    fn below_a_file_there_is_no_folder() {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, b"").unwrap();
        assert_eq!(nearest(&file.join("a/b")), file);
        let error = Scratch::within(&file.join("a/b")).unwrap_err();
        assert!(format!("{error:#}").contains("could not make a folder in"), "{error:#}");
    }
}
