//! The pump: a thread between the source and the parser that archives every byte on its way.
//!
//! The parser may stop early, or be slower than the source; the archive is whole all the same, and memory is
//! bounded by a short channel.

use bytes::Bytes;
use feedfleet_http::FetchError;
use feedfleet_objects::{ObjectError, Upload};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

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
    /// The file failed.
    Io(io::Error),
}

/// How a source ended.
#[derive(Debug)]
pub(crate) struct Pumped {
    pub bytes: u64,
    pub end: Result<(), PieceError>,
    /// The archive could not be written.
    pub archive: Result<(), ObjectError>,
}

/// Starts the pump. `archive`: where to keep the bytes; none when they come from there.
pub(crate) fn start(
    mut pieces: Box<dyn Pieces>,
    mut archive: Option<Box<dyn Upload>>,
    cancel: CancellationToken,
) -> (PieceReader, JoinHandle<Pumped>) {
    let (out, incoming) = sync_channel::<io::Result<Bytes>>(PIECES_AHEAD);
    let thread = std::thread::spawn(move || {
        let mut pumped = Pumped { bytes: 0, end: Ok(()), archive: Ok(()) };
        let mut out = Some(out);
        let whole = loop {
            if cancel.is_cancelled() {
                send(&mut out, Err(io::Error::from(io::ErrorKind::Interrupted)));
                break false;
            }
            match pieces.next() {
                Ok(Some(piece)) => {
                    pumped.bytes += piece.len() as u64;
                    if let Some(upload) = &mut archive
                        && let Err(source) = upload.write_all(&piece)
                    {
                        let subject = "the raw snapshot".to_owned();
                        pumped.archive = Err(ObjectError { action: "write", subject, source });
                        break false;
                    }
                    send(&mut out, Ok(piece));
                }
                Ok(None) => break true,
                Err(e @ PieceError::Truncated(_)) => {
                    pumped.end = Err(e);
                    break true;
                }
                Err(e) => {
                    pumped.end = Err(e);
                    send(&mut out, Err(io::Error::from(io::ErrorKind::BrokenPipe)));
                    break false;
                }
            }
        };
        if let Some(upload) = archive.filter(|_| whole) {
            pumped.archive = upload.finish().map(|_| ());
        }
        pumped
    });
    (PieceReader { incoming, current: Bytes::new() }, thread)
}

/// A parser that has gone away needs nothing more.
fn send(out: &mut Option<SyncSender<io::Result<Bytes>>>, piece: io::Result<Bytes>) {
    if let Some(channel) = out
        && channel.send(piece).is_err()
    {
        *out = None;
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
                // `Interrupted` would be tried again by callers.
                Ok(Err(e)) => return Err(io::Error::other(e)),
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

impl Pieces for ReadPieces {
    fn next(&mut self) -> Result<Option<Bytes>, PieceError> {
        let mut buffer = Vec::with_capacity(PIECE_BYTES);
        let mut piece = self.0.by_ref().take(PIECE_BYTES as u64);
        let n = piece.read_to_end(&mut buffer).map_err(PieceError::Io)?;
        Ok((n > 0).then(|| buffer.into()))
    }
}

/// Pieces that a task on the runtime fetches.
pub(crate) struct FetchedPieces(pub tokio::sync::mpsc::Receiver<Result<Bytes, PieceError>>);

impl Pieces for FetchedPieces {
    fn next(&mut self) -> Result<Option<Bytes>, PieceError> {
        self.0.blocking_recv().transpose()
    }
}
