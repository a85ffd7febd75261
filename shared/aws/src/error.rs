//! What can go wrong between this program and AWS, told the same way for every service.

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use thiserror::Error as ThisError;

/// Codes by which services ask for patience, say that the fault is theirs, or that what came is not what was
/// sent; or that the credentials have just run out, since the next request is signed with others. A code may
/// come with the prefix of a service's older protocol, so the end of it is compared. A request that is refused for the
/// clock's sake passes because the SDK has learnt from the refusal how far the clock is off, and signs the next one
/// by that.
const PASSING_CODES: [&str; 33] = [
    "BadDigest",
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "EC2ThrottledException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteBody",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "KmsThrottled",
    "KmsThrottledException",
    "LimitExceededException",
    "OperationAborted",
    "OverLimit",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "RequestTimeoutException",
    "ResourceContention",
    "ScalingActivityInProgress",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "XAmzContentChecksumMismatch",
];

/// Codes by which a service says that it failed itself, whatever the status: nobody knows then what it has done.
const SERVERS_FAULTS: [&str; 4] =
    ["InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable"];

/// Codes of a signature that does not fit. It is the clock, where the service's words say so too, and else the keys.
const SIGNATURE_CODES: [&str; 3] =
    ["AuthFailure", "InvalidSignatureException", "SignatureDoesNotMatch"];

/// A call to an AWS service that failed.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{call}: {what}")]
pub struct AwsError {
    call: &'static str,
    what: String,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    passing: bool,
    may_have_happened: bool,
    lacks_credentials: bool,
}

impl AwsError {
    /// What became of `call` (the API's name of it, such as `SendMessageBatch`).
    pub fn of<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (code, message) = (error.code(), error.message());
        // S3 may have begun its answer with 200 before the fault.
        let server_fault = status.is_some_and(|status| status >= 500 || status == 429)
            || code.is_some_and(is_servers_fault);
        let (passing, may_have_happened) = match error {
            SdkError::ConstructionFailure(_) => (false, false),
            // A request that this program made wrong is not better the next time.
            SdkError::DispatchFailure(failure) if failure.is_user() => (false, false),
            // No answer, or one that was cut off.
            SdkError::TimeoutError(_)
            | SdkError::DispatchFailure(_)
            | SdkError::ResponseError(_) => (true, true),
            _ => (
                server_fault || code.is_some_and(|code| is_passing_code(code, message)),
                server_fault,
            ),
        };
        let what = match error {
            SdkError::ServiceError(_) => {
                refusal(status, code, message, error.meta().extra("aws_request_id"))
            }
            _ => chain(error),
        };
        Self {
            call,
            what,
            status,
            code: code.map(str::to_owned),
            message: message.map(str::to_owned),
            passing,
            may_have_happened,
            lacks_credentials: lacks_credentials(error),
        }
    }

    /// One entry of a batch that the service refused. `sender_fault`: as the service says.
    pub fn of_entry(
        call: &'static str,
        code: &str,
        message: Option<&str>,
        sender_fault: bool,
    ) -> Self {
        Self {
            call,
            what: refusal(None, Some(code), message, None),
            status: None,
            code: Some(code.to_owned()),
            message: message.map(str::to_owned),
            passing: !sender_fault || is_passing_code(code, message),
            may_have_happened: is_servers_fault(code),
            lacks_credentials: false,
        }
    }

    /// An answer that lacks what the service's documentation promises.
    pub fn strange_answer(call: &'static str, what: impl Into<String>) -> Self {
        Self { passing: true, may_have_happened: true, ..Self::never_sent(call, what) }
    }

    /// A call that could not even be made.
    pub fn never_sent(call: &'static str, what: impl Into<String>) -> Self {
        Self {
            call,
            what: what.into(),
            status: None,
            code: None,
            message: None,
            passing: false,
            may_have_happened: false,
            lacks_credentials: false,
        }
    }

    /// The call.
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The service's code for the error.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the code is this one, or this one behind a service's prefix (`AWS.SimpleQueueService.`).
    pub fn has_code(&self, code: &str) -> bool {
        self.code().is_some_and(|own| is_code(own, code))
    }

    /// The service's words.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Whether the same call may succeed a little later.
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// Whether the call may have taken effect all the same: the answer is what went missing.
    pub fn may_have_happened(&self) -> bool {
        self.may_have_happened
    }

    /// Whether nothing was asked, as no credentials were found. Those of a machine's role may come a little later.
    pub fn lacks_credentials(&self) -> bool {
        self.lacks_credentials
    }
}

fn lacks_credentials(error: &dyn Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        let found = cause.downcast_ref::<CredentialsError>();
        if matches!(found, Some(CredentialsError::CredentialsNotLoaded(_))) {
            return true;
        }
        next = cause.source();
    }
    false
}

fn is_servers_fault(code: &str) -> bool {
    SERVERS_FAULTS.iter().any(|one| is_code(code, one))
}

fn is_passing_code(code: &str, message: Option<&str>) -> bool {
    let is_one_of = |codes: &[&str]| codes.iter().any(|one| is_code(code, one));
    is_one_of(&PASSING_CODES) || (is_one_of(&SIGNATURE_CODES) && is_of_another_time(message))
}

