//! The decompressed bytes of a source, chunk by chunk: read here when they are plain, received from the
//! inflating thread when they are not.

use crate::decompress::{self, Message, sniff};
use crate::error::FeedError;
use feedfleet_config::Compression;
use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

/// Bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// How a stream ended, as far as its compression can tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamEnd {
    /// The compressions found, outermost first.
    pub(crate) layers: Vec<Compression>,
    /// What proves that all of it is here.
    pub(crate) proof: Option<&'static str>,
    /// What shows that it was cut off.
    pub(crate) cut: Option<String>,
    /// Further files of the archive that are not sent, since they are named otherwise.
    pub(crate) others: Vec<String>,
}

/// The error with which a source says that it was cut off: what came before it is good, and is not all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CutOff(
    /// What shows it.
    pub String,
);

/// Counts what the source gives, from whichever thread reads it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes: AtomicU64,
    failed: AtomicBool,
    cut: OnceLock<String>,
}

impl Counters {
    /// Bytes as the source gives them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the source itself failed, as opposed to a decoder that dislikes its bytes.
    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// What shows that the source was cut off.
    fn cut(&self) -> Option<&String> {
        self.cut.get()
    }
}

struct CountingReader {
    input: Box<dyn Read + Send>,
    counters: Arc<Counters>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.input.read(buffer);
        match &result {
            Ok(read) => {
                self.counters.bytes.fetch_add(*read as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                if let Some(CutOff(why)) = error.get_ref().and_then(|e| e.downcast_ref()) {
                    self.counters.cut.get_or_init(|| why.clone());
                    return Ok(0);
                }
                self.counters.failed.store(true, Ordering::Relaxed);
            }
        }
        result
    }
}

enum Input {
    Plain(Box<dyn Read + Send>),
    Inflating(Receiver<Message>),
}

/// The decompressed bytes of a source.
pub(crate) struct Bytes {
    input: Input,
    counters: Arc<Counters>,
    max_inflated_bytes: u64,
    decoded: u64,
    end: StreamEnd,
    ended: bool,
    /// The archive's next file, whose bytes come once it is asked for.
    waiting: Option<String>,
}

impl Bytes {
    /// Looks at the first bytes, and starts the inflating thread if they are compressed. Any compression
    /// asked for but `None` stands for "whatever it is": an HTTP client may have undone it already.
    pub(crate) fn open(
        input: Box<dyn Read + Send>,
        compression: Compression,
        max_inflated_bytes: u64,
    ) -> Result<Self, FeedError> {
        let counters = Arc::new(Counters::default());
        let mut input = CountingReader { input, counters: Arc::clone(&counters) };
        let mut head = [0; 4];
        let read = read_full(&mut input, &mut head).map_err(|source| FeedError::Io { source })?;
        let found = match compression {
            Compression::None => None,
            _ => sniff(&head[..read]),
        };
        let input: Box<dyn Read + Send> = Box::new(Cursor::new(head[..read].to_vec()).chain(input));
        let (input, layers) = match found {
            None => (Input::Plain(input), Vec::new()),
            Some(kind) => {
                let receiver =
                    decompress::spawn(input, kind, Arc::clone(&counters), max_inflated_bytes)?;
                (Input::Inflating(receiver), vec![kind])
            }
        };
        let end = StreamEnd { layers, ..StreamEnd::default() };
        Ok(Self {
            input,
            counters,
            max_inflated_bytes,
            decoded: 0,
            end,
            ended: false,
            waiting: None,
        })
    }

    /// Replaces what `chunk` holds by the next bytes. False: there are no more, or none of this file of an archive.
    pub(crate) fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool, FeedError> {
        if self.ended || self.waiting.is_some() {
            chunk.clear();
            return Ok(false);
        }
        match &mut self.input {
            Input::Plain(input) => {
                chunk.resize(CHUNK_BYTES, 0);
                let read = read_full(input, chunk).map_err(|source| FeedError::Io { source })?;
                chunk.truncate(read);
                self.ended = read == 0;
            }
            Input::Inflating(receiver) => match receiver.recv() {
                Ok(Message::Chunk(bytes)) => *chunk = bytes,
                Ok(Message::File(name)) => {
                    chunk.clear();
                    self.waiting = Some(name);
                }
                Ok(Message::End(end)) => {
                    chunk.clear();
                    self.end = end;
                    self.ended = true;
                }
                Ok(Message::Failed(error)) => return Err(error),
                Err(_) => return Err(FeedError::damaged("decompression stopped without a word")),
            },
        }
        if self.ended
            && let Some(why) = self.counters.cut()
        {
            self.end.cut = Some(why.clone());
            self.end.proof = None;
        }
        self.decoded += chunk.len() as u64;
        if self.decoded > self.max_inflated_bytes {
            let limit = self.max_inflated_bytes;
            return Err(FeedError::limit(format!("the source has more than {limit} bytes")));
        }
        Ok(!self.ended && self.waiting.is_none())
    }

    /// Goes on to the archive's next file, and gives its name. None: there is none, or this one has not ended.
    pub(crate) fn next_file(&mut self) -> Option<String> {
        self.waiting.take()
    }

    /// How the stream ended; before its end, the compression seen so far.
    pub(crate) fn end(&self) -> &StreamEnd {
        &self.end
    }

    /// Bytes as the source gives them.
    pub(crate) fn source_bytes(&self) -> u64 {
        self.counters.bytes()
    }

    /// Bytes after decompression.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        self.decoded
    }
}

/// Reads until the buffer is full or the input ends; gives how much there is.
pub(crate) fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
