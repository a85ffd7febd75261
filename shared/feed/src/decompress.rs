//! Undoes compression on a thread of its own, so that inflating and parsing each have a core. Bombs are
//! stopped here, by size and by ratio.

use crate::bytes::{CHUNK_BYTES, Counters, StreamEnd, read_full};
use crate::error::FeedError;
use crate::gzip::GzipMembers;
use crate::zip;
use feedfleet_config::Compression;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Chunks that wait for the parser.
const QUEUED_CHUNKS: usize = 4;
/// A `.gz` may have been compressed once more on its way; more than that is an attack.
const MAX_LAYERS: usize = 2;
/// Bytes out for one byte in. Real feeds reach 30, repetitive XML 100.
const MAX_RATIO: u64 = 500;
/// Below this many bytes out the ratio does not matter.
const RATIO_FROM_BYTES: u64 = 16 << 20;

/// What zstd says of frames that are whole, and that it will not decode on any other try either: they need a
/// window of more than 128 MiB, a dictionary, a newer release of it, or one that is much older.
const NOT_DECODED: [&str; 4] = [
    "Frame requires too much memory for decoding",
    "Dictionary mismatch",
    "Unsupported frame parameter",
    "Version not supported",
];

/// What the thread sends.
pub(crate) enum Message {
    /// The next bytes.
    Chunk(Vec<u8>),
    /// What comes next is a further file of the archive, of this name.
    File(String),
    /// There are no more.
    End(StreamEnd),
    /// There won't be more.
    Failed(FeedError),
}

/// Why inflating stops early.
pub(crate) enum Failure {
    /// Nobody reads the bytes any more.
    Unwanted,
    /// The input ends too early: what came so far is good.
    Cut(String),
    /// The feed can't be read.
    Fatal(FeedError),
}

/// Where the inflated bytes go.
pub(crate) struct Sink {
    sender: SyncSender<Message>,
    counters: Arc<Counters>,
    max_bytes: u64,
    written: u64,
    pub(crate) end: StreamEnd,
}

/// The compression that data with these first bytes has.
pub(crate) fn sniff(head: &[u8]) -> Option<Compression> {
    match head {
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
        // Local file header, or the end record of an archive without files.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Compression::Zip),
        _ => None,
    }
}

/// Starts the thread. It ends with its input, or when the receiver is dropped.
pub(crate) fn spawn(
    mut input: Box<dyn Read + Send>,
    kind: Compression,
    counters: Arc<Counters>,
    max_bytes: u64,
) -> Result<Receiver<Message>, FeedError> {
    let (sender, receiver) = sync_channel(QUEUED_CHUNKS);
    let mut sink = Sink { sender, counters, max_bytes, written: 0, end: StreamEnd::default() };
    let work = move || {
        let message = match inflate(&mut *input, kind, 1, &mut sink) {
            Ok(()) => Message::End(sink.end),
            Err(Failure::Cut(reason)) => {
                Message::End(StreamEnd { cut: Some(reason), proof: None, ..sink.end })
            }
            Err(Failure::Fatal(error)) => Message::Failed(error),
            Err(Failure::Unwanted) => return,
        };
        // Nobody is told when nobody listens any more.
        sink.sender.send(message).ok();
    };
    std::thread::Builder::new()
        .name("inflate".to_owned())
        .spawn(work)
        .map_err(|source| FeedError::Io { source })?;
    Ok(receiver)
}

/// Undoes one layer of compression; `layer` counts from 1.
fn inflate(
    input: &mut dyn Read,
    kind: Compression,
    layer: usize,
    sink: &mut Sink,
) -> Result<(), Failure> {
    // Files of an archive may each have a layer of their own.
    if sink.end.layers.len() < layer {
        sink.end.layers.push(kind);
    }
    match kind {
        Compression::Gzip => {
            let mut members = GzipMembers::new(BufReader::with_capacity(CHUNK_BYTES, input));
            unpack(&mut members, layer, sink)?;
            drain(&mut members, sink)?;
            // A cut between two members can't be seen.
            sink.end.proof = (members.count() == 1).then_some("gzip trailer");
            Ok(())
        }
        Compression::Zstd => {
            let frames = zstd::stream::read::Decoder::new(input)
                .map_err(|error| sink.failure(error, "zstd"))?;
            // The decoder takes reads of a few bytes, one after another, for a lack of progress.
            let mut frames = BufReader::with_capacity(128 * 1024, frames);
            unpack(&mut frames, layer, sink)?;
            drain(&mut frames, sink)
        }
        Compression::Zip => zip::inflate(input, layer, sink),
        Compression::Auto | Compression::None => copy(input, sink),
    }
}

