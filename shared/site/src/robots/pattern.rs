//! The path pattern of a rule: `*` stands for any octets, a `$` at the end for the path's end.

use memchr::memmem;

/// A pattern, cut at its wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Never empty: a pattern without a wildcard is one part.
    parts: Vec<Vec<u8>>,
    is_anchored: bool,
}

impl Pattern {
    /// Reads an escaped pattern: [`escape`].
    pub(super) fn new(escaped: &[u8]) -> Self {
        let (body, is_anchored) = match escaped.strip_suffix(b"$") {
            Some(body) => (body, true),
            None => (escaped, false),
        };
        Self { parts: body.split(|byte| *byte == b'*').map(<[u8]>::to_vec).collect(), is_anchored }
    }

    /// The same pattern in the form of [`plain`].
    pub(super) fn plain(&self) -> Self {
        let parts = self.parts.iter().map(|part| plain(part)).collect();
        Self { parts, is_anchored: self.is_anchored }
    }

    /// Whether the pattern matches the path from its start.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some(mut left) = path.strip_prefix(first.as_slice()) else { return false };
        let Some((last, middle)) = rest.split_last() else {
            return !self.is_anchored || left.is_empty();
        };
        for part in middle {
            // The first place is as good as any: what follows has the more room.
            let Some(at) = memmem::find(left, part) else { return false };
            left = &left[at + part.len()..];
        }
        if self.is_anchored { left.ends_with(last) } else { memmem::find(left, last).is_some() }
    }
}

/// A pattern as written, with its octets outside of ASCII escaped and its hexadecimal digits in upper case. Rules
/// are compared by the length of this form.
pub(super) fn escape(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = rest
            && high.is_ascii_hexdigit()
            && low.is_ascii_hexdigit()
        {
            out.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
            rest = after;
        } else if byte.is_ascii() {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    out
}

/// Octets with every escape undone except those of reserved characters, so that two spellings of one path are
/// equal. An escaped `*` or `$` becomes a literal one.
pub(super) fn plain(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
            && !is_reserved(high * 16 + low)
        {
            out.push(high * 16 + low);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    out
}

fn digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn is_reserved(octet: u8) -> bool {
    b"%:/?#[]@!&'()+,;=".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::new(&escape(pattern.as_bytes())).matches(path.as_bytes())
    }

    #[test]
    fn wildcards_match_any_octets_and_the_dollar_only_the_end() {
        assert!(matches("/", "/"));
        assert!(matches("/fish", "/fishes"));
        assert!(matches("/fish*", "/fish"));
        assert!(matches("*.php", "/a.php5"));
        assert!(matches("/*.php$", "/a.php/b.php"));
        assert!(!matches("/*.php$", "/a.php5"));
        assert!(!matches("/a*b*c", "/acb"));
        assert!(matches("/a$b", "/a$bc"));
        assert!(matches("/a*$", "/abc"));
        assert!(!matches("/ab*b$", "/ab"));
    }

    #[test]
    fn spellings_of_one_path_have_one_plain_form() {
        assert_eq!(plain(b"/%62a%7e%2A"), b"/ba~*");
        assert_eq!(plain(b"/a%2Fb%zz%4"), b"/a%2Fb%zz%4");
        assert_eq!(plain("/\u{30c4}".as_bytes()), plain(b"/%E3%83%84"));
    }
}
