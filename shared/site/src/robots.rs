//! robots.txt as RFC 9309 has it: which paths a crawler may fetch, how far apart, and where the sitemaps are.
//!
//! Where the RFC and what sites write differ, the reading that fetches less is taken: misspelt `disallow` lines
//! count, and a `disallow` pattern is compared with a path in either spelling (`%62` or `b`), an `allow` pattern
//! only as it is written.

mod lines;
mod pattern;

use self::lines::{Line, lines};
use self::pattern::{Pattern, escape, plain};
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Bytes of a robots.txt that are read; what comes after them is ignored. The RFC asks for 500 KiB at least.
pub const MAX_BYTES: usize = 512 * 1024;
/// How long a robots.txt may be used before it is fetched again.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a site whose robots.txt can't be reached is left alone before the next try.
const UNREACHABLE_AGE: Duration = Duration::from_secs(10 * 60);
/// The longest wait between requests that is believed.
const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The agent of the groups that are for everyone else.
const ANYONE: &str = "*";
const TOO_MANY_REQUESTS: u16 = 429;

/// What a site asks of crawlers.
#[derive(Debug, Clone)]
pub struct Robots {
    access: Access,
    groups: Vec<Vec<Rule>>,
    /// By product token in lower case.
    agents: HashMap<String, Agent>,
    sitemaps: Vec<String>,
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ByRules,
    /// There is no robots.txt.
    All,
    /// Nobody knows what it says.
    Unreachable,
}

/// One crawler's part of the file.
#[derive(Debug, Clone, Default)]
struct Agent {
    /// Places in `groups`; several groups that name the same agent are one.
    groups: Vec<usize>,
    delay: Option<Duration>,
}

#[derive(Debug, Clone)]
struct Rule {
    is_allow: bool,
    /// Octets of the pattern: of two rules that match, the longer one counts.
    octets: usize,
    pattern: Pattern,
    /// The pattern with its escapes undone; only of a `disallow`.
    plain: Option<Pattern>,
}

impl Rule {
    fn new(is_allow: bool, value: &[u8]) -> Self {
        let escaped = escape(value);
        let pattern = Pattern::new(&escaped);
        let plain = if is_allow { None } else { Some(pattern.plain()) };
        Self { is_allow, octets: escaped.len(), pattern, plain }
    }

    fn matches(&self, path: &[u8], plain_path: &[u8]) -> bool {
        self.pattern.matches(path)
            || self.plain.as_ref().is_some_and(|pattern| pattern.matches(plain_path))
    }
}

impl Robots {
    /// What follows from the answer to a request for `/robots.txt`, redirects followed (five at least). `status` is
    /// none when there was no answer at all.
    ///
    /// - 2xx: the body counts.
    /// - 3xx and 4xx: there is no robots.txt, everything may be fetched.
    /// - 5xx, 429 and no answer: nothing may be fetched until it can be read. RFC 9309 lets a crawler count 429 with
    ///   the other 4xx; a site that says "too many requests" is better left alone.
    pub fn from_status(status: Option<u16>, body: &[u8]) -> Self {
        match status {
            Some(200..=299) => Self::parse(body),
            Some(TOO_MANY_REQUESTS) | Some(500..) | None => {
                Self::without_rules(Access::Unreachable)
            }
            Some(_) => Self::without_rules(Access::All),
        }
    }

    /// Reads a robots.txt. There is no file that can't be read: lines that mean nothing are skipped.
    pub fn parse(body: &[u8]) -> Self {
        let is_cut = body.len() > MAX_BYTES;
        let mut body = &body[..body.len().min(MAX_BYTES)];
        if is_cut {
            // Half a rule may mean something else than the whole.
            let end = body.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(0);
            body = &body[..end];
        }
        let text = text(body);
        let mut parser = Parser::new(is_cut);
        for line in lines(&text) {
            parser.line(line);
        }
        parser.robots
    }

    fn without_rules(access: Access) -> Self {
        Self {
            access,
            groups: Vec::new(),
            agents: HashMap::new(),
            sitemaps: Vec::new(),
            is_cut: false,
        }
    }

    /// Whether `agent` may fetch a URL. `agent` is a product token (`ExampleBot`, not `ExampleBot/1.0`),
    /// `path_and_query` the rest of the URL from the path's `/` on, escaped, as in [`path_and_query`].
    pub fn allows(&self, agent: &str, path_and_query: &str) -> bool {
        if path_and_query == "/robots.txt" {
            return true;
        }
        match self.access {
            Access::All => return true,
            Access::Unreachable => return false,
            Access::ByRules => {}
        }
        let Some(agent) = self.agent(agent) else { return true };
        let path = path_and_query.as_bytes();
        let plain_path = plain(path);
        let (mut allow, mut disallow) = (None, None);
        for rule in agent.groups.iter().flat_map(|group| &self.groups[*group]) {
            let longest = if rule.is_allow { &mut allow } else { &mut disallow };
            if Some(rule.octets) > *longest && rule.matches(path, &plain_path) {
                *longest = Some(rule.octets);
            }
        }
        allow >= disallow
    }

    /// The least time between the starts of two requests, if the file names one for `agent`.
    pub fn delay(&self, agent: &str) -> Option<Duration> {
        self.agent(agent)?.delay
    }

