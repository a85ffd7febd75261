//! Opening a pipe's source: over HTTP, from a file, or from a raw snapshot. For others see `remote`, for those that
//! come in pages `paging`.
//!
//! An attempt at a run takes up what an earlier attempt at it has archived: a whole snapshot is read instead
//! of the source, and of a part of one the rest is asked for.

use super::Validators;
use super::failure::Failure;
use super::pump::{
    self, FetchedPieces, Input, PieceError, PieceReader, Pieces, Pumped, ReadPieces,
};
use super::raw::{Place, RawFacts, RawSnapshot, RawWriter};
use super::{paging, remote};
use crate::remote::limits;
use feedfleet_config::{Location, Pipe};
use feedfleet_http::{Client, ContentRange, FetchErrorKind, Request, Response, StatusCode};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{ReasonClass, RunKey};
use feedfleet_objects::Objects;
use feedfleet_remote::Remote;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What opening a source needs.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    pub http: &'a Client,
    /// For sources that are not on the web.
    pub remote: &'a Remote,
    /// Where the raw bytes are kept; none: nowhere.
    pub archive: Option<&'a Place>,
    /// Counts the bytes that come from the source itself.
    pub fetched: &'a Arc<AtomicU64>,
    /// Ends the transfer, for whatever reason.
    pub cancel: &'a CancellationToken,
}

/// What a source answered.
pub(crate) enum Opened {
    /// Nothing has changed since the last complete run.
    NotModified,
    /// It is being read.
    Body(Box<Incoming>),
}

/// A source that is being read and archived.
pub(crate) struct Incoming {
    pub reader: PieceReader,
    pub pump: JoinHandle<Pumped>,
    pub facts: Facts,
    /// Ends the transfer: nobody needs the rest.
    pub stop: CancellationToken,
}

/// What is known of the source before it has been read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub content_type: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// The snapshot that this run takes.
    pub raw_key: Option<ObjectKey>,
    /// The run whose snapshot has the bytes.
    pub archived_by: Option<RunKey>,
    /// Bytes that an earlier attempt had archived.
    pub resumed_at_bytes: Option<u64>,
    /// The transfer itself shows where it ends: a length, chunks, or a file's end.
    pub marked_end: bool,
}

/// Chunks on their way from the connection to the pump.
pub(super) const CHUNKS_AHEAD: usize = 16;

/// Opens a pipe's source, or what this run has of it already.
pub(crate) async fn open(
    access: Access<'_>,
    pipe: &Pipe,
    validators: Option<&Validators>,
) -> Result<Opened, Failure> {
    let place = pipe.source.location.display();
    let found = match access.archive {
        Some(archive) => Some(archive.look().await?),
        None => None,
    };
    let usable = |facts: &&RawFacts| facts.location == place && !facts.rejected;
    let earlier = found.as_ref().and_then(|found| {
        let facts = found.facts.as_ref().filter(usable)?;
        Some((found, facts))
    });
    if let Some((found, facts)) = earlier
        && (facts.complete || facts.content_length == Some(found.bytes()))
    {
        let mut opened = open_own_snapshot(access, found, facts).await?;
        if let (Opened::Body(incoming), Location::Site(_)) = (&mut opened, &pipe.source.location) {
            // Rows are no bytes of the site's: how many an earlier attempt had archived says nothing.
            incoming.facts.resumed_at_bytes = None;
        }
        return Ok(opened);
    }
    let url = match &pipe.source.location {
        Location::File(path) => return open_file(access, path, place, found.as_ref()).await,
        Location::Server(_) | Location::Object { .. } => {
            return remote::open(access, pipe, validators, found.as_ref(), earlier).await;
        }
        // Its pages have been collected into this run's snapshot before.
        Location::Site(_) => {
            let text = format!("what was collected of {place} is gone");
            return Err(Failure::retry(ReasonClass::Storage, text));
        }
        Location::Http(url) => url.expose(),
    };
    if let Some(pages) = paging::of(pipe) {
        return paging::open(access, pipe, url, pages, found.as_ref(), earlier).await;
    }
    let rest = match earlier {
        Some((found, facts)) => ask_for_rest(access, pipe, url, found, facts).await?,
        None => None,
    };
    let response = match rest {
        Some(response) => response,
        None => {
            let mut request = plain_request(pipe, url);
            request.etag = validators.and_then(|v| v.etag.clone());
            request.last_modified = validators.and_then(|v| v.last_modified.clone());
            access.http.get(request).await.map_err(|e| e.shown_as(&place))?
        }
    };
    match (response.status(), earlier) {
        (StatusCode::OK, _) => {
            let facts = facts_of(&response, place.clone());
            begin(access, fetch(access, response, place), facts, found.as_ref()).await
        }
        (StatusCode::PARTIAL_CONTENT, Some((found, facts))) => {
            let total = response.content_range().and_then(|range| range.total);
            open_rest(access, fetch(access, response, place), total, found, facts).await
        }
        (StatusCode::NOT_MODIFIED, _) if validators.is_some() => Ok(Opened::NotModified),
        (status @ StatusCode::NOT_MODIFIED, _) => {
            let text = format!("{place} answered {status} though no condition was sent");
            Err(Failure::retry(ReasonClass::SourceUnavailable, text))
        }
        (status, _) => Err(Failure::of_status(status, response.retry_after(), &place)),
    }
}

