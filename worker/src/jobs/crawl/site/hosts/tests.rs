//! Manners with hosts, without a network.

use super::*;
use feedfleet_config::Location;
use std::path::Path;

fn site(rest: &str) -> Site {
    let text = format!("[source]\nkind = 'site'\nurl = 'https://www.shop.example/'\n{rest}");
    let name = "acme".parse().unwrap();
    let environment = BTreeMap::new();
    let pipe = feedfleet_config::parse_pipe(&name, &text, Path::new("/"), &environment);
    match pipe.unwrap().source.location {
        Location::Site(site) => *site,
        other => panic!("{other:?}"),
    }
}

fn hosts(rest: &str) -> Hosts {
    with_notes(rest, HostNotes::default())
}

fn with_notes(rest: &str, notes: HostNotes) -> Hosts {
    let shares = HostShares::of(4, &[]);
    Hosts::new("acme".parse().unwrap(), &site(rest), shares, "feedfleet".to_owned(), notes)
}

fn entry(url: &str) -> UrlEntry {
    UrlEntry { url: url.to_owned(), kind: UrlKind::Page, depth: 0, failures: 0, hops: 0 }
}

fn robots(origin: &str, status: u16, body: &str, at: DateTime<Utc>) -> RobotsAnswer {
    let (origin, body) = (origin.to_owned(), body.as_bytes().to_vec());
    RobotsAnswer { origin, at, status: Some(status), body }
}

const ANSWER: Answer =
    Answer { status: Some(200), latency: Duration::from_millis(5), retry_after: None };

#[test]
fn a_host_that_is_left_alone_for_long_is_told_once() {
    let (key, now) = ("shop.example", Utc::now());
    let mut hosts = hosts("");
    hosts.queue(entry("https://www.shop.example/a"));
    let wait = |seconds| Some(Duration::from_secs(seconds));
    let busy = |seconds| Answer { status: Some(503), retry_after: wait(seconds), ..ANSWER };
    let left = |hosts: &Hosts, now| hosts.longest_pause(now).map(|(_, pause)| pause);
    assert_eq!(hosts.ended(key, &busy(5), now), None, "that is not long");
    assert_eq!(left(&hosts, now), wait(5));
    assert_eq!(left(&hosts, now + Duration::from_secs(5)), None);
    // Another request was under way meanwhile.
    assert_eq!(hosts.ended(key, &busy(3_600), now), Some(now + Duration::from_secs(3_600)));
    assert_eq!(hosts.ended(key, &busy(3_600), now + Duration::from_secs(1)), None);
    assert_eq!(left(&hosts, now), wait(3_601));
    let now = now + Duration::from_secs(3_601);
    assert_eq!(hosts.ended(key, &ANSWER, now), None);
    assert!(hosts.ended(key, &busy(60), now).is_some());
}

#[test]
fn robots_txt_comes_first_and_is_obeyed() {
    let now = Utc::now();
    let mut hosts = hosts("");
    hosts.queue(entry("https://www.shop.example/a"));
    hosts.queue(entry("https://www.shop.example/cart/1"));
    let key = "shop.example";
    let Turn::Robots(origin) = hosts.turn(key, now) else { panic!("robots.txt is not known") };
    assert_eq!(origin, "https://www.shop.example");
    assert!(matches!(hosts.turn(key, now), Turn::Wait));
    hosts.ended(key, &ANSWER, now);
    let said = "User-agent: *\nDisallow: /cart\nCrawl-delay: 2";
    assert!(!hosts.learn(robots(&origin, 200, said, now)).is_unreachable);
    // The delay counts from the request for robots.txt on.
    let Turn::At(at) = hosts.turn(key, now) else { panic!("it asks for two seconds") };
    assert_eq!(at, now + Duration::from_secs(2));
    let Turn::Fetch(page) = hosts.turn(key, at) else { panic!("it is time") };
    assert_eq!(page.url, "https://www.shop.example/a");
    assert!(matches!(hosts.turn(key, at), Turn::Forbidden(_, FORBIDDEN)));
    assert_eq!(hosts.waiting(), 0);
    let forbidden = Url::parse("https://www.shop.example/cart/").unwrap();
    assert!(!hosts.is_permitted(&forbidden) && hosts.is_allowed(&forbidden));
    assert!(!hosts.is_allowed(&Url::parse("https://cdn.shop.example/").unwrap()));

    // What was learnt survives, and is asked for again after a day.
    let mut again = with_notes("", hosts.notes());
    assert!(!again.is_permitted(&forbidden));
    again.queue(entry("https://www.shop.example/b"));
    let later = now + Duration::from_secs(90_000);
    assert!(matches!(again.turn(key, later), Turn::Robots(_)));
    // Where it cannot be had then, what it said counts on, and it is asked for again soon.
    assert!(!again.is_permitted(&forbidden));
    again.ended(key, &ANSWER, later);
    assert!(!again.learn(robots(&origin, 503, "", later)).is_unreachable);
    assert!(!again.is_permitted(&forbidden));
    let second = later + Duration::from_secs(2);
    assert!(matches!(again.turn(key, second), Turn::Fetch(_)));
    again.ended(key, &ANSWER, second);
    again.queue(entry("https://www.shop.example/c"));
    assert!(matches!(again.turn(key, later + Duration::from_secs(601)), Turn::Robots(_)));
}

