//! The partner of the chaos run: feeds and pictures, and a server that misbehaves now and then, though never
//! for ever.

use crate::faults::nights::{PIXEL, Random};
use feedfleet_tests::{Reply, Server};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Pieces of a slow body.
const PIECES: usize = 30;
/// Requests that meet a slow body: the next one after an interruption, too.
const SLOW_REQUESTS: u32 = 3;

/// What befalls the requests for one night's feed. Whatever it is, the night's run can end well; only what a
/// cut transfer leaves out must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// 503, with a `Retry-After` of so many seconds.
    Busy(u64),
    /// The connection is reset.
    Reset,
    /// The answer comes after so many milliseconds.
    Hang(u64),
    /// The body comes in pieces, so many milliseconds apart.
    Slow(u64),
    /// The body ends after so many bytes, though more were announced.
    Cut(usize),
    /// A byte of the gzip checksum is wrong.
    Corrupt,
}

impl Fault {
    /// Draws what befalls a feed of so many bytes: nothing, every other night.
    pub(super) fn draw(random: &mut Random, bytes: usize, is_packed: bool) -> Option<Self> {
        let (kind, measure) = (random.below(12), random.below(1000));
        match kind {
            0 => Some(Fault::Busy(measure % 2)),
            1 => Some(Fault::Reset),
            2 => Some(Fault::Hang(500 + 2 * measure)),
            3 => Some(Fault::Slow(30 + measure / 14)),
            4 | 5 if is_packed => Some(Fault::Corrupt),
            // After the first products and before the last ones.
            4 | 5 => Some(Fault::Cut(bytes * (300 + measure as usize * 6 / 10) / 1000)),
            _ => None,
        }
    }

    /// Whether a run that meets it waits a quarter of a minute for its next attempt.
    pub(super) fn costs_a_wait(self) -> bool {
        matches!(self, Fault::Reset | Fault::Corrupt)
    }

    /// Whether a run that meets it fails an attempt.
    fn costs_an_attempt(self) -> bool {
        self.costs_a_wait() || matches!(self, Fault::Busy(_))
    }

    fn word(self) -> &'static str {
        match self {
            Fault::Busy(_) => "busy",
            Fault::Reset => "reset",
            Fault::Hang(_) => "hang",
            Fault::Slow(_) => "slow",
            Fault::Cut(_) => "cut",
            Fault::Corrupt => "corrupt",
        }
    }

    /// Whether it befalls a request that would be answered with this status.
    fn befalls(self, status: u16) -> bool {
        match self {
            Fault::Busy(_) | Fault::Reset | Fault::Hang(_) => true,
            Fault::Slow(_) => matches!(status, 200 | 206),
            Fault::Cut(_) | Fault::Corrupt => status == 200,
        }
    }

    /// The answer to such a request.
    fn spoil(self, mut reply: Reply) -> Reply {
        let size = reply.body.len();
        match self {
            Fault::Busy(secs) => Reply::status(503).header("Retry-After", secs.to_string()),
            Fault::Reset => Reply::reset(),
            Fault::Hang(ms) => {
                reply.delay = Some(Duration::from_millis(ms));
                reply
            }
            Fault::Slow(ms) => {
                reply.drip = Some((size / PIECES + 1, Duration::from_millis(ms)));
                reply
            }
            Fault::Cut(bytes) => {
                reply.body.truncate(bytes);
                reply.header("Content-Length", size.to_string())
            }
            Fault::Corrupt => {
                // The trailer is a checksum of four bytes and a size of four.
                reply.body[size - 8] ^= 1;
                reply
            }
        }
    }
}

/// One night's feed.
struct Feed {
    body: Vec<u8>,
    etag: String,
    fault: Option<Fault>,
    /// Requests that it still befalls.
    left: u32,
}

impl Feed {
    /// The answer of a server in good order. It knows conditions and ranges.
    fn reply(&self, headers: &[(String, String)]) -> Reply {
        let header =
            |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let from = header("range").and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        let (size, etag) = (self.body.len(), Some(self.etag.as_str()));
        let reply = match from {
            _ if header("if-none-match") == etag => Reply::status(304),
            Some(from) if header("if-range") == etag && from >= size => Reply::status(416),
            Some(from) if header("if-range") == etag => {
                let range = format!("bytes {from}-{}/{size}", size - 1);
                let rest = Reply::ok(&self.body[from..]);
                Reply { status: 206, ..rest }.header("Content-Range", range)
            }
            _ => Reply::ok(self.body.as_slice()),
        };
        reply.header("ETag", self.etag.as_str())
    }

    /// What befalls a request that would be answered with this status.
    fn meet(&mut self, status: u16) -> Option<Fault> {
        let fault = self.fault.filter(|fault| fault.befalls(status))?;
        self.left -= 1;
        if self.left == 0 {
            self.fault = None;
        }
        Some(fault)
    }
}

/// What the server's threads share.
#[derive(Default)]
struct Shelf {
    feeds: HashMap<String, Feed>,
    /// Faults that requests met.
    met: BTreeMap<&'static str, u64>,
}

impl Shelf {
    /// The answer of a server in good order, and what befalls it; none where there is no feed.
    fn take(&mut self, path: &str, headers: &[(String, String)]) -> Option<(Reply, Option<Fault>)> {
        let feed = self.feeds.get_mut(path)?;
        let reply = feed.reply(headers);
        let fault = feed.meet(reply.status);
        if let Some(fault) = fault {
            *self.met.entry(fault.word()).or_default() += 1;
        }
        Some((reply, fault))
    }
}

/// The partner.
pub(super) struct Partner {
    server: Server,
    shelf: Arc<Mutex<Shelf>>,
}

impl Partner {
    /// A partner without a feed.
    pub(super) fn open() -> Self {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let shared = Arc::clone(&shelf);
        let server = Server::start(move |path, headers| {
            if path.starts_with("/picture/") {
                return Reply::ok(picture(path)).header("Content-Type", "image/png");
            }
            let taken = shared.lock().expect("no handler panics").take(path, headers);
            match taken {
                None => Reply::status(404),
                Some((reply, None)) => reply,
                Some((reply, Some(fault))) => fault.spoil(reply),
            }
        });
        Self { server, shelf }
    }

    pub(super) fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Serves a night's feed, in place of the one before.
    pub(super) fn publish(&self, path: &str, body: Vec<u8>, fault: Option<Fault>) {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("\"{:x}\"", hasher.finish());
        let left = if matches!(fault, Some(Fault::Slow(_))) { SLOW_REQUESTS } else { 1 };
        let feed = Feed { body, etag, fault, left };
        self.shelf.lock().expect("no handler panics").feeds.insert(path.to_owned(), feed);
    }

    /// Nothing befalls this night's feed any more that would cost its run another attempt.
    pub(super) fn relent(&self, path: &str) {
        let mut shelf = self.shelf.lock().expect("no handler panics");
        if let Some(feed) = shelf.feeds.get_mut(path) {
            feed.fault = feed.fault.filter(|fault| !fault.costs_an_attempt());
        }
    }

    /// How often each fault was met.
    pub(super) fn met(&self) -> BTreeMap<&'static str, u64> {
        self.shelf.lock().expect("no handler panics").met.clone()
    }
}

/// The picture at this path: no two are the same. What comes after its end is no part of a picture.
pub(super) fn picture(path: &str) -> Vec<u8> {
    [PIXEL, path.as_bytes()].concat()
}
