//! The command line.

pub mod dlq;

use crate::view;
use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use feedfleet_model::{PipeName, RunId};
use feedfleet_telemetry::LogFormat;
use feedfleet_telemetry::failpoint::Failpoint;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Crawls partners' product catalogues into one table, and loads only what changed.
#[derive(Debug, Parser)]
#[command(name = "feedfleet", version, propagate_version = true)]
pub struct Cli {
    /// The folder of fleet.toml and pipes/
    #[arg(long, global = true, env = "FEEDFLEET_CONFIG", default_value = ".", value_name = "DIR")]
    pub config: PathBuf,
    #[command(flatten)]
    pub logs: LogArgs,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// How this process logs, and those that it starts.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// What to log to standard error: error, warn, info, debug, or directives such as `feedfleet_worker=debug`
    #[arg(
        long,
        global = true,
        env = "FEEDFLEET_LOG",
        default_value = "warn",
        value_name = "LEVEL"
    )]
    pub log: String,
    /// How to log
    #[arg(
        long,
        global = true,
        env = "FEEDFLEET_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogChoice,
}

impl LogArgs {
    /// Says something on standard error to who waits for the command: a line of the log where programs read that.
    pub fn tell(&self, text: &str) {
        match self.log_format {
            LogChoice::Text => view::tell(text),
            LogChoice::Json => tracing::warn!("{text}"),
        }
    }

    /// The same on another process' command line.
    pub fn arguments(&self) -> [OsString; 4] {
        let format = self.log_format.name().into();
        ["--log".into(), self.log.clone().into(), "--log-format".into(), format]
    }
}

/// Log formats by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogChoice {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl LogChoice {
    /// Its name on the command line.
    fn name(self) -> &'static str {
        match self {
            LogChoice::Text => "text",
            LogChoice::Json => "json",
        }
    }
}

impl From<LogChoice> for LogFormat {
    fn from(choice: LogChoice) -> Self {
        match choice {
            LogChoice::Text => LogFormat::Text,
            LogChoice::Json => LogFormat::Json,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole fleet on this machine, against a bundled sample shop
    Demo(DemoArgs),
    /// Run scheduler and local workers, from fleet.toml
    Up,
    /// Run a scheduler alone
    Scheduler,
    /// Run a worker alone
    Worker(WorkerArgs),
    /// Do one job for a worker
    #[command(hide = true)]
    Job(ChildArgs),
    /// Decode pictures for a worker
    #[command(hide = true)]
    Picture(ChildArgs),
    /// Run one pipe now
    Run(RunArgs),
    /// Look at pipes, pause and resume them
    #[command(subcommand)]
    Pipes(PipesCommand),
    /// Look at runs, and decide on what they held
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Look at the fleet
    #[command(subcommand)]
    Fleet(FleetCommand),
    /// Look at dead letters, and decide on them
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Check all that the fleet depends on, and say what to do about what is wrong
    Doctor(DoctorArgs),
    /// Query products, images and runs with SQL
    Sql(SqlArgs),
}

/// `feedfleet demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to keep the demo's configuration, table and pictures; an earlier demo there is replaced
    #[arg(long, default_value = "feedfleet-demo", value_name = "DIR")]
    pub dir: PathBuf,
    /// Which sample shop to make
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `feedfleet worker`
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Stop when this process has gone
    #[arg(long, hide = true, value_name = "PID")]
    pub parent: Option<i32>,
    /// Fail at a place, for tests of the fleet's faults
    #[arg(long = "failpoint", hide = true, value_name = "NAME=ACTION")]
    pub failpoints: Vec<Failpoint>,
}

/// `feedfleet job` and `picture`: what a worker starts for itself
#[derive(Debug, Args)]
pub struct ChildArgs {
    /// The worker's process; this one ends with it
    #[arg(long, value_name = "PID")]
    pub parent: i32,
    /// As of the worker
    #[arg(long = "failpoint", value_name = "NAME=ACTION")]
    pub failpoints: Vec<Failpoint>,
}

/// `feedfleet run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The pipe, or a supplement of one, such as acme.stock
    pub pipe: PipeName,
    /// Wait until the run has ended; the exit code says whether it went well. Where no fleet is running, until all
    /// pictures that wait, of any pipe, are seen to as well; Ctrl-C leaves them to the next worker
    #[arg(long)]
    pub wait: bool,
    /// Read the raw snapshot of this run instead of the source
    #[arg(long, value_name = "RUN")]
    pub replay: Option<RunId>,
    /// Print the run's report as JSON
    #[arg(long)]
    pub json: bool,
}

