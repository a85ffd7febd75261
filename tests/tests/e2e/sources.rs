//! How the answers of sources are taken: what is unchanged, refused, cut short, absurd, or not allowed.

use chrono::DateTime;
use feedfleet_tests::{Fleet, Reply, Server, eventually};
use serde_json::Value;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MAP: &str = r#"
[map]
id = "sku"
title = "name"
price = { field = "price", as = "money", currency = "EUR" }
"#;

/// A partner whose answer the test changes, and a fleet with a pipe for it.
struct Partner {
    fleet: Fleet,
    server: Server,
    reply: Arc<Mutex<Reply>>,
}

impl Partner {
    fn new(reply: Reply) -> Self {
        let reply = Arc::new(Mutex::new(reply));
        let served = Arc::clone(&reply);
        let server = Server::start(move |_, headers| {
            let reply = served.lock().expect("no test panics in here").clone();
            let etag = reply.headers.iter().find(|(name, _)| name == "ETag");
            let known = headers.iter().find(|(name, _)| name == "if-none-match");
            let is_known =
                known.is_some_and(|(_, known)| etag.is_some_and(|(_, tag)| tag == known));
            if is_known { Reply::status(304) } else { reply }
        });
        let fleet = Fleet::new();
        fleet.pipe("shop", &Self::pipe(&server, MAP));
        Self { fleet, server, reply }
    }

    fn pipe(server: &Server, map: &str) -> String {
        format!("[source]\nurl = \"{}/feed\"\nformat = \"csv\"\n{map}", server.base_url())
    }

    fn answers(&self, reply: Reply) {
        *self.reply.lock().expect("no test panics in here") = reply;
    }

    /// Runs the pipe, which must go well.
    fn run(&self) -> Value {
        self.fleet.run_pipe("shop")
    }

    /// How many products are in the table.
    fn live(&self) -> usize {
        self.fleet.products("shop").len()
    }
}

/// A feed of this many products.
fn feed(count: u32) -> String {
    let mut feed = "sku,name,price\n".to_owned();
    for n in 0..count {
        writeln!(feed, "{n:03},Product {n},{n}.50").expect("text can be written");
    }
    feed
}

#[test]
fn an_unchanged_source_costs_one_request() {
    let partner = Partner::new(Reply::ok(feed(5)).header("ETag", "\"v1\""));
    partner.run();
    assert_eq!(partner.server.hits("/feed"), 1);
    let before = partner.fleet.products("shop");

    let report = partner.run();
    assert_eq!(partner.server.hits("/feed"), 2);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["source"]["not_modified"], true, "{report:#}");
    assert_eq!(report["counts"]["live"], 5, "{report:#}");
    assert_eq!(report["bytes"]["fetched"], 0, "{report:#}");
    assert_eq!(partner.fleet.products("shop"), before);

    // What the last complete run saw was read by another mapping: the whole feed must come.
    let map = MAP.replace("title = \"name\"", "title = \"name\"\nbrand = { const = \"Own\" }");
    partner.fleet.pipe("shop", &Partner::pipe(&partner.server, &map));
    let report = partner.run();
    assert_eq!(partner.server.hits("/feed"), 3);
    assert_eq!(report["source"]["not_modified"], false, "{report:#}");
    assert_eq!(report["counts"]["changed"], 5, "{report:#}");
    assert_eq!(partner.fleet.products("shop")[0].text("brand"), "Own");

    partner.answers(Reply::ok(feed(6)).header("ETag", "\"v2\""));
    let report = partner.run();
    assert_eq!(report["counts"]["new"], 1, "{report:#}");
}

#[test]
fn what_is_no_feed_ends_the_run_and_keeps_the_rows() {
    let partner = Partner::new(Reply::ok(feed(5)));
    partner.run();
    let before = partner.fleet.products("shop");
    let page = "<!DOCTYPE html><html><body>We'll be back soon</body></html>";
    for (reply, told) in [
        (Reply::ok(page).header("Content-Type", "text/html"), "a web page"),
        (Reply::ok(page).header("Content-Type", "text/csv"), "a web page"),
        (Reply::ok(""), "nothing"),
        (Reply::ok("\n \n"), "nothing"),
    ] {
        partner.answers(reply);
        let report = partner.fleet.run_pipe_dead("shop");
        assert_eq!(report["reason"]["class"], "not-a-feed", "{report:#}");
        assert!(report["reason"]["message"].to_string().contains(told), "{report:#}");
        assert_eq!(partner.fleet.products("shop"), before);
    }
    partner.answers(Reply::ok(feed(5)));
    assert_eq!(partner.run()["counts"]["unchanged"], 5);
}

#[test]
fn a_source_that_refuses_is_not_asked_again() {
    let partner = Partner::new(Reply::status(404));
    for (status, advice) in [(404, "url"), (410, "url"), (401, "credentials"), (403, "credentials")]
    {
        partner.answers(Reply::status(status));
        let before = partner.server.hits("/feed");
        let report = partner.fleet.run_pipe_dead("shop");
        assert_eq!(report["reason"]["class"], "source-refused", "{report:#}");
        let message = report["reason"]["message"].to_string();
        assert!(message.contains(&status.to_string()) && message.contains(advice), "{message}");
        assert_eq!(partner.server.hits("/feed"), before + 1);
    }
}

