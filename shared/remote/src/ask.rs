//! What is asked of a source, and what it answers.

use crate::error::RemoteErrorKind;
use crate::transfer::Chunks;
use feedfleet_http::Limits;

/// What is known of a source before it is opened.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The tag of the state that the last complete reading saw: if it is still so, nothing needs to come.
    pub known: Option<&'a str>,
    /// What is at hand of it: if it is still of the same state, only the rest needs to come.
    pub resume: Option<Resume<'a>>,
    /// The bounds of the fetch. Those of redirects have no use here.
    pub limits: Limits,
}

/// The beginning of a file that is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume<'a> {
    /// The bytes that are at hand.
    pub from: u64,
    /// The tag of the state that they belong to.
    pub tag: &'a str,
}

/// What a source answered.
pub enum Found {
    /// It is as it was known.
    NotModified,
    /// It is being read.
    Body {
        /// What is known of it.
        head: Head,
        /// Its bytes.
        chunks: Box<dyn Chunks>,
    },
}

/// What is known of a source that is being read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Where its bytes begin: 0, or where they were asked for.
    pub from: u64,
    /// Names this state of it, quotes included. None where it could not be known again.
    pub tag: Option<String>,
    /// Bytes of the whole, if the server told.
    pub length_bytes: Option<u64>,
}

/// How to begin, of a source whose state is known now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    NotModified,
    At(u64),
}

impl Ask<'_> {
    /// How to begin, of a source with this tag and length.
    ///
    /// # Errors
    ///
    /// It is larger than the limits allow.
    pub(crate) fn begin(
        &self,
        tag: Option<&str>,
        length_bytes: Option<u64>,
    ) -> Result<Begin, RemoteErrorKind> {
        let limit_bytes = self.limits.max_bytes;
        if length_bytes.is_some_and(|length| length > limit_bytes) {
            return Err(RemoteErrorKind::TooLarge { limit_bytes });
        }
        if tag.is_some() && tag == self.known {
            return Ok(Begin::NotModified);
        }
        let rest = self.resume.filter(|rest| {
            tag == Some(rest.tag) && length_bytes.is_some_and(|length| rest.from < length)
        });
        Ok(Begin::At(rest.map_or(0, |rest| rest.from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_again_does_not_come_again() {
        let limits = Limits { max_bytes: 100, ..Limits::default() };
        let ask = |known, resume| Ask { known, resume, limits };
        let rest = |tag| Some(Resume { from: 40, tag });
        for (ask, tag, length, begin) in [
            (ask(None, None), Some("1"), Some(90), Begin::At(0)),
            (ask(Some("1"), None), Some("1"), Some(90), Begin::NotModified),
            (ask(Some("0"), None), Some("1"), Some(90), Begin::At(0)),
            (ask(None, None), None, None, Begin::At(0)),
            (ask(None, rest("1")), Some("1"), Some(90), Begin::At(40)),
            (ask(None, rest("0")), Some("1"), Some(90), Begin::At(0)),
            (ask(None, rest("1")), Some("1"), Some(40), Begin::At(0)),
            (ask(None, rest("1")), None, Some(90), Begin::At(0)),
        ] {
            assert_eq!(ask.begin(tag, length).unwrap(), begin, "{ask:?}");
        }
        assert!(ask(None, None).begin(None, Some(101)).is_err());
    }
}
