//! HTML's tags without a tree: attributes, comments and the elements whose content is no markup, by the rules of
//! WHATWG's tokenizer.

use memchr::{memchr, memmem};
use std::borrow::Cow;

/// Elements whose content is text up to their own end tag.
const RAW: [&str; 9] =
    ["iframe", "noembed", "noframes", "noscript", "script", "style", "textarea", "title", "xmp"];

/// Whether an element's content is text.
pub(crate) fn is_raw(name: &str) -> bool {
    RAW.iter().any(|raw| raw.eq_ignore_ascii_case(name))
}

/// Where the name of a tag ends that begins at a place.
pub(crate) fn name_end(html: &str, start: usize) -> usize {
    let rest = &html.as_bytes()[start..];
    let end = rest.iter().position(|byte| is_space(*byte) || matches!(byte, b'/' | b'>'));
    start + end.unwrap_or(rest.len())
}

/// Where what follows `<!`, `<?` or a broken end tag ends; `start` is behind the `<`.
pub(crate) fn comment_end(html: &str, start: usize) -> usize {
    let rest = &html[start..];
    let Some(comment) = rest.strip_prefix("!--") else {
        // A declaration, or what counts as a comment.
        return memchr(b'>', rest.as_bytes()).map_or(html.len(), |end| start + end + 1);
    };
    if comment.starts_with('>') {
        return start + 4;
    }
    if comment.starts_with("->") {
        return start + 5;
    }
    let begin = start + 3;
    for dashes in memmem::find_iter(comment.as_bytes(), "--") {
        let after = &comment[dashes + 2..];
        if after.starts_with('>') {
            return begin + dashes + 3;
        }
        if after.starts_with("!>") {
            return begin + dashes + 4;
        }
        // Three dashes: the pairs overlap.
        if after.starts_with("->") {
            return begin + dashes + 4;
        }
        if after.starts_with("-!>") {
            return begin + dashes + 5;
        }
    }
    html.len()
}

/// Where the content of a raw element ends, at its end tag or the end of the page.
pub(crate) fn raw_end(html: &str, start: usize, name: &str) -> usize {
    let content = &html.as_bytes()[start..];
    for end in memmem::find_iter(content, "</") {
        let tag = &content[end + 2..];
        let is_own =
            tag.get(..name.len()).is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()));
        let after = tag.get(name.len()).copied();
        if is_own && after.is_none_or(|byte| is_space(byte) || matches!(byte, b'/' | b'>')) {
            return start + end;
        }
    }
    html.len()
}

/// An attribute's value or a text with its line ends as HTML has them.
pub(crate) fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// An attribute's value without its character references.
pub(crate) fn unescaped(value: &str) -> Cow<'_, str> {
    match with_line_feeds(value) {
        Cow::Borrowed(value) if memchr(b'&', value.as_bytes()).is_none() => Cow::Borrowed(value),
        value => htmlize::unescape_attribute(value),
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

/// The attributes of a tag, name and value as written, from behind its name on. When they are all taken, `at` is
/// behind the tag.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    html: &'a str,
    /// The place that is read next.
    pub at: usize,
    /// How the tag ended; none while it goes on, and where the page ends within it.
    pub end: Option<TagEnd>,
}

/// How a tag ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagEnd {
    /// With `>`.
    Plain,
    /// With `/>`.
    SelfClosing,
}

impl<'a> Attributes<'a> {
    /// Those of the tag whose name ends at a place.
    pub(crate) fn new(html: &'a str, at: usize) -> Self {
        Self { html, at, end: None }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.html.as_bytes().get(at).copied()
    }

