//! When a pipe's runs are due.
//!
//! A cron line speaks of the wall clock, so it is searched there and each time found is then turned
//! into an instant. A time that the clock skips in spring becomes the first instant after the gap,
//! and a time that comes twice in autumn is its first coming: every scheduled time has exactly one
//! instant, and instants keep the order of times.

use crate::pipe::{Pipe, Schedule};
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use feedfleet_model::PipeName;
use feedfleet_model::hash::bytes_hash;
use std::fmt;
use std::time::Duration;

/// The longest gap that a zone's clock has ever made is a day (Samoa, 2011).
const LONGEST_GAP_MINUTES: i64 = 48 * 60;

/// A cron line of five fields, or a name such as `@daily`. Seconds and years are refused.
pub(crate) fn parse(line: &str) -> Option<Cron> {
    // The parser takes `1,,2` and `,`, which never comes.
    if line.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
        return None;
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(line).ok()
}

impl Schedule {
    /// The first scheduled time after `at`, without the pipe's share of the window; none when there
    /// is no more.
    pub fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = at.with_timezone(&self.timezone).naive_local();
        // Where the clock is set back, times that came already are met again: those are passed
        // over.
        loop {
            local = self.pattern.find_next_occurrence(&local, false).ok()?;
            let instant = self.instant(local)?;
            if instant > at {
                return Some(instant);
            }
        }
    }

    /// The latest scheduled time that is not after `at`, without the pipe's share of the window;
    /// none when there was none.
    pub fn last_before(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = at.with_timezone(&self.timezone).naive_local();
        let previous = self.pattern.find_previous_occurrence(&local, true).ok();
        let mut last = previous.and_then(|previous| self.instant(previous));
        // In the hour that comes twice, times ahead on the clock may be past already.
        while let Ok(next) = self.pattern.find_next_occurrence(&local, false) {
            match self.instant(next) {
                Some(instant) if instant <= at => last = Some(instant),
                _ => break,
            }
            local = next;
        }
        last
    }

    /// The pipe's own part of the window, in whole seconds: always the same for one name, and
    /// spread over the window for many.
    pub fn offset_for(&self, pipe: &PipeName) -> Duration {
        let window_secs = u128::from(self.window.as_secs());
        if window_secs == 0 {
            return Duration::ZERO;
        }
        let offset_secs = bytes_hash(pipe.as_str().as_bytes()) % window_secs;
        // Below the window, which fits.
        Duration::from_secs(offset_secs as u64)
    }

    /// The instant of a time on the zone's wall clock.
    fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        if let Some(instant) = self.timezone.from_local_datetime(&local).earliest() {
            return Some(instant.with_timezone(&Utc));
        }
        let minute = local.with_second(0)?;
        (1..=LONGEST_GAP_MINUTES)
            .filter_map(|minutes| minute.checked_add_signed(TimeDelta::minutes(minutes)))
            .find_map(|local| self.timezone.from_local_datetime(&local).earliest())
            .map(|instant| instant.with_timezone(&Utc))
    }
}

impl Pipe {
    /// When the pipe's first run after `at` is due, its share of the window included; none for a
    /// pipe that only runs when asked.
    pub fn next_run_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let schedule = self.schedule.as_ref()?;
        let offset = TimeDelta::from_std(schedule.offset_for(&self.name)).ok()?;
        schedule.next_after(at.checked_sub_signed(offset)?)?.checked_add_signed(offset)
    }

    /// When the pipe's latest run was due that is not after `at`, its share of the window included.
    pub fn last_run_before(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let schedule = self.schedule.as_ref()?;
        let offset = TimeDelta::from_std(schedule.offset_for(&self.name)).ok()?;
        schedule.last_before(at.checked_sub_signed(offset)?)?.checked_add_signed(offset)
    }
}

