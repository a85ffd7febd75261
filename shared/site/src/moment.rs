//! Arithmetic on moments that never overflows.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// The moment `by` after `moment`; the last one there is when that is too far away.
pub(crate) fn later(moment: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
    moment.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The moment `by` before `moment`; the first one there is when that is too far away.
pub(crate) fn before(moment: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
    moment.checked_sub_signed(by).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
