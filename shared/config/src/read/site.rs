//! Reads `[source]` of a pipe whose `kind` is `site`.

use super::currency;
use super::login;
use super::source::{self, DEFAULT_LIMITS};
use crate::format::Format;
use crate::pipe::{Compression, Location, Source};
use crate::site::{PAGE_FIELDS, PageSelector, Site, host_key};
use crate::suggest::one_of;
use crate::table::Table;
use crate::value::Value;
use feedfleet_site::{CanonicalSettings, Limits, RuleSettings, Rules};
use scraper::error::SelectorErrorKind;
use std::time::Duration;
use url::Url;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
/// A lease ends twelve hours after its receive, whatever its holder does; see the longest lease of fleet.toml.
const LONGEST_SLICE: Duration = Duration::from_secs(6 * 3_600);
const LONGEST_CRAWL: Duration = Duration::from_secs(30 * 86_400);
const MAX_PAGES: usize = 200_000;
const MOST_PAGES: u64 = 10_000_000;

/// Reads the section; none when it lacks what it can't do without.
pub(super) fn source(table: &mut Table<'_>) -> Option<Source> {
    let starts = starts(table);
    let sitemaps = table.read("sitemaps", Vec::new(), addresses);
    let hosts = table.read("hosts", Vec::new(), hosts);
    let mut headers = table.section("headers", Vec::new(), |t, _| source::headers(t));
    let login = login::take(table);
    let key = table.read("key", Vec::new(), |v| v.words());
    let currency = table.take("currency").and_then(|v| currency(&v));
    let site = Site {
        starts,
        sitemaps,
        hosts,
        rules: RuleSettings::default(),
        canonical: CanonicalSettings::default(),
        limits: Limits { max_pages: MAX_PAGES, ..Limits::default() },
        follows_links: true,
        max_failed: 0.02,
        slice: HOUR,
        delay: Duration::ZERO,
        selectors: Vec::new(),
    };
    let mut site = table.section("site", site, settings);
    site.selectors = table.section("selectors", Vec::new(), |t, _| selectors(t));
    login.attach_to_site(&mut headers)?;
    if site.starts.is_empty() {
        return None;
    }
    Some(Source {
        location: Location::Site(Box::new(site)),
        headers,
        format: Format::SchemaOrg,
        compression: Compression::None,
        encoding: None,
        delimiter: None,
        quoting: None,
        item: None,
        items: None,
        key,
        group: None,
        currency,
        changes_only: false,
        limits: DEFAULT_LIMITS,
    })
}

/// Where the crawl begins; nothing, with a mistake noted, where that can't be told.
fn starts(table: &mut Table<'_>) -> Vec<Url> {
    match (table.take("url"), table.take("start")) {
        (Some(url), None) => address(&url).into_iter().collect(),
        (None, Some(start)) => {
            let starts = addresses(&start);
            if starts.as_ref().is_some_and(Vec::is_empty) {
                start.refuse("start in [source] is empty", "expected a list of addresses");
            }
            starts.unwrap_or_default()
        }
        (Some(_), Some(start)) => {
            let message = "start in [source] says what url says, too";
            start.refuse_key(message, "expected one of them");
            Vec::new()
        }
        (None, None) => {
            let expected = "expected url = the site's address, or start = a list of addresses";
            table.mistake("[source] has no url", expected);
            Vec::new()
        }
    }
}

/// A list of addresses, or one alone.
fn addresses(value: &Value<'_>) -> Option<Vec<Url>> {
    if value.is_text() {
        return Some(vec![address(value)?]);
    }
    value.items()?.iter().map(address).collect()
}

/// A page's address. It ends up in rows and messages, so it holds no secrets.
fn address(value: &Value<'_>) -> Option<Url> {
    if value.written().is_some_and(|written| written.contains('@')) {
        value.document().hide(value.span());
    }
    let text = value.plain()?;
    let is_web = |url: &Url| {
        let is_anonymous = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && host_key(url).is_some() && is_anonymous
    };
    let url = Url::parse(&text).ok().filter(is_web);
    if url.is_none() {
        let message = format!("{} is not a page's address", value.name());
        value.refuse(message, "expected https://HOST/PATH, without a user");
    }
    url
}