#[test]
fn a_busy_source_is_asked_again_when_it_said() {
    let calls = Mutex::new(0);
    let server = Server::start(move |_, _| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        match *calls {
            1 => Reply::status(503).header("Retry-After", "1"),
            _ => Reply::ok(feed(3)),
        }
    });
    let fleet = Fleet::new();
    fleet.pipe("shop", &Partner::pipe(&server, MAP));
    let run = fleet.run(&["run", "shop", "--wait"]).ok();
    run.says(&["it will be tried again", "503", "3 live"]);
    let report = fleet.report("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    let attempts = report["attempts"].as_array().map(Vec::len);
    assert_eq!(attempts, Some(2), "{report:#}");
    assert_eq!(report["attempts"][0]["end"]["outcome"], "retry", "{report:#}");
    assert_eq!(server.hits("/feed"), 2);
}

/// A run that waits for its next try says until when.
#[test]
fn a_run_that_waits_says_until_when() {
    let server = Server::start(|_, _| Reply::status(503).header("Retry-After", "1800"));
    let fleet = Fleet::new();
    fleet.pipe("shop", &Partner::pipe(&server, MAP));
    let worker = fleet.spawn(&["worker"]);
    fleet.run(&["run", "shop"]).ok();
    let report = eventually(Duration::from_secs(30), "a try has failed", || {
        let report = fleet.report("shop");
        (report["attempts"][0]["end"]["outcome"] == "retry").then_some(report)
    });
    drop(worker);
    let end = &report["attempts"][0]["end"];
    let time = |name: &str| DateTime::parse_from_rfc3339(end[name].as_str().unwrap()).unwrap();
    assert_eq!((time("next_at") - time("at")).num_seconds(), 1800, "{report:#}");
    let run = report["run"].to_string();
    let until = time("next_at").format("%H:%M:%S").to_string();
    fleet.run(&["runs", "show", "shop", &run]).ok().says(&["it waits until", &until, "503"]);
}

#[test]
fn a_feed_cut_short_loads_and_removes_nothing() {
    let partner = Partner::new(Reply::ok(feed(10)));
    partner.run();
    // Nine products, of which one is new and the last is cut; the length says that more was to come.
    let whole = feed(10).replace("000,Product 0,", "100,Product 100,");
    let cut = &whole[..whole.len() - 12];
    partner.answers(Reply::ok(cut).header("Content-Length", whole.len().to_string()));
    let report = partner.run();
    assert_eq!(report["state"], "held", "{report:#}");
    assert_eq!(report["source"]["complete"], false, "{report:#}");
    assert_eq!(report["counts"]["new"], 1, "{report:#}");
    assert_eq!(report["counts"]["removed"], 0, "{report:#}");
    assert_eq!(report["counts"]["held"], 2, "{report:#}");
    assert!(report["reason"]["message"].to_string().contains("not whole"), "{report:#}");
    assert_eq!(partner.live(), 11);

    // The next whole one settles it.
    partner.answers(Reply::ok(whole));
    let report = partner.run();
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["counts"]["removed"], 1, "{report:#}");
    assert_eq!(partner.live(), 10);
}

#[test]
fn more_removals_than_the_guard_allows_are_held() {
    let partner = Partner::new(Reply::ok(feed(10)));
    partner.run();
    partner.answers(Reply::ok(feed(6)));
    let report = partner.run();
    assert_eq!(report["state"], "held", "{report:#}");
    assert_eq!(report["counts"]["held"], 4, "{report:#}");
    assert_eq!(report["counts"]["live"], 10, "{report:#}");
    assert!(report["reason"]["message"].to_string().contains("max_removed"), "{report:#}");
    assert_eq!(partner.live(), 10);

    // Three of ten are just what it allows.
    partner.answers(Reply::ok(feed(7)));
    let report = partner.run();
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["counts"]["removed"], 3, "{report:#}");
    assert_eq!(partner.live(), 7);
}

#[test]
fn an_address_inside_is_refused_unless_it_is_allowed() {
    let server = Server::of(feed(3));
    let fleet = Fleet::with_fleet_toml("[leases]\nvisibility = \"10s\"\n");
    let port = server.base_url().rsplit(':').next().unwrap_or_default().to_owned();
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"] {
        let settings = format!("[source]\nurl = \"http://{host}:{port}/feed\"\nformat = \"csv\"\n");
        fleet.pipe("shop", &format!("{settings}{MAP}"));
        let report = fleet.run_pipe_dead("shop");
        assert_eq!(report["reason"]["class"], "address-refused", "{host}: {report:#}");
        let preview = fleet.run(&["pipes", "preview", "shop"]).failed();
        preview.says(&["address-refused"]);
    }
    assert_eq!(server.hits("/feed"), 0);
}

#[test]
fn a_redirect_leads_nowhere_that_is_not_allowed() {
    for target in ["http://10.1.2.3/feed", "http://169.254.169.254/latest", "http://[::1]/feed"] {
        let partner = Partner::new(Reply::status(302).header("Location", target));
        let report = partner.fleet.run_pipe_dead("shop");
        assert_eq!(report["reason"]["class"], "address-refused", "{target}: {report:#}");
        assert_eq!(partner.server.hits("/feed"), 1);
    }
}

#[test]
fn a_redirect_to_an_allowed_place_is_followed() {
    let server = Server::start(|path, _| match path {
        "/feed" => Reply::status(301).header("Location", "/moved"),
        _ => Reply::ok(feed(3)),
    });
    let fleet = Fleet::new();
    fleet.pipe("shop", &Partner::pipe(&server, MAP));
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 3);
    assert_eq!(server.hits("/moved"), 1);
}
