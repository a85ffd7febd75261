//! A large object on its way in: in parts, or in one go where it turns out to be small.

use super::calls::within;
use super::failure::{into_io, is_no_upload};
use super::{S3Objects, WRITE};
use crate::AwsError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::{Attributes, ObjectError, Objects, Upload};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::Handle;
use uuid::Uuid;

/// Bytes of a part, and what an upload has in memory. S3 wants 5 MiB or more of each but the last.
const PART_BYTES: usize = 8 << 20;
/// The most parts that S3 takes: 80 GB.
const MAX_PARTS: usize = 10_000;
/// How long the abortion of an upload is waited for.
const TAKE_BACK: Duration = Duration::from_secs(5);

const CREATE: &str = "CreateMultipartUpload";
const PART: &str = "UploadPart";

/// An upload. In S3 it has begun once a part is full and more comes.
pub(super) struct S3Upload {
    store: S3Objects,
    key: ObjectKey,
    runtime: &'static Handle,
    attributes: Attributes,
    /// A name of its own, by which the object tells that this upload made it.
    id: String,
    buffer: BytesMut,
    /// S3's name of the upload; none before the first part.
    upload: Option<String>,
    parts: Vec<CompletedPart>,
    written: u64,
}

impl S3Upload {
    pub(super) fn begin(store: S3Objects, key: ObjectKey, runtime: &'static Handle) -> Self {
        Self {
            store,
            attributes: Attributes::of(&key),
            key,
            runtime,
            id: Uuid::new_v4().to_string(),
            buffer: BytesMut::new(),
            upload: None,
            parts: Vec::new(),
            written: 0,
        }
    }

    /// Sends what is buffered as the next part.
    async fn send_part(&mut self) -> Result<(), ObjectError> {
        if self.parts.len() == MAX_PARTS {
            let why = "it has more parts than S3 takes";
            let source = io::Error::new(io::ErrorKind::FileTooLarge, why);
            return Err(ObjectError { action: "write", subject: self.key.to_string(), source });
        }
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            // Tried again: one that was begun without our knowing holds no parts, and is discarded with age.
            None => self.store.tried("begin", self.key.as_str(), || self.create()).await?,
        };
        self.upload = Some(upload.clone());
        let bytes = self.buffer.split().freeze();
        let number = self.parts.len() as i32 + 1;
        // Tried again: a part takes the place of an earlier one of its number.
        let send = || self.send_once(&upload, number, bytes.clone());
        let part = self.store.tried("write", self.key.as_str(), send).await?;
        self.parts.push(part);
        Ok(())
    }

    /// Begins the upload in S3; its name there.
    pub(super) async fn create(&self) -> Result<String, AwsError> {
        let mut request = self
            .store
            .client
            .create_multipart_upload()
            .bucket(self.store.bucket())
            .key(self.store.name_of(&self.key))
            .content_type(self.attributes.content_type)
            .cache_control(self.attributes.cache_control)
            // Of the whole object, so that readers can check it whole.
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .checksum_type(ChecksumType::FullObject)
            .metadata(WRITE, &self.id);
        for (name, value) in &self.attributes.metadata {
            request = request.metadata(*name, value);
        }
        let begun = request.customize().config_override(within(0)).send().await;
        let begun = begun.map_err(|e| AwsError::of(CREATE, &e))?;
        let upload = begun.upload_id().map(ToOwned::to_owned);
        upload.ok_or_else(|| AwsError::strange_answer(CREATE, "it names no upload"))
    }

    async fn send_once(
        &self,
        upload: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<CompletedPart, AwsError> {
        let limits = within(bytes.len());
        let request = self
            .store
            .client
            .upload_part()
            .bucket(self.store.bucket())
            .key(self.store.name_of(&self.key))
            .upload_id(upload)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(ByteStream::from(bytes));
        let sent = request.customize().config_override(limits).send().await;
        let sent = sent.map_err(|e| AwsError::of(PART, &e))?;
        let untagged = || AwsError::strange_answer(PART, "it names no entity tag");
        let tag = sent.e_tag().ok_or_else(untagged)?;
        Ok(CompletedPart::builder().part_number(number).e_tag(tag).build())
    }

    /// Makes the parts one object.
    async fn complete(&self, upload: &str) -> Result<(), ObjectError> {
        let may_be_done = AtomicBool::new(false);
        // Tried again: an upload completes once. If it is not there any more, an earlier try completed it, and
        // the object tells so. Where it tells of another write, nobody knows, and the upload is a failure.
        let complete = || async {
            match self.complete_once(upload).await {
                Err(error) if is_no_upload(&error) && may_be_done.load(Ordering::Relaxed) => {
                    let own = self.store.written_by(&self.key, &self.id).await?;
                    own.map(drop).ok_or(error)
                }
                Err(error) => {
                    may_be_done.fetch_or(error.may_have_happened(), Ordering::Relaxed);
                    Err(error)
                }
                Ok(()) => Ok(()),
            }
        };
        self.store.tried("finish", self.key.as_str(), complete).await
    }

    async fn complete_once(&self, upload: &str) -> Result<(), AwsError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts.clone())).build();
        let request = self
            .store
            .client
            .complete_multipart_upload()
            .bucket(self.store.bucket())
            .key(self.store.name_of(&self.key))
            .upload_id(upload)
            .checksum_type(ChecksumType::FullObject)
            .multipart_upload(parts);
        // S3 puts the parts together before it answers, which takes longer the more there are.
        let limits = within(self.parts.len() * (1 << 20));
        let completed = request.customize().config_override(limits).send().await;
        completed.map(drop).map_err(|e| AwsError::of("CompleteMultipartUpload", &e))
    }

    async fn finish_all(&mut self) -> Result<(), ObjectError> {
        if self.upload.is_none() {
            let bytes = self.buffer.split().freeze();
            return self.store.put_with(&self.key, bytes, &self.attributes).await.map(drop);
        }
        // A part is sent once more than it comes: there is always a last one.
        self.send_part().await?;
        let Some(upload) = self.upload.clone() else { return Ok(()) };
        self.complete(&upload).await?;
        self.upload = None;
        Ok(())
    }
}

impl Write for S3Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.buffer.len() == PART_BYTES {
            let runtime = self.runtime;
            runtime.block_on(self.send_part()).map_err(into_io)?;
        }
        let n = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..n]);
        self.written += n as u64;
        Ok(n)
    }

    /// Nothing of an upload can be seen before its end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for S3Upload {
    fn finish(mut self: Box<Self>) -> Result<u64, ObjectError> {
        let runtime = self.runtime;
        runtime.block_on(self.finish_all())?;
        Ok(self.written)
    }
}

impl Drop for S3Upload {
    /// What was begun and not finished is paid for until it is aborted. That is waited for, since the end of the process
    /// may follow. Should S3 not answer in time, it is discarded with age.
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let (store, key) = (self.store.clone(), self.key.clone());
        let (done, is_done) = mpsc::channel();
        self.runtime.spawn(async move {
            if let Err(error) = store.abort(key.as_str(), &store.name_of(&key), &upload).await {
                tracing::debug!(%error, "an unfinished upload stays until it is old enough");
            }
            done.send(()).ok();
        });
        // An error: it takes longer.
        is_done.recv_timeout(TAKE_BACK).ok();
    }
}
