//! The bounds of one fetch.

use std::time::Duration;

use tokio::time::Instant;

/// The bounds of one fetch. Each is enforced while the body streams, not after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most body bytes, as they come over the wire (before any decompression by the caller).
    pub max_bytes: u64,
    /// The time from the first request to the end of the body, redirects and the caller's own
    /// time between chunks included.
    pub total_time: Duration,
    /// The time from the start of each hop, connecting included, to its response head.
    pub first_byte: Duration,
    /// The longest wait for the next bytes of the body.
    pub idle: Duration,
    /// The least speed of the body, in bytes a second, judged over each `rate_window`. 0 turns
    /// the rule off.
    pub min_bytes_per_sec: u64,
    /// How much waiting the speed is judged over; also the grace before it is first judged. Only
    /// time spent waiting for the server counts.
    pub rate_window: Duration,
    /// The most redirects that are followed.
    pub max_redirects: u8,
}

impl Default for Limits {
    /// Bounds that suit a page or a picture: 64 MiB in 5 minutes. A feed sets its own.
    fn default() -> Self {
        Limits {
            max_bytes: 64 << 20,
            total_time: Duration::from_secs(300),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            min_bytes_per_sec: 1024,
            rate_window: Duration::from_secs(30),
            max_redirects: 5,
        }
    }
}

/// `start + wait`, or a moment far away where that can't be represented.
pub(crate) fn time_after(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    start + wait.min(FAR)
}
