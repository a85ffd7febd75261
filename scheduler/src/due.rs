//! Runs that are due: the latest scheduled time of a pipe that has no report. A fleet that was down does one
//! run a pipe and not every one that it missed; so does a pipe that was paused.

use crate::deps::Deps;
use crate::issue::{IssueError, issue};
use crate::pause::paused;
use chrono::{DateTime, Utc};
use feedfleet_config::{Config, Pipe};
use feedfleet_model::report::Trigger;
use feedfleet_model::{RunId, RunKey, RunReport};

/// Issues what is due. A pipe that fails does not keep the others waiting.
pub(crate) async fn send_due_runs(deps: &Deps, config: &Config) {
    let now = deps.clock.now();
    for pipe in &config.pipes {
        if let Err(e) = send_if_due(deps, pipe, now).await {
            tracing::warn!(pipe = %pipe.name, error = %e, "could not issue a run, will try again");
        }
    }
}

async fn send_if_due(deps: &Deps, pipe: &Pipe, now: DateTime<Utc>) -> Result<(), IssueError> {
    let Some(due) = pipe.last_run_before(now) else { return Ok(()) };
    let run = RunId(due.timestamp());
    let reports = deps.reports();
    let last = reports.last_of(&pipe.name).await?;
    if let Some(last) = last
        && (last.key.run >= run || !last.state.is_final())
    {
        return Ok(());
    }
    if paused(deps.objects.as_ref(), &pipe.name).await?.is_some() {
        return Ok(());
    }
    let key = RunKey { pipe: pipe.name.clone(), run };
    let report = RunReport::new(key, Trigger::Schedule, now);
    issue(&reports, deps.crawl.as_ref(), deps.clock.as_ref(), report).await?;
    Ok(())
}
