//! `feedfleet dlq`: dead letters listed, shown, replayed, dropped and exported.

use super::pipes::{is_configured, no_such_pipe};
use crate::cli::Signature;
use crate::cli::dlq::{DlqCommand, DlqDecide, DlqSelect};
use crate::context::Context;
use crate::view;
use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use feedfleet_model::PipeName;
use feedfleet_model::keys::ObjectKey;
use feedfleet_model::text::{self, printable};
use feedfleet_objects::dead_letters::Decision;
use feedfleet_objects::{DeadLetter, DeadLetters};
use feedfleet_scheduler::desk::{
    Decider, Desk, DeskError, Group, Selection, Verdict, count_overtaken, find, groups,
};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

/// Characters of a reason in a list.
const REASON_CHARS: usize = 80;
/// Characters of a body for people; `--json` has all of it.
const BODY_CHARS: usize = 2000;

/// Does what the command line asks for.
pub async fn dlq(folder: &Path, command: DlqCommand) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    match command {
        DlqCommand::List { select, each, all, json } => {
            list(&context, &selection(&select, all), each, json).await
        }
        DlqCommand::Show { id, json } => show(&context, &id, json).await,
        DlqCommand::Replay(args) => decide(&context, &args, Action::Replay).await,
        DlqCommand::Drop(args) => decide(&context, &args, Action::Drop).await,
        DlqCommand::Export { select, all, out } => {
            export(&context, &selection(&select, all), out.as_deref()).await
        }
    }
}

fn selection(select: &DlqSelect, decided_too: bool) -> Selection {
    Selection {
        ids: select.ids.clone(),
        pipe: select.pipe.clone(),
        class: select.class,
        older_than: select.older_than,
        newer_than: select.newer_than,
        decided_too,
    }
}

fn letters(context: &Context) -> Result<DeadLetters> {
    Ok(DeadLetters::new(context.objects()?))
}

/// Names the letters that cannot be read; they do not hide the others.
fn complain(unreadable: &[ObjectKey]) -> ExitCode {
    for key in unreadable {
        view::tell(format_args!(
            "the object '{key}' is not a dead letter that this release can read"
        ));
    }
    if unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Fails where the pipe that was asked for is not there, nor any letter of it.
async fn refuse_unknown_pipe(context: &Context, selection: &Selection) -> Result<()> {
    // One whose file has mistakes is there all the same.
    let is_here = |pipe: &PipeName| {
        is_configured(context, pipe) || context.mistakes_of(pipe).next().is_some()
    };
    let Some(pipe) = selection.pipe.as_ref().filter(|pipe| !is_here(pipe)) else {
        return Ok(());
    };
    let all = Selection { pipe: Some(pipe.clone()), decided_too: true, ..Selection::default() };
    let (found, unreadable) = find(&letters(context)?, &all, context.clock.now()).await?;
    if found.is_empty() && unreadable.is_empty() {
        bail!("{}", no_such_pipe(context, pipe));
    }
    Ok(())
}

fn nothing_found(selection: &Selection) -> &'static str {
    match (selection.is_narrow(), selection.decided_too) {
        (true, true) => "no dead letter is like that",
        (true, false) => "no dead letter that waits is like that",
        (false, true) => "no dead letters",
        (false, false) => "no dead letter waits for a decision",
    }
}

async fn list(
    context: &Context,
    selection: &Selection,
    each: bool,
    json: bool,
) -> Result<ExitCode> {
    let now = context.clock.now();
    let (found, unreadable) = find(&letters(context)?, selection, now).await?;
    if found.is_empty() {
        refuse_unknown_pipe(context, selection).await?;
    }
    let code = complain(&unreadable);
    match (json, each) {
        (true, true) => view::print_json(&found)?,
        (true, false) => view::print_json(&groups(&found))?,
        (false, _) if found.is_empty() => view::print(nothing_found(selection)),
        (false, true) => view::print(table_of_letters(&found, now)),
        (false, false) => view::print(table_of_groups(&groups(&found), now)),
    }
    if !json {
        tell_overtaken(context, &found).await;
    }
    Ok(code)
}

/// Where no scheduler is at work, letters wait though their pipe has gone on. They are listed also where the table cannot
/// be read.
async fn tell_overtaken(context: &Context, found: &[DeadLetter]) {
    let Ok(catalog) = context.catalog() else { return };
    let overtaken = count_overtaken(&catalog, found).await.unwrap_or_default();
    if overtaken > 0 {
        view::print(format!(
            "{overtaken} of these letters wait for nothing: a newer run of their pipe is in the table; a scheduler \
             that is at work marks them as superseded within a minute"
        ));
    }
}

fn table_of_groups(groups: &[Group], now: DateTime<Utc>) -> comfy_table::Table {
    let headings = ["pipe", "class", "state", "letters", "oldest", "newest", "last reason"];
    let mut table = view::table(&headings);
    for group in groups {
        table.add_row(vec![
            group.pipe.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string).into(),
            group.class.to_string().into(),
            group.state.word().into(),
            view::number(group.count),
            view::distance(now, group.oldest).into(),
            view::distance(now, group.newest).into(),
            brief(&group.last_reason).into(),
        ]);
    }
    table
}

fn table_of_letters(letters: &[DeadLetter], now: DateTime<Utc>) -> comfy_table::Table {
    let mut table = view::table(&["id", "class", "state", "died", "receives", "reason"]);
    for letter in letters {
        table.add_row(vec![
            printable(&letter.id).into_owned().into(),
            letter.reason.class.to_string().into(),
            letter.state.word().into(),
            view::distance(now, letter.died_at).into(),
            view::number(u64::from(letter.receives)),
            brief(&letter.reason.message).into(),
        ]);
    }
    table
}

