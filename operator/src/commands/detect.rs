//! `feedfleet pipes detect`.

use super::pipes::no_such_pipe;
use crate::context::Context;
use crate::view;
use anyhow::{Context as _, Result, bail};
use feedfleet_config::{Location, Pipe, parse_pipe, written_place};
use feedfleet_model::{PipeName, Reason, text};
use feedfleet_worker::detect::{Found, Seen, detect as look};
use serde_json::json;
use std::path::{Component, Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Between two looks at how much has come.
const TELL: Duration = Duration::from_secs(1);
/// Between two lines that say it, where nobody sees the one that changes.
const TELL_UNSEEN_SECS: u64 = 10;

/// Looks at a source, or at that of a pipe, and proposes a pipe for it.
pub async fn detect(
    folder: &Path,
    source: Option<&str>,
    pipe: Option<&PipeName>,
    json: bool,
) -> Result<ExitCode> {
    let context = Context::load(folder)?;
    let Place { pipe, lines } = match (source, pipe) {
        (Some(source), _) => place_of(&context, source)?,
        (None, Some(name)) => place_of_pipe(&context, name)?,
        (None, None) => bail!("neither an address nor a pipe is named"),
    };
    let place = pipe.source.location.display();
    let came = Arc::new(AtomicU64::new(0));
    let (http, remote) = (context.http()?, context.remote());
    let found = match watched(look(&http, &remote, &pipe, &came), &place, &came).await {
        Ok(found) => found,
        Err(reason) => bail!("{}", refusal(&place, &reason)),
    };
    let toml = match &found.seen {
        Seen::Source(detected) => detected.to_toml_at(&lines),
        Seen::Page(page) => page.to_toml_at(&lines),
    };
    if json {
        view::print_json(&as_json(&found, &place, &toml))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Its control characters are escapes already, and JSON's escapes are TOML's.
    view::print(text::printable_json(toml.trim_end()));
    if matches!(found.seen, Seen::Source(_)) {
        view::tell(transport(&found, &pipe.source.location));
    }
    view::tell(
        "save this as pipes/NAME.toml, then: feedfleet pipes check NAME; feedfleet pipes preview NAME",
    );
    Ok(ExitCode::SUCCESS)
}

/// Waits for what a look finds, and says meanwhile how much has come.
async fn watched<T>(looking: impl Future<Output = T>, place: &str, came: &AtomicU64) -> T {
    let bar = view::spinner();
    let mut looking = pin!(looking);
    let mut ticks = tokio::time::interval(TELL);
    let mut waited = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            found = &mut looking => {
                bar.finish_and_clear();
                return found;
            }
            _ = ticks.tick() => {
                let so_far = text::bytes(came.load(Ordering::Relaxed));
                let told = format!("looking at {}: {so_far} so far", text::printable(place));
                if bar.is_hidden() && !waited.is_zero() && waited.as_secs().is_multiple_of(TELL_UNSEEN_SECS) {
                    view::tell(&told);
                }
                bar.set_message(told);
                waited += TELL;
            }
        }
    }
}

/// Why nothing was found, with the place, which many reasons name themselves.
fn refusal(place: &str, reason: &Reason) -> String {
    let told = if reason.message.contains(place) {
        reason.to_string()
    } else {
        format!("{place}: {reason}")
    };
    text::printable(&told).into_owned()
}

/// Where a source is.
struct Place {
    /// A pipe that opens it.
    pipe: Pipe,
    /// What a pipe's file says of it.
    lines: String,
}

