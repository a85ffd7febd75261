//! A large object, read from its start, in a connection that may break.

use super::S3Objects;
use super::calls::{GET, length, next_piece};
use super::failure::{into_io, object_error};
use crate::AwsError;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Buf, Bytes};
use feedfleet_model::keys::ObjectKey;
use feedfleet_objects::ObjectError;
use std::io::{self, ErrorKind, Read};
use tokio::runtime::Handle;

/// Breaks in a row that are made good, without a byte between them.
const BREAKS: u32 = 5;

/// Reads one state of an object: where the connection breaks it goes on from there, if the object is still the
/// same. What comes in one go is checked against the object's checksum too, in the end; what was resumed, against
/// its entity tag and its length.
pub(super) struct S3Reader {
    store: S3Objects,
    key: ObjectKey,
    runtime: &'static Handle,
    tag: String,
    length: u64,
    /// Bytes that have come.
    position: u64,
    /// None: it has come to its end.
    body: Option<ByteStream>,
    piece: Bytes,
}

impl S3Reader {
    /// Asks for the object; none where there is no such object.
    pub(super) async fn open(
        store: S3Objects,
        key: ObjectKey,
        runtime: &'static Handle,
    ) -> Result<Option<Self>, ObjectError> {
        // Tried again: reading changes nothing.
        let get = || store.get_once(&key, 0, None);
        let Some(found) = store.tried("open", key.as_str(), get).await? else { return Ok(None) };
        let length = length(GET, found.content_length());
        let length = length.map_err(|e| object_error("open", key.as_str(), e))?;
        let tag = found.e_tag().unwrap_or_default().to_owned();
        let (body, piece) = (Some(found.body), Bytes::new());
        Ok(Some(Self { store, key, runtime, tag, length, position: 0, body, piece }))
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> io::Result<Bytes> {
        let mut breaks = 0;
        loop {
            let Some(body) = &mut self.body else { return Ok(Bytes::new()) };
            let broken = match next_piece(body).await {
                Ok(Some(piece)) if piece.is_empty() => continue,
                Ok(Some(piece)) => return self.came(piece),
                Ok(None) if self.position == self.length => {
                    self.body = None;
                    return Ok(Bytes::new());
                }
                Ok(None) => AwsError::strange_answer(GET, "it ended early"),
                // Everything had come: it is the checksum that is wrong.
                Err(error) if self.position == self.length => {
                    let text = format!("'{}' is damaged: {error}", self.key);
                    return Err(io::Error::new(ErrorKind::InvalidData, text));
                }
                Err(error) => error,
            };
            breaks += 1;
            let (key, at, of) = (&self.key, self.position, self.length);
            if breaks > BREAKS {
                let text = format!("'{key}', at byte {at} of {of}: {broken}");
                return Err(io::Error::new(ErrorKind::ConnectionAborted, text));
            }
            tracing::debug!(%key, at, of, error = %broken, "a broken transfer is resumed");
            self.body = Some(self.resume().await?);
        }
    }

    fn came(&mut self, piece: Bytes) -> io::Result<Bytes> {
        self.position += piece.len() as u64;
        if self.position > self.length {
            let text = format!("'{}' is longer than the {} bytes promised", self.key, self.length);
            return Err(io::Error::other(text));
        }
        Ok(piece)
    }

    /// What has not come yet, of the same state of the object.
    async fn resume(&self) -> io::Result<ByteStream> {
        let tag = Some(self.tag.as_str()).filter(|tag| !tag.is_empty());
        let get = || self.store.get_once(&self.key, self.position, tag);
        // Tried again, likewise. Of a state that was replaced meanwhile, S3 says 412.
        let found = self.store.tried("read", self.key.as_str(), get).await.map_err(into_io)?;
        let gone = || io::Error::new(ErrorKind::NotFound, format!("'{}' has gone", self.key));
        let found = found.ok_or_else(gone)?;
        let left = length(GET, found.content_length()).map_err(io::Error::other)?;
        if left != self.length - self.position {
            let text = format!("'{}' was resumed at another place than was asked for", self.key);
            return Err(io::Error::other(text));
        }
        Ok(found.body)
    }
}

impl Read for S3Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.piece.is_empty() {
            let runtime = self.runtime;
            self.piece = runtime.block_on(self.next())?;
        }
        let n = buffer.len().min(self.piece.len());
        buffer[..n].copy_from_slice(&self.piece[..n]);
        self.piece.advance(n);
        Ok(n)
    }
}
