//! Parts of a snapshot, read one after the other.

use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::Objects;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

/// A part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The transfer that wrote it.
    pub transfer: u32,
    pub key: ObjectKey,
    pub bytes: u64,
}

/// Parts as one stream. A part that is gone, or shorter than it was, is an error and never an end.
pub(super) struct PartsReader {
    objects: Arc<dyn Objects>,
    parts: std::vec::IntoIter<Part>,
    current: Option<Open>,
}

struct Open {
    key: ObjectKey,
    reader: Box<dyn Read + Send>,
    left: u64,
}

impl PartsReader {
    pub(super) fn new(objects: Arc<dyn Objects>, parts: Vec<Part>) -> Self {
        Self { objects, parts: parts.into_iter(), current: None }
    }
}

impl Read for PartsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(open) = &mut self.current {
                let n = open.reader.read(buffer)?;
                if n > 0 {
                    open.left = open.left.saturating_sub(n as u64);
                    return Ok(n);
                }
                if open.left > 0 {
                    let text = format!("'{}' is {} bytes short", open.key, open.left);
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
                }
                self.current = None;
            }
            let Some(Part { key, bytes, .. }) = self.parts.next() else { return Ok(0) };
            let reader =
                self.objects.open(&key).map_err(io::Error::other)?.ok_or_else(|| {
                    io::Error::new(ErrorKind::NotFound, format!("'{key}' has gone"))
                })?;
            self.current = Some(Open { key, reader, left: bytes });
        }
    }
}