    /// The sitemaps that the file names, each once, as written: they may be relative to the robots.txt.
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }

    /// Whether nothing may be fetched because nobody knows what the file says.
    pub fn is_unreachable(&self) -> bool {
        self.access == Access::Unreachable
    }

    /// Whether the file is longer than [`MAX_BYTES`] and its end was ignored.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How long these answers hold: a day, or ten minutes when the file could not be reached.
    pub fn max_age(&self) -> Duration {
        if self.is_unreachable() { UNREACHABLE_AGE } else { MAX_AGE }
    }

    /// The groups for `agent`, or those for anyone when no group names it.
    fn agent(&self, agent: &str) -> Option<&Agent> {
        self.agents.get(&agent.to_ascii_lowercase()).or_else(|| self.agents.get(ANYONE))
    }
}

/// The part of a URL that robots.txt is about: path, parameters and query; never empty. Also takes URLs without a
/// scheme.
pub fn path_and_query(url: &str) -> Cow<'_, str> {
    let url = url.split('#').next().unwrap_or_default();
    let is_path = |c: char| matches!(c, '/' | '?' | ';');
    let after_scheme = match url.find("://") {
        Some(at) if !url[..at].contains(is_path) => &url[at + 3..],
        _ => url.strip_prefix("//").unwrap_or(url),
    };
    match after_scheme.find(is_path) {
        None => Cow::Borrowed("/"),
        Some(at) if after_scheme.as_bytes()[at] == b'/' => Cow::Borrowed(&after_scheme[at..]),
        Some(at) => Cow::Owned(format!("/{}", &after_scheme[at..])),
    }
}

/// The body without its byte order mark, and as UTF-8 where that mark says it is UTF-16.
fn text(body: &[u8]) -> Cow<'_, [u8]> {
    match Encoding::for_bom(body) {
        None => Cow::Borrowed(body),
        Some((encoding, mark)) if encoding == UTF_8 => Cow::Borrowed(&body[mark..]),
        Some((encoding, mark)) => {
            let (text, _) = encoding.decode_without_bom_handling(&body[mark..]);
            Cow::Owned(text.into_owned().into_bytes())
        }
    }
}

/// Collects lines.
struct Parser {
    robots: Robots,
    /// Whether the last group has rules, so that the next agent begins another one.
    is_group_complete: bool,
    /// Agents named since the last delay: the next delay is theirs. Rules are shared by all agents of a group,
    /// delays are not: sites write one after each agent.
    awaiting_delay: Vec<String>,
    known_sitemaps: HashSet<String>,
}

impl Parser {
    fn new(is_cut: bool) -> Self {
        let mut robots = Robots::without_rules(Access::ByRules);
        robots.is_cut = is_cut;
        Self {
            robots,
            is_group_complete: true,
            awaiting_delay: Vec::new(),
            known_sitemaps: HashSet::new(),
        }
    }

    fn line(&mut self, line: Line<'_>) {
        match line {
            Line::Agent(value) => self.agent(value),
            Line::Allow(value) => self.rule(true, value),
            Line::Disallow(value) => self.rule(false, value),
            Line::Delay(value) => self.delay(value),
            Line::Sitemap(value) => {
                let location = String::from_utf8_lossy(value).into_owned();
                if !location.is_empty() && self.known_sitemaps.insert(location.clone()) {
                    self.robots.sitemaps.push(location);
                }
            }
        }
    }

    fn agent(&mut self, value: &[u8]) {
        if self.is_group_complete {
            self.robots.groups.push(Vec::new());
            self.awaiting_delay.clear();
            self.is_group_complete = false;
        }
        let group = self.robots.groups.len() - 1;
        let Some(token) = product_token(value) else { return };
        let agent = self.robots.agents.entry(token.clone()).or_default();
        if agent.groups.last() != Some(&group) {
            agent.groups.push(group);
        }
        self.awaiting_delay.push(token);
    }

    fn rule(&mut self, is_allow: bool, value: &[u8]) {
        // Rules before the first agent are nobody's.
        let Some(group) = self.robots.groups.last_mut() else { return };
        self.is_group_complete = true;
        if !value.is_empty() {
            group.push(Rule::new(is_allow, value));
        }
    }

    fn delay(&mut self, value: &[u8]) {
        let Some(delay) = seconds(value) else { return };
        for token in self.awaiting_delay.drain(..) {
            let agent = self.robots.agents.entry(token).or_default();
            agent.delay = agent.delay.max(Some(delay));
        }
    }
}

/// The crawler that a `user-agent` line names, in lower case: `FooBot/2.1 (x)` names `foobot`. RFC 9309 has no digits
/// in names; crawlers do.
fn product_token(value: &[u8]) -> Option<String> {
    if value == b"*" || (value.starts_with(b"*") && value[1].is_ascii_whitespace()) {
        return Some(ANYONE.to_owned());
    }
    let is_token = |octet: &&u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let token: String = value
        .iter()
        .take_while(is_token)
        .map(|octet| char::from(octet.to_ascii_lowercase()))
        .collect();
    (!token.is_empty()).then_some(token)
}

fn seconds(value: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    if !seconds.is_finite() || seconds < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX_DELAY).min(MAX_DELAY))
}
