//! Compressed feeds: gzip, Zstandard and zip, in each other too, damaged in any way.
#![no_main]

use feedfleet_feed::{Hints, Settings};
use feedfleet_fuzz::{MAP, MAX_INFLATED_BYTES, Pieces, read, settings};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::sync::LazyLock;

/// Bytes that may come in one go past a limit, before it is noticed.
const CHUNK_BYTES: u64 = 256 * 1024;

static PIPE: LazyLock<Settings> = LazyLock::new(|| settings("format = \"csv\"", MAP));

fuzz_target!(|data: &[u8]| {
    let (reading, stats) = read(Cursor::new(data.to_vec()), &PIPE, Hints::default());
    if let Some(stats) = stats {
        assert!(stats.decoded_bytes <= MAX_INFLATED_BYTES + CHUNK_BYTES, "{stats:?}");
        assert!(stats.compression.len() <= 2, "{stats:?}");
    }
    let piece_bytes = 1 + data.len() % 7;
    let (again, _) = read(Pieces::new(data.to_vec(), piece_bytes), &PIPE, Hints::default());
    if reading.has_failed() || again.has_failed() {
        // How much comes out before the damage depends on the pieces; that there is damage does not.
        assert!(!reading.is_whole() && !again.is_whole(), "in pieces of {piece_bytes}");
    } else {
        assert_eq!(reading, again, "in pieces of {piece_bytes}");
    }
});
