//! Objects on S3, each below one prefix of one bucket.
//!
//! Retries are chosen verb by verb, in [`S3Objects`]; the SDK makes none of its own. Every call has its
//! time-outs, every body its length and its checksum (CRC-32, over the whole object also where it was sent in
//! parts), which S3 checks on the way in and the SDK on the way out.

mod calls;
mod checkup;
mod failure;
mod reader;
mod runtime;
mod source;
mod unfinished;
mod upload;

use crate::client::http_client;
use crate::{Aws, AwsError, Retries};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::DateTime;
use bytes::Bytes;
use calls::{GET, Write, within};
use failure::{RETRIES, is_unmet_condition, object_error};
use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::{
    Attributes, Expected, Listed, Object, ObjectError, Objects, PutOutcome, Upload, Version,
};
use reader::S3Reader;
pub use source::{AtHand, SourceObject};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use upload::S3Upload;
use uuid::Uuid;

/// Where an object tells which write made it: `x-amz-meta-feedfleet-write`.
const WRITE: &str = "feedfleet-write";
const LIST: &str = "ListObjectsV2";
/// The most that S3 lists at once.
const PAGE: usize = 1_000;
/// S3 accepts no presigned link for longer.
const LONGEST_LINK: Duration = Duration::from_secs(7 * 86_400);

/// Objects below a prefix of a bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct S3Objects {
    client: Client,
    /// For uploads and readers, which wait on threads of their own.
    streams: Client,
    retries: Retries,
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    bucket: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
}

impl Aws {
    /// What a client of S3 is made from. What stands in for S3 is told the bucket in the path: its host's name
    /// has none of buckets.
    fn s3(&self) -> Builder {
        Builder::from(self.config()).force_path_style(self.s3_endpoint().is_some())
    }
}

impl S3Objects {
    /// The objects below this prefix, such as `fleet/objects`; empty: of the whole bucket. Asks nothing of S3.
    pub fn open(aws: &Aws, bucket: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let place = Place { bucket: bucket.to_owned(), prefix: format!("{prefix}{slash}") };
        Self {
            client: Client::from_conf(aws.s3().build()),
            streams: Client::from_conf(aws.s3().http_client(http_client()).build()),
            retries: RETRIES,
            place: Arc::new(place),
        }
    }

    /// The same store, for one who wants to know at once what is wrong: the first error stands.
    #[must_use]
    pub fn impatient(&self) -> Self {
        Self { retries: Retries::NONE, ..self.clone() }
    }

    /// The same store, over connections that are worked by the threads of [`runtime`].
    fn streaming(&self) -> Self {
        Self { client: self.streams.clone(), ..self.clone() }
    }

    /// Makes a call, and again while its errors are passing, for a bounded time. Whether a second time does harm
    /// is for the caller to see to.
    async fn tried<T, F: Future<Output = Result<T, AwsError>>>(
        &self,
        action: &'static str,
        subject: &str,
        call: impl FnMut() -> F,
    ) -> Result<T, ObjectError> {
        self.retries.run(call).await.map_err(|e| object_error(action, subject, e))
    }

    fn bucket(&self) -> &str {
        &self.place.bucket
    }

    /// What S3 calls the object.
    fn name_of(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.place.prefix)
    }

    /// The object that S3 calls so; none for what no writer of the fleet wrote.
    fn key_of(&self, name: &str) -> Option<ObjectKey> {
        ObjectKey::parse(name.strip_prefix(&self.place.prefix)?)
    }

    /// One page of a listing, and where the next one begins.
    async fn page(
        &self,
        prefix: &str,
        start: &Start,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<String>), AwsError> {
        let (after, token) = match start {
            Start::Key(after) => (after.as_ref().map(|key| self.name_of(key)), None),
            Start::Page(token) => (None, Some(token.clone())),
        };
        let request = self
            .client
            .list_objects_v2()
            .bucket(self.bucket())
            .prefix(format!("{}{prefix}", self.place.prefix))
            .max_keys(limit.min(PAGE) as i32)
            .set_start_after(after)
            .set_continuation_token(token);
        let found = request.customize().config_override(within(0)).send().await;
        let found = found.map_err(|e| AwsError::of(LIST, &e))?;
        let mut listed = Vec::with_capacity(found.contents().len());
        for object in found.contents() {
            let Some(key) = object.key().and_then(|name| self.key_of(name)) else { continue };
            let size_bytes = calls::length(LIST, object.size())?;
            let modified = object.last_modified().and_then(time);
            // Without a time the object would pass for one that is old enough to go.
            let untimed = || AwsError::strange_answer(LIST, format!("'{key}' has no time"));
            let modified = modified.ok_or_else(untimed)?;
            listed.push(Listed { key, size_bytes, modified });
        }
        let more = found.is_truncated().unwrap_or(false);
        let next = found.next_continuation_token().filter(|_| more).map(ToOwned::to_owned);
        if more && next.is_none() {
            return Err(AwsError::strange_answer(LIST, "it goes on, and does not say where"));
        }
        Ok((listed, next))
    }
}

