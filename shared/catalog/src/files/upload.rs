//! A new object, sent to the store while it is written: what does not fit one part goes up in parts, of which a
//! few are on their way at a time. It becomes visible when it is finished, whole.

use super::Draft;
use super::store::{Pending, Store};
use crate::error::{CatalogError, Context};
use futures::future::join;
use object_store::path::Path as ObjectPath;
use object_store::{Error, MultipartUpload, ObjectStoreExt, PutPayload, Result as StoreResult};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// Bytes of a part. Stores take parts of 5 MiB and more, and 10,000 of them.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts on their way, beside the one that is being filled.
const PARTS_AHEAD: usize = 2;
/// The most that one upload has in memory.
pub(super) const BYTES_IN_HAND: usize = (PARTS_AHEAD + 1) * PART_BYTES;

/// How long taking back is waited for: work that was cut off is soon followed by the end of its process.
const TAKE_BACK: Duration = Duration::from_secs(5);

/// An object that is being written.
pub(crate) struct Upload {
    store: Store,
    path: ObjectPath,
    /// The part that is being filled.
    part: Vec<u8>,
    written: u64,
    /// None while everything fits the first part.
    parts: Option<Box<dyn MultipartUpload>>,
    on_their_way: VecDeque<Pending<StoreResult<()>>>,
    is_listed: bool,
    is_kept: bool,
}

impl Upload {
    /// Begins it. The path must be one that nobody else writes. [`Draft::Listed`]: an empty object stands
    /// there until it is finished.
    pub fn begin(store: Store, path: ObjectPath, draft: Draft) -> Result<Self, CatalogError> {
        let upload = Self {
            store,
            path,
            part: Vec::new(),
            written: 0,
            parts: None,
            on_their_way: VecDeque::new(),
            is_listed: draft == Draft::Listed,
            is_kept: false,
        };
        if upload.is_listed {
            upload.put(PutPayload::new()).context("create", upload.path.as_ref())?;
        }
        Ok(upload)
    }

    /// Where it will be.
    pub fn path(&self) -> &ObjectPath {
        &self.path
    }

    pub fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(PART_BYTES - self.part.len());
        let length = self.part.len() + taken;
        if length > self.part.capacity() && length > PART_BYTES / 8 {
            // Not a small file. Growing by doubling would end beyond a part's size.
            self.part.reserve_exact(PART_BYTES - self.part.len());
        }
        self.part.extend_from_slice(&data[..taken]);
        self.written += taken as u64;
        if self.part.len() == PART_BYTES {
            self.send_part()?;
        }
        Ok(taken)
    }

    /// Makes it visible; its size in bytes.
    pub fn finish(mut self) -> StoreResult<u64> {
        if self.parts.is_none() {
            let payload = std::mem::take(&mut self.part).into();
            self.put(payload)?;
        } else {
            if !self.part.is_empty() {
                self.send_part()?;
            }
            while let Some(part) = self.on_their_way.pop_front() {
                part.wait(&self.store)??;
            }
            self.complete()?;
        }
        self.is_kept = true;
        Ok(self.written)
    }

    fn put(&self, payload: PutPayload) -> StoreResult<()> {
        let (objects, path) = (self.store.objects(), self.path.clone());
        self.store.wait(async move { objects.put(&path, payload).await }).map(drop)
    }

    fn send_part(&mut self) -> StoreResult<()> {
        if self.parts.is_none() {
            let (objects, path) = (self.store.objects(), self.path.clone());
            let begun = self.store.wait(async move { objects.put_multipart(&path).await })?;
            self.parts = Some(begun);
        }
        while self.on_their_way.len() >= PARTS_AHEAD {
            if let Some(part) = self.on_their_way.pop_front() {
                part.wait(&self.store)??;
            }
        }
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        if let Some(parts) = &mut self.parts {
            let sending = parts.put_part(part.into());
            self.on_their_way.push_back(self.store.begin(sending));
        }
        Ok(())
    }

    /// Puts the parts together. If that was answered by a failure, it may have been done all the same: an upload
    /// that was completed is not there to be completed again.
    fn complete(&mut self) -> StoreResult<()> {
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        let (parts, done) = self.store.wait(async move {
            let done = parts.complete().await;
            (parts, done)
        });
        let Err(failure) = done else { return Ok(()) };
        let (objects, path) = (self.store.objects(), self.path.clone());
        let found = self.store.wait(async move { objects.head(&path).await });
        if found.is_ok_and(|meta| meta.size == self.written) {
            return Ok(());
        }
        self.parts = Some(parts);
        Err(failure)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        self.on_their_way.clear();
        let (objects, path) = (self.store.objects(), self.path.clone());
        let (parts, is_listed) = (self.parts.take(), self.is_listed);
        if parts.is_none() && !is_listed {
            return;
        }
        // What cannot be taken back now goes by the bucket's rule for unfinished uploads, and by vacuum.
        self.store.wait_within(TAKE_BACK, async move {
            let abort = async {
                if let Some(mut parts) = parts {
                    log_failure(&path, parts.abort().await);
                }
            };
            let delete = async {
                if is_listed {
                    log_failure(&path, objects.delete(&path).await);
                }
            };
            join(abort, delete).await;
        });
    }
}