fn brief(reason: &str) -> String {
    printable(&text::shorten(reason, REASON_CHARS)).into_owned()
}

async fn show(context: &Context, id: &str, json: bool) -> Result<ExitCode> {
    let unknown = || DeskError::Unknown { id: id.to_owned() };
    let letter = letters(context)?.load(id).await?.ok_or_else(unknown)?;
    if json {
        view::print_json(&letter)?
    } else {
        print_letter(&letter)
    }
    Ok(ExitCode::SUCCESS)
}

fn print_letter(letter: &DeadLetter) {
    let line = |name: &str, value: &str| view::print(format!("{name:14} {}", printable(value)));
    line("id", &letter.id);
    line("state", letter.state.word());
    line("reason", &letter.reason.to_string());
    line("queue", &format!("{}, group {}", letter.queue, letter.group));
    match &letter.job {
        Some(job) => line("job", &format!("{} of run {}", job.kind(), job.run_key())),
        None => line("job", "none that this release knows"),
    }
    line("given up by", &letter.worker);
    line("receives", &letter.receives.to_string());
    line("first received", &view::moment(letter.first_received_at));
    if let Some(at) = letter.first_died_at {
        line("first died", &view::moment(at));
    }
    line("died", &view::moment(letter.died_at));
    for Decision { at, by, action, died_of, note } in &letter.history {
        line("decided", &format!("{} by {by} at {}", action.word(), view::moment(*at)));
        line("", &format!("it had died of {died_of}"));
        if let Some(note) = note {
            line("", note);
        }
    }
    line("body", &text::shorten(&letter.body, BODY_CHARS));
}

async fn export(context: &Context, selection: &Selection, out: Option<&Path>) -> Result<ExitCode> {
    let (found, unreadable) = find(&letters(context)?, selection, context.clock.now()).await?;
    let code = complain(&unreadable);
    let Some(path) = out.filter(|path| *path != Path::new("-")) else {
        for letter in &found {
            view::print(view::json_line(letter)?);
        }
        return Ok(code);
    };
    let mut lines = String::new();
    for letter in &found {
        lines.push_str(&view::json_line(letter)?);
        lines.push('\n');
    }
    let written = write_new(path, lines.as_bytes());
    if written.as_ref().is_err_and(|e| e.kind() == ErrorKind::AlreadyExists) {
        bail!(
            "{} is there already, and stays as it is: name another file, move that one away, or say --out - \
             for standard output",
            path.display()
        );
    }
    written.with_context(|| format!("could not write {}", path.display()))?;
    view::print(format!("{} dead letters written to {}", found.len(), path.display()));
    Ok(code)
}

/// Writes a file that is not there yet: all of it, or none. Pipes and devices take it as they are.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    let mut file = File::create_new(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        fs::remove_file(path).ok();
    }
    written
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Replay,
    Drop,
}

async fn decide(context: &Context, args: &DlqDecide, action: Action) -> Result<ExitCode> {
    let selection = selection(&args.select, false);
    if !args.all_waiting && !selection.is_narrow() {
        bail!(
            "say which dead letters: ids, --pipe, --class, --older-than, --newer-than, or --all-waiting for \
             every one that waits; see: feedfleet dlq list"
        );
    }
    let (found, unreadable) = find(&letters(context)?, &selection, context.clock.now()).await?;
    let mut code = complain(&unreadable);
    if found.is_empty() {
        refuse_unknown_pipe(context, &selection).await?;
        view::print(nothing_found(&selection));
        return Ok(code);
    }
    let Signature { by, note } = args.signature.clone();
    let decider = Decider { by, note, dry_run: args.dry_run };
    let mut desk = Desk::new(&context.scheduler()?);
    let mut pace = args.rate.filter(|_| !args.dry_run).map(interval);
    let mut tally: BTreeMap<&'static str, u64> = BTreeMap::new();
    for letter in &found {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let verdict = match action {
            Action::Replay => desk.replay(letter, &decider).await,
            Action::Drop => desk.give_up(letter, &decider).await,
        };
        let word = match verdict {
            Ok(verdict) => {
                view::print(told(letter, &verdict, args.dry_run));
                if matches!(verdict, Verdict::Left(_)) {
                    code = ExitCode::FAILURE;
                }
                verdict.word()
            }
            // One letter that fails keeps no other waiting.
            Err(e) => {
                view::tell(format_args!("{}: {e}", printable(&letter.id)));
                code = ExitCode::FAILURE;
                "failed"
            }
        };
        *tally.entry(word).or_default() += 1;
    }
    let tally: Vec<String> = tally.iter().map(|(word, n)| format!("{n} {word}")).collect();
    let dry = if args.dry_run { "dry run, nothing was changed; without it: " } else { "" };
    view::print(format!("{dry}{}", tally.join(", ")));
    Ok(code)
}

fn interval(rate: f64) -> Interval {
    let mut interval = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn told(letter: &DeadLetter, verdict: &Verdict, dry_run: bool) -> String {
    let id = printable(&letter.id);
    let would = if dry_run { "would be " } else { "" };
    let why = verdict.why().map(|why| format!(": {}", printable(why))).unwrap_or_default();
    format!("{id} {would}{}{why}", verdict.word())
}
