//! How long to wait before a job is tried again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Doubles with every failure from 15 s to 15 min, give or take a fifth, so that what failed together is
/// not tried again together.
pub fn after_failures(failures: u32) -> Duration {
    let base = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    let random = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    spread(base, random)
}

fn spread(base: Duration, random: u32) -> Duration {
    base.mul_f64(0.8 + 0.4 * f64::from(random % 1000) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn waits_grow_to_a_quarter_of_an_hour() {
        assert!(after_failures(1) < Duration::from_secs(19));
        assert!(after_failures(3) > Duration::from_secs(45));
        assert!(after_failures(1000) <= Duration::from_secs(18 * 60 + 1));
    }

    #[test]
    fn what_failed_together_is_not_tried_again_together() {
        let seconds =
            |random| spread(Duration::from_secs(100), random).as_secs_f64().round() as u64;
        assert_eq!([0, 250, 500, 999].map(seconds), [80, 90, 100, 120]);
        let waits: BTreeSet<Duration> = (0..1000).map(|_| after_failures(1)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
