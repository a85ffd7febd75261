//! The pump: a thread between the source and the parser that archives every byte on its way.
//!
//! The parser may stop early, or be slower than the source; the archive is whole all the same, and memory is
//! bounded by a short channel.

use super::failure::Failure;
use super::raw::RawWriter;
use bytes::Bytes;
use feedfleet_feed::CutOff;
use feedfleet_http::FetchError;
use feedfleet_objects::ObjectError;
use feedfleet_remote::RemoteError;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

/// Pieces on their way to the parser.
const PIECES_AHEAD: usize = 16;
/// Bytes read from a file at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What the source gives, piece by piece.
pub(crate) trait Pieces: Send {
    /// The next piece; none at the end.
    fn next(&mut self) -> Result<Option<Bytes>, PieceError>;
}

/// Why a source gave no more.
#[derive(Debug)]
pub(crate) enum PieceError {
    /// It ended before it was whole: what came can be used, but proves no absence.
    Truncated(String),
    /// The transfer failed.
    Fetch(FetchError),
    /// The transfer from a server of files, or from a bucket, failed.
    Remote(RemoteError),
    /// The file failed.
    Io(io::Error),
    /// One of its pages did not come.
    Failed(Failure),
    /// It was given up: the run was cancelled.
    Stopped,
}

/// Where the bytes come from.
pub(crate) enum Input {
    /// A source from its start; `archive`: where its bytes are kept.
    Source { pieces: Box<dyn Pieces>, archive: Option<RawWriter> },
    /// The rest of a source. It is archived first, and then the whole is read from the archive: a partner
    /// should not have to wait while the parser goes through what had come before.
    Rest { pieces: Box<dyn Pieces>, archive: RawWriter },
    /// A snapshot that is in the archive.
    Archived(Box<dyn Read + Send>),
}

/// How a source ended.
#[derive(Debug)]
pub(crate) struct Pumped {
    pub end: Result<(), PieceError>,
    /// The archive could not be written or read.
    pub archive: Result<(), ObjectError>,
}

impl Pumped {
    /// Whether what the parser got is not to be used.
    fn has_failed(&self) -> bool {
        self.archive.is_err() || !matches!(self.end, Ok(()) | Err(PieceError::Truncated(_)))
    }

    /// Why it has failed, for a reader that asks nobody else.
    fn why(&self) -> String {
        match (&self.archive, &self.end) {
            (Err(e), _) => e.to_string(),
            (_, Err(PieceError::Fetch(e))) => e.to_string(),
            (_, Err(PieceError::Remote(e))) => e.to_string(),
            (_, Err(PieceError::Io(e))) => e.to_string(),
            (_, Err(PieceError::Failed(Failure::Dead(reason) | Failure::Retry(_, reason)))) => {
                reason.message.clone()
            }
            _ => "the transfer was given up".to_owned(),
        }
    }
}

/// Starts the pump. `fetched` counts the bytes that come from the source itself.
pub(crate) fn start(
    input: Input,
    fetched: Arc<AtomicU64>,
    cancel: CancellationToken,
) -> (PieceReader, JoinHandle<Pumped>) {
    let (out, incoming) = sync_channel::<io::Result<Bytes>>(PIECES_AHEAD);
    let mut pump = Pump { out: Some(out), fetched, cancel };
    let thread = std::thread::spawn(move || {
        let pumped = pump.run(input);
        if pumped.has_failed() {
            // Nothing that failed may look like an end.
            pump.send(Err(io::Error::new(io::ErrorKind::BrokenPipe, pumped.why())));
        } else if let Err(PieceError::Truncated(why)) = &pumped.end {
            pump.send(Err(io::Error::other(CutOff(why.clone()))));
        }
        pumped
    });
    (PieceReader { incoming, current: Bytes::new() }, thread)
}

struct Pump {
    /// None: the parser has gone away and needs nothing more.
    out: Option<SyncSender<io::Result<Bytes>>>,
    fetched: Arc<AtomicU64>,
    cancel: CancellationToken,
}

