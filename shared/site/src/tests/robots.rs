//! robots.txt against the cases of Google's parser and the files of crawler-commons.

use super::{crawler_commons, data};
use crate::robots::{MAX_BYTES, Robots, path_and_query};
use serde_json::Value;
use std::time::Duration;

/// Names of the cases that are RFC 9309; all others are Google's own.
const RFC_9309: &str = "ID_";

#[test]
fn google_cases_hold() {
    let Some(cases) = data("robots-google/cases.jsonl") else { return };
    let cases = String::from_utf8(cases).unwrap();
    let (mut rfc, mut own, mut misses, mut wrong) = ((0, 0), (0, 0), Vec::new(), Vec::new());
    for case in cases.lines() {
        let case: Value = serde_json::from_str(case).unwrap();
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let robots = Robots::parse(text("robots_txt").as_bytes());
        let allowed = robots.allows(&text("user_agent"), &path_and_query(&text("url")));
        let is_right = Some(allowed) == case["allowed"].as_bool();
        let test = text("test");
        let (right, all) = if test.starts_with(RFC_9309) { &mut rfc } else { &mut own };
        *right += usize::from(is_right);
        *all += 1;
        if is_right {
            continue;
        }
        let place = format!("{test}, line {}", case["line"]);
        match test.as_str() {
            "GoogleOnly_IndexHTMLisDirectory" => misses.push(format!(
                "{place}: `allow: /dir/index.html` does not allow `/dir/`; RFC 9309 does not say \
                 so, and what allows is not read leniently"
            )),
            _ => wrong.push(place),
        }
    }
    println!("robots-google, RFC 9309: {} of {}", rfc.0, rfc.1);
    println!("robots-google, Google's own: {} of {}", own.0, own.1);
    misses.iter().for_each(|miss| println!("  {miss}"));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rfc.0, rfc.1);
    assert!(misses.len() <= 1, "{misses:#?}");
}

#[test]
fn google_paths_and_escapes_hold() {
    let Some(cases) = data("robots-google/path_and_escape.json") else { return };
    let cases: Value = serde_json::from_slice(&cases).unwrap();
    let pairs = |key: &str| -> Vec<(String, String)> {
        serde_json::from_value(cases[key].clone()).unwrap()
    };
    let paths = pairs("path_params_query");
    for (url, expected) in &paths {
        assert_eq!(&path_and_query(url), expected, "{url}");
    }
    let escapes = pairs("escape_pattern");
    for (pattern, expected) in &escapes {
        // An `allow` pattern matches what it is escaped to, and nothing else.
        let robots =
            Robots::parse(format!("user-agent: *\nallow: {pattern}$\ndisallow: *").as_bytes());
        assert!(robots.allows("a", expected), "{pattern}");
        assert_eq!(robots.allows("a", pattern), pattern == expected, "{pattern}");
    }
    println!("robots-google, paths and escapes: all {}", paths.len() + escapes.len());
}

