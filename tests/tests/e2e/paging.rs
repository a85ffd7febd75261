//! A Shopify shop's `/products.json`: page after page, whatever happens in between.

use crate::faults::support::{SOON, fleet, issue, kill_with_children, settled, stop};
use feedfleet_tests::{Fleet, Gate, Reply, Server, eventually};
use serde_json::Value;
use std::fs;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// A part of a raw snapshot: what a killed worker may lose.
const PART_BYTES: u64 = 4 << 20;

/// A page of these products, with so many bytes of description each.
fn page(ids: Range<u32>, title: &str, text_bytes: usize) -> String {
    let text = "x".repeat(text_bytes);
    let product = |id: u32| {
        format!(
            r#"{{"id":{id},"title":"{title} {id}","handle":"p{id}","body_html":"{text}","variants":[{{"id":{id}1,"price":"{id}.50","available":true}}],"images":[]}}"#
        )
    };
    format!(r#"{{"products":[{}]}}"#, ids.map(product).collect::<Vec<_>>().join(","))
}

/// Which page is asked for. None: that of a visitor who knows nothing of pages.
fn number(path: &str) -> Option<usize> {
    path.strip_prefix("/products.json?limit=250&page=")?.parse().ok()
}

fn path(number: usize) -> String {
    format!("/products.json?limit=250&page={number}")
}

/// The page of this number among these, or one without products.
fn reply(pages: &[String], number: usize) -> Reply {
    let body = number.checked_sub(1).and_then(|at| pages.get(at)).cloned();
    let body = body.unwrap_or_else(|| page(0..0, "", 0));
    Reply::ok(body).header("Content-Type", "application/json; charset=utf-8")
}

fn pipe(server: &Server) -> String {
    let url = server.base_url();
    format!(
        "[source]\nurl = \"{url}/products.json\"\nformat = \"shopify-json\"\ncurrency = \"EUR\"\n\
         [images]\nmirror = false\n"
    )
}

fn ids(fleet: &Fleet) -> Vec<String> {
    fleet.products("shop").into_iter().map(|product| product.id).collect()
}

/// Promise 12: all pages are one feed, and what is on none of them is gone.
#[test]
fn pages_are_one_feed() {
    let pages = vec![page(1..3, "Pan", 9), page(3..5, "Pan", 9), page(5..6, "Pan", 9)];
    let pages = Arc::new(Mutex::new(pages));
    let (served, busy) = (Arc::clone(&pages), Mutex::new(true));
    let server = Server::start(move |path, _| {
        let Some(number) = number(path) else { return Reply::status(418) };
        if number == 2 && std::mem::take(&mut *busy.lock().unwrap()) {
            return Reply::status(429).header("Retry-After", "1");
        }
        reply(&served.lock().unwrap(), number)
    });
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe(&server));
    let report = fleet.run_pipe("shop");
    assert_eq!(report["counts"]["new"], 5, "{report:#}");
    assert_eq!(report["source"]["complete"], true, "{report:#}");
    assert_eq!(report["attempts"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(ids(&fleet), ["11", "21", "31", "41", "51"]);
    let first = &fleet.products("shop")[0];
    assert_eq!(first.brief(), ("11", "Pan 1", 15_000));
    assert_eq!(first.text("link"), format!("{}/products/p1?variant=11", server.base_url()));
    // The busy one was asked again, in the same attempt; the one without products was the last.
    assert_eq!([1, 2, 3, 4, 5].map(|number| server.hits(&path(number))), [1, 2, 1, 1, 0]);

    pages.lock().unwrap().pop();
    let report = fleet.run_pipe("shop");
    assert_eq!(report["counts"]["removed"], 1, "{report:#}");
    assert_eq!(ids(&fleet), ["11", "21", "31", "41"]);

    // A run that reads what was archived asks for no page.
    let before = server.hits(&path(1));
    let run = report["run"].to_string();
    let replay = fleet.run(&["run", "shop", "--replay", &run, "--wait", "--json"]).ok().json();
    assert_eq!(replay["counts"]["unchanged"], 4, "{replay:#}");
    assert_eq!(replay["source"]["complete"], true, "{replay:#}");
    assert_eq!(server.hits(&path(1)), before);
    fleet.run(&["pipes", "preview", "shop"]).ok().says(&["Pan 1", "4 records read"]);
}

/// Promise 12: pages that do not come to their end remove nothing.
#[test]
fn pages_without_an_end_prove_no_absence() {
    let pages = [page(1..3, "Pan", 9), page(3..5, "Pan", 9), page(5..6, "Pan", 9)];
    let last = Arc::new(Mutex::new(None::<Reply>));
    let served = Arc::clone(&last);
    let server = Server::start(move |path, _| {
        let number = number(path).unwrap_or_default();
        let last = served.lock().unwrap().clone().filter(|_| number == 3);
        last.unwrap_or_else(|| reply(&pages, number))
    });
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe(&server));
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 5);
    for instead in [Reply::status(400), Reply::ok("<!doctype html><p>Wait a moment")] {
        *last.lock().unwrap() = Some(instead);
        let report = fleet.run_pipe("shop");
        assert_eq!(report["state"], "held", "{report:#}");
        assert_eq!(report["source"]["complete"], false, "{report:#}");
        assert_eq!(report["counts"]["seen"], 4, "{report:#}");
        assert_eq!(ids(&fleet).len(), 5);
    }
}

