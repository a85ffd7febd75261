//! What keeps a crawl from going on for ever: sites make addresses without end, by calendars, filters, sessions
//! and links that repeat themselves.
//!
//! Some limits look at a URL alone: the same URLs are left out every night. The others depend on what was found
//! before, so that a crawl that meets one of them does not prove what is absent ([`Skip::is_cut`]).

use feedfleet_model::hash::bytes_hash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use url::Url;

/// Segments of letters and digits that are at least so long and hexadecimal are ids.
const ID_DIGITS: usize = 8;
/// The longest run of segments that is looked at for repetition.
const MAX_BLOCK: usize = 4;
/// URL patterns that are counted; those found later are bounded by the count of all pages alone.
const MAX_PATTERNS: usize = 100_000;

/// Bounds of one crawl.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Links between a start URL or a sitemap and a page. Generous, since a list of products may be reachable by
    /// its "next" links only.
    pub max_depth: u16,
    /// Bytes of a URL.
    pub max_url_bytes: usize,
    /// Parameters of a query.
    pub max_parameters: usize,
    /// How often the same segments may follow each other in a path: `/a/b/a/b/a/b` is three times.
    pub max_repeats: usize,
    /// Pages whose URLs differ only in numbers, ids and the values of parameters. Products, and pages that a
    /// sitemap lists, are not counted.
    pub max_pages_a_pattern: u32,
    /// Pages and sitemaps in all, each some 150 bytes of memory while it waits.
    pub max_pages: usize,
    /// Time that may go into the crawl, if it has an end. What passes while nobody is at it does not count.
    pub max_time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 200,
            max_url_bytes: 2_048,
            max_parameters: 12,
            max_repeats: 3,
            max_pages_a_pattern: 10_000,
            max_pages: 500_000,
            max_time: None,
        }
    }
}

/// Why a link is not followed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Neither a start URL's host nor below one.
    #[error("another site")]
    OtherSite,
    /// A `deny` rule of the pipe.
    #[error("denied by the pipe's rules")]
    Denied,
    /// The pipe has `follow` rules, and none of them fits.
    #[error("not to be followed by the pipe's rules")]
    NotFollowed,
    /// A picture, a script, an archive.
    #[error("not a page, by its file name")]
    NotAPage,
    /// Over [`Limits::max_url_bytes`].
    #[error("the URL is too long")]
    TooLong,
    /// Over [`Limits::max_parameters`].
    #[error("too many parameters")]
    TooManyParameters,
    /// [`Limits::max_repeats`] times the same segments.
    #[error("the path repeats itself")]
    Repeating,
    /// Over [`Limits::max_depth`].
    #[error("too many links away from the start")]
    TooDeep,
    /// Over [`Limits::max_pages_a_pattern`].
    #[error("too many pages whose URLs differ only in numbers, ids and values of parameters")]
    PatternFull,
    /// Over [`Limits::max_pages`].
    #[error("too many pages")]
    SiteFull,
}

impl Skip {
    /// Whether another crawl of the same pages might have fetched the URL: one that was left out for such a reason
    /// may be a product's.
    pub fn is_cut(self) -> bool {
        matches!(self, Self::TooDeep | Self::PatternFull | Self::SiteFull)
    }
}

impl Limits {
    /// Whether a URL alone says that it is a trap.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Skip> {
        if url.as_str().len() > self.max_url_bytes {
            return Err(Skip::TooLong);
        }
        let parameters = url.query().map_or(0, |query| query.split('&').count());
        if parameters > self.max_parameters {
            return Err(Skip::TooManyParameters);
        }
        if repeats(url.path(), self.max_repeats) {
            return Err(Skip::Repeating);
        }
        Ok(())
    }
}

/// Whether some segments of a path follow each other `times` times.
fn repeats(path: &str, times: usize) -> bool {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    (1..=MAX_BLOCK).any(|block| {
        let needed = block * times.max(2);
        segments.windows(needed).any(|window| {
            window[block..].iter().zip(window).all(|(segment, before)| segment == before)
        })
    })
}

/// How many pages there are of each URL pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PatternCounts(BTreeMap<u64, u32>);

impl PatternCounts {
    /// Counts a page; false when there are `max` pages of its pattern already.
    pub(crate) fn count(&mut self, url: &str, max: u32) -> bool {
        let pattern = bytes_hash(pattern(url).as_bytes()) as u64;
        if let Some(count) = self.0.get_mut(&pattern) {
            if *count >= max {
                return false;
            }
            *count += 1;
        } else if self.0.len() < MAX_PATTERNS {
            self.0.insert(pattern, 1);
        }
        true
    }
}

/// What URLs of the same kind have in common: the host, the path with numbers and ids replaced, and the names of
/// the parameters.
fn pattern(url: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut out = String::with_capacity(url.len());
    for segment in path.split('/') {
        push_pattern(segment, &mut out);
        out.push('/');
    }
    let mut known = HashSet::new();
    let names = query.split('&').map(|piece| piece.split('=').next().unwrap_or_default());
    for name in names.filter(|name| known.insert(*name)) {
        out.push('?');
        push_pattern(name, &mut out);
    }
    out
}

/// Appends a segment with every run of digits, and every long hexadecimal word, as `#`.
fn push_pattern(segment: &str, out: &mut String) {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) {
            rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
        if has_digit && end >= ID_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            out.push('#');
            continue;
        }
        let mut is_in_number = false;
        for c in word.chars() {
            if !c.is_ascii_digit() {
                out.push(c);
            } else if !is_in_number {
                out.push('#');
            }
            is_in_number = c.is_ascii_digit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str) -> Result<(), Skip> {
        Limits::default().check(&Url::parse(url).unwrap())
    }

    #[test]
    fn traps_are_seen_in_a_url_alone() {
        assert_eq!(check("http://a.example/2024/01/01/shoes?size=42"), Ok(()));
        assert_eq!(check("http://a.example/a/b/a/b"), Ok(()));
        assert_eq!(check("http://a.example/x/a/b/a/b/a/b"), Err(Skip::Repeating));
        assert_eq!(check("http://a.example/a/a/a/"), Err(Skip::Repeating));
        assert_eq!(check("http://a.example////x"), Err(Skip::Repeating));
        let query = vec!["f=1"; 13].join("&");
        let url = format!("http://a.example/?{query}");
        assert_eq!(check(&url), Err(Skip::TooManyParameters));
        let url = format!("http://a.example/{}", "x".repeat(2_048));
        assert_eq!(check(&url), Err(Skip::TooLong));
    }

    #[test]
    fn urls_that_differ_in_numbers_have_one_pattern() {
        let a = pattern("http://a.example/cal/2024-01-09/9f86d081?page=1&y=2&y=3");
        assert_eq!(a, pattern("http://a.example/cal/1999-12-31/0a1b2c3d4e5f?page=77&y=0"));
        assert_eq!(a, "http://a.example/cal/#-#-#/#/?page?y");
        assert_ne!(a, pattern("http://a.example/kal/2024-01-09/9f86d081?page=1&y=2"));
        assert_eq!(pattern("http://a.example/decorated/p12x"), "http://a.example/decorated/p#x/?");
    }

    #[test]
    fn a_pattern_is_full_after_its_limit() {
        let mut counts = PatternCounts::default();
        let counted = (0..5).filter(|day| counts.count(&format!("http://a.example/{day}"), 3));
        assert_eq!(counted.count(), 3);
        assert!(counts.count("http://a.example/about", 3));
    }
}
