//! What there is to say of AWS in a build without it.

use super::Finding;
use crate::context::Context;
use std::sync::Arc;

/// What to do.
pub const REMEDY: &str = "build with AWS: cargo build --release --features aws";

fn missing(check: &str) -> Finding {
    let found = "fleet.toml names AWS, and this build has no AWS in it";
    Finding::broken(check, found, REMEDY)
}

/// Nothing of AWS is in this build.
pub async fn identity(_: Arc<Context>) -> Vec<Finding> {
    vec![missing("aws")]
}

/// Likewise.
pub async fn store(_: &Arc<Context>, check: &str, _bucket: &str, _prefix: &str) -> Finding {
    missing(check)
}

/// Likewise.
pub async fn queue(_: &Arc<Context>, name: &str, _url: &str, _dead_url: &str) -> Finding {
    missing(&format!("queue {name}"))
}

/// Likewise.
pub async fn group(_: Arc<Context>) -> Vec<Finding> {
    vec![missing("group")]
}