#[test]
fn a_server_that_knows_no_pages_is_refused() {
    let only = page(1..3, "Pan", 9);
    let server = Server::start(move |_, _| Reply::ok(only.as_bytes()));
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe(&server));
    let report = fleet.run_pipe_dead("shop");
    assert_eq!(report["reason"]["class"], "source-refused", "{report:#}");
    let message = report["reason"]["message"].to_string();
    assert!(message.contains("page 2 has the same products"), "{message}");
    assert_eq!([1, 2, 3].map(|number| server.hits(&path(number))), [1, 1, 0]);
}

#[test]
fn a_shop_that_hides_its_list_is_told_from_one_without_products() {
    let server = Server::start(|_, _| Reply::ok("<!doctype html><p>Opening soon"));
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe(&server));
    let report = fleet.run_pipe_dead("shop");
    assert_eq!(report["reason"]["class"], "not-a-feed", "{report:#}");
    assert_eq!(server.hits(&path(2)), 0);
}

#[test]
fn a_shops_list_is_detected_and_read_in_pages() {
    let pages = [page(1..4, "Pan", 9), page(4..5, "Pan", 9)];
    let server = Server::start(move |path, _| reply(&pages, number(path).unwrap_or(1)));
    let fleet = Fleet::new();
    let url = format!("{}/products.json", server.base_url());
    let toml = fleet.run(&["pipes", "detect", &url]).ok().stdout;
    assert!(
        toml.contains("format = \"shopify-json\"") && toml.contains("page after page"),
        "{toml}"
    );
    fleet.pipe("shop", &format!("{toml}\n[images]\nmirror = false\n"));
    fleet.run(&["pipes", "check", "shop"]).ok().says(&["no mistakes"]);
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 4);
}

/// A shop of eight pages that hold more than a part of the archive, and a run whose worker was killed while it waited
/// for the seventh.
struct Killed {
    fleet: Fleet,
    server: Server,
    pages: Arc<Mutex<Vec<String>>>,
    run: i64,
}

/// Products on a page. With 6,000 bytes of text each, five pages and a bit are two parts.
const PER_PAGE: u32 = 250;
const PAGES: u32 = 8;

fn long_pages(title: &str) -> Vec<String> {
    let ids = |page: u32| page * PER_PAGE + 1..(page + 1) * PER_PAGE + 1;
    (0..PAGES).map(|number| page(ids(number), title, 6_000)).collect()
}

impl Killed {
    fn new() -> Self {
        let pages = Arc::new(Mutex::new(long_pages("Pan")));
        let gate = Gate::shut();
        let (served, shut) = (Arc::clone(&pages), gate.clone());
        let server = Server::start(move |path, _| {
            let number = number(path).unwrap_or_default();
            if number == 7 {
                shut.pass();
            }
            reply(&served.lock().expect("no handler panics"), number)
        });
        let fleet = fleet("visibility = \"10s\"", "max = 2");
        fleet.pipe("shop", &pipe(&server));
        let run = issue(&fleet, "shop");
        let killed = Self { fleet, server, pages, run };
        let mut worker = killed.fleet.spawn(&["worker"]);
        eventually(SOON, "two parts in the archive, and a page that is waited for", || {
            let is_waiting = killed.server.hits(&path(7)) > 0;
            (is_waiting && killed.archived_bytes() == 2 * PART_BYTES).then_some(())
        });
        kill_with_children(&mut worker);
        gate.set(false);
        killed
    }

    fn archived_bytes(&self) -> u64 {
        let folder = self.fleet.path(&format!("var/objects/raw/shop/{:012}", self.run));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let parts = entries.filter(|entry| entry.file_name() != "facts.json");
        parts.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    /// Lets another worker do the run; its report.
    fn finish(&self, title: &str) -> Value {
        let mut worker = self.fleet.spawn(&["worker"]);
        let report = settled(&self.fleet, "shop", self.run);
        assert_eq!(report["state"], "done", "{report:#}");
        assert_eq!(report["source"]["complete"], true, "{report:#}");
        stop(&mut worker);
        let products = self.fleet.products("shop");
        assert_eq!(products.len(), (PAGES * PER_PAGE) as usize);
        assert!(products.iter().all(|product| product.title().starts_with(title)));
        let pages = self.pages.lock().expect("no handler panics");
        let lines: usize = pages.iter().map(|page| page.len() + 1).sum();
        let empty = page(0..0, "", 0).len() + 1;
        assert_eq!(self.archived_bytes(), (lines + empty) as u64, "the archive is the pages");
        report
    }

    fn hits(&self) -> [usize; 9] {
        [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|number| self.server.hits(&path(number)))
    }
}

/// Promise 1: when a worker is killed between two pages, the next one asks for those that are not archived.
#[test]
fn killed_in_the_middle_of_the_pages() {
    let killed = Killed::new();
    let report = killed.finish("Pan");
    assert_eq!(report["source"]["resumed_at_bytes"], 2 * PART_BYTES, "{report:#}");
    // Of the sixth a part was lost.
    assert_eq!(killed.hits(), [1, 1, 1, 1, 1, 2, 2, 1, 1]);
}

/// Promise 3: pages that changed meanwhile are read from the first one; two states are never mixed.
#[test]
fn pages_that_changed_meanwhile_are_read_from_the_first_one() {
    let killed = Killed::new();
    *killed.pages.lock().unwrap() = long_pages("Pot");
    let report = killed.finish("Pot");
    assert_eq!(report["source"]["resumed_at_bytes"], Value::Null, "{report:#}");
    assert_eq!(killed.hits(), [2, 2, 2, 2, 2, 3, 2, 1, 1]);
}
