//! `feedfleet pipes detect`.

use crate::context::Context;
use crate::view;
use anyhow::{Context as _, Result, bail};
use feedfleet_config::parse_pipe;
use feedfleet_model::{PipeName, text};
use feedfleet_worker::detect::{Found, detect as look};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Looks at a source and proposes a pipe for it.
pub async fn detect(folder: &Path, source: &str, json: bool) -> Result<ExitCode> {
    let context = Context::load(folder)?;
    let (to_open, to_save) = if source.contains("://") {
        (source.to_owned(), source.to_owned())
    } else {
        let path = std::path::absolute(source)
            .with_context(|| format!("there is no place such as {source}"))?;
        (path.display().to_string(), saved_path(&path, &context.config.folder))
    };
    // Where it is, read as a pipe's file says it; a string of JSON is one of TOML.
    let text = format!(
        "[source]\nurl = {}\nformat = \"jsonl\"\n[map]\nid = \"id\"\n",
        serde_json::to_string(&to_open)?
    );
    let name: PipeName = "detect".parse()?;
    let environment = context.environment.as_ref();
    let pipe = match parse_pipe(&name, &text, &context.config.folder, environment) {
        Ok(pipe) => pipe,
        Err(mistakes) => {
            let told = mistakes.iter().map(|mistake| {
                let expected = mistake.expected.as_deref();
                let expected = expected.map(|text| format!("; {text}")).unwrap_or_default();
                format!("{}{expected}", mistake.message)
            });
            bail!("{}", told.collect::<Vec<_>>().join("\n"));
        }
    };
    let place = pipe.source.location.display();
    let found = match look(&context.http()?, &context.remote(), &pipe).await {
        Ok(found) => found,
        Err(reason) => bail!("{place}: {}", text::printable(&reason.to_string())),
    };
    let toml = found.detected.to_toml(&to_save);
    if json {
        view::print_json(&as_json(&found, &place, &toml))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Its control characters are escapes already, and JSON's escapes are TOML's.
    view::print(text::printable_json(toml.trim_end()));
    eprintln!("{}", transport(&found));
    eprintln!(
        "save this as pipes/NAME.toml, then: feedfleet pipes check NAME; feedfleet pipes preview NAME"
    );
    Ok(ExitCode::SUCCESS)
}

/// A file's path as a pipe in this folder should name it.
fn saved_path(path: &Path, folder: &Path) -> String {
    let inside = path.strip_prefix(folder).map(PathBuf::from);
    inside.unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn transport(found: &Found) -> String {
    let kind = found.content_type.as_deref().unwrap_or("no Content-Type");
    let end = if found.shows_its_end { "shows its end" } else { "does not show its end" };
    let unchanged = if found.has_validators {
        "an unchanged source will not be sent again"
    } else {
        "it is sent whole every night: it has neither ETag nor Last-Modified"
    };
    format!("transport: {}; the transfer {end}; {unchanged}", text::printable(kind))
}

fn as_json(found: &Found, place: &str, toml: &str) -> serde_json::Value {
    json!({
        "source": place,
        "content_type": found.content_type,
        "has_validators": found.has_validators,
        "shows_its_end": found.shows_its_end,
        "detected": found.detected,
        "toml": toml,
    })
}
