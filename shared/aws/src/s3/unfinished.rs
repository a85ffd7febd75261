//! Uploads that nobody will finish: their writers are gone.

use super::calls::within;
use super::failure::is_no_upload;
use super::{S3Objects, time};
use crate::AwsError;
use feedfleet_objects::ObjectError;
use std::time::SystemTime;

const LIST: &str = "ListMultipartUploads";

/// An upload that was begun and has not ended.
struct Unfinished {
    /// What S3 calls the object that it would become.
    name: String,
    upload: String,
    begun: SystemTime,
}

/// Aborts the uploads below the store's prefix that were begun before `before`. How many there were. One that S3
/// refuses to abort keeps no other one; the first refusal is the error, in the end.
pub(super) async fn discard(store: &S3Objects, before: SystemTime) -> Result<u64, ObjectError> {
    let mut discarded = 0;
    let mut refused = None;
    let mut from = None;
    loop {
        // Tried again: reading changes nothing.
        let list = || store.unfinished(from.as_ref());
        let page = store.tried("discard unfinished", &store.place.prefix, list).await;
        let (found, next) = page?;
        for Unfinished { name, upload, .. } in found.iter().filter(|u| u.begun < before) {
            match store.abort(name, name, upload).await {
                Ok(was_there) => discarded += u64::from(was_there),
                // The store is away: so would it be for the others.
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match next {
            Some(next) => from = Some(next),
            None => return refused.map_or(Ok(discarded), Err),
        }
    }
}

/// Where a page of the listing begins: after this object, and this of its uploads.
type After = (String, String);

impl S3Objects {
    async fn unfinished(
        &self,
        after: Option<&After>,
    ) -> Result<(Vec<Unfinished>, Option<After>), AwsError> {
        let (name, upload) = after.cloned().unzip();
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(self.bucket())
            .prefix(&self.place.prefix)
            .set_key_marker(name)
            .set_upload_id_marker(upload);
        let listed = request.customize().config_override(within(0)).send().await;
        let listed = listed.map_err(|e| AwsError::of(LIST, &e))?;
        let mut found = Vec::new();
        for entry in listed.uploads() {
            // Without a time it may be one that is under way.
            let begun = entry.initiated().and_then(time);
            let (Some(name), Some(upload), Some(begun)) = (entry.key(), entry.upload_id(), begun)
            else {
                continue;
            };
            found.push(Unfinished { name: name.to_owned(), upload: upload.to_owned(), begun });
        }
        let more = listed.is_truncated().unwrap_or(false);
        let next = listed.next_key_marker().zip(listed.next_upload_id_marker()).filter(|_| more);
        if more && next.is_none() {
            return Err(AwsError::strange_answer(LIST, "it goes on, and does not say where"));
        }
        Ok((found, next.map(|(name, upload)| (name.to_owned(), upload.to_owned()))))
    }

    /// Aborts an upload. False: it had ended already.
    pub(super) async fn abort(
        &self,
        subject: &str,
        name: &str,
        upload: &str,
    ) -> Result<bool, ObjectError> {
        // Tried again: an upload that was aborted stays so.
        let abort = || async {
            let request = self
                .client
                .abort_multipart_upload()
                .bucket(self.bucket())
                .key(name)
                .upload_id(upload);
            let sent = request.customize().config_override(within(0)).send().await;
            match sent.map_err(|e| AwsError::of("AbortMultipartUpload", &e)) {
                Ok(_) => Ok(true),
                Err(error) if is_no_upload(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.tried("abort the upload of", subject, abort).await
    }
}
