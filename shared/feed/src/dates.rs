//! Dates and times as feeds write them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// With an offset.
const OFFSET_FORMATS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%d %H:%M %z"];
/// In the pipe's zone.
const LOCAL_FORMATS: [&str; 8] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d %H:%M:%S",
    "%Y%m%d%H%M%S",
];
/// The day's first moment in the pipe's zone.
const DAY_FORMATS: [&str; 4] = ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"];

/// Reads a date or time by a `strftime` pattern; without one, by ISO 8601, RFC 3339, RFC 2822 and what is
/// close to them. Times without a zone are in `zone`. Gives microseconds since the epoch; none when it is
/// no date of the years 1900 to 2200.
pub(crate) fn parse_date(text: &str, format: Option<&str>, zone: Tz) -> Option<i64> {
    let text = text.trim();
    let utc = match format {
        Some(format) => by_formats(text, &[format], &[format], &[format], zone),
        None => known(text, zone),
    }?;
    (1900..=2200).contains(&utc.year()).then(|| utc.and_utc().timestamp_micros())
}

fn known(text: &str, zone: Tz) -> Option<NaiveDateTime> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.naive_utc());
    }
    let is_numeric = text.starts_with(|c: char| c.is_ascii_digit());
    let found = if let Some(text) = text.strip_suffix(['Z', 'z']).filter(|_| is_numeric) {
        by_formats(text, &[], &LOCAL_FORMATS, &DAY_FORMATS, Tz::UTC)
    } else if is_numeric {
        by_formats(text, &OFFSET_FORMATS, &LOCAL_FORMATS, &DAY_FORMATS, zone)
    } else {
        None
    };
    found.or_else(|| Some(DateTime::parse_from_rfc2822(text).ok()?.naive_utc()))
}

/// The first format that fits, as UTC.
fn by_formats(
    text: &str,
    offset: &[&str],
    local: &[&str],
    day: &[&str],
    zone: Tz,
) -> Option<NaiveDateTime> {
    let with_offset = |format: &&str| DateTime::parse_from_str(text, format).ok();
    if let Some(time) = offset.iter().find_map(with_offset) {
        return Some(time.naive_utc());
    }
    let with_time = |format: &&str| NaiveDateTime::parse_from_str(text, format).ok();
    let with_day = |format: &&str| {
        NaiveDate::parse_from_str(text, format).ok().map(|day| day.and_time(NaiveTime::MIN))
    };
    let time = local.iter().find_map(with_time).or_else(|| day.iter().find_map(with_day))?;
    // An hour that the clock skips is the one after it.
    let skipped =
        || zone.from_local_datetime(&time.checked_add_signed(TimeDelta::hours(1))?).earliest();
    let time = zone.from_local_datetime(&time).earliest().or_else(skipped)?;
    Some(time.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Asia::Seoul;
    use chrono_tz::Europe::Berlin;

    fn utc(text: &str, format: Option<&str>, zone: Tz) -> Option<String> {
        let micros = parse_date(text, format, zone)?;
        Some(DateTime::from_timestamp_micros(micros)?.format("%Y-%m-%d %H:%M:%S").to_string())
    }

    #[test]
    fn known_forms() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05"),
            ("2026-01-02T03:04:05+09:00", "2026-01-01 18:04:05"),
            ("2026-01-02T03:04:05+0900", "2026-01-01 18:04:05"),
            ("2016-11-25T13:00-0800", "2016-11-25 21:00:00"),
            ("2026-01-02T03:04Z", "2026-01-02 03:04:00"),
            ("2026-01-02 03:04:05", "2026-01-01 18:04:05"),
            ("2026-01-02T03:04:05.678", "2026-01-01 18:04:05"),
            ("2026-01-02", "2026-01-01 15:00:00"),
            ("20260102", "2026-01-01 15:00:00"),
            ("2026/01/02", "2026-01-01 15:00:00"),
            ("Fri, 02 Jan 2026 03:04:05 +0000", "2026-01-02 03:04:05"),
        ] {
            assert_eq!(utc(text, None, Seoul).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn patterns() {
        let day = utc("02.01.2026", Some("%d.%m.%Y"), Berlin);
        assert_eq!(day.as_deref(), Some("2026-01-01 23:00:00"));
        let time = utc("02.01.2026 10:30", Some("%d.%m.%Y %H:%M"), Berlin);
        assert_eq!(time.as_deref(), Some("2026-01-02 09:30:00"));
        // The clock went from two to three.
        let skipped = utc("2026-03-29 02:30", Some("%Y-%m-%d %H:%M"), Berlin);
        assert_eq!(skipped.as_deref(), Some("2026-03-29 01:30:00"));
    }

    #[test]
    fn what_is_no_date() {
        for text in ["", "tomorrow", "2026-13-01", "9999-01-01", "0000-00-00", "1700-01-01", "15"] {
            assert_eq!(parse_date(text, None, Seoul), None, "{text}");
        }
    }
}
