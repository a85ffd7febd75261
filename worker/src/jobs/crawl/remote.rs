//! Opening a pipe's source on a server of files or in a bucket, whole or from where an earlier attempt broke off.

use super::Validators;
use super::failure::Failure;
use super::pump::{FetchedPieces, PieceError, Pieces};
use super::raw::{RawFacts, RawSnapshot};
use super::source::{Access, CHUNKS_AHEAD, Opened, begin, open_rest};
use crate::remote;
use feedfleet_config::{Location, Pipe};
use feedfleet_remote::{Head, RemoteErrorKind, Resume, Transfer};

/// Opens the source. `earlier`: what this run has of it already.
pub(super) async fn open(
    access: Access<'_>,
    pipe: &Pipe,
    validators: Option<&Validators>,
    found: Option<&RawSnapshot>,
    earlier: Option<(&RawSnapshot, &RawFacts)>,
) -> Result<Opened, Failure> {
    let resume = earlier.and_then(|(found, raw)| {
        let from = Some(found.bytes()).filter(|bytes| *bytes > 0 && raw.resumable)?;
        Some(Resume { from, tag: raw.etag.as_deref()? })
    });
    // Where some of it is at hand, the rest of it is wanted, whatever the last run saw.
    let known = validators.and_then(|v| v.etag.as_deref()).filter(|_| resume.is_none());
    let ask = remote::ask(pipe, known, resume);
    let Some(transfer) = remote::open(access.remote, pipe, &ask).await? else {
        return Ok(Opened::NotModified);
    };
    let head = transfer.head().clone();
    let length_bytes = proving_length(&head, pipe);
    let pieces = fetch(access, transfer);
    match earlier {
        Some((found, raw)) if head.from > 0 => {
            open_rest(access, pieces, length_bytes, found, raw).await
        }
        _ => {
            let facts = facts_of(head, length_bytes, pipe.source.location.display());
            begin(access, pieces, facts, found).await
        }
    }
}

/// The length by which an archive is known to be whole. Of a bucket's object one state comes. A server's file may be
/// written while it is read: so many bytes may be of two states, and only the look after the last of them tells.
fn proving_length(head: &Head, pipe: &Pipe) -> Option<u64> {
    match &pipe.source.location {
        Location::Server(_) => None,
        _ => head.length_bytes,
    }
}

fn facts_of(head: Head, length_bytes: Option<u64>, place: String) -> RawFacts {
    RawFacts {
        location: place,
        content_length: length_bytes,
        resumable: head.tag.is_some(),
        etag: head.tag,
        // A server of files says when a file has ended, whether it knows its size or not.
        marked_end: true,
        ..RawFacts::default()
    }
}

/// Fetches a file on a task of the runtime, until it is cancelled.
fn fetch(access: Access<'_>, mut transfer: Transfer) -> Box<dyn Pieces> {
    let (chunks, incoming) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
    let stop = access.cancel.clone();
    tokio::spawn(async move {
        loop {
            let chunk = tokio::select! {
                chunk = transfer.chunk() => chunk,
                () = stop.cancelled() => return,
            };
            let piece = match chunk {
                Ok(bytes) => Ok(bytes),
                Err(e) if matches!(e.kind, RemoteErrorKind::Truncated { .. }) => {
                    Err(PieceError::Truncated(e.to_string()))
                }
                Err(e) => Err(PieceError::Remote(e)),
            };
            let is_last = !matches!(piece, Ok(Some(_)));
            if chunks.send(piece).await.is_err() || is_last {
                return;
            }
        }
    });
    Box::new(FetchedPieces(incoming))
}
