//! The channel on which SFTP is spoken: packets out, packets in, each of bounded size.

use super::packet::{self, Answer, Request, broken};
use crate::error::RemoteErrorKind;
use crate::tls::AnyConnection;
use bytes::Bytes;
use std::any::Any;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The largest packet that is taken, in bytes. Servers answer with no more than they are asked for.
const LARGEST_PACKET: usize = 256 << 10;
/// Answers to requests that nobody waits for any more, which may come before the one that is waited for.
const MOST_STALE: usize = 64;

/// The channel.
pub(super) struct Link {
    channel: AnyConnection,
    last_id: u32,
    /// What keeps the channel open.
    _session: Box<dyn Any + Send>,
}

impl Link {
    pub(super) fn new(channel: AnyConnection, session: Box<dyn Any + Send>) -> Self {
        Self { channel, last_id: 0, _session: session }
    }

    /// Agrees on the protocol's version.
    pub(super) async fn greet(&mut self) -> Result<(), RemoteErrorKind> {
        self.send(&Request::init()).await?;
        match self.receive().await? {
            (_, Answer::Version(1..=3)) => Ok(()),
            (_, Answer::Version(version)) => Err(broken(format!("it has version {version} only"))),
            _ => Err(broken("it does not say which version it has")),
        }
    }

    /// A number for the next request.
    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// Sends packets.
    pub(super) async fn send(&mut self, packets: &[u8]) -> Result<(), RemoteErrorKind> {
        self.channel.write_all(packets).await.map_err(cut)?;
        self.channel.flush().await.map_err(cut)
    }

    /// The next packet: which request it answers, and how.
    pub(super) async fn receive(&mut self) -> Result<(u32, Answer), RemoteErrorKind> {
        let length = self.channel.read_u32().await.map_err(cut)? as usize;
        if length > LARGEST_PACKET {
            return Err(broken(format!("it sends a packet of {length} bytes")));
        }
        let mut frame = vec![0; length];
        self.channel.read_exact(&mut frame).await.map_err(cut)?;
        packet::read(Bytes::from(frame))
    }

    /// Sends the request of this number, and waits for its answer. Those to requests before it are passed over.
    pub(super) async fn ask(&mut self, id: u32, request: &[u8]) -> Result<Answer, RemoteErrorKind> {
        self.send(request).await?;
        for _ in 0..=MOST_STALE {
            let (answered, answer) = self.receive().await?;
            if answered == id {
                return Ok(answer);
            }
        }
        Err(broken("it does not answer what it is asked"))
    }
}

fn cut(source: io::Error) -> RemoteErrorKind {
    RemoteErrorKind::Broken { source }
}
