//! What an error of S3 means here, and which calls are made again.

use crate::{AwsError, Retries};
use feedfleet_objects::ObjectError;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// For every call that is made again; the reasons stand beside the calls. With the time-outs of `calls`, S3 may
/// be away for some seconds, and a job learns within a minute or two that it stays away.
pub(super) const RETRIES: Retries =
    Retries::new(5, Duration::from_millis(100), Duration::from_secs(2));

/// Whether the object was not in the state that a condition names.
pub(super) fn is_unmet_condition(error: &AwsError) -> bool {
    // The latter: a condition on the state of an object that is not there.
    error.status() == Some(412) || is_no_object(error)
}

/// Whether there is no such object, in a bucket that is there.
pub(super) fn is_no_object(error: &AwsError) -> bool {
    error.has_code("NoSuchKey")
}

/// The same, of a HEAD, whose answer has no body that could tell a missing object from a missing bucket.
pub(super) fn is_not_found(error: &AwsError) -> bool {
    error.status() == Some(404)
}

/// Whether the upload in parts has ended.
pub(super) fn is_no_upload(error: &AwsError) -> bool {
    error.has_code("NoSuchUpload")
}

/// The error in the terms of the contract.
pub(super) fn object_error(
    action: &'static str,
    subject: impl Into<String>,
    error: AwsError,
) -> ObjectError {
    ObjectError { action, subject: subject.into(), source: io::Error::new(kind(&error), error) }
}

/// What a caller may do about it: [`ObjectError::is_retryable`] goes by that.
fn kind(error: &AwsError) -> ErrorKind {
    match error.status() {
        _ if error.is_passing() => ErrorKind::Other,
        Some(401 | 403) => ErrorKind::PermissionDenied,
        Some(404) => ErrorKind::NotFound,
        Some(409 | 412) => ErrorKind::AlreadyExists,
        _ => ErrorKind::InvalidInput,
    }
}

/// An error of the store's own on its way through [`io::Read`] or [`io::Write`].
pub(super) fn into_io(error: ObjectError) -> io::Error {
    io::Error::new(error.source.kind(), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::error::{ErrorMetadata, SdkError};
    use aws_sdk_s3::operation::put_object::PutObjectError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;

    fn answered(status: u16, code: &str) -> AwsError {
        let error = PutObjectError::generic(ErrorMetadata::builder().code(code).build());
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        AwsError::of("PutObject", &SdkError::service_error(error, raw))
    }

    #[test]
    fn what_may_help_again_is_told_from_what_may_not() {
        for (status, code) in [
            (503, "SlowDown"),
            (500, "InternalError"),
            (409, "ConditionalRequestConflict"),
            (409, "OperationAborted"),
            (400, "RequestTimeout"),
            (400, "BadDigest"),
            (400, "ExpiredToken"),
        ] {
            let error = answered(status, code);
            assert!(error.is_passing(), "{error}");
            assert!(object_error("write", "a", error).is_retryable());
        }
        for (status, code) in
            [(403, "AccessDenied"), (400, "EntityTooSmall"), (301, "PermanentRedirect")]
        {
            let error = answered(status, code);
            assert!(!error.is_passing(), "{error}");
            assert!(!object_error("write", "a", error).is_retryable());
        }
    }

    #[test]
    fn a_condition_is_no_failure_and_an_unknown_bucket_is_one() {
        assert!(is_unmet_condition(&answered(412, "PreconditionFailed")));
        assert!(is_unmet_condition(&answered(404, "NoSuchKey")));
        assert!(!is_unmet_condition(&answered(404, "NoSuchBucket")));
        assert!(!is_unmet_condition(&answered(409, "ConditionalRequestConflict")));
        let error = object_error("read", "a", answered(404, "NoSuchBucket"));
        assert_eq!(error.source.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    }
}
