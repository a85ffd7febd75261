//! A source that nobody knows. Whatever it is, what is proposed for it can be loaded as a pipe.
#![no_main]

use feedfleet_config::Location;
use feedfleet_feed::Hints;
use feedfleet_feed::detect::detect;
use feedfleet_fuzz::pipe;
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|data: &[u8]| {
    let location = Location::File("source".into());
    let input = Box::new(Cursor::new(data.to_vec()));
    if let Ok(found) = detect(input, &Hints::default(), &location) {
        let text = found.to_toml("source");
        assert!(pipe(&text).is_ok(), "{text}");
    }
});
