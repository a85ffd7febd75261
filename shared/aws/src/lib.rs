//! The backends on AWS: the queue on SQS, objects and the table's store on S3, the fleet on Auto Scaling,
//! metrics on CloudWatch, and the machine's own metadata.
//!
//! The only crate that knows the AWS SDK. It is built with the feature `aws` of `operator/` and `query/`.

mod client;
