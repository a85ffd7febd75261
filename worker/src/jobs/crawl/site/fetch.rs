//! One request of a crawl: what is asked for, and what came, within bounds. A redirect is an answer here: where it leads is
//! for the crawl to judge.

use crate::room::{Place, Room};
use bytes::Bytes;
use feedfleet_http::{Client, FetchError, Limits, Request, Response, StatusCode};
use feedfleet_site::{Answer, Outcome};
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Bytes of a page, as transferred and as text.
pub(super) const MAX_PAGE_BYTES: u64 = 10 << 20;
/// Bytes of a sitemap as transferred; the protocol allows 50 MB.
pub(super) const MAX_SITEMAP_BYTES: u64 = 64 << 20;
/// Bytes of a robots.txt; what comes after the first 512 KiB is ignored.
pub(super) const MAX_ROBOTS_BYTES: u64 = 2 << 20;
/// The time for one request.
const TOTAL_TIME: Duration = Duration::from_secs(60);
const FIRST_BYTE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(15);
/// The first bytes of gzip.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
/// A page is in memory as bytes and as text.
const COPIES: u64 = 2;

/// What is asked for.
pub(super) struct Ask<'a> {
    pub url: &'a str,
    pub accept: &'static str,
    pub max_bytes: u64,
    pub follow_redirects: bool,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// What came.
pub(super) enum Got {
    Body(Body),
    /// The page is as the validators say.
    NotModified,
    /// Where it leads, as written.
    Redirect(String),
    /// There is nothing to read.
    Ended(Outcome),
}

/// A body and what the server says of it.
pub(super) struct Body {
    pub bytes: Bytes,
    pub content_type: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// The memory it takes.
    pub _place: Place,
}

/// What came, and what it says of the host.
pub(super) struct Reply {
    pub got: Got,
    pub answer: Answer,
    /// Bytes of the body that came.
    pub bytes: u64,
    /// Why it failed, for people.
    pub why: Option<String>,
}

/// Sends a request and reads its answer. `room`: the memory that bodies share.
pub(super) async fn fetch(http: &Client, room: &Room, ask: Ask<'_>) -> Reply {
    let begun = Instant::now();
    let limits = Limits {
        max_bytes: ask.max_bytes,
        total_time: TOTAL_TIME,
        first_byte: FIRST_BYTE,
        idle: IDLE,
        ..Limits::default()
    };
    let mut request = Request::new(ask.url, limits);
    request.headers.push(("Accept".to_owned(), ask.accept.to_owned()));
    request.headers.push(("Accept-Encoding".to_owned(), "gzip".to_owned()));
    request.follow_redirects = ask.follow_redirects;
    let is_conditional = ask.etag.is_some() || ask.last_modified.is_some();
    request.etag = ask.etag;
    request.last_modified = ask.last_modified;
    let response = http.get(request).await;
    let latency = begun.elapsed();
    let mut response = match response {
        Ok(response) => response,
        Err(error) => return failed(&error, Answer { status: None, latency, retry_after: None }),
    };
    let status = response.status();
    let answer =
        Answer { status: Some(status.as_u16()), latency, retry_after: response.retry_after() };
    let done = |got: Got| Reply { got, answer, bytes: 0, why: None };
    if status == StatusCode::NOT_MODIFIED && is_conditional {
        return done(Got::NotModified);
    }
    if let Some(target) = response.redirect_target() {
        return done(Got::Redirect(target));
    }
    if !status.is_success() {
        let got = Got::Ended(of_status(&answer));
        return Reply { why: Some(format!("answered {status}")), ..done(got) };
    }
    let announced = response.content_length().unwrap_or(ask.max_bytes).min(ask.max_bytes);
    let place = room.take(announced.saturating_mul(COPIES)).await;
    match read(&mut response, ask.max_bytes, place).await {
        Ok((body, bytes)) => Reply { bytes, ..done(Got::Body(body)) },
        Err(Unread::Fetch(error)) => failed(&error, answer),
        Err(Unread::Packed(error)) => {
            let got = Got::Ended(lasting(answer.status));
            Reply { why: Some(format!("could not be unpacked: {error}")), ..done(got) }
        }
    }
}

enum Unread {
    Fetch(FetchError),
    Packed(io::Error),
}

async fn read(
    response: &mut Response,
    max_bytes: u64,
    place: Place,
) -> Result<(Body, u64), Unread> {
    let bytes = response.bytes().await.map_err(Unread::Fetch)?;
    let transferred = bytes.len() as u64;
    let text = |value: Option<&str>| value.map(str::to_owned);
    let encoding = response.content_encoding().unwrap_or_default().trim().to_ascii_lowercase();
    let bytes = match encoding.as_str() {
        "" | "identity" => bytes,
        // Some say so of what is not packed.
        "gzip" | "x-gzip" if !bytes.starts_with(&GZIP) => bytes,
        "gzip" | "x-gzip" => unpacked(&bytes, max_bytes).map_err(Unread::Packed)?,
        other => {
            let why = format!("it is encoded as '{other}', which nobody asked for");
            return Err(Unread::Packed(io::Error::other(why)));
        }
    };
    let body = Body {
        bytes,
        content_type: text(response.content_type()),
        etag: text(response.etag()),
        last_modified: text(response.last_modified()),
        _place: place,
    };
    Ok((body, transferred))
}

/// Undoes gzip, up to a size.
fn unpacked(bytes: &[u8], max_bytes: u64) -> io::Result<Bytes> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).take(max_bytes + 1).read_to_end(&mut out)?;
    if out.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it is larger than {max_bytes} bytes")));
    }
    Ok(out.into())
}

fn failed(error: &FetchError, answer: Answer) -> Reply {
    let outcome = Outcome::Failed {
        status: None,
        is_transient: error.is_retryable(),
        retry_after: answer.retry_after,
    };
    Reply { got: Got::Ended(outcome), answer, bytes: 0, why: Some(error.kind.to_string()) }
}

/// What an answer without a page means.
fn of_status(answer: &Answer) -> Outcome {
    let is_transient = match answer.status {
        Some(404 | 410) => return Outcome::Gone,
        Some(408 | 425 | 429 | 500..) | None => true,
        Some(_) => false,
    };
    Outcome::Failed { status: answer.status, is_transient, retry_after: answer.retry_after }
}

/// A failure that another try would meet again.
pub(super) fn lasting(status: Option<u16>) -> Outcome {
    Outcome::Failed { status, is_transient: false, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    #[test]
    fn what_is_gone_and_what_may_come_back_are_told_apart() {
        let of = |status| {
            let latency = Duration::ZERO;
            of_status(&Answer { status: Some(status), latency, retry_after: None })
        };
        assert_eq!((of(404), of(410)), (Outcome::Gone, Outcome::Gone));
        let is_transient =
            |status| matches!(of(status), Outcome::Failed { is_transient: true, .. });
        assert!([408, 429, 500, 503].into_iter().all(is_transient));
        assert!(![400, 401, 403, 451].into_iter().any(is_transient));
    }

    #[test]
    fn a_packed_page_is_bounded() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&vec![b'x'; 1000]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(unpacked(&packed, 1000).unwrap().len(), 1000);
        assert!(unpacked(&packed, 999).is_err());
        assert!(unpacked(&packed[..packed.len() - 9], 1000).is_err(), "cut off");
    }
}
