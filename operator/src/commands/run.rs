//! `feedfleet run`: one run of one pipe, now.

use super::fleet::look;
use super::pipes::no_such_pipe;
use super::roles::worker_arguments;
use super::runs::print_report;
use crate::cli::RunArgs;
use crate::context::Context;
use crate::{shutdown, view};
use anyhow::{Context as _, Result, bail};
use feedfleet_model::report::RunState;
use feedfleet_model::{RunKey, RunReport, text};
use feedfleet_scheduler::issue::issue_now;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// Between looks at the run's report.
const LOOK: Duration = Duration::from_millis(200);
/// Looks at a report that is final, until its last attempt has ended too.
const LOOKS_AFTER_END: u32 = 10;

/// Issues a run; with `--wait`, follows it to its end.
pub async fn run(folder: &Path, args: &RunArgs) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    if !context.config.pipes.iter().any(|p| p.name == args.pipe) {
        for mistake in context.mistakes.iter() {
            eprintln!("{mistake}");
        }
        bail!("{}", no_such_pipe(&context, &args.pipe));
    }
    let reports = context.reports()?;
    let queues = context.queues()?;
    let key = issue_now(
        &context.objects()?,
        queues.crawl.as_ref(),
        &context.catalog()?,
        context.clock.as_ref(),
        &args.pipe,
        args.replay,
    )
    .await?;
    if !args.wait {
        let report = reports.load(&key).await?.context("the report has gone")?;
        if args.json {
            view::print_json(&report)?;
        } else {
            view::print(format!(
                "run {key} is on the queue; see: feedfleet runs show {} {}",
                key.pipe, key.run
            ));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = shutdown::on_signal()?;
    let own = OwnWorker::start_if_needed(&context).await?;
    let report = follow(&context, &key, &stop).await;
    if let Some(own) = own {
        own.finish(&context, &stop).await?;
    }
    let Some(report) = report? else {
        bail!("no longer waiting; run {key} goes on as soon as a worker takes it");
    };
    if args.json {
        view::print_json(&report)?
    } else {
        print_report(&report)
    }
    Ok(match report.state {
        RunState::Dead => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// Shows how far the run has come, until it is final. None: told to stop.
async fn follow(
    context: &Context,
    key: &RunKey,
    stop: &CancellationToken,
) -> Result<Option<RunReport>> {
    let reports = context.reports()?;
    let bar = view::spinner();
    let (mut told, mut finals) = (0, 0);
    loop {
        let report = reports.load(key).await?.context("the run's report has gone")?;
        if report.state.is_final() {
            let noted = report.attempts.last().is_none_or(|attempt| attempt.end.is_some());
            // The worker notes the end of its attempt a moment after the run's.
            if noted || finals >= LOOKS_AFTER_END {
                bar.finish_and_clear();
                return Ok(Some(report));
            }
            finals += 1;
        }
        bar.set_message(follow_progress(&report));
        let ended: Vec<_> = report.attempts.iter().filter_map(|a| a.end.as_ref()).collect();
        for end in ended.iter().skip(told) {
            if let Some(reason) = &end.reason {
                bar.suspend(|| eprintln!("attempt failed, it will be tried again: {reason}"));
            }
        }
        told = ended.len();
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => {
                bar.finish_and_clear();
                return Ok(None);
            }
        }
    }
}

/// How far a run has come.
pub fn follow_progress(report: &RunReport) -> String {
    format!(
        "{:18} {}: {} records, {}",
        report.key.pipe,
        report.state.word(),
        text::count(report.counts.seen),
        text::bytes(report.bytes.fetched)
    )
}

/// A worker of this command's own, where no fleet is running.
struct OwnWorker(Child);

impl OwnWorker {
    async fn start_if_needed(context: &Context) -> Result<Option<Self>> {
        let queues = context.queues()?;
        let now = context.clock.now();
        let view =
            look(&context.objects()?, queues.crawl.as_ref(), queues.image.as_ref(), now).await?;
        let fleet = view.scheduler.is_some_and(|s| s.bounds.1 > 0);
        if fleet || !view.workers.is_empty() {
            return Ok(None);
        }
        let program = std::env::current_exe().context("could not find this program's own file")?;
        let child = Command::new(program)
            .args(worker_arguments(&context.config.folder, "warn"))
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("could not start a worker")?;
        Ok(Some(Self(child)))
    }

    /// Waits for the images too, since nobody else would fetch them; then stops the worker.
    async fn finish(mut self, context: &Context, stop: &CancellationToken) -> Result<()> {
        let queues = context.queues()?;
        let bar = view::spinner();
        while !stop.is_cancelled() {
            let counts = queues.image.counts().await?;
            if counts.visible + counts.in_flight == 0 {
                break;
            }
            bar.set_message(format!("images: {} batches to go", counts.visible + counts.in_flight));
            if let Some(status) = self.0.try_wait()? {
                bail!("the worker of this command ended early: {status}");
            }
            tokio::time::sleep(LOOK).await;
        }
        bar.finish_and_clear();
        if let Some(pid) = self.0.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        self.0.wait().await?;
        feedfleet_scheduler::fold_receipts(&context.scheduler()?).await;
        Ok(())
    }
}
