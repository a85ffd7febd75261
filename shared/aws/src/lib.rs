//! The backends on AWS: the queue on SQS, objects and the table's store on S3, the fleet on Auto Scaling,
//! metrics on CloudWatch, and the machine's own metadata.
//!
//! The only crate that knows the AWS SDK. It is built with the feature `aws` of `operator/` and `query/`.

mod client;
mod error;
mod group;
mod identity;
mod instance;
mod metrics;
mod retry;
mod s3;
mod sqs;
mod table_store;

pub use client::Aws;
pub use error::AwsError;
pub use group::{AutoScalingGroup, GroupFacts};
pub use identity::Identity;
pub use instance::Ec2Instance;
pub use metrics::CloudWatch;
pub use retry::Retries;
pub use s3::{AtHand, S3Objects, SourceObject};
pub use sqs::{GroupEstimate, SqsAttributes, SqsOptions, SqsQueue};
pub use table_store::table_store;
