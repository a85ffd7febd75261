//! `feedfleet up`, `scheduler` and `worker`: the processes that stay.
//!
//! Which machines the workers are on is the configuration's choice: processes of `feedfleet up`, or an Auto Scaling
//! group, which `feedfleet scheduler` leads as well.

use super::status_page;
use crate::cli::{LogArgs, WorkerArgs};
use crate::context::Context;
use crate::shutdown;
use crate::view;
use anyhow::{Context as _, Result};
use feedfleet_config::FleetBackend;
use feedfleet_fleet::{Fleet, Instance};
use feedfleet_scheduler::{Deps, LocalFleet};
use feedfleet_telemetry::budget;
use feedfleet_telemetry::failpoint::{self, Failpoint};
use feedfleet_worker::Program;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// A worker that is no instance of EC2 says so with the variable that every AWS tool knows.
const NO_METADATA: &str = "AWS_EC2_METADATA_DISABLED";

/// Scheduler, local fleet and status page, until a signal.
pub async fn up(folder: &Path, logs: &LogArgs) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let listen = context.config.fleet.console.listen;
    let page = tokio::net::TcpListener::bind(listen).await.with_context(|| {
        format!(
            "could not listen on {listen}; another `feedfleet up` may be running: stop it, or set listen \
             under [console] in fleet.toml to another port"
        )
    })?;
    let shutdown = shutdown::on_signal()?;
    let deps = context.scheduler()?;
    for mistake in context.mistakes.iter() {
        view::tell(mistake);
    }
    greet(&context, listen);
    let fleet = match context.group()? {
        Some(group) => group,
        None => own_processes(&context, &deps, logs)?,
    };
    let status = tokio::spawn(status_page::serve(page, deps.clone(), shutdown.clone()));
    feedfleet_scheduler::run(deps, Some(fleet), shutdown).await;
    status.await.ok();
    view::print(match context.config.fleet.fleet {
        FleetBackend::Processes => "stopped; work in hand has been handed back",
        FleetBackend::AutoScaling { .. } => "stopped; the instances go on",
    });
    Ok(ExitCode::SUCCESS)
}

/// A fleet of this program's own processes.
fn own_processes(context: &Context, deps: &Deps, logs: &LogArgs) -> Result<Box<dyn Fleet>> {
    let program = std::env::current_exe().context("could not find this program's own file")?;
    let arguments = worker_arguments(&context.config.folder, logs);
    let (objects, clock) = (deps.objects.clone(), deps.clock.clone());
    Ok(Box::new(LocalFleet::new(program, arguments, None, objects, clock)))
}

fn greet(context: &Context, listen: std::net::SocketAddr) {
    let fleet = &context.config.fleet;
    let workers = &fleet.workers;
    view::print(format!("catalog   {}", fleet.catalog.place));
    view::print(format!("objects   {}", fleet.objects.place));
    let group = match &fleet.fleet {
        FleetBackend::Processes => String::new(),
        FleetBackend::AutoScaling { group } => format!(", instances of {group}"),
    };
    view::print(format!("workers   {} to {}{group}", workers.min, workers.max));
    view::print(format!("status    http://{listen}/"));
    let now = context.clock.now();
    for pipe in context.config.sources() {
        let next = match pipe.next_run_after(now) {
            Some(next) => format!("{} ({})", view::moment(next), view::distance(now, next)),
            None => "when asked: feedfleet run".to_owned(),
        };
        view::print(format!("pipe      {:24} next run {next}", pipe.name));
    }
    view::print("Ctrl-C stops in good order; a second one stops at once.");
}

/// The command line of a worker.
pub fn worker_arguments(folder: &Path, logs: &LogArgs) -> Vec<OsString> {
    let mut arguments = options(folder, logs);
    arguments.push("worker".into());
    arguments
}

/// The options of every command that this process starts.
fn options(folder: &Path, logs: &LogArgs) -> Vec<OsString> {
    let mut options: Vec<OsString> = vec!["--config".into(), folder.into()];
    options.extend(logs.arguments());
    options
}

/// A scheduler without processes of its own: the workers are instances of a group, or are started by others.
pub async fn scheduler(folder: &Path) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let shutdown = shutdown::on_signal()?;
    feedfleet_scheduler::run(context.scheduler()?, context.group()?, shutdown).await;
    Ok(ExitCode::SUCCESS)
}

/// A worker.
pub async fn worker(folder: &Path, logs: &LogArgs, args: WorkerArgs) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let shutdown = shutdown::on_signal()?;
    let program = own_program(&context.config.folder, logs, &args.failpoints)?;
    if !args.failpoints.is_empty() {
        // One of them stops the whole group, which must not be that of whoever started the worker.
        rustix::process::setpgid(None, None).context("could not begin a process group")?;
    }
    failpoint::set(args.failpoints);
    if let Some(parent) = args.parent {
        shutdown::with_parent(parent, shutdown.clone());
    }
    let shares = context.config.fleet.workers.memory_shares();
    // Renditions come back through this process, and are of the decoders' share until they are stored.
    let memory = shares.own_bytes + shares.picture_bytes;
    budget::set_limit(usize::try_from(memory).unwrap_or(usize::MAX));
    let mut deps = context.worker()?.apart(program);
    if let Some(instance) = own_instance(&context).await? {
        deps.worker = format!("{}/{}", instance.id(), std::process::id());
        deps.instance = Some(instance);
    }
    feedfleet_worker::run(deps, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// This machine, where the fleet may take it away.
async fn own_instance(context: &Context) -> Result<Option<Arc<dyn Instance>>> {
    if std::env::var(NO_METADATA).is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    context.instance().await.with_context(|| {
        format!("a worker of this fleet that runs elsewhere than on EC2 needs {NO_METADATA}=true")
    })
}

/// How a worker starts its children.
fn own_program(folder: &Path, logs: &LogArgs, failpoints: &[Failpoint]) -> Result<Program> {
    let path = std::env::current_exe().context("could not find this program's own file")?;
    let options = options(folder, logs);
    let failpoint = |point: &Failpoint| [OsString::from("--failpoint"), point.to_string().into()];
    Ok(Program { path, options, role_options: failpoints.iter().flat_map(failpoint).collect() })
}
