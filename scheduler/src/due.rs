//! Runs that are due: the latest scheduled time of a pipe, or of a supplement, that has no report. A fleet that was down
//! does one run a pipe and not every one that it missed; so does a pipe that was paused.

use crate::age;
use crate::damaged;
use crate::deps::Deps;
use crate::issue::{IssueError, issue};
use crate::pause::pause_over;
use crate::store::StoreUse;
use chrono::{DateTime, Utc};
use feedfleet_config::{Config, Pipe};
use feedfleet_model::report::Trigger;
use feedfleet_model::{PipeName, RunId, RunKey, RunReport};
use futures::stream::{self, StreamExt};
use std::collections::HashMap;
use std::time::Duration;

/// What is known of pipes, so that they need not be asked about at every tick: where objects are paid for by the
/// request, a thousand pipes cost nothing while none of them is due, and little while one that is due cannot run.
#[derive(Default)]
pub(crate) struct Issued {
    /// The newest run of each pipe that is known to have a report. A report stays until long after the next is due.
    newest: HashMap<PipeName, RunId>,
    /// When a pipe was found due and had to wait: it is paused, or its last run goes on.
    waiting: HashMap<PipeName, DateTime<Utc>>,
}

impl Issued {
    /// The pipe's run that may have to be issued.
    fn due(&self, pipe: &Pipe, now: DateTime<Utc>, ask_again_after: Duration) -> Option<Due> {
        let run = RunId(pipe.last_run_before(now)?.timestamp());
        let known = self.newest.get(&pipe.name).copied();
        if known.is_some_and(|newest| newest >= run) {
            return None;
        }
        // A note from the future was made by a clock that was wrong.
        let asked = self.waiting.get(&pipe.name).filter(|asked| **asked <= now);
        if asked.is_some_and(|asked| age(now, *asked) < ask_again_after) {
            return None;
        }
        Some(Due { pipe: pipe.name.clone(), run, known })
    }

    /// Notes what was found.
    fn note(&mut self, pipe: PipeName, found: &Found, now: DateTime<Utc>) {
        let newest = match found {
            Found::Issued(run) | Found::There(run) => Some(*run),
            Found::Waits(last) => *last,
        };
        if let Some(newest) = newest {
            self.newest.insert(pipe.clone(), newest);
        }
        match found {
            Found::Waits(_) => self.waiting.insert(pipe, now),
            Found::Issued(_) | Found::There(_) => self.waiting.remove(&pipe),
        };
    }
}

/// A pipe whose time has come.
struct Due {
    pipe: PipeName,
    run: RunId,
    /// The newest run of which it is known.
    known: Option<RunId>,
}

/// What was found when it was asked about.
enum Found {
    /// Its run was issued, here or by another scheduler.
    Issued(RunId),
    /// This run, the same or a later one, has a report.
    There(RunId),
    /// It is paused, or its last run, which is this one, goes on.
    Waits(Option<RunId>),
}

/// Issues what is due. A pipe that fails does not keep the others waiting. True: something was issued, or it was tried
/// in vain.
pub(crate) async fn send_due_runs(deps: &Deps, config: &Config, issued: &mut Issued) -> bool {
    let now = deps.clock.now();
    let store = StoreUse::of(&deps.fleet.objects.place);
    let due = config.sources().filter_map(|pipe| issued.due(pipe, now, store.ask_again_after));
    let asked: Vec<_> = due.map(|due| ask(deps.clone(), due, now)).collect();
    let mut answers = stream::iter(asked).buffer_unordered(store.at_once);
    let mut tried = false;
    while let Some((pipe, found)) = answers.next().await {
        match found {
            Ok(found) => {
                tried |= matches!(found, Found::Issued(_));
                issued.note(pipe, &found, now);
            }
            Err(e) => {
                tried = true;
                tracing::warn!(%pipe, error = %e, "could not issue a run, will try again");
            }
        }
    }
    tried
}

async fn ask(deps: Deps, due: Due, now: DateTime<Utc>) -> (PipeName, Result<Found, IssueError>) {
    let found = issue_if_due(&deps, &due, now).await;
    (due.pipe, found)
}

