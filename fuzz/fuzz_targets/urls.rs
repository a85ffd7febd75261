//! The guard on addresses: what it lets through is a public place, however it is written.
#![no_main]

use feedfleet_http::{GuardPolicy, check_url, is_public, redacted};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let policy = GuardPolicy::default();
    let url = match check_url(&policy, text) {
        Ok(url) => url,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(matches!(url.scheme(), "http" | "https"), "{url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    let host = url.host_str().expect("it has a host");
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        assert!(is_public(address), "{url}");
    }
    let port = url.port_or_known_default().expect("http has a port");
    assert!(policy.allowed_ports.allows(port), "{url}");
    // What is asked for is what was checked.
    assert!(check_url(&policy, url.as_str()).is_ok_and(|again| again == url), "{url}");
    assert!(!redacted(&url).is_empty());
});