/// "Signature expired: 20260101T000000Z is now earlier than ...", or "Signature not yet current: ...".
fn is_of_another_time(message: Option<&str>) -> bool {
    let message = message.unwrap_or_default().to_lowercase();
    message.contains("signature expired") || message.contains("signature not yet current")
}

fn is_code(own: &str, code: &str) -> bool {
    own.strip_suffix(code).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(['.', '#']))
}

/// The text of a refusal: code, message, status, and the number under which AWS finds the request.
fn refusal(
    status: Option<u16>,
    code: Option<&str>,
    message: Option<&str>,
    request_id: Option<&str>,
) -> String {
    let mut text = code.unwrap_or("refused without a code").to_owned();
    if let Some(message) = message {
        text = format!("{text}: {message}");
    }
    let status = status.map(|status| format!("HTTP {status}"));
    let request_id = request_id.map(|id| format!("request {id}"));
    let more: Vec<String> = [status, request_id].into_iter().flatten().collect();
    if more.is_empty() { text } else { format!("{text} ({})", more.join(", ")) }
}

/// An error and its causes, on one line: the SDK's own texts say no more than "dispatch failure".
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::operation::delete_message::DeleteMessageError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::error::ErrorMetadata;

    #[test]
    fn a_time_out_passes_and_may_have_happened() {
        let error: SdkError<DeleteMessageError, HttpResponse> = SdkError::timeout_error("too slow");
        let error = AwsError::of("DeleteMessage", &error);
        assert!(error.is_passing() && error.may_have_happened());
        assert!(error.to_string().contains("too slow"), "{error}");
    }

    #[test]
    fn credentials_that_were_not_found_are_told_from_a_connection_that_failed() {
        let of = |cause: Box<dyn Error + Send + Sync>| {
            let error: SdkError<DeleteMessageError, HttpResponse> =
                SdkError::dispatch_failure(ConnectorError::other(cause, None));
            AwsError::of("DeleteMessage", &error)
        };
        let error = of(CredentialsError::not_loaded("none:\n  Environment: no").into());
        assert!(error.lacks_credentials() && !error.to_string().contains('\n'), "{error}");
        assert!(!of("the connection broke".into()).lacks_credentials());
    }

    #[test]
    fn a_refusal_lasts_unless_its_code_says_otherwise() {
        let of = |code: &str, status: u16| {
            let meta = ErrorMetadata::builder().code(code).message("no").build();
            let body = aws_smithy_types::body::SdkBody::empty();
            let status = status.try_into().unwrap();
            let raw = HttpResponse::new(status, body);
            let error: SdkError<DeleteMessageError, HttpResponse> =
                SdkError::service_error(DeleteMessageError::generic(meta), raw);
            AwsError::of("DeleteMessage", &error)
        };
        let refused = of("AccessDenied", 403);
        assert!(!refused.is_passing() && !refused.may_have_happened());
        assert_eq!(refused.to_string(), "DeleteMessage: AccessDenied: no (HTTP 403)");
        assert!(of("AWS.SimpleQueueService.RequestThrottled", 403).is_passing());
        assert!(of("Anything", 503).is_passing());
        assert!(of("Anything", 500).may_have_happened());
        assert!(!of("NotThrottling", 400).is_passing(), "only behind a dot");
        // The token of SQS, whose codes are the names of exceptions, and that of S3.
        for code in ["com.amazonaws.sqs#ExpiredTokenException", "ExpiredToken"] {
            assert!(of(code, 400).is_passing(), "{code}");
        }
        for code in ["ResourceContention", "TooManyRequestsException", "RequestTimeTooSkewed"] {
            assert!(of(code, 400).is_passing(), "{code}");
        }
    }

    #[test]
    fn a_signature_of_another_time_passes_and_one_by_other_keys_does_not() {
        let of = |code, message| AwsError::of_entry("Call", code, Some(message), true);
        let late = "Signature expired: 20260101T000000Z is now earlier than 20260101T005500Z";
        let early = "Signature not yet current: 20260101T010000Z is still later than";
        let wrong = "The request signature we calculated does not match the signature you provided";
        assert!(of("InvalidSignatureException", late).is_passing());
        assert!(of("SignatureDoesNotMatch", early).is_passing());
        assert!(!of("SignatureDoesNotMatch", wrong).is_passing());
        assert!(!of("AccessDenied", late).is_passing(), "the code is another");
    }

    #[test]
    fn an_entry_passes_if_the_fault_is_not_ours() {
        let of = |code, ours| AwsError::of_entry("DeleteMessageBatch", code, None, ours);
        assert!(of("InternalError", false).is_passing());
        assert!(of("InternalError", false).may_have_happened(), "as after a 5xx, nobody knows");
        assert!(of("RequestThrottled", true).is_passing());
        assert!(!of("RequestThrottled", true).may_have_happened());
        assert!(!of("ReceiptHandleIsInvalid", true).is_passing());
    }
}
