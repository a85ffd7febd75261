//! Crawls that are interrupted: they go on where they were, and end with the same rows.

use super::shop::Shop;
use crate::faults::support::{
    SOON, attempts, commits, fleet, group_worker, issue, kill_with_children, report, settled, stop,
};
use feedfleet_tests::{Fleet, eventually};
use std::time::Duration;

const PAGES: usize = 200;

fn slow_shop() -> Shop {
    Shop::new(PAGES, |mood| mood.delay = Duration::from_millis(20))
}

fn fleet_of_one() -> Fleet {
    fleet("visibility = \"10s\"", "max = 2")
}

/// Waits until so many product pages were sent.
fn until_sent(shop: &Shop, pages: usize) {
    eventually(SOON, "product pages to be sent", || (shop.sent().len() >= pages).then_some(()));
}

/// Product pages that were sent more than once.
fn sent_twice(shop: &Shop) -> usize {
    shop.sent().values().map(|sent| sent - 1).sum()
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

/// Promise 1: a crawl whose worker is killed goes on from what was saved, here at the end of each slice.
#[test]
fn killed_in_the_middle() {
    let (shop, fleet) = (slow_shop(), fleet_of_one());
    shop.pipe(&fleet, "shop", "slice = \"1s\"");
    let run = issue(&fleet, "shop");
    let mut first = group_worker(&fleet);
    eventually(SOON, "a slice to end", || {
        let report = report(&fleet, "shop", run);
        let ended = attempts(&report).iter().filter(|a| a["end"]["outcome"] == "continued");
        (ended.count() >= 1).then_some(())
    });
    let saved = shop.sent().len();
    until_sent(&shop, saved + 5);
    kill_with_children(&mut first);
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "shop", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_whole(&fleet);
    // What one slice fetched is all that may be fetched again.
    let again = sent_twice(&shop);
    assert!(again <= PAGES - saved, "{again} of {PAGES}, {saved} were saved");
    stop(&mut second);
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
    assert_whole(&fleet);
    assert_eq!(sent_twice(&shop), 0);
    assert_eq!(shop.server.hits("/robots.txt"), 1, "it is good for a day");
    stop(&mut worker);
}
