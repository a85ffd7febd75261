//! Sources that are not on the web, and sources that ask who comes.

use crate::faults::support::{SOON, fleet, settled, stop};
use feedfleet_tests::remote::{FtpServer, FtpTls, FtpTraits, PASSWORD, SftpServer, Shelf, USER};
use feedfleet_tests::{Fleet, Output, Reply, Running, Server, eventually};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

const MAP: &str = "[map]\nid = \"sku\"\ntitle = \"name\"\n[images]\nmirror = false\n";
const CSV: &str = "sku,name\n1,Lamp\n2,Chair\n";
/// A time of change that is long past.
const SETTLED_SECS: u32 = 1_700_000_000;
/// A part of a raw snapshot.
const PART_BYTES: u64 = 4 << 20;

fn pipe(url: &str, rest: &str) -> String {
    format!("[source]\nurl = \"{url}\"\nformat = \"csv\"\n{rest}\n{MAP}")
}

/// Runs a command that knows the password, tells all, and must not tell that.
fn run(fleet: &Fleet, arguments: &[&str]) -> Output {
    let mut command = fleet.command(&[&["--log", "trace"][..], arguments].concat());
    command.env("SHOP_PASSWORD", PASSWORD);
    let output = fleet.finish(command);
    assert!(!output.all().contains(PASSWORD), "{arguments:?}: {}", output.all());
    output
}

fn nothing_is_kept(fleet: &Fleet) {
    for (path, bytes) in fleet.files() {
        let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!found, "the password is in {}", path.display());
    }
}

#[test]
fn a_feed_comes_by_sftp_and_an_unchanged_one_does_not_come_again() {
    let shelf = Shelf::default();
    shelf.put("/out/feed.csv", CSV, SETTLED_SECS);
    let server = SftpServer::start(&shelf);
    let fleet = Fleet::new();
    let auth = "auth = { password = \"${SHOP_PASSWORD}\" }";
    let url = server.url("/out/feed.csv");

    // Without a host key nothing is said to the server; what was met can be saved.
    fleet.pipe("shop", &pipe(&url, auth));
    let told = format!("host_key = \"{}\"", server.host_key());
    let report = run(&fleet, &["run", "shop", "--wait", "--json"]).failed().json();
    assert_eq!(report["reason"]["class"], "source-refused", "{report:#}");
    assert!(report["reason"]["message"].as_str().is_some_and(|m| m.contains(&told)), "{report:#}");
    run(&fleet, &["doctor"]).failed().says(&[told.as_str(), "broken   source shop"]);
    let detect = || {
        let mut command = fleet.command(&["pipes", "detect", "--pipe", "shop"]);
        command.env("SHOP_PASSWORD", PASSWORD);
        fleet.finish(command)
    };
    let refused = detect().failed().says(&[told.as_str()]).all();
    assert_eq!(refused.matches("sftp://").count(), 1, "{refused}");
    assert!(shelf.logins().is_empty());

    fleet.pipe("shop", &pipe(&url, &format!("{auth}\n{told}")));
    let found = detect().ok().stderr;
    assert!(found.contains("transport: the transfer"), "{found}");
    run(&fleet, &["doctor"]).says(&["answered in", "24 B"]);
    run(&fleet, &["pipes", "preview", "shop"]).ok().says(&["Lamp"]);
    let report = run(&fleet, &["run", "shop", "--wait", "--json"]).ok().json();
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["counts"]["new"], 2, "{report:#}");
    assert_eq!(report["source"]["complete"], true, "{report:#}");
    let location = report["source"]["location"].as_str().expect("a source has a place");
    assert!(location.starts_with("sftp://127.0.0.1:") && !location.contains(USER), "{location}");

    let transfers = shelf.transfers().len();
    let report = run(&fleet, &["run", "shop", "--wait", "--json"]).ok().json();
    assert_eq!(report["source"]["not_modified"], true, "{report:#}");
    assert_eq!(shelf.transfers().len(), transfers, "no byte of it was asked for");

    shelf.put("/out/feed.csv", format!("{CSV}3,Table\n"), SETTLED_SECS + 60);
    let report = run(&fleet, &["run", "shop", "--wait", "--json"]).ok().json();
    assert_eq!(report["counts"]["new"], 1, "{report:#}");
    nothing_is_kept(&fleet);
}

#[test]
fn a_feed_comes_by_ftp_with_and_without_tls() {
    for tls in [FtpTls::None, FtpTls::Implicit, FtpTls::Explicit] {
        let shelf = Shelf::default();
        shelf.put("feed.csv", CSV, SETTLED_SECS);
        let server = FtpServer::start(&shelf, FtpTraits { tls, ..FtpTraits::default() });
        let fleet = Fleet::new();
        let auth = "auth = { password = \"${SHOP_PASSWORD}\" }";
        fleet.pipe("shop", &pipe(&server.url("feed.csv"), auth));
        let mut command = fleet.command(&["--log", "trace", "run", "shop", "--wait", "--json"]);
        let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/tls/ca.pem");
        command.env("SHOP_PASSWORD", PASSWORD).env("SSL_CERT_FILE", ca);
        let output = fleet.finish(command);
        assert!(!output.all().contains(PASSWORD), "{}", output.all());
        let report = output.ok().json();
        assert_eq!(report["counts"]["new"], 2, "{tls:?}: {report:#}");
        nothing_is_kept(&fleet);
    }
}

