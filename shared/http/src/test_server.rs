//! A server for tests: it answers on loopback with exactly the bytes it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::client::{Client, ClientOptions};
use crate::error::FetchError;
use crate::guard::{GuardPolicy, PortRule};
use crate::limits::Limits;
use crate::request::Request;
use crate::resolve::ResolveName;
use crate::response::Response;

/// One thing that the server does with a connection. After the last it closes it.
pub(crate) enum Step {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Writes a byte at a time, with this pause between, until the client goes away.
    Drip(Duration),
    /// Says nothing until the client goes away.
    Hold,
}

/// What the server does, given the path of a request.
type Script = dyn Fn(&str) -> Vec<Step> + Send + Sync;

pub(crate) struct TestServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn start(
        script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
    ) -> TestServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let log = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        TestServer { address, seen, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut socket: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
    seen.lock().expect("not poisoned").push(head.to_ascii_lowercase());
    for step in script(&path) {
        match step {
            Step::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Drip(pause) => {
                // Until the visitor leaves.
                while socket.write_all(b"x").await.is_ok()
                    && tokio::time::timeout(pause, socket.read_u8()).await.is_err()
                {
                }
            }
            Step::Hold => while socket.read_u8().await.is_ok() {},
        }
    }
}

/// Sends `head` (status line and headers, each ended by a line feed) and `body` as they are.
pub(crate) fn raw(head: &str, body: &str) -> Step {
    let head = head.replace('\n', "\r\n");
    Step::Send(format!("HTTP/1.1 {head}Connection: close\r\n\r\n{body}").into_bytes())
}

/// A complete answer with status 200.
pub(crate) fn ok(body: &str) -> Vec<Step> {
    vec![raw(&format!("200 OK\nContent-Length: {}\n", body.len()), body)]
}

pub(crate) fn redirect(location: &str) -> Vec<Step> {
    vec![raw(&format!("302 Found\nLocation: {location}\nContent-Length: 0\n"), "")]
}

/// Limits that no test on loopback reaches by accident.
pub(crate) fn wide() -> Limits {
    Limits {
        total_time: Duration::from_secs(60),
        first_byte: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        rate_window: Duration::from_secs(60),
        ..Limits::default()
    }
}

/// A client that may connect to 127.0.0.0/8, and to nothing else that isn't public.
pub(crate) fn loopback_client(resolver: Option<Arc<dyn ResolveName>>) -> Client {
    let mut options = ClientOptions::new("feedfleet-test");
    options.policy = GuardPolicy {
        allow_private: vec!["127.0.0.0/8".parse().expect("a network")],
        allowed_ports: PortRule::Any,
    };
    options.resolver = resolver;
    Client::new(options).expect("a client")
}

pub(crate) async fn get(url: String, limits: Limits) -> Result<Response, FetchError> {
    loopback_client(None).get(Request::new(url, limits)).await
}

/// Fetches a URL with its body.
pub(crate) async fn fetch(url: String, limits: Limits) -> Result<String, FetchError> {
    let body = get(url, limits).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}
