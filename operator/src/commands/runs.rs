//! `feedfleet runs list` and `show`.

use super::decisions::told;
use super::pipes::{is_configured, no_such_pipe};
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use feedfleet_feed::RefusalReason;
use feedfleet_model::report::{
    Attempt, Decision, RefusalCount, RefusalSample, RunState, TO_DECIDE,
};
use feedfleet_model::{PipeName, ReasonClass, RunId, RunKey, RunReport, keys, text};
use feedfleet_scheduler::decide::{Overtaken, overtaken};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Addresses of the parts of one snapshot; each is a long line.
const MAX_LINKS: usize = 20;

/// Lists runs, newest first. One report that cannot be read does not hide the others.
pub async fn list(
    folder: &Path,
    pipe: Option<&PipeName>,
    limit: usize,
    json: bool,
) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let reports = context.reports()?;
    let mut runs = match pipe {
        Some(supplement) if supplement.is_supplement() => reports.runs_of(supplement).await?,
        // Runs of its supplements are among what happened to a pipe.
        Some(pipe) => reports.runs_of_sources(pipe).await?.into_values().flatten().collect(),
        None => reports.all_runs().await?,
    };
    runs.sort_by_key(|key| std::cmp::Reverse(key.run));
    let mut found = Vec::new();
    let mut code = ExitCode::SUCCESS;
    let total = runs.len();
    for key in runs.into_iter().take(limit) {
        match reports.load(&key).await {
            Ok(report) => found.extend(report),
            Err(e) => {
                view::tell(&e);
                code = ExitCode::FAILURE;
            }
        }
    }
    if json {
        view::print_json(&found)?;
        return Ok(code);
    }
    if found.is_empty() {
        view::print("no runs yet; begin one with: feedfleet run PIPE --wait");
        return Ok(code);
    }
    let mut table = view::table(&[
        "pipe",
        "run",
        "scheduled",
        "state",
        "seen",
        "new",
        "changed",
        "removed",
        "held",
        "refused",
        "seconds",
        "reason",
    ]);
    for report in &found {
        let counts = &report.counts;
        let reason = report.reason.as_ref().map(ToString::to_string);
        let reason = cut_off(report).or(reason);
        let reason = reason.map(|reason| text::shorten(&reason, 60).into_owned());
        table.add_row(vec![
            report.key.pipe.to_string().into(),
            report.key.run.to_string().into(),
            view::moment(report.scheduled_at()).into(),
            state(report).into(),
            view::number(counts.seen),
            view::number(counts.new),
            view::number(counts.changed),
            view::number(counts.removed),
            view::number(if decided(report).is_some() { 0 } else { counts.held }),
            view::number(counts.refused),
            view::seconds(report.total_seconds()),
            text::printable(&reason.unwrap_or_default()).into_owned().into(),
        ]);
    }
    view::print(table);
    if total > limit {
        let of = pipe.map(|pipe| format!(" {pipe}")).unwrap_or_default();
        view::print(format!(
            "{} older runs are not shown; to see them: feedfleet runs list{of} --limit {total}",
            text::count((total - limit) as u64)
        ));
    }
    Ok(code)
}

/// What shows that the source was cut off, of a run that was done all the same: nothing was absent.
fn cut_off(report: &RunReport) -> Option<String> {
    let is_done = report.state == RunState::Done;
    report.source.completeness.clone().filter(|text| is_done && text.starts_with("truncated"))
}

/// The state, and what was decided on a run that was held.
fn state(report: &RunReport) -> String {
    let state = report.state.word();
    match &report.decision {
        Some(decision) => format!("{state} ({})", decision.word()),
        None => state.to_owned(),
    }
}

/// What was decided on what a run held, once that is carried out.
fn decided(report: &RunReport) -> Option<&Decision> {
    report.decision.as_ref().filter(|_| report.state != RunState::Held)
}

