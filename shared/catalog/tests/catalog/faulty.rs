//! An object store in memory that does to chosen writes what networks and services do.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What becomes of a write to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Carried out; the answer is lost.
    LostReply,
    /// Carried out, its answer lost, and repeated: it meets itself.
    MetItself,
    /// Not carried out: the service fails.
    Unavailable,
    /// Not carried out: others write the same name just now.
    Conflict,
    /// Not carried out: not allowed.
    Denied,
    /// Not carried out: another's entry came first.
    Overtaken,
}

/// The store. Each fault in its list happens to one write to a log, in order.
#[derive(Debug, Default)]
pub struct Faulty {
    pub inner: InMemory,
    pub faults: Mutex<VecDeque<Fault>>,
    /// Whether whatever is read or listed fails.
    pub is_down: AtomicBool,
    reads: AtomicUsize,
}

impl Faulty {
    /// Tells what happens to the next writes.
    pub fn expect(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Whether all that was told has happened.
    pub fn is_done(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    /// Requests so far that read or listed something.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    fn read(&self) -> Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(failed("503 SlowDown")),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a faulty store")
    }
}

fn failed(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let is_entry =
            location.as_ref().contains("_delta_log/") && location.extension() == Some("json");
        let fault = if is_entry { self.faults.lock().unwrap().pop_front() } else { None };
        let path = location.to_string();
        let exists = |why: &'static str| Error::AlreadyExists { path, source: why.into() };
        match fault {
            None => self.inner.put_opts(location, payload, options).await,
            Some(Fault::LostReply) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(failed("the connection was closed"))
            }
            Some(Fault::MetItself) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(exists("412 Precondition Failed"))
            }
            Some(Fault::Overtaken) => {
                let entry = r#"{"commitInfo":{"timestamp":1,"operation":"OTHER"}}"#;
                self.inner.put_opts(location, entry.into(), options).await?;
                Err(exists("412 Precondition Failed"))
            }
            Some(Fault::Unavailable) => Err(failed("503 SlowDown")),
            Some(Fault::Conflict) => Err(exists("409 ConditionalRequestConflict")),
            Some(Fault::Denied) => {
                let path = location.to_string();
                Err(Error::PermissionDenied { path, source: "403".into() })
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read() {
            Ok(()) => self.inner.list(prefix),
            Err(e) => stream::iter([Err(e)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
