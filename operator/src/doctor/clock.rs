//! Whether the machine's clock can be right: the year, and that nothing the fleet wrote is of the future.
//! Run ids, leases and expiry go by it.

use super::schedules::LastRuns;
use super::{Finding, blocking};
use crate::context::Context;
use crate::view;
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use std::sync::Arc;

const CHECK: &str = "clock";
/// This release was not there before.
const FIRST_YEAR: i32 = 2026;
const LAST_YEAR: i32 = 2099;
/// Clocks that are kept in step differ by less.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Something that the fleet wrote, and when.
type Written = (String, DateTime<Utc>);

/// Compares the clock with the newest commit and the newest report.
pub async fn check(context: Arc<Context>, last_runs: Arc<LastRuns>) -> Vec<Finding> {
    let own = context.clone();
    let mut written = blocking(move || commits(&own)).await;
    let reports = last_runs.get(&context).await.values();
    let reports = reports.filter_map(|last| last.as_ref().ok()?.as_ref());
    written.extend(reports.map(|r| (format!("the report of run {}", r.key), r.updated_at)));
    let newest = written.into_iter().max_by_key(|(_, at)| *at);
    vec![judged(context.clock.now(), newest.as_ref())]
}

/// What cannot be read is told by the checks of catalog and schedules.
fn commits(context: &Context) -> Vec<Written> {
    let Ok(catalog) = context.catalog() else { return Vec::new() };
    let mut found = Vec::new();
    for table in [catalog.products(), catalog.images()] {
        if let Ok(Some(snapshot)) = table.snapshot()
            && let Ok(at) = snapshot.committed_at()
        {
            let what = format!("version {} of table {}", snapshot.version(), table.spec().name);
            found.push((what, at.into()));
        }
    }
    found
}

fn judged(now: DateTime<Utc>, newest: Option<&Written>) -> Finding {
    let told = view::moment(now);
    if !(FIRST_YEAR..=LAST_YEAR).contains(&now.year()) {
        return Finding::broken(CHECK, told, "set the clock, and keep it by NTP");
    }
    let Some((what, at)) = newest else { return Finding::ok(CHECK, told) };
    let found = format!("{told}; {what} was written {}", view::distance(now, *at));
    if *at - now > AHEAD {
        let found = format!("{found}: the clock was set back, or another machine's is ahead");
        return Finding::warning(CHECK, found, "keep all machines of the fleet in step by NTP");
    }
    Finding::ok(CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn what_comes_from_the_future_is_told() {
        let now: DateTime<Utc> = "2026-11-22T05:00:00Z".parse().unwrap();
        let state = |minutes| {
            let written = ("a commit".to_owned(), now + TimeDelta::minutes(minutes));
            judged(now, Some(&written)).state
        };
        assert_eq!(state(-600), State::Ok);
        assert_eq!(state(4), State::Ok);
        assert_eq!(state(6), State::Warning);
        assert_eq!(judged(now, None).state, State::Ok);
        assert_eq!(judged(DateTime::UNIX_EPOCH, None).state, State::Broken);
    }
}
