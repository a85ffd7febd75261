//! Runs whose message is gone: created and never sent, or lost with a queue. They get their message again,
//! under the same run id.

use crate::age;
use crate::deps::Deps;
use crate::issue::{IssueError, send};
use feedfleet_model::{PipeName, RunKey};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A run whose report does not say that its message was sent gets it after this long: whoever created the
/// report has failed to send it, or died before.
const UNSENT_SILENCE: Duration = Duration::from_secs(10);
/// Runs of a pipe that are looked at, the newest first. Two may be unfinished, when they were asked for at one
/// moment.
const RUNS_LOOKED_AT: usize = 3;
/// Without a sign of life for this long, a run's message is sent again even if the queue has others.
const LONGEST_SILENCE: Duration = Duration::from_secs(6 * 3600);

/// Looks at the newest runs of every pipe that has any.
pub(crate) async fn resend_lost_runs(deps: &Deps) {
    if let Err(e) = try_resend(deps).await {
        tracing::warn!(error = %e, "could not look for lost runs, will try again");
    }
}

async fn try_resend(deps: &Deps) -> Result<(), IssueError> {
    let mut newest: BTreeMap<PipeName, VecDeque<RunKey>> = BTreeMap::new();
    for run in deps.reports().all_runs().await? {
        let runs = newest.entry(run.pipe.clone()).or_default();
        runs.push_back(run);
        if runs.len() > RUNS_LOOKED_AT {
            runs.pop_front();
        }
    }
    // The oldest first: so they go to their queue.
    for run in newest.into_values().flatten() {
        resend_if_lost(deps, &run).await?;
    }
    Ok(())
}

async fn resend_if_lost(deps: &Deps, run: &RunKey) -> Result<(), IssueError> {
    let reports = deps.reports();
    let report = match reports.load(run).await {
        Ok(Some(report)) if !report.state.is_final() => report,
        Ok(_) => return Ok(()),
        Err(e) => {
            deps.complain(&e.to_string());
            return Ok(());
        }
    };
    let silent = age(deps.clock.now(), report.updated_at);
    let is_lost = if report.sent_at.is_none() {
        silent >= UNSENT_SILENCE
    } else if silent < deps.fleet.leases.visibility * 2 {
        false
    } else {
        let counts = deps.crawl.counts().await?;
        let queue_is_empty = counts.visible == 0 && counts.in_flight == 0;
        queue_is_empty || silent > LONGEST_SILENCE
    };
    if is_lost {
        tracing::warn!(%run, silent_secs = silent.as_secs(), "a run lost its message");
        send(&reports, deps.crawl.as_ref(), deps.clock.as_ref(), run).await?;
    }
    Ok(())
}
