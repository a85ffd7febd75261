//! Run reports that cannot be read: set aside wherever one is met, so that their pipes go on. The damaged object is
//! copied, and a report that says what is known of the run takes its place, by a conditional write.
//!
//! What is known is the pipe's fence in the table. If it is this run, the run is in: its new report is not final, so
//! it gets a message, and the worker that takes it ends the run by what its commit says. If it is a newer run, this
//! one is over. Else the run is not in the table and is taken for dead, with a dead letter: it may have been
//! queued, running or dead, and whether it shall be tried again is an operator's word, as a rollback may have passed it
//! over. The pipe's next run supersedes it.
//!
//! No run happens twice by this, since that is not the report's promise but the fence's: a message too many finds its
//! run in the table. Nor does a run happen that was called dead here: a worker that is at it looks into the report
//! just before its commit, and commits nothing if the run has ended. The run keeps its report, and so its number:
//! numbers only grow, and the next run's is greater.

use crate::deps::Deps;
use crate::upkeep::DutyError;
use feedfleet_catalog::feed_app_id;
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::{REPORT_SCHEMA, RunState, Trigger};
use feedfleet_model::{CrawlJob, Job, Reason, ReasonClass, RunKey, RunReport};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_objects::{DeadLetter, DeadLetters, Expected, PutOutcome, ReportError};
use serde::Deserialize;

/// A run's report; none where there is none. One that is damaged is set aside first: then it is the other one.
pub(crate) async fn load(deps: &Deps, run: &RunKey) -> Result<Option<RunReport>, ReportError> {
    let reports = deps.reports();
    match reports.load(run).await {
        Err(ReportError::Unreadable { .. }) => {
            if let Err(e) = set_aside(deps, run).await {
                tracing::warn!(%run, error = %e, "could not set a damaged report aside, will try again");
            }
            reports.load(run).await
        }
        loaded => loaded,
    }
}

/// Puts another report in the place of a run's that cannot be read. One that can be read is left alone, and so is one
/// of a newer release.
async fn set_aside(deps: &Deps, run: &RunKey) -> Result<(), DutyError> {
    let key = keys::report(run);
    let Some(found) = deps.objects.get(&key).await? else { return Ok(()) };
    let why = match from_json::<RunReport>(&key, &found.bytes) {
        Ok(_) => return Ok(()),
        Err(_) if is_of_newer_release(&key, &found.bytes) => {
            deps.complain(&format!("the object '{key}' was written by a newer release"));
            return Ok(());
        }
        Err(e) => e,
    };
    let copy = keys::damaged_report(run, bytes_hash(&found.bytes) as u64);
    deps.objects.put(&copy, found.bytes).await?;
    let text = format!("its report was damaged: {why}; a copy of it is in the object '{copy}'");
    let report = instead(deps, run, Reason::new(ReasonClass::Unreadable, text)).await?;
    if let (RunState::Dead, Some(reason)) = (report.state, &report.reason) {
        // First the letter: a dead run without one would be known to nobody. One that is there knows more.
        let letter = letter(deps, run, reason.clone());
        DeadLetters::new(deps.objects.clone()).keep_if_missing(&letter).await?;
    }
    let expected = Expected::Version(found.version);
    // Else another scheduler was faster.
    if deps.objects.put_if(&key, to_json(&report), expected).await? != PutOutcome::Lost {
        let state = report.state.word();
        tracing::error!(%run, error = %why, copy = %copy, state, "a run report was damaged, and is set aside");
    }
    Ok(())
}

/// The report of a run of which only the table knows.
async fn instead(deps: &Deps, run: &RunKey, reason: Reason) -> Result<RunReport, DutyError> {
    let now = deps.clock.now();
    let mut report = RunReport::new(run.clone(), Trigger::Schedule, now);
    report.state = match deps.fence(feed_app_id(&run.pipe)).await?? {
        Some(fence) if fence == run.run.0 => RunState::Committed,
        Some(fence) if fence > run.run.0 => RunState::Superseded,
        _ => RunState::Dead,
    };
    report.finished_at = report.state.is_final().then_some(now);
    report.reason = Some(reason);
    // No mark that a replay may have seen in the report that is lost: it looks again.
    report.passed_over = (now.timestamp() & i64::from(u32::MAX / 2)) as u32;
    Ok(report)
}

fn letter(deps: &Deps, run: &RunKey, reason: Reason) -> DeadLetter {
    let now = deps.clock.now();
    let job = Job::Crawl(CrawlJob { pipe: run.pipe.clone(), run: run.run, attempt: 0 });
    DeadLetter {
        id: DeadLetter::id_of(Some(&job), ""),
        queue: "crawl".to_owned(),
        group: job.group(),
        body: job.to_body(),
        job: Some(job),
        reason,
        worker: "none: it was the scheduler".to_owned(),
        receives: 0,
        first_received_at: now,
        died_at: now,
        first_died_at: None,
        message_id: None,
        state: LetterState::Waiting,
        history: Vec::new(),
    }
}

