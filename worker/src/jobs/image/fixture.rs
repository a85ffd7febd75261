//! What the job's tests run against: a shop on loopback, and objects in a folder.

use super::{Draw, ImageDeps, run};
use crate::room::Room;
use bytes::Bytes;
use feedfleet_config::{Images, RenditionFormat};
use feedfleet_http::{Client, ClientOptions, GuardPolicy, HostGate, PortRule};
use feedfleet_model::image::{ImageEntry, ImageReceipt};
use feedfleet_model::keys::ObjectKey;
use feedfleet_model::{ImageItem, ImageJob, Outcome, RunId, SystemClock};
use feedfleet_objects::{FolderObjects, Objects};
use feedfleet_pictures::samples::{self, thumb};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the shop answers to a request's head; none: nothing, until the client goes away.
type Answer = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// A shop on loopback that answers by script.
pub(super) struct Shop {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    /// Told of each request that gets no answer.
    pub(super) left_waiting: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl Shop {
    pub(super) async fn open(
        answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Shop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let left_waiting = Arc::new(Notify::new());
        let answer: Arc<Answer> = Arc::new(answer);
        let (log, waiting) = (Arc::clone(&seen), Arc::clone(&left_waiting));
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, answer.clone(), log.clone(), waiting.clone()));
            }
        });
        Shop { address, seen, left_waiting, serving }
    }

    /// The paths that were asked for, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn job(&self, paths: &[&str]) -> ImageJob {
        ImageJob {
            pipe: "acme".parse().unwrap(),
            run: RunId(7),
            host: self.address.to_string(),
            shard: 0,
            round: 0,
            batch: 0,
            items: paths.iter().map(|path| ImageItem { url: self.url(path) }).collect(),
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut socket: TcpStream,
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<String>>>,
    left_waiting: Arc<Notify>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    seen.lock().unwrap().push(path(&head).to_owned());
    match answer(&head) {
        Some(response) => {
            // A client that has gone away needs no answer.
            socket.write_all(&response).await.ok();
            socket.shutdown().await.ok();
        }
        None => {
            left_waiting.notify_one();
            socket.read_u8().await.ok();
        }
    }
}

pub(super) fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

pub(super) fn response(status: &str, headers: &str, body: &[u8]) -> Option<Vec<u8>> {
    let length = body.len();
    let mut response = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
    .into_bytes();
    response.extend_from_slice(body);
    Some(response)
}

/// A picture with an entity tag: 304 for who has it.
pub(super) fn tagged(head: &str, tag: &str, body: &[u8]) -> Option<Vec<u8>> {
    let etag = format!("ETag: \"{tag}\"\r\n");
    if head.to_ascii_lowercase().contains(&format!("if-none-match: \"{tag}\"")) {
        response("304 Not Modified", &etag, b"")
    } else {
        response("200 OK", &etag, body)
    }
}

/// Objects in a folder of their own, and all else that the job works with.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) objects: FolderObjects,
    deps: ImageDeps,
    pub(super) settings: Images,
    pub(super) cancel: CancellationToken,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let mut options = ClientOptions::new("feedfleet-test");
        options.policy = GuardPolicy {
            allow_private: vec!["127.0.0.0/8".parse().unwrap()],
            allowed_ports: PortRule::Any,
        };
        let deps = ImageDeps {
            objects: Arc::new(objects.clone()),
            http: Client::new(options).unwrap(),
            gate: Arc::new(HostGate::new(NonZeroUsize::MIN)),
            clock: Arc::new(SystemClock),
            transfers: Room::new(64 << 20),
            draw: Draw::Here,
        };
        let settings = Images {
            mirror: true,
            renditions: vec![thumb(50, RenditionFormat::Webp)],
            max_bytes: 1 << 20,
            max_pixels: samples::ALL,
        };
        Bench { folder, objects, deps, settings, cancel: CancellationToken::new() }
    }

    pub(super) async fn run(&self, job: &ImageJob) -> Outcome {
        run(&self.deps, &self.settings, job, &self.cancel).await
    }

    pub(super) async fn get(&self, key: &ObjectKey) -> Option<Bytes> {
        self.objects.get(key).await.unwrap().map(|object| object.bytes)
    }

    pub(super) async fn receipt(&self) -> Option<ImageReceipt> {
        let receipts =
            self.objects.list("receipts/image-acme-7-0-", None, usize::MAX).await.unwrap();
        let body = self.get(&receipts.last()?.key).await?;
        Some(serde_json::from_slice(&body).unwrap())
    }

    /// Runs a job that is done, and gives its entries.
    pub(super) async fn entries(&self, job: &ImageJob) -> Vec<ImageEntry> {
        assert_eq!(self.run(job).await, Outcome::Done);
        self.receipt().await.expect("a receipt").entries
    }
}

pub(super) fn key_of(entry: &ImageEntry) -> ObjectKey {
    ObjectKey::parse(&entry.key).unwrap()
}

pub(super) fn thumb_key(entry: &ImageEntry) -> ObjectKey {
    let [thumb] = entry.renditions.as_slice() else { panic!("one rendition: {entry:?}") };
    ObjectKey::parse(thumb.strip_prefix("thumb=").unwrap()).unwrap()
}
