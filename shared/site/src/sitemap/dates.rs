//! Dates as sitemaps (W3C) and feeds (RFC 2822, RFC 3339) write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

const OFFSET_FORMATS: [&str; 3] =
    ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%d %H:%M:%S %z"];
const UTC_FORMATS: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S"];

/// Reads a date; one without a time is its first moment, one without a zone in UTC.
pub(super) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Some(date.to_utc());
    }
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Some(date.to_utc());
    }
    let with_offset = |format: &&str| DateTime::parse_from_str(text, format).ok();
    if let Some(date) = OFFSET_FORMATS.iter().find_map(with_offset) {
        return Some(date.to_utc());
    }
    let bare = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let with_time = |format: &&str| NaiveDateTime::parse_from_str(bare, format).ok();
    if let Some(date) = UTC_FORMATS.iter().find_map(with_time) {
        return Some(date.and_utc());
    }
    let day = match bare.len() {
        4 => format!("{bare}-01-01"),
        7 => format!("{bare}-01"),
        _ => bare.to_owned(),
    };
    let day = NaiveDate::parse_from_str(&day, "%Y-%m-%d").ok()?;
    Some(day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_their_forms_are_read() {
        let read = |text| parse(text).map(|date| date.to_rfc3339());
        let expected = [
            ("2004-12-23T18:00:15+02:00", "2004-12-23T16:00:15+00:00"),
            ("2004-12-23T18:00Z", "2004-12-23T18:00:00+00:00"),
            ("2004-12-23T18:00+01:00", "2004-12-23T17:00:00+00:00"),
            (" 2004-12-23 ", "2004-12-23T00:00:00+00:00"),
            ("2004-12", "2004-12-01T00:00:00+00:00"),
            ("2004", "2004-01-01T00:00:00+00:00"),
            ("Thu, 05 Jan 2017 13:34:51 +0100", "2017-01-05T12:34:51+00:00"),
            ("05 Jan 17 13:34:54 +0100", "2017-01-05T12:34:54+00:00"),
        ];
        for (text, date) in expected {
            assert_eq!(read(text).as_deref(), Some(date), "{text}");
        }
        assert_eq!(read("yesterday"), None);
        assert_eq!(read(""), None);
    }
}
