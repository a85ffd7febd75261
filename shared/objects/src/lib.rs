//! Objects: everything that is not the table. Raw feeds, run reports, pictures, receipts, dead letters.
//!
//! [`Objects`] is the interface and its contract; [`FolderObjects`] keeps objects as files. With the feature
//! `contract-suite` the module `contract_suite` holds the checks that every backend has to pass.

mod absences;
mod attributes;
#[cfg(feature = "contract-suite")]
pub mod contract_suite;
pub mod dead_letters;
mod folder;
pub mod reports;

pub use absences::{Visit, read_absences, write_absences};
pub use attributes::Attributes;
pub use dead_letters::{DeadLetter, DeadLetters};
pub use folder::{FolderObjects, make_folder};
pub use reports::{ReportError, Reports};

use bytes::Bytes;
use feedfleet_model::keys::ObjectKey;
use futures::stream::{self, Stream, StreamExt};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A store of named byte strings.
///
/// - Keys are made by [`feedfleet_model::keys`] only.
/// - A write is whole or absent: a reader never sees a part of it, and once a call has returned `Ok` the
///   object survives a power cut.
/// - [`Version`]s decide races: of several conditional writers that saw the same version, one succeeds.
/// - Errors say which key, and whether trying again may help.
#[async_trait::async_trait]
pub trait Objects: Send + Sync + 'static {
    /// The object's bytes and version; none where there is no such object.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, ObjectError>;

    /// Writes the object, whatever was there, with the attributes that follow from its key.
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<Version, ObjectError> {
        self.put_with(key, bytes, &Attributes::of(key)).await
    }

    /// As [`Objects::put`], with these attributes. A store that is not read over HTTP may leave them out.
    async fn put_with(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        attributes: &Attributes,
    ) -> Result<Version, ObjectError>;

    /// Writes the object if its present state is `expected`; otherwise [`PutOutcome::Lost`], and nothing
    /// is written.
    ///
    /// [`PutOutcome::Written`] is never wrong. `Lost` is wrong in one case, on a store across a network: the
    /// store wrote, its reply was lost, and somebody else replaced the object before the store was asked
    /// again. What the caller wrote was there for a while then.
    async fn put_if(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<PutOutcome, ObjectError>;

    /// Removes the object. Removing what is not there is no error.
    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError>;

    /// Objects whose key begins with `prefix`, in key order, beginning after `after`; `limit` at most.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError>;

    /// Discards what writers that are gone left unfinished, such as a temporary file or half an upload, if it
    /// was last written before `before`. How many there were. What is visible as an object is left alone.
    async fn discard_unfinished(&self, before: SystemTime) -> Result<u64, ObjectError>;

    /// Begins a large object. Nothing is visible before [`Upload::finish`]; dropping the upload discards
    /// it. Blocking: for use on a thread of its own.
    fn upload(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, ObjectError>;

    /// Opens a large object for reading from its start; none where there is no such object. Blocking. A read that
    /// fails as [`InvalidData`](std::io::ErrorKind::InvalidData) says that the object is damaged; a store that fails
    /// says neither that nor [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof).
    fn open(&self, key: &ObjectKey) -> Result<Option<Box<dyn Read + Send>>, ObjectError>;

    /// An address under which people can read the object with a browser or `curl`, without credentials, for
    /// about so long. Whoever has it can read the object: it is for an operator's eyes, never for a log.
    ///
    /// It is made without looking: the object need not be there. A store in a folder gives the file's path,
    /// which does not run out.
    async fn link(&self, key: &ObjectKey, valid_for: Duration) -> Result<String, ObjectError>;

    /// Where the store is, for people.
    fn location(&self) -> String;
}

/// A large object on its way in.
pub trait Upload: Write + Send {
    /// Makes the object visible and durable; its size in bytes.
    fn finish(self: Box<Self>) -> Result<u64, ObjectError>;
}

/// An object's content.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its version, for a conditional write.
    pub version: Version,
}

/// Names one state of an object. Two states of equal bytes may share a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// What a conditional write expects to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// No object.
    Absent,
    /// The object in this state.
    Version(Version),
}

/// How a conditional write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// Written.
    Written(Version),
    /// Something else was there.
    Lost,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: ObjectKey,
    /// Size in bytes.
    pub size_bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// Requests of one question that are under way at the same time: a bucket takes its time for each.
pub const READS_AT_ONCE: usize = 32;

/// Gets many objects, so many of them at the same time; in the order of `keys`.
pub fn get_all(
    objects: &Arc<dyn Objects>,
    keys: impl IntoIterator<Item = ObjectKey>,
    at_once: usize,
) -> impl Stream<Item = (ObjectKey, Result<Option<Object>, ObjectError>)> {
    let gets: Vec<_> = keys.into_iter().map(|key| get_with_key(objects.clone(), key)).collect();
    stream::iter(gets).buffered(at_once)
}

async fn get_with_key(
    objects: Arc<dyn Objects>,
    key: ObjectKey,
) -> (ObjectKey, Result<Option<Object>, ObjectError>) {
    let object = objects.get(&key).await;
    (key, object)
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}'{subject}': {source}", noun(.subject))]
pub struct ObjectError {
    /// What was tried.
    pub action: &'static str,
    /// The key, or the store's place.
    pub subject: String,
    /// What the system said.
    pub source: std::io::Error,
}

/// What a subject is called; one that shows what it is, nothing.
fn noun(subject: &str) -> &'static str {
    let is_place = subject.ends_with('/') || subject.contains("://");
    if is_place { "" } else { "object " }
}

impl ObjectError {
    /// A conditional write lost to others again and again.
    pub fn contended(key: &ObjectKey) -> Self {
        let source = std::io::Error::other("it is being changed by others all the time");
        Self { action: "update", subject: key.to_string(), source }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        use std::io::ErrorKind as Kind;
        !matches!(
            self.source.kind(),
            Kind::PermissionDenied | Kind::InvalidInput | Kind::Unsupported
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_called_one() {
        let told = |subject: &str| {
            let source = std::io::Error::other("no");
            ObjectError { action: "read", subject: subject.to_owned(), source }.to_string()
        };
        assert_eq!(told("reports/acme/1.json"), "could not read object 'reports/acme/1.json': no");
        assert_eq!(told("reports/"), "could not read 'reports/': no");
        assert_eq!(told("s3://shop"), "could not read 's3://shop': no");
    }
}
