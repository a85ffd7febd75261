//! The hosts of a site: how fast each is asked, what its robots.txt forbids, and which pages wait for their turn.
//!
//! Manners go by host (with `www.` or without, over http or https); robots.txt goes by origin.

use chrono::{DateTime, Utc};
use feedfleet_config::{HostShares, Site, host_key};
use feedfleet_http::Url;
use feedfleet_site::robots::path_and_query;
use feedfleet_site::{Allowance, Answer, Pace, Ready, Robots, UrlEntry, UrlKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The hosts of one crawl.
pub(super) struct Hosts {
    /// By [`host_key`].
    hosts: BTreeMap<String, Host>,
    /// By origin, as in `https://shop.example`.
    origins: BTreeMap<String, Origin>,
    allowed: BTreeSet<String>,
    shares: HostShares,
    delay: Duration,
    agent: String,
}

struct Host {
    pace: Pace,
    waiting: VecDeque<UrlEntry>,
}

enum Origin {
    /// Its robots.txt is being fetched. What it said the last time counts until then.
    Asked(Option<Known>),
    Known(Known),
}

/// What a robots.txt says.
struct Known {
    robots: Robots,
    answer: RobotsAnswer,
}

impl Origin {
    fn known(&self) -> Option<&Known> {
        match self {
            Self::Asked(before) => before.as_ref(),
            Self::Known(known) => Some(known),
        }
    }

    fn into_known(self) -> Option<Known> {
        match self {
            Self::Asked(before) => before,
            Self::Known(known) => Some(known),
        }
    }
}

/// What is saved of hosts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HostNotes {
    paces: BTreeMap<String, Pace>,
    robots: Vec<RobotsAnswer>,
}

/// What an origin answered when it was asked for its robots.txt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RobotsAnswer {
    pub origin: String,
    pub at: DateTime<Utc>,
    /// None: there was no answer.
    pub status: Option<u16>,
    pub body: Vec<u8>,
}

/// What a robots.txt said besides what it forbids.
pub(super) struct Learnt {
    /// Nothing may be fetched, because nobody knows what it says.
    pub is_unreachable: bool,
    /// The sitemaps that it names, as written.
    pub sitemaps: Vec<String>,
}

/// What to do about a host.
pub(super) enum Turn {
    /// Fetch this page or sitemap. The request has begun.
    Fetch(UrlEntry),
    /// Fetch the robots.txt of this origin first. The request has begun.
    Robots(String),
    /// robots.txt forbids this page.
    Forbidden(UrlEntry),
    /// Nothing before this moment.
    At(DateTime<Utc>),
    /// Nothing before something ends.
    Wait,
}

impl Hosts {
    /// The hosts of a site. `agent`: the product token that robots.txt files know this fleet by.
    pub(super) fn new(site: &Site, shares: HostShares, agent: String, notes: HostNotes) -> Self {
        let mut hosts = Self {
            hosts: BTreeMap::new(),
            origins: BTreeMap::new(),
            allowed: site.host_keys(),
            shares,
            delay: site.delay,
            agent,
        };
        for (key, pace) in notes.paces {
            hosts.hosts.insert(key, Host { pace, waiting: VecDeque::new() });
        }
        for answer in notes.robots {
            hosts.learn(answer);
        }
        for key in hosts.allowed.clone() {
            hosts.allow(&key);
        }
        hosts
    }

    /// What has been learnt, without what is under way.
    pub(super) fn notes(&self) -> HostNotes {
        let paces = self.hosts.iter().map(|(key, host)| (key.clone(), host.pace.clone()));
        let known = self.origins.values().filter_map(Origin::known);
        let robots = known.map(|known| known.answer.clone()).collect();
        HostNotes { paces: paces.collect(), robots }
    }

    /// Whether a URL is on a host that may be asked at all.
    pub(super) fn is_allowed(&self, url: &Url) -> bool {
        host_key(url).is_some_and(|key| self.allowed.contains(&key))
    }

    /// Whether robots.txt, as far as it is known, lets a page through.
    pub(super) fn is_permitted(&self, url: &Url) -> bool {
        let known = self.origins.get(&origin_of(url)).and_then(Origin::known);
        known.is_none_or(|known| known.robots.allows(&self.agent, &path_and_query(url.as_str())))
    }

    /// Whether the robots.txt of a URL's origin names sitemaps.
    pub(super) fn names_sitemaps(&self, url: &Url) -> bool {
        let known = self.origins.get(&origin_of(url)).and_then(Origin::known);
        known.is_some_and(|known| !known.robots.sitemaps().is_empty())
    }

    /// The hosts, by key.
    pub(super) fn keys(&self) -> Vec<String> {
        self.hosts.keys().cloned().collect()
    }

    /// Pages that wait for their host.
    pub(super) fn waiting(&self) -> usize {
        self.hosts.values().map(|host| host.waiting.len()).sum()
    }

    /// Adds a page, which is on an allowed host, behind those that wait.
    pub(super) fn queue(&mut self, entry: UrlEntry) {
        let key = Url::parse(&entry.url).ok().as_ref().and_then(host_key).unwrap_or_default();
        let allowance = self.allowance(&key);
        let host = self.hosts.entry(key);
        let new = || Host { pace: Pace::new(allowance), waiting: VecDeque::new() };
        host.or_insert_with(new).waiting.push_back(entry);
    }

