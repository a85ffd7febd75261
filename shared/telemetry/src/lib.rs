//! What a process tells of itself: logs and memory.

pub mod budget;
pub mod failpoint;
pub mod memory;

use feedfleet_model::text::{printable, printable_json, printable_lines};
use std::io::{self, IsTerminal, Write};
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

/// Sends logs to standard error. `filter` is in the form of `tracing`'s directives, such as `info` or
/// `feedfleet_worker=debug`; one that cannot be read is replaced by `info`. Lines that nobody can
/// be told are lost, and stop nothing. Call once a process.
pub fn init(filter: &str, format: LogFormat) {
    // A plain level is about Feedfleet; its libraries only tell of trouble. One of them also logs every error that it
    // returns, such as that a table is not there yet.
    let plain = filter.bytes().all(|b| b.is_ascii_alphabetic());
    let directives = if plain {
        // The names of all of Feedfleet's crates begin so.
        format!("error,delta_kernel=off,feedfleet={filter}")
    } else {
        filter.to_owned()
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        // It would tell them to standard error, which is what failed, and panic.
        .log_internal_errors(false)
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
        LogFormat::Json => {
            let logs = logs.json().flatten_event(true);
            logs.with_writer(|| Harmless(io::stderr())).try_init().ok()
        }
    };
}

/// Passes JSON on without characters that steer a terminal. It gets whole events.
struct Harmless<W>(W);

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(printable_json(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_escaped_in_json() {
        let mut out = Vec::new();
        let event = "{\"a\":\"\u{9b}31m\u{202e}\"}\n";
        Harmless(&mut out).write_all(event.as_bytes()).unwrap();
        assert_eq!(out, b"{\"a\":\"\\u009b31m\\u202e\"}\n");
    }
}
