//! What a backend that cannot count its groups says of them.

/// Groups that may be worked on at once while nobody works on any: enough to begin with.
const FIRST_GROUPS: u64 = 32;

/// How many groups could be worked on at once, which SQS does not tell and the number of workers depends on.
/// Too low costs time, too high costs machines that find nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupEstimate {
    /// As many as there are visible messages: for a queue whose groups hold one message at a time, such as
    /// that of crawls.
    EachItsOwn,
    /// As many again as are in flight, and a few to begin with: for a queue whose groups have backlogs, such as
    /// that of images. Where there is more to be done at once the fleet doubles each time its new workers are
    /// busy; where a few slow hosts hold the whole backlog, it stays small for as long as they take.
    Backlogs,
}

impl GroupEstimate {
    /// How many more receivers could be busy.
    pub fn runnable(self, visible: u64, in_flight: u64) -> u64 {
        match self {
            GroupEstimate::EachItsOwn => visible,
            GroupEstimate::Backlogs if in_flight == 0 => visible.min(FIRST_GROUPS),
            GroupEstimate::Backlogs => visible.min(in_flight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_single_messages_can_run_them_all() {
        assert_eq!(GroupEstimate::EachItsOwn.runnable(50, 0), 50);
        assert_eq!(GroupEstimate::EachItsOwn.runnable(50, 7), 50);
    }

    #[test]
    fn backlogs_are_trusted_with_twice_what_they_have_shown() {
        let backlogs = GroupEstimate::Backlogs;
        assert_eq!(backlogs.runnable(0, 0), 0);
        assert_eq!(backlogs.runnable(5, 0), 5);
        assert_eq!(backlogs.runnable(5_000, 0), FIRST_GROUPS);
        assert_eq!(backlogs.runnable(5_000, 4), 4, "one host, four shards");
        assert_eq!(backlogs.runnable(5_000, 200), 200);
        assert_eq!(backlogs.runnable(3, 200), 3);
    }
}