fn log_failure(path: &ObjectPath, result: Result<(), Error>) {
    if let Err(e) = result {
        tracing::debug!(%path, error = %e, "left an unfinished object behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStore;
    use object_store::memory::InMemory;
    use object_store::throttle::{ThrottleConfig, ThrottledStore};
    use std::io::Write;
    use std::sync::Arc;

    fn begin(draft: Draft) -> (Arc<InMemory>, ObjectPath, super::super::NewObject) {
        let objects = Arc::new(InMemory::new());
        let (path, upload) = begin_in(objects.clone(), draft);
        (objects, path, upload)
    }

    fn begin_in(
        objects: Arc<dyn ObjectStore>,
        draft: Draft,
    ) -> (ObjectPath, super::super::NewObject) {
        let store = Store::new(objects).unwrap();
        let path = ObjectPath::from("pipe=a/x.parquet");
        let upload = Upload::begin(store, path.clone(), draft).unwrap();
        (path, super::super::NewObject::Object(upload))
    }

    fn content(objects: &Arc<impl ObjectStore>, path: &ObjectPath) -> Option<Vec<u8>> {
        let (objects, path) = (objects.clone(), path.clone());
        crate::runtime::handle().unwrap().block_on(async move {
            match objects.get(&path).await {
                Ok(found) => Some(found.bytes().await.unwrap().to_vec()),
                Err(_) => None,
            }
        })
    }

    #[test]
    fn what_was_written_is_what_is_there_whatever_its_size() {
        for size in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES + 17] {
            let (objects, path, mut upload) = begin(Draft::Unlisted);
            let data: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            for piece in data.chunks(999_983) {
                upload.write_all(piece).unwrap();
            }
            assert_eq!(content(&objects, &path), None, "not before it is finished");
            assert_eq!(upload.finish().unwrap(), size as u64);
            assert!(content(&objects, &path).is_some_and(|found| found == data), "{size} bytes");
        }
    }

    #[test]
    fn a_listed_draft_is_empty_and_goes_with_the_value() {
        let slow = ThrottleConfig {
            wait_delete_per_call: Duration::from_millis(200),
            ..ThrottleConfig::default()
        };
        let objects = Arc::new(ThrottledStore::new(InMemory::new(), slow));
        let (path, mut upload) = begin_in(objects.clone(), Draft::Listed);
        assert_eq!(content(&objects, &path), Some(Vec::new()));
        upload.write_all(&vec![1; 3 * PART_BYTES]).unwrap();
        assert_eq!(content(&objects, &path), Some(Vec::new()));
        // The process may end now.
        drop(upload);
        assert_eq!(content(&objects, &path), None, "the draft stays");
    }

    #[test]
    fn memory_is_bounded_by_the_parts_on_their_way() {
        let (_, _, mut upload) = begin(Draft::Unlisted);
        upload.write_all(&vec![1; 9 * PART_BYTES]).unwrap();
        let super::super::NewObject::Object(upload) = &upload else { panic!("it is an upload") };
        assert!(upload.on_their_way.len() <= PARTS_AHEAD);
        assert!(upload.part.capacity() <= PART_BYTES);
    }
}
