//! What a sitemap holds, and what it turned out to be.

use chrono::{DateTime, Utc};
use std::io;

/// Entries that the protocol allows in one sitemap.
pub const PROTOCOL_ENTRIES: u64 = 50_000;
/// Bytes that the protocol allows in one sitemap, uncompressed.
pub const PROTOCOL_BYTES: u64 = 50 * 1024 * 1024;

/// What a sitemap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SitemapKind {
    /// A list of pages: `urlset`.
    Pages,
    /// A list of sitemaps: `sitemapindex`.
    Index,
    /// A URL a line.
    Text,
    /// An RSS feed.
    Rss,
    /// An Atom feed.
    Atom,
    /// XML with another root.
    Other,
}

/// A page or a further sitemap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitemapEntry {
    /// The address as written, without outer white space. It may be relative, and it may be no URL.
    pub location: String,
    /// Whether it is a sitemap's address.
    pub is_sitemap: bool,
    /// When it last changed, if the sitemap says so in a way that can be read.
    pub modified: Option<DateTime<Utc>>,
    /// Addresses of the page's pictures, as written; a thousand at most.
    pub images: Vec<String>,
}

/// What a sitemap turned out to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SitemapReport {
    /// Its kind, once its first element or line was read.
    pub kind: Option<SitemapKind>,
    /// Entries that were given.
    pub entries: u64,
    /// Items, or lines of a text, without an address.
    pub without_location: u64,
    /// Places that are not well-formed.
    pub errors: u64,
    /// References (`&name;`) that nobody knows; they are left as written.
    pub unknown_references: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is missing at its end, when it is not whole.
    pub cut: Option<String>,
}

impl SitemapReport {
    /// Whether it has more entries or bytes than the protocol allows.
    pub fn is_over_protocol(&self) -> bool {
        self.entries > PROTOCOL_ENTRIES || self.bytes > PROTOCOL_BYTES
    }

    /// Whether every entry was read: a crawl may conclude something from what is not in it.
    pub fn is_whole(&self) -> bool {
        self.cut.is_none() && self.errors == 0
    }
}

/// Why a sitemap can't be read any further. The entries before it stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SitemapError {
    /// Something else, such as a web page. Another try does not help.
    #[error("this is no sitemap: {message}")]
    NotASitemap {
        /// What it is instead.
        message: String,
    },
    /// The source failed; another try may help.
    #[error("the sitemap can't be read")]
    Io {
        /// The source's error.
        #[source]
        source: io::Error,
    },
}

impl SitemapError {
    pub(super) fn not_a_sitemap(message: &str) -> Self {
        Self::NotASitemap { message: message.to_owned() }
    }

    pub(super) fn io(source: io::Error) -> Self {
        Self::Io { source }
    }

    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}
