//! Addresses in a pipe's own `url` that lead where nothing must be asked for. The good night is read from a
//! file, and the address comes after it.

use super::{Case, WORKER, check_all, good_night, night, payloads};
use feedfleet_tests::{Fleet, Server};

const REST: &str = "format = \"csv\"\n[map]\nid = \"sku\"\ntitle = \"name\"\n\
                    price = { field = \"price\", as = \"money\", currency = \"EUR\" }\n";

/// Promise 14: an address that is not public is refused in every spelling, and so are the ports of other
/// services, before anything is connected to.
#[test]
fn bad_addresses() {
    const INSIDE: &[&str] = &["address-refused", "which is not a public address"];
    const PORT: &[&str] = &["address-refused", "port 6379 is not allowed"];
    let server = Server::of(payloads::csv(3));
    let base_url = server.base_url();
    let port = base_url.rsplit(':').next().expect("a base URL has a port");
    let rows = [
        ("short", format!("http://127.1:{port}/feed"), INSIDE),
        ("decimal", format!("http://2130706433:{port}/feed"), INSIDE),
        ("hexadecimal", format!("http://0x7f.1:{port}/feed"), INSIDE),
        ("octal", format!("http://0177.0.0.1:{port}/feed"), INSIDE),
        ("name", format!("http://localhost:{port}/feed"), INSIDE),
        ("loopback", format!("http://[::ffff:127.0.0.1]:{port}/feed"), INSIDE),
        ("mapped", "http://[::ffff:a9fe:a9fe]/feed".to_owned(), INSIDE),
        ("nat64", "http://[64:ff9b::a9fe:a9fe]/feed".to_owned(), INSIDE),
        ("six-to-four", "http://[2002:a9fe:a9fe::]/feed".to_owned(), INSIDE),
        ("shared", "http://100.64.0.1/feed".to_owned(), INSIDE),
        ("service", "http://8.8.8.8:6379/feed".to_owned(), PORT),
    ];
    let fleet = Fleet::with_fleet_toml(WORKER);
    fleet.write("products.csv", payloads::csv(3));
    let write = |name: &str, url: &str| {
        fleet.pipe(name, &format!("[source]\nurl = \"{url}\"\n{REST}"));
    };
    rows.iter().for_each(|(name, _, _)| write(name, "products.csv"));
    let mut worker = fleet.spawn(&["worker"]);
    let pipes = rows.each_ref().map(|(name, _, _)| *name);
    let before = good_night(&fleet, &pipes);
    rows.iter().for_each(|(name, url, _)| write(name, url.as_str()));
    night(&fleet, &pipes);

    let cases = rows.each_ref().map(|(name, _, says)| Case::new(name, "dead", says));
    check_all(&fleet, &cases, &before);
    assert_eq!(server.hits("/feed"), 0);
    assert!(worker.is_running(), "{}", worker.stderr());
}
