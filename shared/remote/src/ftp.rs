//! Reading a file by FTP (RFC 959, 2228, 2428, 3659, 4217).
//!
//! A client of our own: the protocol is a dozen commands, and every library at hand writes the password into its log.
//! Data connections go to the host of the control connection, whatever address the server names: that is the one that
//! the guard has checked, and servers behind a NAT name wrong ones anyway.

mod body;
mod control;
mod reply;
mod session;

use crate::address::Scheme;
use crate::ask::{Ask, Begin, Found, Head};
use crate::client::Server;
use crate::clock::Clock;
use crate::error::RemoteErrorKind;
use crate::tls::Tls;
use body::Body;
use rustls::pki_types::CertificateDer;
use session::Session;
use std::time::SystemTime;
use tokio::net::TcpStream;

/// Opens a file of an FTP server over a new connection to it.
pub(crate) async fn open(
    stream: TcpStream,
    server: &Server<'_>,
    extra_roots: &[CertificateDer<'static>],
    ask: &Ask<'_>,
    clock: Clock,
) -> Result<Found, RemoteErrorKind> {
    let address = server.address;
    let tls = match address.scheme {
        Scheme::Ftps | Scheme::Ftpes => Some(Tls::to(&address.host, extra_roots)?),
        Scheme::Ftp | Scheme::Sftp => None,
    };
    let is_implicit = address.scheme == Scheme::Ftps;
    let mut session = Session::begin(stream, tls, is_implicit, clock).await?;
    session.log_in(address.user.as_deref(), server.login).await?;
    let version = session.version(&address.path).await?;
    let tag = version.tag(SystemTime::now());
    let from = match ask.begin(tag.as_deref(), version.size_bytes)? {
        Begin::NotModified => {
            session.quit().await;
            return Ok(Found::NotModified);
        }
        Begin::At(from) => from,
    };
    let (data, from) = session.retrieve(&address.path, from).await?;
    let head = Head { from, tag, length_bytes: version.size_bytes };
    let left = version.size_bytes.map(|size| size.saturating_sub(from));
    let body = Body::new(session, data, address.path.clone(), version, left);
    Ok(Found::Body { head, chunks: Box::new(body) })
}
