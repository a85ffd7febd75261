//! Pauses between tries, where many may try at the same moment.

use std::time::Duration;
use uuid::Uuid;

/// The pause after `tries` in vain: a random part of a time that begins as `first`, doubles with each try, and ends as
/// `longest`. Those who met once do not meet again in step, however many they are.
pub(crate) fn random_pause(tries: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(1 << tries.saturating_sub(1).min(16));
    let (_, random) = Uuid::new_v4().as_u64_pair();
    // The last 32 bits of such an id are random.
    doubled.min(longest).mul_f64(f64::from(random as u32) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_are_not_alike() {
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(2));
        for (tries, most) in [(0, 50), (1, 50), (2, 100), (6, 1600), (7, 2000), (u32::MAX, 2000)] {
            let pauses: Vec<Duration> =
                (0..100).map(|_| random_pause(tries, first, longest)).collect();
            let most = Duration::from_millis(most);
            assert!(pauses.iter().all(|pause| *pause <= most), "{tries}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause > most / 2), "{tries}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause < most / 2), "{tries}: {pauses:?}");
        }
    }
}
