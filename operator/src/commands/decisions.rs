//! `feedfleet runs approve`, `reject` and `rollback`: an operator's word on what runs did to a pipe.

use super::pipes::{is_configured, no_such_pipe};
use crate::cli::{DecisionArgs, Signature};
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use feedfleet_model::report::Decision;
use feedfleet_model::{RunKey, text};
use feedfleet_scheduler::decide::{self, Approval, Rejection};
use feedfleet_scheduler::desk::Decider;
use feedfleet_scheduler::rollback::{forgets, roll_back};
use std::path::Path;
use std::process::ExitCode;

/// Carries out the removals that a run held.
pub async fn approve(folder: &Path, args: DecisionArgs) -> Result<ExitCode> {
    let (context, run, decider) = asked(folder, args).await?;
    let number = text::count;
    view::print(match decide::approve(&context.scheduler()?, &run, &decider).await? {
        Approval::Applied { removed, live, version, earlier } => format!(
            "run {run} is approved: {} products removed{}, {} live{}",
            number(removed),
            at_version(version),
            number(live),
            earlier.map_or_else(String::new, |first| {
                format!("; it stays noted as {}", told(&first))
            })
        ),
        Approval::Would { remove, live } => format!(
            "approving run {run} would remove {} of {} products",
            number(remove),
            number(live)
        ),
        Approval::Already(decision) => format!("run {run} is already {}", told(&decision)),
    });
    Ok(ended(&decider))
}

/// Keeps the products whose removal a run held.
pub async fn reject(folder: &Path, args: DecisionArgs) -> Result<ExitCode> {
    let (context, run, decider) = asked(folder, args).await?;
    let number = text::count;
    view::print(match decide::reject(&context.scheduler()?, &run, &decider).await? {
        Rejection::Kept(held) => format!(
            "run {run} is rejected: its {} absent products stay; a later run that misses them decides anew",
            number(held)
        ),
        Rejection::Would(held) => {
            format!("rejecting run {run} would keep its {} absent products", number(held))
        }
        Rejection::Closed(why) => format!("run {run} is rejected: {why}"),
        Rejection::WouldClose(why) => format!("rejecting run {run} would only close it: {why}"),
        Rejection::Already(decision) => format!("run {run} is already {}", told(&decision)),
    });
    Ok(ended(&decider))
}

/// Puts a pipe back as it was after a run, and pauses it. What cannot be put back is told before anything is done.
pub async fn rollback(folder: &Path, args: DecisionArgs) -> Result<ExitCode> {
    let (context, run, decider) = asked(folder, args).await?;
    let deps = context.scheduler()?;
    if forgets(&deps, &run).await? {
        let name = &run.pipe;
        view::print(format!(
            "what {name} said after run {} is forgotten by this, and runs go on with what rows show that are put back: \
             not with what {name} said where the pipe's own source said the same, nor, with mode = \"fill\", where \
             that had a word; if it sends changes only, have it send everything once",
            run.run
        ));
    }
    let done = roll_back(&deps, &run, &decider).await?;
    let (plan, pipe, number) = (done.plan, run.pipe.pipe(), text::count);
    let back_to = if run.pipe.is_supplement() { run.to_string() } else { run.run.to_string() };
    let rows = format!(
        "{} rows put back, {} taken out, {} untouched; {} live{}",
        number(plan.put_back),
        number(plan.taken_out),
        number(plan.stays),
        number(plan.live_after()),
        at_version(done.version)
    );
    if decider.dry_run {
        view::print(format!("rolling '{pipe}' back to run {back_to} would mean: {rows}"));
        view::print(format!("it would be paused, too, until: feedfleet pipes resume {pipe}"));
        return Ok(ended(&decider));
    }
    view::print(format!("'{pipe}' is as it was after run {back_to}: {rows}"));
    view::print(format!(
        "it is paused, or its next run would bring back what was wrong; once its source is right: \
         feedfleet pipes resume {pipe}"
    ));
    if run.pipe.is_supplement() {
        let name = &run.pipe;
        view::print(format!(
            "what {name} said after that counts no more; to have it read anew then: feedfleet run {name}"
        ));
    }
    if let Some(issued) = done.issued_meanwhile {
        view::tell(format_args!(
            "run {issued} was issued meanwhile, as somebody let the pipe run, and will load the source: once it \
             has ended, roll back again"
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn asked(folder: &Path, args: DecisionArgs) -> Result<(Context, RunKey, Decider)> {
    let context = Context::load_existing(folder)?;
    let DecisionArgs { pipe, run, signature: Signature { by, note }, dry_run } = args;
    // One whose file has gone may have runs to decide on.
    if !is_configured(&context, &pipe) && context.reports()?.runs_of(&pipe).await?.is_empty() {
        bail!("{}", no_such_pipe(&context, &pipe));
    }
    Ok((context, RunKey { pipe, run }, Decider { by, note, dry_run }))
}

fn ended(decider: &Decider) -> ExitCode {
    if decider.dry_run {
        view::print("nothing was changed");
    }
    ExitCode::SUCCESS
}

fn at_version(version: Option<u64>) -> String {
    version.map_or_else(String::new, |version| format!(" (table version {version})"))
}

/// A decision for people.
pub fn told(decision: &Decision) -> String {
    let mut told =
        format!("{} by {} at {}", decision.word(), decision.by, view::moment(decision.at));
    if let Some(note) = &decision.note {
        told.push_str(&format!(": {note}"));
    }
    text::printable(&told).into_owned()
}
