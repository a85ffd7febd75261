//! Reading a file by SFTP, version 3 of the protocol, over SSH by russh.
//!
//! Of the protocol only what reading one file needs is here, by hand: a handle is any bytes, which the library at hand
//! takes for UTF-8, and what a server may send at once is bounded.

mod body;
mod link;
mod packet;
mod ssh;

use crate::ask::{Ask, Begin, Found, Head};
use crate::client::Server;
use crate::clock::Clock;
use crate::error::RemoteErrorKind;
use body::Body;
use feedfleet_http::Phase;
use std::time::SystemTime;
use tokio::net::TcpStream;

/// Opens a file of an SFTP server over a new connection to it.
pub(crate) async fn open(
    stream: TcpStream,
    server: &Server<'_>,
    ask: &Ask<'_>,
    clock: Clock,
) -> Result<Found, RemoteErrorKind> {
    let link = ssh::connect(stream, server, clock).await?;
    let opening = Body::open(link, &server.address.path);
    let mut body = clock.answer(Phase::FirstByte, opening).await??;
    let version = body.version();
    let tag = version.tag(SystemTime::now());
    match ask.begin(tag.as_deref(), version.size_bytes)? {
        Begin::NotModified => Ok(Found::NotModified),
        Begin::At(from) => {
            body.begin_at(from);
            let head = Head { from, tag, length_bytes: version.size_bytes };
            Ok(Found::Body { head, chunks: Box::new(body) })
        }
    }
}
