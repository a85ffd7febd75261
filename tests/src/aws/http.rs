//! One small request to a stand-in, for what no SDK does: asking whether it is there, and resetting it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server on loopback that takes longer than this is not ready.
const WITHIN: Duration = Duration::from_secs(10);

/// The host and port of `http://HOST:PORT…`.
///
/// # Panics
///
/// When it is not of that form, or the host is not an address.
pub(super) fn address(url: &str) -> SocketAddr {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("expected http://, not {url}"));
    let host = rest.split('/').next().unwrap_or_default();
    host.parse().unwrap_or_else(|_| panic!("expected an address and a port in {url}"))
}

/// Sends a request without a body; the status and the whole answer, head included.
///
/// # Errors
///
/// The connection failed, or there was no answer.
///
/// # Panics
///
/// When the URL is not of loopback.
pub fn send(method: &str, url: &str) -> io::Result<(u16, String)> {
    let address = address(url);
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no answer: {answer:?}")))?;
    Ok((status, answer))
}
