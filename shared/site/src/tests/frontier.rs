//! The frontier, alone and saved and restored in the middle of a crawl.

use super::{at, url};
use crate::{
    Added, Evidence, Frontier, Limits, Next, Outcome, Skip, SnapshotError, UrlEntry, UrlKind,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn fetch(frontier: &mut Frontier, second: i64) -> UrlEntry {
    match frontier.next(at(second)) {
        Next::Fetch(entry) => entry,
        other => panic!("{other:?}"),
    }
}

fn failed() -> Outcome {
    Outcome::Failed { status: Some(503), is_transient: true, retry_after: None }
}

#[test]
fn sitemaps_come_first_then_products_then_listed_pages_then_the_rest_in_the_order_found() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    let kinds = [UrlKind::Page, UrlKind::Page, UrlKind::Listed, UrlKind::Product, UrlKind::Sitemap];
    for (number, kind) in kinds.into_iter().enumerate() {
        assert_eq!(frontier.add(&url(number), kind, 0), Added::New);
        assert_eq!(frontier.add(&url(number), UrlKind::Page, 1), Added::Known);
    }
    assert_eq!(fetch(&mut frontier, 0).url, url(4));
    assert_eq!(frontier.next(at(0)), Next::WaitUntil(at(60)), "what does it say of the pages?");
    assert!(frontier.done(&url(4), &Outcome::Done, at(0)));
    let order: Vec<String> = (1..kinds.len()).map(|_| fetch(&mut frontier, 0).url).collect();
    assert_eq!(order, [3, 2, 0, 1].map(url));
    assert_eq!(frontier.next(at(0)), Next::WaitForAnswers);
    for url in order {
        assert!(frontier.done(&url, &Outcome::Done, at(1)));
        assert!(!frontier.done(&url, &Outcome::Done, at(1)), "only once");
    }
    assert_eq!(frontier.next(at(1)), Next::Done);
    assert_eq!((frontier.tally().pages, frontier.tally().sitemaps), (4, 1));
}

#[test]
fn a_sitemap_that_failed_keeps_no_page_waiting() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    for (number, kind) in [UrlKind::Sitemap, UrlKind::Page, UrlKind::Page].into_iter().enumerate() {
        frontier.add(&url(number), kind, 0);
    }
    assert_eq!(fetch(&mut frontier, 0).url, url(0));
    frontier.done(&url(0), &failed(), at(0));
    assert_eq!(fetch(&mut frontier, 0).url, url(1));
    assert_eq!(fetch(&mut frontier, 10).url, url(0), "its time has come");
    assert!(matches!(frontier.next(at(10)), Next::WaitUntil(_)));
    assert!(frontier.put_back(&url(0)));
    assert_eq!(fetch(&mut frontier, 10).url, url(0));
    frontier.done(&url(0), &Outcome::Done, at(11));
    assert_eq!(fetch(&mut frontier, 11).url, url(2));
}

/// Its host may want to be left alone for a day, and the pages be on another.
#[test]
fn a_sitemap_that_takes_too_long_keeps_no_page_waiting() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    let kinds =
        [UrlKind::Sitemap, UrlKind::Sitemap, UrlKind::Sitemap, UrlKind::Page, UrlKind::Page];
    for (number, kind) in kinds.into_iter().enumerate() {
        frontier.add(&url(number), kind, 0);
    }
    assert_eq!(frontier.open_sitemaps(), 3);
    for _ in 0..3 {
        fetch(&mut frontier, 0);
    }
    assert_eq!(frontier.open_sitemaps(), 3, "they are under way");
    assert_eq!(frontier.next(at(1)), Next::WaitUntil(at(61)));
    frontier.done(&url(0), &Outcome::Done, at(50));
    assert_eq!(frontier.next(at(61)), Next::WaitUntil(at(121)), "they come, if slowly");
    frontier.done(&url(1), &failed(), at(100));
    assert_eq!(fetch(&mut frontier, 121).url, url(1), "it is tried again");
    assert_eq!(fetch(&mut frontier, 121).url, url(3));
    assert_eq!(fetch(&mut frontier, 122).url, url(4));
    frontier.done(&url(2), &Outcome::Done, at(130));
    frontier.done(&url(1), &failed(), at(130));
    assert_eq!(frontier.open_sitemaps(), 1, "it waits for its next try");
    let saved = frontier.save().unwrap();
    let mut frontier = Frontier::load(&saved, &Limits::default()).unwrap();
    assert_eq!(frontier.open_sitemaps(), 1);
    assert_eq!(fetch(&mut frontier, 190).url, url(1));
    frontier.done(&url(1), &Outcome::Done, at(190));
    assert_eq!(frontier.open_sitemaps(), 0);
}

