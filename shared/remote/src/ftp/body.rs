//! A file's bytes on their way by FTP. The end of a data connection is no proof that all has come: the server's word
//! on the control connection is.

use super::session::Session;
use crate::error::RemoteErrorKind;
use crate::tls::AnyConnection;
use crate::transfer::Chunks;
use crate::version::Version;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::io::ErrorKind;
use tokio::io::AsyncReadExt;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A file that is coming.
pub(super) struct Body {
    session: Session,
    /// None: it has ended.
    data: Option<AnyConnection>,
    path: String,
    version: Version,
    /// Bytes that are still to come, if the server told the size.
    left: Option<u64>,
    /// The control connection has outlived the transfer. Some firewalls cut it when it is silent for long.
    has_control: bool,
}

impl Body {
    pub(super) fn new(
        session: Session,
        data: AnyConnection,
        path: String,
        version: Version,
        left: Option<u64>,
    ) -> Self {
        Self { session, data: Some(data), path, version, left, has_control: true }
    }

    /// The data connection has ended: whether the file has, too.
    async fn end(&mut self) -> Result<(), RemoteErrorKind> {
        // Closed first: some servers say nothing before.
        self.data = None;
        match self.session.transferred().await {
            Ok(()) => Ok(()),
            Err(error) if self.left == Some(0) && is_lost(&error) => {
                tracing::debug!(%error, "the file is whole, though the server did not say so");
                self.has_control = false;
                Ok(())
            }
            // The server gave the transfer up, and says so: what came is the beginning of the file.
            Err(RemoteErrorKind::Busy(text)) => {
                let source = std::io::Error::other(text);
                Err(RemoteErrorKind::Broken { source })
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Chunks for Body {
    async fn next(&mut self) -> Result<Option<Bytes>, RemoteErrorKind> {
        let Some(data) = &mut self.data else { return Ok(None) };
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        match data.read_buf(&mut chunk).await {
            Ok(0) => {}
            Ok(bytes) => {
                self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
                return Ok(Some(chunk.freeze()));
            }
            // Many servers end TLS without saying so. Whether it was the end, the control connection tells.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {}
            Err(source) => return Err(RemoteErrorKind::Broken { source }),
        }
        self.end().await?;
        Ok(None)
    }

    async fn is_unchanged(&mut self) -> Result<bool, RemoteErrorKind> {
        if !self.has_control {
            return Ok(true);
        }
        match self.session.version(&self.path).await {
            Ok(now) => {
                self.session.quit().await;
                Ok(now == self.version)
            }
            Err(error) if self.left == Some(0) && is_lost(&error) => {
                tracing::debug!(%error, "whether the file is still the same cannot be asked");
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether an error means that the control connection has gone.
fn is_lost(error: &RemoteErrorKind) -> bool {
    matches!(error, RemoteErrorKind::Broken { .. } | RemoteErrorKind::TimedOut(_))
}
