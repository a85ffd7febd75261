//! What `feedfleet doctor` tries of a bucket, besides what the contract of objects has.

use super::calls::within;
use super::failure::object_error;
use super::upload::S3Upload;
use super::{S3Objects, Start, runtime};
use crate::AwsError;
use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::ObjectError;

const HEAD_BUCKET: &str = "HeadBucket";

impl S3Objects {
    /// The bucket's region; none where the store names none, as some that stand in for S3.
    ///
    /// # Errors
    /// There is no such bucket, it is in another region than is asked, or it may not be listed.
    pub async fn bucket_region(&self) -> Result<Option<String>, ObjectError> {
        let request = self.client.head_bucket().bucket(self.bucket());
        let found = request.customize().config_override(within(0)).send().await;
        let error = match found.map_err(|e| AwsError::of(HEAD_BUCKET, &e)) {
            Ok(found) => return Ok(found.bucket_region().map(ToOwned::to_owned)),
            Err(error) => error,
        };
        let bucket = format!("s3://{}", self.bucket());
        // A refusal of a HEAD has no body that could say why. That of a listing, which takes the same permission, has.
        // Where no answer came, or the service is at fault, a listing would only be waited for as well.
        if error.status().is_some() && !error.is_passing() {
            let start = Start::Key(None);
            self.tried("list", &bucket, || self.page("", &start, 1)).await?;
        }
        Err(object_error("look for", bucket, error))
    }

    /// Begins an upload in parts of this object, and aborts it: that takes permissions of its own. Nothing stays.
    ///
    /// # Errors
    /// One of the two was refused.
    pub async fn try_parts(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let begin = |e| ObjectError { action: "begin", subject: key.to_string(), source: e };
        let threads = runtime::handle().map_err(begin)?;
        let upload = S3Upload::begin(self.clone(), key.clone(), threads);
        let name = self.tried("begin", key.as_str(), || upload.create()).await?;
        self.abort(key.as_str(), &self.name_of(key), &name).await.map(drop)
    }
}
