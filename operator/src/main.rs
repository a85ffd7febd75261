//! `feedfleet`: every role and every command, in one binary. Nothing is decided here.

// Both panic where nobody reads any more; `view::print` and `view::tell` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod cloud;
mod commands;
mod context;
mod demo;
mod doctor;
mod shutdown;
mod view;

use clap::Parser;
use feedfleet_telemetry::budget::Budget;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Budget = Budget;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    feedfleet_telemetry::init(&cli.logs.log, cli.logs.log_format.into());
    if let Err(e) = commands::children::follow_worker(&cli.command) {
        view::tell(format_args!("feedfleet: {e:#}"));
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            view::tell(format_args!("feedfleet: could not start: {e}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(commands::run(cli));
    // Blocking reads of a source that hangs must not keep a finished process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match result {
        Ok(code) => code,
        Err(e) => {
            let told = view::told(&e);
            view::tell(format_args!(
                "feedfleet: {}",
                feedfleet_model::text::printable_lines(&told)
            ));
            ExitCode::FAILURE
        }
    }
}
