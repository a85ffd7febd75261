//! URLs: the cases of crawler-commons' normaliser and resolver, and the WHATWG's.

use super::crawler_commons;
use crate::{Canonical, CanonicalSettings};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// The lines of a CSV file that are neither empty nor comments, as trimmed fields.
fn records(text: &str) -> Vec<Vec<String>> {
    let lines = text.split('\n').filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(fields).collect()
}

fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().unwrap();
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if is_quoted || field.trim().is_empty() => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            _ => field.push(character),
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

/// Prints a set's pass rate and every miss by the reason that explains it, and fails where none does.
fn report(set: &str, all: usize, misses: &[(String, Option<&'static str>)]) {
    println!("{set}: {} of {all}", all - misses.len());
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (miss, reason) in misses {
        reasons.entry(reason.unwrap_or("NOT EXPLAINED")).or_default().push(miss);
    }
    for (reason, misses) in &reasons {
        println!("  {}: {reason}", misses.len());
        misses.iter().for_each(|miss| println!("    {miss}"));
    }
    let unexplained: Vec<&String> =
        misses.iter().filter(|(_, reason)| reason.is_none()).map(|(miss, _)| miss).collect();
    assert!(unexplained.is_empty(), "{set}: {unexplained:#?}");
}

#[test]
fn crawler_commons_normal_forms_are_ours_but_for_what_differs_by_choice() {
    let Some(csv) = crawler_commons("normalizer/weirdToNormalizedUrls.csv") else { return };
    let records = records(&String::from_utf8(csv).unwrap());
    let canonical = Canonical::new(&CanonicalSettings {
        sort_parameters: true,
        ..CanonicalSettings::default()
    });
    let mut misses = Vec::new();
    for record in &records {
        let [input, expected] = record.as_slice() else { panic!("{record:?}") };
        let found = canonical.parse(input).map(String::from);
        if found.as_deref() != Some(expected) {
            let miss = format!("{input}: {found:?} and not {expected}");
            misses.push((miss, choice(input, expected, found.as_deref())));
        }
    }
    assert!(misses.len() <= 17, "{misses:#?}");
    report("crawler-commons, normal URLs", records.len(), &misses);
}

/// Why our form of a URL differs from that of crawler-commons.
fn choice(input: &str, expected: &str, found: Option<&str>) -> Option<&'static str> {
    let Some(found) = found else {
        let is_web = input.starts_with("http://") && !input.starts_with("http:///");
        return (!is_web).then_some(
            "no address of a web page: without a host, of another scheme, or without one (which a \
             link on a page would mean as a path)",
        );
    };
    if found.replace("//", "/").replace("//", "/") == expected.replace("//", "/") {
        return Some("doubled slashes stay: some servers answer otherwise without");
    }
    (found.replace("=&", "&").trim_end_matches('=') == expected)
        .then_some("a parameter's `=` stays: some servers tell `a=` from `a`")
}

#[test]
fn crawler_commons_invalid_urls_are_none() {
    let Some(csv) = crawler_commons("normalizer/invalidUrls.csv") else { return };
    let records = records(&String::from_utf8(csv).unwrap());
    for record in &records {
        assert_eq!(Canonical::default().parse(&record[0]), None, "{record:?}");
    }
    println!("crawler-commons, invalid URLs: all {}", records.len());
}

#[test]
fn crawler_commons_links_resolve() {
    let Some(csv) = crawler_commons("url-utils/url-resolve.csv") else { return };
    let records = records(&String::from_utf8(csv).unwrap());
    for record in &records {
        let [link, base, expected] = record.as_slice() else { panic!("{record:?}") };
        assert_eq!(
            resolved(link, base).as_ref().map(Url::as_str),
            Some(expected.as_str()),
            "{link}"
        );
    }
    println!("crawler-commons, resolved links: all {}", records.len());
}

fn resolved(link: &str, base: &str) -> Option<Url> {
    if base.is_empty() {
        return Url::parse(link).ok();
    }
    Url::parse(base).ok()?.join(link).ok()
}

#[test]
fn whatwg_cases_hold_but_for_what_a_canonical_url_drops() {
    let Some(json) = crawler_commons("url-utils/wpt-urltestdata.json") else { return };
    let cases: Vec<Value> = serde_json::from_slice(&json).unwrap();
    let canonical = Canonical::default();
    let (mut all, mut web) = (0, 0);
    let (mut parser_misses, mut misses) = (Vec::new(), Vec::new());
    for case in cases.iter().filter(|case| case.is_object()) {
        all += 1;
        let text = |key: &str| case[key].as_str();
        let (input, base) = (text("input").unwrap(), text("base").unwrap_or_default());
        let (expected, found) = (text("href"), resolved(input, base));
        if found.as_ref().map(Url::as_str) != expected {
            let miss = format!("{input:?} on {base:?}: {found:?} and not {expected:?}");
            parser_misses.push((miss, parser_gap(input, expected, base)));
        }
        // What is no web page's address must have no canonical form either.
        let is_web =
            expected.is_some_and(|url| url.starts_with("http:") || url.starts_with("https:"));
        web += usize::from(is_web);
        let form = found.clone().and_then(|url| canonical.apply(url)).map(String::from);
        let expected = expected.filter(|_| is_web);
        if form.as_deref() != expected {
            let miss = format!("{input:?} on {base:?}: {form:?} and not {expected:?}");
            misses.push((miss, dropped(input, expected, form.as_deref())));
        }
    }
    report("WHATWG, the `url` crate", all, &parser_misses);
    println!("WHATWG, of web pages: {web} of {all}");
    report("WHATWG, canonical", all, &misses);
}

const SLASHES: &str = "a host after more than two slashes is refused by `url`: an older rule";

/// Why the `url` crate does not do as the WHATWG says.
fn parser_gap(input: &str, expected: Option<&str>, base: &str) -> Option<&'static str> {
    let url = expected.unwrap_or(input);
    if input.starts_with("///") {
        Some(SLASHES)
    } else if url.contains("xn--") {
        Some("a Punycode label that stands for nothing is refused: an older rule")
    } else if !url.starts_with("http") {
        Some("no web page's address")
    } else {
        (!base.is_empty() && !base.starts_with("http")).then_some("a link on what is no web page")
    }
}

/// Why a canonical URL is not the one that the WHATWG names.
fn dropped(input: &str, expected: Option<&str>, found: Option<&str>) -> Option<&'static str> {
    if input.starts_with("///") && found.is_none() {
        return Some(SLASHES);
    }
    let (Some(expected), Some(found)) = (expected, found) else {
        let has_dots = expected.is_some_and(|url| url.trim_end_matches('/').ends_with('.'));
        let is_old = expected.is_some_and(|url| url.contains("xn--"));
        return if has_dots {
            Some("a host that is none without its last dots")
        } else {
            is_old.then_some("a Punycode label that stands for nothing is refused by `url`")
        };
    };
    let without_fragment = expected.split('#').next().unwrap_or_default();
    if found == without_fragment {
        return Some("the fragment is dropped");
    }
    let bare = bare(without_fragment);
    if found == bare {
        return Some("user, password, a host's last dots and empty queries are dropped");
    }
    (decoded(found) == decoded(&bare)).then_some("percent-encoding has one spelling")
}

/// A URL without its user, the last dots of its host and an empty query.
fn bare(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default().trim_end_matches('.');
    format!("{scheme}://{host}{}", path.trim_end_matches('?'))
}

/// The octets that a URL's escapes stand for.
fn decoded(url: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = url.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digit = |place: usize| char::from(*after.get(place)?).to_digit(16);
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => out.push(byte),
        }
    }
    out
}
