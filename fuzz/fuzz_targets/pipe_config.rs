//! The text of a pipe's file: it is taken and can be used, or each mistake says where it is and shows no
//! variable's value.
#![no_main]

use chrono::DateTime;
use feedfleet_config::parse_pipe;
use feedfleet_feed::Settings;
use feedfleet_fuzz::{assert_told, environment};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = "fuzz".parse().expect("it is a pipe's name");
    match parse_pipe(&name, text, Path::new("/fleet"), &environment()) {
        Ok(pipe) => {
            // An encoding that nobody knows, or a mapping without an id, is told when the feed is opened.
            if let Err(error) = Settings::of(&pipe) {
                assert!(!error.to_string().is_empty());
            }
            let at = DateTime::from_timestamp(1_774_000_000, 0).expect("chrono knows this year");
            assert!(pipe.next_run_after(at).is_none_or(|next| next > at));
        }
        Err(mistakes) => assert_told(&mistakes, text),
    }
});
