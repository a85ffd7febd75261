//! Reads `fleet.toml`.

use super::queue::queue;
use super::{cluster, place};
use crate::document::Document;
use crate::fleet::{
    Catalog, Console, Fleet, Hosts, Http, Keep, Leases, Objects, Scheduler, Workers,
};
use crate::memory::{LEAST_CRAWL_BYTES, LEAST_MEMORY_BYTES};
use crate::place::Place;
use crate::table::Table;
use crate::units;
use crate::value::Value;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// Ten years: long enough for anything that is kept.
const LONG: Duration = Duration::from_secs(3_650 * 86_400);
/// A lease is extended at every third of it, so it can't be too short.
const SHORTEST_LEASE: Duration = Duration::from_secs(10);
/// No queue lets a lease reach further than 12 hours past its receive, and each extension asks for a whole
/// lease more. Of an hour's lease the last extension succeeds in the eleventh hour; one of 12 hours could not be
/// extended even once.
const LONGEST_LEASE: Duration = Duration::from_secs(3_600);

/// The fleet; none when the file is not TOML. It counts only if no mistake was noted.
pub(crate) fn fleet(document: &Document<'_>) -> Option<Fleet> {
    let defaults = Fleet::defaults(document.folder());
    let mut root = document.root()?;
    let queue = root.section("queue", defaults.queue, queue);
    let catalog = root.section("catalog", defaults.catalog, |t, d| Catalog {
        place: t.read("url", d.place, place::place),
    });
    let objects = root.section("objects", defaults.objects, |t, d| objects(t, d, &catalog));
    let fleet = Fleet {
        workers: root.section("workers", defaults.workers, workers),
        leases: root.section("leases", defaults.leases, leases),
        hosts: root.section("hosts", defaults.hosts, hosts),
        keep: root.section("keep", defaults.keep, |t, d| Keep {
            rollback: t.read("rollback", d.rollback, |v| v.duration(SECOND, LONG)),
            raw: t.read("raw", d.raw, |v| v.duration(Duration::ZERO, LONG)),
            reports: t.read("reports", d.reports, |v| v.duration(Duration::ZERO, LONG)),
        }),
        console: root.section("console", defaults.console, |t, d| Console {
            listen: t.read("listen", d.listen, listen),
        }),
        http: root.section("http", defaults.http, |t, d| Http {
            allow_private: t.read("allow_private", d.allow_private, networks),
            user_agent: t.read("user_agent", d.user_agent, user_agent),
        }),
        scheduler: root.section("scheduler", defaults.scheduler, scheduler),
        fleet: root.section("fleet", defaults.fleet, |t, _| {
            cluster::workers(t, &cluster::here(&queue, &catalog, &objects))
        }),
        metrics: root.section("metrics", defaults.metrics, cluster::metrics),
        aws: root.section("aws", defaults.aws, cluster::aws),
        queue,
        catalog,
        objects,
    };
    root.finish();
    Some(fleet)
}

fn objects(table: &mut Table<'_>, default: Objects, catalog: &Catalog) -> Objects {
    let Some(value) = table.take("url") else { return default };
    let place = place::place(&value).unwrap_or(default.place);
    // The pictures would be where the table of pictures is.
    if is_known(&place) && place.overlaps(&catalog.place) {
        let message = format!("{} is where [catalog] is, or above or below it", value.name());
        value.refuse(message, "expected a place of its own");
    }
    Objects { place }
}

/// Not the place that stands for one that was refused.
fn is_known(place: &Place) -> bool {
    !matches!(place, Place::S3 { bucket, .. } if bucket.is_empty())
}

/// `[leases]`
pub fn leases(table: &mut Table<'_>, default: Leases) -> Leases {
    let lease = |v: &Value<'_>| v.duration(SHORTEST_LEASE, LONGEST_LEASE);
    Leases {
        visibility: table.read("visibility", default.visibility, lease),
        max_receives: table.read("max_receives", default.max_receives, |v| v.count(1, 1_000)),
    }
}

