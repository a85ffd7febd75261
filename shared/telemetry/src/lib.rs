//! What a process tells of itself: logs and memory.

pub mod budget;
pub mod memory;

use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Sends logs to standard error. `filter` is in the form of `tracing`'s directives, such as `info` or
/// `feedfleet_worker=debug`; one that cannot be read is replaced by `info`. Call once a process.
pub fn init(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logs have been set up already, which is as good.
    match format {
        LogFormat::Text => logs.with_target(false).try_init().ok(),
        LogFormat::Json => logs.json().flatten_event(true).try_init().ok(),
    };
}
