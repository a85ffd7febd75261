//! XML, by preset and by hand. The first byte chooses.
#![no_main]

use feedfleet_feed::Settings;
use feedfleet_fuzz::{MAP, read_twice, settings};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SHAPES: LazyLock<[Settings; 2]> = LazyLock::new(|| {
    [
        settings("format = \"google-xml\"\ncompression = \"none\"", ""),
        settings("format = \"xml\"\nitem = \"item\"\ncompression = \"none\"", MAP),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, feed)) = data.split_first() else { return };
    let (reading, again) = read_twice(feed, &SHAPES[usize::from(*choice) % SHAPES.len()]);
    // Where the parser takes up again after an error may depend on how much it had seen.
    if let Some(again) = again
        && reading.is_clean()
    {
        assert_eq!(reading, again);
    }
});
