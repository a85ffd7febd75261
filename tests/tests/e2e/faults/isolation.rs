//! What one job or one picture does to its process costs the worker's other jobs nothing.

use super::nights::{Nights, Shop};
use super::support::{
    SOON, attempts, children, fleet, is_by, issue, kill_with_children, left, number, object,
    report, settled, status, stop, waiting_worker,
};
use feedfleet_tests::{Fleet, Reply, Server, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// The entries of all receipts that wait to be folded, by the pictures' addresses.
fn receipts(fleet: &Fleet) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(fleet.path("var/objects/receipts")).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let receipt = object(fleet, &format!("receipts/{name}"));
        for entry in receipt["entries"].as_array().expect("a receipt has entries") {
            let url = entry["url"].as_str().expect("an entry names its picture");
            found.insert(url.to_owned(), entry.clone());
        }
    }
    found
}

/// Promises 8 and 16: a crawl that aborts leaves the image jobs of its worker alone: their receipts are
/// written, by the same process.
#[test]
fn a_crawl_that_aborts_beside_image_jobs() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"60s\"", "max = 1"));
    let nights = Nights::new(31, 60);
    shop.publish("pictures", &nights);
    shop.write_pipe(&fleet, "pictures", true);
    shop.publish("poison", &nights);
    shop.write_pipe(&fleet, "poison", false);

    shop.let_pictures_wait(true);
    let run = issue(&fleet, "pictures");
    let mut first = fleet.spawn(&["worker"]);
    settled(&fleet, "pictures", run);
    stop(&mut first);
    assert!(receipts(&fleet).is_empty(), "the pictures are still to be fetched");

    let mut worker = fleet.spawn(&["worker", "--failpoint", "crawl.before-commit=abort"]);
    eventually(SOON, "an image job to be in hand", || {
        (number(&status(&fleet), "image", "in_flight") > 0).then_some(())
    });
    let poison = issue(&fleet, "poison");
    let died = eventually(SOON, "the crawl to die", || {
        let report = report(&fleet, "poison", poison);
        let ended = attempts(&report).first().is_some_and(|a| !a["end"].is_null());
        ended.then_some(report)
    });
    assert!(is_by(&attempts(&died)[0], &worker), "{died:#}");
    assert_eq!(attempts(&died)[0]["end"]["reason"]["class"], "worker-lost", "{died:#}");

    shop.let_pictures_wait(false);
    eventually(SOON, "the pictures", || (left(&fleet, "image") == 0).then_some(()));
    assert!(worker.is_running(), "{}", worker.stderr());
    let receipts = receipts(&fleet);
    assert_eq!(receipts.len(), nights.image_paths("pictures").len());
    assert!(receipts.values().all(|entry| entry["status"] == "stored"), "{receipts:#?}");
    stop(&mut worker);
}

