//! What the crawl of a site decides: what may be fetched (robots.txt), what there is to fetch (sitemaps, link
//! rules), what is the same page (canonical URLs), what comes next and when (frontier, pace), and whether all of
//! it was seen (completeness).
//!
//! No I/O, no clock and no randomness: bytes, answers and the present moment are passed in, so that a crawl can
//! stop anywhere, be saved, and go on in another process.

#![deny(missing_docs)]

pub mod canonical;
pub mod completeness;
pub mod frontier;
mod moment;
pub mod pace;
pub mod robots;
pub mod rules;
pub mod sitemap;
mod slot;
pub mod traps;

#[cfg(test)]
mod tests;

pub use canonical::{Canonical, CanonicalSettings};
pub use completeness::{Doubt, Evidence, Proof, UnseenPages};
pub use frontier::{
    Added, FailedPage, Frontier, Next, Outcome, SnapshotError, Tally, UrlEntry, UrlKind,
};
pub use pace::{Allowance, Answer, Pace, Ready};
pub use robots::Robots;
pub use rules::{LinkKind, RuleError, RuleSettings, Rules};
pub use sitemap::{SitemapEntry, SitemapError, SitemapKind, SitemapReader, SitemapReport};
pub use slot::Slot;
pub use traps::{Limits, Skip};