#[test]
fn a_failed_url_is_tried_again_later_and_then_given_up() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    frontier.add(&url(0), UrlKind::Page, 0);
    let mut now = 0;
    for wait in [10, 30, 90] {
        let entry = fetch(&mut frontier, now);
        frontier.done(&entry.url, &failed(), at(now));
        assert_eq!(frontier.next(at(now)), Next::WaitUntil(at(now + wait)));
        now += wait;
    }
    let entry = fetch(&mut frontier, now);
    frontier.done(&entry.url, &failed(), at(now));
    assert_eq!(frontier.next(at(now)), Next::Done);
    assert_eq!(frontier.failed()[0].status, Some(503));
    assert_eq!(frontier.tally().retries, 3);
}

#[test]
fn retry_after_and_lasting_failures_are_respected() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    frontier.add(&url(0), UrlKind::Product, 0);
    let entry = fetch(&mut frontier, 0);
    let retry_after = Some(Duration::from_secs(600));
    let outcome = Outcome::Failed { status: Some(429), is_transient: true, retry_after };
    frontier.done(&entry.url, &outcome, at(0));
    assert_eq!(frontier.next(at(599)), Next::WaitUntil(at(600)));
    let entry = fetch(&mut frontier, 600);
    let retry_after = Some(Duration::MAX);
    let outcome = Outcome::Failed { status: Some(503), is_transient: true, retry_after };
    frontier.done(&entry.url, &outcome, at(600));
    assert_eq!(frontier.next(at(600)), Next::WaitUntil(at(600 + 86_400)), "a day at most");
    let entry = fetch(&mut frontier, 90_000);
    let outcome = Outcome::Failed { status: Some(500), is_transient: false, retry_after: None };
    frontier.done(&entry.url, &outcome, at(90_000));
    assert_eq!(frontier.next(at(90_000)), Next::Done);
    assert_eq!(frontier.failed().len(), 1);
}

#[test]
fn redirects_in_a_row_come_to_an_end() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    frontier.add(&url(0), UrlKind::Product, 0);
    for hop in 1..=10 {
        let entry = fetch(&mut frontier, 0);
        assert_eq!(frontier.add_target(&url(hop), UrlKind::Product, &entry), Some(Added::New));
        frontier.done(&entry.url, &Outcome::Done, at(0));
    }
    let entry = fetch(&mut frontier, 0);
    assert_eq!(frontier.add_target(&url(11), UrlKind::Product, &entry), None);
    assert!(!frontier.knows(&url(11)));
}

#[test]
fn limits_keep_urls_out_and_are_counted() {
    let limits = Limits { max_pages: 4, max_pages_a_pattern: 2, ..Limits::default() };
    let mut frontier = Frontier::new(&limits, at(0));
    let add = |frontier: &mut Frontier, number, kind| frontier.add(&url(number), kind, 1);
    assert_eq!(add(&mut frontier, 0, UrlKind::Page), Added::New);
    assert_eq!(add(&mut frontier, 1, UrlKind::Page), Added::New);
    assert_eq!(add(&mut frontier, 2, UrlKind::Page), Added::Refused(Skip::PatternFull));
    assert_eq!(add(&mut frontier, 2, UrlKind::Product), Added::New, "products are not counted");
    assert_eq!(add(&mut frontier, 3, UrlKind::Listed), Added::New);
    assert_eq!(add(&mut frontier, 4, UrlKind::Listed), Added::Refused(Skip::SiteFull));
    let refused = [(Skip::PatternFull, 1), (Skip::SiteFull, 1)];
    assert_eq!(frontier.tally().refused, BTreeMap::from(refused));
    // One of each is told.
    add(&mut frontier, 5, UrlKind::Listed);
    let first = [(Skip::PatternFull, url(2)), (Skip::SiteFull, url(4))];
    assert_eq!(frontier.tally().first_refused, BTreeMap::from(first));
}

