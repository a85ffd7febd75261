//! Packets of SFTP, version 3 (draft-ietf-secsh-filexfer-02), as far as reading a file needs them.

use crate::error::{RemoteErrorKind, words};
use crate::version::Version;
use bytes::{Buf, Bytes};

const INIT: u8 = 1;
const VERSION: u8 = 2;
const OPEN: u8 = 3;
const READ: u8 = 5;
const FSTAT: u8 = 8;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const ATTRS: u8 = 105;

const PROTOCOL_VERSION: u32 = 3;
const OPEN_TO_READ: u32 = 1;

const HAS_SIZE: u32 = 1;
const HAS_OWNERS: u32 = 2;
const HAS_PERMISSIONS: u32 = 4;
const HAS_TIMES: u32 = 8;
const FILE_TYPE: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;

/// Status: the file has ended.
const END: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const BAD_MESSAGE: u32 = 5;
const UNSUPPORTED: u32 = 8;

/// A packet to the server, with its length in front.
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn init() -> Vec<u8> {
        Self::new(INIT, PROTOCOL_VERSION).finish()
    }

    pub(super) fn open(id: u32, path: &str) -> Vec<u8> {
        Self::new(OPEN, id).string(path.as_bytes()).u32(OPEN_TO_READ).u32(0).finish()
    }

    pub(super) fn stat(id: u32, handle: &[u8]) -> Vec<u8> {
        Self::new(FSTAT, id).string(handle).finish()
    }

    pub(super) fn read(id: u32, handle: &[u8], offset: u64, bytes: u32) -> Vec<u8> {
        Self::new(READ, id).string(handle).u64(offset).u32(bytes).finish()
    }

    fn new(kind: u8, first: u32) -> Self {
        Self(vec![0, 0, 0, 0, kind]).u32(first)
    }

    fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn string(self, bytes: &[u8]) -> Self {
        let mut with_length = self.u32(bytes.len() as u32);
        with_length.0.extend(bytes);
        with_length
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To INIT: the version that it speaks.
    Version(u32),
    /// It did as asked, or why not.
    Status(Status),
    /// An open file.
    Handle(Bytes),
    /// Bytes of a file.
    Data(Bytes),
    /// A file's state.
    Attributes { version: Version, is_folder: bool },
}

/// How a request ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    code: u32,
    message: String,
}

impl Status {
    /// The file has ended.
    pub(super) fn is_end(&self) -> bool {
        self.code == END
    }

    /// What it means where it is no success.
    pub(super) fn into_error(self) -> RemoteErrorKind {
        let text = format!("{} (status {})", words(&self.message), self.code);
        match self.code {
            NO_SUCH_FILE => RemoteErrorKind::NotFound(text),
            PERMISSION_DENIED | BAD_MESSAGE | UNSUPPORTED => RemoteErrorKind::Denied(text),
            // "Failure" means anything, a busy server too.
            _ => RemoteErrorKind::Busy(text),
        }
    }
}

/// The request that an answer is to, and the answer. `frame` is a packet without its length. Version has no request: 0.
pub(super) fn read(frame: Bytes) -> Result<(u32, Answer), RemoteErrorKind> {
    let kind = frame.first().copied();
    parse(frame).ok_or_else(|| match kind {
        Some(kind) => broken(format!("its packet of type {kind} is malformed")),
        None => broken("its packet is empty"),
    })
}

/// The server does not keep to the protocol.
pub(super) fn broken(what: impl Into<String>) -> RemoteErrorKind {
    RemoteErrorKind::Protocol { protocol: "SFTP", what: what.into() }
}

fn parse(mut frame: Bytes) -> Option<(u32, Answer)> {
    let kind = take_u8(&mut frame)?;
    if kind == VERSION {
        // Extensions follow. None is needed.
        return Some((0, Answer::Version(take_u32(&mut frame)?)));
    }
    let id = take_u32(&mut frame)?;
    let answer = match kind {
        STATUS => {
            let code = take_u32(&mut frame)?;
            // Old servers send no message.
            let message = take_string(&mut frame).unwrap_or_default();
            let message = String::from_utf8_lossy(&message).into_owned();
            Answer::Status(Status { code, message })
        }
        HANDLE => Answer::Handle(take_string(&mut frame)?),
        DATA => Answer::Data(take_string(&mut frame)?),
        ATTRS => attributes(&mut frame)?,
        _ => return None,
    };
    Some((id, answer))
}

fn attributes(frame: &mut Bytes) -> Option<Answer> {
    let flags = take_u32(frame)?;
    let size_bytes = if flags & HAS_SIZE == 0 { None } else { Some(take_u64(frame)?) };
    if flags & HAS_OWNERS != 0 {
        take_u64(frame)?;
    }
    let permissions = if flags & HAS_PERMISSIONS == 0 { 0 } else { take_u32(frame)? };
    let mut modified_secs = None;
    if flags & HAS_TIMES != 0 {
        let _accessed = take_u32(frame)?;
        modified_secs = Some(i64::from(take_u32(frame)?));
    }
    let is_folder = permissions & FILE_TYPE == FOLDER;
    Some(Answer::Attributes { version: Version { size_bytes, modified_secs }, is_folder })
}

fn take_u8(frame: &mut Bytes) -> Option<u8> {
    frame.has_remaining().then(|| frame.get_u8())
}

fn take_u32(frame: &mut Bytes) -> Option<u32> {
    (frame.remaining() >= 4).then(|| frame.get_u32())
}

fn take_u64(frame: &mut Bytes) -> Option<u64> {
    (frame.remaining() >= 8).then(|| frame.get_u64())
}

fn take_string(frame: &mut Bytes) -> Option<Bytes> {
    let length = take_u32(frame)? as usize;
    (frame.remaining() >= length).then(|| frame.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_the_protocol_says() {
        assert_eq!(Request::init(), [0, 0, 0, 5, 1, 0, 0, 0, 3]);
        let read = Request::read(7, b"h", 256, 9);
        let expected =
            [0, 0, 0, 22, 5, 0, 0, 0, 7, 0, 0, 0, 1, b'h', 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9];
        assert_eq!(read, expected);
    }

    #[test]
    fn answers_are_read_and_what_is_none_is_refused() {
        let data = Bytes::from_static(&[103, 0, 0, 0, 7, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(read(data).unwrap(), (7, Answer::Data(Bytes::from_static(b"ab"))));
        let attributes = [
            105, 0, 0, 0, 7, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0x41, 0, 0, 0, 0, 1, 0, 0,
            0, 2,
        ];
        let version = Version { size_bytes: Some(9), modified_secs: Some(2) };
        let expected = Answer::Attributes { version, is_folder: true };
        assert_eq!(read(Bytes::copy_from_slice(&attributes)).unwrap(), (7, expected));
        let bare = Bytes::from_static(&[101, 0, 0, 0, 7, 0, 0, 0, 2]);
        let (_, Answer::Status(status)) = read(bare).unwrap() else { panic!("a status") };
        assert!(matches!(status.into_error(), RemoteErrorKind::NotFound(_)));
        for bad in [&[][..], &[103], &[103, 0, 0, 0, 7, 0, 0, 0, 3, b'a', b'b'], &[99, 0, 0, 0, 7]]
        {
            let error = read(Bytes::copy_from_slice(bad)).unwrap_err();
            assert!(matches!(error, RemoteErrorKind::Protocol { .. }), "{bad:?}: {error}");
        }
    }
}
