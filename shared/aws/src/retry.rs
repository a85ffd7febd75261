//! Retries: what the SDK's own would do blindly is decided here, verb by verb, where the reason stands.
//!
//! A call is repeated only while its error is a passing one ([`AwsError::is_passing`]), a bounded number of
//! times, with pauses that double and are spread at random, so that a fleet does not come back in step.

use crate::error::AwsError;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// How often a call is repeated, and after what pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    more: usize,
    first: Duration,
    longest: Duration,
}

impl Retries {
    /// None: the first error stands.
    pub const NONE: Self = Self::new(0, Duration::ZERO, Duration::ZERO);

    /// Up to `more` further calls. The pause before the first of them is `first` and a random part of as much
    /// again; it doubles up to `longest`.
    pub const fn new(more: usize, first: Duration, longest: Duration) -> Self {
        Self { more, first, longest }
    }

    /// The pauses before the further calls, in order.
    pub fn pauses(&self) -> ExponentialBackoff {
        self.builder().build()
    }

    /// Makes the call until it succeeds, fails for good, or has been repeated often enough; then its last error
    /// stands.
    ///
    /// # Errors
    /// The call's own.
    pub async fn run<T, Call, Answer>(self, call: Call) -> Result<T, AwsError>
    where
        Call: FnMut() -> Answer,
        Answer: Future<Output = Result<T, AwsError>>,
    {
        call.retry(self.builder())
            .when(|error: &AwsError| error.is_passing())
            .notify(|error: &AwsError, pause: Duration| {
                tracing::debug!(%error, pause_ms = pause.as_millis() as u64, "will call again");
            })
            .await
    }

    fn builder(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.more)
            .with_jitter()
            // Built without `std`, the crate would begin each process with the same random numbers.
            .with_jitter_seed(RandomState::new().build_hasher().finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const QUICK: Retries = Retries::new(2, Duration::from_millis(1), Duration::from_millis(2));

    async fn calls_until(error: AwsError, good_at: usize) -> (usize, Result<(), AwsError>) {
        let calls = AtomicUsize::new(0);
        let outcome = QUICK
            .run(|| async {
                let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
                if call == good_at { Ok(()) } else { Err(error.clone()) }
            })
            .await;
        (calls.load(Ordering::SeqCst), outcome)
    }

    #[tokio::test]
    async fn only_what_passes_is_repeated_and_not_for_ever() {
        let passing = AwsError::strange_answer("Call", "cut off");
        assert_eq!(calls_until(passing.clone(), 2).await, (2, Ok(())));
        assert_eq!(calls_until(passing.clone(), 9).await, (3, Err(passing)));
        let lasting = AwsError::never_sent("Call", "nonsense");
        assert_eq!(calls_until(lasting.clone(), 2).await, (1, Err(lasting)));
    }

    #[test]
    fn pauses_double_within_their_limit_and_differ_between_processes() {
        let retries = Retries::new(4, Duration::from_secs(1), Duration::from_secs(3));
        let pauses: Vec<Duration> = retries.pauses().collect();
        for (pause, least) in pauses.iter().zip([1, 2, 3, 3]) {
            let least = Duration::from_secs(least);
            assert!(*pause >= least && *pause <= least * 2, "{pauses:?}");
        }
        assert_eq!(pauses.len(), 4);
        assert_ne!(pauses, retries.pauses().collect::<Vec<_>>());
    }
}