/// A picture of one pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\
    \0\0\0\x0cIDATx\xdacPh8\0\0\x02$\x01a\xe3\xe9I<\0\0\0\0IEND\xaeB`\x82";

/// A shop with pictures `0.png`, `1.png`…, each some bytes longer than the one before, and one product each.
fn shop_of_pictures(count: usize) -> Server {
    Server::start(move |path, headers| {
        if let Some(number) = path.strip_prefix("/").and_then(|p| p.strip_suffix(".png")) {
            let number: usize = number.parse().expect("pictures are numbered");
            // What comes after its end is no part of a picture.
            let mut picture = PIXEL.to_vec();
            picture.resize(PIXEL.len() + number, 0);
            return Reply::ok(picture);
        }
        let host =
            headers.iter().find(|(name, _)| name == "host").expect("a client names the host");
        let mut csv = String::from("id,title,image_link\n");
        for number in 0..count {
            csv.push_str(&format!("{number},Product,http://{}/{number}.png\n", host.1));
        }
        Reply::ok(csv)
    })
}

fn write_pipe(fleet: &Fleet, server: &Server) {
    let url = format!("{}/feed.csv", server.base_url());
    fleet.pipe(
        "acme",
        &format!(
            "[source]\nurl = \"{url}\"\nformat = \"csv\"\n\
             [map]\nid = \"id\"\ntitle = \"title\"\nimage_link = \"image_link\"\n\
             [images]\nrenditions = [{{ name = \"thumb\", max = 10, format = \"png\" }}]\n"
        ),
    );
}

/// Promise 16: a picture that aborts its decoder, or makes it take all memory, is an error of that picture;
/// the pictures before and after it are stored, by the same worker.
#[test]
fn pictures_that_end_their_decoders() {
    let fleet = fleet("visibility = \"60s\"", "max = 1");
    let server = shop_of_pictures(6);
    write_pipe(&fleet, &server);
    let run = issue(&fleet, "acme");
    let of =
        |number: usize, action: &str| format!("picture.bytes-{}={action}", PIXEL.len() + number);
    let (aborts, exhausts) = (of(1, "abort"), of(3, "exhaust"));
    let mut worker = fleet.spawn(&["worker", "--failpoint", &aborts, "--failpoint", &exhausts]);
    settled(&fleet, "acme", run);
    eventually(SOON, "the pictures", || (left(&fleet, "image") == 0).then_some(()));
    assert!(worker.is_running(), "{}", worker.stderr());

    let receipts = receipts(&fleet);
    assert_eq!(receipts.len(), 6);
    for (url, entry) in &receipts {
        let error = entry["error"].as_str().unwrap_or_default();
        let expected = match url.rsplit('/').next() {
            Some("1.png") => "died on this picture: signal 6 (SIGABRT)",
            Some("3.png") => "needed more than the",
            _ => {
                assert_eq!(entry["status"], "stored", "{entry:#}");
                continue;
            }
        };
        assert_eq!(entry["status"], "failed", "{entry:#}");
        assert_eq!(entry["retry"], false, "{entry:#}");
        assert!(error.contains(expected), "{entry:#}");
    }
    // The last of its decoders is there still, and does not outlive it.
    assert!(!children(worker.pid()).is_empty());
    kill_with_children(&mut worker);
}

/// Promise 16: what a crawl's process holds, as the system counts it, is within its share of the worker's memory, but
/// for the program's own pages.
#[test]
fn a_crawl_holds_its_share_of_the_memory() {
    const SHARE_BYTES: u64 = 128 << 20;
    const PROGRAM_BYTES: u64 = 16 << 20;
    let run = many_new_products("memory = \"256MiB\"");
    let peak = run["peak_memory_bytes"].as_u64().expect("the run's peak is known");
    assert!(peak < SHARE_BYTES + PROGRAM_BYTES, "{} MiB", peak >> 20);
}

/// Promise 15: at the least memory that a crawl may have, new products in any number load in several passes, at the first
/// attempt.
#[test]
fn new_products_in_any_number_fit_the_least_memory() {
    let run = many_new_products("memory = \"256MiB\"\ncrawl_slots = 2");
    assert_eq!(attempts(&run).len(), 1, "{run:#}");
}

/// Loads 400,000 new products with these settings of workers; the run's report.
fn many_new_products(workers: &str) -> Value {
    let fleet = fleet("", &format!("max = 1\n{workers}"));
    let mut feed = "id,title,price,link\n".to_owned();
    for n in 0..400_000 {
        writeln!(feed, "I{n},T{n},1.00 EUR,https://shop.example/p/{n}").expect("a String takes it");
    }
    fleet.write("mill.csv", &feed);
    let map = "[map]\nid = \"id\"\ntitle = \"title\"\nprice = \"price\"\nlink = \"link\"\n";
    let url = fleet.path("mill.csv");
    fleet.pipe("mill", &format!("[source]\nurl = \"{}\"\nformat = \"csv\"\n{map}", url.display()));
    let mut command = fleet.command(&["run", "mill", "--wait", "--json"]);
    // Who runs the test may have set them, and the worker would keep to that.
    for name in ["MIMALLOC_PURGE_DELAY", "MIMALLOC_ALLOW_THP"] {
        command.env_remove(name);
    }
    let run = fleet.finish(command).ok().json();
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(run["counts"]["live"], 400_000, "{run:#}");
    run
}

/// Promise 1: a worker that is killed takes the crawl in its hands with it: nobody is left who would go on
/// with what another worker does by then.
#[test]
fn a_killed_worker_leaves_no_child() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10s\"", "max = 1"));
    let nights = Nights::new(32, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let run = issue(&fleet, "acme");
    let (mut first, _) = waiting_worker(&fleet, "crawl.before-commit");
    eventually(SOON, "a crawl in a child", || (!children(first.pid()).is_empty()).then_some(()));
    kill_with_children(&mut first);

    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "acme", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert!(is_by(&attempts(&report)[1], &second), "{report:#}");
    stop(&mut second);
}
