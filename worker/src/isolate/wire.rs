//! What a child says on its standard output: lines. One of them is how its job ended; before it there may be
//! one that says that it was refused memory.

use feedfleet_model::{Outcome, Reason};
use feedfleet_telemetry::budget;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// The line of a process that was refused memory. What comes after it, if anything does, counts.
const MEMORY_REFUSED: &str = "{\"refused\":\"memory\"}\n";

/// Makes this process say on its standard output when it goes past its memory limit: what it does next is
/// to abort, most likely, and that alone would not say why. For children of a worker.
///
/// # Errors
///
/// Standard output cannot be had.
pub fn tell_memory_refusals() -> io::Result<()> {
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    budget::tell_refusals(File::from(output), MEMORY_REFUSED);
    Ok(())
}

/// Whether a line, with or without its end, is [`MEMORY_REFUSED`].
pub(crate) fn is_memory_refusal(line: &str) -> bool {
    line.trim_end() == MEMORY_REFUSED.trim_end()
}

/// How a child's job ended, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EndLine {
    #[serde(flatten)]
    pub(super) outcome: OutcomeLine,
    /// The most resident bytes of the child; 0 where it does not say.
    #[serde(default)]
    pub(super) peak_memory_bytes: u64,
}

/// An [`Outcome`] on its way from a child to its worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(super) enum OutcomeLine {
    Done,
    Superseded,
    Ended,
    Retry { wait_ms: u64, reason: Reason },
    Interrupted,
    Continued,
    Dead { reason: Reason },
}

impl From<Outcome> for OutcomeLine {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Superseded => Self::Superseded,
            Outcome::Ended => Self::Ended,
            Outcome::RetryAfter(wait, reason) => {
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                Self::Retry { wait_ms, reason }
            }
            Outcome::Interrupted => Self::Interrupted,
            Outcome::Continued => Self::Continued,
            Outcome::Dead(reason) => Self::Dead { reason },
        }
    }
}

impl From<OutcomeLine> for Outcome {
    fn from(line: OutcomeLine) -> Self {
        match line {
            OutcomeLine::Done => Self::Done,
            OutcomeLine::Superseded => Self::Superseded,
            OutcomeLine::Ended => Self::Ended,
            OutcomeLine::Retry { wait_ms, reason } => {
                Self::RetryAfter(Duration::from_millis(wait_ms), reason)
            }
            OutcomeLine::Interrupted => Self::Interrupted,
            OutcomeLine::Continued => Self::Continued,
            OutcomeLine::Dead { reason } => Self::Dead(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::ReasonClass;

    #[test]
    fn outcomes_survive_their_line() {
        let reason = || Reason::new(ReasonClass::NotAFeed, "a \"page\"\nof two lines");
        for outcome in [
            Outcome::Done,
            Outcome::Superseded,
            Outcome::Ended,
            Outcome::RetryAfter(Duration::from_millis(1500), reason()),
            Outcome::Interrupted,
            Outcome::Continued,
            Outcome::Dead(reason()),
        ] {
            let end = EndLine { outcome: outcome.clone().into(), peak_memory_bytes: 7 << 20 };
            let line = serde_json::to_string(&end).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert!(!is_memory_refusal(&line));
            let read: EndLine = serde_json::from_str(&line).unwrap();
            assert_eq!((Outcome::from(read.outcome), read.peak_memory_bytes), (outcome, 7 << 20));
        }
        assert!(is_memory_refusal(MEMORY_REFUSED));
        assert!(serde_json::from_str::<EndLine>(MEMORY_REFUSED).is_err());
    }
}
