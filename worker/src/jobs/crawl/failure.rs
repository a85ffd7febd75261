//! Why a crawl did not end well, and whether trying again makes sense.

use crate::backoff;
use feedfleet_catalog::CatalogError;
use feedfleet_feed::FeedError;
use feedfleet_http::{FetchError, FetchErrorKind, StatusCode};
use feedfleet_model::{Outcome, Reason, ReasonClass};
use feedfleet_objects::{ObjectError, ReportError};
use feedfleet_queue::QueueError;
use feedfleet_remote::{RemoteError, RemoteErrorKind};
use std::time::Duration;

/// The end of a crawl that is not its success.
#[derive(Debug)]
pub(crate) enum Failure {
    Interrupted,
    /// It has worked for a slice, saved what it has, and goes on under another lease.
    Continued,
    Dead(Reason),
    Retry(Duration, Reason),
}

/// A partner's `Retry-After` is honoured up to this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

impl Failure {
    pub fn interrupted() -> Self {
        Failure::Interrupted
    }

    pub fn is_interrupted(&self) -> bool {
        matches!(self, Failure::Interrupted)
    }

    pub fn dead(class: ReasonClass, message: impl Into<String>) -> Self {
        Failure::Dead(Reason::new(class, message))
    }

    pub fn retry(class: ReasonClass, message: impl Into<String>) -> Self {
        Self::retry_after(None, class, message)
    }

    /// As [`Failure::retry`], once a partner's wait is over.
    pub fn retry_after(
        wait: Option<Duration>,
        class: ReasonClass,
        message: impl Into<String>,
    ) -> Self {
        let wait = wait.map(|wait| wait.min(LONGEST_RETRY_AFTER));
        let wait = wait.unwrap_or_else(|| backoff::after_failures(1));
        Failure::Retry(wait, Reason::new(class, message))
    }

    /// What a partner's answer other than 200 and 304 means.
    pub fn of_status(status: StatusCode, retry_after: Option<Duration>, place: &str) -> Self {
        let text = format!("{place} answered {status}");
        let passing = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT;
        if passing {
            return Failure::retry_after(retry_after, ReasonClass::SourceUnavailable, text);
        }
        let advice = match status.as_u16() {
            401 | 403 => "; check the pipe's credentials (auth or headers in [source])",
            404 | 410 => "; check the pipe's url",
            _ => "",
        };
        Failure::dead(ReasonClass::SourceRefused, format!("{text}{advice}"))
    }

    pub fn into_outcome(self) -> Outcome {
        match self {
            Failure::Interrupted => Outcome::Interrupted,
            Failure::Continued => Outcome::Continued,
            Failure::Dead(reason) => Outcome::Dead(reason),
            Failure::Retry(after, reason) => Outcome::RetryAfter(after, reason),
        }
    }
}

impl From<CatalogError> for Failure {
    fn from(e: CatalogError) -> Self {
        if e.is_retryable() {
            Failure::retry(ReasonClass::Storage, e.to_string())
        } else {
            Failure::dead(ReasonClass::Storage, e.to_string())
        }
    }
}

impl From<ReportError> for Failure {
    fn from(e: ReportError) -> Self {
        Failure::retry(ReasonClass::Storage, e.to_string())
    }
}

impl From<ObjectError> for Failure {
    fn from(e: ObjectError) -> Self {
        Failure::retry(ReasonClass::Storage, e.to_string())
    }
}

impl From<QueueError> for Failure {
    fn from(e: QueueError) -> Self {
        if e.is_retryable() {
            Failure::retry(ReasonClass::Storage, e.to_string())
        } else {
            Failure::dead(ReasonClass::Storage, e.to_string())
        }
    }
}

impl From<FetchError> for Failure {
    fn from(e: FetchError) -> Self {
        let class = match &e.kind {
            FetchErrorKind::Refused(_) => ReasonClass::AddressRefused,
            FetchErrorKind::TooLarge { .. } | FetchErrorKind::TooSlow { .. } => {
                ReasonClass::LimitExceeded
            }
            _ => ReasonClass::SourceUnavailable,
        };
        if e.is_retryable() {
            Failure::retry(class, e.to_string())
        } else {
            Failure::dead(class, e.to_string())
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(e: RemoteError) -> Self {
        let class = match &e.kind {
            RemoteErrorKind::Refused(_) => ReasonClass::AddressRefused,
            RemoteErrorKind::TooLarge { .. } | RemoteErrorKind::TooSlow { .. } => {
                ReasonClass::LimitExceeded
            }
            RemoteErrorKind::HostKey { .. }
            | RemoteErrorKind::Login(_)
            | RemoteErrorKind::NotFound(_)
            | RemoteErrorKind::Denied(_) => ReasonClass::SourceRefused,
            RemoteErrorKind::PrivateKey(_) | RemoteErrorKind::Unsupported(_) => {
                ReasonClass::Configuration
            }
            _ => ReasonClass::SourceUnavailable,
        };
        let advice = match &e.kind {
            RemoteErrorKind::Login(_) => "; check the pipe's credentials (auth in [source])",
            RemoteErrorKind::NotFound(_) => "; check the pipe's url",
            _ => "",
        };
        let text = format!("{e}{advice}");
        if e.is_retryable() { Failure::retry(class, text) } else { Failure::dead(class, text) }
    }
}

impl From<FeedError> for Failure {
    fn from(e: FeedError) -> Self {
        let text = match &e {
            FeedError::Io { source } => format!("{e}: {source}"),
            _ => e.to_string(),
        };
        match &e {
            FeedError::NotAFeed { .. } | FeedError::Unsupported { .. } => {
                Failure::dead(ReasonClass::NotAFeed, text)
            }
            FeedError::LimitExceeded { .. } => Failure::dead(ReasonClass::LimitExceeded, text),
            FeedError::WrongFields { .. }
            | FeedError::Configuration { .. }
            | FeedError::Encoding { .. } => Failure::dead(ReasonClass::Configuration, text),
            // Cut off or damaged on its way: another transfer may be whole.
            _ => Failure::retry(ReasonClass::SourceUnavailable, text),
        }
    }
}
