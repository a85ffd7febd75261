//! Opening a pipe's source: over HTTP, from a file, or from a raw snapshot of an earlier run.

use super::Validators;
use super::failure::Failure;
use super::pump::{self, FetchedPieces, PieceError, PieceReader, Pieces, Pumped, ReadPieces};
use feedfleet_config::{Location, Pipe};
use feedfleet_http::{Client, FetchErrorKind, Limits, Request, Response, StatusCode};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{ReasonClass, RunKey};
use feedfleet_objects::Objects;
use std::fs::File;
use std::path::Path;
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What opening a source needs.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    pub http: &'a Client,
    pub objects: &'a dyn Objects,
    /// Where the raw bytes are kept; none: nowhere.
    pub archive: Option<&'a RunKey>,
    pub cancel: &'a CancellationToken,
}

/// A raw snapshot of an earlier run.
pub(crate) struct Replay {
    pub key: String,
    /// What the source said of itself then.
    pub content_type: Option<String>,
}

/// What a source answered.
pub(crate) enum Opened {
    /// Nothing has changed since the last complete run.
    NotModified,
    /// It is being read.
    Body(Incoming),
}

/// A source that is being read and archived.
pub(crate) struct Incoming {
    pub reader: PieceReader,
    pub pump: JoinHandle<Pumped>,
    pub facts: Facts,
}

/// What is known of the source before it has been read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub content_type: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub raw_key: Option<ObjectKey>,
    /// The transfer itself shows where it ends: a length, chunks, or a file's end.
    pub marked_end: bool,
}

/// Chunks on their way from the connection to the pump.
const CHUNKS_AHEAD: usize = 16;

/// Opens a pipe's source. `replay`: a raw snapshot to read instead.
pub(crate) async fn open(
    access: Access<'_>,
    pipe: &Pipe,
    validators: Option<&Validators>,
    replay: Option<Replay>,
) -> Result<Opened, Failure> {
    if let Some(replay) = replay {
        return open_snapshot(access, replay);
    }
    match &pipe.source.location {
        Location::File(path) => open_file(access, path),
        Location::Http(url) => {
            let response = request(access, pipe, url.expose(), validators).await?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(Opened::NotModified);
            }
            if response.status() != StatusCode::OK {
                let place = pipe.source.location.display();
                return Err(Failure::of_status(response.status(), response.retry_after(), &place));
            }
            open_response(access, response)
        }
    }
}

async fn request(
    access: Access<'_>,
    pipe: &Pipe,
    url: &str,
    validators: Option<&Validators>,
) -> Result<Response, Failure> {
    let limits = Limits {
        max_bytes: pipe.source.limits.max_bytes,
        total_time: pipe.source.limits.max_time,
        ..Limits::default()
    };
    let mut request = Request::new(url, limits);
    for (name, value) in &pipe.source.headers {
        request.headers.push((name.clone(), value.expose().to_owned()));
    }
    request.etag = validators.and_then(|v| v.etag.clone());
    request.last_modified = validators.and_then(|v| v.last_modified.clone());
    Ok(access.http.get(request).await?)
}

fn open_response(access: Access<'_>, mut response: Response) -> Result<Opened, Failure> {
    let content_type = response.content_type().map(str::to_owned);
    let facts = Facts {
        content_type,
        etag: response.etag().map(str::to_owned),
        last_modified: response.last_modified().map(str::to_owned),
        raw_key: access.archive.map(keys::raw),
        marked_end: response.has_marked_end(),
    };
    let (chunks, incoming) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
    let stop = access.cancel.clone();
    tokio::spawn(async move {
        loop {
            let chunk = tokio::select! {
                chunk = response.chunk() => chunk,
                () = stop.cancelled() => return,
            };
            let piece = match chunk {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => return,
                Err(e) if matches!(e.kind, FetchErrorKind::Truncated { .. }) => {
                    Err(PieceError::Truncated(e.to_string()))
                }
                Err(e) => Err(PieceError::Fetch(e)),
            };
            let last = piece.is_err();
            if chunks.send(piece).await.is_err() || last {
                return;
            }
        }
    });
    begin(access, Box::new(FetchedPieces(incoming)), facts)
}

fn open_file(access: Access<'_>, path: &Path) -> Result<Opened, Failure> {
    let file = File::open(path).map_err(|e| {
        let text = format!("could not open {}: {e}; check the pipe's url", path.display());
        match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                Failure::dead(ReasonClass::SourceRefused, text)
            }
            _ => Failure::retry(ReasonClass::SourceUnavailable, text),
        }
    })?;
    let raw_key = access.archive.map(keys::raw);
    let facts = Facts { raw_key, marked_end: true, ..Facts::default() };
    begin(access, Box::new(ReadPieces(Box::new(file))), facts)
}

fn open_snapshot(access: Access<'_>, replay: Replay) -> Result<Opened, Failure> {
    let key = replay.key.as_str();
    let absent = || {
        let text =
            format!("the raw snapshot '{key}' is not there: it was never taken, or has expired");
        Failure::dead(ReasonClass::SourceRefused, text)
    };
    let key = ObjectKey::parse(key).ok_or_else(absent)?;
    let reader = access.objects.open(&key)?.ok_or_else(absent)?;
    let content_type = replay.content_type;
    let facts = Facts { content_type, marked_end: true, ..Facts::default() };
    let pieces: Box<dyn Pieces> = Box::new(ReadPieces(reader));
    let (reader, pump) = pump::start(pieces, None, access.cancel.clone());
    Ok(Opened::Body(Incoming { reader, pump, facts }))
}

fn begin(access: Access<'_>, pieces: Box<dyn Pieces>, facts: Facts) -> Result<Opened, Failure> {
    let archive = match &facts.raw_key {
        Some(key) => Some(access.objects.upload(key)?),
        None => None,
    };
    let (reader, pump) = pump::start(pieces, archive, access.cancel.clone());
    Ok(Opened::Body(Incoming { reader, pump, facts }))
}
