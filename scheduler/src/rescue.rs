//! Runs whose message is gone: created and never sent, or lost with a queue. They get their message again,
//! under the same run id.

use crate::age;
use crate::deps::Deps;
use crate::issue::{IssueError, send};
use feedfleet_model::{PipeName, RunKey, keys};
use feedfleet_objects::ReportError;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A run whose report does not say that its message was sent gets it after this long: whoever created the
/// report has failed to send it, or died before.
const UNSENT_SILENCE: Duration = Duration::from_secs(10);
/// Runs of a pipe that are looked at, the newest first. Two may be unfinished, when they were asked for at one
/// moment.
const RUNS_LOOKED_AT: usize = 3;
/// Without a sign of life for this long, a run's message is sent again even if the queue has others.
const LONGEST_SILENCE: Duration = Duration::from_secs(6 * 3600);

/// A report that was final when it was read need not be read again while it is as it was. A store may tell the
/// time of a write by the second: only what was written this long before it was read is known for good, for
/// whatever is written then has another time.
const UNCHANGED_FOR: Duration = Duration::from_secs(60);

/// When the reports that are final had been written.
#[derive(Default)]
pub(crate) struct Finals(Mutex<HashMap<RunKey, SystemTime>>);

impl Finals {
    fn has(&self, run: &RunKey, written: SystemTime) -> bool {
        let finals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        finals.get(run).is_some_and(|then| *then == written)
    }

    fn add(&self, run: &RunKey, written: SystemTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone(), written);
    }

    fn keep(&self, runs: &BTreeSet<RunKey>) {
        let mut finals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        finals.retain(|run, _| runs.contains(run));
    }
}

/// Looks at the newest runs of every pipe that has any, but for those that are known to be `finals`.
pub(crate) async fn resend_lost_runs(deps: &Deps, finals: &Finals) {
    if let Err(e) = try_resend(deps, finals).await {
        tracing::warn!(error = %e, "could not look for lost runs, will try again");
    }
}

async fn try_resend(deps: &Deps, finals: &Finals) -> Result<(), IssueError> {
    let mut newest: BTreeMap<PipeName, VecDeque<(RunKey, SystemTime)>> = BTreeMap::new();
    let listed = deps.objects.list(&format!("{}/", keys::REPORTS), None, usize::MAX).await;
    for entry in listed.map_err(ReportError::from)? {
        let Some(run) = keys::run_of_report(&entry.key) else { continue };
        let runs = newest.entry(run.pipe.clone()).or_default();
        runs.push_back((run, entry.modified));
        if runs.len() > RUNS_LOOKED_AT {
            runs.pop_front();
        }
    }
    let looked_at: BTreeSet<RunKey> =
        newest.values().flatten().map(|(run, _)| run.clone()).collect();
    finals.keep(&looked_at);
    if let Some(meters) = &deps.meters {
        meters.keep_runs(&looked_at);
    }
    // The oldest first: so they go to their queue.
    for (run, written) in newest.into_values().flatten() {
        if !finals.has(&run, written) {
            resend_if_lost(deps, &run, written, finals).await?;
        }
    }
    Ok(())
}

async fn resend_if_lost(
    deps: &Deps,
    run: &RunKey,
    written: SystemTime,
    finals: &Finals,
) -> Result<(), IssueError> {
    let reports = deps.reports();
    let report = match reports.load(run).await {
        Ok(Some(report)) => report,
        Ok(None) => return Ok(()),
        Err(e) => {
            deps.complain(&e.to_string());
            return Ok(());
        }
    };
    if let Some(meters) = &deps.meters {
        meters.note_run(&report);
    }
    if report.state.is_final() {
        if age(deps.clock.now(), written.into()) >= UNCHANGED_FOR {
            finals.add(run, written);
        }
        return Ok(());
    }
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
