//! What a diff says of rows: of each one as it is taken, and of all of them in the end.

/// Rows by what became of them, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that were live before the run.
    pub live_before: u64,
    /// Not in the table before.
    pub new: u64,
    /// With other content.
    pub changed: u64,
    /// As they were.
    pub unchanged: u64,
    /// Gone by the source's word, or by absence.
    pub removed: u64,
    /// Absent, and kept until an operator decides.
    pub held: u64,
    /// Absent, and kept since they have not been absent for long enough.
    pub waiting: u64,
    /// Records whose id had occurred before.
    pub duplicates: u64,
}

/// What one row turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not in the table before.
    New,
    /// Other content than in the table.
    Changed,
    /// As it was.
    Unchanged,
    /// The id occurred before in this source.
    Duplicate,
    /// In another share of the pipe; see [`Share`](crate::Share).
    Elsewhere,
}

/// What to do with rows that the source did not mention and that are due; see
/// [`Diff::let_wait`](crate::diff::Diff::let_wait).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// They are gone.
    Remove,
    /// They would be gone, but an operator shall decide.
    Hold,
    /// The source names changes only: absence means nothing.
    Keep,
}