/// Opens the snapshot of another run, given by its key.
pub(crate) async fn open_replay(
    access: Access<'_>,
    objects: &Arc<dyn Objects>,
    key: &str,
) -> Result<Opened, Failure> {
    let refused = |why: String| {
        Failure::dead(ReasonClass::SourceRefused, format!("the raw snapshot '{key}' {why}"))
    };
    let absent = || refused("is not there: it was never taken, or has expired".to_owned());
    let run =
        ObjectKey::parse(key).and_then(|key| keys::run_of_raw_object(&key)).ok_or_else(absent)?;
    let found = Place::new(objects.clone(), run.clone()).look().await?;
    let raw = found.facts.as_ref().ok_or_else(absent)?;
    if !raw.complete {
        let bytes = found.bytes();
        return Err(refused(format!("is not whole: its transfer ended after {bytes} bytes")));
    }
    let facts = Facts {
        content_type: raw.content_type.clone(),
        marked_end: raw.marked_end,
        archived_by: Some(run),
        ..Facts::default()
    };
    Ok(start(access, Input::Archived(found.reader()), facts))
}

/// Reads what this run has archived instead of the source.
async fn open_own_snapshot(
    access: Access<'_>,
    found: &RawSnapshot,
    raw: &RawFacts,
) -> Result<Opened, Failure> {
    if !raw.complete {
        // All is there: its worker died between the last part and the facts.
        RawWriter::resume(found, raw.clone()).await?.complete().await?;
    }
    let mut facts = own_facts(access, raw);
    facts.resumed_at_bytes = bytes_before_this_attempt(access, found);
    Ok(start(access, Input::Archived(found.reader()), facts))
}

async fn open_file(
    access: Access<'_>,
    path: &Path,
    place: String,
    found: Option<&RawSnapshot>,
) -> Result<Opened, Failure> {
    let file = File::open(path).map_err(|e| {
        let text = format!("could not open {}: {e}; check the pipe's url", path.display());
        match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                Failure::dead(ReasonClass::SourceRefused, text)
            }
            _ => Failure::retry(ReasonClass::SourceUnavailable, text),
        }
    })?;
    let facts = RawFacts { location: place, marked_end: true, ..RawFacts::default() };
    begin(access, Box::new(ReadPieces(Box::new(file))), facts, found).await
}

/// Asks for what is missing of a snapshot. None: the source is to be asked for the whole. The answer is the
/// rest only if its status says so; a server that knows no ranges, or whose resource has changed, sends the
/// whole.
async fn ask_for_rest(
    access: Access<'_>,
    pipe: &Pipe,
    url: &str,
    found: &RawSnapshot,
    raw: &RawFacts,
) -> Result<Option<Response>, Failure> {
    let from = found.bytes();
    let fits = raw.content_length.is_none_or(|length| from < length);
    if from == 0 || !raw.resumable || !fits {
        return Ok(None);
    }
    let mut request = plain_request(pipe, url);
    request.etag = raw.etag.clone();
    request.last_modified = raw.last_modified.clone();
    request.range_from = Some(from);
    let response = match access.http.get(request).await {
        Ok(response) => response,
        // Such as another range than was asked for.
        Err(e) if matches!(e.kind, FetchErrorKind::Other(_)) => return Ok(None),
        Err(e) => return Err(e.shown_as(&raw.location).into()),
    };
    let is_answer = match response.status() {
        StatusCode::PARTIAL_CONTENT => is_rest(&response, raw, pipe.source.limits.max_bytes),
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::NOT_MODIFIED => false,
        _ => true,
    };
    Ok(is_answer.then_some(response))
}

