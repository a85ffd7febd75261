//! Runs whose message is gone: created and never sent, or lost with a queue. They get their message again,
//! under the same run id.

use crate::age;
use crate::deps::Deps;
use crate::issue::{IssueError, send};
use feedfleet_model::PipeName;
use std::collections::BTreeSet;
use std::time::Duration;

/// Without a sign of life for this long, a run's message is sent again even if the queue has others.
const LONGEST_SILENCE: Duration = Duration::from_secs(6 * 3600);

/// Looks at the newest run of every pipe that has one.
pub(crate) async fn resend_lost_runs(deps: &Deps) {
    if let Err(e) = try_resend(deps).await {
        tracing::warn!(error = %e, "could not look for lost runs, will try again");
    }
}

async fn try_resend(deps: &Deps) -> Result<(), IssueError> {
    let reports = deps.reports();
    let now = deps.clock.now();
    let pipes: BTreeSet<PipeName> =
        reports.all_runs().await?.into_iter().map(|run| run.pipe).collect();
    for pipe in pipes {
        let report = match reports.last_of(&pipe).await {
            Ok(Some(report)) if !report.state.is_final() => report,
            Ok(_) => continue,
            Err(e) => {
                deps.complain(&e.to_string());
                continue;
            }
        };
        let silent = age(now, report.updated_at);
        if silent < deps.fleet.leases.visibility * 2 {
            continue;
        }
        let counts = deps.crawl.counts().await?;
        let queue_is_empty = counts.visible == 0 && counts.in_flight == 0;
        if queue_is_empty || silent > LONGEST_SILENCE {
            tracing::warn!(run = %report.key, silent_secs = silent.as_secs(), "a run lost its message");
            send(&reports, deps.crawl.as_ref(), deps.clock.as_ref(), &report.key).await?;
        }
    }
    Ok(())
}
