//! How each of AWS's protocols says that a service fails, or is asked too often.

use super::rules::Request;
use super::wire::Message;

/// The type of what S3 says.
pub(super) const XML: &str = "application/xml";

/// A failure of the service's own, with this status.
pub(super) fn failure(request: &Request, status: u16) -> Message {
    let code = if status == 503 { "ServiceUnavailable" } else { "InternalFailure" };
    let s3 = if status == 503 { "ServiceUnavailable" } else { "InternalError" };
    let reason = "We encountered an internal error. Please try again.";
    match Protocol::of(request) {
        Protocol::S3 => s3_error(status, s3, reason),
        protocol => protocol.error(status, code, reason),
    }
}

/// Too many requests.
pub(super) fn throttle(request: &Request) -> Message {
    match Protocol::of(request) {
        Protocol::S3 => s3_error(503, "SlowDown", "Please reduce your request rate."),
        Protocol::Query => Protocol::Query.error(400, "Throttling", "Rate exceeded"),
        protocol => protocol.error(400, "ThrottlingException", "Rate exceeded"),
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Json,
    Cbor,
    Query,
    S3,
}

impl Protocol {
    fn of(request: &Request) -> Self {
        if request.header("x-amz-target").is_some() {
            Self::Json
        } else if request.header("smithy-protocol").is_some() {
            Self::Cbor
        } else if request.operation != request.method {
            Self::Query
        } else {
            Self::S3
        }
    }

    fn error(self, status: u16, code: &str, reason: &str) -> Message {
        match self {
            Self::Json => {
                let body =
                    format!(r#"{{"__type":"com.amazon.coral#{code}","message":"{reason}"}}"#);
                Message::reply(status, "application/x-amz-json-1.0", &[], body)
            }
            Self::Cbor => {
                // A map of two texts.
                let mut body = vec![0xa2];
                for text in ["__type", code, "message", reason] {
                    cbor_text(&mut body, text);
                }
                let protocol = [("smithy-protocol", "rpc-v2-cbor")];
                Message::reply(status, "application/cbor", &protocol, body)
            }
            Self::Query => {
                let body = format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
                     <Message>{reason}</Message></Error><RequestId>test</RequestId></ErrorResponse>"
                );
                Message::reply(status, "text/xml", &[], body)
            }
            Self::S3 => s3_error(status, code, reason),
        }
    }
}

fn s3_error(status: u16, code: &str, reason: &str) -> Message {
    Message::reply(status, XML, &[], s3_body(code, reason))
}

/// What S3 says of an error.
pub(super) fn s3_body(code: &str, reason: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
         <Message>{reason}</Message><RequestId>test</RequestId></Error>"
    )
}

/// A text of at most 255 bytes.
fn cbor_text(into: &mut Vec<u8>, text: &str) {
    let bytes = u8::try_from(text.len()).expect("the texts here are short");
    into.extend([0x78, bytes]);
    into.extend(text.as_bytes());
}
