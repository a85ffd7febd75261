//! Reads settings: those of `fleet.toml` as there, and what is assumed of instances and of speed.

use super::super::prices::InstancePrice;
use super::super::settings::{Machines, QueueKind, RowSpeed, Settings, Speed};
use feedfleet_config::reading::{Table, Value, hosts, leases, scheduler, workers};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// An interruption a minute: nothing would ever be done.
const MOST_INTERRUPTIONS: f64 = 60.0;
const FASTEST: u64 = 1_000_000_000;

/// Settings, as `base` where nothing is said. `known`: instance types that have a price.
pub(super) fn settings(table: &mut Table<'_>, base: Settings, known: &[InstancePrice]) -> Settings {
    let queues = [("sqs", QueueKind::Sqs), ("exact", QueueKind::Exact)];
    Settings {
        workers: table.section("workers", base.workers, workers),
        scheduler: table.section("scheduler", base.scheduler, scheduler),
        leases: table.section("leases", base.leases, leases),
        hosts: table.section("hosts", base.hosts, hosts),
        queue: table.read("queue", base.queue, |v| v.text()?.choose("a queue", &queues)),
        machines: table.section("machines", base.machines, |t, d| machines(t, d, known)),
        speed: table.section("speed", base.speed, speed),
    }
}

/// An instance type that has a price.
pub(super) fn kind(value: &Value<'_>, known: &[InstancePrice]) -> Option<String> {
    let text = value.text()?;
    if known.is_empty() {
        return Some(text.value.clone());
    }
    let options: Vec<(&str, &str)> =
        known.iter().map(|price| (price.name.as_str(), price.name.as_str())).collect();
    text.choose("an instance type of the prices", &options).map(str::to_owned)
}

fn machines(table: &mut Table<'_>, default: Machines, known: &[InstancePrice]) -> Machines {
    let types = table.read("types", default.types, |v| {
        let types = v.items()?;
        if types.is_empty() {
            v.refuse(format!("{} is empty", v.name()), "expected one instance type at least");
            return None;
        }
        types.iter().map(|value| kind(value, known)).collect()
    });
    let start = table.read("start", default.start, |v| v.duration(Duration::ZERO, HOUR));
    let usual = default.start_p95.max(start);
    let start_p95 = table.read("start_p95", usual, |v| v.duration(start, HOUR));
    let hourly = default.interruptions_per_hour;
    Machines {
        types,
        on_demand: table.read("on_demand", default.on_demand, |v| v.share()),
        start,
        start_p95,
        interruptions_per_hour: table
            .read("interruptions", hourly, |v| v.amount(MOST_INTERRUPTIONS)),
    }
}

fn speed(table: &mut Table<'_>, default: Speed) -> Speed {
    let archive = default.archive_bytes_per_sec;
    Speed {
        rows: table.read("rows", default.rows, row_speeds),
        overhead: table.read("overhead", default.overhead, |v| v.duration(Duration::ZERO, HOUR)),
        archive_bytes_per_sec: table.read("archive", archive, |v| v.size(1)),
        image: table.read("image", default.image, |v| v.duration(Duration::from_millis(1), HOUR)),
        image_cpu: table.read("image_cpu", default.image_cpu, |v| v.duration(Duration::ZERO, HOUR)),
        renditions: table.read("renditions", default.renditions, |v| v.count(0, 100)),
    }
}

fn row_speeds(value: &Value<'_>) -> Option<Vec<RowSpeed>> {
    let items = value.items()?;
    let mut rows = items.iter().map(row_speed).collect::<Option<Vec<_>>>()?;
    rows.sort_by(|a, b| a.changed.total_cmp(&b.changed));
    if rows.is_empty() || rows.windows(2).any(|pair| pair[0].changed >= pair[1].changed) {
        let message = format!("{} is empty, or has a share twice", value.name());
        value.refuse(message, "expected speeds such as { changed = '10%', per_sec = 100000 }");
        return None;
    }
    Some(rows)
}

fn row_speed(value: &Value<'_>) -> Option<RowSpeed> {
    let mut table = value.table()?;
    let changed = table.required("changed", "expected the share that is new or changed");
    let changed = changed.and_then(|v| v.share());
    let per_sec = table.required("per_sec", "expected rows a second");
    let per_sec = per_sec.and_then(|v| v.integer(1, FASTEST));
    table.finish();
    Some(RowSpeed { changed: changed?, per_sec: per_sec? as f64 })
}