/// Shows one run's report; with `link`, also addresses of its objects that are good for so long.
pub async fn show(
    folder: &Path,
    pipe: &PipeName,
    run: Option<RunId>,
    json: bool,
    link: Option<Duration>,
) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let reports = context.reports()?;
    let report = match run {
        Some(run) => reports.load(&RunKey { pipe: pipe.clone(), run }).await?,
        None => reports.last_of(pipe).await?,
    };
    let Some(report) = report else {
        match run {
            Some(run) => {
                bail!("run {run} of '{pipe}' has no report; see: feedfleet runs list {pipe}")
            }
            None if !is_configured(&context, pipe) => {
                bail!("{}", no_such_pipe(&context, pipe))
            }
            None => bail!("'{pipe}' has no runs yet; begin one with: feedfleet run {pipe} --wait"),
        }
    };
    if json {
        view::print_json(&report)?
    } else {
        print_report(&report, what_overtook(&context, &report).await.as_ref())
    }
    if let Some(valid_for) = link {
        print_links(&context, &report.key, valid_for).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Why what a run holds cannot be approved any more. A report is shown also where the table cannot be read.
async fn what_overtook(context: &Context, report: &RunReport) -> Option<Overtaken> {
    if report.state != RunState::Held {
        return None;
    }
    overtaken(&context.catalog().ok()?, &report.key).await.ok()?
}

/// Prints under which addresses the run's report and its raw snapshot can be read for so long.
async fn print_links(context: &Context, run: &RunKey, valid_for: Duration) -> Result<()> {
    let objects = context.objects()?;
    let end = view::moment(context.clock.now() + valid_for);
    let link = |name: &str, link: &str| view::print(format!("{name:14} {}", text::printable(link)));
    let report = objects.link(&keys::report(run), valid_for).await?;
    link("report at", &report);
    let mut raw = objects.list(&keys::raw_prefix(run), None, MAX_LINKS + 1).await?;
    let more = raw.len() > MAX_LINKS;
    raw.truncate(MAX_LINKS);
    for part in raw {
        link(raw_label(&part.key), &objects.link(&part.key, valid_for).await?);
    }
    if more {
        let rest = format!("there are more parts, below {}", keys::raw(run));
        link("", &rest);
    }
    // Paths of a folder do not end.
    if report.starts_with("http") {
        link("links end", &format!("{end}, or before with the credentials that signed them"));
    }
    Ok(())
}

/// What an object of a raw snapshot is called: some say what is known of it.
fn raw_label(key: &keys::ObjectKey) -> &'static str {
    if keys::part_of_raw(key).is_some() { "raw part at" } else { "about it at" }
}

