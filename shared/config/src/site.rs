//! A site that a pipe crawls: where the crawl begins, how far it goes, and where on its pages fields stand.

use feedfleet_model::hash::{bytes_hash, hex};
use feedfleet_site::{CanonicalSettings, Limits, RuleSettings};
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

/// A site, checked: its patterns and selectors compile.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Where the crawl begins; one at least.
    pub starts: Vec<Url>,
    /// Its sitemaps; none: those that robots.txt names, else `/sitemap.xml`.
    pub sitemaps: Vec<Url>,
    /// Further hosts that belong to it, as addresses of their roots.
    pub hosts: Vec<Url>,
    /// Which links are followed, and which lead to products.
    pub rules: RuleSettings,
    /// What is the same page.
    pub canonical: CanonicalSettings,
    /// Where the crawl stops.
    pub limits: Limits,
    /// Whether links on pages are followed at all; otherwise start URLs and sitemaps are all there is.
    pub follows_links: bool,
    /// Share of the pages, 0 to 1, that may fail before the crawl proves nothing any more.
    pub max_failed: f64,
    /// How long one lease is worked under; then the rest goes on under another one.
    pub slice: Duration,
    /// The least time between two requests to one host, from this fleet.
    pub delay: Duration,
    /// Where on a page fields stand, before all that it says itself.
    pub selectors: Vec<PageSelector>,
}

/// Where on a page a field stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSelector {
    /// One of [`PAGE_FIELDS`].
    pub field: String,
    /// The CSS selector of the element.
    pub css: String,
    /// The attribute that holds the value; none: what is usual for the element, or its text.
    pub attribute: Option<String>,
}

impl PageSelector {
    /// The field, the selector and the attribute.
    pub fn parts(&self) -> (&str, &str, Option<&str>) {
        (&self.field, &self.css, self.attribute.as_deref())
    }
}

/// The fields that reading a page gives, under the names that `[map]` and selectors use.
pub const PAGE_FIELDS: [&str; 22] = [
    "id",
    "title",
    "description",
    "link",
    "image_link",
    "additional_image_links",
    "price",
    "normal_price",
    "currency",
    "availability",
    "brand",
    "gtin",
    "mpn",
    "sku",
    "item_group_id",
    "condition",
    "product_type",
    "color",
    "size",
    "material",
    "pattern",
    "review_count",
];

/// What a crawl notes beside a product's fields, and the table does not keep: the page, the page's state, and the picture
/// that a sitemap names for it, where that is the product's.
pub const PAGE_NOTES: [&str; 4] = ["page_url", "page_etag", "page_modified", "page_picture"];

impl Site {
    /// The keys of all hosts that may be asked: see [`host_key`].
    pub fn host_keys(&self) -> BTreeSet<String> {
        let all = self.starts.iter().chain(&self.sitemaps).chain(&self.hosts);
        all.filter_map(host_key).collect()
    }

    /// Whether a request to this URL may say who asks: on the site's own hosts, and without encryption only where the pipe
    /// names such an address of the host itself.
    pub fn may_know_who_asks(&self, url: &Url) -> bool {
        let key = host_key(url);
        let is_named_plain = || {
            let mut named = self.starts.iter().chain(&self.sitemaps);
            named.any(|own| own.scheme() == "http" && host_key(own) == key)
        };
        key.as_ref().is_some_and(|key| self.host_keys().contains(key))
            && (url.scheme() == "https" || is_named_plain())
    }

    /// The roots of all that belongs to the site, for its link rules.
    pub fn roots(&self) -> Vec<Url> {
        self.starts.iter().chain(&self.hosts).cloned().collect()
    }

    /// A fingerprint of what decides which pages are fetched, and what they give: half a crawl under others is not gone on
    /// with. For how long and how fast it goes on, and how much of it may fail, is no part of that.
    pub fn fingerprint(&self) -> String {
        let limits = Limits { max_time: None, ..self.limits.clone() };
        let zero = Duration::ZERO;
        let site = Self { limits, slice: zero, delay: zero, max_failed: 0.0, ..self.clone() };
        hex(bytes_hash(format!("{site:?}").as_bytes()))
    }

    /// A fingerprint of what decides which products a page gives.
    pub fn extraction_fingerprint(&self) -> String {
        let text = format!("{:?} {:?}", self.selectors, self.rules.product);
        hex(bytes_hash(text.as_bytes()))
    }
}

/// Names a host where manners are concerned: with its port unless that is the scheme's own, and without `www.`, which
/// is the same machine as a rule.
pub fn host_key(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => key_of(&format!("{host}:{port}")),
        None => key_of(host),
    })
}

/// As [`host_key`], of a host that is written with its port.
pub(crate) fn key_of(host: &str) -> String {
    host.strip_prefix("www.").unwrap_or(host).to_owned()
}
