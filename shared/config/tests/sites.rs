//! Pipes that crawl a site.

use feedfleet_config::{ConfigErrors, Format, HostShares, Location, Pipe, Site, parse_pipe};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn parse(text: &str) -> Result<Pipe, ConfigErrors> {
    let environment = BTreeMap::from([("T".to_owned(), "abc".to_owned())]);
    let name = "acme".parse().expect("a pipe's name");
    parse_pipe(&name, text, Path::new("/conf"), &environment)
}

fn pipe(text: &str) -> Pipe {
    parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn site(pipe: &Pipe) -> &Site {
    match &pipe.source.location {
        Location::Site(site) => site,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_site_needs_its_address_alone() {
    let pipe = pipe("[source]\nkind = 'site'\nurl = 'https://www.shop.example/?a=1'\n");
    let site = site(&pipe);
    assert_eq!(pipe.source.format, Format::SchemaOrg);
    assert_eq!(pipe.source.location.display(), "https://www.shop.example/?…");
    assert_eq!(site.starts.len(), 1);
    assert!(site.follows_links && site.selectors.is_empty() && site.sitemaps.is_empty());
    assert_eq!((site.slice, site.max_failed), (Duration::from_secs(3_600), 0.02));
    assert_eq!(site.host_keys().into_iter().collect::<Vec<_>>(), ["shop.example"]);
    let shares = HostShares::of(4, std::slice::from_ref(&pipe));
    assert_eq!((shares.of_crawl("shop.example"), shares.of_pictures("shop.example")), (2, 2));
    // The page's own notes are no product's.
    assert!(pipe.map.iter().any(|entry| format!("{:?}", entry.from).contains("page_etag")));
}

#[test]
fn every_setting_of_a_site_is_read() {
    let pipe = pipe(
        "[source]\nkind = 'site'\nstart = ['https://a.example/x', 'https://b.example:8443/']\n\
         sitemaps = ['https://a.example/s.xml']\nhosts = ['cdn.a.example']\nkey = 'gtin'\n\
         currency = 'EUR'\n\
         [source.site]\nfollow = ['/c/**']\nproduct = '/p/*'\ndeny = ['regex:print=1']\n\
         links = false\nmax_pages = 10\nmax_depth = 3\nmax_pages_a_pattern = 5\nmax_time = '2h'\n\
         max_failed = '10%'\nslice = '30m'\ndelay = '500ms'\nsort_parameters = true\n\
         drop_parameters = ['ref*']\nkeep_parameters = ['sid']\n\
         [source.selectors]\nprice = '.price'\nimage_link = { css = 'img', attribute = 'data-src' }\n",
    );
    let site = site(&pipe);
    let keys: Vec<String> = site.host_keys().into_iter().collect();
    assert_eq!(keys, ["a.example", "b.example:8443", "cdn.a.example"]);
    assert_eq!((site.rules.product.len(), site.rules.follow.len()), (1, 1));
    assert_eq!((site.limits.max_pages, site.limits.max_depth), (10, 3));
    assert_eq!(site.limits.max_time, Some(Duration::from_secs(7_200)));
    assert_eq!((site.slice, site.delay), (Duration::from_secs(1_800), Duration::from_millis(500)));
    assert!(!site.follows_links && site.canonical.sort_parameters);
    assert_eq!(site.selectors[1].attribute.as_deref(), Some("data-src"));
    assert_eq!(pipe.source.key, ["gtin"]);

    let other = self::pipe("[source]\nkind = 'site'\nurl = 'https://a.example/'\n");
    let other = self::site(&other);
    assert_ne!(other.fingerprint(), site.fingerprint());
    assert_ne!(other.extraction_fingerprint(), site.extraction_fingerprint());
}

/// A crawl that was interrupted goes on under more time, and begins anew under other pages.
#[test]
fn what_a_crawl_fetches_is_its_fingerprint() {
    let fingerprint = |setting: &str| {
        let source = "[source]\nkind = 'site'\nurl = 'https://a.example/'\n[source.site]\n";
        site(&pipe(&format!("{source}{setting}\n"))).fingerprint()
    };
    let plain = fingerprint("");
    for setting in ["max_time = '2h'", "slice = '1m'", "delay = '1s'", "max_failed = '10%'"] {
        assert_eq!(fingerprint(setting), plain, "{setting}");
    }
    for setting in ["max_pages = 10", "links = false", "product = '/p/*'", "max_depth = 3"] {
        assert_ne!(fingerprint(setting), plain, "{setting}");
    }
}

#[test]
fn a_site_is_told_who_asks_and_nobody_else_is() {
    let pipe = pipe(
        "[source]\nkind = 'site'\nurl = 'https://a.example/'\nhosts = 'b.example'\n\
         sitemaps = 'http://plain.example/s.xml'\nheaders = { X-Key = '${T}' }\n\
         auth = { basic = { user = 'me', password = '${T}' } }\n",
    );
    let headers: Vec<(&str, &str)> =
        pipe.source.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("X-Key", "abc"), ("Authorization", "Basic bWU6YWJj")]);
    let site = site(&pipe);
    let may_know = |url: &str| site.may_know_who_asks(&url.parse().expect("a URL"));
    for url in ["https://a.example/x", "https://www.a.example/", "https://b.example/"] {
        assert!(may_know(url), "{url}");
    }
    assert!(may_know("http://plain.example/p/1") && may_know("https://plain.example/"));
    let others = ["http://a.example/x", "http://b.example/", "https://c.example/"];
    for url in others.into_iter().chain(["https://a.example:8443/"]) {
        assert!(!may_know(url), "{url}");
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    const HEAD: &str = "[source]\nkind = 'site'\n";
    for (rest, expected) in [
        ("", ":1:1: [source] has no url; expected url = the site's address"),
        ("url = 'https://u:p@a.example/'", ":3:7: url in [source] is not a page's address"),
        ("url = 'https://a.example/${T}'", ":3:7: url in [source] can't hold a variable"),
        ("start = []", ":3:9: start in [source] is empty"),
        ("url = 'https://a.example/'\nformat = 'csv'", ":4:1: unknown field 'format' in [source]"),
        (
            "url = 'https://a.example/'\nhosts = 'a/b'",
            ":4:9: hosts in [source] holds what is no host",
        ),
        (
            "url = 'https://a.example/'\n[source.site]\ndeny = ['regex:(']",
            ":5:8: 'regex:(' in deny in [source.site] is no regular expression",
        ),
        (
            "url = 'https://a.example/'\n[source.selectors]\nprice = 'p['",
            ":5:9: 'p[', price in [source.selectors], is no CSS selector",
        ),
        (
            "url = 'https://a.example/'\n[source.selectors]\nprice = '..['",
            ":5:9: '..[', price in [source.selectors], is no CSS selector: it is not valid CSS",
        ),
        (
            "url = 'https://a.example/'\n[source.selectors]\nprise = '.p'",
            ":5:1: unknown field 'prise' in [source.selectors]; did you mean 'price'?",
        ),
        (
            "url = 'https://a.example/'\nauth = { password = 'abc' }",
            ":4:8: password and key in [source.auth] are for sftp and ftp",
        ),
        (
            "url = 'https://a.example/'\nhost_key = 'SHA256:x'",
            ":4:1: host_key in [source] has no use with such a source",
        ),
        (
            "url = 'https://a.example/'\n[source.site]\nslice = '7h'",
            ":5:9: slice in [source.site] is '7h'; expected 1s to 6h",
        ),
    ] {
        let errors = parse(&format!("{HEAD}{rest}\n")).expect_err(rest).to_string();
        assert!(errors.starts_with(&format!("pipes/acme.toml{expected}")), "{rest}\n{errors}");
        assert!(!errors.contains("u:p"), "{errors}");
    }
}