/// `[hosts]`
pub fn hosts(table: &mut Table<'_>, default: Hosts) -> Hosts {
    Hosts { concurrency: table.read("concurrency", default.concurrency, |v| v.slots(256)) }
}

/// `[scheduler]`
pub fn scheduler(table: &mut Table<'_>, default: Scheduler) -> Scheduler {
    let time = |v: &Value<'_>| v.duration(SECOND, DAY);
    Scheduler {
        tick: table.read("tick", default.tick, |v| v.duration(SECOND, Duration::from_secs(3_600))),
        drain_target: table.read("drain_target", default.drain_target, time),
        expected_job: table.read("expected_job", default.expected_job, time),
    }
}

/// `[workers]`
pub fn workers(table: &mut Table<'_>, default: Workers) -> Workers {
    let workers = Workers {
        min: table.read("min", default.min, |v| v.count(0, 10_000)),
        max: table.read("max", default.max, |v| v.count(1, 10_000)),
        crawl_slots: table.read("crawl_slots", default.crawl_slots, |v| v.slots(64)),
        image_slots: table.read("image_slots", default.image_slots, |v| v.slots(1_024)),
        memory_bytes: table.read("memory", default.memory_bytes, |v| v.size(LEAST_MEMORY_BYTES)),
    };
    if workers.min > workers.max {
        let message = format!("min in [workers] is {} and max is {}", workers.min, workers.max);
        table.mistake(message, "expected min to be no more than max");
    }
    let crawl_bytes = workers.memory_shares().crawl_bytes;
    if crawl_bytes < LEAST_CRAWL_BYTES {
        let message = format!(
            "memory in [workers] leaves each of {} crawl_slots {}",
            workers.crawl_slots,
            // A share is seldom a round number.
            units::size_text(crawl_bytes >> 20 << 20)
        );
        let least = units::size_text(LEAST_CRAWL_BYTES);
        table.mistake(message, format!("expected at least {least} for each"));
    }
    workers
}

fn listen(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    match text.value.parse() {
        Ok(address) => Some(address),
        Err(_) => text.refuse(
            "an address to listen on",
            "expected address and port, such as '127.0.0.1:8410'",
        ),
    }
}

fn networks(value: &Value<'_>) -> Option<Vec<IpNet>> {
    let networks = value.items()?;
    networks
        .iter()
        .map(|network| match cidr(&network.word()?) {
            Ok(net) => Some(net),
            Err(expected) => network.text()?.refuse("a network", &expected),
        })
        .collect()
}

/// A network in CIDR form; a single address gets its full prefix. The error says what was expected.
fn cidr(text: &str) -> Result<IpNet, String> {
    let network = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "expected CIDR, such as '10.0.0.0/8' or '192.168.1.7'".to_owned())?;
    match network.trunc() {
        whole if whole == network => Ok(network),
        whole => {
            Err(format!("expected an address without bits beyond the prefix, such as '{whole}'"))
        }
    }
}

fn user_agent(value: &Value<'_>) -> Option<String> {
    let agent = value.word()?;
    if agent.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return Some(agent);
    }
    value.text()?.refuse("a user agent", "expected printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_addresses_with_a_prefix() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("fc00::/7", "fc00::/7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(cidr(text).map(|net| net.to_string()).as_deref(), Ok(network));
        }
        for bad in ["10.0.0.0/33", "10.0.0/8", "fc00::/129", "10.0.0.0/", "10.0.0.0/+8", "host/8"] {
            let expected = cidr(bad).expect_err(bad);
            assert!(expected.contains("CIDR"), "{bad}: {expected}");
        }
        for (bad, meant) in [("20.1.0.0/8", "'20.0.0.0/8'"), ("fd00::1/8", "'fd00::/8'")] {
            let expected = cidr(bad).expect_err(bad);
            assert!(expected.ends_with(meant), "{bad}: {expected}");
        }
    }
}