fn place_of(context: &Context, source: &str) -> Result<Place> {
    let (to_open, to_save) = if source.contains("://") {
        (source.to_owned(), source.to_owned())
    } else {
        let path = std::path::absolute(source)
            .with_context(|| format!("there is no place such as {source}"))?;
        let path = without_steps_back(path);
        (path.display().to_string(), saved_path(&path, &context.config.folder))
    };
    // Where it is, read as a pipe's file says it; a string of JSON is one of TOML.
    let text = format!(
        "[source]\nurl = {}\nformat = \"jsonl\"\n[map]\nid = \"id\"\n",
        serde_json::to_string(&to_open)?
    );
    let name: PipeName = "detect".parse()?;
    let environment = context.environment.as_ref();
    match parse_pipe(&name, &text, &context.config.folder, environment) {
        Ok(pipe) => {
            Ok(Place { pipe, lines: format!("url = {}\n", serde_json::to_string(&to_save)?) })
        }
        Err(mistakes) => {
            let told = mistakes.iter().map(|mistake| {
                let expected = mistake.expected.as_deref();
                let expected = expected.map(|text| format!("; {text}")).unwrap_or_default();
                format!("{}{expected}", mistake.message)
            });
            bail!("{}", told.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The place of a pipe's source, as its file has it.
fn place_of_pipe(context: &Context, name: &PipeName) -> Result<Place> {
    let Some(pipe) = context.config.sources().find(|pipe| pipe.name == *name) else {
        bail!("{}", no_such_pipe(context, name));
    };
    if matches!(pipe.source.location, Location::Site(_)) {
        bail!("{name}: the pages of a site are looked at by feedfleet pipes preview {name}");
    }
    let file = context.config.folder.join(&pipe.file);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("could not read {}", file.display()))?;
    let lines = written_place(&text, name)
        .with_context(|| format!("{} has changed meanwhile", file.display()))?;
    Ok(Place { pipe: pipe.clone(), lines })
}

/// A file's path as a pipe in this folder should name it.
fn saved_path(path: &Path, folder: &Path) -> String {
    let Ok(inside) = path.strip_prefix(folder) else { return path.display().to_string() };
    // With a ':' in it, a name may read like an address.
    let is_plain = !inside.as_os_str().as_encoded_bytes().contains(&b':');
    let here = if is_plain { "" } else { "./" };
    format!("{here}{}", inside.display())
}

/// A file's path without the steps back in it, if that is the same file: a link may stand before one.
fn without_steps_back(path: PathBuf) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            tidy.pop();
        } else {
            tidy.push(part);
        }
    }
    match (tidy.canonicalize(), path.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => tidy,
        _ => path,
    }
}

fn transport(found: &Found, location: &Location) -> String {
    if let Location::File(_) = location {
        return "transport: a file, which is read whole every night".to_owned();
    }
    let end = if found.shows_its_end { "shows its end" } else { "does not show its end" };
    let is_web = matches!(location, Location::Http(_));
    let unchanged = match (found.has_validators, is_web) {
        (true, _) => "an unchanged source will not be sent again",
        (false, true) => "it is sent whole every night: it has neither ETag nor Last-Modified",
        (false, false) => "it is sent whole every night: its server tells no time of change",
    };
    // Others have no word for what they send.
    let kind = match found.content_type.as_deref() {
        Some(kind) => format!("{}; ", text::printable(kind)),
        None if is_web => "no Content-Type; ".to_owned(),
        None => String::new(),
    };
    format!("transport: {kind}the transfer {end}; {unchanged}")
}

fn as_json(found: &Found, place: &str, toml: &str) -> serde_json::Value {
    let (kind, detected) = match &found.seen {
        Seen::Source(detected) => ("feed", json!(detected)),
        Seen::Page(page) => ("site", json!({ "product": page.product })),
    };
    json!({
        "kind": kind,
        "source": place,
        "content_type": found.content_type,
        "has_validators": found.has_validators,
        "shows_its_end": found.shows_its_end,
        "detected": detected,
        "toml": toml,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_name_like_an_address_is_named_in_its_folder() {
        for (path, expected) in [
            ("/conf/shop.csv", "shop.csv"),
            ("/conf/shop:1.csv", "./shop:1.csv"),
            ("/data/shop:1.csv", "/data/shop:1.csv"),
        ] {
            assert_eq!(saved_path(Path::new(path), Path::new("/conf")), expected);
        }
    }
}
