//! CSV, TSV and their like, in the dialects that partners use. The first byte chooses one.
#![no_main]

use feedfleet_feed::Settings;
use feedfleet_fuzz::{MAP, read_twice, settings};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static DIALECTS: LazyLock<[Settings; 5]> = LazyLock::new(|| {
    let plain = |source: &str| format!("compression = \"none\"\n{source}");
    [
        settings(&plain("format = \"csv\""), MAP),
        settings(&plain("format = \"csv\"\ndelimiter = \";\"\ngroup = \"title\""), MAP),
        settings(&plain("format = \"tsv\"\nquoting = false\nkey = [\"id\", \"title\"]"), MAP),
        settings(&plain("format = \"google-tsv\""), ""),
        settings(&plain("format = \"naver-ep-summary\""), ""),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, feed)) = data.split_first() else { return };
    let (reading, again) = read_twice(feed, &DIALECTS[usize::from(*choice) % DIALECTS.len()]);
    if let Some(again) = again {
        assert_eq!(reading, again);
    }
});
