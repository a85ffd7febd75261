//! `feedfleet pipes list`, `check`, `pause` and `resume`.

use crate::cli::Signature;
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use feedfleet_config::Pipe;
use feedfleet_feed::Settings;
use feedfleet_model::PipeName;
use feedfleet_model::report::RunState;
use feedfleet_objects::ReportError;
use feedfleet_scheduler::pause::{self, Pause};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Pipes that are named to somebody who named none of them.
const MOST_NAMED: usize = 5;

#[derive(Serialize)]
struct PipeView {
    pipe: PipeName,
    location: Option<String>,
    format: Option<String>,
    schedule: Option<String>,
    timezone: Option<String>,
    next_run: Option<DateTime<Utc>>,
    last_run: Option<DateTime<Utc>>,
    last_state: Option<RunState>,
    live: Option<u64>,
    paused: Option<Pause>,
}

/// Lists the pipes: configuration from their files, the last run from its report, products from the table. Of a pipe
/// that lacks variables here, what its file says stays open.
pub async fn list(folder: &Path, json: bool) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let now = context.clock.now();
    let live = match live_products(&context) {
        Ok(live) => live,
        Err(e) => {
            view::tell(view::told(&e));
            None
        }
    };
    let sound = context.config.sources().map(|pipe| (pipe.name.clone(), Some(pipe)));
    let lacking = context.lacking_variables().into_iter().map(|name| (name, None));
    let known: BTreeMap<PipeName, Option<&Pipe>> = sound.chain(lacking).collect();
    let mut last_runs = context.reports()?.last_of_each(known.keys().cloned().collect()).await;
    let mut pauses = pause::all_paused(&context.objects()?).await.unwrap_or_else(|e| {
        view::tell(&e);
        BTreeMap::new()
    });
    let mut pipes = Vec::new();
    for (name, pipe) in known {
        let last = last_runs.remove(&name).and_then(|last| read(&name, last)).flatten();
        let paused = pauses.remove(&name).and_then(|paused| read(&name, paused));
        let schedule = pipe.and_then(|pipe| pipe.schedule.as_ref());
        let next = pipe.and_then(|pipe| pipe.next_run_after(now));
        pipes.push(PipeView {
            location: pipe.map(|pipe| pipe.source.location.display()),
            format: pipe.map(|pipe| pipe.source.format.name().to_owned()),
            schedule: schedule.map(|s| s.cron.clone()),
            timezone: schedule.map(|s| s.timezone.to_string()),
            next_run: next.filter(|_| paused.is_none()),
            last_run: last.as_ref().map(|r| r.scheduled_at()),
            last_state: last.as_ref().map(|r| r.state),
            // A supplement has none of its own.
            live: live
                .as_ref()
                .filter(|_| !name.is_supplement())
                .map(|live| live.get(name.as_str()).copied().unwrap_or(0)),
            paused,
            pipe: name,
        });
    }
    for mistake in context.mistakes.iter() {
        view::tell(mistake);
    }
    if json {
        view::print_json(&pipes)?;
    } else {
        view::print(rendered(&pipes, now));
        for pipe in &pipes {
            if let Some(paused) = &pipe.paused {
                let is_its =
                    |other: &PipeView| other.pipe != pipe.pipe && other.pipe.pipe() == pipe.pipe;
                let all = if pipes.iter().any(is_its) { " with its supplements" } else { "" };
                view::print(format!("{} is paused{all} {paused}", pipe.pipe));
            }
        }
    }
    let is_sound = context.mistakes.iter().all(|mistake| context.may_be_set_elsewhere(mistake));
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was read of a pipe. What cannot be is told, and hides nothing else.
fn read<T>(pipe: &PipeName, read: Result<T, ReportError>) -> Option<T> {
    read.map_err(|e| view::tell(format_args!("{pipe}: {e}"))).ok()
}

