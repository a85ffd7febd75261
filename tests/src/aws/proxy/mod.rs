//! A proxy before a stand-in, which does to chosen requests what networks and services do: it delays, drops a
//! request or a reply, answers with an error of its own, cuts a body short.
//!
//! Everything else passes through as it came, byte for byte: a signature covers the header `Host`, so that is the
//! proxy's own address, as the client wrote it. One connection to the server a request; the client's stays open.

mod refusal;
mod rules;
mod wire;

pub use rules::{Fault, Hits, Request, Rule};

use super::http;
use rules::Rules;
use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wire::Message;

/// Longer than any long poll: a connection on which nothing comes for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A proxy; it takes no more connections when it goes out of scope.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    rules: Mutex<Rules>,
    /// The operation whose next request gets this reply.
    kept: Mutex<Option<(String, Message)>>,
    stop: AtomicBool,
}

impl Proxy {
    /// Starts a proxy before the server at `url`, such as `http://127.0.0.1:40001`.
    pub fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            server: http::address(url),
            rules: Mutex::default(),
            kept: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || {
                    // Either side that goes away in the middle is part of many tests.
                    serving.serve(stream).ok();
                });
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests meet this rule, unless an earlier one takes them. Tells how often it did.
    pub fn add(&self, rule: Rule) -> Hits {
        self.shared.rules().add(rule)
    }

    /// From now on each request that no rule takes meets one of `faults` with this probability, as the seed
    /// decides. Tells how often.
    pub fn random(&self, seed: u64, probability: f64, faults: &[Fault]) -> Hits {
        self.shared.rules().random(seed, probability, faults)
    }

    /// Takes all rules away, and the random faults.
    pub fn clear(&self) {
        self.shared.rules().clear();
    }

    /// Requests for this operation so far, those that met a fault included. See [`Request::operation`].
    pub fn requests(&self, operation: &str) -> usize {
        self.shared.rules().requests(operation)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which is waiting for a visitor.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// What becomes of the client's connection.
enum Next {
    Reply(Message),
    /// The reply, of whose body only so many bytes are sent; then the connection is closed.
    Cut(Message, usize),
    Close,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        prepare(&client)?;
        let mut reader = BufReader::new(client.try_clone()?);
        while let Some(message) = wire::read_request(&mut reader, &mut client)? {
            let request = Request::of(&message);
            let fault = self.rules().fault_of(&request);
            let next = match self.take_kept(&request.operation) {
                Some(reply) => Next::Reply(reply),
                None => self.answer(&message, &request, fault)?,
            };
            match next {
                Next::Reply(reply) => {
                    client.write_all(&reply.head)?;
                    client.write_all(&reply.body)?;
                    if reply.ends_connection() {
                        break;
                    }
                }
                Next::Cut(reply, bytes) => {
                    client.write_all(&reply.head)?;
                    client.write_all(&reply.body[..bytes.min(reply.body.len())])?;
                    break;
                }
                Next::Close => break,
            }
        }
        client.shutdown(Shutdown::Both)
    }

    fn answer(
        &self,
        message: &Message,
        request: &Request,
        fault: Option<Fault>,
    ) -> io::Result<Next> {
        let Some(fault) = fault else { return Ok(Next::Reply(self.forward(message, request)?)) };
        Ok(match fault {
            Fault::Delay(time) => {
                std::thread::sleep(time);
                Next::Reply(self.forward(message, request)?)
            }
            Fault::DelayReply(time) => {
                let reply = self.forward(message, request)?;
                std::thread::sleep(time);
                Next::Reply(reply)
            }
            Fault::DropRequest => Next::Close,
            Fault::DropReply => {
                self.forward(message, request)?;
                Next::Close
            }
            Fault::DropReplyAndRepeat => {
                let reply = self.forward(message, request)?;
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                *kept = Some((request.operation.clone(), reply));
                Next::Close
            }
            Fault::CutBody(bytes) => Next::Cut(self.forward(message, request)?, bytes),
            Fault::Status(status) => Next::Reply(refusal::failure(request, status)),
            Fault::Throttle => Next::Reply(refusal::throttle(request)),
            Fault::Answer { status, content_type, body } => {
                Next::Reply(Message::reply(status, content_type, &[], body))
            }
        })
    }

    fn take_kept(&self, operation: &str) -> Option<Message> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|(of, _)| of == operation).map(|(_, reply)| reply)
    }

    fn forward(&self, message: &Message, request: &Request) -> io::Result<Message> {
        let mut server = TcpStream::connect(self.server)?;
        prepare(&server)?;
        server.write_all(&message.head)?;
        server.write_all(&message.body)?;
        wire::read_reply(&mut BufReader::new(server), request.method == "HEAD")
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))
}
