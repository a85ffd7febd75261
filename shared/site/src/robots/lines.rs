//! The lines of a robots.txt that mean something.
//!
//! What forbids is read leniently: misspelt keys of `disallow` and `user-agent` count, since their author meant to
//! keep crawlers out. What allows must be spelt right.

use memchr::memchr;

const AGENT: [&str; 6] =
    ["user-agent", "useragent", "user agent", "user_agent", "users-agent", "useg-agent"];
const DISALLOW: [&str; 7] =
    ["disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw", "desallow"];
const ALLOW: [&str; 1] = ["allow"];
const DELAY: [&str; 3] = ["crawl-delay", "crawldelay", "crawl delay"];
const SITEMAP: [&str; 2] = ["sitemap", "site-map"];

/// A line that is understood, with its value trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Agent(&'a [u8]),
    Allow(&'a [u8]),
    Disallow(&'a [u8]),
    Delay(&'a [u8]),
    Sitemap(&'a [u8]),
}

/// The lines of `text`, whatever ends them: `\n`, `\r\n` or `\r`.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(line)
}

fn line(line: &[u8]) -> Option<Line<'_>> {
    let end = memchr(b'#', line).unwrap_or(line.len());
    let text = line[..end].trim_ascii();
    let (key, value) = match memchr(b':', text) {
        Some(colon) => (text[..colon].trim_ascii(), text[colon + 1..].trim_ascii()),
        None => without_colon(text)?,
    };
    let is_one_of =
        |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()));
    if is_one_of(&AGENT) {
        Some(Line::Agent(value))
    } else if is_one_of(&DISALLOW) {
        Some(Line::Disallow(value))
    } else if is_one_of(&ALLOW) {
        Some(Line::Allow(value))
    } else if is_one_of(&DELAY) {
        Some(Line::Delay(value))
    } else if is_one_of(&SITEMAP) {
        Some(Line::Sitemap(value))
    } else {
        None
    }
}

/// A key and a value with only white space between them: exactly two words.
fn without_colon(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(u8::is_ascii_whitespace)?;
    let value = text[space..].trim_ascii();
    let is_word = !value.iter().any(u8::is_ascii_whitespace);
    (!value.is_empty() && is_word).then_some((&text[..space], value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whatever_ends_them_and_however_they_are_spelt() {
        let text =
            b"User-Agent : a # one\r\nDISALLOW:/b\rdissalow /c\ndisallow d e\nalow: /f\n\n#x";
        let found: Vec<_> = lines(text).collect();
        assert_eq!(found, [Line::Agent(b"a"), Line::Disallow(b"/b"), Line::Disallow(b"/c")]);
    }
}
