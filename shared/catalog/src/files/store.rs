//! Files in an object store. Stores are asked by tasks; whoever asks here waits on a thread of its own.
//!
//! The store repeats requests that fail in passing and bounds the time of each. What is left for this crate is
//! to treat a request without an answer as one that may have been carried out.

use super::{FilePlace, Found};
use crate::error::{CatalogError, Context};
use crate::runtime;
use bytes::Bytes;
use delta_kernel_default_engine::executor::TaskExecutor;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

/// An object store, and the threads that talk to it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    executor: Arc<TokioMultiThreadExecutor>,
    threads: Handle,
}

/// Objects that are read at once.
const READS_AT_ONCE: usize = 32;

impl Store {
    pub fn new(objects: Arc<dyn ObjectStore>) -> Result<Self, CatalogError> {
        Ok(Self { objects, executor: runtime::executor()?, threads: runtime::handle()? })
    }

    /// The store itself.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    /// Waits for an answer.
    pub fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.executor.block_on(work)
    }

    /// Begins work whose result is wanted later.
    pub fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Pending<T> {
        let task = self.threads.spawn(work);
        Pending { end: EndOnDrop(task.abort_handle()), task }
    }

    /// Does work without a result, and waits so long for its end. After that it goes on, as long as the process does.
    pub fn wait_within(&self, limit: Duration, work: impl Future<Output = ()> + Send + 'static) {
        let (done, is_done) = mpsc::channel();
        self.threads.spawn(async move {
            work.await;
            done.send(()).ok();
        });
        // An error: it takes longer, or has panicked.
        is_done.recv_timeout(limit).ok();
    }

    pub fn list(&self, folder: &ObjectPath) -> Result<Vec<Found>, CatalogError> {
        let (objects, prefix) = (self.objects(), folder.clone());
        let listed = self.wait(async move { objects.list_with_delimiter(Some(&prefix)).await });
        let listed = listed.context("list", folder.as_ref())?;
        Ok(listed.objects.into_iter().map(found).collect())
    }

    pub fn list_below(&self, folder: &ObjectPath) -> Result<Vec<Found>, CatalogError> {
        let (objects, prefix) = (self.objects(), folder.clone());
        let listed = self.wait(async move {
            let mut shown = Vec::new();
            let mut all = objects.list(Some(&prefix));
            while let Some(meta) = all.try_next().await? {
                if !is_hidden(&meta.location, &prefix) {
                    shown.push(found(meta));
                }
            }
            Ok::<_, Error>(shown)
        });
        listed.context("list", folder.as_ref())
    }

    /// None for an object that is not there.
    pub fn read(&self, paths: Vec<ObjectPath>) -> Result<Vec<Option<Bytes>>, CatalogError> {
        let subject = paths.first().map(ToString::to_string).unwrap_or_default();
        let objects = self.objects();
        let read: Result<Vec<Option<Bytes>>, Error> = self.wait(async move {
            let reads = paths.into_iter().map(move |path| {
                let objects = objects.clone();
                async move {
                    match objects.get(&path).await {
                        Ok(found) => found.bytes().await.map(Some),
                        Err(Error::NotFound { .. }) => Ok(None),
                        Err(e) => Err(e),
                    }
                }
            });
            stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
        });
        read.context("read", &subject)
    }

    pub fn find(&self, path: &ObjectPath) -> Result<Option<Found>, CatalogError> {
        let (objects, wanted) = (self.objects(), path.clone());
        match self.wait(async move { objects.head(&wanted).await }) {
            Ok(meta) => Ok(Some(found(meta))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e).context("measure", path.as_ref()),
        }
    }

    pub fn remove(&self, paths: Vec<ObjectPath>) -> Result<Vec<bool>, CatalogError> {
        let subject = paths.first().map(ToString::to_string).unwrap_or_default();
        let objects = self.objects();
        let removed = self.wait(async move {
            let mut removed = Vec::with_capacity(paths.len());
            let paths = stream::iter(paths).map(Ok::<_, Error>).boxed();
            let mut deletions = objects.delete_stream(paths);
            while let Some(deletion) = deletions.next().await {
                match deletion {
                    Ok(_) => removed.push(true),
                    Err(Error::NotFound { .. }) => removed.push(false),
                    Err(e) => return Err(e),
                }
            }
            Ok(removed)
        });
        removed.context("delete", &subject)
    }
}

fn found(meta: ObjectMeta) -> Found {
    Found {
        place: FilePlace::Object(meta.location),
        bytes: meta.size,
        modified: meta.last_modified.into(),
    }
}

/// Whether a part of the path below `folder` begins with `_` or `.`.
fn is_hidden(path: &ObjectPath, folder: &ObjectPath) -> bool {
    let mut below = path.parts().skip(folder.parts_count());
    below.any(|part| part.as_ref().starts_with(['_', '.']))
}

/// Work that goes on while its result is not needed yet. It ends with the value.
pub(crate) struct Pending<T> {
    task: JoinHandle<T>,
    end: EndOnDrop,
}

impl<T: Send + 'static> Pending<T> {
    /// Waits for the result. An error: the work panicked.
    pub fn wait(self, store: &Store) -> Result<T, Error> {
        let Self { task, end } = self;
        let result = store.wait(task);
        // What has ended cannot be ended again.
        drop(end);
        Ok(result?)
    }
}

struct EndOnDrop(AbortHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_with_an_underscore_or_a_dot_are_hidden() {
        let folder = ObjectPath::from("_data/products");
        let hidden = |path: &str| is_hidden(&ObjectPath::from(path), &folder);
        assert!(!hidden("_data/products/pipe=a/run.parquet"));
        assert!(!hidden("_data/products/deletion_vector_1.bin"));
        assert!(hidden("_data/products/_delta_log/0.json"));
        assert!(hidden("_data/products/pipe=a/.tmp.parquet"));
    }
}