/// `feedfleet pipes`
#[derive(Debug, Subcommand)]
pub enum PipesCommand {
    /// List the pipes
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration of all pipes, or of one
    Check {
        /// The pipe
        pipe: Option<PipeName>,
    },
    /// Fetch a few records and show them as mapped rows; writes nothing
    Preview {
        /// The pipe
        pipe: PipeName,
        /// How many records
        #[arg(long, short = 'n', default_value_t = 5)]
        records: usize,
        /// Of a site: this page, instead of the first that shows a product
        #[arg(long, value_name = "PAGE")]
        url: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at a source, and propose a pipe for it; writes nothing
    Detect {
        /// Its address, as a pipe's url has it, or a file
        #[arg(value_name = "URL|FILE", required_unless_present = "pipe")]
        source: Option<String>,
        /// Instead, the source of this pipe or supplement, by its login, headers and host key; whatever else its file says
        #[arg(long, value_name = "PIPE", conflicts_with = "source")]
        pipe: Option<PipeName>,
        /// What was found out, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what a pipe's source is like and what is wrong with it, by its last run, held against the one before
    Diagnose {
        /// The pipe
        pipe: PipeName,
        /// The run; the last that read the source when left out
        #[arg(long)]
        run: Option<RunId>,
        /// Write it into this file, for the partner: as CSV if its name ends in .csv, as text otherwise
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep a pipe from running
    Pause {
        /// The pipe
        pipe: PipeName,
        #[command(flatten)]
        signature: Signature,
    },
    /// Let a paused pipe run again
    Resume {
        /// The pipe
        pipe: PipeName,
    },
}

/// For how long a link is good; no store signs one for longer.
fn link_age(text: &str) -> Result<Duration, String> {
    let age = dlq::age(text)?;
    let is_in_range = (Duration::from_secs(1)..=Duration::from_secs(7 * 86_400)).contains(&age);
    is_in_range.then_some(age).ok_or_else(|| "expected from 1s to 7d".to_owned())
}

/// A run's number. What stands apart from `--link` is taken for one.
fn shown_run(text: &str) -> Result<RunId, String> {
    text.parse::<RunId>().map_err(|e| match link_age(text) {
        Ok(_) => format!("{e}; to have links for so long: --link={text}"),
        Err(_) => e.to_string(),
    })
}

/// Who runs this, where USER does not say so, as in services and containers.
fn login() -> String {
    let name = std::env::var("LOGNAME").ok().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// Whose decision it is, and why
#[derive(Debug, Clone, Args)]
pub struct Signature {
    /// Who decides, for the record
    #[arg(
        long,
        env = "USER",
        hide_env_values = true,
        default_value_t = login(),
        hide_default_value = true,
        value_name = "NAME"
    )]
    pub by: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// `feedfleet runs approve`, `reject` and `rollback`
#[derive(Debug, Args)]
pub struct DecisionArgs {
    /// The pipe
    pub pipe: PipeName,
    /// The run
    pub run: RunId,
    #[command(flatten)]
    pub signature: Signature,
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
}

/// `feedfleet runs`
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs, newest first
    List {
        /// Of this pipe alone
        pipe: Option<PipeName>,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a run's report
    Show {
        /// The pipe
        pipe: PipeName,
        /// The run; its newest when left out
        #[arg(value_parser = shown_run)]
        run: Option<RunId>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Add addresses under which its objects can be read for so long without credentials: whoever has one
        /// can read that object
        #[arg(
            long,
            value_name = "AGE",
            value_parser = link_age,
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "1h",
            conflicts_with = "json"
        )]
        link: Option<Duration>,
    },
    /// Remove the products whose removal a run held
    Approve(DecisionArgs),
    /// Keep the products whose removal a run held
    Reject(DecisionArgs),
    /// Put a pipe back as it was after a run, and pause it
    Rollback(DecisionArgs),
}

/// `feedfleet fleet`
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Show queues and workers
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Simulate a night: how long it takes, how many workers, what it costs; with this fleet, with one that is
    /// always on, and with other settings
    Simulate(SimulateArgs),
}

/// `feedfleet fleet simulate`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The file that describes the night and its prices (docs/simulate.md)
    #[arg(value_name = "FILE")]
    pub night: PathBuf,
    /// Take the runs of this day (UTC) from this fleet's reports, in the place of the file's pipes
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub recorded: Option<NaiveDate>,
    /// Try other settings too, such as `workers.max=40`; all of them together are one more variant
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Chance; the file's when left out
    #[arg(long)]
    pub seed: Option<u64>,
    /// Draw workers, backlog and cost over time into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// As JSON, with the timelines
    #[arg(long)]
    pub json: bool,
}

/// `feedfleet doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Ask no source on the network
    #[arg(long)]
    pub offline: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `feedfleet sql`
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// The query, over the tables products, images and runs
    pub query: String,
    /// How to print the result
    #[arg(long, default_value = "table", value_parser = ["table", "csv", "json"])]
    pub format: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_in_the_place_of_a_run_is_told_where_it_goes() {
        assert_eq!(shown_run("1795423560"), Ok(RunId(1_795_423_560)));
        let told = shown_run("15m").unwrap_err();
        assert!(told.ends_with("; to have links for so long: --link=15m"), "{told}");
        assert!(!shown_run("last").unwrap_err().contains("--link"));
    }
}