impl Pump {
    fn run(&mut self, input: Input) -> Pumped {
        match input {
            Input::Source { mut pieces, archive } => self.transfer(pieces.as_mut(), archive, true),
            Input::Rest { mut pieces, archive } => {
                let place = archive.place().clone();
                let mut pumped = self.transfer(pieces.as_mut(), Some(archive), false);
                if !pumped.has_failed() {
                    match place.open() {
                        Ok(reader) => self.read(reader, &mut pumped),
                        Err(e) => pumped.archive = Err(e),
                    }
                }
                pumped
            }
            Input::Archived(reader) => {
                let mut pumped = Pumped { end: Ok(()), archive: Ok(()) };
                self.read(reader, &mut pumped);
                pumped
            }
        }
    }

    /// Takes the source to its end. Whatever the end is, what came is in the archive then.
    fn transfer(
        &mut self,
        pieces: &mut dyn Pieces,
        mut archive: Option<RawWriter>,
        hand_on: bool,
    ) -> Pumped {
        let end = loop {
            if self.cancel.is_cancelled() {
                break Err(PieceError::Stopped);
            }
            let piece = match pieces.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(e) => break Err(e),
            };
            self.fetched.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if let Some(writer) = &mut archive
                && let Err(e) = writer.write(&piece)
            {
                return Pumped { end: Ok(()), archive: Err(e) };
            }
            if hand_on {
                self.send(Ok(piece));
            }
        };
        let archive = match archive {
            Some(writer) => writer.finish(end.is_ok()),
            None => Ok(()),
        };
        Pumped { end, archive }
    }

    fn read(&mut self, reader: Box<dyn Read + Send>, pumped: &mut Pumped) {
        let mut pieces = ReadPieces(reader);
        while self.out.is_some() {
            if self.cancel.is_cancelled() {
                pumped.end = Err(PieceError::Stopped);
                return;
            }
            match pieces.read() {
                Ok(Some(piece)) => self.send(Ok(piece)),
                Ok(None) => return,
                Err(source) => {
                    let subject = "the raw snapshot".to_owned();
                    pumped.archive = Err(ObjectError { action: "read", subject, source });
                    return;
                }
            }
        }
    }

    fn send(&mut self, piece: io::Result<Bytes>) {
        if let Some(channel) = &self.out
            && channel.send(piece).is_err()
        {
            self.out = None;
        }
    }
}

/// The parser's end.
pub(crate) struct PieceReader {
    incoming: Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.incoming.recv() {
                Ok(Ok(piece)) => self.current = piece,
                Ok(Err(e)) => return Err(e),
                Err(_) => return Ok(0),
            }
        }
        let n = self.current.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.current.split_to(n));
        Ok(n)
    }
}

/// Pieces of anything that can be read.
pub(crate) struct ReadPieces(pub Box<dyn Read + Send>);

impl ReadPieces {
    fn read(&mut self) -> io::Result<Option<Bytes>> {
        let mut buffer = Vec::with_capacity(PIECE_BYTES);
        let mut piece = self.0.by_ref().take(PIECE_BYTES as u64);
        let n = piece.read_to_end(&mut buffer)?;
        Ok((n > 0).then(|| buffer.into()))
    }
}

impl Pieces for ReadPieces {
    fn next(&mut self) -> Result<Option<Bytes>, PieceError> {
        self.read().map_err(PieceError::Io)
    }
}

/// What a task on the runtime fetches: pieces, and an end that is told. A channel that is closed without
/// one is no end of the source.
pub(crate) struct FetchedPieces(pub tokio::sync::mpsc::Receiver<Result<Option<Bytes>, PieceError>>);

impl Pieces for FetchedPieces {
    fn next(&mut self) -> Result<Option<Bytes>, PieceError> {
        self.0.blocking_recv().unwrap_or(Err(PieceError::Stopped))
    }
}
