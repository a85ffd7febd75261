//! Reads `pipes/NAME.toml`.

use super::source::Mapped;
use super::{guard, images, map, source, supplements, timezone};
use crate::cron;
use crate::document::Document;
use crate::pipe::{Location, Pipe, Schedule};
use crate::site::PAGE_NOTES;
use crate::table::Table;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use feedfleet_model::PipeName;
use std::time::Duration;

const LONGEST_WINDOW: Duration = Duration::from_secs(86_400);

/// The pipe; none when something it can't do without is missing. It counts only if no mistake was
/// noted.
pub(crate) fn pipe(document: &Document<'_>, name: PipeName) -> Option<Pipe> {
    let mut root = document.root()?;
    let timezone = root.read("timezone", Tz::UTC, timezone);
    let schedule = schedule(&mut root, timezone);
    let source = root.required("source", "expected a table with url and format");
    let mut mapping = root.take("map").and_then(|value| value.table());
    let guard = root.section("guard", guard::defaults(), guard::guard);
    let images = root.section("images", images::defaults(), images::images);
    let mut supplements = root.take("supplements").and_then(|value| value.table());
    root.finish();

    let mapped = Mapped::by(mapping.as_ref());
    let mut source = source.and_then(|value| value.table());
    let source = source.as_mut().and_then(|table| {
        let source = source::source(table, mapped);
        table.finish();
        source
    });
    let mut map = mapping.as_mut().map(|table| map::map(table, timezone)).unwrap_or_default();
    if source.as_ref().is_some_and(|source| matches!(source.location, Location::Site(_))) {
        map.extend(PAGE_NOTES.map(map::ignored_field));
    }
    let supplements = supplements
        .as_mut()
        .map(|table| supplements::supplements(table, document, &name, timezone))
        .unwrap_or_default();
    let file = document.file().to_owned();
    let source = source?;
    Some(Pipe { name, file, schedule, source, map, guard, images, supplements, layer: None })
}

/// When a pipe or a supplement runs; times of the schedule are in `timezone`.
pub(super) fn schedule(root: &mut Table<'_>, timezone: Tz) -> Option<Schedule> {
    let cron = root.take("schedule");
    let window =
        root.read("window", Duration::ZERO, |v| v.duration(Duration::ZERO, LONGEST_WINDOW));
    let value = cron?;
    let text = value.text()?;
    let Some(pattern) = cron::parse(&text.value) else {
        let expected = "expected minute (0-59), hour (0-23), day (1-31), month (1-12) and \
                        weekday (0-7), such as '0 2 * * *'";
        return text.refuse("a cron line", expected);
    };
    let schedule = Schedule { cron: text.written.clone(), pattern, timezone, window };
    if schedule.next_after(DateTime::<Utc>::UNIX_EPOCH).is_none() {
        return text.refuse("a time that ever comes", "expected a day that the month has");
    }
    Some(schedule)
}