/// Whether a partial answer, which begins where it was asked to, belongs to what is archived, and ends
/// where it can be told.
fn is_rest(response: &Response, raw: &RawFacts, max_bytes: u64) -> bool {
    let Some(ContentRange { total: Some(total), .. }) = response.content_range() else {
        return false;
    };
    // A partial answer may leave out what the first answer said, but not contradict it.
    let agrees = |then: &Option<String>, now: Option<&str>| {
        now.is_none_or(|now| then.as_deref() == Some(now))
    };
    total <= max_bytes
        && raw.content_length.is_none_or(|length| length == total)
        && agrees(&raw.etag, response.etag())
        && (raw.etag.is_some() || agrees(&raw.last_modified, response.last_modified()))
        && agrees(&raw.content_encoding, response.content_encoding())
}

/// Reads what was archived, and the rest of a source after it.
pub(super) async fn open_rest(
    access: Access<'_>,
    pieces: Box<dyn Pieces>,
    total: Option<u64>,
    found: &RawSnapshot,
    raw: &RawFacts,
) -> Result<Opened, Failure> {
    let mut raw = raw.clone();
    (raw.content_length, raw.marked_end) = (total, true);
    let mut facts = own_facts(access, &raw);
    facts.resumed_at_bytes = bytes_before_this_attempt(access, found);
    let archive = RawWriter::resume(found, raw).await?;
    Ok(start(access, Input::Rest { pieces, archive }, facts))
}

/// Reads a source from its start.
pub(super) async fn begin(
    access: Access<'_>,
    pieces: Box<dyn Pieces>,
    raw: RawFacts,
    found: Option<&RawSnapshot>,
) -> Result<Opened, Failure> {
    let facts = own_facts(access, &raw);
    let archive = match found {
        Some(found) => Some(RawWriter::begin(found, raw).await?),
        None => None,
    };
    Ok(start(access, Input::Source { pieces, archive }, facts))
}

fn start(access: Access<'_>, input: Input, facts: Facts) -> Opened {
    let (reader, pump) = pump::start(input, access.fetched.clone(), access.cancel.clone());
    Opened::Body(Box::new(Incoming { reader, pump, facts, stop: access.cancel.clone() }))
}

fn own_facts(access: Access<'_>, raw: &RawFacts) -> Facts {
    Facts {
        content_type: raw.content_type.clone(),
        etag: raw.etag.clone(),
        last_modified: raw.last_modified.clone(),
        raw_key: access.archive.map(|place| keys::raw(place.run())),
        archived_by: access.archive.map(|place| place.run().clone()),
        resumed_at_bytes: None,
        marked_end: raw.marked_end,
    }
}

fn facts_of(response: &Response, place: String) -> RawFacts {
    RawFacts {
        location: place,
        content_type: response.content_type().map(str::to_owned),
        content_encoding: response.content_encoding().map(str::to_owned),
        content_length: response.content_length(),
        etag: response.etag().map(str::to_owned),
        last_modified: response.last_modified().map(str::to_owned),
        resumable: response.is_resumable(),
        marked_end: response.has_marked_end(),
        ..RawFacts::default()
    }
}

/// What was archived before this attempt began: an attempt may open its source more than once.
fn bytes_before_this_attempt(access: Access<'_>, found: &RawSnapshot) -> Option<u64> {
    let fetched = access.fetched.load(Ordering::Relaxed);
    found.bytes().checked_sub(fetched).filter(|bytes| *bytes > 0)
}

pub(super) fn plain_request(pipe: &Pipe, url: &str) -> Request {
    let mut request = Request::new(url, limits(pipe));
    for (name, value) in &pipe.source.headers {
        request.headers.push((name.clone(), value.expose().to_owned()));
    }
    request
}

/// Fetches a body on a task of the runtime, until it is cancelled. `place`: how its address is shown.
fn fetch(access: Access<'_>, mut response: Response, place: String) -> Box<dyn Pieces> {
    let (chunks, incoming) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
    let stop = access.cancel.clone();
    tokio::spawn(async move {
        loop {
            let chunk = tokio::select! {
                chunk = response.chunk() => chunk,
                () = stop.cancelled() => return,
            };
            let piece = match chunk.map_err(|e| e.shown_as(&place)) {
                Ok(bytes) => Ok(bytes),
                Err(e) if matches!(e.kind, FetchErrorKind::Truncated { .. }) => {
                    Err(PieceError::Truncated(e.to_string()))
                }
                Err(e) => Err(PieceError::Fetch(e)),
            };
            let is_last = !matches!(piece, Ok(Some(_)));
            if chunks.send(piece).await.is_err() || is_last {
                return;
            }
        }
    });
    Box::new(FetchedPieces(incoming))
}