/// A report for people; `overtaken`: why what it holds cannot be approved any more.
pub fn print_report(report: &RunReport, overtaken: Option<&Overtaken>) {
    let line = |name: &str, value: String| view::print(format!("{name:14} {value}"));
    line("run", report.key.to_string());
    line("state", state(report));
    let RunKey { pipe, run } = &report.key;
    if let Some(decision) = &report.decision {
        line("decision", told(decision));
        if report.state == RunState::Held && overtaken.is_none() {
            line(
                "",
                format!(
                    "not all of that is done; to finish it: feedfleet runs approve {pipe} {run}"
                ),
            );
        }
    }
    if let Some(why) = overtaken {
        line("overtaken", format!("{why}; to close this run: feedfleet runs reject {pipe} {run}"));
    }
    if let Some(reason) = &report.reason {
        let mut reason = reason.to_string();
        let is_settled = overtaken.is_some() || report.decision.is_some();
        if let Some(end) = reason.rfind(TO_DECIDE).filter(|_| is_settled) {
            reason.truncate(end);
        }
        line("reason", text::printable(&reason).into_owned());
    }
    line("scheduled", view::moment(report.scheduled_at()));
    if let Some(at) = report.finished_at {
        line("finished", view::moment(at));
    }
    let source = &report.source;
    if !source.location.is_empty() {
        line("source", text::printable(&source.location).into_owned());
    }
    if let Some(from) = &source.replayed_from {
        line("replayed from", from.clone());
    }
    if source.not_modified {
        line("answer", "nothing has changed since the last complete run".to_owned());
    }
    if let Some(text) = &source.completeness {
        line("completeness", text::printable(text).into_owned());
    }
    if let (Some(encoding), Some(compression)) = (&source.encoding, &source.compression) {
        let label = source.wrong_encoding_label.as_deref();
        let label = label.map(|label| format!(" (labelled {label})")).unwrap_or_default();
        line("reading", format!("encoding {encoding}{label}, compression {compression}"));
    }
    let cleaned: Vec<_> = [
        (source.control_characters, "control characters taken out"),
        (source.replaced_characters, "characters that could not be decoded"),
        (source.unknown_references, "unknown references kept as written"),
        (source.dropped_values, "values dropped, of too many fields"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{} {what}", text::count(count)))
    .collect();
    if !cleaned.is_empty() {
        line("cleaned", cleaned.join(", "));
    }
    if let Some(bytes) = source.resumed_at_bytes {
        line("resumed", format!("{} had been archived by earlier attempts", text::bytes(bytes)));
    }
    if let Some(raw) = &source.raw_key {
        line("raw snapshot", raw.clone());
    }
    let counts = &report.counts;
    let number = text::count;
    line(
        "records",
        format!(
            "{} seen: {} new, {} changed, {} unchanged, {} refused, {} duplicates",
            number(counts.seen),
            number(counts.new),
            number(counts.changed),
            number(counts.unchanged),
            number(counts.refused),
            number(counts.duplicates)
        ),
    );
    line("products", products(report));
    line("images", format!("{} queued", number(counts.images_queued)));
    line(
        "bytes",
        format!(
            "{} fetched, {} decoded, {} written",
            text::bytes(report.bytes.fetched),
            text::bytes(report.bytes.decoded),
            text::bytes(report.bytes.written)
        ),
    );
    let phases: Vec<_> = report.seconds.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
    // A run that never got anywhere has none.
    let phases =
        if phases.is_empty() { String::new() } else { format!(" ({})", phases.join(", ")) };
    line("seconds", format!("{:.2}{phases}", report.total_seconds()));
    // A process that was killed has not told.
    if report.peak_memory_bytes > 0 {
        line("peak memory", text::bytes(report.peak_memory_bytes));
    }
    if let Some(version) = report.table_version {
        line("table version", version.to_string());
    }
    for (place, attempt) in report.attempts.iter().enumerate() {
        let end = ended(attempt, report.state, place + 1 == report.attempts.len());
        let started = view::moment(attempt.started_at);
        line("attempt", format!("{}: {} from {started}: {end}", place + 1, attempt.worker));
        if let Some(reason) = attempt.end.as_ref().and_then(|e| e.reason.as_ref()) {
            line("", text::printable(&reason.to_string()).into_owned());
        }
    }
    refusals("refused", &report.refusals);
    let (emptied, noted) = emptied_and_noted(&report.warnings);
    refusals("emptied", &emptied);
    refusals("noted", &noted);
    let mended = report.diagnostics.as_ref().map(|diagnostics| &diagnostics.mended);
    refusals("mended", mended.map_or(&[], Vec::as_slice));
}

/// How an attempt of a run in this state ended; `is_last`: the run has no later one.
fn ended(attempt: &Attempt, state: RunState, is_last: bool) -> String {
    match &attempt.end {
        // Each failure asks for another try; the last one gets none. What only stopped has not failed.
        Some(end)
            if is_last
                && state == RunState::Dead
                && matches!(end.outcome.as_str(), "retry" | "dead") =>
        {
            format!("failed at {}", view::moment(end.at))
        }
        Some(end) => {
            let next = end.next_at.filter(|_| is_last && !state.is_final()).map(view::moment);
            let wait = next.map(|next| format!("; it waits until {next}")).unwrap_or_default();
            format!("{} at {}{wait}", end.outcome, view::moment(end.at))
        }
        None if is_last && state == RunState::Running => {
            "under way, or its worker has died".to_owned()
        }
        None => "no end noted".to_owned(),
    }
}

/// Warnings of fields that were left empty, and those of the source as a whole.
pub fn emptied_and_noted(warnings: &[RefusalCount]) -> (Vec<RefusalCount>, Vec<RefusalCount>) {
    warnings.iter().cloned().partition(|warning| {
        RefusalReason::by_name(&warning.reason).is_some_and(RefusalReason::empties_field)
    })
}

fn refusals(what: &str, counts: &[RefusalCount]) {
    for count in counts {
        view::print(format!("{what:14} {} × {}", text::count(count.count), count.reason));
        for sample in &count.samples {
            view::print(format!("{:14}   {}", "", text::printable(&told_sample(sample))));
        }
    }
}

/// Where something was met, in which field, and what was expected; what is not known is left out.
pub fn told_sample(sample: &RefusalSample) -> String {
    let field = sample.field.as_deref().filter(|field| !field.is_empty());
    let what = match (field, sample.value.as_deref()) {
        (Some(field), Some(value)) => format!("{field} = '{value}'"),
        (Some(field), None) => field.to_owned(),
        (None, Some(value)) => format!("'{value}'"),
        (None, None) => String::new(),
    };
    let mut parts = vec![sample.position.as_str(), what.as_str(), sample.message.as_str()];
    parts.retain(|part| !part.is_empty());
    parts.join(": ")
}

/// Whether an attempt ended for want of its source.
fn lacked_source(attempt: &Attempt) -> bool {
    let reason = attempt.end.as_ref().and_then(|end| end.reason.as_ref());
    reason.is_some_and(|reason| reason.class == ReasonClass::SourceUnavailable)
}

/// What the run left of its pipe's products.
fn products(report: &RunReport) -> String {
    let counts = &report.counts;
    let is_lost = report.reason.as_ref().is_some_and(|r| r.class == ReasonClass::Unreadable);
    match report.state {
        _ if report.table_version.is_some() => {}
        RunState::Done | RunState::Held => {}
        RunState::Committed => return "not known yet; the run is in the table".to_owned(),
        // A worker that died right after its commit has not noted it. Without its source no attempt comes that far.
        RunState::Running if !report.attempts.iter().all(lacked_source) => {
            return "not known yet: the run may be in the table already; if its worker died, its next attempt finds out"
                .to_owned();
        }
        RunState::Superseded if is_lost => return "not known".to_owned(),
        _ => return "as they were: the run is not in the table".to_owned(),
    }
    let number = text::count;
    let held = number(counts.held);
    let held = match decided(report) {
        None => format!("{held} held"),
        Some(decision) if decision.approved => format!("{held} of them as approved"),
        Some(_) => format!("{held} held until rejected"),
    };
    let mut told =
        format!("{} live; {} removed, {held}", number(counts.live), number(counts.removed));
    if counts.absent > 0 && report.key.pipe.is_supplement() {
        told += &format!(", {} absent keep what was said of them", number(counts.absent));
    } else if counts.absent > 0 {
        told += &format!(", {} absent for too few runs to be removed", number(counts.absent));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use feedfleet_model::Reason;
    use feedfleet_model::report::{AttemptEnd, Trigger};

    #[test]
    fn only_what_failed_is_told_as_failed() {
        let at = DateTime::UNIX_EPOCH;
        let ended_so = |outcome: &str, state, is_last| {
            let end = AttemptEnd { at, outcome: outcome.to_owned(), reason: None, next_at: None };
            let attempt = Attempt { worker: "w/1".into(), started_at: at, end: Some(end) };
            let told = ended(&attempt, state, is_last);
            told.split_once(" at ").unwrap().0.to_owned()
        };
        for outcome in ["retry", "dead"] {
            assert_eq!(ended_so(outcome, RunState::Dead, true), "failed");
            assert_eq!(ended_so(outcome, RunState::Dead, false), outcome);
        }
        for outcome in ["interrupted", "continued"] {
            assert_eq!(ended_so(outcome, RunState::Dead, true), outcome);
        }
        assert_eq!(ended_so("retry", RunState::Queued, true), "retry");
    }

    /// The worker may have died between its commit and the report of it.
    #[test]
    fn a_report_says_no_more_of_the_table_than_it_knows() {
        let told = |state, table_version| {
            let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1) };
            let report = RunReport::new(run, Trigger::Schedule, DateTime::UNIX_EPOCH);
            products(&RunReport { state, table_version, ..report })
        };
        for state in [RunState::Queued, RunState::Superseded, RunState::Dead] {
            assert!(told(state, None).contains("the run is not in the table"), "{state:?}");
        }
        let at = DateTime::UNIX_EPOCH;
        let running = |classes: &[Option<ReasonClass>]| {
            let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1) };
            let mut report = RunReport::new(run, Trigger::Schedule, at);
            report.state = RunState::Running;
            let attempts = classes.iter().map(|class| {
                let reason = class.map(|class| Reason::new(class, "no"));
                let end = reason.map(|reason| AttemptEnd {
                    at,
                    outcome: "retry".into(),
                    reason: Some(reason),
                    next_at: None,
                });
                Attempt { worker: "w/1".into(), started_at: at, end }
            });
            report.attempts.extend(attempts);
            products(&report)
        };
        let source = Some(ReasonClass::SourceUnavailable);
        assert!(running(&[source, source]).contains("the run is not in the table"));
        for attempts in [[source, None], [None, source], [source, Some(ReasonClass::WorkerLost)]] {
            assert!(running(&attempts).starts_with("not known yet: the run may be"));
        }
        assert!(told(RunState::Committed, None).contains("the run is in the table"));
        assert!(told(RunState::Running, Some(3)).starts_with("0 live; 0 removed"));
    }

    #[test]
    fn what_is_known_of_a_raw_snapshot_is_no_part_of_it() {
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1) };
        assert_eq!(raw_label(&keys::raw_part(&run, 1, 1)), "raw part at");
        assert_eq!(raw_label(&keys::raw_facts(&run)), "about it at");
    }
}
