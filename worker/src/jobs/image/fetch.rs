//! One conditional GET of a picture, and what its failures mean: for the picture, and for its host.

use super::ImageDeps;
use super::facts::Validators;
use crate::room::{Place, Room};
use bytes::Bytes;
use feedfleet_http::{FetchError, FetchErrorKind, Limits, Phase, Request, Response, StatusCode};
use std::time::Duration;

/// The time for a whole picture, redirects included.
const TOTAL_TIME: Duration = Duration::from_secs(60);
/// The time to the head of a response.
const FIRST_BYTE: Duration = Duration::from_secs(20);
/// The longest wait for more of a body.
const IDLE: Duration = Duration::from_secs(15);
/// Buffers that grow are copied.
const COPIES: u64 = 2;
/// What is asked for: servers that choose a format by this header choose one that is mirrored.
const ACCEPT: &str = "image/jpeg,image/png,image/webp,image/gif;q=0.9,*/*;q=0.1";

/// What came.
pub(super) enum Fetched {
    /// The source says that the state named by the validators is current.
    NotModified,
    /// A body.
    Body(Body),
}

/// A picture as the source sent it.
pub(super) struct Body {
    /// The bytes, whatever they are.
    pub(super) bytes: Bytes,
    /// What the source calls this state.
    pub(super) validators: Validators,
    /// The memory it takes.
    pub(super) _place: Place,
}

/// Waits until there is memory for a picture of this size in this process. While one is read it may be there
/// twice.
pub(super) async fn place(transfers: &Room, size_bytes: u64) -> Place {
    transfers.take(size_bytes.saturating_mul(COPIES)).await
}

/// Why there is no new state of a picture.
#[derive(Debug)]
pub(super) struct Failure {
    /// What happened.
    pub(super) message: String,
    /// Whether asking again later may help.
    pub(super) retry: bool,
    /// What it says of the host.
    pub(super) host: HostTrouble,
}

/// What a failure says of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostTrouble {
    /// Nothing: it concerns the picture.
    None,
    /// The host asks to be left alone.
    Busy {
        /// For how long, if it says so.
        retry_after: Option<Duration>,
    },
    /// The host can't be reached, or doesn't answer.
    Unreachable,
}

impl Failure {
    /// A failure that another try would meet again.
    pub(super) fn lasting(message: impl Into<String>) -> Self {
        Failure { message: message.into(), retry: false, host: HostTrouble::None }
    }

    /// A failure that may be gone later.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Failure { message: message.into(), retry: true, host: HostTrouble::None }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let host = match &error.kind {
            FetchErrorKind::Dns { .. }
            | FetchErrorKind::Connect { .. }
            | FetchErrorKind::Tls { .. }
            | FetchErrorKind::TimedOut(Phase::Connect | Phase::FirstByte) => {
                HostTrouble::Unreachable
            }
            _ => HostTrouble::None,
        };
        let message = match &error.kind {
            FetchErrorKind::Refused(reason) => reason.to_string(),
            kind => kind.to_string(),
        };
        // A certificate that has run out is renewed, and a worker's clock may be wrong.
        let retry = error.is_retryable() || matches!(error.kind, FetchErrorKind::Tls { .. });
        Failure { message, retry, host }
    }
}

/// Fetches a picture, with conditions where there are validators. Waits for a place at the host first.
///
/// # Errors
///
/// The guard refused the URL, the exchange failed, a limit was reached, or the status is neither 2xx nor
/// an expected 304.
pub(super) async fn fetch(
    deps: &ImageDeps,
    host: &str,
    url: &str,
    validators: Validators,
    max_bytes: u64,
) -> Result<Fetched, Failure> {
    let is_conditional = validators != Validators::default();
    // What would never find room is refused, whatever the pipe allows.
    let max_bytes = max_bytes.min(deps.transfers.bytes() / COPIES);
    let limits = Limits {
        max_bytes,
        total_time: TOTAL_TIME,
        first_byte: FIRST_BYTE,
        idle: IDLE,
        ..Limits::default()
    };
    let mut request = Request::new(url, limits);
    request.headers.push(("Accept".to_owned(), ACCEPT.to_owned()));
    request.etag = validators.etag;
    request.last_modified = validators.last_modified;

    let _place = deps.gate.acquire(host).await;
    let mut response = deps.http.get(request).await?;
    if response.status() == StatusCode::NOT_MODIFIED && is_conditional {
        return Ok(Fetched::NotModified);
    }
    if !response.status().is_success() {
        return Err(refused(&response));
    }
    let announced = response.content_length().unwrap_or(max_bytes).min(max_bytes);
    let place = place(&deps.transfers, announced).await;
    let bytes = response.bytes().await?;
    let validators = Validators {
        etag: response.etag().map(str::to_owned),
        last_modified: response.last_modified().map(str::to_owned),
    };
    Ok(Fetched::Body(Body { bytes, validators, _place: place }))
}

fn refused(response: &Response) -> Failure {
    let status = response.status();
    let retry_after = response.retry_after();
    let is_busy = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some());
    let is_passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    Failure {
        message: format!("the source answered {status}"),
        retry: is_passing,
        host: if is_busy { HostTrouble::Busy { retry_after } } else { HostTrouble::None },
    }
}
