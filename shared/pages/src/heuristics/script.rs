//! Picks the objects out of JavaScript and JSON without understanding either.

use std::collections::HashMap;

/// Most objects of one text.
const MAX_OBJECTS: usize = 20_000;
/// Longest value kept, in bytes.
const VALUE_BYTES: usize = 300;

/// An object of a script: its texts and numbers by key, in lower case.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) values: HashMap<String, String>,
    /// The object that it stands in.
    pub(super) parent: Option<usize>,
    /// The key under which it does, in lower case.
    pub(super) key: String,
}

/// The objects in a piece of JavaScript or JSON, in their order. Whatever else is in it is passed over.
pub(super) fn objects(text: &str) -> Vec<Object> {
    let mut found: Vec<Object> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut key: Option<String> = None;
    let mut last: Option<String> = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (token, after) = rest.split_at(token_bytes(rest));
        rest = after;
        match c {
            '{' => {
                if found.len() == MAX_OBJECTS {
                    break;
                }
                let key = key.take().unwrap_or_default();
                found.push(Object { parent: open.last().copied(), key, ..Object::default() });
                open.push(found.len() - 1);
                last = None;
            }
            '}' => {
                open.pop();
                (key, last) = (None, None);
            }
            ':' => key = last.take(),
            ',' | ';' => (key, last) = (None, None),
            '[' | ']' | '=' | '(' | ')' => last = None,
            _ if c.is_whitespace() => {}
            '"' | '\'' | '0'..='9' | '-' => {
                let value = literal(token);
                match (key.take(), open.last()) {
                    (Some(key), Some(object)) if value.len() <= VALUE_BYTES => {
                        found[*object].values.entry(key).or_insert(value);
                    }
                    (None, _) => last = Some(value.to_lowercase()),
                    _ => {}
                }
            }
            _ if c.is_alphabetic() || matches!(c, '_' | '$') => {
                // A value of no use, such as a variable, or the next key.
                last = if key.take().is_none() { Some(token.to_lowercase()) } else { None };
            }
            _ => {}
        }
    }
    found
}

/// Bytes of the token at the start of a text: at least one character.
fn token_bytes(text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(quote @ (b'"' | b'\'')) => {
            let mut place = 1;
            while place < bytes.len() {
                match bytes[place] {
                    b'\\' => place += 2,
                    // An apostrophe in running code, since no string goes over a line: its line is given up.
                    b'\n' => return place,
                    byte if byte == *quote => return place + 1,
                    _ => place += 1,
                }
            }
            text.len()
        }
        Some(b'/') if text.starts_with("//") => until(text, |c| c == '\n'),
        Some(b'/') if text.starts_with("/*") => {
            text.find("*/").map_or(text.len(), |place| place + 2)
        }
        Some(b'0'..=b'9' | b'-') => until(text, |c| !(c.is_ascii_digit() || c == '.')),
        _ if text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$')) => {
            until(text, |c| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
        }
        _ => first,
    }
}

/// Bytes up to the first character of a kind, but for the very first.
fn until(text: &str, is_end: fn(char) -> bool) -> usize {
    let found = text.char_indices().skip(1).find(|(_, c)| is_end(*c));
    found.map_or(text.len(), |(place, _)| place)
}

/// A string without its quotes and escapes; any other token as it is.
fn literal(token: &str) -> String {
    let quoted = |quote: char| token.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let Some(inner) = quoted('"').or_else(|| quoted('\'')) else { return token.to_owned() };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 't' | 'r') => out.push(' '),
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
            }
            other => out.extend(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_know_where_they_stand() {
        let found =
            objects(r#"x = {a: 'it\'s', "B": 1.50, c: d, e: {"f": "\u00e9\/"}, g: [2, {h: -3}]};"#);
        let values = |object: usize, key: &str| found[object].values.get(key).map(String::as_str);
        assert_eq!(
            (values(0, "a"), values(0, "b"), values(0, "c")),
            (Some("it's"), Some("1.50"), None)
        );
        assert_eq!(
            (values(1, "f"), found[1].key.as_str(), found[1].parent),
            (Some("é/"), "e", Some(0))
        );
        assert_eq!((values(2, "h"), found[2].parent), (Some("-3"), Some(0)));
    }

    #[test]
    fn code_of_every_kind_ends() {
        for text in
            ["{{{{", "}}}}", "'", "\"\\", "/*", "//", "{a:{b:'c\n'}}", "é{ü:1}", "{\"a\":-}", "\\"]
        {
            objects(text);
        }
    }
}
