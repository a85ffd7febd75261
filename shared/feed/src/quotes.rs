//! The quotes of delimited text: where a quoted cell ends, and what its text is.
//!
//! A quote within a quoted cell that should have been doubled, as in `"12" pan",`, closes nothing where another quote
//! on its line does; where none does, the text after it belongs to the cell as it is.

use crate::split::Dialect;
use feedfleet_config::Quoting;
use memchr::{memchr, memchr2};

/// The quote that closes a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) at: usize,
    /// Whether escaped quotes come before it, or one that should be.
    pub(crate) has_escapes: bool,
    /// Whether text comes between it and the cell's end, or a quote before it that should have been escaped.
    pub(crate) is_mended: bool,
}

/// What is known of it.
pub(crate) enum Close {
    At(Closing),
    /// That shows only when there is more of the text.
    More,
    /// The text has none.
    Never,
}

/// Finds the quote that closes a cell whose text begins at `from`. `at_end`: nothing comes after the text.
pub(crate) fn closing_quote(text: &[u8], from: usize, at_end: bool, dialect: Dialect) -> Close {
    if dialect.quoting == Quoting::Backslash {
        return backslash_close(text, from);
    }
    let mut at = from;
    let mut has_escapes = false;
    let first = loop {
        let Some(offset) = memchr(b'"', &text[at..]) else { return Close::Never };
        let close = at + offset;
        if text.get(close + 1) != Some(&b'"') {
            break close;
        }
        has_escapes = true;
        at = close + 2;
    };
    match ends_cell(text, first + 1, at_end, dialect) {
        Some(true) => return Close::At(Closing { at: first, has_escapes, is_mended: false }),
        Some(false) => {}
        None => return Close::More,
    }
    // Something comes between it and the cell's end: it should have been doubled if another one is the last of the
    // cell, on the same line, and no other cell begins before that.
    let mut at = first + 1;
    while let Some(offset) = memchr2(b'"', dialect.newline, &text[at..]) {
        let quote = at + offset;
        if text[quote] == dialect.newline || text[quote - 1] == dialect.delimiter {
            return Close::At(Closing { at: first, has_escapes, is_mended: true });
        }
        at = quote + 1;
        if text.get(at) == Some(&b'"') {
            at += 1;
            continue;
        }
        match ends_cell(text, at, at_end, dialect) {
            Some(true) => {
                return Close::At(Closing { at: quote, has_escapes: true, is_mended: true });
            }
            Some(false) => {}
            None => return Close::More,
        }
    }
    if !at_end {
        return Close::More;
    }
    Close::At(Closing { at: first, has_escapes, is_mended: true })
}

/// As [`closing_quote`], where a backslash stands before a quote, or a backslash, that is meant as it is.
fn backslash_close(text: &[u8], from: usize) -> Close {
    let mut at = from;
    let mut has_escapes = false;
    loop {
        let Some(offset) = memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) else {
            return Close::Never;
        };
        let found = at + offset;
        if text[found] == b'"' {
            return Close::At(Closing { at: found, has_escapes, is_mended: false });
        }
        has_escapes = true;
        at = found + 2;
    }
}

/// Whether nothing but white space comes before the end of the cell. None: that shows only in more text.
fn ends_cell(text: &[u8], from: usize, at_end: bool, dialect: Dialect) -> Option<bool> {
    let is_end = |byte: u8| byte == dialect.delimiter || byte == dialect.newline;
    for &byte in &text[from..] {
        if is_end(byte) {
            return Some(true);
        }
        if !byte.is_ascii_whitespace() {
            return Some(false);
        }
    }
    at_end.then_some(true)
}

/// Appends the text of an escaped cell, `raw` from its opening quote, if it has one, to its end.
pub(crate) fn unescape(raw: &str, quoting: Quoting, out: &mut String) {
    let Some(inside) = raw.strip_prefix('"') else {
        return without_backslashes(raw, out);
    };
    let trimmed = inside.trim_end();
    if quoting == Quoting::Backslash {
        return without_backslashes(trimmed.strip_suffix('"').unwrap_or(inside), out);
    }
    if let Some(whole) = trimmed.strip_suffix('"') {
        // Doubled quotes are one; one alone is meant as it is.
        let mut rest = whole;
        while let Some((text, after)) = rest.split_once('"') {
            out.push_str(text);
            out.push('"');
            rest = after.strip_prefix('"').unwrap_or(after);
        }
        out.push_str(rest);
        return;
    }
    let mut rest = inside;
    while let Some((text, after)) = rest.split_once('"') {
        out.push_str(text);
        let Some(inside) = after.strip_prefix('"') else {
            // The closing quote.
            rest = after;
            break;
        };
        out.push('"');
        rest = inside;
    }
    out.push_str(rest);
}

/// Takes out the backslashes before quotes and backslashes.
fn without_backslashes(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let Some(escaped) = after.chars().next() else {
            out.push('\\');
            return;
        };
        if !matches!(escaped, '"' | '\\') {
            out.push('\\');
        }
        out.push(escaped);
        rest = &after[escaped.len_utf8()..];
    }
    out.push_str(rest);
}
