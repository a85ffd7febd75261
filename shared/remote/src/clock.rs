//! How long one source may keep its reader waiting.

use crate::error::RemoteErrorKind;
use feedfleet_http::{Limits, Phase};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A moment that no transfer lives to see.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The end of a whole fetch, and the waits within it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    deadline: Instant,
    answer: Duration,
}

impl Clock {
    /// A fetch that begins now.
    pub(crate) fn start(limits: &Limits) -> Self {
        Self { deadline: after(limits.total_time), answer: limits.first_byte }
    }

    /// Waits as long as `phase` may take, and for the server's next answer no longer than the limits say.
    ///
    /// # Errors
    ///
    /// The time was up.
    pub(crate) async fn answer<T>(
        &self,
        phase: Phase,
        answer: impl Future<Output = T>,
    ) -> Result<T, RemoteErrorKind> {
        self.within(self.answer, phase, answer).await
    }

    /// The same, for a wait of another length.
    ///
    /// # Errors
    ///
    /// The time was up.
    pub(crate) async fn within<T>(
        &self,
        wait: Duration,
        phase: Phase,
        answer: impl Future<Output = T>,
    ) -> Result<T, RemoteErrorKind> {
        let wait_ends = after(wait);
        let (until, phase) = if self.deadline <= wait_ends {
            (self.deadline, Phase::Total)
        } else {
            (wait_ends, phase)
        };
        timeout_at(until, answer).await.map_err(|_| RemoteErrorKind::TimedOut(phase))
    }

    /// Whether the whole fetch has taken too long.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

fn after(wait: Duration) -> Instant {
    Instant::now() + wait.min(FAR)
}
