//! Who decides on a dead letter, and what comes of it.

/// Who decides, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// The name that goes into the letter's history.
    pub by: String,
    /// Why, for the history.
    pub note: Option<String>,
    /// Only say what would happen; change nothing.
    pub dry_run: bool,
}

/// What became of a letter, or would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its job is on the queue again.
    Replayed,
    /// The job was given up.
    Dropped,
    /// The job has become pointless, for this reason: nothing was sent.
    Superseded(String),
    /// The letter stays as it is, for this reason.
    Left(String),
}

impl Verdict {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Replayed => "replayed",
            Verdict::Dropped => "dropped",
            Verdict::Superseded(_) => "superseded",
            Verdict::Left(_) => "left",
        }
    }

    /// Why, where that does not go without saying.
    pub fn why(&self) -> Option<&str> {
        match self {
            Verdict::Replayed | Verdict::Dropped => None,
            Verdict::Superseded(why) | Verdict::Left(why) => Some(why),
        }
    }
}
