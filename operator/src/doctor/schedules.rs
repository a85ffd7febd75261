//! What comes next for each pipe, and what waits for an operator.

use super::objects::existing;
use super::{Finding, plain};
use crate::context::Context;
use crate::view;
use anyhow::Result;
use chrono::{DateTime, Utc};
use feedfleet_config::Pipe;
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunReport, text};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::{DeadLetters, ReportError, Reports};
use feedfleet_scheduler::pause::{Pause, all_paused};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

const DEAD_LETTERS: &str = "dead letters";

/// The newest report of each pipe. Two checks want them, and read them once.
#[derive(Default)]
pub struct LastRuns(OnceCell<Reported>);

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
    let sound = context.config.sources().map(|pipe| (pipe.name.clone(), Plan::of(pipe, now)));
    let lacking = context.lacking_variables().into_iter().map(|name| (name, Plan::unknown()));
    for (name, plan) in sound.chain(lacking) {
        findings.push(match standing(&name, last_runs, &paused) {
            Ok(standing) => judged(&name, plan, &standing),
            Err(e) => {
                let found = format!("its newest report, or its pause, cannot be read: {e}");
                let remedy = format!("feedfleet runs list {name}");
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

    /// Of a pipe that is not read here, as it lacks variables.
    fn unknown() -> Self {
        Self { told: "its file lacks variables here".to_owned(), remedy: None }
    }
}

fn judged(name: &PipeName, plan: Plan, standing: &Standing<'_>) -> Finding {
    let check = format!("pipe {name}");
    let mut found = plan.told;
    if let Some(pause) = standing.paused {
        found = format!("paused {pause}; {found}");
    }
    if let Some(last) = standing.last {
        found.push_str(&format!("; run {}: {}", last.key.run, last.state.word()));
    }
    if let Some(remedy) = plan.remedy {
        return Finding::warning(check, found, remedy);
    }
    match standing.last {
        Some(last) if last.state == RunState::Held => {
            let (run, held) = (last.key.run, text::count(last.counts.held));
            found.push_str(&format!(", {held} removals wait"));
            let remedy = format!("feedfleet runs approve {name} {run}, or reject");
            return Finding::warning(check, found, remedy);
        }
        Some(last) if last.state == RunState::Dead => {
            if let Some(reason) = &last.reason {
                found.push_str(&format!(", {}", text::shorten(&reason.to_string(), 200)));
            }
            let remedy = format!("feedfleet runs show {name} {}", last.key.run);
            return Finding::warning(check, found, remedy);
        }
        _ => {}
    }
    if standing.paused.is_some() {
        return Finding::warning(check, found, format!("feedfleet pipes resume {name}"));
    }
    Finding::ok(check, found)
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
