//! Text in any encoding under any label. The first byte chooses the pipe's label, the first line behind it is
//! the `Content-Type`.
#![no_main]

use feedfleet_feed::{Hints, Settings};
use feedfleet_fuzz::{MAP, read, settings};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::sync::LazyLock;

/// None leaves it to the bytes.
const LABELS: [Option<&str>; 9] = [
    None,
    Some("utf-8"),
    Some("ks_c_5601-1987"),
    Some("shift_jis"),
    Some("iso-2022-jp"),
    Some("gb18030"),
    Some("windows-1252"),
    Some("utf-16le"),
    Some("utf-16be"),
];

static PIPES: LazyLock<Vec<Settings>> = LazyLock::new(|| {
    let of = |label: &Option<&str>| {
        let label = label.map_or_else(String::new, |label| format!("encoding = \"{label}\""));
        settings(&format!("format = \"csv\"\ncompression = \"none\"\n{label}"), MAP)
    };
    LABELS.iter().map(of).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some(line) = rest.iter().position(|byte| *byte == b'\n') else { return };
    let content_type = String::from_utf8_lossy(&rest[..line]).into_owned();
    let feed = rest[line + 1..].to_vec();
    let bytes = feed.len() as u64;
    let hints = Hints { content_type: Some(content_type) };
    let (_, stats) = read(Cursor::new(feed), &PIPES[usize::from(*choice) % PIPES.len()], hints);
    if let Some(stats) = stats {
        assert!(!stats.encoding.is_empty());
        assert!(stats.source_bytes <= bytes);
        // One byte can spoil one character at most, and be taken out once; the end can lack one more.
        assert!(stats.replaced_characters + stats.control_characters <= bytes + 1, "{stats:?}");
    }
});
