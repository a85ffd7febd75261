//! What comes next for each pipe, and what waits for an operator.

use super::objects::existing;
use super::{Finding, configuration, plain};
use crate::context::Context;
use crate::view;
use anyhow::Result;
use chrono::{DateTime, Utc};
use feedfleet_catalog::{Catalog, feed_app_id};
use feedfleet_config::Pipe;
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunId, RunKey, RunReport, text};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::{DeadLetters, ReportError, Reports};
use feedfleet_scheduler::decide::{Overtaken, overtaken};
use feedfleet_scheduler::pause::{Pause, all_paused};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::spawn;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

const DEAD_LETTERS: &str = "dead letters";
/// The table is asked for so long about runs that hold removals; of more of them, less is said.
const HELD_LIMIT: Duration = Duration::from_secs(5);

/// Who can do without the newest reports waits for them for so long: a part of the time that a check has.
pub const LITTLE_TIME: Duration = Duration::from_secs(4);

/// The newest report of each pipe. Several checks want them, and read them once.
#[derive(Default)]
pub struct LastRuns(Arc<OnceCell<Reported>>);

type Reported = BTreeMap<PipeName, Result<Option<RunReport>, ReportError>>;
type Pauses = BTreeMap<PipeName, Result<Pause, ReportError>>;

impl LastRuns {
    /// Reads them, unless another check has. If the objects cannot be opened, the check of the objects says why.
    pub async fn get(&self, context: &Context) -> &Reported {
        let read = || async {
            let Ok(Some(objects)) = existing(context) else { return Reported::new() };
            let sound = context.config.sources().map(|pipe| pipe.name.clone());
            let pipes = sound.chain(context.lacking_variables()).collect();
            Reports::new(objects).last_of_each(pipes).await
        };
        self.0.get_or_init(read).await
    }

    /// As [`LastRuns::get`], for who waits no longer than that. None: they are not read yet, and go on being read for
    /// others.
    pub async fn get_within(&self, limit: Duration, context: &Arc<Context>) -> Option<&Reported> {
        let (own, context) = (Self(self.0.clone()), context.clone());
        let reading = spawn(async move {
            own.get(&context).await;
        });
        timeout(limit, reading).await.ok()?.ok()?;
        self.0.get()
    }
}

/// Whether the newest run of a pipe has met records, or a source that had not changed, as far as that is known within
/// [`LITTLE_TIME`].
pub async fn had_records(context: Arc<Context>, last_runs: Arc<LastRuns>, pipe: PipeName) -> bool {
    let last_runs = last_runs.get_within(LITTLE_TIME, &context).await;
    let last = last_runs.and_then(|newest| newest.get(&pipe)?.as_ref().ok()?.as_ref());
    last.is_some_and(|report| {
        !report.state.is_final() || report.counts.seen > 0 || report.source.not_modified
    })
}

/// One finding a pipe.
pub async fn check(context: Arc<Context>, last_runs: Arc<LastRuns>) -> Vec<Finding> {
    let now = context.clock.now();
    let mut findings = Vec::new();
    let paused = pauses(&context).await.unwrap_or_else(|e| {
        let found = format!("which of them are paused cannot be read: {e}");
        findings.push(Finding::warning("pipes", found, "see to the objects first"));
        Pauses::new()
    });
    let last_runs = last_runs.get(&context).await;
    let end = Instant::now() + HELD_LIMIT;
    let overtaken = overtaken_runs(&context, last_runs, end).await;
    let still_held = still_held(&context, last_runs, end).await;
    let sound = context.config.sources().map(|pipe| (pipe.name.clone(), Plan::of(pipe, now)));
    let lacking = context.lacking_variables().into_iter().map(|name| {
        let plan = Plan::unknown(&context, &name);
        (name, plan)
    });
    for (name, plan) in sound.chain(lacking) {
        findings.push(match standing(&name, last_runs, &paused) {
            Ok(standing) => {
                judged(&name, plan, &standing, (overtaken.get(&name), still_held.get(&name)))
            }
            Err(e) => {
                let found = format!("its newest report, or its pause, cannot be read: {e}");
                let remedy = format!("see to the objects first, then: feedfleet runs list {name}");
                Finding::warning(format!("pipe {name}"), found, remedy)
            }
        });
    }
    findings
}