#[test]
fn what_a_shorter_way_leads_to_is_not_too_deep() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    let too_deep = |frontier: &Frontier| {
        let (count, first) = (&frontier.tally().refused, &frontier.tally().first_refused);
        (count.get(&Skip::TooDeep).copied(), first.get(&Skip::TooDeep).cloned())
    };
    frontier.add(&url(0), UrlKind::Page, 0);
    let entry = fetch(&mut frontier, 0);
    frontier.note(Skip::TooDeep, &url(0));
    frontier.done(&entry.url, &Outcome::Done, at(0));
    frontier.note(Skip::TooDeep, &url(0));
    assert_eq!(too_deep(&frontier), (None, None), "it is under way, then read");
    for number in [3, 1, 2, 3] {
        frontier.note(Skip::TooDeep, &url(number));
    }
    assert_eq!(too_deep(&frontier), (Some(3), Some(url(3))), "each once");
    let saved = frontier.save().unwrap();
    let mut frontier = Frontier::load(&saved, &Limits::default()).unwrap();
    assert_eq!(frontier.add(&url(3), UrlKind::Page, 5), Added::New);
    assert_eq!(too_deep(&frontier), (Some(2), Some(url(1))));
    assert_eq!(frontier.add(&url(2), UrlKind::Page, 5), Added::New);
    assert_eq!(frontier.add(&url(1), UrlKind::Page, 5), Added::New);
    assert_eq!(too_deep(&frontier), (Some(0), None));
    frontier.note(Skip::TooDeep, &url(1));
    assert_eq!(too_deep(&frontier), (Some(0), None));
    for number in 1..=3 {
        let entry = fetch(&mut frontier, 0);
        frontier.done(&entry.url, &Outcome::Done, at(0));
        assert_eq!(frontier.remaining(), 3 - number, "it is read");
    }
    assert!(Evidence::of(&frontier).prove(0.0).is_whole());
}

#[test]
fn time_runs_out_once_nothing_is_under_way() {
    let limits = Limits { max_time: Some(Duration::from_secs(60)), ..Limits::default() };
    let mut frontier = Frontier::new(&limits, at(0));
    frontier.add(&url(0), UrlKind::Page, 0);
    frontier.add(&url(1), UrlKind::Page, 0);
    let entry = fetch(&mut frontier, 59);
    assert_eq!(frontier.next(at(60)), Next::WaitForAnswers);
    frontier.done(&entry.url, &Outcome::Done, at(61));
    assert_eq!(frontier.next(at(61)), Next::OutOfTime);
    assert_eq!(frontier.remaining(), 1);
    assert!(frontier.unfetched().map(|entry| &entry.url).eq([&url(1)]));
}

#[test]
fn time_in_which_nobody_crawled_does_not_count() {
    let limits = Limits { max_time: Some(Duration::from_secs(60)), ..Limits::default() };
    let mut frontier = Frontier::new(&limits, at(0));
    frontier.add(&url(0), UrlKind::Page, 0);
    let mut frontier = Frontier::load(&frontier.save().unwrap(), &limits).unwrap();
    frontier.go_on(Duration::from_secs(20), at(7000));
    assert!(!frontier.is_out_of_time(at(7039)) && frontier.is_out_of_time(at(7040)));
    assert!(matches!(frontier.next(at(7039)), Next::Fetch(_)));
}

