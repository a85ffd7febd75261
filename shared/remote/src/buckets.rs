//! Buckets of object stores, for whoever can reach them.

use crate::ask::{Ask, Found};
use crate::error::RemoteErrorKind;
use async_trait::async_trait;

/// Reads objects that others wrote, by bucket and key, with the fleet's own credentials.
#[async_trait]
pub trait Buckets: Send + Sync {
    /// Opens an object, as [`Remote`](crate::Remote) opens a file.
    ///
    /// # Errors
    ///
    /// There is no such object, it may not be read, or the store does not answer.
    async fn open(&self, bucket: &str, key: &str, ask: &Ask<'_>) -> Result<Found, RemoteErrorKind>;
}

/// What a program without AWS in it has: an error that says how to build it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBuckets;

#[async_trait]
impl Buckets for NoBuckets {
    async fn open(
        &self,
        _bucket: &str,
        _key: &str,
        _ask: &Ask<'_>,
    ) -> Result<Found, RemoteErrorKind> {
        let text = "objects in S3 are for a build with AWS: `cargo build --release --features aws`";
        Err(RemoteErrorKind::Unsupported(text.to_owned()))
    }
}
