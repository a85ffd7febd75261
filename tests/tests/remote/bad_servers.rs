//! Servers that speak something else, or nothing.

use super::Reader;
use feedfleet_http::{GuardPolicy, PortRule};
use feedfleet_remote::{Remote, RemoteErrorKind};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Schemes of servers that speak first, or both at once.
const SCHEMES: [&str; 3] = ["sftp", "ftp", "ftpes"];

/// A server that sends this to everybody, over and over if it is `endless`, and then only listens.
fn server(says: Vec<u8>, is_endless: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let says = says.clone();
            std::thread::spawn(move || {
                while stream.write_all(&says).is_ok() && is_endless {}
                let mut heard = [0; 1 << 10];
                while stream.read(&mut heard).is_ok_and(|bytes| bytes > 0) {}
            });
        }
    });
    port
}

fn reader(scheme: &str, port: u16) -> Reader {
    let mut reader = Reader::new(format!("{scheme}://partner@127.0.0.1:{port}/feed.csv"));
    reader.limits.first_byte = Duration::from_secs(2);
    reader
}

/// Promise 15: every input is bounded.
#[test]
fn garbage_is_a_clear_error_and_soon() {
    let long = "x".repeat(1 << 20).into_bytes();
    let lines = b"220-hello\r\n".to_vec();
    let http = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec();
    for (says, is_endless) in [(long, true), (lines, true), (vec![0; 4096], true), (http, false)] {
        let port = server(says, is_endless);
        for scheme in SCHEMES {
            let began = Instant::now();
            let refused = reader(scheme, port).refused();
            let is_told = matches!(
                refused,
                RemoteErrorKind::Protocol { .. }
                    | RemoteErrorKind::TimedOut(_)
                    | RemoteErrorKind::Broken { .. }
            );
            assert!(is_told, "{scheme}: {refused}");
            assert!(refused.to_string().len() < 1_000, "{scheme}: {refused}");
            assert!(began.elapsed() < Duration::from_secs(20), "{scheme} took too long");
        }
    }
}

#[test]
fn silence_is_not_waited_for_for_long() {
    let port = server(Vec::new(), false);
    for scheme in ["sftp", "ftp", "ftps", "ftpes"] {
        let refused = reader(scheme, port).refused();
        // Where TLS has not begun, the server may be waiting for that.
        let is_told = match scheme {
            "ftp" | "ftpes" => matches!(refused, RemoteErrorKind::NoGreeting),
            _ => matches!(refused, RemoteErrorKind::TimedOut(_)),
        };
        assert!(is_told, "{scheme}: {refused}");
        assert!(refused.is_retryable());
    }
    for half in ["220-Welcome\r\n", "220 Wel"] {
        let port = server(half.as_bytes().to_vec(), false);
        for scheme in ["ftp", "ftpes"] {
            let refused = reader(scheme, port).refused();
            assert!(matches!(refused, RemoteErrorKind::TimedOut(_)), "{scheme}: {refused}");
        }
    }
}

#[test]
fn nobody_there_is_told() {
    let port = feedfleet_tests::free_port();
    let refused = reader("sftp", port).refused();
    assert!(matches!(refused, RemoteErrorKind::Connect { .. }), "{refused}");
}

/// Promise 14: ports of other services are not reached.
#[test]
fn ports_of_other_services_are_refused() {
    let allow_private = vec!["127.0.0.0/8".parse().expect("it is a network")];
    for (scheme, port) in [("sftp", 25), ("ftp", 6379), ("ftps", 22)] {
        let mut reader = reader(scheme, port);
        let (allow_private, allowed_ports) = (allow_private.clone(), PortRule::Web);
        reader.remote = Remote::new(GuardPolicy { allow_private, allowed_ports });
        let refused = reader.refused();
        assert!(matches!(refused, RemoteErrorKind::Refused(_)), "{scheme}: {refused}");
    }
}
