//! Reads `[fleet]`, `[metrics]` and `[aws]`.

use crate::cluster::{Aws, FleetBackend, Metrics};
use crate::fleet::{Catalog, Objects, Queue, QueueBackend};
use crate::place::Place;
use crate::table::Table;
use crate::value::Value;

/// The values of `backend`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Processes,
    AutoScaling,
}

const KINDS: [(&str, Kind); 2] =
    [("processes", Kind::Processes), ("autoscaling", Kind::AutoScaling)];
/// US dollars an hour; no instance costs as much.
const MOST_AN_HOUR: f64 = 1_000.0;

/// The sections whose things are on this machine, or reached through its folders.
pub(super) fn here(queue: &Queue, catalog: &Catalog, objects: &Objects) -> Vec<&'static str> {
    let is_folder = |place: &Place| place.folder().is_some();
    [
        ("[queue]", matches!(queue.backend, QueueBackend::Sqlite { .. })),
        ("[catalog]", is_folder(&catalog.place)),
        ("[objects]", is_folder(&objects.place)),
    ]
    .into_iter()
    .filter_map(|(section, is_here)| is_here.then_some(section))
    .collect()
}

/// Reads `[fleet]`. `here`: the sections whose things other machines do not reach.
pub(super) fn workers(table: &mut Table<'_>, here: &[&str]) -> FleetBackend {
    let backend = table.take("backend");
    let group = table.take("group");
    let kind = match &backend {
        Some(backend) => backend.text().and_then(|text| text.choose("a fleet", &KINDS)),
        None => Some(Kind::Processes),
    };
    if kind != Some(Kind::AutoScaling) {
        // Of an unknown backend, nobody can tell whether it has groups.
        if let (Some(Kind::Processes), Some(group)) = (kind, group) {
            let message = format!("{} has no use here", group.name());
            group.refuse_key(message, "expected it with backend autoscaling only");
        }
        return FleetBackend::Processes;
    }
    if let Some(backend) = &backend
        && !here.is_empty()
    {
        let message = format!("autoscaling does not go with {} on this machine", here.join(", "));
        backend.refuse(message, "expected sqs in [queue], and s3:// in [catalog] and [objects]");
    }
    if group.is_none() {
        let message = format!("{} has no group", table.name());
        table.mistake(message, "expected the name of an Auto Scaling group");
    }
    let group = group.and_then(|group| group_name(&group)).unwrap_or_default();
    FleetBackend::AutoScaling { group }
}

fn group_name(value: &Value<'_>) -> Option<String> {
    let name = value.word()?;
    if name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        return Some(name);
    }
    let expected = "expected 1 to 255 visible ASCII characters other than ':'";
    value.text()?.refuse("an Auto Scaling group's name", expected)
}

/// Reads `[metrics]`.
pub(super) fn metrics(table: &mut Table<'_>, default: Metrics) -> Metrics {
    Metrics {
        cloudwatch: table.take("cloudwatch").and_then(|v| namespace(&v)),
        worker_hour: table.read("worker_hour", default.worker_hour, |v| v.amount(MOST_AN_HOUR)),
    }
}

fn namespace(value: &Value<'_>) -> Option<String> {
    let name = value.word()?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_/#".contains(&b);
    // Those are for the services themselves.
    let is_own = !name.starts_with("AWS/");
    if name.len() <= 255 && is_own && name.bytes().all(allowed) {
        return Some(name);
    }
    let expected = "expected 1 to 255 of A-Z, a-z, 0-9 and '.-_/#', not beginning with 'AWS/'";
    value.text()?.refuse("a namespace of CloudWatch", expected)
}

/// Reads `[aws]`.
pub(super) fn aws(table: &mut Table<'_>, _: Aws) -> Aws {
    Aws { region: table.take("region").and_then(|v| region(&v)) }
}

fn region(value: &Value<'_>) -> Option<String> {
    let region = value.word()?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let has_number = region.rsplit('-').next().is_some_and(|n| n.parse::<u8>().is_ok());
    if region.len() <= 32 && region.bytes().all(allowed) && has_number && region.contains('-') {
        return Some(region);
    }
    value.text()?.refuse("a region of AWS", "expected one such as 'eu-central-1'")
}