/// Products in the table, by pipe; none where there is no table yet.
fn live_products(context: &Context) -> Result<Option<BTreeMap<String, u64>>> {
    let catalog = context.catalog()?;
    let Some(snapshot) = catalog.products().snapshot()? else { return Ok(None) };
    let mut live = BTreeMap::new();
    for file in snapshot.files(None)? {
        let rows = file.live_rows();
        *live.entry(file.pipe).or_default() += rows;
    }
    Ok(Some(live))
}

fn rendered(pipes: &[PipeView], now: DateTime<Utc>) -> comfy_table::Table {
    let mut table = view::table(&[
        "pipe", "format", "schedule", "next run", "last run", "state", "products", "source",
    ]);
    for pipe in pipes {
        let schedule = match (&pipe.schedule, &pipe.timezone) {
            (Some(cron), Some(zone)) => format!("{cron} ({zone})"),
            _ if pipe.location.is_none() => String::new(),
            _ => "when asked".to_owned(),
        };
        let moment =
            |at: Option<DateTime<Utc>>| at.map_or_else(String::new, |at| view::distance(now, at));
        table.add_row(vec![
            pipe.pipe.to_string().into(),
            pipe.format.clone().unwrap_or_default().into(),
            schedule.into(),
            if pipe.paused.is_some() { "paused".into() } else { moment(pipe.next_run).into() },
            moment(pipe.last_run).into(),
            pipe.last_state.map_or("", RunState::word).into(),
            pipe.live.map_or_else(|| "".into(), view::number),
            pipe.location.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

/// Checks the configuration of all pipes, or of one; every mistake is printed.
pub fn check(folder: &Path, only: Option<&PipeName>) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    if let Some(name) = only
        && is_sound(&context, &name.pipe())
        && !is_sound(&context, name)
    {
        bail!("{}", no_such_pipe(&context, name));
    }
    let concerns = |file: &Path| {
        only.is_none_or(|name| file.file_stem().is_some_and(|stem| stem == name.pipe().as_str()))
    };
    let mut mistakes = 0;
    for mistake in context.mistakes.iter().filter(|m| concerns(&m.file)) {
        view::print(mistake);
        mistakes += 1;
    }
    let mut sound = 0;
    let is_meant = |pipe: &&Pipe| only.is_none_or(|name| pipe.name == name.pipe());
    for pipe in context.config.pipes.iter().filter(is_meant) {
        let mut sources = std::iter::once(pipe).chain(&pipe.supplements);
        match sources.try_for_each(check_reading) {
            Ok(()) => {
                view::print(format!("{}: ok", pipe.file.display()));
                sound += 1;
            }
            Err(e) => {
                view::print(format!("{}: {e}", pipe.file.display()));
                mistakes += 1;
            }
        }
    }
    if let Some(name) = only
        && sound + mistakes == 0
    {
        bail!("{}", no_such_pipe(&context, name));
    }
    if mistakes > 0 {
        view::print(format!("sound pipes: {sound}; mistakes: {mistakes}"));
        return Ok(ExitCode::FAILURE);
    }
    view::print(format!("sound pipes: {sound}; no mistakes"));
    Ok(ExitCode::SUCCESS)
}

fn check_reading(pipe: &Pipe) -> Result<()> {
    Settings::of(pipe)?;
    if let feedfleet_config::Location::File(path) = &pipe.source.location
        && !path.is_file()
    {
        bail!("there is no file {}; correct url under [source]", path.display());
    }
    Ok(())
}

/// Keeps a pipe from running.
pub async fn pause(folder: &Path, pipe: &PipeName, signature: Signature) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    if !is_configured(&context, pipe) {
        bail!("{}", no_such_pipe(&context, pipe));
    }
    let objects = context.objects()?;
    let Signature { by, note } = signature;
    let said = Pause { at: context.clock.now(), by, note, rolled_back: None };
    if pause::pause(objects.as_ref(), pipe, &said).await? {
        view::print(format!(
            "'{pipe}' is paused; a run of it that is under way goes on. To let it run again: feedfleet \
             pipes resume {pipe}"
        ));
    } else {
        let earlier = pause::paused(objects.as_ref(), pipe).await?;
        let earlier = earlier.map_or_else(String::new, |earlier| format!(" {earlier}"));
        view::print(format!("'{pipe}' is paused already{earlier}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets a paused pipe run again.
pub async fn resume(folder: &Path, pipe: &PipeName) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let objects = context.objects()?;
    if pause::resume(objects.as_ref(), pipe).await? {
        view::print(format!("'{pipe}' runs again: by its schedule, or now: feedfleet run {pipe}"));
    } else if let Some((over, paused)) = pause::pause_over(objects.as_ref(), pipe).await? {
        view::print(format!(
            "'{pipe}' has no pause of its own: '{over}' is paused {paused}; to let them run again: feedfleet pipes \
             resume {over}"
        ));
    } else if is_configured(&context, pipe) {
        view::print(format!("'{pipe}' was not paused"));
    } else {
        bail!("{}", no_such_pipe(&context, pipe));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the pipe has a file here that lacks nothing but variables: who needs its name alone needs no secrets.
pub fn is_configured(context: &Context, name: &PipeName) -> bool {
    is_sound(context, name) || context.lacking_variables().contains(&name.pipe())
}

/// Whether the pipe has a file here, or the supplement a place in one, without a mistake.
pub fn is_sound(context: &Context, name: &PipeName) -> bool {
    context.config.sources().any(|known| known.name == *name)
}

/// What to say of a pipe that is not there, or whose file has mistakes: those, and no other pipe's.
pub fn no_such_pipe(context: &Context, name: &PipeName) -> String {
    let own: Vec<String> = context.mistakes_of(name).map(ToString::to_string).collect();
    if !own.is_empty() {
        return format!("the file of pipe '{}' has mistakes\n{}", name.pipe(), own.join("\n"));
    }
    let pipe = context.config.pipes.iter().find(|pipe| pipe.name == name.pipe());
    if let (Some(pipe), Some(supplement)) = (pipe, name.supplement()) {
        return no_such_supplement(pipe, supplement);
    }
    let lacking = context.lacking_variables();
    let others = lacking.iter().filter(|other| *other != name);
    let sound = context.config.sources().map(|p| &p.name);
    let mut names: Vec<&str> = sound.chain(others).map(PipeName::as_str).collect();
    names.sort_unstable();
    let known = near_ones(name.as_str(), &names);
    let expected = match feedfleet_config::nearest(name.as_str(), names.iter().copied()) {
        Some(near) => format!("did you mean '{near}'? Expected"),
        None => "expected".to_owned(),
    };
    format!(
        "there is no pipe '{name}': {expected} a file {}; pipes here: {known}",
        context.config.folder.join("pipes").join(format!("{}.toml", name.pipe())).display()
    )
}

/// All pipes of a fleet that has few, and else those whose names are nearest.
fn near_ones(name: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut near = names.to_vec();
    if names.len() > MOST_NAMED {
        near.sort_by_cached_key(|known| feedfleet_config::distance(name, known));
        near.truncate(MOST_NAMED);
    }
    let more = match names.len() - near.len() {
        0 => String::new(),
        more => format!(" and {more} more, see feedfleet pipes list"),
    };
    format!("{}{more}", near.join(", "))
}

/// What to say of a supplement that a pipe does not have.
fn no_such_supplement(pipe: &Pipe, supplement: &str) -> String {
    let names: Vec<&str> = pipe.supplements.iter().filter_map(|s| s.name.supplement()).collect();
    let hint = match feedfleet_config::nearest(supplement, names.iter().copied()) {
        Some(near) => format!("did you mean '{}.{near}'?", pipe.name),
        None => format!("expected [supplements.{supplement}] in {}", pipe.file.display()),
    };
    let others =
        if names.is_empty() { String::new() } else { format!(", only {}", names.join(", ")) };
    format!("pipe '{}' has no supplement '{supplement}'{others}: {hint}", pipe.name)
}