#[test]
fn what_was_handed_out_can_be_put_back() {
    let limits = Limits { max_time: Some(Duration::from_secs(60)), ..Limits::default() };
    let mut frontier = Frontier::new(&limits, at(0));
    frontier.add(&url(0), UrlKind::Page, 0);
    frontier.add(&url(1), UrlKind::Page, 0);
    let entry = fetch(&mut frontier, 0);
    assert!(frontier.put_back(&entry.url));
    assert!(!frontier.put_back(&entry.url), "only once");
    assert_eq!(fetch(&mut frontier, 0), entry, "it is the next one");
    assert!(!frontier.is_out_of_time(at(59)) && frontier.is_out_of_time(at(60)));
    assert_eq!(frontier.next(at(60)), Next::WaitForAnswers);
    assert!(frontier.put_back(&entry.url));
    assert_eq!(frontier.next(at(60)), Next::OutOfTime);
    assert_eq!(frontier.remaining(), 2);
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut frontier = Frontier::new(&Limits::default(), at(0));
    frontier.add(&url(0), UrlKind::Page, 0);
    let good = frontier.save().unwrap();
    let load = |bytes: &[u8]| Frontier::load(bytes, &Limits::default());
    assert!(load(&good).is_ok());
    for end in 0..good.len() {
        assert!(matches!(load(&good[..end]), Err(SnapshotError::Damaged { .. })), "cut at {end}");
    }
    for place in 8..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        assert!(matches!(load(&bad), Err(SnapshotError::Damaged { .. })), "byte {place}");
    }
    let mut newer = good.clone();
    newer[6] += 1;
    assert!(matches!(load(&newer), Err(SnapshotError::Version { .. })));
}

/// A site of `pages` pages whose links are made of the page's number; some pages fail a few times, some always.
/// Crawls it, `at_once` pages at a time, and saves and restores the frontier after the steps named. Gives how often
/// each page was read, and the frontier's end.
fn crawl(pages: usize, at_once: usize, saves: &[usize]) -> (BTreeMap<String, u32>, Frontier) {
    let limits = Limits { max_pages_a_pattern: 1_000_000, ..Limits::default() };
    let mut frontier = Frontier::new(&limits, at(0));
    let mut read = BTreeMap::new();
    frontier.add(&url(0), UrlKind::Page, 0);
    let (mut second, mut step) = (0, 0);
    loop {
        let mut under_way = Vec::new();
        while under_way.len() < at_once {
            match frontier.next(at(second)) {
                Next::Fetch(entry) => under_way.push(entry),
                Next::Done => return (read, frontier),
                Next::WaitForAnswers => break,
                Next::WaitUntil(due) if under_way.is_empty() => {
                    second = (due - at(0)).num_seconds()
                }
                Next::WaitUntil(_) => break,
                Next::OutOfTime => unreachable!("there is no limit"),
            }
        }
        for entry in under_way {
            step += 1;
            if saves.contains(&step) {
                // A worker dies: what is under way is fetched again.
                let saved = frontier.save().unwrap();
                frontier = Frontier::load(&saved, &limits).unwrap();
                break;
            }
            let number: usize = entry.url.rsplit('/').next().unwrap().parse().unwrap();
            let is_broken = number % 7 == 6 || (number % 5 == 4 && entry.failures < 2);
            if is_broken {
                frontier.done(&entry.url, &failed(), at(second));
                continue;
            }
            for link in [number * 2 + 1, number * 2 + 2, number / 3] {
                if link < pages {
                    let kind = if link % 3 == 0 { UrlKind::Product } else { UrlKind::Page };
                    frontier.add(&url(link), kind, entry.depth + 1);
                }
            }
            *read.entry(entry.url.clone()).or_default() += 1;
            frontier.done(&entry.url, &Outcome::Done, at(second));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn saving_in_the_middle_changes_nothing_and_no_page_is_read_twice(
        pages in 1_usize..300,
        at_once in 1_usize..9,
        saves in prop::collection::vec(1_usize..600, 0..6),
    ) {
        let (alone, end) = crawl(pages, at_once, &[]);
        let (saved, saved_end) = crawl(pages, at_once, &saves);
        prop_assert!(alone.values().chain(saved.values()).all(|times| *times == 1));
        prop_assert_eq!(&alone, &saved);
        prop_assert_eq!(end.tally(), saved_end.tally());
        let failed = |frontier: &Frontier| {
            let mut urls: Vec<String> =
                frontier.failed().iter().map(|page| page.url.clone()).collect();
            urls.sort();
            urls
        };
        prop_assert_eq!(failed(&end), failed(&saved_end));
        let bytes = saved_end.save().unwrap();
        let again = Frontier::load(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(again.save().unwrap(), bytes);
    }
}
