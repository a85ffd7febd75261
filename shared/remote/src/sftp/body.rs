//! A file's bytes on their way by SFTP. A server answers each request with a small piece, so many are asked for at once:
//! else every piece would cost a round trip.

use super::link::Link;
use super::packet::{Answer, Request, broken};
use crate::error::RemoteErrorKind;
use crate::transfer::Chunks;
use crate::version::Version;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// Bytes of one request. Every server answers that many.
const READ_BYTES: u32 = 32 << 10;
/// The least that is asked for of a server that answers less.
const LEAST_READ_BYTES: u32 = 512;
/// Requests that are under way: with `READ_BYTES`, what a transfer holds in memory.
const READS_AHEAD: usize = 32;

/// An open file.
pub(super) struct Body {
    link: Link,
    handle: Bytes,
    version: Version,
    /// Where the next request begins.
    ask_at: u64,
    read_bytes: u32,
    /// Requests under way, in the order of the file.
    asked: VecDeque<Asked>,
    /// Answers that came before it was their turn.
    came: HashMap<u32, Came>,
    is_over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    id: u32,
    at: u64,
    bytes: u32,
}

enum Came {
    Data(Bytes),
    End,
}

impl Body {
    /// Opens a file, and asks for its state.
    pub(super) async fn open(mut link: Link, path: &str) -> Result<Self, RemoteErrorKind> {
        link.greet().await?;
        let id = link.next_id();
        let handle = match link.ask(id, &Request::open(id, path)).await? {
            Answer::Handle(handle) => handle,
            Answer::Status(status) => return Err(status.into_error()),
            _ => return Err(broken("it opens no file")),
        };
        let (version, is_folder) = state(&mut link, &handle).await?;
        if is_folder {
            return Err(RemoteErrorKind::Denied("that is a folder".to_owned()));
        }
        Ok(Self {
            link,
            handle,
            version,
            ask_at: 0,
            read_bytes: READ_BYTES,
            asked: VecDeque::new(),
            came: HashMap::new(),
            is_over: false,
        })
    }

    /// The state in which it was opened.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Begins at this byte. To be called before the first bytes are asked for.
    pub(super) fn begin_at(&mut self, from: u64) {
        self.ask_at = from;
    }

    /// Asks for what comes next, as far ahead as is good.
    async fn fill(&mut self) -> Result<(), RemoteErrorKind> {
        let end = self.version.size_bytes.unwrap_or(u64::MAX);
        let mut requests = Vec::new();
        while !self.is_over && self.asked.len() < READS_AHEAD && self.ask_at < end {
            let left = u32::try_from(end - self.ask_at).unwrap_or(u32::MAX);
            let bytes = self.read_bytes.min(left);
            let asked = Asked { id: self.link.next_id(), at: self.ask_at, bytes };
            requests.extend(Request::read(asked.id, &self.handle, asked.at, asked.bytes));
            self.asked.push_back(asked);
            self.ask_at += u64::from(bytes);
        }
        if requests.is_empty() { Ok(()) } else { self.link.send(&requests).await }
    }

    /// Takes in one answer.
    async fn receive(&mut self) -> Result<(), RemoteErrorKind> {
        let (id, answer) = self.link.receive().await?;
        if !self.asked.iter().any(|asked| asked.id == id) {
            return Err(broken("it answers what it was not asked"));
        }
        let came = match answer {
            Answer::Data(bytes) => Came::Data(bytes),
            Answer::Status(status) if status.is_end() => Came::End,
            Answer::Status(status) => return Err(status.into_error()),
            _ => return Err(broken("it answers with something else than bytes")),
        };
        self.came.insert(id, came);
        Ok(())
    }

    /// A piece came that may be shorter than it was asked for: the rest of it is asked for next.
    async fn came_short(&mut self, asked: Asked, got: u32) -> Result<(), RemoteErrorKind> {
        if got == asked.bytes {
            return Ok(());
        }
        if got == 0 || got > asked.bytes {
            return Err(broken(format!("asked for {} bytes it sends {got}", asked.bytes)));
        }
        self.read_bytes = self.read_bytes.min(got.max(LEAST_READ_BYTES));
        let (id, at) = (self.link.next_id(), asked.at + u64::from(got));
        let rest = Asked { id, at, bytes: asked.bytes - got };
        self.asked.push_front(rest);
        self.link.send(&Request::read(rest.id, &self.handle, rest.at, rest.bytes)).await
    }
}

#[async_trait]
impl Chunks for Body {
    async fn next(&mut self) -> Result<Option<Bytes>, RemoteErrorKind> {
        loop {
            self.fill().await?;
            let Some(first) = self.asked.front().copied() else { return Ok(None) };
            match self.came.remove(&first.id) {
                Some(Came::Data(bytes)) => {
                    self.asked.pop_front();
                    let got = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    self.came_short(first, got).await?;
                    return Ok(Some(bytes));
                }
                Some(Came::End) => {
                    self.asked.clear();
                    self.is_over = true;
                    return Ok(None);
                }
                None => self.receive().await?,
            }
        }
    }

