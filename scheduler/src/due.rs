//! Runs that are due: the latest scheduled time of a pipe that has no report. A fleet that was down does one
//! run a pipe and not every one that it missed; so does a pipe that was paused.

use crate::damaged;
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
    if let Some(last) = damaged::last_of(deps, &pipe.name).await?
        && (last.key.run >= run || !last.state.is_final())
    {
        return Ok(());
    }
    if paused(deps.objects.as_ref(), &pipe.name).await?.is_some() {
        return Ok(());
    }
    let key = RunKey { pipe: pipe.name.clone(), run };
    let report = RunReport::new(key, Trigger::Schedule, now);
    match issue(deps, &report).await {
        // Just now.
        Ok(_) | Err(IssueError::Paused { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, acme};
    use chrono::TimeDelta;
    use feedfleet_model::report::RunState;

    /// Issues what is due, and ends it; all runs so far.
    async fn issued(world: &World, config: &Config) -> Vec<i64> {
        let reports = world.deps.reports();
        send_due_runs(&world.deps, config).await;
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
        let fast = issued(&world, &config).await;
        assert_eq!(fast.len(), 1);
        for hours in [-1, 1] {
            world.pass(TimeDelta::hours(hours));
            assert_eq!(issued(&world, &config).await, fast);
        }
        world.pass(TimeDelta::hours(1));
        assert_eq!(issued(&world, &config).await, [fast[0], fast[0] + 3600]);
    }
}
