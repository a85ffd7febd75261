//! What there is of AWS in a build without the feature `aws`.

use anyhow::{Result, bail};
use feedfleet_catalog::Location;
use feedfleet_fleet::{Fleet, Instance, Metrics};
use feedfleet_model::Clock;
use feedfleet_objects::Objects;
use feedfleet_queue::Queue;
use feedfleet_remote::{Buckets, NoBuckets};
use std::sync::Arc;

/// Nothing. What it gives are errors that say how to build with AWS.
pub struct Cloud;

impl Cloud {
    /// Nothing.
    pub fn new(_region: Option<String>) -> Self {
        Self
    }

    /// An error.
    pub fn objects(&self, _bucket: &str, _prefix: &str) -> Result<Arc<dyn Objects>> {
        missing()
    }

    /// An error.
    pub fn location(&self, _bucket: &str, _prefix: &str) -> Result<Location> {
        missing()
    }

    /// An error.
    pub fn crawl_queue(&self, _url: &str, _dead: &str, _receives: u32) -> Result<Arc<dyn Queue>> {
        missing()
    }

    /// An error.
    pub fn image_queue(&self, _url: &str, _dead: &str, _receives: u32) -> Result<Arc<dyn Queue>> {
        missing()
    }

    /// An error.
    pub fn group(&self, _name: &str, _clock: Arc<dyn Clock>) -> Result<Box<dyn Fleet>> {
        missing()
    }

    /// An error.
    pub async fn instance(&self, _group: &str) -> Result<Arc<dyn Instance>> {
        missing()
    }

    /// Buckets of which each is an error.
    pub fn buckets(&self) -> Arc<dyn Buckets> {
        Arc::new(NoBuckets)
    }

    /// An error.
    pub fn metrics(&self, _namespace: &str) -> Result<Arc<dyn Metrics>> {
        missing()
    }
}

fn missing<T>() -> Result<T> {
    bail!(
        "fleet.toml names AWS, and this build has no AWS in it: build with \
         `cargo build --release --features aws`"
    )
}