/// The pattern is left out: it may have come from a variable.
impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("cron", &self.cron)
            .field("timezone", &self.timezone)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;

    fn schedule(cron: &str, timezone: Tz) -> Schedule {
        let pattern = parse(cron).expect("the test's cron line is right");
        Schedule { cron: cron.to_owned(), pattern, timezone, window: Duration::ZERO }
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect("the test's time is right")
    }

    /// Every scheduled time after the first instant, up to and including the second.
    fn between(schedule: &Schedule, from: &str, to: &str) -> Vec<DateTime<Utc>> {
        let mut times = Vec::new();
        let mut at = utc(from);
        while let Some(next) = schedule.next_after(at).filter(|next| *next <= utc(to)) {
            times.push(next);
            at = next;
        }
        times
    }

    #[test]
    fn a_line_is_read_in_its_zone() {
        let seoul = schedule("0 2 * * *", Tz::Asia__Seoul);
        assert_eq!(
            seoul.next_after(utc("2026-03-01T00:00:00Z")),
            Some(utc("2026-03-01T17:00:00Z"))
        );
        assert_eq!(
            seoul.next_after(utc("2026-03-01T17:00:00Z")),
            Some(utc("2026-03-02T17:00:00Z"))
        );
        assert_eq!(
            seoul.last_before(utc("2026-03-01T17:00:00Z")),
            Some(utc("2026-03-01T17:00:00Z"))
        );
        assert_eq!(
            seoul.last_before(utc("2026-03-01T16:59:59Z")),
            Some(utc("2026-02-28T17:00:00Z"))
        );
    }

    #[test]
    fn a_time_that_spring_skips_comes_once_right_after_the_gap() {
        // Berlin's clock goes from 02:00 to 03:00 at 01:00 UTC.
        for line in ["30 2 * * *", "0,30 2 * * *", "30 2,14 * * *", "*/20 2 * * *"] {
            let berlin = schedule(line, Tz::Europe__Berlin);
            assert_eq!(
                between(&berlin, "2026-03-28T23:00:00Z", "2026-03-29T11:00:00Z"),
                [utc("2026-03-29T01:00:00Z")],
                "{line}"
            );
            let gap_end = Some(utc("2026-03-29T01:00:00Z"));
            assert_eq!(berlin.last_before(utc("2026-03-29T01:00:00Z")), gap_end, "{line}");
            assert_eq!(berlin.last_before(utc("2026-03-29T11:00:00Z")), gap_end, "{line}");
            assert!(berlin.last_before(utc("2026-03-29T00:59:59Z")) < gap_end, "{line}");
        }
        let daily = schedule("30 2 * * *", Tz::Europe__Berlin);
        assert_eq!(
            daily.next_after(utc("2026-03-29T01:00:00Z")),
            Some(utc("2026-03-30T00:30:00Z"))
        );
    }

    #[test]
    fn a_time_that_autumn_repeats_comes_once() {
        // Berlin's clock goes from 03:00 to 02:00 at 01:00 UTC.
        let daily = schedule("30 2 * * *", Tz::Europe__Berlin);
        assert_eq!(
            between(&daily, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
            [utc("2026-10-25T00:30:00Z"), utc("2026-10-26T01:30:00Z")]
        );
        let first = Some(utc("2026-10-25T00:30:00Z"));
        for at in ["2026-10-25T00:30:00Z", "2026-10-25T01:10:00Z", "2026-10-25T01:45:00Z"] {
            assert_eq!(daily.last_before(utc(at)), first, "{at}");
        }
        let half_hours = schedule("0,30 2 * * *", Tz::Europe__Berlin);
        assert_eq!(
            between(&half_hours, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
            [utc("2026-10-25T00:00:00Z"), utc("2026-10-25T00:30:00Z")]
        );
        assert_eq!(half_hours.last_before(utc("2026-10-25T01:10:00Z")), first);
    }

    #[test]
    fn a_skipped_day_does_not_stop_the_search() {
        // Samoa went from the end of 29 to the beginning of 31 December 2011, at 10:00 UTC.
        let samoa = schedule("0 12 * * *", Tz::Pacific__Apia);
        assert_eq!(
            samoa.next_after(utc("2011-12-30T00:00:00Z")),
            Some(utc("2011-12-30T10:00:00Z"))
        );
        assert_eq!(
            samoa.next_after(utc("2011-12-30T10:00:00Z")),
            Some(utc("2011-12-30T22:00:00Z"))
        );
    }

    #[test]
    fn last_and_next_agree() {
        let line = schedule("*/7 1-4 * * 6,0", Tz::Europe__Berlin);
        for (from, to) in [
            ("2026-03-28T00:00:00Z", "2026-03-29T06:00:00Z"),
            ("2026-10-24T00:00:00Z", "2026-10-25T06:00:00Z"),
        ] {
            for pair in between(&line, from, to).windows(2) {
                assert!(pair[0] < pair[1]);
                assert_eq!(line.last_before(pair[0]), Some(pair[0]));
                assert_eq!(line.last_before(pair[1] - TimeDelta::seconds(1)), Some(pair[0]));
            }
        }
    }

    #[test]
    fn pipes_are_spread_over_the_window() {
        let mut schedule = schedule("0 2 * * *", Tz::UTC);
        let name = |n: usize| -> PipeName { format!("pipe-{n}").parse().expect("a pipe's name") };
        assert_eq!(schedule.offset_for(&name(1)), Duration::ZERO);
        schedule.window = Duration::from_secs(600);
        let offsets: Vec<_> = (0..100).map(|n| schedule.offset_for(&name(n)).as_secs()).collect();
        assert!(offsets.iter().all(|offset| *offset < 600));
        assert!(offsets.iter().any(|offset| *offset < 200));
        assert!(offsets.iter().any(|offset| *offset >= 400));
        assert_eq!(schedule.offset_for(&name(7)).as_secs(), offsets[7]);
    }

    #[test]
    fn only_lines_of_five_fields_are_read() {
        for bad in [
            "",
            "* * * *",
            "0 0 2 * * *",
            "0 0 2 * * * 2026",
            "60 2 * * *",
            "0 24 * * *",
            ", 2 * * *",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(parse("@daily").is_some());
        assert!(parse("0 2 * * MON-FRI").is_some());
        let never = schedule("0 0 30 2 *", Tz::UTC);
        assert_eq!(never.next_after(utc("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn debug_does_not_show_the_pattern() {
        let mut schedule = schedule("17 3 * * *", Tz::UTC);
        schedule.cron = "${WHEN}".to_owned();
        let shown = format!("{schedule:?}");
        assert!(shown.contains("${WHEN}") && !shown.contains("17"), "{shown}");
    }
}