/// What crawler-commons expects of its files: file, agent, path, whether it is allowed.
const EXPECTED: [(&str, &str, &str, bool); 38] = [
    ("directive-typos-robots.txt", "bot1", "/desallow/", false),
    ("directive-typos-robots.txt", "bot1", "/dissalow/", false),
    ("directive-typos-robots.txt", "bot2", "/useragent/", false),
    ("directive-typos-robots.txt", "bot3", "/useg-agent/", false),
    ("directive-typos-robots.txt", "bot4", "/useragent-no-colon/", false),
    ("dos-line-endings.txt", "bot1", "/", true),
    ("extended-standard-robots.txt", "foobot", "/", true),
    ("extension-robots.txt", "mybot", "/private/", false),
    ("extension-robots.txt", "otherbot", "/private/", true),
    ("extensions-group-merging.txt", "mybot", "/private/", false),
    ("extensions-group-merging.txt", "mybot", "/login/", false),
    ("extensions-group-merging.txt", "yourbot", "/login/", false),
    ("extensions-group-merging.txt", "foobot", "/llms.txt", true),
    ("format-errors-robots.txt", "bot1", "/whitespace-before-colon/", false),
    ("format-errors-robots.txt", "bot1", "/no-colon/", false),
    ("format-errors-robots.txt", "bot2", "/no-colon-useragent/", false),
    ("format-errors-robots.txt", "bot3", "/whitespace-before-colon/", true),
    ("malformed-path.txt", "bot1", "/wiki/Wikipedia_talk:Mediation_Committee/", false),
    ("malformed-path.txt", "bot1", "/wiki/", true),
    ("many-user-agents.txt", "wget", "/", false),
    ("many-user-agents.txt", "mysuperlongbotnamethatmatchesnothing", "/", true),
    ("many-user-agents.txt", "mysuperlongbotnamethatmatchesnothing", "/bot-trap/", false),
    ("merge-rules.txt", "wget", "/foo/bar/bar.txt", true),
    ("merge-rules.txt", "wget", "/tmp/bar/bar.txt", false),
    ("merge-rules.txt", "wget", "/chk/bar/bar.txt", true),
    ("precedence-of-rules.txt", "wget", "/foo/bar", true),
    ("precedence-of-rules.txt", "wget", "/bar/foo", false),
    ("precedence-of-rules.txt", "testy", "/foo/bar", true),
    ("precedence-of-rules.txt", "testy", "/foo/blue", false),
    ("precedence-of-rules.txt", "testy", "/foo/tar", false),
    ("rfc9309-example-longest-match-robots.txt", "foobot", "/example/page/", true),
    ("rfc9309-example-longest-match-robots.txt", "foobot", "/example/page/disallowed.gif", false),
    ("rfc9309-example-rule-group-merging.txt", "examplebot", "/baz", false),
    ("rfc9309-example-simple-robots.txt", "quxbot", "/example/", true),
    ("robots-with-utf8-bom.txt", "foobot", "/profile", false),
    ("robots-with-utf16be-bom.txt", "foobot", "/profile", false),
    ("robots-with-utf16le-bom.txt", "foobot", "/profile", false),
    ("www.flot.com-robots.txt", "foobot", "/img/", false),
];

