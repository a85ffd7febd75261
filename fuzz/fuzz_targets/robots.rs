//! A robots.txt, behind a first line that is the path asked for. Whatever it says: itself may be fetched, a crawler's name
//! means the same in capitals, and no wait is longer than a day.
#![no_main]

use feedfleet_site::Robots;
use feedfleet_site::robots::path_and_query;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (asked, body) = data.split_at(end);
    let asked = String::from_utf8_lossy(asked);
    let path = path_and_query(&asked);
    assert!(path.starts_with('/'), "{path}");
    let robots = Robots::parse(body.strip_prefix(b"\n").unwrap_or(body));
    for agent in ["Feedfleet", "Nobody"] {
        assert!(robots.allows(agent, "/robots.txt"));
        let capitals = agent.to_ascii_uppercase();
        assert_eq!(robots.allows(agent, &path), robots.allows(&capitals, &path), "{path}");
        assert_eq!(robots.delay(agent), robots.delay(&capitals));
        assert!(robots.delay(agent).is_none_or(|delay| delay <= DAY));
    }
    assert!(robots.sitemaps().iter().all(|sitemap| !sitemap.is_empty()));
    assert!(!robots.is_unreachable());
});
