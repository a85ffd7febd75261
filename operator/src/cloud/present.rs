//! AWS, in a build with the feature `aws`.

use super::buckets::S3Buckets;
use anyhow::{Context as _, Result, anyhow};
use feedfleet_aws::{
    AutoScalingGroup, Aws, CloudWatch, Ec2Instance, GroupEstimate, S3Objects, SqsOptions, SqsQueue,
    table_store,
};
use feedfleet_catalog::Location;
use feedfleet_fleet::{Fleet, Instance, Metrics};
use feedfleet_model::Clock;
use feedfleet_objects::Objects;
use feedfleet_queue::Queue;
use feedfleet_remote::Buckets;
use std::sync::{Arc, OnceLock};

/// Access to AWS, found when it is first needed.
pub struct Cloud {
    region: Option<String>,
    aws: OnceLock<Aws>,
    /// The fleet has one store of objects, and its connections are worth keeping.
    objects: OnceLock<Arc<dyn Objects>>,
}

impl Cloud {
    /// Access in this region, or in the one that the environment or the machine names.
    pub fn new(region: Option<String>) -> Self {
        Self { region, aws: OnceLock::new(), objects: OnceLock::new() }
    }

    /// Access to AWS.
    pub fn aws(&self) -> Result<&Aws> {
        if let Some(aws) = self.aws.get() {
            return Ok(aws);
        }
        let region = self.region.clone();
        // The region may have to be asked of the machine. A thread of its own can wait for that wherever the
        // caller is, also on a runtime that can't be waited on.
        let load = move || -> std::io::Result<Aws> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(Aws::load(region)))
        };
        let loading = std::thread::Builder::new().name("aws".into()).spawn(load);
        let loaded = loading.context("could not look for AWS")?.join();
        let loaded = loaded
            .map_err(|_| anyhow!("looking for AWS panicked"))?
            .context("could not look for AWS")?;
        Ok(self.aws.get_or_init(|| loaded))
    }

    /// The objects below this prefix of a bucket.
    pub fn objects(&self, bucket: &str, prefix: &str) -> Result<Arc<dyn Objects>> {
        if let Some(objects) = self.objects.get() {
            return Ok(objects.clone());
        }
        let opened: Arc<dyn Objects> = Arc::new(self.s3(bucket, prefix)?);
        Ok(self.objects.get_or_init(|| opened).clone())
    }

    /// As [`Cloud::objects`], for what S3 has and the contract has not.
    pub fn s3(&self, bucket: &str, prefix: &str) -> Result<S3Objects> {
        Ok(S3Objects::open(self.aws()?, bucket, prefix))
    }

    /// The tables below this prefix of a bucket.
    pub fn location(&self, bucket: &str, prefix: &str) -> Result<Location> {
        let store = table_store(self.aws()?, bucket)?;
        Ok(Location::s3(bucket, prefix, store)?)
    }

    /// The queue of crawl jobs. `receives`: after so many, SQS gives a message up by itself.
    pub fn crawl_queue(&self, url: &str, dead: &str, receives: u32) -> Result<Arc<dyn Queue>> {
        Ok(Arc::new(self.sqs("crawl", url, dead, receives)?))
    }

    /// The queue of image jobs, likewise.
    pub fn image_queue(&self, url: &str, dead: &str, receives: u32) -> Result<Arc<dyn Queue>> {
        Ok(Arc::new(self.sqs("image", url, dead, receives)?))
    }

    /// The queue `crawl` or `image`, for what SQS has and the contract has not.
    pub fn sqs(&self, name: &str, url: &str, dead: &str, max_receives: u32) -> Result<SqsQueue> {
        let groups = match name {
            // A pipe runs once at a time.
            "crawl" => GroupEstimate::EachItsOwn,
            _ => GroupEstimate::Backlogs,
        };
        let options = SqsOptions { max_receives, groups };
        Ok(SqsQueue::open(self.aws()?, name, url, dead, options)?)
    }

    /// The Auto Scaling group of this name.
    pub fn group(&self, name: &str, clock: Arc<dyn Clock>) -> Result<Box<dyn Fleet>> {
        Ok(Box::new(AutoScalingGroup::new(self.aws()?, name, clock)))
    }

    /// This machine, an instance of that group.
    pub async fn instance(&self, group: &str) -> Result<Arc<dyn Instance>> {
        Ok(Arc::new(Ec2Instance::open(self.aws()?, group).await?))
    }

    /// The buckets of partners.
    pub fn buckets(&self) -> Arc<dyn Buckets> {
        Arc::new(S3Buckets::new(self.region.clone()))
    }

    /// CloudWatch, in this namespace.
    pub fn metrics(&self, namespace: &str) -> Result<Arc<dyn Metrics>> {
        Ok(Arc::new(CloudWatch::new(self.aws()?, namespace)))
    }
}