    async fn is_unchanged(&mut self) -> Result<bool, RemoteErrorKind> {
        let (now, _) = state(&mut self.link, &self.handle).await?;
        Ok(now == self.version)
    }
}

/// The state of an open file, and whether it is a folder.
async fn state(link: &mut Link, handle: &[u8]) -> Result<(Version, bool), RemoteErrorKind> {
    let id = link.next_id();
    match link.ask(id, &Request::stat(id, handle)).await? {
        Answer::Attributes { version, is_folder } => Ok((version, is_folder)),
        // What it cannot tell is not known: the file comes whole, each time.
        Answer::Status(_) => Ok((Version::default(), false)),
        _ => Err(broken("it tells no state of the file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// A server that has one file of these bytes, and answers as `twist` changes its answers.
    async fn serve(
        mut stream: DuplexStream,
        file: Vec<u8>,
        longest: usize,
        twist: impl Fn(Vec<u8>) -> Vec<u8>,
    ) {
        let packet = |kind: u8, id: [u8; 4], rest: &[u8]| {
            let mut body = vec![kind];
            body.extend(id);
            body.extend(rest);
            let mut packet = (body.len() as u32).to_be_bytes().to_vec();
            packet.extend(body);
            packet
        };
        let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
        while let Ok(length) = stream.read_u32().await {
            let mut frame = vec![0; length as usize];
            stream.read_exact(&mut frame).await.unwrap();
            let id: [u8; 4] = frame[1..5].try_into().unwrap();
            let answer = match frame[0] {
                1 => packet(2, id, &[]),
                // A handle is any bytes.
                3 => packet(102, id, &string(&[0xff, 0, 0x80])),
                8 => {
                    let size = (file.len() as u64).to_be_bytes();
                    packet(105, id, &[&[0_u8, 0, 0, 1][..], &size].concat())
                }
                5 => {
                    assert_eq!(frame[5..12], [0, 0, 0, 3, 0xff, 0, 0x80]);
                    let at = u64::from_be_bytes(frame[12..20].try_into().unwrap()) as usize;
                    let bytes = u32::from_be_bytes(frame[20..24].try_into().unwrap()) as usize;
                    let end = (at + bytes.min(longest)).min(file.len());
                    packet(103, id, &string(&file[at..end]))
                }
                kind => panic!("request {kind}"),
            };
            if stream.write_all(&twist(answer)).await.is_err() {
                return;
            }
        }
    }

    fn file() -> Vec<u8> {
        (0..2_500_000_u32).map(|n| (n % 251) as u8).collect()
    }

    async fn read(
        longest: usize,
        from: u64,
        twist: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static,
    ) -> Result<Vec<u8>, RemoteErrorKind> {
        let (server, client) = duplex(1 << 20);
        tokio::spawn(serve(server, file(), longest, twist));
        let link = Link::new(Box::new(client), Box::new(()));
        let mut body = Body::open(link, "/f").await?;
        body.begin_at(from);
        let mut all = Vec::new();
        while let Some(bytes) = body.next().await? {
            all.extend_from_slice(&bytes);
        }
        assert!(body.is_unchanged().await?);
        Ok(all)
    }

    #[tokio::test]
    async fn a_file_comes_whole_however_small_the_pieces() {
        for longest in [1 << 20, 32 << 10, 10_000, 700] {
            assert!(read(longest, 0, |answer| answer).await.unwrap() == file(), "{longest}");
        }
        assert!(read(9_999, 2_000_001, |answer| answer).await.unwrap() == file()[2_000_001..]);
    }

    /// Promise 15: every input is bounded.
    #[tokio::test]
    async fn answers_that_make_no_sense_are_a_clear_error() {
        let twists: [fn(Vec<u8>) -> Vec<u8>; 4] = [
            // A packet of 4 GiB.
            |mut answer| {
                answer[0] = 0xff;
                answer
            },
            // An answer to nothing.
            |mut answer| {
                if answer[4] == 103 {
                    answer[5] = 9;
                }
                answer
            },
            // An answer of no known kind.
            |mut answer| {
                answer[4] = 77;
                answer
            },
            // A string that is longer than its packet.
            |mut answer| {
                if answer[4] == 103 {
                    answer[9] = 9;
                }
                answer
            },
        ];
        for twist in twists {
            let error = read(1 << 20, 0, twist).await.unwrap_err();
            let is_told = matches!(error, RemoteErrorKind::Protocol { protocol: "SFTP", .. });
            assert!(is_told, "{error}");
        }
    }
}
