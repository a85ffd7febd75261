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

/// The memory that the bodies of a crawl share. What comes and what comes out of what came packed have a part each: who
/// waits for the second keeps his place in the first, and who has one in the second waits for nobody. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct BodyRoom {
    coming: Room,
    unpacked: Room,
}

impl BodyRoom {
    /// Room for so many bytes of bodies.
    pub(super) fn new(bytes: u64) -> Self {
        Self { coming: Room::new(bytes / 2), unpacked: Room::new(bytes / 2) }
    }
}

/// What is asked for.
pub(super) struct Ask<'a> {
    pub url: &'a str,
    pub accept: &'static str,
    pub max_bytes: u64,
    pub follow_redirects: bool,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Further headers: who asks.
    pub headers: Vec<(String, String)>,
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

/// Sends a request and reads its answer.
pub(super) async fn fetch(http: &Client, room: &BodyRoom, ask: Ask<'_>) -> Reply {
    let begun = Instant::now();
    let limits = Limits {
        max_bytes: ask.max_bytes,
        total_time: TOTAL_TIME,
        first_byte: FIRST_BYTE,
        idle: IDLE,
        ..Limits::default()
    };
    let mut request = Request::new(ask.url, limits);
    request.headers = ask.headers;
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        request.headers.push(("Accept".to_owned(), ask.accept.to_owned()));
    }
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
    // There is no text of what is packed.
    let copies = if is_gzip(&encoding(&response)) { 1 } else { COPIES };
    let place = room.coming.take(announced.saturating_mul(copies)).await;
    match read(&mut response, ask.max_bytes, place, &room.unpacked).await {
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
    room: &Room,
) -> Result<(Body, u64), Unread> {
    let bytes = response.bytes().await.map_err(Unread::Fetch)?;
    let transferred = bytes.len() as u64;
    let text = |value: Option<&str>| value.map(str::to_owned);
    let (bytes, place) = match encoding(response).as_str() {
        "" | "identity" => (bytes, place),
        name if is_gzip(name) => {
            let unpacked = unpack(&bytes, max_bytes, room).await.map_err(Unread::Packed)?;
            drop(place);
            unpacked
        }
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

/// How a body is encoded, in lower case; empty where it is not.
fn encoding(response: &Response) -> String {
    response.content_encoding().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_gzip(encoding: &str) -> bool {
    matches!(encoding, "gzip" | "x-gzip")
}

/// Undoes gzip, up to a size, in a place for what comes out, which may be a thousand times as much as came.
async fn unpack(packed: &Bytes, max_bytes: u64, room: &Room) -> io::Result<(Bytes, Place)> {
    if !packed.starts_with(&GZIP) {
        // Some say so of what is not packed.
        let place = room.take((packed.len() as u64).saturating_mul(COPIES)).await;
        return Ok((packed.clone(), place));
    }
    // What it says of its size is wrong if it has several members, or lies.
    for limit in [told_bytes(packed).min(max_bytes), max_bytes] {
        let place = room.take(limit.saturating_mul(COPIES)).await;
        let packed = packed.clone();
        let read = tokio::task::spawn_blocking(move || unpacked(&packed, limit));
        if let Some(bytes) = read.await.map_err(io::Error::other)?? {
            return Ok((bytes, place));
        }
    }
    Err(io::Error::other(format!("it is larger than {max_bytes} bytes")))
}

/// The size that the last member of a gzip ends with.
fn told_bytes(packed: &[u8]) -> u64 {
    packed.last_chunk::<4>().map_or(0, |size| u64::from(u32::from_le_bytes(*size)))
}

/// What is in a gzip; none where that is more than so many bytes.
fn unpacked(packed: &[u8], max_bytes: u64) -> io::Result<Option<Bytes>> {
    let mut out = Vec::new();
    MultiGzDecoder::new(packed).take(max_bytes + 1).read_to_end(&mut out)?;
    Ok((out.len() as u64 <= max_bytes).then(|| out.into()))
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

    fn packed(bytes: usize) -> Bytes {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&vec![b'x'; bytes]).unwrap();
        packed.finish().unwrap().into()
    }

    #[tokio::test]
    async fn a_packed_page_is_bounded() {
        let (packed, room) = (packed(1000), Room::new(1 << 20));
        assert_eq!(unpack(&packed, 1000, &room).await.unwrap().0.len(), 1000);
        assert!(unpack(&packed, 999, &room).await.is_err());
        let cut = packed.slice(..packed.len() - 9);
        assert!(unpack(&cut, 1000, &room).await.is_err(), "cut off");
        let two = Bytes::from([&packed[..], &self::packed(3)[..]].concat());
        assert_eq!(told_bytes(&two), 3);
        assert_eq!(unpack(&two, 1003, &room).await.unwrap().0.len(), 1003);
        let plain = Bytes::from_static(b"<html>");
        assert_eq!(unpack(&plain, 1000, &room).await.unwrap().0, plain, "it only says so");
    }

    #[tokio::test]
    async fn what_comes_out_of_a_packed_page_has_its_place() {
        let room = Room::new(4 << 20);
        let (bytes, place) = unpack(&packed(1 << 20), 10 << 20, &room).await.unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        let more = room.take(3 << 20);
        tokio::pin!(more);
        let short = Duration::from_millis(20);
        assert!(tokio::time::timeout(short, &mut more).await.is_err(), "it is kept twice");
        drop(place);
        drop(more.await);
    }
}
