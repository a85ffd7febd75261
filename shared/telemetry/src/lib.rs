//! What a process tells of itself: logs and memory.

pub mod budget;
pub mod failpoint;
pub mod memory;

use feedfleet_model::text::{printable, printable_lines};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::debug_fn;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Directives that give every crate of Feedfleet this level.
fn own_crates(level: &str) -> String {
    const CRATES: [&str; 9] =
        ["catalog", "config", "feed", "http", "objects", "query", "queue", "scheduler", "worker"];
    CRATES.map(|name| format!("feedfleet_{name}={level}")).join(",")
}

/// Sends logs to standard error. `filter` is in the form of `tracing`'s directives, such as `info` or
/// `feedfleet_worker=debug`; one that cannot be read is replaced by `info`. Call once a process.
pub fn init(filter: &str, format: LogFormat) {
    // A plain level is about Feedfleet; its libraries only tell of trouble.
    let plain = filter.bytes().all(|b| b.is_ascii_alphabetic());
    let directives = if plain {
        format!("error,feedfleet={filter},{}", own_crates(filter))
    } else {
        filter.to_owned()
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // Fields carry what partners wrote, which must not steer a terminal or look like a line of its own.
    let fields = debug_fn(|writer, field, value| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => write!(writer, "{}", printable_lines(&text)),
            name => write!(writer, "{name}={}", printable(&text)),
        }
    })
    .delimited(" ");
    // An error means that logs have been set up already, which is as good.
    match format {
        LogFormat::Text => logs.with_target(false).fmt_fields(fields).try_init().ok(),
        LogFormat::Json => logs.json().flatten_event(true).try_init().ok(),
    };
}
