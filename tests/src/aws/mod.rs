//! Stand-ins for AWS, which nobody here wrote, on the loopback address: ministack (SQS, CloudWatch and more),
//! moto (Auto Scaling, and SQS as far as it goes) and SeaweedFS (S3), started for one test and gone with it; a
//! proxy that does to requests what networks and services do; queues as infra/ makes them.
//!
//! They are programs of the Python environment that scripts/test sets up. Where one is absent a test says so
//! aloud and ends early, unless they are required. docs/aws.md lists where each differs from AWS.

pub mod drain;
mod env;
mod group;
mod http;
mod imds;
mod lifecycle;
mod ministack;
mod moto;
mod process;
mod proxy;
mod queues;
mod sdk;
mod weed;

pub use env::{ACCESS_KEY, AwsEnv, REGION, SECRET_KEY, Service};
pub use group::{Ended, GROUP, Group, HOOK};
pub use http::send;
pub use imds::Imds;
pub use lifecycle::Lifecycle;
pub use ministack::Ministack;
pub use moto::Moto;
pub use proxy::{Fault, Hits, Proxy, Request, Rule};
pub use queues::{QueuePair, Queues};
pub use sdk::aws_at;
pub use weed::Weed;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A program of the Python environment in which the stand-ins are installed. None where it is absent, which is
/// said aloud.
///
/// # Panics
///
/// Where it is absent, and `FEEDFLEET_REQUIRE_READERS` is 1.
pub fn program(name: &str) -> Option<PathBuf> {
    let Some(python) = python() else {
        skipped(name, "FEEDFLEET_PYTHON names no interpreter; scripts/test sets one up");
        return None;
    };
    let path = Path::new(&python).with_file_name(name);
    if path.is_file() {
        return Some(path);
    }
    skipped(name, &format!("there is no {}", path.display()));
    None
}

pub(crate) fn python() -> Option<OsString> {
    std::env::var_os("FEEDFLEET_PYTHON")
}

/// Says aloud what was not tested; fails where it is required.
pub(crate) fn skipped(what: &str, why: &str) {
    let required = std::env::var_os("FEEDFLEET_REQUIRE_READERS").is_some_and(|value| value == "1");
    assert!(!required, "{what} is required: {why}");
    // Not through `println`, which the test harness keeps to itself when a test passes.
    let line = format!("SKIPPED what needs {what}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}
