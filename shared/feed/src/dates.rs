//! Dates and times as feeds write them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// What a form has besides the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A time, and its offset.
    Offset,
    /// A time, in the pipe's zone.
    Local,
    /// Nothing: it is the day's first moment in the pipe's zone.
    Day,
}

/// A way to write a date: a `strftime` pattern.
type Form<'p> = (Kind, &'p str);

/// The forms that are close to ISO 8601. No text fits two of them.
static FORMS: [Form<'static>; 16] = [
    (Kind::Offset, "%Y-%m-%dT%H:%M:%S%.f%z"),
    (Kind::Offset, "%Y-%m-%d %H:%M:%S%.f %z"),
    (Kind::Offset, "%Y-%m-%dT%H:%M%z"),
    (Kind::Offset, "%Y-%m-%d %H:%M %z"),
    (Kind::Local, "%Y-%m-%dT%H:%M:%S%.f"),
    (Kind::Local, "%Y-%m-%d %H:%M:%S%.f"),
    (Kind::Local, "%Y-%m-%dT%H:%M"),
    (Kind::Local, "%Y-%m-%d %H:%M"),
    (Kind::Local, "%Y/%m/%d %H:%M:%S"),
    (Kind::Local, "%Y/%m/%d %H:%M"),
    (Kind::Local, "%Y.%m.%d %H:%M:%S"),
    (Kind::Local, "%Y%m%d%H%M%S"),
    (Kind::Day, "%Y-%m-%d"),
    (Kind::Day, "%Y/%m/%d"),
    (Kind::Day, "%Y.%m.%d"),
    (Kind::Day, "%Y%m%d"),
];
/// Those from here on have no offset.
const FIRST_LOCAL: usize = 4;

/// The form that a date was in, by its place: a feed's dates are alike, and each form that does not fit costs time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LastForm(usize);

/// Reads a date or time by a `strftime` pattern; without one, by ISO 8601, RFC 3339, RFC 2822 and what is
/// close to them. Times without a zone are in `zone`. Gives microseconds since the epoch; none when it is
/// no date of the years 1900 to 2200. `last` changes how fast it is, and nothing else.
pub(crate) fn parse_date(
    text: &str,
    format: Option<&str>,
    zone: Tz,
    last: &mut LastForm,
) -> Option<i64> {
    let text = text.trim();
    let utc = match format {
        Some(format) => {
            let kinds = [Kind::Offset, Kind::Local, Kind::Day];
            let (kind, time) = kinds.iter().find_map(|kind| read(text, (*kind, format)))?;
            in_utc(kind, time, zone)
        }
        None => known(text, zone, last),
    }?;
    (1900..=2200).contains(&utc.year()).then(|| utc.and_utc().timestamp_micros())
}

fn known(text: &str, zone: Tz, last: &mut LastForm) -> Option<NaiveDateTime> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.naive_utc());
    }
    let is_numeric = text.starts_with(|c: char| c.is_ascii_digit());
    let found = if let Some(text) = text.strip_suffix(['Z', 'z']).filter(|_| is_numeric) {
        by_forms(text, FIRST_LOCAL, Tz::UTC, last)
    } else if is_numeric {
        by_forms(text, 0, zone, last)
    } else {
        None
    };
    found.or_else(|| Some(DateTime::parse_from_rfc2822(text).ok()?.naive_utc()))
}

/// Reads a date by the last form, or by the first of those from `from` on that fits.
fn by_forms(text: &str, from: usize, zone: Tz, last: &mut LastForm) -> Option<NaiveDateTime> {
    let again = (last.0 >= from).then(|| read(text, FORMS[last.0])).flatten();
    let (kind, time) = match again {
        Some(found) => found,
        None => {
            let fits = |place: usize| Some((place, read(text, FORMS[place])?));
            let (place, found) = (from..FORMS.len()).find_map(fits)?;
            last.0 = place;
            found
        }
    };
    in_utc(kind, time, zone)
}

/// What a text says in this form: in UTC where it has an offset. None: it does not fit.
fn read(text: &str, (kind, pattern): Form<'_>) -> Option<(Kind, NaiveDateTime)> {
    let time = match kind {
        Kind::Offset => DateTime::parse_from_str(text, pattern).ok()?.naive_utc(),
        Kind::Local => NaiveDateTime::parse_from_str(text, pattern).ok()?,
        Kind::Day => NaiveDate::parse_from_str(text, pattern).ok()?.and_time(NaiveTime::MIN),
    };
    Some((kind, time))
}

fn in_utc(kind: Kind, time: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    if kind == Kind::Offset {
        return Some(time);
    }
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
        let micros = parse_date(text, format, zone, &mut LastForm::default())?;
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
            assert_eq!(utc(text, None, Seoul), None, "{text}");
        }
    }

    #[test]
    fn the_form_is_kept_for_the_next_date() {
        let mut last = LastForm::default();
        for (text, form) in
            [("2026.01.02", 14), ("2026.13.02", 14), ("2026-01-02Z", 12), ("2026-01-02T03:04", 6)]
        {
            parse_date(text, None, Seoul, &mut last);
            assert_eq!(last.0, form, "{text}");
        }
        assert_eq!(FORMS[FIRST_LOCAL - 1].0, Kind::Offset);
        assert!(FORMS[FIRST_LOCAL..].iter().all(|(kind, _)| *kind != Kind::Offset));
    }

    proptest::proptest! {
        /// Whatever form the last date had, the next one means the same.
        #[test]
        fn the_last_form_changes_no_date(
            day in "20[0-3][0-9]([-/.]?)[01]?[0-9]([-/.]?)[0-3]?[0-9]",
            time in "|[T ]{0,2}[0-2]?[0-9]:?[0-5][0-9](:?[0-5][0-9](\\.[0-9]{1,3})?)?",
            zone in "|Z| ?[-+]0[0-9]:?(00|30)",
        ) {
            let text = [day, time, zone].concat();
            let expected = utc(&text, None, Seoul);
            for (form, (_, name)) in FORMS.iter().enumerate() {
                let micros = parse_date(&text, None, Seoul, &mut LastForm(form));
                let found = micros.and_then(DateTime::from_timestamp_micros);
                let found = found.map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string());
                proptest::prop_assert_eq!(&found, &expected, "{} after {}", text, name);
            }
        }
    }
}