#[test]
fn a_server_that_wants_tls_in_another_way_is_told_with_the_way() {
    let shelf = Shelf::default();
    shelf.put("feed.csv", CSV, SETTLED_SECS);
    let tls = FtpTls::Explicit;
    let server = FtpServer::start(&shelf, FtpTraits { tls, ..FtpTraits::default() });
    let fleet = Fleet::new();
    for (scheme, says) in [("ftp", "the server wants TLS"), ("ftps", "does not begin with TLS")] {
        let url = server.url("feed.csv").replace("ftpes://", &format!("{scheme}://"));
        fleet.pipe("shop", &pipe(&url, "auth = { password = \"${SHOP_PASSWORD}\" }"));
        let report = run(&fleet, &["run", "shop", "--wait", "--json"]).failed().json();
        assert_eq!(report["reason"]["class"], "configuration", "{report:#}");
        let message = report["reason"]["message"].to_string();
        assert!(message.contains(says) && message.contains("ftpes://"), "{message}");
        assert!(!message.contains("credentials"), "{message}");
    }
    assert!(shelf.logins().is_empty());
}

#[test]
fn who_asks_is_told_to_the_source_and_to_nobody_else() {
    let elsewhere = Server::start(|_, headers| {
        let is_told = headers.iter().any(|(name, _)| name == "authorization");
        if is_told { Reply::status(418) } else { Reply::ok(CSV) }
    });
    let away = format!("{}/feed", elsewhere.base_url());
    let server = Server::start(move |path, headers| {
        let told = headers.iter().find(|(name, _)| name == "authorization");
        match (path, told.map(|(_, value)| value.as_str())) {
            // "partner:open-sesame-2209"
            ("/basic", Some("Basic cGFydG5lcjpvcGVuLXNlc2FtZS0yMjA5")) => Reply::ok(CSV),
            ("/bearer", Some(token)) if token == format!("Bearer {PASSWORD}") => Reply::ok(CSV),
            ("/away", Some(_)) => Reply::status(302).header("Location", away.as_str()),
            _ => Reply::status(401),
        }
    });
    let fleet = Fleet::new();
    let basic =
        format!("auth = {{ basic = {{ user = \"{USER}\", password = \"${{SHOP_PASSWORD}}\" }} }}");
    let bearer = "auth = { bearer = \"${SHOP_PASSWORD}\" }";
    for (name, auth) in [("basic", basic.as_str()), ("bearer", bearer), ("away", bearer)] {
        fleet.pipe(name, &pipe(&format!("{}/{name}", server.base_url()), auth));
        let report = run(&fleet, &["run", name, "--wait", "--json"]).ok().json();
        assert_eq!(report["counts"]["new"], 2, "{name}: {report:#}");
    }
    assert_eq!(elsewhere.hits("/feed"), 1);
    fleet.pipe("basic", &pipe(&format!("{}/basic", server.base_url()), bearer));
    let report = run(&fleet, &["run", "basic", "--wait", "--json"]).failed().json();
    let message = report["reason"]["message"].to_string();
    assert!(message.contains("401") && message.contains("credentials"), "{message}");
    nothing_is_kept(&fleet);
}

const REGION: (&str, &str) = ("AWS_REGION", "eu-west-1");
const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "none"), ("AWS_SECRET_ACCESS_KEY", "none")];

/// Runs a command on a pipe whose feed is in a bucket. It knows `known` of AWS and nothing of whoever runs the test.
fn ask_a_bucket(arguments: &[&str], known: &[(&str, &str)]) -> Output {
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe("s3://acme-feeds/feed.csv", ""));
    without_aws(&fleet, arguments, known)
}

