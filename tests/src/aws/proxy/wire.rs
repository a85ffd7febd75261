//! HTTP/1.1 messages read whole, and kept as they came.

use std::io::{self, BufRead, Read as _, Write};

/// A longer head, a longer chunk's head or trailer is refused.
const MAX_HEAD_BYTES: u64 = 64 * 1024;
/// So is a longer body.
const MAX_BODY_BYTES: u64 = 256 * 1024 * 1024;

/// A request or a reply.
pub(super) struct Message {
    /// The first line and the headers, with the empty line after them.
    pub head: Vec<u8>,
    /// What follows, in chunks if it came in chunks.
    pub body: Vec<u8>,
}

impl Message {
    /// A reply of our own.
    pub fn reply(
        status: u16,
        content_type: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Self {
        let body = body.into();
        let mut head = format!(
            "HTTP/1.1 {status} Test\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Self { head: head.into_bytes(), body }
    }

    /// The words of the first line.
    pub fn first_line(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.head);
        text.lines().next().unwrap_or_default().split(' ').map(str::to_owned).collect()
    }

    /// The headers, names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        let text = String::from_utf8_lossy(&self.head);
        let pairs = text.lines().skip(1).filter_map(|line| line.split_once(':'));
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find(|(header, _)| header == name).map(|(_, value)| value)
    }

    /// Whether nothing can follow this reply on its connection.
    pub fn ends_connection(&self) -> bool {
        let close = self.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        close || (!self.is_chunked() && self.length().is_none() && !self.has_no_body())
    }

    fn length(&self) -> Option<u64> {
        self.header("content-length").and_then(|value| value.parse().ok())
    }

    fn is_chunked(&self) -> bool {
        let coding = self.header("transfer-encoding");
        coding.is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
    }

    /// Of a reply.
    fn status(&self) -> u16 {
        self.first_line().get(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Of a reply: its status says that none follows.
    fn has_no_body(&self) -> bool {
        matches!(self.status(), 100..=199 | 204 | 304)
    }
}

/// The next request; none when the client has closed the connection. A client that waits to be asked for the body
/// is asked.
pub(super) fn read_request(
    reader: &mut impl BufRead,
    client: &mut impl Write,
) -> io::Result<Option<Message>> {
    let Some(head) = read_head(reader)? else { return Ok(None) };
    let mut message = Message { head, body: Vec::new() };
    if message.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if message.is_chunked() {
        message.body = read_chunks(reader)?;
    } else if let Some(bytes) = message.length() {
        message.body = read_exactly(reader, bytes)?;
    }
    Ok(Some(message))
}

/// The reply to a request; without the interim ones that may come before it.
pub(super) fn read_reply(reader: &mut impl BufRead, to_head: bool) -> io::Result<Message> {
    loop {
        let head = read_head(reader)?.ok_or_else(|| io::Error::other("no reply"))?;
        let mut message = Message { head, body: Vec::new() };
        if (100..200).contains(&message.status()) {
            continue;
        }
        if to_head || message.has_no_body() {
            return Ok(message);
        }
        if message.is_chunked() {
            message.body = read_chunks(reader)?;
        } else if let Some(bytes) = message.length() {
            message.body = read_exactly(reader, bytes)?;
        } else {
            reader.take(MAX_BODY_BYTES).read_to_end(&mut message.body)?;
        }
        return Ok(message);
    }
}

/// The lines up to the first empty one, that included; none at the end of the stream.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let before = head.len();
        let line_bytes = read_line(reader, &mut head)?;
        match &head[before..] {
            [] if before == 0 => return Ok(None),
            // Empty lines before a message mean nothing.
            b"\r\n" | b"\n" if before == 0 => head.clear(),
            b"\r\n" | b"\n" => return Ok(Some(head)),
            _ if line_bytes == 0 || head.len() as u64 > MAX_HEAD_BYTES => {
                return Err(io::Error::other("a head that does not end"));
            }
            _ => {}
        }
    }
}

fn read_line(reader: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(MAX_HEAD_BYTES).read_until(b'\n', into)
}

fn read_exactly(reader: &mut impl BufRead, bytes: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    append_exactly(reader, bytes, &mut body)?;
    Ok(body)
}

fn append_exactly(reader: &mut impl BufRead, bytes: u64, into: &mut Vec<u8>) -> io::Result<()> {
    if into.len() as u64 + bytes > MAX_BODY_BYTES {
        return Err(io::Error::other("a body that is too long"));
    }
    if reader.take(bytes).read_to_end(into)? as u64 != bytes {
        return Err(io::Error::other("a body that ends early"));
    }
    Ok(())
}

/// A body in chunks, with the lines that frame them and the trailers.
fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let before = body.len();
        read_line(reader, &mut body)?;
        let line = String::from_utf8_lossy(&body[before..]).into_owned();
        let digits = line.trim().split(';').next().unwrap_or_default().trim();
        let bytes = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
        if bytes > 0 {
            // The chunk and its line's end.
            append_exactly(reader, bytes + 2, &mut body)?;
            continue;
        }
        loop {
            let before = body.len();
            if read_line(reader, &mut body)? == 0 {
                return Err(io::Error::other("chunks that do not end"));
            }
            if matches!(&body[before..], b"\r\n" | b"\n") {
                return Ok(body);
            }
        }
    }
}
