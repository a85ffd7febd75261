//! Run reports that cannot be read: set aside wherever one is met, so that their pipes go on. The damaged object is
//! copied, and a report that says what is known of the run takes its place, by a conditional write.
//!
//! What is known is the pipe's fence in the table, and the log. If the fence is this run, the run is in: its new report
//! is not final, so it gets a message, and the worker that takes it ends the run by what its commit says. If it is a
//! newer run, this one is over, and its commit says what it did, if it has one. Else the run is not in the table and is
//! taken for dead, with a dead letter: it may have been queued, running or dead, and whether it shall be tried again is
//! an operator's word, as a rollback may have passed it over. The pipe's next run supersedes it.
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
use feedfleet_model::{CrawlJob, Job, PipeName, Reason, ReasonClass, RunId, RunKey, RunReport};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_objects::{DeadLetter, DeadLetters, Expected, PutOutcome, ReportError};
use serde::Deserialize;

/// What is not known of a run that is older than the newest in the table, and that the log does not have.
const NOT_IN_THE_LOG: &str =
    "; the table has a newer run of the pipe, and its log nothing of this one, or not any more";
/// What is not known of a run that is dead for want of a report.
const REPLAY_UNKNOWN: &str = ", nor whether it was to read the snapshot of an earlier run (run --replay): if it is \
                              replayed from the dead letters, it reads the source";

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

/// The newest report of a pipe; none where there is none. One that is damaged is set aside first.
pub(crate) async fn last_of(
    deps: &Deps,
    pipe: &PipeName,
) -> Result<Option<RunReport>, ReportError> {
    match deps.reports().runs_of(pipe).await?.last() {
        Some(run) => load(deps, run).await,
        None => Ok(None),
    }
}

/// As [`last_of`], of a pipe of which this run is known to have a report: only what came after that is listed.
pub(crate) async fn last_of_since(
    deps: &Deps,
    pipe: &PipeName,
    known: RunId,
) -> Result<Option<RunReport>, ReportError> {
    match deps.reports().last_of_since(pipe, known).await {
        Err(ReportError::Unreadable { .. }) => last_of(deps, pipe).await,
        found => found,
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
    let why_set_aside = format!(
        "its report was damaged: {why}; a copy of it is in the object '{copy}'; who asked for the run is not known \
         any more"
    );
    let report = instead(deps, run, why_set_aside).await?;
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

/// The report of a run of which only the table knows. `why` there is one.
async fn instead(deps: &Deps, run: &RunKey, mut why: String) -> Result<RunReport, DutyError> {
    let now = deps.clock.now();
    let mut report = RunReport::new(run.clone(), Trigger::Schedule, now);
    match deps.fence(feed_app_id(&run.pipe)).await?? {
        Some(fence) if fence == run.run.0 => report.state = RunState::Committed,
        Some(fence) if fence > run.run.0 => match deps.commit_of(run).await?? {
            Some(commit) => {
                report.table_version = Some(commit.version);
                report.counts = commit.counts(report.counts);
                report.lists = commit.lists(run);
                let held = report.counts.held > 0;
                report.state = if held { RunState::Held } else { RunState::Done };
            }
            None => {
                report.state = RunState::Superseded;
                why.push_str(NOT_IN_THE_LOG);
            }
        },
        _ => {
            report.state = RunState::Dead;
            why.push_str(REPLAY_UNKNOWN);
        }
    }
    report.finished_at = report.state.is_final().then_some(now);
    report.reason = Some(Reason::new(ReasonClass::Unreadable, why));
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
    use crate::desk::{Decider, Desk, Verdict};
    use crate::issue::send;
    use crate::rescue::{Watch, look_at_all, resend_lost_runs};
    use crate::testing::{World, acme, run};
    use chrono::TimeDelta;
    use feedfleet_catalog::run_figures;
    use feedfleet_model::report::{Counts, Lists};
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

    /// Runs on the crawl queue; their messages are done with.
    async fn sent(world: &World) -> Vec<i64> {
        let (visibility, wait) = (Duration::from_secs(30), Duration::ZERO);
        let receive = Receive { max: 10, visibility, wait };
        let messages = world.deps.crawl.receive(receive).await.unwrap();
        let mut runs = Vec::new();
        for message in messages {
            runs.push(Job::from_body(&message.body).unwrap().run_key().run.0);
            world.deps.crawl.delete(&message.receipt).await.unwrap();
        }
        runs
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

    /// Its report does not know how often it was sent, and the queue remembers: the run is sent all the same, at once.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_was_sent_a_moment_ago_is_sent_again() {
        let world = World::new();
        world.add_rows(7, &["a"]);
        world.report(7, RunState::Queued, |_| ()).await;
        for _ in 0..2 {
            send(&world.deps, &run(7)).await.unwrap();
            assert_eq!(sent(&world).await, [7]);
        }
        damage(&world, 7).await;
        resend_lost_runs(&world.deps, &Watch::default()).await;
        assert_eq!(sent(&world).await, [7]);

        // Not in the table: an operator replays it.
        world.report(8, RunState::Queued, |_| ()).await;
        send(&world.deps, &run(8)).await.unwrap();
        assert_eq!(sent(&world).await, [8]);
        damage(&world, 8).await;
        resend_lost_runs(&world.deps, &Watch::default()).await;
        let (letters, _) = DeadLetters::new(world.deps.objects.clone()).all().await.unwrap();
        assert!(letters[0].reason.message.contains("it reads the source"), "{:?}", letters[0]);
        let ann = Decider { by: "ann".into(), note: None, dry_run: false };
        let verdict = Desk::new(&world.deps).replay(&letters[0], &ann).await.unwrap();
        assert_eq!((verdict, sent(&world).await), (Verdict::Replayed, vec![8]));
    }

    /// What came after it hides nothing: a run that is in the table was not superseded.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_older_run_says_again_what_its_commit_says() {
        let world = World::new();
        let done = Counts { seen: 4, new: 4, live: 4, ..Counts::default() };
        let held = Counts { seen: 3, held: 1, live: 4, ..Counts::default() };
        let list = Lists { held: Some(keys::held(&run(2), 17).to_string()), absent: None };
        let nights = [(1, RunState::Done, done, Lists::default()), (2, RunState::Held, held, list)];
        for (number, state, counts, lists) in &nights {
            world.add_rows_with(*number, &["a"], run_figures(*counts, lists));
            world.report(*number, *state, |_| ()).await;
            damage(&world, *number).await;
        }
        world.add_rows(3, &["b"]);
        for (number, state, counts, lists) in nights {
            let found = load(&world.deps, &run(number)).await.unwrap().unwrap();
            assert_eq!((found.state, found.counts, found.lists), (state, counts, lists));
            // Version 0 is the table's creation.
            assert_eq!(found.table_version, Some(number.unsigned_abs()));
            assert!(found.finished_at.is_some() && found.reason.is_some());
        }
    }

    /// Promise 1: so, too, where it is not among the pipe's newest runs, since those after it are dead.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_is_in_the_table_is_found_behind_dead_ones() {
        let world = World::new();
        world.add_rows(7, &["a"]);
        world.report(7, RunState::Done, |_| ()).await;
        for number in 8..12 {
            world.report(number, RunState::Dead, |_| ()).await;
        }
        damage(&world, 7).await;
        look_at_all(&world.deps, &Watch::of(&world.deps.fleet)).await;
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
        let after = report(&world, 7).await;
        assert_eq!(after.state, RunState::Superseded);
        let why = after.reason.unwrap().message;
        assert!(why.contains("a newer run") && why.contains("not any more"), "{why}");
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
