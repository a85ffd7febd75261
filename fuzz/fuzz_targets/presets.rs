//! Formats that are known by name and are no plain tables: rows that belong together, JSON in cells, text in a frame,
//! tagged text, pages of JSON. The first byte chooses one.
#![no_main]

use feedfleet_feed::Settings;
use feedfleet_fuzz::{read_twice, settings};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static FORMATS: LazyLock<[Settings; 8]> = LazyLock::new(|| {
    let named =
        |format: &str| settings(&format!("compression = \"none\"\nformat = \"{format}\""), "");
    [
        named("shopify-csv"),
        named("shopify-json"),
        named("meta-csv"),
        named("naver-ep-legacy"),
        named("rakuten"),
        named("rakuten\"\nchanges_only = true\ndelimiter = \"|"),
        named("awin\"\nquoting = \"backslash"),
        named("cj-xml"),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, feed)) = data.split_first() else { return };
    let (reading, again) = read_twice(feed, &FORMATS[usize::from(*choice) % FORMATS.len()]);
    if let Some(again) = again {
        assert_eq!(reading, again);
    }
});
