//! The files of a table, on this machine or in an object store. The rest of the crate lists, reads, writes and
//! deletes them without asking where they are.
//!
//! The two differ in what makes a file last. On this machine files and their folders are synced; what a store
//! has acknowledged, it keeps, and an object is there whole or not at all.

mod fetch;
mod folder;
mod store;
mod upload;

pub(crate) use folder::DiskFile;
pub(crate) use store::Store;
pub(crate) use upload::Upload;

use crate::durable;
use crate::error::{CatalogError, Cause, Context};
use arrow::array::RecordBatch;
use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;
use url::Url;

/// How the files of a catalog are reached. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Files {
    Folder,
    Store(Store),
}

/// Where one file or folder is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FilePlace {
    Disk(PathBuf),
    Object(ObjectPath),
}

/// A file that a listing has.
#[derive(Debug)]
pub(crate) struct Found {
    pub place: FilePlace,
    /// Its size in bytes.
    pub bytes: u64,
    /// By the clock of the disk's machine, or of the store.
    pub modified: SystemTime,
}

/// Who can see a file that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draft {
    /// Whoever lists the folder finds it, and finds it unreadable.
    Listed,
    /// Nobody. On this machine it has the name of a draft until it is finished.
    Unlisted,
}

/// What the name of an unlisted draft on this machine ends with.
pub(crate) const DRAFT: &str = ".draft";

/// Rows of a file, as they come.
pub(crate) type Visit<'a> = dyn FnMut(RecordBatch) -> Result<(), CatalogError> + 'a;

impl FilePlace {
    /// The last part of its path.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Disk(path) => path.file_name().and_then(|name| name.to_str()),
            Self::Object(path) => path.filename(),
        }
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(path) => write!(f, "{}", path.display()),
            Self::Object(path) => write!(f, "{path}"),
        }
    }
}

impl Files {
    /// Where the file with this address is; `within`: the address of the table.
    pub fn place(&self, url: &Url, within: &Url) -> Option<FilePlace> {
        match self {
            Self::Folder => url.to_file_path().ok().map(FilePlace::Disk),
            Self::Store(_) => {
                let is_here = url.scheme() == within.scheme() && url.host() == within.host();
                let path = is_here.then(|| ObjectPath::from_url_path(url.path()).ok());
                path.flatten().map(FilePlace::Object)
            }
        }
    }

    /// The files directly in a folder, in no order; none where there is no folder.
    pub fn list(&self, folder: &FilePlace) -> Result<Vec<Found>, CatalogError> {
        match (self, folder) {
            (Self::Folder, FilePlace::Disk(path)) => folder::list(path),
            (Self::Store(store), FilePlace::Object(path)) => store.list(path),
            _ => Err(elsewhere(folder)),
        }
    }

    /// All files below a folder, in no order, but those whose names, or whose folders' names, begin with `_`
    /// or `.`.
    pub fn list_below(&self, folder: &FilePlace) -> Result<Vec<Found>, CatalogError> {
        match (self, folder) {
            (Self::Folder, FilePlace::Disk(path)) => folder::list_below(path),
            (Self::Store(store), FilePlace::Object(path)) => store.list_below(path),
            _ => Err(elsewhere(folder)),
        }
    }

    /// What is in these files, in their order; none for one that is not there.
    pub fn read(&self, places: &[FilePlace]) -> Result<Vec<Option<Bytes>>, CatalogError> {
        match self {
            Self::Folder => places.iter().map(folder::read).collect(),
            Self::Store(store) => store.read(places.iter().map(object).collect::<Result<_, _>>()?),
        }
    }

    /// A file's size in bytes; none where there is no such file.
    pub fn size(&self, place: &FilePlace) -> Result<Option<u64>, CatalogError> {
        Ok(self.find(place)?.map(|found| found.bytes))
    }

    /// The sizes in bytes of files below a folder, in their order; none for one that is not there.
    pub fn sizes(
        &self,
        folder: &FilePlace,
        places: &[FilePlace],
    ) -> Result<Vec<Option<u64>>, CatalogError> {
        match self {
            Self::Folder => places.iter().map(|place| self.size(place)).collect(),
            // Listed, for a store takes its time for each request.
            Self::Store(_) => {
                let found = self.list_below(folder)?;
                let bytes: HashMap<&FilePlace, u64> =
                    found.iter().map(|file| (&file.place, file.bytes)).collect();
                Ok(places.iter().map(|place| bytes.get(place).copied()).collect())
            }
        }
    }