async fn pauses(context: &Context) -> Result<Pauses, ReportError> {
    match existing(context) {
        Ok(Some(objects)) => all_paused(&objects).await,
        _ => Ok(Pauses::new()),
    }
}

/// The newest reports of pipes that are in this state.
fn newest_in(last_runs: &Reported, state: RunState) -> Vec<&RunReport> {
    let reports = last_runs.values().flatten().flatten();
    reports.filter(|report| report.state == state).collect()
}

/// The pipes whose newest run holds removals that cannot be approved any more. Of a table that cannot be read another
/// check tells.
async fn overtaken_runs(
    context: &Context,
    last_runs: &Reported,
    end: Instant,
) -> BTreeMap<PipeName, Overtaken> {
    let mut found = BTreeMap::new();
    let held = newest_in(last_runs, RunState::Held);
    if held.is_empty() {
        return found;
    }
    let Ok(catalog) = context.catalog() else { return found };
    for report in held {
        let Ok(look) = timeout_at(end, overtaken(&catalog, &report.key)).await else { break };
        if let Ok(Some(why)) = look {
            found.insert(report.key.pipe.clone(), why);
        }
    }
    found
}

/// The runs that hold removals, and are the newest of their pipe in the table, where a newer one has died: they can be
/// approved as before.
async fn still_held(
    context: &Context,
    last_runs: &Reported,
    end: Instant,
) -> BTreeMap<PipeName, RunReport> {
    let mut found = BTreeMap::new();
    let dead = newest_in(last_runs, RunState::Dead);
    if dead.is_empty() {
        return found;
    }
    let (Ok(catalog), Ok(Some(objects))) = (context.catalog(), existing(context)) else {
        return found;
    };
    let reports = Reports::new(objects);
    for report in dead {
        let pipe = &report.key.pipe;
        let Ok(look) = timeout_at(end, newest_if_held(&catalog, &reports, pipe)).await else {
            break;
        };
        if let Some(held) = look {
            found.insert(pipe.clone(), held);
        }
    }
    found
}

async fn newest_if_held(
    catalog: &Catalog,
    reports: &Reports,
    pipe: &PipeName,
) -> Option<RunReport> {
    let (table, app_id) = (catalog.products().clone(), feed_app_id(pipe));
    let fence = spawn_blocking(move || table.snapshot().ok()??.fence(&app_id).ok()?);
    let key = RunKey { pipe: pipe.clone(), run: RunId(fence.await.ok()??) };
    let report = reports.load(&key).await.ok()??;
    let is_held = report.state == RunState::Held && overtaken(catalog, &key).await.ok()?.is_none();
    is_held.then_some(report)
}

/// What is known of a pipe besides its configuration.
struct Standing<'a> {
    last: Option<&'a RunReport>,
    paused: Option<&'a Pause>,
}

fn standing<'a>(
    pipe: &PipeName,
    last_runs: &'a Reported,
    paused: &'a Pauses,
) -> Result<Standing<'a>, &'a ReportError> {
    let last = last_runs.get(pipe).map(|last| last.as_ref()).transpose()?;
    let paused = paused.get(pipe).map(|pause| pause.as_ref()).transpose()?;
    Ok(Standing { last: last.and_then(Option::as_ref), paused })
}

/// What a pipe's file says of its next run.
struct Plan {
    told: String,
    /// What to do, where it never comes.
    remedy: Option<String>,
}

impl Plan {
    fn of(pipe: &Pipe, now: DateTime<Utc>) -> Self {
        let (told, remedy) = match (&pipe.schedule, pipe.next_run_after(now)) {
            (None, _) => ("runs when asked".to_owned(), None),
            (Some(_), Some(next)) => {
                (format!("next run {} ({})", view::moment(next), view::distance(now, next)), None)
            }
            (Some(schedule), None) => (
                format!("the schedule '{}' never comes", schedule.cron),
                Some(format!("correct schedule in {}", pipe.file.display())),
            ),
        };
        Self { told, remedy }
    }

    /// Of a pipe that is not read here, as it lacks variables. Workers on other machines may have them.
    fn unknown(context: &Context, name: &PipeName) -> Self {
        let lacking = context.mistakes_of(name).filter(|e| !context.may_be_set_elsewhere(e));
        let lacking: Vec<&str> = lacking.filter_map(|e| e.unset.as_deref()).collect();
        let remedy = (!lacking.is_empty()).then(|| configuration::set(&lacking));
        Self { told: "its file lacks variables here".to_owned(), remedy }
    }
}

