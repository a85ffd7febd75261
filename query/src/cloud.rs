//! Tables and reports on S3, in a build with the feature `aws`; in another one, an error that says how to build it.

use crate::ReportsPlace;
use anyhow::Result;
use feedfleet_catalog::Location;
use tokio::runtime::Runtime;

#[cfg(feature = "aws")]
use feedfleet_aws::{Aws, S3Objects, table_store};

/// Access to AWS, found when it is first needed.
pub struct Cloud<'r> {
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "there is nothing to wait for"))]
    runtime: &'r Runtime,
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "there is no region"))]
    region: Option<String>,
}

impl<'r> Cloud<'r> {
    /// Access in this region, or in the one that the environment or the machine names.
    pub fn new(runtime: &'r Runtime, region: Option<String>) -> Self {
        Self { runtime, region }
    }
}

#[cfg(feature = "aws")]
impl Cloud<'_> {
    fn aws(&self) -> Aws {
        self.runtime.block_on(Aws::load(self.region.clone()))
    }

    /// The tables below this prefix of a bucket.
    pub fn location(&self, bucket: &str, prefix: &str) -> Result<Location> {
        let store = table_store(&self.aws(), bucket)?;
        Ok(Location::s3(bucket, prefix, store)?)
    }

    /// The run reports below this prefix of a bucket.
    pub fn reports(&self, bucket: &str, prefix: &str) -> Result<ReportsPlace> {
        let objects = S3Objects::open(&self.aws(), bucket, prefix);
        Ok(ReportsPlace::Store(std::sync::Arc::new(objects)))
    }
}

#[cfg(not(feature = "aws"))]
impl Cloud<'_> {
    /// An error.
    pub fn location(&self, _bucket: &str, _prefix: &str) -> Result<Location> {
        missing()
    }

    /// An error.
    pub fn reports(&self, _bucket: &str, _prefix: &str) -> Result<ReportsPlace> {
        missing()
    }
}

#[cfg(not(feature = "aws"))]
fn missing<T>() -> Result<T> {
    anyhow::bail!(
        "the catalog or the objects are on S3, and this build has no AWS in it: build with \
         `cargo build --release -p feedfleet-query --features aws`"
    )
}
