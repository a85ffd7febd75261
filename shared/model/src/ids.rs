//! Names of pipes and runs.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A partner's source, by name: a pipe, such as `acme`, or a supplement of one, such as `acme.stock`. A pipe's name is
/// one to 64 of `a-z`, `0-9` and `-`; a supplement's is its pipe's, a `.`, and its own, 64 in all. Each has runs of its
/// own; rows, pictures and the message group are the pipe's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PipeName(String);

/// Why a text is not a pipe's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a pipe name: expected 1 to 64 of a-z, 0-9 and '-'")]
pub struct InvalidPipeName(pub String);

impl PipeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pipe: of a supplement the one that it belongs to, of a pipe itself.
    pub fn pipe(&self) -> Self {
        let (pipe, _) = self.0.split_once(BEFORE_SUPPLEMENT).unwrap_or((&self.0, ""));
        Self(pipe.to_owned())
    }

    /// A supplement's own name; none for a pipe.
    pub fn supplement(&self) -> Option<&str> {
        self.0.split_once(BEFORE_SUPPLEMENT).map(|(_, supplement)| supplement)
    }

    /// Whether it names a supplement.
    pub fn is_supplement(&self) -> bool {
        self.supplement().is_some()
    }

    /// The pipe's supplement of this name.
    ///
    /// # Errors
    ///
    /// The name is not one, or too long.
    pub fn with_supplement(&self, name: &str) -> Result<Self, InvalidPipeName> {
        format!("{}{BEFORE_SUPPLEMENT}{name}", self.pipe()).parse()
    }
}

/// Stands between the name of a pipe and that of its supplement.
const BEFORE_SUPPLEMENT: char = '.';

impl FromStr for PipeName {
    type Err = InvalidPipeName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is_name = |part: &str| !part.is_empty() && part.bytes().all(allowed);
        let is_valid = match text.split_once(BEFORE_SUPPLEMENT) {
            Some((pipe, supplement)) => is_name(pipe) && is_name(supplement),
            None => is_name(text),
        };
        if is_valid && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPipeName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for PipeName {
    type Error = InvalidPipeName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PipeName> for String {
    fn from(name: PipeName) -> Self {
        name.0
    }
}

impl fmt::Display for PipeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A run of a pipe: the time it was scheduled for, in epoch seconds. Within a pipe it only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl RunId {
    /// The id of a run that somebody asks for now: greater than the pipe's last committed and last
    /// issued run, so that the fence lets it pass.
    pub fn manual(now: i64, last_committed: Option<RunId>, last_issued: Option<RunId>) -> Self {
        let after = |last: Option<RunId>| last.map_or(i64::MIN, |r| r.0.saturating_add(1));
        RunId(now.max(after(last_committed)).max(after(last_issued)))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for RunId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(RunId)
    }
}

/// A run, named whole: pipe, or supplement of one, and run id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// The pipe.
    pub pipe: PipeName,
    /// Its run.
    pub run: RunId,
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pipe, self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipe_names_are_narrow() {
        for good in ["a", "acme-2", "0", &"x".repeat(64)] {
            assert!(good.parse::<PipeName>().is_ok(), "{good}");
        }
        for bad in ["", "Acme", "a_b", "a/b", "..", "é", &"x".repeat(65)] {
            assert!(bad.parse::<PipeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_supplement_is_named_after_its_pipe() {
        let acme: PipeName = "acme".parse().unwrap();
        let stock = acme.with_supplement("stock").unwrap();
        assert_eq!(stock, "acme.stock".parse().unwrap());
        assert_eq!((stock.pipe(), stock.supplement()), (acme.clone(), Some("stock")));
        assert_eq!((acme.pipe(), acme.supplement()), (acme.clone(), None));
        assert_eq!(stock.with_supplement("prices").unwrap().as_str(), "acme.prices");
        for bad in ["", "Stock", "a.b", "a/b", &"x".repeat(60)] {
            assert!(acme.with_supplement(bad).is_err(), "{bad}");
        }
        for bad in [".stock", "acme.", "acme..stock", "acme.st.ock"] {
            assert!(bad.parse::<PipeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_manual_run_comes_after_everything_issued() {
        assert_eq!(RunId::manual(100, None, None), RunId(100));
        assert_eq!(RunId::manual(100, Some(RunId(100)), None), RunId(101));
        assert_eq!(RunId::manual(100, Some(RunId(100)), Some(RunId(500))), RunId(501));
    }
}
