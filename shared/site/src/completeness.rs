//! Whether a crawl proves what is absent: a product may only be removed because no page shows it when every page
//! was there to be seen. What was on pages that failed is unknown, so their products stay.

use crate::canonical::Canonical;
use crate::frontier::{Frontier, UrlKind};
use crate::traps::Skip;
use feedfleet_model::hash::bytes_hash;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// What is known of a crawl at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// URLs that were found and not fetched: the crawl was stopped.
    pub remaining: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Pages that were given up.
    pub failed: u64,
    /// Sitemaps that could not be fetched.
    pub sitemaps_failed: u64,
    /// Sitemaps whose end is missing or of which something could not be read.
    pub sitemaps_broken: u64,
    /// Links that limits kept out, where another crawl might have followed them.
    pub cut: Vec<(Skip, u64)>,
    /// Hosts whose robots.txt could not be reached, so that nothing of them was fetched.
    pub hosts_unreachable: u64,
}

/// Whether absence means anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// All of the site was seen, except for pages whose products stay: [`UnseenPages`].
    Whole,
    /// Parts of the site were not seen; nothing may be removed because it is absent.
    Partial {
        /// Why, each reason once; never empty.
        reasons: Vec<Doubt>,
    },
}

/// Why a crawl does not prove what is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Not a single page was read.
    #[error("no page was read")]
    NothingRead,
    /// The crawl ended before all that it had found was fetched: its time was over.
    #[error("max_time was over: {count} URLs were found and not fetched")]
    Unfinished {
        /// URLs.
        count: u64,
    },
    /// Sitemaps were not read, or not to their end.
    #[error("{count} sitemaps were not read whole")]
    SitemapsUnread {
        /// Sitemaps.
        count: u64,
    },
    /// A limit kept links out.
    #[error("{count} links were left out: {limit}")]
    LimitHit {
        /// The limit.
        limit: Skip,
        /// Links; the same one may be counted more than once.
        count: u64,
    },
    /// More pages failed than a site that works has.
    #[error("{failed} of {pages} pages failed")]
    TooManyFailed {
        /// Pages that failed.
        failed: u64,
        /// Pages that were read or failed.
        pages: u64,
    },
    /// A robots.txt could not be reached.
    #[error("{count} hosts whose robots.txt could not be reached")]
    HostsUnreachable {
        /// Hosts.
        count: u64,
    },
}

impl Evidence {
    /// What a frontier knows. Add what became of the sitemaps' contents and of robots.txt.
    pub fn of(frontier: &Frontier) -> Self {
        let is_sitemap = |kind: UrlKind| kind == UrlKind::Sitemap;
        let failed = frontier.failed();
        let sitemaps_failed = failed.iter().filter(|page| is_sitemap(page.kind)).count() as u64;
        let tally = frontier.tally();
        let cut = tally.refused.iter().filter(|(skip, _)| skip.is_cut());
        Self {
            remaining: frontier.remaining() as u64,
            pages: tally.pages,
            failed: failed.len() as u64 - sitemaps_failed,
            sitemaps_failed,
            sitemaps_broken: 0,
            cut: cut.map(|(skip, count)| (*skip, *count)).collect(),
            hosts_unreachable: 0,
        }
    }

    /// Weighs the evidence. `max_failed_share` (0 to 1) of the pages may fail.
    pub fn prove(&self, max_failed_share: f64) -> Proof {
        let mut reasons = Vec::new();
        if self.hosts_unreachable > 0 {
            reasons.push(Doubt::HostsUnreachable { count: self.hosts_unreachable });
        }
        if self.pages == 0 {
            reasons.push(Doubt::NothingRead);
        }
        if self.remaining > 0 {
            reasons.push(Doubt::Unfinished { count: self.remaining });
        }
        let unread = self.sitemaps_failed + self.sitemaps_broken;
        if unread > 0 {
            reasons.push(Doubt::SitemapsUnread { count: unread });
        }
        let limits = self.cut.iter().filter(|(_, count)| *count > 0);
        reasons
            .extend(limits.map(|(limit, count)| Doubt::LimitHit { limit: *limit, count: *count }));
        let pages = self.pages + self.failed;
        if self.failed as f64 > max_failed_share * pages as f64 {
            reasons.push(Doubt::TooManyFailed { failed: self.failed, pages });
        }
        if reasons.is_empty() { Proof::Whole } else { Proof::Partial { reasons } }
    }
}

impl Proof {
    /// Whether what is absent may be removed.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }
}