    fn skip_space(&mut self) {
        while self.byte(self.at).is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// The value behind a name, if there is one; none where the page ends.
    fn value(&mut self) -> Option<&'a str> {
        let name_end = self.at;
        self.skip_space();
        if self.byte(self.at) != Some(b'=') {
            self.at = name_end;
            return Some("");
        }
        self.at += 1;
        self.skip_space();
        let first = self.byte(self.at)?;
        if first == b'>' {
            return Some("");
        }
        if matches!(first, b'"' | b'\'') {
            let start = self.at + 1;
            let end = start + memchr(first, &self.html.as_bytes()[start..])?;
            self.at = end + 1;
            return Some(&self.html[start..end]);
        }
        let start = self.at;
        while self.byte(self.at).is_some_and(|byte| !is_space(byte) && byte != b'>') {
            self.at += 1;
        }
        Some(&self.html[start..self.at])
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.end.is_some() {
            return None;
        }
        let mut is_after_slash = false;
        loop {
            match self.byte(self.at)? {
                b'/' => is_after_slash = true,
                b'>' => {
                    self.at += 1;
                    let end = if is_after_slash { TagEnd::SelfClosing } else { TagEnd::Plain };
                    self.end = Some(end);
                    return None;
                }
                byte if is_space(byte) => is_after_slash = false,
                _ => break,
            }
            self.at += 1;
        }
        let start = self.at;
        // An equals sign in the first place belongs to the name.
        self.at += 1;
        let is_in_name = |byte| !is_space(byte) && !matches!(byte, b'/' | b'>' | b'=');
        while self.byte(self.at).is_some_and(is_in_name) {
            self.at += 1;
        }
        let name = &self.html[start..self.at];
        match self.value() {
            Some(value) => Some((name, value)),
            None => {
                // The page ends within the tag, which is none then.
                self.at = self.html.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_browsers_do() {
        for (tag, expected) in [
            ("", vec![]),
            (" a=1 b='2 > 1' c=\"3'\" d", vec![("a", "1"), ("b", "2 > 1"), ("c", "3'"), ("d", "")]),
            ("\n a = 1\tb= c", vec![("a", "1"), ("b", "c")]),
            ("/a/b=/x/", vec![("a", ""), ("b", "/x/")]),
            (" =a=1 b\"=2", vec![("=a", "1"), ("b\"", "2")]),
            (" é=ü b=", vec![("é", "ü"), ("b", "")]),
        ] {
            let html = format!("<x{tag}>rest");
            let mut attributes = Attributes::new(&html, 2);
            let read: Vec<(&str, &str)> = attributes.by_ref().collect();
            assert_eq!(read, expected, "{tag:?}");
            assert_eq!(&html[attributes.at..], "rest", "{tag:?}");
            assert_eq!(attributes.end, Some(TagEnd::Plain), "{tag:?}");
        }
    }

    #[test]
    fn a_tag_that_the_page_ends_in_has_no_end() {
        for html in ["<x", "<x a", "<x a=", "<x a='1>", "<x a=1"] {
            let mut attributes = Attributes::new(html, 2);
            attributes.by_ref().for_each(drop);
            assert_eq!(attributes.end, None, "{html}");
        }
        let mut attributes = Attributes::new("<x />", 2);
        assert_eq!(attributes.next(), None);
        assert_eq!(attributes.end, Some(TagEnd::SelfClosing));
    }

    #[test]
    fn comments_end_where_browsers_end_them() {
        for (comment, rest) in [
            ("!-- a > b -->c", "c"),
            ("!-->c", "c"),
            ("!--->c", "c"),
            ("!---->c", "c"),
            ("!-- a --!>c", "c"),
            ("!-- a --->c", "c"),
            ("!-- a ---->c", "c"),
            ("!-- a ---!>c", "c"),
            ("!-- a - -- >c", ""),
            ("!doctype html>c", "c"),
            ("?xml?>c", "c"),
        ] {
            assert_eq!(&comment[comment_end(comment, 0)..], rest, "{comment}");
        }
    }

    #[test]
    fn raw_text_ends_with_its_own_tag() {
        let html = "if (a</b/.test('</scripts>')) </SCRIPT >x";
        assert_eq!(&html[raw_end(html, 0, "script")..], "</SCRIPT >x");
        assert_eq!(raw_end("a</style>", 0, "script"), 9);
    }
}