/// Where a page of a listing begins.
enum Start {
    Key(Option<ObjectKey>),
    Page(String),
}

fn time(at: &DateTime) -> Option<SystemTime> {
    SystemTime::try_from(*at).ok()
}

#[async_trait]
impl Objects for S3Objects {
    /// Tried again: reading changes nothing.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, ObjectError> {
        self.tried("read", key.as_str(), || self.read_once(key)).await
    }

    /// Tried again: the same bytes are there afterwards, however often they were sent.
    async fn put_with(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        attributes: &Attributes,
    ) -> Result<Version, ObjectError> {
        let write = Write { attributes, expected: None, id: None };
        self.tried("write", key.as_str(), || self.put_once(key, bytes.clone(), &write)).await
    }

    /// Tried again, under the same condition, also after a 409, which is no verdict. A try that meets what an
    /// earlier one wrote, whose answer did not come, finds its own name in the object.
    async fn put_if(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<PutOutcome, ObjectError> {
        let id = Uuid::new_v4().to_string();
        let attributes = Attributes::of(key);
        let write = Write { attributes: &attributes, expected: Some(&expected), id: Some(&id) };
        let may_be_done = AtomicBool::new(false);
        self.tried("write", key.as_str(), || async {
            match self.put_once(key, bytes.clone(), &write).await {
                Ok(version) => Ok(PutOutcome::Written(version)),
                Err(error) if is_unmet_condition(&error) => {
                    if !may_be_done.load(Ordering::Relaxed) {
                        return Ok(PutOutcome::Lost);
                    }
                    let own = self.written_by(key, &id).await?;
                    Ok(own.map_or(PutOutcome::Lost, PutOutcome::Written))
                }
                Err(error) => {
                    may_be_done.fetch_or(error.may_have_happened(), Ordering::Relaxed);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Tried again: what was deleted stays so. An object that somebody writes anew between two tries is deleted
    /// with it, as it would be by a delete that came a little later.
    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        self.tried("delete", key.as_str(), || self.delete_once(key)).await
    }

    /// Tried again, page by page: reading changes nothing.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError> {
        let place = format!("s3://{}/{}{prefix}", self.bucket(), self.place.prefix);
        let mut found = Vec::new();
        let mut start = Start::Key(after.cloned());
        while found.len() < limit {
            let left = limit - found.len();
            let page = self.tried("list", &place, || self.page(prefix, &start, left)).await?;
            found.extend(page.0);
            match page.1 {
                Some(next) => start = Start::Page(next),
                None => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn discard_unfinished(&self, before: SystemTime) -> Result<u64, ObjectError> {
        unfinished::discard(self, before).await
    }

    fn upload(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, ObjectError> {
        let runtime = runtime::handle().map_err(|e| failed("begin", key, e))?;
        Ok(Box::new(S3Upload::begin(self.streaming(), key.clone(), runtime)))
    }

    fn open(&self, key: &ObjectKey) -> Result<Option<Box<dyn Read + Send>>, ObjectError> {
        let runtime = runtime::handle().map_err(|e| failed("open", key, e))?;
        let reader = runtime.block_on(S3Reader::open(self.streaming(), key.clone(), runtime))?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn Read + Send>))
    }

    /// Presigned: it carries what its maker may, for a week at most, and no longer than the credentials that
    /// signed it last. An instance's last some hours.
    async fn link(&self, key: &ObjectKey, valid_for: Duration) -> Result<String, ObjectError> {
        let expiry = PresigningConfig::expires_in(valid_for.min(LONGEST_LINK));
        let expiry = expiry.map_err(|e| failed("link to", key, io::Error::other(e)))?;
        let request = self.client.get_object().bucket(self.bucket()).key(self.name_of(key));
        let signed = request.presigned(expiry).await;
        let signed =
            signed.map_err(|e| object_error("link to", key.as_str(), AwsError::of(GET, &e)))?;
        Ok(signed.uri().to_owned())
    }

    fn location(&self) -> String {
        format!("s3://{}/{}", self.bucket(), self.place.prefix.trim_end_matches('/'))
    }
}

fn failed(action: &'static str, key: &ObjectKey, source: io::Error) -> ObjectError {
    ObjectError { action, subject: key.to_string(), source }
}