#[test]
fn crawler_commons_files_are_read_as_it_expects() {
    let mut wrong = Vec::new();
    for (file, agent, path, expected) in EXPECTED {
        let Some(body) = crawler_commons(&format!("robots/{file}")) else { return };
        if Robots::parse(&body).allows(agent, path) != expected {
            wrong.push(format!("{file}: {agent} {path} is not {expected}"));
        }
    }
    println!("crawler-commons, robots: {} of {}", EXPECTED.len() - wrong.len(), EXPECTED.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Files of which crawler-commons expects no more than that they can be read: what RFC 9309 makes of their lines.
#[test]
fn crawler_commons_files_with_wildcards_are_read_as_the_rfc_says() {
    let cases = [
        ("wildcards.txt", "foobot", "/a/gcrnsts", false),
        ("wildcards.txt", "Googlebot", "/rss/people/someone/reviews", false),
        ("wildcards.txt", "foobot", "/gp/wishlist/universal/x", true),
        ("wildcards.txt", "foobot", "/books", true),
        ("twitter.com-robots.txt", "foobot", "/search?q=x", false),
        ("twitter.com-robots.txt", "foobot", "/someone/with_friends", false),
        ("twitter.com-robots.txt", "foobot", "/someone", true),
        ("twitter.com-robots.txt", "Slurp", "/?x", false),
    ];
    for (file, agent, path, expected) in cases {
        let Some(body) = crawler_commons(&format!("robots/{file}")) else { return };
        assert_eq!(Robots::parse(&body).allows(agent, path), expected, "{file}: {agent} {path}");
    }
    println!("crawler-commons, robots with wildcards: all {}", cases.len());
}

#[test]
fn crawler_commons_delays_and_sitemaps_are_found() {
    let parse = |file: &str| Some(Robots::parse(&crawler_commons(&format!("robots/{file}"))?));
    let Some(groups) = parse("crawl-delay-group-merging.txt") else { return };
    let delay = |agent| groups.delay(agent).map(|delay| delay.as_secs());
    assert_eq!([delay("mybot"), delay("yourbot"), delay("foobot")], [Some(10), None, Some(30)]);
    assert!(!groups.allows("mybot", "/private/"), "a delay does not end the list of agents");
    for (file, seconds) in [("dos-line-endings.txt", 1), ("astore.amazon.com-robots.txt", 5)] {
        let Some(robots) = parse(file) else { return };
        assert_eq!(robots.delay("a"), Some(Duration::from_secs(seconds)), "{file}");
    }
    let expected: [(&str, &[&str]); 4] = [
        ("relative-sitemap-robots.txt", &["/sitemap.xml"]),
        ("sitemap-robots-dedup.txt", &["http://example.org/sitemap.xml"]),
        (
            "sitemap-robots.txt",
            &["http://domain.com/sitemap.xml", "http://domain.com/dir/MixedCased-sitemap.xml"],
        ),
        ("robots-with-utf16le-bom.txt", &["http://www.newsweek.com/sitemap_index.xml"]),
    ];
    for (file, sitemaps) in expected {
        let Some(robots) = parse(file) else { return };
        assert_eq!(robots.sitemaps(), sitemaps, "{file}");
    }
}

#[test]
fn delays_belong_to_the_agents_before_them() {
    let text = "user-agent: a\ncrawl-delay: 10\nuser-agent: b\nuser-agent: c\ncrawl-delay: 0.5\n\
        user-agent: *\ndisallow: /x\ncrawl-delay: 1e300\nuser-agent: d\ncrawl-delay: -1";
    let robots = Robots::parse(text.as_bytes());
    assert_eq!(robots.delay("A"), Some(Duration::from_secs(10)));
    assert_eq!(robots.delay("c"), Some(Duration::from_millis(500)));
    assert_eq!(robots.delay("anyone"), Some(Duration::from_secs(24 * 60 * 60)), "bounded");
    assert_eq!(robots.delay("d"), None);
    assert!(!robots.allows("b", "/x"), "the group's rules are everyone's in it");
    assert!(robots.allows("d", "/x"));
}

#[test]
fn what_forbids_is_read_in_either_spelling_and_what_allows_as_written() {
    let text = "user-agent: *\ndisallow: /\nallow: /%7Ea\nallow: /open/\n\
        disallow: /open/%62%7Ac*d\ndisallow: /open/x y\ndisallow: /open/file-%2A.html";
    let robots = Robots::parse(text.as_bytes());
    assert!(robots.allows("a", "/%7Ea"));
    assert!(!robots.allows("a", "/~a"));
    assert!(!robots.allows("a", "/open/bzc--d"));
    assert!(!robots.allows("a", "/open/x%20y"));
    assert!(!robots.allows("a", "/open/file-*.html"));
    assert!(robots.allows("a", "/open/file-a.html"), "an escaped star is no wildcard");
}

#[test]
fn answers_without_a_file_allow_all_or_nothing() {
    let body = b"user-agent: *\ndisallow: /x";
    for status in [301, 400, 401, 403, 404, 410, 451] {
        let robots = Robots::from_status(Some(status), body);
        assert!(robots.allows("a", "/x") && !robots.is_unreachable(), "{status}");
    }
    for status in [Some(429), Some(500), Some(503), Some(599), None] {
        let robots = Robots::from_status(status, body);
        assert!(!robots.allows("a", "/") && robots.is_unreachable(), "{status:?}");
        assert!(robots.max_age() < Duration::from_secs(3600), "asked again soon");
    }
    let robots = Robots::from_status(Some(200), body);
    assert!(!robots.allows("a", "/x") && robots.allows("a", "/y"));
    assert_eq!(robots.max_age(), Duration::from_secs(24 * 60 * 60));
}

#[test]
fn long_files_are_cut_at_a_line() {
    let half_a_rule = "\ndisallow: /";
    let mut text = "user-agent: *\ndisallow: /first\n".to_owned();
    while text.len() < MAX_BYTES {
        text.push_str("# some comment\n");
    }
    text.truncate(MAX_BYTES - half_a_rule.len());
    text.push_str(half_a_rule);
    text.push_str("second\n");
    let robots = Robots::parse(text.as_bytes());
    assert!(robots.is_cut());
    assert!(!robots.allows("a", "/first"));
    assert!(robots.allows("a", "/third"), "half of the last rule would forbid everything");
}
