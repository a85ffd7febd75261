//! The hosts of a site: how fast each is asked, what its robots.txt forbids, and which pages wait for their turn.
//!
//! Manners go by host (with `www.` or without, over http or https); robots.txt goes by origin.

use chrono::{DateTime, Utc};
use feedfleet_config::{HostShares, Site, host_key};
use feedfleet_http::Url;
use feedfleet_model::PipeName;
use feedfleet_site::robots::path_and_query;
use feedfleet_site::{Allowance, Answer, Pace, Ready, Robots, Slot, UrlEntry, UrlKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A host that is left alone for as long, or longer, is told of.
pub(super) const LONG_PAUSE: Duration = Duration::from_secs(60);
/// Why a page or a sitemap is not fetched.
const FORBIDDEN: &str = "robots.txt forbids it";
const UNREACHABLE: &str = "its host's robots.txt cannot be had";

/// The hosts of one crawl.
pub(super) struct Hosts {
    /// By [`host_key`].
    hosts: BTreeMap<String, Host>,
    /// By origin, as in `https://shop.example`.
    origins: BTreeMap<String, Origin>,
    allowed: BTreeSet<String>,
    pipe: PipeName,
    shares: HostShares,
    delay: Duration,
    agent: String,
}

struct Host {
    pace: Pace,
    /// This crawl's part of the time, where others crawl the host as well.
    slot: Slot,
    waiting: VecDeque<UrlEntry>,
    /// Until when it was last told to be left alone.
    told_until: Option<DateTime<Utc>>,
}

impl Host {
    fn new(pace: Pace, slot: Slot) -> Self {
        Self { pace, slot, waiting: VecDeque::new(), told_until: None }
    }
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
    /// robots.txt forbids this page, or cannot be had; which of them, for people.
    Forbidden(UrlEntry, &'static str),
    /// Nothing before this moment.
    At(DateTime<Utc>),
    /// Nothing before something ends.
    Wait,
}

impl Hosts {
    /// The hosts of a pipe's site. `agent`: the product token that robots.txt files know this fleet by.
    pub(super) fn new(
        pipe: PipeName,
        site: &Site,
        shares: HostShares,
        agent: String,
        notes: HostNotes,
    ) -> Self {
        let mut hosts = Self {
            hosts: BTreeMap::new(),
            origins: BTreeMap::new(),
            allowed: site.host_keys(),
            pipe,
            shares,
            delay: site.delay,
            agent,
        };
        for (key, pace) in notes.paces {
            let (_, slot) = hosts.allowance(&key);
            hosts.hosts.insert(key, Host::new(pace, slot));
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

    /// Takes out all pages that wait for their host.
    pub(super) fn clear(&mut self) -> Vec<UrlEntry> {
        self.hosts.values_mut().flat_map(|host| std::mem::take(&mut host.waiting)).collect()
    }

    /// Adds a page, which is on an allowed host, behind those that wait.
    pub(super) fn queue(&mut self, entry: UrlEntry) {
        let key = Url::parse(&entry.url).ok().as_ref().and_then(host_key).unwrap_or_default();
        let (allowance, slot) = self.allowance(&key);
        let host = self.hosts.entry(key);
        let new = || Host::new(Pace::new(allowance), slot);
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
                    let why = if robots.is_unreachable() { UNREACHABLE } else { FORBIDDEN };
                    return match host.waiting.pop_front() {
                        Some(entry) => Turn::Forbidden(entry, why),
                        None => Turn::Wait,
                    };
                }
                !is_fresh
            }
            None => true,
        };
        let at = match host.pace.ready_at(now) {
            Ready::WhenOneEnds => return Turn::Wait,
            Ready::At(at) => host.slot.next(at),
        };
        if at > now {
            return Turn::At(at);
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

    /// A request has ended. The moment until which its host is left alone from now on, if that is long.
    pub(super) fn ended(
        &mut self,
        key: &str,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let host = self.hosts.get_mut(key)?;
        host.pace.ended(now, answer);
        let until = host.pace.paused_until(now).filter(|until| *until >= now + LONG_PAUSE)?;
        if host.told_until.is_some_and(|told| told > now) {
            return None;
        }
        host.told_until = Some(until);
        Some(until)
    }

    /// The host that is to be left alone for longest from now on, and for how long; none where none is.
    pub(super) fn longest_pause(&self, now: DateTime<Utc>) -> Option<(String, Duration)> {
        let pauses = self.hosts.iter().filter_map(|(key, host)| {
            Some((key, (host.pace.paused_until(now)? - now).to_std().ok()?))
        });
        pauses.max_by_key(|(_, pause)| *pause).map(|(key, pause)| (key.clone(), pause))
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
        let (allowance, slot) = self.allowance(key);
        if let Some(host) = self.hosts.get_mut(key) {
            host.pace.allow(allowance);
            host.slot = slot;
        }
    }

    /// This crawl's part of what a host allows. Its delay is between all requests of the fleet's crawls.
    fn allowance(&self, key: &str) -> (Allowance, Slot) {
        let of_host = self.origins.iter().filter(|(origin, _)| {
            Url::parse(origin).ok().as_ref().and_then(host_key).as_deref() == Some(key)
        });
        let known = of_host.filter_map(|(_, origin)| origin.known());
        let asked = known.filter_map(|known| known.robots.delay(&self.agent));
        let delay = asked.max().unwrap_or_default().max(self.delay).max(self.shares.delay(key));
        let of = self.shares.crawls(key);
        let slot = Slot { nth: self.shares.place_of(key, &self.pipe), of, delay };
        (Allowance { at_once: self.shares.of_crawl(key), gap: delay.saturating_mul(of) }, slot)
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
mod tests;