    /// What the host with this key may be asked for now.
    pub(super) fn turn(&mut self, key: &str, now: DateTime<Utc>) -> Turn {
        let Some(host) = self.hosts.get_mut(key) else { return Turn::Wait };
        let Some(next) = host.waiting.front() else { return Turn::Wait };
        let url = Url::parse(&next.url).ok();
        let origin = url.as_ref().map(origin_of).unwrap_or_default();
        // A sitemap is named for crawlers: nobody forbids them what he shows them, as long as he can say so.
        let is_page = next.kind != UrlKind::Sitemap;
        let needs_robots = match self.origins.get(&origin) {
            Some(Origin::Asked(_)) => return Turn::Wait,
            Some(Origin::Known(Known { robots, answer })) => {
                let is_fresh = (now - answer.at).to_std().unwrap_or_default() < robots.max_age();
                let path = path_and_query(&next.url);
                let is_forbidden = if is_page {
                    !robots.allows(&self.agent, &path)
                } else {
                    robots.is_unreachable()
                };
                if is_fresh && is_forbidden {
                    return match host.waiting.pop_front() {
                        Some(entry) => Turn::Forbidden(entry),
                        None => Turn::Wait,
                    };
                }
                !is_fresh
            }
            None => true,
        };
        match host.pace.ready_at(now) {
            Ready::WhenOneEnds => return Turn::Wait,
            Ready::At(at) if at > now => return Turn::At(at),
            Ready::At(_) => {}
        }
        host.pace.began(now);
        if needs_robots {
            let before = self.origins.remove(&origin).and_then(Origin::into_known);
            self.origins.insert(origin.clone(), Origin::Asked(before));
            return Turn::Robots(origin);
        }
        match host.waiting.pop_front() {
            Some(entry) => Turn::Fetch(entry),
            None => Turn::Wait,
        }
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, key: &str, answer: &Answer, now: DateTime<Utc>) {
        if let Some(host) = self.hosts.get_mut(key) {
            host.pace.ended(now, answer);
        }
    }

    /// Takes what an origin says by its robots.txt, and its manners with it. Where it cannot be had any more, what it
    /// said last counts on, as RFC 9309 allows, and it is asked for again as soon as others that cannot be had.
    pub(super) fn learn(&mut self, answer: RobotsAnswer) -> Learnt {
        let origin = answer.origin.clone();
        let robots = Robots::from_status(answer.status, &answer.body);
        let before = self.origins.remove(&origin).and_then(Origin::into_known);
        let before = before.filter(|before| !before.robots.is_unreachable());
        let known = match before {
            Some(mut before) if robots.is_unreachable() => {
                let wait = before.robots.max_age().saturating_sub(robots.max_age());
                before.answer.at = answer.at - wait;
                before
            }
            _ => Known { robots, answer },
        };
        let learnt = Learnt {
            is_unreachable: known.robots.is_unreachable(),
            sitemaps: known.robots.sitemaps().to_vec(),
        };
        let key = Url::parse(&origin).ok().as_ref().and_then(host_key).unwrap_or_default();
        self.origins.insert(origin, Origin::Known(known));
        self.allow(&key);
        learnt
    }

    /// Sets the pace that a host is allowed now.
    fn allow(&mut self, key: &str) {
        let allowance = self.allowance(key);
        if let Some(host) = self.hosts.get_mut(key) {
            host.pace.allow(allowance);
        }
    }

    /// This crawl's part of what a host allows. Its delay is between all requests of the fleet.
    fn allowance(&self, key: &str) -> Allowance {
        let of_host = self.origins.iter().filter(|(origin, _)| {
            Url::parse(origin).ok().as_ref().and_then(host_key).as_deref() == Some(key)
        });
        let known = of_host.filter_map(|(_, origin)| origin.known());
        let asked = known.filter_map(|known| known.robots.delay(&self.agent));
        let delay = asked.max().unwrap_or_default().max(self.delay);
        let at_once = self.shares.of_crawl(key);
        Allowance { at_once, gap: delay.saturating_mul(self.shares.crawls(key)) }
    }
}

/// The origin of a URL, as in `https://shop.example`.
pub(super) fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The product token in a `User-Agent` header: `feedfleet` of `feedfleet/1.0 (+https://…)`.
pub(super) fn agent_of(user_agent: &str) -> String {
    let is_token = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let token: String = user_agent.chars().take_while(is_token).collect();
    if token.is_empty() { "feedfleet".to_owned() } else { token }
}

#[cfg(test)]
mod tests {
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
        let shares = HostShares::of(4, &[]);
        Hosts::new(&site(rest), shares, "feedfleet".to_owned(), HostNotes::default())
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
        assert!(matches!(hosts.turn(key, at), Turn::Forbidden(_)));
        assert_eq!(hosts.waiting(), 0);
        let forbidden = Url::parse("https://www.shop.example/cart/").unwrap();
        assert!(!hosts.is_permitted(&forbidden) && hosts.is_allowed(&forbidden));
        assert!(!hosts.is_allowed(&Url::parse("https://cdn.shop.example/").unwrap()));

        // What was learnt survives, and is asked for again after a day.
        let shares = HostShares::of(4, &[]);
        let agent = "feedfleet".to_owned();
        let mut again = Hosts::new(&site(""), shares, agent, hosts.notes());
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
            assert!(matches!(hosts.turn("shop.example", now), Turn::Forbidden(_)));
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
    fn the_agent_is_the_first_word() {
        assert_eq!(agent_of("feedfleet/1.0 (+https://x.example/)"), "feedfleet");
        assert_eq!(agent_of("Acme-Bot (+mail)"), "Acme-Bot");
        assert_eq!(agent_of("/"), "feedfleet");
    }
}