/// `overtaken`: why what its newest run holds cannot be approved any more. `still_held`: an earlier run, whose removals
/// can, where the newest is dead.
fn judged(
    name: &PipeName,
    plan: Plan,
    standing: &Standing<'_>,
    (overtaken, still_held): (Option<&Overtaken>, Option<&RunReport>),
) -> Finding {
    let check = format!("pipe {name}");
    let mut found = plan.told;
    if let Some(pause) = standing.paused {
        found = format!("paused {pause}; {found}");
    }
    if let Some(last) = standing.last {
        found.push_str(&format!("; run {}: {}", last.key.run, last.state.word()));
    }
    if let Some(mut remedy) = plan.remedy {
        if standing.paused.is_some() {
            remedy.push_str(&format!("; then feedfleet pipes resume {name}"));
        }
        return Finding::warning(check, found, remedy);
    }
    match standing.last {
        Some(last) if last.state == RunState::Held => {
            let (run, held) = (last.key.run, text::count(last.counts.held));
            if let Some(why) = overtaken {
                found.push_str(&format!(", but {why}"));
                let remedy = format!("feedfleet runs reject {name} {run}, which closes it");
                return Finding::warning(check, found, remedy);
            }
            found.push_str(&format!(", {held} removals wait"));
            return Finding::warning(check, found, to_decide(last));
        }
        Some(last) if last.state == RunState::Dead => {
            if let Some(reason) = &last.reason {
                found.push_str(&format!(", {}", text::shorten(&reason.to_string(), 200)));
            }
            let mut remedy = format!("feedfleet runs show {name} {}", last.key.run);
            if let Some(held) = still_held {
                let (run, count) = (held.key.run, text::count(held.counts.held));
                found.push_str(&format!("; run {run}: held, {count} removals wait"));
                remedy.push_str(&format!("; {}", to_decide(held)));
            }
            return Finding::warning(check, found, remedy);
        }
        // Who decided on what it held knows the reason.
        Some(last) if last.state == RunState::Done && last.decision.is_none() => {
            if let Some(reason) = &last.reason {
                found.push_str(&format!(", {}", text::shorten(&reason.to_string(), 200)));
                let mut remedy = format!("feedfleet runs show {name} {}", last.key.run);
                if standing.paused.is_some() {
                    remedy.push_str(&format!("; then feedfleet pipes resume {name}"));
                }
                return Finding::warning(check, found, remedy);
            }
        }
        _ => {}
    }
    if standing.paused.is_some() {
        return Finding::warning(check, found, format!("feedfleet pipes resume {name}"));
    }
    Finding::ok(check, found)
}

/// How to decide on what a run holds. Once an approval was begun, rejecting is refused.
fn to_decide(held: &RunReport) -> String {
    let RunKey { pipe, run } = &held.key;
    match held.decision {
        None => format!("feedfleet runs approve {pipe} {run}, or reject"),
        Some(_) => format!(
            "feedfleet runs approve {pipe} {run}, which finishes an approval that was cut off"
        ),
    }
}

/// Whether dead letters wait for an operator.
pub async fn dead_letters(context: Arc<Context>) -> Vec<Finding> {
    vec![count_letters(&context).await.unwrap_or_else(|e| {
        let remedy = "see to the objects first, then: feedfleet dlq list";
        Finding::broken(DEAD_LETTERS, format!("they cannot be read: {e}"), remedy)
    })]
}

