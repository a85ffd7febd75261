//! The link rules of a pipe: which links of a page are products, which lead on, and which are left alone.

mod pattern;

use self::pattern::Patterns;
use crate::traps::{Limits, Skip};
use serde::{Deserialize, Serialize};
use url::Url;

/// Endings of paths that are no web pages.
const NO_PAGES: [&str; 47] = [
    "7z", "apk", "avi", "avif", "bmp", "bz2", "css", "csv", "dmg", "doc", "docx", "eot", "eps",
    "exe", "flv", "gif", "gz", "ico", "iso", "jpeg", "jpg", "js", "json", "m4a", "m4v", "mov",
    "mp3", "mp4", "mpeg", "ogg", "otf", "pdf", "png", "ppt", "pptx", "rar", "svg", "tar", "tif",
    "tiff", "ttf", "wav", "webm", "webp", "woff", "woff2", "zip",
];

/// A pipe's link rules.
///
/// A pattern is a glob for the path (`/p/*`): `*` stands for anything without a `/`, `**` for anything. It has to
/// fit the whole path; one with a `?` has to fit path and query, one with `://` the whole URL. After `regex:` comes
/// a regular expression that is searched in the whole URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSettings {
    /// Links to go on from. None: all of the site.
    pub follow: Vec<String>,
    /// Pages that are products. They need not be in `follow`.
    pub product: Vec<String>,
    /// Links to leave alone, whatever the other rules say.
    pub deny: Vec<String>,
}

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// By the pipe's rules a product.
    Product,
    /// Any other page.
    Page,
}

/// Why link rules can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A pattern that is no regular expression, or too large a one. Another try does not help.
    #[error("the site's `{rule}` patterns")]
    Pattern {
        /// The setting: `follow`, `product` or `deny`.
        rule: &'static str,
        /// What is wrong, with the pattern.
        #[source]
        source: regex::Error,
    },
}

/// Compiled link rules.
#[derive(Debug, Clone)]
pub struct Rules {
    sites: Vec<Site>,
    follow: Patterns,
    product: Patterns,
    deny: Patterns,
    limits: Limits,
}

/// A start URL's host, without `www.`, and its port unless that is the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Site {
    host: String,
    port: Option<u16>,
}

impl Rules {
    /// Compiles a pipe's rules. The site is made of the hosts of `starts` (without `www.`) and what is below them.
    pub fn new(
        starts: &[Url],
        settings: &RuleSettings,
        limits: &Limits,
    ) -> Result<Self, RuleError> {
        let mut sites = Vec::new();
        for start in starts {
            let Some(host) = start.host_str() else { continue };
            let host = host.strip_prefix("www.").unwrap_or(host).to_owned();
            let site = Site { host, port: start.port() };
            if !sites.contains(&site) {
                sites.push(site);
            }
        }
        Ok(Self {
            sites,
            follow: Patterns::new("follow", &settings.follow)?,
            product: Patterns::new("product", &settings.product)?,
            deny: Patterns::new("deny", &settings.deny)?,
            limits: limits.clone(),
        })
    }

    /// What a canonical URL is to the crawl, as far as its address says; why it is left alone otherwise. `depth`
    /// counts the links since a start URL or a sitemap, which are 0.
    pub fn judge(&self, url: &Url, depth: u16) -> Result<LinkKind, Skip> {
        if !self.is_same_site(url) {
            return Err(Skip::OtherSite);
        }
        if self.deny.matches(url.as_str()) {
            return Err(Skip::Denied);
        }
        self.limits.check(url)?;
        let kind = if self.product.matches(url.as_str()) {
            LinkKind::Product
        } else if is_no_page(url) {
            return Err(Skip::NotAPage);
        } else if depth > 0 && !self.follow.is_empty() && !self.follow.matches(url.as_str()) {
            return Err(Skip::NotFollowed);
        } else {
            LinkKind::Page
        };
        if depth > self.limits.max_depth {
            return Err(Skip::TooDeep);
        }
        Ok(kind)
    }

    /// Whether a URL is on a start URL's host or below one.
    pub fn is_same_site(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        self.sites.iter().any(|site| {
            let is_below = || host.strip_suffix(&site.host).is_some_and(|rest| rest.ends_with('.'));
            site.port == url.port() && (host == site.host || is_below())
        })
    }
}

fn is_no_page(url: &Url) -> bool {
    let name = url.path().rsplit('/').next().unwrap_or_default();
    let Some((_, ending)) = name.rsplit_once('.') else { return false };
    NO_PAGES.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(settings: &RuleSettings) -> Rules {
        let starts = [Url::parse("https://www.shop.example/").unwrap()];
        Rules::new(&starts, settings, &Limits { max_depth: 5, ..Limits::default() }).unwrap()
    }

    fn judge(rules: &Rules, url: &str, depth: u16) -> Result<LinkKind, Skip> {
        rules.judge(&Url::parse(url).unwrap(), depth)
    }

    #[test]
    fn without_rules_the_whole_site_is_followed() {
        let rules = rules(&RuleSettings::default());
        assert_eq!(judge(&rules, "https://www.shop.example/a", 1), Ok(LinkKind::Page));
        assert_eq!(judge(&rules, "http://de.shop.example/a", 1), Ok(LinkKind::Page));
        assert_eq!(judge(&rules, "https://shop.example:8443/a", 1), Err(Skip::OtherSite));
        assert_eq!(judge(&rules, "https://myshop.example/a", 1), Err(Skip::OtherSite));
        assert_eq!(judge(&rules, "https://shop.example/a.JPG", 1), Err(Skip::NotAPage));
        assert_eq!(judge(&rules, "https://shop.example/a", 6), Err(Skip::TooDeep));
    }

    #[test]
    fn deny_comes_before_product_and_product_before_follow() {
        let list = |pattern: &str| vec![pattern.to_owned()];
        let settings =
            RuleSettings { follow: list("/c/**"), product: list("/p/*"), deny: list("/p/gift*") };
        let rules = rules(&settings);
        assert_eq!(judge(&rules, "https://shop.example/p/1", 1), Ok(LinkKind::Product));
        assert_eq!(judge(&rules, "https://shop.example/p/gift-card", 1), Err(Skip::Denied));
        assert_eq!(judge(&rules, "https://shop.example/c/shoes/red", 1), Ok(LinkKind::Page));
        assert_eq!(judge(&rules, "https://shop.example/about", 1), Err(Skip::NotFollowed));
        assert_eq!(judge(&rules, "https://shop.example/", 0), Ok(LinkKind::Page), "a start");
    }
}
