//! Whether the fleet's programs can be started, and whether a scheduler is running.

use super::Finding;
use super::objects::existing;
use crate::commands::{fleet, sql};
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use feedfleet_scheduler::FleetStatus;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::Command;

const WORKER: &str = "worker program";
const QUERY: &str = "query program";
const SCHEDULER: &str = "scheduler";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Starts this program, as the scheduler starts workers, and the one that `feedfleet sql` hands over to.
pub async fn programs(context: Option<Arc<Context>>) -> Vec<Finding> {
    let build = match &context {
        Some(context) => sql::build(&context.config.fleet),
        None => format!("cargo build --release -p {}", sql::PROGRAM),
    };
    vec![worker_program().await, query_program(&build).await]
}

async fn worker_program() -> Finding {
    let remedy =
        "install feedfleet where it may be executed, and let it stay there while the fleet runs";
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(e) => {
            return Finding::broken(
                WORKER,
                format!("its own file is not to be found: {e}"),
                remedy,
            );
        }
    };
    match version_of(&program).await {
        Ok(version) if version == VERSION => {
            Finding::ok(WORKER, format!("{} starts; version {version}", program.display()))
        }
        Ok(version) => {
            let found =
                format!("{} is version {version} by now, and this is {VERSION}", program.display());
            Finding::warning(WORKER, found, "restart what runs: feedfleet up, scheduler, worker")
        }
        Err(e) => {
            Finding::broken(WORKER, format!("could not start {}: {e:#}", program.display()), remedy)
        }
    }
}

async fn query_program(build: &str) -> Finding {
    let program = sql::program();
    let build = format!("build it, which SQL alone needs: {build}");
    match version_of(&program).await {
        Ok(version) if version == VERSION => {
            Finding::ok(QUERY, format!("{} starts; version {version}", program.display()))
        }
        Ok(version) => {
            let found =
                format!("{} is version {version}, and this is {VERSION}", program.display());
            Finding::warning(QUERY, found, build)
        }
        Err(e) => {
            Finding::warning(QUERY, format!("could not start {}: {e:#}", program.display()), build)
        }
    }
}

/// The last word of what `PROGRAM --version` prints.
async fn version_of(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if !output.status.success() {
        bail!("it ended with {}", output.status);
    }
    let told = String::from_utf8_lossy(&output.stdout);
    Ok(told.split_whitespace().last().unwrap_or("none").to_owned())
}

/// Whether a scheduler has told of itself lately.
pub async fn scheduler(context: Arc<Context>) -> Vec<Finding> {
    let remedy = "feedfleet up, or feedfleet scheduler; until then nothing runs by itself";
    vec![match look(&context).await {
        Ok(Some(status)) if !status.has_fleet() => {
            let found = format!(
                "process {} told of itself {}; it starts no workers",
                status.scheduler_pid,
                view::distance(context.clock.now(), status.at)
            );
            Finding::ok(SCHEDULER, found)
        }
        Ok(Some(status)) => {
            let (least, most) = status.bounds;
            let found = format!(
                "process {} told of itself {}; {} workers run, {} are wanted (of {least} to {most})",
                status.scheduler_pid,
                view::distance(context.clock.now(), status.at),
                status.present(),
                status.desired
            );
            Finding::ok(SCHEDULER, found)
        }
        Ok(None) => Finding::warning(SCHEDULER, "no scheduler is running", remedy),
        Err(e) => {
            let found = format!("whether one is running cannot be told: {e:#}");
            Finding::warning(SCHEDULER, found, "see to the objects first")
        }
    }]
}

/// None where there is no store yet: looking makes none.
async fn look(context: &Context) -> Result<Option<FleetStatus>> {
    let Some(objects) = existing(context)? else { return Ok(None) };
    fleet::scheduler(objects.as_ref(), context.clock.now()).await
}