async fn count_letters(context: &Context) -> Result<Finding> {
    let Some(objects) = existing(context)? else {
        return Ok(Finding::ok(DEAD_LETTERS, "none"));
    };
    let (letters, unreadable) = DeadLetters::new(objects).all().await.map_err(plain)?;
    let died: Vec<_> =
        letters.iter().filter(|l| l.state == LetterState::Waiting).map(|l| l.died_at).collect();
    let decided = text::count((letters.len() - died.len()) as u64);
    let Some(oldest) = died.iter().min() else {
        if unreadable.is_empty() {
            return Ok(Finding::ok(DEAD_LETTERS, format!("none waits; {decided} are decided")));
        }
        let found = format!("{} cannot be read, first {}", unreadable.len(), unreadable[0]);
        return Ok(Finding::warning(DEAD_LETTERS, found, "feedfleet dlq list --each"));
    };
    let found = format!(
        "{} wait, the oldest since {}; {decided} are decided, {} cannot be read",
        text::count(died.len() as u64),
        view::moment(*oldest),
        unreadable.len()
    );
    Ok(Finding::warning(DEAD_LETTERS, found, "feedfleet dlq list"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::scratch::Scratch;
    use super::*;
    use feedfleet_model::report::{Decision, Trigger};
    use feedfleet_model::{Reason, ReasonClass};
    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    #[test]
    fn an_approval_that_was_cut_off_is_to_be_finished() {
        let at = DateTime::UNIX_EPOCH;
        let pipe: PipeName = "shop".parse().unwrap();
        let report = |run: i64, state| {
            let key = RunKey { pipe: pipe.clone(), run: RunId(run) };
            RunReport { state, ..RunReport::new(key, Trigger::Schedule, at) }
        };
        let remedy = |last: &RunReport, still_held: Option<&RunReport>| {
            let plan = Plan { told: String::new(), remedy: None };
            let standing = Standing { last: Some(last), paused: None };
            judged(&pipe, plan, &standing, (None, still_held)).remedy.unwrap()
        };
        let (mut held, dead) = (report(7, RunState::Held), report(8, RunState::Dead));
        for remedy in [remedy(&held, None), remedy(&dead, Some(&held))] {
            assert!(remedy.contains("runs approve shop 7, or reject"), "{remedy}");
        }
        held.decision = Some(Decision { approved: true, by: "ada".into(), at, note: None });
        for remedy in [remedy(&held, None), remedy(&dead, Some(&held))] {
            assert!(remedy.contains("runs approve shop 7, which finishes"), "{remedy}");
            assert!(!remedy.contains("reject"), "{remedy}");
        }
    }

    #[tokio::test]
    async fn who_has_little_time_goes_on_without_the_newest_reports() {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let context = Arc::new(configuration::sound(scratch.path()));
        let last_runs = Arc::new(LastRuns::default());
        let (let_go, held_up) = oneshot::channel::<()>();
        let own = last_runs.clone();
        let slow = spawn(async move {
            let read = move || async move {
                held_up.await.unwrap();
                let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
                let at = DateTime::UNIX_EPOCH;
                let mut report = RunReport::new(key.clone(), Trigger::Schedule, at);
                report.counts.seen = 1;
                Reported::from([(key.pipe, Ok(Some(report)))])
            };
            own.0.get_or_init(read).await;
        });
        yield_now().await;
        let limit = Duration::from_millis(20);
        assert!(last_runs.get_within(limit, &context).await.is_none());
        let_go.send(()).unwrap();
        slow.await.unwrap();
        assert!(last_runs.get_within(LITTLE_TIME, &context).await.is_some());
        for (pipe, expected) in [("acme", true), ("other", false)] {
            let pipe = pipe.parse().unwrap();
            let had = had_records(context.clone(), last_runs.clone(), pipe).await;
            assert_eq!(had, expected);
        }
    }

    #[test]
    fn what_there_is_to_say_of_a_run_that_is_done_is_told() {
        let at = DateTime::UNIX_EPOCH;
        let pipe: PipeName = "shop".parse().unwrap();
        let key = RunKey { pipe: pipe.clone(), run: RunId(7) };
        let mut last =
            RunReport { state: RunState::Done, ..RunReport::new(key, Trigger::Schedule, at) };
        let finding = |last: &RunReport| {
            let plan = Plan { told: "runs when asked".to_owned(), remedy: None };
            let standing = Standing { last: Some(last), paused: None };
            judged(&pipe, plan, &standing, (None, None))
        };
        assert_eq!(finding(&last).state, State::Ok);
        let why = "the source was not whole (truncated)";
        last.reason = Some(Reason::new(ReasonClass::LimitExceeded, why));
        let told = finding(&last);
        assert_eq!(told.state, State::Warning, "{told}");
        assert!(told.found.contains("done, limit-exceeded: the source was not whole"), "{told}");
        assert_eq!(told.remedy.as_deref(), Some("feedfleet runs show shop 7"));

        // The reason that it held removals stays with a run after they were decided on.
        last.decision = Some(Decision { approved: true, by: "ada".into(), at, note: None });
        assert_eq!(finding(&last).state, State::Ok);
    }
}
