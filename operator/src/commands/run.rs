//! `feedfleet run`: one run of one pipe, now.

use super::fleet::processes;
use super::pipes::{is_configured, is_sound, no_such_pipe};
use super::roles::worker_arguments;
use super::runs::print_report;
use crate::cli::{LogArgs, RunArgs};
use crate::context::Context;
use crate::{shutdown, view};
use anyhow::{Context as _, Result, bail};
use feedfleet_config::FleetBackend;
use feedfleet_model::report::{AttemptEnd, RunState};
use feedfleet_model::{RunKey, RunReport, text};
use feedfleet_scheduler::issue::{IssueError, issue_now};
use indicatif::ProgressBar;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// Between looks at the run's report.
const LOOK: Duration = Duration::from_millis(200);
/// Between looks for workers that could take the run.
const LOOK_FOR_WORKERS: Duration = Duration::from_secs(5);
/// A run that nobody takes for so long is worth a word.
const TELL_WAITING: Duration = Duration::from_secs(5);
/// Looks at a report that is final, until its last attempt has ended too.
const LOOKS_AFTER_END: u32 = 10;

/// Issues a run; with `--wait`, follows it to its end.
pub async fn run(folder: &Path, args: &RunArgs, logs: &LogArgs) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let can_run = match context.config.fleet.fleet {
        // What the pipe's file names is read elsewhere.
        FleetBackend::AutoScaling { .. } => is_configured(&context, &args.pipe),
        FleetBackend::Processes => is_sound(&context, &args.pipe),
    };
    if !can_run {
        bail!("{}", no_such_pipe(&context, &args.pipe));
    }
    let reports = context.reports()?;
    let key = match issue_now(&context.scheduler()?, &args.pipe, args.replay).await {
        Err(IssueError::Unfinished { run, state }) if args.wait && args.replay.is_none() => {
            logs.tell(&format!("run {run} is {} already: following it", state.word()));
            run
        }
        issued => issued?,
    };
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
    let mut own = OwnWorker { logs, child: None, looked_at: None };
    let report = follow(&context, &key, &mut own, &stop).await;
    own.finish(&context, &stop).await?;
    let Some(report) = report? else {
        let such_as = match context.config.fleet.fleet {
            FleetBackend::Processes => {
                format!(", such as that of: feedfleet run {} --wait", key.pipe)
            }
            FleetBackend::AutoScaling { .. } => String::new(),
        };
        bail!("no longer waiting; run {key} goes on as soon as a worker takes it{such_as}");
    };
    if args.json {
        view::print_json(&report)?
    } else {
        print_report(&report, None)
    }
    Ok(match report.state {
        RunState::Dead => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// Says why these attempts failed, after which there is another.
fn tell_failures<'a>(
    ends: impl Iterator<Item = &'a AttemptEnd>,
    bar: &ProgressBar,
    own: &OwnWorker<'_>,
) {
    for end in ends {
        if let Some(reason) = &end.reason {
            let reason = text::printable(&reason.to_string()).to_string();
            let when = end.next_at.map(|next| format!(" at {}", view::moment(next)));
            let when = when.unwrap_or_default();
            let text = format!("attempt failed, it will be tried again{when}: {reason}");
            bar.suspend(|| own.logs.tell(&text));
        }
    }
}

/// Shows how far the run has come, until it is final. None: told to stop.
async fn follow(
    context: &Context,
    key: &RunKey,
    own: &mut OwnWorker<'_>,
    stop: &CancellationToken,
) -> Result<Option<RunReport>> {
    let reports = context.reports()?;
    let bar = view::spinner();
    let (mut told, mut known, mut finals) = (0, 0, 0);
    let mut untaken = Some(Instant::now());
    loop {
        let report = reports.load(key).await?.context("the run's report has gone")?;
        if report.state.is_final() {
            let noted = report.attempts.last().is_none_or(|attempt| attempt.end.is_some());
            // The worker notes the end of its attempt a moment after the run's.
            if noted || finals >= LOOKS_AFTER_END {
                let earlier = report.attempts.iter().rev().skip(1).rev();
                tell_failures(earlier.filter_map(|a| a.end.as_ref()).skip(told), &bar, own);
                bar.finish_and_clear();
                return Ok(Some(report));
            }
            finals += 1;
        }
        own.ensure(context).await?;
        bar.set_message(follow_progress(&report));
        if !report.attempts.is_empty() {
            untaken = None;
        } else if untaken.is_some_and(|since| since.elapsed() >= TELL_WAITING) {
            untaken = None;
            let text = format!(
                "the run waits for a worker; crawls that are under way or wait for another try: {}; see feedfleet fleet status",
                text::count(context.queues()?.crawl.counts().await?.in_flight)
            );
            bar.suspend(|| own.logs.tell(&text));
        }
        // Those that had ended at the look before: of the last one, the run's own end is known a moment later.
        let ended: Vec<_> = report.attempts.iter().filter_map(|a| a.end.as_ref()).collect();
        tell_failures(ended.iter().copied().take(known).skip(told), &bar, own);
        (told, known) = (known, ended.len());
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

/// A worker of this command's own, where no fleet is running and this is the machine on which it would.
struct OwnWorker<'a> {
    logs: &'a LogArgs,
    child: Option<Child>,
    looked_at: Option<Instant>,
}

impl OwnWorker<'_> {
    /// Sees to it that there is a worker: the fleet's, or one of this command's own. Both may come to an end
    /// while the run is waited for.
    async fn ensure(&mut self, context: &Context) -> Result<()> {
        // The workers are instances, and whether there are any is for the scheduler to say.
        if let FleetBackend::AutoScaling { .. } = context.config.fleet.fleet {
            return Ok(());
        }
        if self.looked_at.is_some_and(|at| at.elapsed() < LOOK_FOR_WORKERS) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        if let Some(child) = &mut self.child {
            match child.try_wait()? {
                None => return Ok(()),
                Some(status) => {
                    self.logs.tell(&format!("the worker of this command ended early: {status}"));
                }
            }
        }
        self.child = None;
        let objects = context.objects()?;
        let (scheduler, workers) = processes(&objects, context.clock.now()).await?;
        let fleet = scheduler.is_some_and(|s| s.has_fleet());
        if fleet || !workers.is_empty() {
            return Ok(());
        }
        let program = std::env::current_exe().context("could not find this program's own file")?;
        let child = Command::new(program)
            .args(worker_arguments(&context.config.folder, self.logs))
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("could not start a worker")?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits for the images too, since nobody else would fetch them; then stops the worker.
    async fn finish(mut self, context: &Context, stop: &CancellationToken) -> Result<()> {
        if self.child.is_none() {
            return Ok(());
        }
        let queues = context.queues()?;
        let bar = view::spinner();
        let mut is_told = false;
        while !stop.is_cancelled() {
            let counts = queues.image.counts().await?;
            let waiting = counts.visible + counts.in_flight;
            if waiting == 0 {
                break;
            }
            if !is_told {
                let text = format!(
                    "batches of pictures that wait, of any pipe: {}; this command ends when its worker has seen to them, \
                     and Ctrl-C leaves them to the next worker",
                    text::count(waiting)
                );
                bar.suspend(|| self.logs.tell(&text));
                is_told = true;
            }
            bar.set_message(format!("images: {waiting} batches to go"));
            self.ensure(context).await?;
            tokio::time::sleep(LOOK).await;
        }
        bar.finish_and_clear();
        if let Some(mut child) = self.child {
            let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
            if let Some(pid) = pid {
                rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
            }
            child.wait().await?;
        }
        feedfleet_scheduler::fold_receipts(&context.scheduler()?).await;
        Ok(())
    }
}
