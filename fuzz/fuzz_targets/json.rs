//! JSON documents, and JSON by lines. The first byte chooses.
#![no_main]

use feedfleet_feed::Settings;
use feedfleet_fuzz::{MAP, read_twice, settings};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SHAPES: LazyLock<[Settings; 3]> = LazyLock::new(|| {
    [
        settings("format = \"json\"\ncompression = \"none\"", MAP),
        settings("format = \"json\"\nitems = \"/data/products\"\ncompression = \"none\"", MAP),
        settings("format = \"jsonl\"\ncompression = \"none\"", MAP),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, feed)) = data.split_first() else { return };
    let (reading, again) = read_twice(feed, &SHAPES[usize::from(*choice) % SHAPES.len()]);
    if let Some(again) = again {
        assert_eq!(reading, again);
    }
});
