//! Configuration: `fleet.toml` says where things are and how much of the machine they may use, and
//! one `pipes/NAME.toml` a partner says what to read and when. Both are checked whole when they are
//! loaded; a mistake is reported with its file, line and what was expected.

#![deny(missing_docs)]

mod cluster;
mod cron;
mod document;
mod environment;
mod error;
mod expand;
mod fingerprint;
mod fleet;
mod format;
mod load;
mod location;
mod memory;
mod pipe;
mod place;
mod read;
pub mod reading;
mod secret;
mod server;
mod shares;
mod site;
mod suggest;
mod supplement;
mod table;
mod units;
mod value;
mod written;

pub use cluster::{Aws, FleetBackend, Metrics};
pub use environment::{Environment, ProcessEnvironment};
pub use error::{ConfigError, ConfigErrors};
pub use fingerprint::MAPPING_VERSION;
pub use fleet::{
    Catalog, Console, Fleet, Hosts, Http, Keep, Leases, Objects, Queue, QueueBackend, Scheduler,
    Workers,
};
pub use format::{Format, TextKind};
pub use load::{Config, load, load_lenient, load_pipe, parse_fleet, parse_pipe, pipe_file};
pub use memory::{LEAST_CRAWL_BYTES, LEAST_MEMORY_BYTES, MemoryShares};
pub use pipe::{
    Compression, From, Guard, Images, Location, Lookup, MapEntry, Piece, Pipe, Quoting, Rendition,
    RenditionFormat, Schedule, Source, SourceLimits, Target, Transform,
};
pub use place::Place;
pub use secret::Secret;
pub use server::{Server, ServerLogin};
pub use shares::HostShares;
pub use site::{PAGE_FIELDS, PAGE_NOTES, PageSelector, Site, host_key};
pub use suggest::{distance, nearest};
pub use supplement::{Layer, LayerMode};
pub use units::duration;
pub use written::written_place;
