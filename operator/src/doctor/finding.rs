//! What a check found: how things stand, the facts with their figures, and what to do about it.

use feedfleet_model::text;
use serde::Serialize;
use std::fmt;

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As they should be.
    Ok,
    /// The fleet works, and somebody should look.
    Warning,
    /// Something does not work.
    Broken,
}

/// One line of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// How it stands.
    pub state: State,
    /// The facts, with their figures. May quote the outside world: print it through `Display`.
    pub found: String,
    /// What to do; none where all is well.
    pub remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Ok, found: found.into(), remedy: None }
    }

    /// The fleet works, and somebody should look.
    pub fn warning(
        check: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { check: check.into(), state: State::Warning, found: found.into(), remedy }
    }

    /// It does not work.
    pub fn broken(
        check: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { check: check.into(), state: State::Broken, found: found.into(), remedy }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Broken => "broken",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} {:20} {}", self.state, self.check, text::printable(&self.found))?;
        match &self.remedy {
            Some(remedy) => write!(f, "; remedy: {}", text::printable(remedy)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_says_what_to_do() {
        let finding = Finding::broken("queue", "no\nroom \u{1b}[31m", "make room");
        let line = finding.to_string();
        assert!(line.starts_with("broken   queue"), "{line}");
        assert!(line.ends_with("; remedy: make room"), "{line}");
        assert!(!line.contains(['\n', '\u{1b}']), "{line}");
        assert!(!Finding::ok("queue", "fine").to_string().contains("remedy"));
    }

    #[test]
    fn json_has_the_words_of_the_lines() {
        let json = serde_json::to_value(Finding::ok("disk", "1 GiB free")).unwrap();
        let expected = serde_json::json!(
            {"check": "disk", "state": "ok", "found": "1 GiB free", "remedy": null}
        );
        assert_eq!(json, expected);
    }
}