/// Runs a command that knows `known` of AWS, and whom no service answers.
fn without_aws(fleet: &Fleet, arguments: &[&str], known: &[(&str, &str)]) -> Output {
    let mut command = fleet.command(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.envs([
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]);
    command.envs(known.iter().copied());
    fleet.finish(command)
}

/// What a build with AWS says, or else how to make one. Which of them the binary is shows in what it says of a fleet that
/// keeps its objects in a bucket.
fn by_build(with_aws: &'static str) -> &'static str {
    let fleet = Fleet::with_fleet_toml("[objects]\nurl = \"s3://acme-fleet/objects\"\n");
    let told = without_aws(&fleet, &["runs", "list"], &[]).failed().all();
    if told.contains("this build has no AWS in it") { "--features aws" } else { with_aws }
}

#[test]
fn an_object_in_a_bucket_needs_a_build_with_aws() {
    let output = ask_a_bucket(&["pipes", "preview", "shop"], &[REGION, KEYS[0], KEYS[1]]);
    output.failed().says(&["s3://acme-feeds/feed.csv", by_build("GetObject")]);
}

#[test]
fn a_bucket_in_no_region_is_not_asked_again() {
    let report = ask_a_bucket(&["run", "shop", "--wait", "--json"], &KEYS).failed().json();
    assert_eq!(report["reason"]["class"], "configuration", "{report:#}");
    let message = report["reason"]["message"].to_string();
    assert!(message.contains(by_build("AWS_REGION")), "{message}");
    assert_eq!(report["attempts"].as_array().map(Vec::len), Some(1), "{report:#}");
}

#[test]
fn a_bucket_without_credentials_says_where_they_are_looked_for() {
    let output = ask_a_bucket(&["pipes", "preview", "shop"], &[REGION]);
    let output = output.failed().says(&[by_build("no credentials were found")]);
    assert!(!output.all().contains("the server"), "no server was asked: {}", output.all());
}

/// Promise 1: when a worker is killed in the middle of a long file, the next one asks for the rest only.
#[test]
fn killed_in_the_middle_of_a_long_file() {
    let long = feed();
    let shelf = Shelf::default();
    shelf.put("/feed.csv", long.clone(), SETTLED_SECS);
    shelf.pause(Duration::from_millis(10));
    let server = SftpServer::start(&shelf);
    let fleet = fleet("visibility = \"10s\"", "max = 2");
    let rest = format!(
        "auth = {{ password = \"${{SHOP_PASSWORD}}\" }}\nhost_key = \"{}\"",
        server.host_key()
    );
    fleet.pipe("shop", &pipe(&server.url("/feed.csv"), &rest));
    let mut command = fleet.command(&["run", "shop", "--json"]);
    command.env("SHOP_PASSWORD", PASSWORD);
    let report = fleet.finish(command).ok().json();
    let run = report["run"].as_i64().expect("a run has a number");

    let mut killed = worker(&fleet);
    eventually(SOON, "two parts in the archive", || {
        (archived_bytes(&fleet, run) >= 2 * PART_BYTES).then_some(())
    });
    killed.signal("KILL");
    killed.wait(SOON);
    shelf.pause(Duration::ZERO);

    let mut worker = worker(&fleet);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    let transfers = shelf.transfers();
    assert_eq!((transfers.len(), transfers[0]), (2, 0), "{transfers:?}");
    assert!(transfers[1] >= 2 * PART_BYTES, "{transfers:?}");
    assert_eq!(report["source"]["resumed_at_bytes"], transfers[1], "{report:#}");
    assert_eq!(archived_bytes(&fleet, run), long.len() as u64, "the archive is the feed");
    assert_eq!(fleet.products("shop").len(), long.lines().count() - 1);
    stop(&mut worker);
}

/// Promise 3: a file that is written anew while it is read is not taken, though all its bytes have come: neither by the
/// attempt that read it, nor by the next one, which has them at hand.
#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let shelf = Shelf::default();
    shelf.put("feed.csv", CSV, SETTLED_SECS);
    shelf.pause(Duration::from_secs(3));
    let server = FtpServer::start(&shelf, FtpTraits::default());
    let fleet = fleet("visibility = \"10s\"", "max = 2");
    let auth = "auth = { password = \"${SHOP_PASSWORD}\" }";
    fleet.pipe("shop", &pipe(&server.url("feed.csv"), auth));
    let mut command = fleet.command(&["run", "shop", "--json"]);
    command.env("SHOP_PASSWORD", PASSWORD);
    let report = fleet.finish(command).ok().json();
    let run = report["run"].as_i64().expect("a run has a number");

    let mut worker = worker(&fleet);
    eventually(SOON, "a transfer", || (!shelf.transfers().is_empty()).then_some(()));
    // As long as the one that is on its way.
    shelf.put("feed.csv", CSV.replace("Lamp", "Desk"), SETTLED_SECS + 60);
    shelf.pause(Duration::ZERO);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["attempts"].as_array().map(Vec::len), Some(2), "{report:#}");
    assert_eq!(shelf.transfers(), [0, 0]);
    let products = fleet.products("shop");
    let titles: Vec<&str> = products.iter().map(|product| product.title()).collect();
    assert_eq!(titles, ["Desk", "Chair"]);
    stop(&mut worker);
}

fn worker(fleet: &Fleet) -> Running {
    let mut command = fleet.command(&["worker"]);
    command.env("SHOP_PASSWORD", PASSWORD);
    fleet.start(command)
}

fn archived_bytes(fleet: &Fleet, run: i64) -> u64 {
    let folder = fleet.path(&format!("var/objects/raw/shop/{run:012}"));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let parts = entries.filter(|entry| entry.file_name() != "facts.json");
    parts.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// A feed of 24 MiB.
fn feed() -> String {
    let text = "long ".repeat(400);
    let mut feed = "sku,name\n".to_owned();
    for n in 0..12_000 {
        writeln!(feed, "{n},Product {n} {text}").expect("text can be written");
    }
    feed
}
