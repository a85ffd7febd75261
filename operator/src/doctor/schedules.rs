//! What comes next for each pipe, and what waits for an operator.

use super::objects::existing;
use super::{Finding, plain};
use crate::context::Context;
use crate::view;
use anyhow::Result;
use chrono::{DateTime, Utc};
use feedfleet_config::Pipe;
use feedfleet_model::report::RunState;
use feedfleet_model::{RunReport, text};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::{DeadLetters, Objects, Reports};
use feedfleet_scheduler::pause::{Pause, paused};
use std::sync::Arc;

const DEAD_LETTERS: &str = "dead letters";

/// One finding a pipe.
pub async fn check(context: Arc<Context>) -> Vec<Finding> {
    // If they cannot be opened, the check of the objects says why.
    let objects = existing(&context).unwrap_or_default();
    let now = context.clock.now();
    let mut findings = Vec::new();
    for pipe in &context.config.pipes {
        let standing = match &objects {
            None => Ok(Standing::default()),
            Some(objects) => standing(objects, pipe).await,
        };
        findings.push(match standing {
            Ok(standing) => judged(pipe, now, &standing),
            Err(e) => {
                let found = format!("its newest report cannot be read: {e}");
                let remedy = format!("feedfleet runs list {}", pipe.name);
                Finding::warning(format!("pipe {}", pipe.name), found, remedy)
            }
        });
    }
    findings
}

/// What is known of a pipe besides its configuration.
#[derive(Default)]
struct Standing {
    last: Option<RunReport>,
    paused: Option<Pause>,
}

async fn standing(objects: &Arc<dyn Objects>, pipe: &Pipe) -> Result<Standing> {
    let last = Reports::new(objects.clone()).last_of(&pipe.name).await.map_err(plain)?;
    let paused = paused(objects.as_ref(), &pipe.name).await.map_err(plain)?;
    Ok(Standing { last, paused })
}

fn judged(pipe: &Pipe, now: DateTime<Utc>, standing: &Standing) -> Finding {
    let (check, name) = (format!("pipe {}", pipe.name), &pipe.name);
    let next = pipe.next_run_after(now);
    let mut found = match (&pipe.schedule, next) {
        (None, _) => "runs when asked".to_owned(),
        (Some(_), Some(next)) => {
            format!("next run {} ({})", view::moment(next), view::distance(now, next))
        }
        (Some(schedule), None) => format!("the schedule '{}' never comes", schedule.cron),
    };
    if let Some(pause) = &standing.paused {
        found = format!("paused {pause}; {found}");
    }
    if let Some(last) = &standing.last {
        found.push_str(&format!("; run {}: {}", last.key.run, last.state.word()));
    }
    if pipe.schedule.is_some() && next.is_none() {
        let remedy = format!("correct schedule in {}", pipe.file.display());
        return Finding::warning(check, found, remedy);
    }
    match &standing.last {
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
