//! What the frontier holds of a URL, and what became of it.

use crate::traps::Skip;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a URL is to the crawl. Fetched in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlKind {
    /// A sitemap or an index of sitemaps.
    Sitemap,
    /// A product, by the pipe's rules.
    Product,
    /// A page that a sitemap lists.
    Listed,
    /// A start URL, or a page that a link led to.
    Page,
}

impl UrlKind {
    /// Whether it is counted against [`crate::Limits::max_pages_a_pattern`]: traps are made of links.
    pub(super) fn is_trap_prone(self) -> bool {
        self == Self::Page
    }
}

/// A URL that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlEntry {
    /// The canonical URL.
    pub url: String,
    /// What it is to the crawl.
    pub kind: UrlKind,
    /// Links between a start URL or a sitemap, which are 0, and this one.
    pub depth: u16,
    /// Tries that failed.
    pub failures: u8,
    /// Redirects in a row that led here.
    #[serde(default)]
    pub hops: u8,
}

/// What became of a URL that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The page was read, or is known to be as it was (304).
    Done,
    /// The site says that there is no such page (404, 410): what was on it is gone.
    Gone,
    /// The page was not fetched after all, because robots.txt forbids it (after a redirect, or since it was read
    /// again). What was on it is unknown.
    Forbidden,
    /// No page, and nobody knows why or for how long.
    Failed {
        /// The answer's status; none without an answer.
        status: Option<u16>,
        /// Whether another try may help.
        is_transient: bool,
        /// The `Retry-After` of the answer: the next try comes no sooner.
        retry_after: Option<Duration>,
    },
}

/// A URL that was given up: what was on it may still exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPage {
    /// The canonical URL.
    pub url: String,
    /// What it was to the crawl.
    pub kind: UrlKind,
    /// The last answer's status; none without an answer, and where robots.txt forbids the page.
    pub status: Option<u16>,
}

/// How far a crawl is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Pages that were read, without sitemaps.
    pub pages: u64,
    /// Sitemaps that were read.
    pub sitemaps: u64,
    /// URLs of which the site says that there is no such page.
    pub gone: u64,
    /// Tries that failed and were, or will be, repeated.
    pub retries: u64,
    /// URLs refused by the frontier's limits. The same URL may be refused, and counted, more than once, but for its depth.
    pub refused: BTreeMap<Skip, u64>,
    /// The first URL that each of them kept out.
    #[serde(default)]
    pub first_refused: BTreeMap<Skip, String>,
}