#[test]
fn nothing_is_fetched_where_robots_txt_cannot_be_had() {
    let now = Utc::now();
    let mut hosts = hosts("");
    let origin = "https://shop.example";
    assert!(hosts.learn(robots(origin, 503, "", now)).is_unreachable);
    hosts.queue(entry("https://shop.example/a"));
    let kind = UrlKind::Sitemap;
    hosts.queue(UrlEntry { kind, ..entry("https://shop.example/sitemap.xml") });
    for _ in 0..2 {
        assert!(matches!(hosts.turn("shop.example", now), Turn::Forbidden(_, UNREACHABLE)));
    }
}

#[test]
fn a_host_has_no_more_requests_at_once_than_its_part() {
    let now = Utc::now();
    let mut hosts = hosts("");
    let origin = "https://shop.example";
    hosts.learn(robots(origin, 404, "", now));
    for page in 0..5 {
        hosts.queue(entry(&format!("{origin}/{page}")));
    }
    let fetches = (0..5).filter(|_| matches!(hosts.turn("shop.example", now), Turn::Fetch(_)));
    assert_eq!(fetches.count(), 2, "half of four");
    hosts.ended("shop.example", &ANSWER, now);
    assert!(matches!(hosts.turn("shop.example", now), Turn::Fetch(_)));
}

#[test]
fn two_crawls_of_a_host_take_turns() {
    let shares = {
        let pipe = |name: &str| {
            let text = "[source]\nkind = 'site'\nurl = 'https://shop.example/'\n";
            let environment = BTreeMap::new();
            let name = name.parse().unwrap();
            feedfleet_config::parse_pipe(&name, text, Path::new("/"), &environment).unwrap()
        };
        HostShares::of(4, &[pipe("acme"), pipe("other")])
    };
    let mut now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let origin = "https://shop.example";
    let mut both = ["acme", "other"].map(|pipe| {
        let (agent, notes) = ("feedfleet".to_owned(), HostNotes::default());
        let pipe = pipe.parse().unwrap();
        let mut hosts = Hosts::new(pipe, &site(""), shares.clone(), agent, notes);
        hosts.learn(robots(origin, 200, "User-agent: *\nCrawl-delay: 1", now));
        (0..4).for_each(|page| hosts.queue(entry(&format!("{origin}/{page}"))));
        hosts
    });
    let mut began = Vec::new();
    while began.len() < 8 {
        for hosts in &mut both {
            if let Turn::Fetch(_) = hosts.turn("shop.example", now) {
                hosts.ended("shop.example", &ANSWER, now);
                began.push(now);
            }
        }
        now += Duration::from_millis(50);
    }
    for pair in began.windows(2) {
        assert!(pair[1] - pair[0] >= chrono::TimeDelta::seconds(1), "{began:?}");
    }
}

#[test]
fn the_agent_is_the_first_word() {
    assert_eq!(agent_of("feedfleet/1.0 (+https://x.example/)"), "feedfleet");
    assert_eq!(agent_of("Acme-Bot (+mail)"), "Acme-Bot");
    assert_eq!(agent_of("/"), "feedfleet");
}

#[test]
fn what_waits_is_given_back() {
    let now = Utc::now();
    let mut hosts = hosts("");
    let origin = "https://shop.example";
    hosts.learn(robots(origin, 404, "", now));
    for page in 0..3 {
        hosts.queue(entry(&format!("{origin}/{page}")));
    }
    let Turn::Fetch(first) = hosts.turn("shop.example", now) else { panic!("there are three") };
    let rest: Vec<String> = hosts.clear().into_iter().map(|entry| entry.url).collect();
    assert_eq!(rest.len(), 2);
    assert!(!rest.contains(&first.url) && hosts.waiting() == 0);
    assert!(matches!(hosts.turn("shop.example", now), Turn::Wait));
}