/// The pages that a crawl found and could not see. Their products stay, even after a whole crawl.
#[derive(Debug, Clone, Default)]
pub struct UnseenPages {
    canonical: Canonical,
    hashes: HashSet<u128>,
}

impl UnseenPages {
    /// The failed pages of a frontier, and the pages that lead to one. `moved`: which page redirects to which, by the
    /// hashes of their canonical URLs, without loops. `canonical` is that of the crawl.
    pub fn of(frontier: &Frontier, moved: &HashMap<u128, u128>, canonical: &Canonical) -> Self {
        let failed = frontier.failed().iter().map(|page| bytes_hash(page.url.as_bytes()));
        let mut hashes: HashSet<u128> = failed.collect();
        let leads_to_failed = |from: &u128| {
            let end = std::iter::successors(Some(*from), |at| moved.get(at).copied()).last();
            end.is_some_and(|end| hashes.contains(&end))
        };
        let moved: Vec<u128> = moved.keys().copied().filter(leads_to_failed).collect();
        hashes.extend(moved);
        Self { canonical: canonical.clone(), hashes }
    }

    /// The pages, by the hashes of their canonical URLs.
    pub fn hashes(&self) -> &HashSet<u128> {
        &self.hashes
    }

    /// Adds a canonical URL that was not fetched for another reason, such as a robots.txt that forbids it today.
    pub fn add(&mut self, url: &str) {
        self.hashes.insert(bytes_hash(url.as_bytes()));
    }

    /// Whether the product with this link was on a page that nobody saw, and has to stay. So does one whose link
    /// can't be read: nobody can say which page it was on.
    pub fn keep(&self, link: &str) -> bool {
        match self.canonical.parse(link) {
            Some(url) => self.hashes.contains(&bytes_hash(url.as_str().as_bytes())),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Next, Outcome};
    use chrono::{DateTime, Utc};

    fn good() -> Evidence {
        Evidence { pages: 100, ..Evidence::default() }
    }

    #[test]
    fn only_a_crawl_without_any_doubt_is_whole() {
        assert!(good().prove(0.02).is_whole());
        assert!(Evidence { failed: 2, ..good() }.prove(0.02).is_whole());
        let doubtful = [
            Evidence::default(),
            Evidence { remaining: 1, ..good() },
            Evidence { failed: 3, ..good() },
            Evidence { sitemaps_failed: 1, ..good() },
            Evidence { sitemaps_broken: 1, ..good() },
            Evidence { cut: vec![(Skip::PatternFull, 1)], ..good() },
            Evidence { hosts_unreachable: 1, ..good() },
        ];
        for evidence in doubtful {
            let proof = evidence.prove(0.02);
            let Proof::Partial { reasons } = proof else { panic!("{evidence:?} is whole") };
            assert_eq!(reasons.len(), 1, "{evidence:?}: {reasons:?}");
        }
    }

    #[test]
    fn products_of_failed_pages_stay_and_those_of_gone_pages_do_not() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let mut frontier = Frontier::new(&Limits::default(), now);
        for path in ["a", "b", "c", "d"] {
            frontier.add(&format!("http://shop.example/{path}"), UrlKind::Product, 0);
        }
        let failed = Outcome::Failed { status: Some(500), is_transient: false, retry_after: None };
        for outcome in [Outcome::Done, Outcome::Gone, failed, Outcome::Forbidden] {
            let Next::Fetch(entry) = frontier.next(now) else { panic!("there are four") };
            frontier.done(&entry.url, &outcome, now);
        }
        let evidence = Evidence::of(&frontier);
        assert_eq!((evidence.pages, evidence.failed, evidence.remaining), (1, 2, 0));
        let hash = |path: &str| bytes_hash(format!("http://shop.example/{path}").as_bytes());
        let moves = [("old", "older"), ("older", "c"), ("x", "a")];
        let moved = moves.into_iter().map(|(from, to)| (hash(from), hash(to))).collect();
        let mut unseen = UnseenPages::of(&frontier, &moved, &Canonical::default());
        let keeps = |unseen: &UnseenPages, path: &str| {
            unseen.keep(&format!("HTTP://Shop.example:80/{path}?utm_source=x#y"))
        };
        assert_eq!(
            ["a", "b", "c", "d"].map(|path| keeps(&unseen, path)),
            [false, false, true, true]
        );
        assert_eq!(["old", "older", "x"].map(|path| keeps(&unseen, path)), [true, true, false]);
        assert_eq!(unseen.hashes().len(), 4);
        unseen.add("http://shop.example/a");
        assert!(keeps(&unseen, "a"));
        assert!(unseen.keep("no link"));
    }
}
