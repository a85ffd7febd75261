//! A response: its head, and its body under the limits of the request.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, AsHeaderName, HeaderMap};
use reqwest::{StatusCode, Version};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::error::{FetchError, FetchErrorKind, Phase};
use crate::limits::{Limits, time_after};
use crate::redact::redacted;
use crate::redirect::location;
use crate::retry_after::parse_retry_after;

#[cfg(test)]
mod tests;

/// The most that is set aside for a body before its bytes are there.
const MAX_RESERVE_BYTES: u64 = 1 << 20;

/// The answer to a request. Read the body with [`chunk`](Response::chunk) or
/// [`bytes`](Response::bytes); dropping the response gives up the rest of it.
pub struct Response {
    inner: reqwest::Response,
    url: Url,
    redirects: Vec<Url>,
    content_length: Option<u64>,
    body: Body,
}

/// How far the body has been read.
struct Body {
    limits: Limits,
    deadline: Instant,
    /// The bytes there must be, if the response announced them.
    expected: Option<u64>,
    received: u64,
    /// Bytes, and waiting time, since the speed was last judged.
    window_bytes: u64,
    window_wait: Duration,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Complete,
    Failed,
}

/// The part of a resource that a response with status 206 carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The position of the first byte.
    pub start: u64,
    /// The position of the last byte.
    pub end: u64,
    /// The size of the whole resource in bytes, if the server knows it.
    pub total: Option<u64>,
}

impl Response {
    pub(crate) fn open(
        inner: reqwest::Response,
        url: Url,
        redirects: Vec<Url>,
        range_start: Option<u64>,
        limits: Limits,
        deadline: Instant,
    ) -> Result<Self, FetchError> {
        let content_length = inner.content_length();
        let mut expected = content_length;
        if inner.status() == StatusCode::PARTIAL_CONTENT {
            let range = text(inner.headers(), header::CONTENT_RANGE).and_then(parse_content_range);
            let Some(range) = range.filter(|range| Some(range.start) == range_start) else {
                let what = "the server answered with a range that was not asked for";
                return Err(FetchError::new(&url, FetchErrorKind::Other(what)));
            };
            // All of the rest was asked for. A server may send less, which must not pass for the
            // end of the resource.
            expected = range.total.map(|total| total.saturating_sub(range.start)).or(expected);
        }
        if inner.status().is_success() && expected.is_some_and(|bytes| bytes > limits.max_bytes) {
            let limit_bytes = limits.max_bytes;
            return Err(FetchError::new(&url, FetchErrorKind::TooLarge { limit_bytes }));
        }
        let body = Body {
            limits,
            deadline,
            expected,
            received: 0,
            window_bytes: 0,
            window_wait: Duration::ZERO,
            state: State::Open,
        };
        Ok(Response { inner, url, redirects, content_length, body })
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The URLs that redirected, in order; the one that answered is not among them. They may carry secrets
    /// in their queries: log them with [`redacted`].
    pub fn redirects(&self) -> &[Url] {
        &self.redirects
    }

    /// Where a redirect that was not followed leads, as the server wrote it: it may be relative, and
    /// no guard has looked at it.
    pub fn redirect_target(&self) -> Option<String> {
        location(self.inner.status(), self.inner.headers())
    }

    /// A header's value, if it is there and is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        text(self.inner.headers(), name)
    }

    /// The entity tag, quotes included.
    pub fn etag(&self) -> Option<&str> {
        text(self.inner.headers(), header::ETAG)
    }

    /// The `Last-Modified` date, as the server wrote it.
    pub fn last_modified(&self) -> Option<&str> {
        text(self.inner.headers(), header::LAST_MODIFIED)
    }

