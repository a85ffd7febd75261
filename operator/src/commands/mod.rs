//! One file a command.

pub mod children;
mod decisions;
mod detect;
mod diagnose;
mod dlq;
mod doctor;
pub mod fleet;
mod pipes;
mod preview;
mod preview_page;
mod roles;
pub mod run;
mod runs;
mod simulate;
pub mod sql;
mod status_page;

pub use roles::worker_arguments;

use crate::cli::{Cli, Command, FleetCommand, PipesCommand, RunsCommand};
use anyhow::Result;
use std::process::ExitCode;

/// Does what the command line asks for.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let folder = cli.config.as_path();
    match cli.command {
        Command::Demo(args) => crate::demo::run(&args, &cli.logs).await,
        Command::Up => roles::up(folder, &cli.logs).await,
        Command::Scheduler => roles::scheduler(folder).await,
        Command::Worker(args) => roles::worker(folder, &cli.logs, args).await,
        Command::Job(args) => children::job(folder, args).await,
        Command::Picture(args) => children::picture(args),
        Command::Run(args) => run::run(folder, &args, &cli.logs).await,
        Command::Pipes(PipesCommand::List { json }) => pipes::list(folder, json).await,
        Command::Pipes(PipesCommand::Check { pipe }) => pipes::check(folder, pipe.as_ref()),
        Command::Pipes(PipesCommand::Preview { pipe, records, url, json }) => {
            preview::preview(folder, &pipe, records, url.as_deref(), json).await
        }
        Command::Pipes(PipesCommand::Detect { source, pipe, json }) => {
            detect::detect(folder, source.as_deref(), pipe.as_ref(), json).await
        }
        Command::Pipes(PipesCommand::Diagnose { pipe, run, output, json }) => {
            diagnose::diagnose(folder, &pipe, run, output.as_deref(), json).await
        }
        Command::Pipes(PipesCommand::Pause { pipe, signature }) => {
            pipes::pause(folder, &pipe, signature).await
        }
        Command::Pipes(PipesCommand::Resume { pipe }) => pipes::resume(folder, &pipe).await,
        Command::Runs(RunsCommand::List { pipe, limit, json }) => {
            runs::list(folder, pipe.as_ref(), limit, json).await
        }
        Command::Runs(RunsCommand::Show { pipe, run, json, link }) => {
            runs::show(folder, &pipe, run, json, link).await
        }
        Command::Runs(RunsCommand::Approve(args)) => decisions::approve(folder, args).await,
        Command::Runs(RunsCommand::Reject(args)) => decisions::reject(folder, args).await,
        Command::Runs(RunsCommand::Rollback(args)) => decisions::rollback(folder, args).await,
        Command::Fleet(FleetCommand::Status { json }) => fleet::status(folder, json).await,
        Command::Fleet(FleetCommand::Simulate(args)) => simulate::simulate(folder, &args).await,
        Command::Dlq(command) => dlq::dlq(folder, command).await,
        Command::Doctor(args) => doctor::doctor(folder, &args).await,
        Command::Sql(args) => sql::sql(folder, &args),
    }
}