async fn issue_if_due(deps: &Deps, due: &Due, now: DateTime<Utc>) -> Result<Found, IssueError> {
    let last = match due.known {
        Some(known) => damaged::last_of_since(deps, &due.pipe, known).await?,
        None => damaged::last_of(deps, &due.pipe).await?,
    };
    let newest = last.as_ref().map(|last| last.key.run);
    if let Some(newest) = newest.filter(|newest| *newest >= due.run) {
        return Ok(Found::There(newest));
    }
    let goes_on = last.is_some_and(|last| !last.state.is_final());
    if goes_on || pause_over(deps.objects.as_ref(), &due.pipe).await?.is_some() {
        return Ok(Found::Waits(newest));
    }
    let key = RunKey { pipe: due.pipe.clone(), run: due.run };
    let report = RunReport::new(key, Trigger::Schedule, now);
    match issue(deps, &report).await {
        Ok(_) => Ok(Found::Issued(due.run)),
        // Just now: the run has ended, and was not sent.
        Err(IssueError::Paused { .. }) => Ok(Found::There(due.run)),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pause::{Pause, pause, resume};
    use crate::testing::{World, acme};
    use chrono::TimeDelta;
    use feedfleet_model::report::RunState;
    use feedfleet_queue::Receive;

    const PIPE: &str = "schedule = \"0 * * * *\"\n\
                        [source]\nurl = \"http://shop.example/feed.xml\"\nformat = \"google-xml\"\n";

    /// The world's configuration, with a run of these pipes every hour.
    fn hourly(world: &World, pipes: &[&str]) -> Config {
        for pipe in pipes {
            let file = world.deps.config_folder.join(format!("pipes/{pipe}.toml"));
            std::fs::write(file, PIPE).unwrap();
        }
        let environment = world.deps.environment.as_ref();
        let (config, mistakes) =
            feedfleet_config::load_lenient(&world.deps.config_folder, environment).unwrap();
        assert!(mistakes.is_empty(), "{mistakes}");
        config
    }

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
        let config = hourly(&world, &["acme"]);
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

    /// Where requests are paid for, a pipe that is due and paused is asked about once a minute; in a folder, always.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_pipe_that_has_to_wait_is_asked_about_rarely_where_that_costs() {
        for (is_bucket, waits) in [(false, false), (true, true)] {
            let mut world = World::new();
            if is_bucket {
                world.as_in_a_bucket();
            }
            let config = hourly(&world, &["acme"]);
            let (objects, mut known) = (world.deps.objects.clone(), Issued::default());
            let why = Pause { at: world.now(), by: "ada".into(), note: None, rolled_back: None };
            assert!(pause(objects.as_ref(), &acme(), &why).await.unwrap());
            assert!(!send_due_runs(&world.deps, &config, &mut known).await);
            assert!(resume(objects.as_ref(), &acme()).await.unwrap());
            world.pass(TimeDelta::seconds(59));
            assert_eq!(send_due_runs(&world.deps, &config, &mut known).await, !waits);
            world.pass(TimeDelta::seconds(1));
            assert_eq!(send_due_runs(&world.deps, &config, &mut known).await, waits);

            // The next hour, with the run still under way, and then not.
            world.pass(TimeDelta::hours(1));
            assert!(!send_due_runs(&world.deps, &config, &mut known).await);
            let run = *known.newest.get(&acme()).unwrap();
            let end = |report: &mut RunReport| report.state = RunState::Done;
            world.deps.reports().update(&RunKey { pipe: acme(), run }, end).await.unwrap();
            assert_eq!(send_due_runs(&world.deps, &config, &mut known).await, !waits);
            world.pass(TimeDelta::hours(-1));
            assert!(!send_due_runs(&world.deps, &config, &mut known).await, "nothing is due");
            world.pass(TimeDelta::seconds(3600 + 60));
            assert_eq!(send_due_runs(&world.deps, &config, &mut known).await, waits);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_that_are_due_at_once_are_issued_once_each() {
        let mut world = World::new();
        world.as_in_a_bucket();
        let pipes: Vec<String> = (0..50).map(|n| format!("pipe-{n}")).collect();
        let pipes: Vec<&str> = pipes.iter().map(String::as_str).chain(["acme"]).collect();
        let config = hourly(&world, &pipes);
        let mut known = Issued::default();
        assert!(send_due_runs(&world.deps, &config, &mut known).await);
        assert!(!send_due_runs(&world.deps, &config, &mut known).await);
        let runs = world.deps.reports().all_runs().await.unwrap();
        assert_eq!(runs.len(), pipes.len());
        assert_eq!(world.deps.crawl.counts().await.unwrap().visible, pipes.len() as u64);
        // Another scheduler, which knows of none, finds them all.
        assert!(!send_due_runs(&world.deps, &config, &mut Issued::default()).await);
    }

    /// A supplement runs by its own schedule: also while its pipe has nothing to do, and not while that is paused.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_supplement_is_due_by_itself() {
        let world = World::new();
        let text = "[source]\nurl = \"http://shop.example/feed.xml\"\nformat = \"google-xml\"\n\
                    [supplements.stock]\nschedule = \"0 * * * *\"\ncolumns = [\"price\"]\n\
                    [supplements.stock.source]\nurl = \"http://shop.example/stock.xml\"\n\
                    format = \"google-xml\"\n";
        std::fs::write(world.deps.config_folder.join("pipes/acme.toml"), text).unwrap();
        let config = hourly(&world, &[]);
        let stock = acme().with_supplement("stock").unwrap();
        let runs = async |name: &PipeName| world.deps.reports().runs_of(name).await.unwrap().len();
        let objects = world.deps.objects.as_ref();
        let why = Pause { at: world.now(), by: "ada".into(), note: None, rolled_back: None };
        assert!(pause(objects, &acme(), &why).await.unwrap());
        assert!(!send_due_runs(&world.deps, &config, &mut Issued::default()).await);
        assert!(resume(objects, &acme()).await.unwrap());
        assert!(send_due_runs(&world.deps, &config, &mut Issued::default()).await);
        assert_eq!((runs(&acme()).await, runs(&stock).await), (0, 1));
        // In its pipe's group: never beside a run of the pipe.
        let request =
            Receive { max: 10, visibility: Duration::from_secs(30), wait: Duration::ZERO };
        let sent = world.deps.crawl.receive(request).await.unwrap();
        assert_eq!(sent.iter().map(|m| m.group.as_str()).collect::<Vec<_>>(), ["acme"]);
    }

    /// It may have been created and not sent.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_could_not_be_issued_is_told_as_one_that_was() {
        let world = World::new();
        let config = hourly(&world, &["acme"]);
        // Whether the pipe is paused cannot be read.
        world.put(&[feedfleet_model::keys::paused(&acme())]).await;
        assert!(send_due_runs(&world.deps, &config, &mut Issued::default()).await);
    }
}
