//! A small HTTP/1.1 server on the loopback address. It answers one request a connection, as the test's
//! handler decides, and counts what it was asked for.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers. `Content-Length` is the body's unless it is named here; a greater one cuts the transfer short.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Begins after this time, unless the visitor has left by then.
    pub delay: Option<Duration>,
    /// Sends the body in pieces of so many bytes, with this pause after each.
    pub drip: Option<(usize, Duration)>,
    /// Sends nothing of all this, and resets the connection.
    pub reset: bool,
}

impl Reply {
    /// 200 with this body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
            delay: None,
            drip: None,
            reset: false,
        }
    }

    /// This status, without a body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::ok("") }
    }

    /// No answer: the connection is reset.
    pub fn reset() -> Self {
        Self { reset: true, ..Self::ok("") }
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A longer head is not answered.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Nor is one that takes longer to come.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A server; it stops when it goes out of scope.
pub struct Server {
    address: SocketAddr,
    hits: Arc<Mutex<HashMap<String, usize>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server. The handler gets the request's path, query included, and its headers, names in lower
    /// case.
    pub fn start(
        handler: impl Fn(&str, &[(String, String)]) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let hits = Arc::new(Mutex::new(HashMap::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let handler = Arc::new(handler);
        let sent = Arc::new(AtomicU64::new(0));
        let (counted, stopped) = (Arc::clone(&hits), Arc::clone(&stop));
        let sending = Arc::clone(&sent);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (handler, counted) = (Arc::clone(&handler), Arc::clone(&counted));
                let sending = Arc::clone(&sending);
                std::thread::spawn(move || {
                    // A client that goes away in the middle is part of many tests.
                    answer(&stream, &counted, &sending, &*handler).ok();
                });
            }
        });
        Self { address, hits, sent, stop, thread: Some(thread) }
    }

    /// A server that gives everybody the same body.
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        let reply = Reply::ok(body);
        Self::start(move |_, _| reply.clone())
    }

    /// Its address, such as `http://127.0.0.1:40001`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests for this path, query included, so far.
    pub fn hits(&self, path: &str) -> usize {
        let hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        hits.get(path).copied().unwrap_or(0)
    }

    /// Bytes of bodies sent so far, whoever asked.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which is waiting for a visitor.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Answers a path and its headers.
type Handler = dyn Fn(&str, &[(String, String)]) -> Reply;

fn answer(
    mut stream: &TcpStream,
    hits: &Mutex<HashMap<String, usize>>,
    sent: &AtomicU64,
    handler: &Handler,
) -> io::Result<()> {
    let Some(text) = read_head(stream)? else { return Ok(()) };
    let mut lines = text.lines();
    let Some(path) = lines.next().and_then(|first| first.split(' ').nth(1)) else { return Ok(()) };
    let mut headers = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    *hits.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default() += 1;
    let reply = handler(path, &headers);
    if reply.reset {
        // A connection that is closed with bytes unread is reset.
        return Ok(());
    }
    stream.read_exact(&mut [0])?;
    if let Some(delay) = reply.delay {
        wait_for_leaving(stream, delay)?;
    }
    send(stream, &reply, sent)
}

/// The head of a request but for its last byte, which has come and stays unread. None: the visitor sends no whole
/// head.
fn read_head(mut stream: &TcpStream) -> io::Result<Option<String>> {
    stream.set_read_timeout(Some(HEAD_WITHIN))?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r") {
        if head.len() == MAX_HEAD_BYTES || stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let is_whole = stream.peek(&mut byte)? == 1;
    Ok(is_whole.then(|| String::from_utf8_lossy(&head).into_owned()))
}

/// Waits until the visitor, who has no more to say, closes the connection, at most so long. An error says that it did.
fn wait_for_leaving(stream: &TcpStream, at_most: Duration) -> io::Result<()> {
    // No time at all would mean for ever.
    stream.set_read_timeout(Some(at_most.max(Duration::from_micros(1))))?;
    match stream.peek(&mut [0]) {
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
        Err(e) => Err(e),
        Ok(_) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn send(mut stream: &TcpStream, reply: &Reply, sent: &AtomicU64) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Test\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let framed = ["content-length", "transfer-encoding"];
    if !reply.headers.iter().any(|(name, _)| framed.contains(&name.to_ascii_lowercase().as_str())) {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    match reply.drip {
        None => {
            stream.write_all(&reply.body)?;
            sent.fetch_add(reply.body.len() as u64, Ordering::SeqCst);
        }
        Some((bytes, pause)) => {
            for piece in reply.body.chunks(bytes.max(1)) {
                stream.write_all(piece)?;
                stream.flush()?;
                sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
                wait_for_leaving(stream, pause)?;
            }
        }
    }
    stream.flush()
}
