//! Crawls that are interrupted: they go on where they were, and end with the same rows.

use super::shop::Shop;
use crate::faults::support::{
    SOON, attempts, commits, fleet, group_worker, issue, kill_with_children, killed_at, report,
    settled, stop, waiting_worker,
};
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_tests::{Fleet, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

const PAGES: usize = 200;

fn slow_shop() -> Shop {
    Shop::new(PAGES, |mood| mood.delay = Duration::from_millis(20))
}

fn fleet_of_one() -> Fleet {
    fleet("visibility = \"10s\"", "max = 2")
}

/// The run's report when its first attempt has ended.
fn first_attempt(fleet: &Fleet, run: i64) -> Value {
    eventually(SOON, "an attempt to end", || {
        let report = report(fleet, "shop", run);
        attempts(&report).first()?["end"]["outcome"].is_string().then_some(report)
    })
}

/// Waits until so many product pages were sent.
fn until_sent(shop: &Shop, pages: usize) {
    eventually(SOON, "product pages to be sent", || (shop.sent().len() >= pages).then_some(()));
}

/// Product pages that were sent more than once.
fn sent_twice(shop: &Shop) -> usize {
    shop.sent().values().map(|sent| sent - 1).sum()
}

/// None of these pages was sent more than once.
#[track_caller]
fn assert_sent_once(shop: &Shop, saved: &BTreeSet<usize>) {
    let sent = shop.sent();
    let again: Vec<usize> = saved.iter().copied().filter(|page| sent[page] > 1).collect();
    assert!(again.is_empty(), "{} of {} were sent again: {again:?}", again.len(), saved.len());
}

fn assert_whole(fleet: &Fleet) {
    let products = fleet.products("shop");
    assert_eq!(products.len(), PAGES);
    assert!(products.iter().all(|product| product.price == Some(99_900)));
    assert_eq!(commits(fleet).len(), 1);
}

/// Promise 9: a worker that is told to stop saves all that it has, and the next one fetches no page that was saved.
#[test]
fn told_to_stop_in_the_middle() {
    let (shop, fleet) = (slow_shop(), fleet_of_one());
    shop.pipe(&fleet, "shop", "");
    let run = issue(&fleet, "shop");
    let mut first = fleet.spawn(&["worker"]);
    until_sent(&shop, 50);
    stop(&mut first);
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(attempts(&report)[0]["end"]["outcome"], "interrupted", "{report:#}");
    assert_whole(&fleet);
    // Those that were under way, at two requests at once.
    assert!(sent_twice(&shop) <= 2, "{:?}", shop.sent());
    stop(&mut second);
}

/// Time in which nobody crawled, be it a night without machines, does not count against the pipe's `max_time`.
#[test]
fn taken_up_after_its_time_would_have_been_over() {
    let (shop, fleet) = (slow_shop(), fleet_of_one());
    shop.pipe(&fleet, "shop", "max_time = \"25s\"");
    let run = issue(&fleet, "shop");
    let mut first = fleet.spawn(&["worker"]);
    until_sent(&shop, 50);
    stop(&mut first);
    let (began, _) = shop.mood().sent_at[0];
    eventually(SOON, "25 s to pass", || {
        (Utc::now() - began > TimeDelta::seconds(25)).then_some(())
    });
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_whole(&fleet);
    stop(&mut second);
}

/// A crawl whose time is over before it has seen a product is told as that, and not as a shop without any. With no page
/// read it is tried again: the host may have been slow.
#[test]
fn time_that_is_over_before_a_product() {
    for (settings, outcome, part) in [
        ("delay = \"3s\"\nmax_time = \"2s\"", "retry", "before a page of"),
        ("delay = \"1s\"\nmax_time = \"3500ms\"", "dead", "before a product was found, on "),
    ] {
        let (shop, fleet) = (Shop::new(PAGES, |mood| mood.hides_sitemap = true), fleet_of_one());
        shop.pipe(&fleet, "shop", settings);
        let run = issue(&fleet, "shop");
        let mut worker = fleet.spawn(&["worker"]);
        let report = first_attempt(&fleet, run);
        let end = &attempts(&report)[0]["end"];
        let reason = &end["reason"];
        assert_eq!(reason["class"], "limit-exceeded", "{report:#}");
        let message = reason["message"].as_str().unwrap_or_default();
        assert!(message.contains("max_time was over") && message.contains(part), "{message}");
        assert_eq!(end["outcome"], outcome, "{report:#}");
        stop(&mut worker);
    }
}

/// A host that asks to be left alone for an hour, before or after a first page, or at its robots.txt: log and run say so, and
/// nobody asks it again before that.
#[test]
fn a_host_that_asks_for_an_hour_is_told() {
    for (hides_sitemap, robots_status, part) in [
        (false, None, "max_time was over before a page of"),
        (true, None, "max_time was over before a product was found, on "),
        (false, Some(503), "the robots.txt of "),
    ] {
        let shop = Shop::new(PAGES, |mood| {
            (mood.hides_sitemap, mood.robots_status) = (hides_sitemap, robots_status);
            mood.busy = Some((503, 3_600));
        });
        let fleet = Fleet::with_fleet_toml(
            "[hosts]\nconcurrency = 2\n[http]\nallow_private = [\"127.0.0.0/8\"]\n",
        );
        shop.pipe(&fleet, "shop", "max_time = \"8s\"");
        let run = issue(&fleet, "shop");
        let mut worker = fleet.spawn(&["worker"]);
        if robots_status.is_none() {
            eventually(SOON, "the report of a crawl that waits", || {
                let busy = &report(&fleet, "shop", run)["warnings"][0];
                (busy["reason"] == "host-busy").then_some(())
            });
        }
        let report = first_attempt(&fleet, run);
        let end = &attempts(&report)[0]["end"];
        let message = end["reason"]["message"].as_str().unwrap_or_default();
        for part in [part, " answered 503 at ", ": left alone until "] {
            assert!(message.contains(part), "{message}");
        }
        let moment = |moment: &Value| -> DateTime<Utc> {
            let moment = moment.as_str().expect("it is tried again");
            moment.parse().expect("a report's moments are RFC 3339")
        };
        let took = moment(&end["at"]) - moment(&attempts(&report)[0]["started_at"]);
        assert!(took < TimeDelta::seconds(19), "max_time is 8 s: {report:#}");
        let wait = moment(&end["next_at"]) - moment(&end["at"]);
        assert!(wait > TimeDelta::minutes(55), "again in {wait}: {report:#}");
        assert_eq!(shop.server.hits("/robots.txt"), 1);
        assert!(worker.stderr().contains("the host is left alone"), "{}", worker.stderr());
        stop(&mut worker);
    }
}

/// Promise 1: a crawl whose worker is killed goes on from what was saved, here at the end of its first slice.
#[test]
fn killed_in_the_middle() {
    let (shop, fleet) = (slow_shop(), fleet_of_one());
    shop.pipe(&fleet, "shop", "slice = \"1s\"");
    let run = issue(&fleet, "shop");
    let mut first = group_worker(&fleet);
    let ended: DateTime<Utc> = eventually(SOON, "a slice to end", || {
        let report = report(&fleet, "shop", run);
        let end = &attempts(&report).first()?["end"];
        let at = end["at"].as_str()?;
        assert_eq!(end["outcome"], "continued", "{report:#}");
        Some(at.parse().expect("a report's moments are RFC 3339"))
    });
    let saved = shop.sent_before(ended);
    assert!(!saved.is_empty() && saved.len() < PAGES, "{} pages in a slice", saved.len());
    until_sent(&shop, saved.len() + 5);
    kill_with_children(&mut first);
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_whole(&fleet);
    assert_sent_once(&shop, &saved);
    stop(&mut second);
}

/// Promise 1: a crawl saves what it has every 20 s, however little that is: a worker that is killed loses no more than
/// 30 s of its work.
#[test]
fn killed_before_a_part_is_full() {
    // A minute, at two requests at once.
    let shop = Shop::new(PAGES, |mood| mood.delay = Duration::from_millis(600));
    let fleet = fleet_of_one();
    shop.pipe(&fleet, "shop", "");
    let run = issue(&fleet, "shop");
    let mut first = group_worker(&fleet);
    // The first part is saved after 20 s; the disk may be busy.
    let began = eventually(SOON, "28 s of the crawl", || {
        let mood = shop.mood();
        let (began, _) = *mood.sent_at.first()?;
        let (last, _) = *mood.sent_at.last()?;
        (last - began >= TimeDelta::seconds(28)).then_some(began)
    });
    kill_with_children(&mut first);
    let saved = shop.sent_before(began + TimeDelta::seconds(10));
    // The rest takes no time.
    shop.mood().delay = Duration::ZERO;
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(attempts(&report).len(), 2, "{report:#}");
    assert_whole(&fleet);
    assert!(!saved.is_empty());
    assert_sent_once(&shop, &saved);
    stop(&mut second);
}

/// Promise 1: a worker that dies between a part of the rows and the state that counts it leaves rows that nobody counts:
/// their pages are read again, and no product is there twice.
#[test]
fn killed_between_rows_and_state() {
    let (shop, fleet) = (slow_shop(), fleet_of_one());
    shop.pipe(&fleet, "shop", "slice = \"1s\"");
    let run = issue(&fleet, "shop");
    drop(killed_at(&fleet, "crawl.site-part"));
    let is_part = |path: &Path| path.to_string_lossy().ends_with("-00000000");
    assert!(fleet.files().keys().any(|path| is_part(path)), "a part was written");
    let lost = shop.sent().len();
    assert!(lost > 0 && lost < PAGES, "{lost} pages were sent");
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_whole(&fleet);
    assert_eq!(sent_twice(&shop), lost, "{:?}", shop.sent());
    stop(&mut second);
}

/// Promise 1: a worker that dies between the last page and the commit leaves all that it has fetched: the next one asks
/// for nothing again, and the report counts once what came.
#[test]
fn killed_before_the_commit() {
    let (shop, fleet) = (Shop::new(20, |_| {}), fleet_of_one());
    shop.pipe(&fleet, "shop", "");
    let run = issue(&fleet, "shop");
    drop(killed_at(&fleet, "crawl.before-commit"));
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(attempts(&report).len(), 2, "{report:#}");
    assert_eq!((shop.sent().len(), sent_twice(&shop)), (20, 0), "{:?}", shop.sent());
    assert_eq!(report["bytes"]["fetched"], shop.server.sent_bytes(), "{report:#}");
    stop(&mut second);
}

/// The pipe is compacted between a crawl and its commit: the run is worked out anew from the pages that it has, and counts
/// once what came.
#[test]
fn worked_out_anew_after_a_compaction() {
    let (shop, fleet) = (Shop::new(20, |_| {}), fleet("visibility = \"120s\"", "max = 2"));
    shop.pipe(&fleet, "shop", "[guard]\nmax_removed = \"50%\"\nmin_records = \"0%\"");
    fleet.run_pipe("shop");
    // More than a quarter of the rows are dead then, which is worth a compaction.
    shop.mood().failing.extend((0..8).map(|product| (product, 410)));
    let second = fleet.run_pipe("shop");
    assert_eq!(second["counts"]["removed"], 8, "{second:#}");

    shop.mood().cents = 1_099;
    let sent_bytes = shop.server.sent_bytes();
    let run = issue(&fleet, "shop");
    let (mut worker, go_on) = waiting_worker(&fleet, "crawl.before-commit");
    eventually(SOON, "the run to be about to commit", || {
        worker.stderr().contains("crawl.before-commit").then_some(())
    });
    let mut scheduler = fleet.spawn(&["scheduler"]);
    eventually(SOON, "the pipe to be compacted", || {
        commits(&fleet).iter().any(|commit| commit.app == "shop/compaction").then_some(())
    });
    fs::write(&go_on, "").expect("a temporary folder can be written");
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(attempts(&report).len(), 1, "{report:#}");
    assert_eq!(report["counts"]["changed"], 12, "{report:#}");
    let sent_bytes = shop.server.sent_bytes() - sent_bytes;
    assert_eq!(report["bytes"]["fetched"], sent_bytes, "{report:#}");
    stop(&mut scheduler);
    stop(&mut worker);
}

/// Promise 12: a crawl that died half way, and comes back after a rollback, began with pages of a run that counts no more. It
/// begins anew, with those of the run that the table shows.
#[test]
fn taken_up_after_a_rollback() {
    let shop = Shop::new(10, |mood| (mood.has_index, mood.hides_category) = (true, true));
    let fleet = fleet("visibility = \"10s\"\nmax_receives = 1", "max = 2");
    shop.pipe(&fleet, "shop", "[guard]\nmax_removed = \"50%\"\nmin_records = \"0%\"");
    let good = fleet.run_pipe("shop")["run"].to_string();
    shop.mood().products = 6;
    let bad = fleet.run_pipe("shop");
    assert_eq!(bad["counts"]["removed"], 4, "{bad:#}");

    (shop.mood().products, shop.mood().lacks_sitemap) = (10, true);
    let run = issue(&fleet, "shop");
    drop(killed_at(&fleet, "crawl.site-saved"));
    let mut worker = fleet.spawn(&["worker"]);
    assert_eq!(settled(&fleet, "shop", run)["state"], "dead");
    fleet.run(&["runs", "rollback", "shop", &good]).ok();
    fleet.run(&["pipes", "resume", "shop"]).ok();
    fleet.run(&["dlq", "replay", "--all-waiting"]).ok();
    let report = eventually(SOON, "the run to come back and end", || {
        let report = report(&fleet, "shop", run);
        (report["state"] == "done").then_some(report)
    });
    assert_eq!(report["counts"]["removed"], 0, "{report:#}");
    assert_eq!(fleet.products("shop").len(), 10);
    stop(&mut worker);
}

/// A crawl that takes longer than a slice goes on under one lease after the other, under its own run id and without
/// using up its attempts.
#[test]
fn slices_cost_no_attempt() {
    let (shop, fleet) = (slow_shop(), fleet("visibility = \"10s\"\nmax_receives = 1", "max = 2"));
    shop.pipe(&fleet, "shop", "slice = \"1s\"");
    let run = issue(&fleet, "shop");
    let mut worker = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    let outcomes: Vec<_> = attempts(&report).iter().map(|a| &a["end"]["outcome"]).collect();
    let (last, slices) = outcomes.split_last().expect("there was an attempt");
    assert_eq!(*last, "done", "{outcomes:?}");
    assert!(!slices.is_empty() && slices.iter().all(|slice| *slice == "continued"), "{outcomes:?}");
    // Each slice took its second.
    let seconds = report["seconds"]["crawl"].as_f64().expect("a crawl takes time");
    assert!(seconds >= slices.len() as f64, "{seconds} s in {outcomes:?}");
    assert_whole(&fleet);
    assert_eq!(sent_twice(&shop), 0);
    assert_eq!(shop.server.hits("/robots.txt"), 1, "it is good for a day");
    stop(&mut worker);
}
