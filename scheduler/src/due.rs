//! Runs that are due: the latest scheduled time of a pipe that has no report. A fleet that was down does one
//! run a pipe and not every one that it missed; so does a pipe that was paused.

use crate::deps::Deps;
use crate::issue::{IssueError, issue};
use crate::pause::paused;
use chrono::{DateTime, Utc};
use feedfleet_config::{Config, Pipe};
use feedfleet_model::report::Trigger;
use feedfleet_model::{PipeName, RunId, RunKey, RunReport};
use std::collections::HashMap;

/// The newest run of each pipe that is known to have a report. A report stays, so a pipe need not be asked about
/// again before its next run is due: where objects are paid for by the request, a thousand pipes cost nothing
/// while none of them is due.
#[derive(Default)]
pub(crate) struct Issued(HashMap<PipeName, RunId>);

/// Issues what is due. A pipe that fails does not keep the others waiting.
pub(crate) async fn send_due_runs(deps: &Deps, config: &Config, issued: &mut Issued) {
    let now = deps.clock.now();
    for pipe in &config.pipes {
        if let Err(e) = send_if_due(deps, pipe, now, issued).await {
            tracing::warn!(pipe = %pipe.name, error = %e, "could not issue a run, will try again");
        }
    }
}

async fn send_if_due(
    deps: &Deps,
    pipe: &Pipe,
    now: DateTime<Utc>,
    Issued(issued): &mut Issued,
) -> Result<(), IssueError> {
    let Some(due) = pipe.last_run_before(now) else { return Ok(()) };
    let run = RunId(due.timestamp());
    if issued.get(&pipe.name).is_some_and(|newest| *newest >= run) {
        return Ok(());
    }
    let reports = deps.reports();
    if let Some(last) = reports.last_of(&pipe.name).await? {
        issued.insert(pipe.name.clone(), last.key.run);
        if last.key.run >= run || !last.state.is_final() {
            return Ok(());
        }
    }
    if paused(deps.objects.as_ref(), &pipe.name).await?.is_some() {
        return Ok(());
    }
    let key = RunKey { pipe: pipe.name.clone(), run };
    let report = RunReport::new(key, Trigger::Schedule, now);
    issue(&reports, deps.crawl.as_ref(), deps.clock.as_ref(), report).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, acme};
    use chrono::TimeDelta;
    use feedfleet_model::report::RunState;

    /// Issues what is due, and ends it; all runs so far.
    async fn issued(world: &World, config: &Config, issued: &mut Issued) -> Vec<i64> {
        let reports = world.deps.reports();
        send_due_runs(&world.deps, config, issued).await;
        let runs = reports.runs_of(&acme()).await.unwrap();
        for key in &runs {
            reports.update(key, |report| report.state = RunState::Done).await.unwrap();
        }
        runs.iter().map(|key| key.run.0).collect()
    }

    /// Promise 4: a run that was issued while the clock was an hour fast is not issued again when that hour comes,
    /// and no other is in its place.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_clock_an_hour_off_makes_no_run_due_twice() {
        let world = World::new();
        let pipe = "schedule = \"0 * * * *\"\n\
                    [source]\nurl = \"http://shop.example/feed.xml\"\nformat = \"google-xml\"\n";
        std::fs::write(world.deps.config_folder.join("pipes/acme.toml"), pipe).unwrap();
        let environment = world.deps.environment.as_ref();
        let (config, mistakes) =
            feedfleet_config::load_lenient(&world.deps.config_folder, environment).unwrap();
        assert!(mistakes.is_empty(), "{mistakes}");

        world.pass(TimeDelta::hours(1));
        let mut known = Issued::default();
        let fast = issued(&world, &config, &mut known).await;
        assert_eq!(fast.len(), 1);
        for hours in [-1, 1] {
            world.pass(TimeDelta::hours(hours));
            assert_eq!(issued(&world, &config, &mut known).await, fast);
            assert_eq!(issued(&world, &config, &mut Issued::default()).await, fast);
        }
        world.pass(TimeDelta::hours(1));
        assert_eq!(issued(&world, &config, &mut known).await, [fast[0], fast[0] + 3600]);
    }
}
