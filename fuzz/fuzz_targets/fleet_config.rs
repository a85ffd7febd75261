//! The text of `fleet.toml`: it is taken, or each mistake says where it is and shows no variable's value.
#![no_main]

use feedfleet_config::parse_fleet;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::path::Path;

const SECRET: &str = "hunter2";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let environment = BTreeMap::from([("SECRET".to_owned(), SECRET.to_owned())]);
    match parse_fleet(text, Path::new("/fleet"), &environment) {
        Ok(fleet) => {
            let shares = fleet.workers.memory_shares();
            assert!(shares.crawl_bytes > 0 && fleet.workers.max >= fleet.workers.min);
            for network in &fleet.http.allow_private {
                assert!(network.parse::<feedfleet_http::IpNet>().is_ok(), "{network}");
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            let told = mistakes.to_string();
            assert!(!told.contains(SECRET) || text.contains(SECRET), "{told}");
            let lines = text.lines().count() + 1;
            for mistake in &mistakes {
                assert!(mistake.line <= lines, "line {} of {lines}", mistake.line);
            }
        }
    }
});
