//! One TOML file while it is read: its text, and the mistakes found so far. Reading goes on after a
//! mistake, so that a file's author sees all of them at once.

use crate::environment::Environment;
use crate::error::{ConfigError, ConfigErrors};
use crate::expand::{ExpandError, Expanded, expand};
use crate::table::Table;
use feedfleet_model::text::printable;
use std::cell::RefCell;
use std::path::Path;
use toml::de::DeTable;

/// A part of a file, in bytes.
pub type Span = std::ops::Range<usize>;

/// A file being read.
pub struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    folder: &'a Path,
    environment: &'a dyn Environment,
    mistakes: RefCell<Vec<Mistake>>,
    hidden: RefCell<Vec<Span>>,
}

struct Mistake {
    at: usize,
    message: String,
    expected: String,
    /// The variable that is not set.
    unset: Option<String>,
}

impl<'a> Document<'a> {
    /// A file called `file` in messages, with this text. Relative paths in it start at `folder`.
    pub fn new(
        file: &'a Path,
        text: &'a str,
        folder: &'a Path,
        environment: &'a dyn Environment,
    ) -> Self {
        Self {
            file,
            text,
            folder,
            environment,
            mistakes: RefCell::default(),
            hidden: RefCell::default(),
        }
    }

    /// The file as a table; none, with a mistake noted, when it is not TOML.
    pub fn root(&self) -> Option<Table<'_>> {
        match DeTable::parse(self.text) {
            Ok(root) => Some(Table::new(self, String::new(), 0..0, root.into_inner())),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.hide_private_line(at);
                self.mistake(at, error.message(), "");
                None
            }
        }
    }

    /// The file's name in messages.
    pub fn file(&self) -> &Path {
        self.file
    }

    /// Where relative paths start.
    pub fn folder(&self) -> &Path {
        self.folder
    }

    /// Notes a mistake at a byte of the file. `expected` says what would have been right, or is
    /// empty.
    pub fn mistake(&self, at: usize, message: impl Into<String>, expected: impl Into<String>) {
        let (message, expected) = (message.into(), expected.into());
        self.mistakes.borrow_mut().push(Mistake { at, message, expected, unset: None });
    }

    /// Keeps a part of the file out of every message.
    pub fn hide(&self, span: &Span) {
        self.hidden.borrow_mut().push(span.clone());
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text[..self.floor(at)].matches('\n').count() + 1
    }

    /// Replaces the variables of a text that stands at `span`.
    pub(crate) fn expand(&self, span: &Span, written: &str) -> Option<Expanded> {
        match expand(written, self.environment) {
            Ok(expanded) => Some(expanded),
            Err(ExpandError::NotSet(name)) => {
                let raw = self.text.get(span.clone()).unwrap_or_default();
                let offset = raw.find(&format!("${{{name}}}")).unwrap_or(0);
                self.mistakes.borrow_mut().push(Mistake {
                    at: span.start + offset,
                    message: format!("variable {name} is not set in the environment"),
                    expected: String::new(),
                    unset: Some(name),
                });
                None
            }
            Err(ExpandError::NotAName) => {
                let message = "'${' without a variable's name and '}'";
                let expected = "expected '${NAME}', or '$${' for the two characters themselves";
                self.mistake(span.start, message, expected);
                None
            }
        }
    }

    /// The mistakes, in the file's order.
    pub fn finish(&self) -> ConfigErrors {
        let mut mistakes = self.mistakes.take();
        mistakes.sort_by_key(|mistake| mistake.at);
        let errors: Vec<_> = mistakes.into_iter().map(|mistake| self.error(mistake)).collect();
        errors.into()
    }

    fn error(&self, mistake: Mistake) -> ConfigError {
        let at = self.floor(mistake.at);
        let line = self.line_around(at);
        ConfigError {
            file: self.file.to_owned(),
            line: self.line(at),
            column: self.text[line.start..at].chars().count() + 1,
            message: mistake.message,
            expected: Some(mistake.expected).filter(|expected| !expected.is_empty()),
            unset: mistake.unset,
            excerpt: self.excerpt(line, at),
        }
    }

    /// The line with a mark below `at`; none when nothing of it may be shown.
    fn excerpt(&self, line: Span, at: usize) -> Option<String> {
        const HIDDEN: &str = "***";
        let hidden = self.hidden.borrow();
        let mut shown = String::new();
        let mut mark = None;
        let mut within = false;
        for (offset, c) in self.text[line.clone()].char_indices() {
            let place = line.start + offset;
            if place == at {
                mark = Some(shown.chars().count());
            }
            if hidden.iter().any(|span| span.contains(&place)) {
                if !within {
                    shown.push_str(HIDDEN);
                }
                within = true;
            } else {
                within = false;
                shown.push(if c.is_control() { ' ' } else { c });
            }
        }
        let mark = mark.unwrap_or_else(|| shown.chars().count());
        let shown = shown.trim_end();
        if shown.is_empty() || shown == HIDDEN {
            return None;
        }
        Some(format!("    {}\n    {}^", printable(shown), " ".repeat(mark)))
    }

    /// Hides the line of a syntax error if it may hold a header, an address or a password: which part of it is
    /// the value can't be told.
    fn hide_private_line(&self, at: usize) {
        let line = self.line_around(self.floor(at));
        let before = &self.text[..line.start];
        let heading = before.lines().rev().map(str::trim).find(|line| line.starts_with('['));
        let is_private = |heading: &str| heading.contains("headers") || heading.contains("auth");
        let in_private = heading.is_some_and(is_private);
        let text = &self.text[line.clone()];
        let words = ["url", "headers", "auth", "password", "bearer", "passphrase", "://"];
        if in_private || words.iter().any(|word| text.contains(word)) {
            self.hide(&line);
        }
    }

    fn line_around(&self, at: usize) -> Span {
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline);
        start..end
    }

    /// The nearest place at or before `at` where a character starts.
    fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn errors(text: &str, note: impl FnOnce(&Document<'_>)) -> String {
        let environment = BTreeMap::new();
        let document = Document::new(Path::new("a.toml"), text, Path::new("/conf"), &environment);
        note(&document);
        document.finish().to_string()
    }

    #[test]
    fn mistakes_come_in_the_files_order_with_their_line() {
        let shown = errors("a = 1\n\tb = 2\n", |document| {
            document.mistake(7, "second", "expected less");
            document.mistake(0, "first", "");
        });
        assert_eq!(
            shown,
            "a.toml:1:1: first\n    a = 1\n    ^\n\
             a.toml:2:2: second; expected less\n     b = 2\n     ^"
        );
    }

    #[test]
    fn hidden_parts_are_struck_out() {
        let shown = errors("h = { a = \"word\", b = 1 }", |document| {
            document.hide(&(10..16));
            document.mistake(18, "no", "");
        });
        assert_eq!(shown, "a.toml:1:19: no\n    h = { a = ***, b = 1 }\n                   ^");
    }

    #[test]
    fn a_place_past_the_end_is_the_end() {
        let shown = errors("é", |document| {
            document.mistake(1, "inside", "");
            document.mistake(99, "after", "");
        });
        assert_eq!(shown, "a.toml:1:1: inside\n    é\n    ^\na.toml:1:2: after\n    é\n     ^");
    }

    #[test]
    fn a_syntax_error_does_not_show_a_header() {
        let text = "[source.headers]\nAuthorization = \"Bearer abc\n";
        let shown = errors(text, |document| assert!(document.root().is_none()));
        assert!(shown.starts_with("a.toml:"), "{shown}");
        assert!(!shown.contains("abc"), "{shown}");
    }
}