/// Sends what `input` gives, undoing one more layer of compression if there is one.
pub(crate) fn unpack(input: &mut dyn Read, layers: usize, sink: &mut Sink) -> Result<(), Failure> {
    let mut head = [0; 4];
    let read =
        read_full(input, &mut head).map_err(|error| sink.failure(error, "compressed data"))?;
    let found = sniff(&head[..read]);
    let mut whole = Cursor::new(head[..read].to_vec()).chain(input);
    match found {
        None => copy(&mut whole, sink),
        Some(kind) if layers < MAX_LAYERS => inflate(&mut whole, kind, layers + 1, sink),
        Some(_) => {
            let message = format!("compressed more than {MAX_LAYERS} times over");
            Err(Failure::Fatal(FeedError::limit(message)))
        }
    }
}

fn copy(input: &mut dyn Read, sink: &mut Sink) -> Result<(), Failure> {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut filled = 0;
        let error = loop {
            match input.read(&mut chunk[filled..]) {
                Ok(0) => break None,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        chunk.truncate(filled);
        let is_last = filled < CHUNK_BYTES;
        if filled > 0 {
            sink.send(chunk)?;
        }
        match error {
            Some(error) => return Err(sink.failure(error, "compressed data")),
            None if is_last => return Ok(()),
            None => {}
        }
    }
}

/// Reads on to the end, so that checksums are checked; keeps nothing.
pub(crate) fn drain(input: &mut dyn Read, sink: &mut Sink) -> Result<(), Failure> {
    let mut buffer = [0; 8192];
    loop {
        let read = read_full(input, &mut buffer)
            .map_err(|error| sink.failure(error, "compressed data"))?;
        if read == 0 {
            return Ok(());
        }
        sink.count(read)?;
    }
}

impl Sink {
    /// Says that a further file of the archive begins.
    pub(crate) fn begin_file(&self, name: &str) -> Result<(), Failure> {
        self.sender.send(Message::File(name.to_owned())).map_err(|_| Failure::Unwanted)
    }

    fn send(&mut self, chunk: Vec<u8>) -> Result<(), Failure> {
        self.count(chunk.len())?;
        self.sender.send(Message::Chunk(chunk)).map_err(|_| Failure::Unwanted)
    }

    fn count(&mut self, bytes: usize) -> Result<(), Failure> {
        self.written += bytes as u64;
        if self.written > self.max_bytes {
            let message = format!("inflates to more than {} bytes", self.max_bytes);
            return Err(Failure::Fatal(FeedError::limit(message)));
        }
        let allowed = self.counters.bytes().saturating_mul(MAX_RATIO);
        if self.written > RATIO_FROM_BYTES && self.written > allowed {
            let message = format!(
                "inflates to more than {MAX_RATIO} times its size, as no feed does: ask the partner for it as it is"
            );
            return Err(Failure::Fatal(FeedError::limit(message)));
        }
        Ok(())
    }

    /// What an error means: the source failed, its data ends early, is of a kind that can't be decoded, or is
    /// damaged.
    pub(crate) fn failure(&self, error: io::Error, what: &str) -> Failure {
        if self.counters.failed() {
            Failure::Fatal(FeedError::Io { source: error })
        } else if error.kind() == ErrorKind::UnexpectedEof {
            Failure::Cut(format!("{what}: {error}"))
        } else if NOT_DECODED.contains(&error.to_string().as_str()) {
            let message = format!("{what}: {error}; ask the partner for gzip");
            Failure::Fatal(FeedError::unsupported(message))
        } else {
            Failure::Fatal(FeedError::damaged(format!("{what}: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NOT_DECODED;
    use crate::bytes::{Bytes, CutOff};
    use crate::error::FeedError;
    use crate::testing::{gzip, zip_archive};
    use feedfleet_config::Compression;
    use std::io::{Cursor, Read};

    fn bytes(data: Vec<u8>, max: u64) -> Bytes {
        Bytes::open(Box::new(Cursor::new(data)), Compression::Auto, max).unwrap()
    }

    fn read(data: Vec<u8>) -> (Vec<u8>, Bytes) {
        let mut bytes = bytes(data, 1 << 30);
        let (mut all, mut chunk) = (Vec::new(), Vec::new());
        while bytes.next_chunk(&mut chunk).unwrap() {
            all.extend_from_slice(&chunk);
        }
        (all, bytes)
    }

    fn fails(data: Vec<u8>, max: u64) -> FeedError {
        let mut bytes = bytes(data, max);
        let mut chunk = Vec::new();
        loop {
            match bytes.next_chunk(&mut chunk) {
                Ok(true) => {}
                Ok(false) => panic!("it ended well"),
                Err(error) => return error,
            }
        }
    }

    /// Letters that compress to half their size.
    fn text(bytes: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut letter = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 28) as u8
        };
        (0..bytes).map(|_| letter()).collect()
    }

    #[test]
    fn every_compression_gives_back_its_bytes() {
        let plain = text(700_000);
        assert_eq!(read(plain.clone()).0, plain);
        for data in [
            gzip(&plain),
            zstd::encode_all(&plain[..], 1).unwrap(),
            zip_archive(&[("dir/", b""), ("__MACOSX/x", b"?"), ("feed.csv", &plain)], false),
            zip_archive(&[("feed.csv", &plain)], true),
            gzip(&gzip(&plain)),
        ] {
            let (all, bytes) = read(data);
            assert!(all == plain, "{:?}", bytes.end());
            assert_eq!(bytes.end().cut, None);
            assert_eq!(bytes.decoded_bytes(), 700_000);
        }
        assert_eq!(read(gzip(&gzip(&plain))).1.end().layers.len(), 2);
        assert_eq!(read(Vec::new()).0, b"");
    }

    #[test]
    fn one_gzip_member_is_proof_and_several_are_not() {
        assert_eq!(read(gzip(b"a")).1.end().proof, Some("gzip trailer"));
        let (all, bytes) = read([gzip(b"a"), gzip(b"b")].concat());
        assert_eq!((&all[..], bytes.end().proof), (&b"ab"[..], None));
        let (all, bytes) = read([gzip(b"a"), vec![0; 512]].concat());
        assert_eq!((&all[..], bytes.end().proof), (&b"a"[..], Some("gzip trailer")));
    }

    #[test]
    fn what_was_cut_says_so_and_gives_what_it_has() {
        let plain = text(400_000);
        for whole in [gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
            for end in [whole.len() / 2, whole.len() - 3] {
                let (all, bytes) = read(whole[..end].to_vec());
                assert!(bytes.end().cut.is_some(), "{:?}", bytes.end());
                assert_eq!(bytes.end().proof, None);
                assert!(plain.starts_with(&all));
            }
        }
        for deferred in [false, true] {
            let whole = zip_archive(&[("feed.csv", &plain)], deferred);
            for end in [whole.len() / 2, whole.len() - 30] {
                let (_, bytes) = read(whole[..end].to_vec());
                assert!(bytes.end().cut.is_some(), "{end} of {}", whole.len());
            }
        }
    }

    #[test]
    fn damage_is_no_short_feed() {
        let mut data = gzip(&text(400_000));
        let last = data.len() - 6;
        data[last] ^= 0xff;
        assert!(matches!(fails(data, 1 << 30), FeedError::Damaged { .. }));
        let mut data = zip_archive(&[("feed.csv", b"id\n1\n")], false);
        data[14] ^= 0xff;
        assert!(matches!(fails(data, 1 << 30), FeedError::Damaged { .. }));
    }

    #[test]
    fn what_no_other_try_can_unpack_says_so() {
        let archive = zip_archive(&[("feed.csv", b"id\n1\n")], false);
        // The first file's flags, and its method.
        for (place, value, says) in [
            (6, 1, "encrypted: ask the partner for one without password"),
            (8, 12, "compressed by method 12"),
        ] {
            let mut archive = archive.clone();
            archive[place] = value;
            let error = fails(archive, 1 << 30);
            assert!(matches!(error, FeedError::Unsupported { .. }), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
        // Stored, with its size behind it.
        let mut archive = zip_archive(&[("feed.csv", b"id\n1\n")], true);
        archive[8] = 0;
        let error = fails(archive, 1 << 30);
        assert!(error.to_string().contains("does not say how long it is"), "{error}");
    }

    /// They are known by zstd's words, which another release of it may change.
    #[test]
    fn what_zstd_will_not_decode_is_told_from_damage() {
        let frame =
            |header: &[u8], block: &[u8]| [&[0x28, 0xb5, 0x2f, 0xfd][..], header, block].concat();
        // Empty, and the last of its frame.
        let block = [1_u8, 0, 0];
        let whole = zstd::encode_all(&b"id\n1\n"[..], 1).unwrap();
        let frames: [Vec<u8>; NOT_DECODED.len()] = [
            // A window of 256 MiB.
            frame(&[0x00, 0x90], &block),
            // Dictionary 1.
            frame(&[0x01, 0x58, 0x01], &block),
            // The bit that is kept for later releases.
            frame(&[0x08, 0x58], &block),
            // Behind a frame of today, one of release 0.2.
            [&whole[..], &[0x22, 0xb5, 0x2f, 0xfd], &[0; 16]].concat(),
        ];
        for (says, frame) in NOT_DECODED.iter().zip(frames) {
            let error = fails(frame, 1 << 30);
            assert!(matches!(error, FeedError::Unsupported { .. }), "{says}: {error}");
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
        // A kind of block that there is not.
        let error = fails(frame(&[0x00, 0x58], &[7, 0, 0]), 1 << 30);
        assert!(matches!(error, FeedError::Damaged { .. }), "{error}");
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let data = gzip(&vec![b' '; 3 << 20]);
        assert!(matches!(fails(data, 1 << 20), FeedError::LimitExceeded { .. }));
        let data = gzip(&gzip(&gzip(b"x")));
        assert!(matches!(fails(data, 1 << 20), FeedError::LimitExceeded { .. }));
        // Within the size, but nothing that people send grows a thousandfold.
        let data = gzip(&vec![b' '; 20 << 20]);
        assert!(matches!(fails(data, 1 << 40), FeedError::LimitExceeded { .. }));
    }

    #[test]
    fn further_files_of_an_archive_are_named() {
        let files: &[(&str, &[u8])] = &[
            ("out/feed-1.csv", b"id\n1"),
            ("out/feed-1.txt", b"id\n2"),
            ("out/Feed (02).CSV", b"id\n3"),
            ("out/feed-3.csv.xml", b"<id/>"),
            ("out/feed_old.csv", b"id\n4"),
            ("out/fr/feed-4.csv", b"id\n5"),
        ];
        let (all, mut bytes) = read(zip_archive(files, true));
        assert_eq!(all, b"id\n1");
        assert_eq!(bytes.next_file().as_deref(), Some("out/Feed (02).CSV"));
        let mut chunk = Vec::new();
        assert!(bytes.next_chunk(&mut chunk).unwrap());
        assert_eq!(chunk, b"id\n3");
        assert!(!bytes.next_chunk(&mut chunk).unwrap());
        assert_eq!(bytes.next_file(), None);
        let others =
            ["out/feed-1.txt", "out/feed-3.csv.xml", "out/feed_old.csv", "out/fr/feed-4.csv"];
        assert_eq!(bytes.end().others, others);
        assert_eq!(bytes.end().proof, None);
        let error = fails(zip_archive(&[("dir/", b"")], false), 1 << 20);
        assert!(matches!(error, FeedError::NotAFeed { .. }));
    }

    struct Broken(fn() -> std::io::Error);

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err((self.0)())
        }
    }

    #[test]
    fn a_source_may_say_that_it_was_cut_off() {
        let cut_off = || std::io::Error::other(CutOff("half of it came".to_owned()));
        for start in [b"id\n1\n".to_vec(), gzip(b"id\n1\n")] {
            let input = Box::new(Cursor::new(start).chain(Broken(cut_off)));
            let mut bytes = Bytes::open(input, Compression::Auto, 1 << 30).unwrap();
            let (mut all, mut chunk) = (Vec::new(), Vec::new());
            while bytes.next_chunk(&mut chunk).unwrap() {
                all.extend_from_slice(&chunk);
            }
            assert_eq!(all, b"id\n1\n");
            assert_eq!(bytes.end().cut.as_deref(), Some("half of it came"));
            assert_eq!(bytes.end().proof, None);
        }
    }

    #[test]
    fn a_failing_source_is_not_a_short_one() {
        let broken = Broken(|| std::io::ErrorKind::UnexpectedEof.into());
        let start = gzip(&text(400_000))[..1000].to_vec();
        let input = Box::new(Cursor::new(start).chain(broken));
        let mut bytes = Bytes::open(input, Compression::Gzip, 1 << 30).unwrap();
        let mut chunk = Vec::new();
        let error = loop {
            match bytes.next_chunk(&mut chunk) {
                Ok(more) => assert!(more, "it ended well"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, FeedError::Io { .. }));
    }
}