    /// Whether the rest of the body can be asked for later without mixing it with another version:
    /// there is a strong entity tag or, where there is none at all, a `Last-Modified` at least a
    /// second before the response's own date (RFC 9110, 8.8.2.2).
    pub fn is_resumable(&self) -> bool {
        if let Some(etag) = self.etag() {
            return !etag.starts_with("W/");
        }
        let date = |name| httpdate::parse_http_date(text(self.inner.headers(), name)?).ok();
        match (date(header::LAST_MODIFIED), date(header::DATE)) {
            (Some(modified), Some(sent)) => {
                sent.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1))
            }
            _ => false,
        }
    }

    /// The `Content-Type`, parameters included.
    pub fn content_type(&self) -> Option<&str> {
        text(self.inner.headers(), header::CONTENT_TYPE)
    }

    /// The `Content-Encoding`. Undoing it is the caller's part.
    pub fn content_encoding(&self) -> Option<&str> {
        text(self.inner.headers(), header::CONTENT_ENCODING)
    }

    /// The body's length in bytes, if the response announced it. 0 where there can be no body, as
    /// with status 304.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The part of the resource that this body is, if the status is 206.
    pub fn content_range(&self) -> Option<ContentRange> {
        text(self.inner.headers(), header::CONTENT_RANGE).and_then(parse_content_range)
    }

    /// Whether the body's end is marked, so that a body that stops early is known to have. `false`
    /// where only the connection's close ends it (HTTP/1 with neither length nor chunks).
    pub fn has_marked_end(&self) -> bool {
        let chunked = text(self.inner.headers(), header::TRANSFER_ENCODING)
            .is_some_and(|value| value.to_ascii_lowercase().trim_end().ends_with("chunked"));
        self.content_length.is_some() || chunked || self.inner.version() >= Version::HTTP_2
    }

    /// How long the server asks to be left alone. A date is compared with the server's own clock
    /// where it tells it, so that neither clock needs to be right. Cap it before use.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = text(self.inner.headers(), header::RETRY_AFTER)?;
        let server_now = text(self.inner.headers(), header::DATE)
            .and_then(|date| httpdate::parse_http_date(date).ok());
        parse_retry_after(value, server_now.unwrap_or_else(SystemTime::now))
    }

    /// The next bytes of the body; `None` at its end. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// The body breaks a limit, stops before the length it announced, or the connection fails.
    /// After an error there is no more of the body.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        match self.body.state {
            State::Open => {}
            State::Complete => return Ok(None),
            State::Failed => {
                let what = "the body failed earlier";
                return Err(FetchError::new(&self.url, FetchErrorKind::Other(what)));
            }
        }
        let read = self.read().await;
        match &read {
            Ok(Some(_)) => {}
            Ok(None) => self.body.state = State::Complete,
            Err(_) => self.body.state = State::Failed,
        }
        read
    }

    /// The whole rest of the body.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Response::chunk).
    pub async fn bytes(&mut self) -> Result<Bytes, FetchError> {
        let reserve = self.content_length.unwrap_or(0).min(MAX_RESERVE_BYTES);
        let mut whole = BytesMut::with_capacity(reserve as usize);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    async fn read(&mut self) -> Result<Option<Bytes>, FetchError> {
        let start = Instant::now();
        // A body that always has bytes ready would never let the timer fire.
        if start >= self.body.deadline {
            return Err(self.failed(FetchErrorKind::TimedOut(Phase::Total)));
        }
        let idle_at = time_after(start, self.body.limits.idle);
        let (until, phase) = if self.body.deadline <= idle_at {
            (self.body.deadline, Phase::Total)
        } else {
            (idle_at, Phase::Idle)
        };
        match timeout_at(until, self.inner.chunk()).await {
            Err(_) => Err(self.failed(FetchErrorKind::TimedOut(phase))),
            Ok(Err(error)) => {
                let Body { expected, received, .. } = self.body;
                Err(FetchError::in_body(&self.url, error, expected, received))
            }
            Ok(Ok(chunk)) => {
                let counted = self.body.count(chunk.as_deref(), start.elapsed());
                counted.map_err(|kind| self.failed(kind))?;
                Ok(chunk)
            }
        }
    }

    fn failed(&self, kind: FetchErrorKind) -> FetchError {
        FetchError::new(&self.url, kind)
    }
}

impl Body {
    /// Takes note of a chunk (`None` is the end) that took `wait` to come.
    fn count(&mut self, chunk: Option<&[u8]>, wait: Duration) -> Result<(), FetchErrorKind> {
        let Some(chunk) = chunk else {
            return match self.expected {
                Some(expected) if self.received < expected => Err(FetchErrorKind::Truncated {
                    expected_bytes: self.expected,
                    got_bytes: self.received,
                }),
                _ => Ok(()),
            };
        };
        let bytes = chunk.len() as u64;
        self.received += bytes;
        if self.received > self.limits.max_bytes {
            return Err(FetchErrorKind::TooLarge { limit_bytes: self.limits.max_bytes });
        }
        if self.expected.is_some_and(|expected| self.received > expected) {
            return Err(FetchErrorKind::Other("the body is longer than it was announced"));
        }
        self.window_bytes += bytes;
        self.window_wait += wait;
        let is_complete = self.expected.is_some_and(|expected| self.received >= expected);
        if self.window_wait >= self.limits.rate_window && !is_complete {
            let min_bytes_per_sec = self.limits.min_bytes_per_sec;
            let least = min_bytes_per_sec as f64 * self.window_wait.as_secs_f64();
            if (self.window_bytes as f64) < least {
                return Err(FetchErrorKind::TooSlow { min_bytes_per_sec });
            }
            self.window_bytes = 0;
            self.window_wait = Duration::ZERO;
        }
        Ok(())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.inner.status())
            .field("url", &redacted(&self.url))
            .field("content_length", &self.content_length)
            .field("received", &self.body.received)
            .finish_non_exhaustive()
    }
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Reads `bytes 5-9/10` or `bytes 5-9/*`.
fn parse_content_range(value: &str) -> Option<ContentRange> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.trim().split_once('-')?;
    let (start, end) = (start.parse().ok()?, end.parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let is_sane = start <= end && total.is_none_or(|total| end < total);
    is_sane.then_some(ContentRange { start, end, total })
}
