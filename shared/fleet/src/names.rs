//! Names that the code and the templates under `infra/` share: metrics with their dimensions, and the hook that
//! holds a machine until its worker has handed its work back. `docs/aws.md` lists them; a test compares.

/// The lifecycle hook (`autoscaling:EC2_INSTANCE_TERMINATING`) of the workers' group.
pub const DRAIN_HOOK: &str = "feedfleet-drain";

/// Dimension: `crawl` or `image`.
pub const QUEUE: &str = "Queue";
/// Dimension: `new`, `changed` or `removed`.
pub const CHANGE: &str = "Change";
/// Dimension: `stored`, `unchanged` or `failed`.
pub const RESULT: &str = "Result";
/// Dimension: the reason's class, such as `source-unavailable`.
pub const CLASS: &str = "Class";

/// Messages that wait, by [`QUEUE`].
pub const VISIBLE: &str = "Visible";
/// Messages in hand, by [`QUEUE`].
pub const IN_FLIGHT: &str = "InFlight";
/// Age of the oldest message in seconds, by [`QUEUE`]; absent where the backend can't tell.
pub const OLDEST_AGE: &str = "OldestAge";
/// Groups with a message that could be received now, by [`QUEUE`]; an estimate where the backend can't count.
pub const RUNNABLE_GROUPS: &str = "RunnableGroups";
/// Dead letters that wait for a decision, by [`QUEUE`].
pub const DEAD: &str = "Dead";

/// Workers there should be.
pub const DESIRED: &str = "Desired";
/// Workers that can take work.
pub const IN_SERVICE: &str = "InService";
/// Workers that have work in hand.
pub const BUSY: &str = "Busy";
/// Workers that are missing and that the group has failed to provide for minutes.
pub const CAPACITY_SHORT: &str = "CapacityShort";

/// Rows that ended runs brought since the last figures, by [`CHANGE`].
pub const ROWS: &str = "Rows";
/// Pictures looked at since the last figures, by [`RESULT`].
pub const IMAGES: &str = "Images";
/// Attempts at crawls that failed since the last figures, by [`CLASS`].
pub const FAILURES: &str = "Failures";
/// Pipes whose newest run in the table holds removals for an operator.
pub const HELD_RUNS: &str = "HeldRuns";
/// Runs that have not ended in time.
pub const LATE_RUNS: &str = "LateRuns";
/// US dollars that the workers cost since the last figures.
pub const COST: &str = "Cost";
/// 1 while the scheduler works.
pub const SCHEDULER_ALIVE: &str = "SchedulerAlive";

/// Every metric, with its dimension.
pub const ALL: [(&str, Option<&str>); 16] = [
    (VISIBLE, Some(QUEUE)),
    (IN_FLIGHT, Some(QUEUE)),
    (OLDEST_AGE, Some(QUEUE)),
    (RUNNABLE_GROUPS, Some(QUEUE)),
    (DEAD, Some(QUEUE)),
    (DESIRED, None),
    (IN_SERVICE, None),
    (BUSY, None),
    (CAPACITY_SHORT, None),
    (ROWS, Some(CHANGE)),
    (IMAGES, Some(RESULT)),
    (FAILURES, Some(CLASS)),
    (HELD_RUNS, None),
    (LATE_RUNS, None),
    (COST, None),
    (SCHEDULER_ALIVE, None),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in `docs/aws.md` is what operators and the templates go by.
    #[test]
    fn every_name_is_in_the_documents() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/aws.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (name, dimension) in ALL {
            let cell =
                format!("| `{name}` | {} |", dimension.map_or("–".into(), |d| format!("`{d}`")));
            assert!(text.contains(&cell), "docs/aws.md has no line with {cell}");
        }
        assert!(text.contains(DRAIN_HOOK));
    }
}