fn is_of_newer_release(key: &ObjectKey, bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    from_json::<Head>(key, bytes).is_ok_and(|head| head.schema > REPORT_SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rescue::{Watch, resend_lost_runs};
    use crate::testing::{World, acme, run};
    use chrono::TimeDelta;
    use feedfleet_queue::Receive;
    use std::time::Duration;

    /// Spoils a run's report.
    async fn damage(world: &World, number: i64) {
        let key = keys::report(&run(number));
        let report = world.deps.objects.get(&key).await.unwrap().unwrap();
        let half = report.bytes.slice(..report.bytes.len() / 2);
        world.deps.objects.put(&key, half).await.unwrap();
    }

    async fn report(world: &World, number: i64) -> RunReport {
        world.deps.reports().load(&run(number)).await.unwrap().unwrap()
    }

    async fn copies(world: &World) -> usize {
        world.deps.objects.list("damaged/", None, usize::MAX).await.unwrap().len()
    }

    /// Runs on the crawl queue.
    async fn sent(world: &World) -> Vec<i64> {
        let (visibility, wait) = (Duration::from_secs(30), Duration::ZERO);
        let receive = Receive { max: 10, visibility, wait };
        let messages = world.deps.crawl.receive(receive).await.unwrap();
        let run = |body: &str| match Job::from_body(body).unwrap() {
            Job::Crawl(job) => job.run.0,
            Job::Image(job) => panic!("{job:?}"),
        };
        messages.iter().map(|message| run(&message.body)).collect()
    }

    /// Promise 1: a run whose report is lost is ended by what the table says of it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_is_in_the_table_gets_its_message_again() {
        let world = World::new();
        world.add_rows(7, &["a"]);
        world.report(7, RunState::Done, |_| ()).await;
        damage(&world, 7).await;
        resend_lost_runs(&world.deps, &Watch::default()).await;
        assert_eq!((report(&world, 7).await.state, copies(&world).await), (RunState::Committed, 1));
        assert_eq!(sent(&world).await, [7]);
    }

    /// Promise 1: a run whose report is lost, and that is not in the table, is a dead letter, and stops its pipe no
    /// longer.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_is_not_in_the_table_is_dead_and_the_pipe_goes_on() {
        let world = World::new();
        world.add_rows(5, &["a"]);
        for state in [RunState::Queued, RunState::Running, RunState::Dead] {
            let number = world.now().timestamp();
            world.report(number, state, |report| report.sent_at = Some(report.created_at)).await;
            damage(&world, number).await;
            assert!(world.deps.reports().last_of(&acme()).await.is_err());
            resend_lost_runs(&world.deps, &Watch::default()).await;
            let last = world.deps.reports().last_of(&acme()).await.unwrap().unwrap();
            assert_eq!((last.key.run.0, last.state), (number, RunState::Dead));
            assert_eq!(last.reason.unwrap().class, ReasonClass::Unreadable);
            let (letters, _) = DeadLetters::new(world.deps.objects.clone()).all().await.unwrap();
            assert!(letters.iter().any(|letter| letter.run() == Some(last.key.run)));
            world.pass(TimeDelta::hours(1));
            resend_lost_runs(&world.deps, &Watch::default()).await;
            assert!(sent(&world).await.is_empty());
        }
        assert_eq!(copies(&world).await, 3);
    }

    /// What is known of a death, and what was decided on it, is not forgotten with the report.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_letter_that_is_there_stays_as_it_is() {
        let world = World::new();
        let letters = DeadLetters::new(world.deps.objects.clone());
        let reason = Reason::new(ReasonClass::SourceRefused, "404");
        let states = [
            (3, LetterState::Waiting),
            (4, LetterState::Dropped),
            (5, LetterState::Superseded),
            (6, LetterState::Replayed),
        ];
        for (number, state) in states {
            world.report(number, RunState::Dead, |_| ()).await;
            let mut before = letter(&world.deps, &run(number), reason.clone());
            before.message_id = Some(format!("m{number}"));
            before.state = state;
            letters.keep(&before).await.unwrap();
            damage(&world, number).await;
            world.pass(TimeDelta::hours(1));
            let report = load(&world.deps, &run(number)).await.unwrap().unwrap();
            assert_eq!(report.state, RunState::Dead);
            let after = letters.load(&before.id).await.unwrap().unwrap();
            if state != LetterState::Replayed {
                assert_eq!(after, before);
                continue;
            }
            // It was sent anew, and nobody has given that up yet: somebody has to look again.
            assert_eq!(after.state, LetterState::Waiting);
            assert_eq!(after.reason.class, ReasonClass::Unreadable);
            assert_eq!(after.first_died_at, Some(before.died_at));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_was_overtaken_is_over() {
        let world = World::new();
        world.add_rows(9, &["a"]);
        world.report(7, RunState::Running, |_| ()).await;
        damage(&world, 7).await;
        set_aside(&world.deps, &run(7)).await.unwrap();
        assert_eq!(report(&world, 7).await.state, RunState::Superseded);
        let (letters, _) = DeadLetters::new(world.deps.objects.clone()).all().await.unwrap();
        assert!(letters.is_empty(), "{letters:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_readable_or_of_a_newer_release_stays() {
        let world = World::new();
        world.report(7, RunState::Queued, |_| ()).await;
        let before = report(&world, 7).await;
        set_aside(&world.deps, &run(7)).await.unwrap();
        set_aside(&world.deps, &run(8)).await.unwrap();
        assert_eq!(report(&world, 7).await, before);
        let newer = format!("{{\"schema\":{},\"state\":\"resting\"}}", REPORT_SCHEMA + 1);
        let key = keys::report(&run(9));
        world.deps.objects.put(&key, newer.clone().into()).await.unwrap();
        set_aside(&world.deps, &run(9)).await.unwrap();
        assert_eq!(world.deps.objects.get(&key).await.unwrap().unwrap().bytes, newer);
        assert_eq!(copies(&world).await, 0);
    }
}
