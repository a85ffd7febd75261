//! `feedfleet job` and `feedfleet picture`: processes that a worker starts for work that may end a process.
//! They are no commands for people.

use crate::cli::{ChildArgs, Command};
use crate::context::Context;
use crate::shutdown;
use anyhow::{Context as _, Result, bail};
use feedfleet_telemetry::failpoint;
use feedfleet_worker::isolate;
use feedfleet_worker::jobs::image;
use std::path::Path;
use std::process::ExitCode;

/// Makes a worker's child end when its worker does, however that ends. Other commands are left alone. To be
/// called on the main thread, first of all.
pub fn follow_worker(command: &Command) -> Result<()> {
    let (Command::Job(args) | Command::Picture(args)) = command else { return Ok(()) };
    // Elsewhere the end of its input, which comes with the worker's own, is all that a child has.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("could not follow the worker")?;
    // It may have gone before that, and there was no signal.
    let present = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if present != Some(args.parent) {
        bail!("the worker {} has gone", args.parent);
    }
    Ok(())
}

/// Does the one job that the worker sends.
pub async fn job(folder: &Path, args: ChildArgs) -> Result<ExitCode> {
    failpoint::set(args.failpoints);
    let stop = shutdown::on_signal()?;
    let deps = Context::load_existing(folder).and_then(|context| context.worker());
    isolate::serve_job(deps.map_err(|e| format!("{e:#}")), stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// Decodes the pictures that the worker sends, until it sends no more. Blocking: there is nothing else to do.
pub fn picture(args: ChildArgs) -> Result<ExitCode> {
    failpoint::set(args.failpoints);
    // A signal to all processes, such as Ctrl-C, is for the worker, which then needs no decoders any more.
    let _told = shutdown::on_signal()?;
    image::serve_pictures()?;
    Ok(ExitCode::SUCCESS)
}