    /// A file; none where there is no such file.
    pub fn find(&self, place: &FilePlace) -> Result<Option<Found>, CatalogError> {
        match (self, place) {
            (Self::Folder, FilePlace::Disk(path)) => folder::find(path),
            (Self::Store(store), FilePlace::Object(path)) => store.find(path),
            _ => Err(elsewhere(place)),
        }
    }

    /// Begins a file that is not there yet.
    pub fn create(&self, place: &FilePlace, draft: Draft) -> Result<NewObject, CatalogError> {
        match (self, place) {
            (Self::Folder, FilePlace::Disk(path)) => {
                Ok(NewObject::Disk(DiskFile::create(path, draft)?))
            }
            (Self::Store(store), FilePlace::Object(path)) => {
                Ok(NewObject::Object(Upload::begin(store.clone(), path.clone(), draft)?))
            }
            _ => Err(elsewhere(place)),
        }
    }

    /// Bytes of memory that a file takes while it is written, beside what encodes its rows.
    pub fn bytes_in_hand(&self) -> usize {
        match self {
            Self::Folder => 0,
            Self::Store(_) => upload::BYTES_IN_HAND,
        }
    }

    /// Deletes files, in their order where that is known; of each, whether it was still there.
    pub fn remove(&self, places: &[FilePlace]) -> Result<Vec<bool>, CatalogError> {
        match self {
            Self::Folder => places.iter().map(folder::remove).collect(),
            Self::Store(store) => {
                store.remove(places.iter().map(object).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Deletes a file that nobody has heard of. If it cannot be deleted, vacuum will.
    pub fn discard(&self, place: &FilePlace) {
        if let Err(e) = self.remove(std::slice::from_ref(place)) {
            tracing::debug!(error = %e, "left a file to vacuum");
        }
    }

    /// Makes a file that others wrote durable, and its name.
    pub fn sync(&self, place: &FilePlace) -> Result<(), CatalogError> {
        let FilePlace::Disk(path) = place else { return Ok(()) };
        durable::sync_file(path)?;
        path.parent().map_or(Ok(()), durable::sync_folder)
    }

    /// Calls `visit` with every batch of a data file of this size, in order. `columns`: those to read; none:
    /// all.
    pub fn for_each_batch(
        &self,
        place: &FilePlace,
        bytes: u64,
        columns: Option<&[&str]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), CatalogError> {
        match (self, place) {
            (Self::Folder, FilePlace::Disk(path)) => folder::for_each_batch(path, columns, visit),
            (Self::Store(store), FilePlace::Object(path)) => {
                fetch::for_each_batch(store, path, bytes, columns, visit)
            }
            _ => Err(elsewhere(place)),
        }
    }
}

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

fn object(place: &FilePlace) -> Result<ObjectPath, CatalogError> {
    match place {
        FilePlace::Object(path) => Ok(path.clone()),
        FilePlace::Disk(_) => Err(elsewhere(place)),
    }
}

fn elsewhere(place: &FilePlace) -> CatalogError {
    CatalogError {
        action: "find the file",
        subject: place.to_string(),
        source: Cause::Unusable("it is not where the catalog is".to_owned()),
    }
}

/// A file that is being written. Nobody has heard of it yet: it goes with the value, unless it is finished, so
/// that a disk that was too small for it has its room again.
pub(crate) enum NewObject {
    Disk(DiskFile),
    Object(Upload),
}

impl NewObject {
    /// Makes it durable, and visible; its size in bytes.
    pub fn finish(self) -> Result<u64, CatalogError> {
        match self {
            Self::Disk(file) => file.finish(),
            Self::Object(upload) => {
                let subject = upload.path().to_string();
                upload.finish().context("store", &subject)
            }
        }
    }
}

impl io::Write for NewObject {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Disk(file) => file.write(data),
            Self::Object(upload) => upload.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.flush(),
            // A part has a least size: what is left over goes with the end.
            Self::Object(_) => Ok(()),
        }
    }
}
