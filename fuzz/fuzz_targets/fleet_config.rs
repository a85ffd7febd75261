//! The text of `fleet.toml`: it is taken, or each mistake says where it is and shows no variable's value.
#![no_main]

use feedfleet_config::parse_fleet;
use feedfleet_fuzz::{assert_told, environment};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_fleet(text, Path::new("/fleet"), &environment()) {
        Ok(fleet) => {
            let shares = fleet.workers.memory_shares();
            assert!(shares.crawl_bytes > 0 && fleet.workers.max >= fleet.workers.min);
            for network in &fleet.http.allow_private {
                assert_eq!(*network, network.trunc());
            }
        }
        Err(mistakes) => assert_told(&mistakes, text),
    }
});