fn hosts(value: &Value<'_>) -> Option<Vec<Url>> {
    let mut hosts = Vec::new();
    for host in value.words()? {
        let root = Url::parse(&format!("https://{host}/")).ok();
        let is_host =
            |url: &Url| url.path() == "/" && url.query().is_none() && url.username().is_empty();
        match root.filter(is_host) {
            Some(root) => hosts.push(root),
            None => {
                let message = format!("{} holds what is no host", value.name());
                value.refuse(
                    message,
                    "expected names such as 'shop.example' or 'shop.example:8443'",
                );
                return None;
            }
        }
    }
    Some(hosts)
}

fn settings(table: &mut Table<'_>, default: Site) -> Site {
    let rules = RuleSettings {
        follow: table.read("follow", Vec::new(), patterns),
        product: table.read("product", Vec::new(), patterns),
        deny: table.read("deny", Vec::new(), patterns),
    };
    let canonical = CanonicalSettings {
        sort_parameters: table.read("sort_parameters", false, |v| v.flag()),
        drop_parameters: table.read("drop_parameters", Vec::new(), |v| v.words()),
        keep_parameters: table.read("keep_parameters", Vec::new(), |v| v.words()),
    };
    let limits = default.limits.clone();
    let pages = |v: &Value<'_>| usize::try_from(v.integer(1, MOST_PAGES)?).ok();
    let limits = Limits {
        max_pages: table.read("max_pages", limits.max_pages, pages),
        max_pages_a_pattern: table
            .read("max_pages_a_pattern", limits.max_pages_a_pattern, |v| v.count(1, u32::MAX)),
        max_depth: table.read("max_depth", limits.max_depth, |v| {
            v.count(0, 10_000).and_then(|depth| u16::try_from(depth).ok())
        }),
        max_time: table.take("max_time").and_then(|v| v.duration(SECOND, LONGEST_CRAWL)),
        ..limits
    };
    Site {
        rules,
        canonical,
        limits,
        follows_links: table.read("links", default.follows_links, |v| v.flag()),
        max_failed: table.read("max_failed", default.max_failed, |v| v.share()),
        slice: table.read("slice", default.slice, |v| v.duration(SECOND, LONGEST_SLICE)),
        delay: table.read("delay", default.delay, |v| v.duration(Duration::ZERO, HOUR)),
        ..default
    }
}

/// Patterns, each of which compiles.
fn patterns(value: &Value<'_>) -> Option<Vec<String>> {
    let patterns = value.words()?;
    for pattern in &patterns {
        let alone = RuleSettings { deny: vec![pattern.clone()], ..RuleSettings::default() };
        if Rules::new(&[], &alone, &Limits::default()).is_err() {
            let message = format!("'{pattern}' in {} is no regular expression", value.name());
            value.refuse(message, "expected a pattern such as '/p/*', or one after 'regex:'");
            return None;
        }
    }
    Some(patterns)
}

fn selectors(table: &mut Table<'_>) -> Vec<PageSelector> {
    let mut selectors = Vec::new();
    for entry in table.entries() {
        if !PAGE_FIELDS.contains(&entry.key()) {
            let expected = one_of(Some(entry.key()), &PAGE_FIELDS);
            let message = format!("unknown field '{}'{}", entry.key(), entry.within());
            entry.refuse_key(message, expected);
            continue;
        }
        selectors.extend(selector(&entry));
    }
    selectors
}

fn selector(value: &Value<'_>) -> Option<PageSelector> {
    let field = value.key().to_owned();
    if value.is_text() {
        return Some(PageSelector { field, css: css(value)?, attribute: None });
    }
    let mut table = value.table_or("a CSS selector, or a table with css and attribute")?;
    let selected = table.required("css", "expected a CSS selector");
    let attribute = table.take("attribute");
    table.finish();
    let attribute = match attribute {
        Some(attribute) => Some(attribute.word()?),
        None => None,
    };
    Some(PageSelector { field, css: css(&selected?)?, attribute })
}

fn css(value: &Value<'_>) -> Option<String> {
    let css = value.word()?;
    if let Err(error) = scraper::Selector::parse(&css) {
        let why = match error {
            // The parser takes what it can't name for a fault of its own.
            SelectorErrorKind::UnexpectedSelectorParseError(_) => "it is not valid CSS".to_owned(),
            known => known.to_string(),
        };
        let quoted = value.text()?.quoted();
        value.refuse(
            format!("{quoted}, {}, is no CSS selector: {why}", value.name()),
            "expected one such as '.price' or 'span[itemprop=price]'",
        );
        return None;
    }
    Some(css)
}
