//! How many workers there should be: one pure function.

use std::time::Duration;

/// What waits on one queue, and what is in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueLoad {
    /// Messages that wait.
    pub visible: u64,
    /// Messages in hand, one a busy group.
    pub in_flight: u64,
    /// Groups with a message that could be received now. A backlog of one group needs one worker, however
    /// long it is.
    pub runnable_groups: u64,
}

/// How one queue is worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A worker's jobs at once.
    pub slots: usize,
    /// How long a job takes.
    pub expected_job: Duration,
    /// In what time the backlog should be gone.
    pub drain_target: Duration,
}

/// Fewest and most workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
}

/// Workers that are needed for these queues.
pub fn desired_workers(queues: &[(QueueLoad, Pace)], bounds: Bounds) -> u32 {
    let needed = queues.iter().map(|(load, pace)| workers_for(*load, *pace)).max().unwrap_or(0);
    needed.clamp(bounds.min.min(bounds.max), bounds.max)
}

fn workers_for(load: QueueLoad, pace: Pace) -> u32 {
    let jobs = load.visible + load.in_flight;
    if jobs == 0 || pace.slots == 0 {
        return 0;
    }
    let work = pace.expected_job.as_secs_f64() * jobs as f64;
    let in_time = (work / pace.drain_target.as_secs_f64().max(1.0)).ceil() as u64;
    let at_once = load.runnable_groups.min(load.visible) + load.in_flight;
    let slots = in_time.clamp(1, at_once.max(1));
    u32::try_from(slots.div_ceil(pace.slots as u64)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        slots: 1,
        expected_job: Duration::from_secs(60),
        drain_target: Duration::from_secs(600),
    };
    const BOUNDS: Bounds = Bounds { min: 0, max: 10 };

    fn load(visible: u64, in_flight: u64, runnable_groups: u64) -> QueueLoad {
        QueueLoad { visible, in_flight, runnable_groups }
    }

    #[test]
    fn the_number_follows_the_work() {
        let desired = |load| desired_workers(&[(load, PACE)], BOUNDS);
        assert_eq!(desired(load(0, 0, 0)), 0, "no work, no workers");
        assert_eq!(desired(load(1, 0, 1)), 1, "any work, one worker");
        assert_eq!(desired(load(50, 0, 50)), 5, "50 jobs of a minute in ten minutes");
        assert_eq!(desired(load(1000, 0, 1000)), 10, "never more than the most");
        assert_eq!(desired(load(1000, 0, 2)), 2, "two groups cannot use more");
        assert_eq!(desired(load(1000, 1, 0)), 1, "all of it behind one job in hand");
    }

    #[test]
    fn slots_share_a_worker_and_the_needier_queue_decides() {
        let images = Pace { slots: 8, expected_job: Duration::from_secs(10), ..PACE };
        let queues = [(load(3, 0, 3), PACE), (load(1200, 0, 64), images)];
        assert_eq!(desired_workers(&queues, BOUNDS), 3);
        let fewest = Bounds { min: 2, max: 10 };
        assert_eq!(desired_workers(&[(load(0, 0, 0), PACE)], fewest), 2);
    }
}
