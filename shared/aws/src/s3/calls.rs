//! One call to S3 each, with its time-outs, and without a second try.

use super::failure::{is_no_object, is_not_found};
use super::{S3Objects, WRITE};
use crate::AwsError;
use crate::client::timeouts;
use crate::error::chain;
use aws_sdk_s3::Config;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::{Attributes, Expected, Object, Version};
use std::time::Duration;

/// What S3 calls its calls.
pub(super) const GET: &str = "GetObject";
const HEAD: &str = "HeadObject";
const PUT: &str = "PutObject";

/// A call that carries next to nothing has an answer by then.
const CALL: Duration = Duration::from_secs(10);
/// A call that carries more is given this much longer for each MiB: a connection that is slower than that is
/// better begun anew.
const A_MIB: Duration = Duration::from_secs(4);
/// A body of which nothing came for so long is broken.
pub(super) const SILENCE: Duration = Duration::from_secs(15);

/// The time-outs of a call that sends so many bytes. There is one attempt a call: tries are ours.
pub(super) fn within(bytes: usize) -> Builder {
    let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    Config::builder().timeout_config(timeouts(CALL + A_MIB.saturating_mul(mib)))
}

/// What makes one write of an object another than the rest.
pub(super) struct Write<'a> {
    pub(super) attributes: &'a Attributes,
    /// What must be there; none: whatever there is.
    pub(super) expected: Option<&'a Expected>,
    /// A name of its own, by which the object tells whose it is; none: it does not matter.
    pub(super) id: Option<&'a str>,
}

impl S3Objects {
    /// PutObject. The SDK adds a CRC-32 of the bytes, and S3 refuses others.
    pub(super) async fn put_once(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        write: &Write<'_>,
    ) -> Result<Version, AwsError> {
        let limits = within(bytes.len());
        let mut request = self
            .client
            .put_object()
            .bucket(self.bucket())
            .key(self.name_of(key))
            .content_type(write.attributes.content_type)
            .cache_control(write.attributes.cache_control)
            .body(ByteStream::from(bytes));
        for (name, value) in &write.attributes.metadata {
            request = request.metadata(*name, value);
        }
        if let Some(id) = write.id {
            request = request.metadata(WRITE, id);
        }
        match write.expected {
            None => {}
            Some(Expected::Absent) => request = request.if_none_match("*"),
            Some(Expected::Version(Version(tag))) => request = request.if_match(tag),
        }
        let written = request.customize().config_override(limits).send().await;
        let written = written.map_err(|e| AwsError::of(PUT, &e))?;
        version(PUT, written.e_tag())
    }

    /// GetObject, of the bytes from `from` on; of the state that has this tag, if one is given. None: there is
    /// no such object.
    pub(super) async fn get_once(
        &self,
        key: &ObjectKey,
        from: u64,
        tag: Option<&str>,
    ) -> Result<Option<GetObjectOutput>, AwsError> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let request = self
            .client
            .get_object()
            .bucket(self.bucket())
            .key(self.name_of(key))
            .set_range(range)
            .set_if_match(tag.map(ToOwned::to_owned));
        let found = request.customize().config_override(within(0)).send().await;
        match found.map_err(|e| AwsError::of(GET, &e)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_no_object(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GetObject, with the whole body. The SDK checks it against the checksum that S3 keeps.
    pub(super) async fn read_once(&self, key: &ObjectKey) -> Result<Option<Object>, AwsError> {
        let Some(found) = self.get_once(key, 0, None).await? else { return Ok(None) };
        let version = version(GET, found.e_tag())?;
        let length = length(GET, found.content_length())?;
        let bytes = whole(found.body, length).await?;
        Ok(Some(Object { bytes, version }))
    }

    /// The version of an object if this write made it: it may have, although no answer came. None: it was
    /// another, or the object has gone.
    pub(super) async fn written_by(
        &self,
        key: &ObjectKey,
        id: &str,
    ) -> Result<Option<Version>, AwsError> {
        let request = self.client.head_object().bucket(self.bucket()).key(self.name_of(key));
        let found = request.customize().config_override(within(0)).send().await;
        let found = match found.map_err(|e| AwsError::of(HEAD, &e)) {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let by = found.metadata().and_then(|metadata| metadata.get(WRITE));
        if by.is_some_and(|by| by == id) {
            version(HEAD, found.e_tag()).map(Some)
        } else {
            Ok(None)
        }
    }

    /// DeleteObject, which succeeds where there is nothing.
    pub(super) async fn delete_once(&self, key: &ObjectKey) -> Result<(), AwsError> {
        let request = self.client.delete_object().bucket(self.bucket()).key(self.name_of(key));
        let deleted = request.customize().config_override(within(0)).send().await;
        deleted.map(drop).map_err(|e| AwsError::of("DeleteObject", &e))
    }
}

/// A state is named by its entity tag.
fn version(call: &'static str, tag: Option<&str>) -> Result<Version, AwsError> {
    let tag = tag.ok_or_else(|| AwsError::strange_answer(call, "it names no entity tag"))?;
    Ok(Version(tag.to_owned()))
}

/// The length that an answer promises.
pub(super) fn length(call: &'static str, length: Option<i64>) -> Result<u64, AwsError> {
    let length = length.and_then(|length| u64::try_from(length).ok());
    length.ok_or_else(|| AwsError::strange_answer(call, "it does not tell a length"))
}

/// A body that must have so many bytes.
async fn whole(mut body: ByteStream, length: u64) -> Result<Bytes, AwsError> {
    let mut bytes = Vec::new();
    let expected = usize::try_from(length).unwrap_or(usize::MAX);
    // Asking again does not help.
    let too_large = |e| AwsError::never_sent(GET, format!("no memory for {length} bytes: {e}"));
    bytes.try_reserve_exact(expected).map_err(too_large)?;
    while let Some(piece) = next_piece(&mut body).await? {
        if piece.len() > expected - bytes.len() {
            let more = format!("more came than the {length} bytes promised");
            return Err(AwsError::strange_answer(GET, more));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.len() < expected {
        let less = format!("{} of {length} bytes came", bytes.len());
        return Err(AwsError::strange_answer(GET, less));
    }
    Ok(bytes.into())
}

/// The next bytes of a body; none at its end, once its checksum was found right.
pub(super) async fn next_piece(body: &mut ByteStream) -> Result<Option<Bytes>, AwsError> {
    let what = match tokio::time::timeout(SILENCE, body.next()).await {
        Ok(None) => return Ok(None),
        Ok(Some(Ok(piece))) => return Ok(Some(piece)),
        Ok(Some(Err(e))) => chain(&e),
        Err(_) => format!("nothing came for {SILENCE:?}"),
    };
    Err(AwsError::strange_answer(GET, what))
}
