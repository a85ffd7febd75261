//! Reads `fleet.toml`.

use super::place;
use crate::document::Document;
use crate::fleet::{
    Catalog, Console, Fleet, Hosts, Http, Keep, Leases, Objects, Queue, QueueBackend, Scheduler,
    Workers,
};
use crate::memory::{LEAST_CRAWL_BYTES, LEAST_MEMORY_BYTES};
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
    let fleet = Fleet {
        queue: root.section("queue", defaults.queue, queue),
        catalog: root.section("catalog", defaults.catalog, |t, d| Catalog {
            path: t.read("url", d.path, place::folder),
        }),
        objects: root.section("objects", defaults.objects, |t, d| Objects {
            path: t.read("url", d.path, place::folder),
        }),
        workers: root.section("workers", defaults.workers, workers),
        leases: root.section("leases", defaults.leases, |t, d| Leases {
            visibility: t
                .read("visibility", d.visibility, |v| v.duration(SHORTEST_LEASE, LONGEST_LEASE)),
            max_receives: t.read("max_receives", d.max_receives, |v| v.count(1, 1_000)),
        }),
        hosts: root.section("hosts", defaults.hosts, |t, d| Hosts {
            concurrency: t.read("concurrency", d.concurrency, |v| v.slots(256)),
        }),
        keep: root.section("keep", defaults.keep, |t, d| Keep {
            rollback: t.read("rollback", d.rollback, |v| v.duration(Duration::ZERO, LONG)),
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
        scheduler: root.section("scheduler", defaults.scheduler, |t, d| Scheduler {
            tick: t.read("tick", d.tick, |v| v.duration(SECOND, Duration::from_secs(3_600))),
            drain_target: t.read("drain_target", d.drain_target, |v| v.duration(SECOND, DAY)),
            expected_job: t.read("expected_job", d.expected_job, |v| v.duration(SECOND, DAY)),
        }),
    };
    root.finish();
    Some(fleet)
}

fn queue(table: &mut Table<'_>, default: Queue) -> Queue {
    if let Some(value) = table.take("backend")
        && let Some(text) = value.text()
    {
        if text.value == "sqs" {
            value.refuse("sqs is not in this release", "expected sqlite");
        } else {
            text.choose("a queue", &[("sqlite", ())]);
        }
    }
    let QueueBackend::Sqlite { path } = default.backend;
    Queue { backend: QueueBackend::Sqlite { path: table.read("path", path, place::folder) } }
}

fn workers(table: &mut Table<'_>, default: Workers) -> Workers {
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
