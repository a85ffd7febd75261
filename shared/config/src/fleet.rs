//! What `fleet.toml` says: where the fleet's things are, and how much it may use.

use crate::cluster::{Aws, FleetBackend, Metrics};
use crate::place::Place;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of the whole fleet. Each has a default; paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// `[queue]`: where jobs wait.
    pub queue: Queue,
    /// `[catalog]`: the product table.
    pub catalog: Catalog,
    /// `[objects]`: everything that is not the table.
    pub objects: Objects,
    /// `[workers]`: how many, and how much each does at once.
    pub workers: Workers,
    /// `[leases]`: a worker's hold on a message.
    pub leases: Leases,
    /// `[hosts]`: manners towards other people's servers.
    pub hosts: Hosts,
    /// `[keep]`: what is kept for how long.
    pub keep: Keep,
    /// `[console]`: the operator's web page.
    pub console: Console,
    /// `[http]`: how requests are made.
    pub http: Http,
    /// `[scheduler]`: how often and for what it works.
    pub scheduler: Scheduler,
    /// `[fleet]`: what the workers are.
    pub fleet: FleetBackend,
    /// `[metrics]`: where figures are published.
    pub metrics: Metrics,
    /// `[aws]`: how AWS is reached.
    pub aws: Aws,
}

/// `[queue]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// `backend`, with the settings it needs.
    pub backend: QueueBackend,
}

/// Where jobs wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueBackend {
    /// `"sqlite"`: a file on this machine.
    Sqlite {
        /// `path`; default `var/queue.db`.
        path: PathBuf,
    },
    /// `"sqs"`: four FIFO queues of AWS, by their addresses. All are required.
    Sqs {
        /// `crawl_url`: crawl jobs.
        crawl_url: String,
        /// `image_url`: image jobs.
        image_url: String,
        /// `crawl_dead_url`: the dead letters of the former.
        crawl_dead_url: String,
        /// `image_dead_url`: likewise.
        image_dead_url: String,
    },
}

/// `[catalog]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// `url`: where the Delta tables are; default the folder `var/catalog`.
    pub place: Place,
}

/// `[objects]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    /// `url`: where pictures, raw feeds, reports and checkpoints are; default the folder `var/objects`.
    pub place: Place,
}

/// `[workers]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// Workers that are always there; default 0.
    pub min: u32,
    /// Most workers at a time; default 4.
    pub max: u32,
    /// Crawls that one worker does at once; default 1.
    pub crawl_slots: usize,
    /// Image jobs that one worker does at once; default 8.
    pub image_slots: usize,
    /// Bytes of memory that one worker may hold, its children included; default 2 GiB, at least 256 MiB
    /// and enough for every crawl slot. How it is dealt out: [`Workers::memory_shares`].
    pub memory_bytes: u64,
}

/// `[leases]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leases {
    /// How long a message stays with a worker that gives no sign of life; default 120 s.
    pub visibility: Duration,
    /// Receives after which a message is a dead letter, interruptions not counted; default 5.
    pub max_receives: u32,
}

/// `[hosts]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Requests at once to one host, whoever in the fleet sends them; default 4.
    pub concurrency: usize,
}

/// `[keep]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// How far back the table can be rolled; vacuum spares what this needs; default 14 days.
    pub rollback: Duration,
    /// Raw feeds; default 14 days.
    pub raw: Duration,
    /// Run reports; default 90 days.
    pub reports: Duration,
}

/// `[console]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// Address and port to listen on; default `127.0.0.1:8410`.
    pub listen: SocketAddr,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Networks that may be connected to although they are private. Default none.
    pub allow_private: Vec<IpNet>,
    /// What the fleet calls itself to servers; default `feedfleet/VERSION
    /// (+https://feedfleet.example/)`.
    pub user_agent: String,
}

/// `[scheduler]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    /// Time between two looks at schedules, queues and workers; default 5 s.
    pub tick: Duration,
    /// Time in which the fleet should work off what waits; default 10 minutes.
    pub drain_target: Duration,
    /// How long a job takes, for want of experience; default 60 s.
    pub expected_job: Duration,
}

impl Fleet {
    /// The fleet that a folder without `fleet.toml` describes. `folder` is where relative paths
    /// start; it should be absolute.
    pub fn defaults(folder: &Path) -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            queue: Queue { backend: QueueBackend::Sqlite { path: folder.join("var/queue.db") } },
            catalog: Catalog { place: Place::Folder(folder.join("var/catalog")) },
            objects: Objects { place: Place::Folder(folder.join("var/objects")) },
            workers: Workers {
                min: 0,
                max: 4,
                crawl_slots: 1,
                image_slots: 8,
                memory_bytes: 2 << 30,
            },
            leases: Leases { visibility: Duration::from_secs(120), max_receives: 5 },
            hosts: Hosts { concurrency: 4 },
            keep: Keep { rollback: days(14), raw: days(14), reports: days(90) },
            console: Console { listen: SocketAddr::from(([127, 0, 0, 1], 8410)) },
            http: Http {
                allow_private: Vec::new(),
                user_agent: concat!(
                    "feedfleet/",
                    env!("CARGO_PKG_VERSION"),
                    " (+https://feedfleet.example/)"
                )
                .to_owned(),
            },
            scheduler: Scheduler {
                tick: Duration::from_secs(5),
                drain_target: Duration::from_secs(600),
                expected_job: Duration::from_secs(60),
            },
            fleet: FleetBackend::Processes,
            metrics: Metrics { cloudwatch: None, worker_hour: 0.0 },
            aws: Aws { region: None },
        }
    }
}
