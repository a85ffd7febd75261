//! How often the scheduler asks the store of objects, and for how much at once.
//!
//! A folder answers at once and for nothing. A bucket takes its time for each request, and each is paid for: so it is
//! asked more rarely, and then for many things side by side.

use chrono::TimeDelta;
use feedfleet_config::Place;
use std::time::Duration;

/// What a kind of store calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreUse {
    /// Requests of one duty that are under way at the same time.
    pub(crate) at_once: usize,
    /// Between foldings of image receipts. Each begins with a listing, and makes a commit for each pipe that has some.
    pub(crate) fold_interval: Duration,
    /// Between looks for runs that lost their message. Each lists all reports.
    pub(crate) rescue_interval: Duration,
    /// The same while no run is under way.
    pub(crate) quiet_rescue_interval: Duration,
    /// A pipe that is due and has to wait, because it is paused or its last run goes on, is asked about again after so
    /// long.
    pub(crate) ask_again_after: Duration,
    /// Between looks for pictures that nothing shows, for each pipe. Each lists all of the pipe's pictures: in a bucket
    /// more often than once a week costs more than the space that it frees.
    pub(crate) between_sweeps: TimeDelta,
}

impl StoreUse {
    /// For files on this machine.
    pub(crate) const FOLDER: Self = Self {
        at_once: 1,
        fold_interval: Duration::from_secs(5),
        rescue_interval: Duration::from_secs(10),
        quiet_rescue_interval: Duration::ZERO,
        ask_again_after: Duration::ZERO,
        between_sweeps: TimeDelta::days(1),
    };

    /// For a store that is paid by the request.
    pub(crate) const BUCKET: Self = Self {
        at_once: 32,
        fold_interval: Duration::from_secs(30),
        rescue_interval: Duration::from_secs(60),
        quiet_rescue_interval: Duration::from_secs(120),
        ask_again_after: Duration::from_secs(60),
        between_sweeps: TimeDelta::days(7),
    };

    /// For the store in this place.
    pub(crate) fn of(place: &Place) -> Self {
        match place {
            Place::Folder(_) => Self::FOLDER,
            Place::S3 { .. } => Self::BUCKET,
        }
    }
}
