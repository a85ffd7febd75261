//! Finds and loads the configuration's files.

use crate::document::Document;
use crate::environment::Environment;
use crate::error::{ConfigError, ConfigErrors};
use crate::fleet::Fleet;
use crate::pipe::Pipe;
use crate::read;
use crate::shares;
use feedfleet_model::PipeName;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FLEET_FILE: &str = "fleet.toml";
const PIPES_FOLDER: &str = "pipes";

/// A folder's configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings of the whole fleet.
    pub fleet: Fleet,
    /// The file they came from; none: there is no `fleet.toml`, and every setting has its default.
    pub fleet_file: Option<PathBuf>,
    /// The partners' pipes, by name.
    pub pipes: Vec<Pipe>,
    /// The folder, absolute.
    pub folder: PathBuf,
}

/// Loads `folder/fleet.toml` and every `folder/pipes/*.toml`; either may be absent. Fails with all
/// mistakes of all files together.
pub fn load(folder: &Path, environment: &dyn Environment) -> Result<Config, ConfigErrors> {
    let (config, errors) = load_lenient(folder, environment)?;
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

/// As [`load`], but leaves out pipes with mistakes and gives the mistakes beside the others: one
/// broken pipe does not stop the rest. A broken `fleet.toml` fails, for with defaults in its place
/// the fleet would work in another place than meant.
pub fn load_lenient(
    folder: &Path,
    environment: &dyn Environment,
) -> Result<(Config, ConfigErrors), ConfigErrors> {
    let absolute = std::path::absolute(folder).map_err(|e| unreadable(folder, &e))?;
    if !absolute.is_dir() {
        return Err(ConfigError::of_file(folder, "there is no such folder").into());
    }
    let (fleet, fleet_file) = load_fleet(&absolute, environment)?;
    let mut pipes = Vec::new();
    let mut errors = ConfigErrors::default();
    for file in pipe_files(&absolute)? {
        match load_pipe_file(&absolute, &file, environment) {
            Ok(pipe) => pipes.push(pipe),
            Err(more) => errors.extend(more),
        }
    }
    pipes.sort_by(|a, b| a.name.cmp(&b.name));
    errors.extend(shares::take_out_too_many(fleet.hosts.concurrency, &mut pipes));
    Ok((Config { fleet, fleet_file, pipes, folder: absolute }, errors))
}

/// Reads the text of a `fleet.toml`. Relative paths in it start at `folder`, which should be
/// absolute.
pub fn parse_fleet(
    text: &str,
    folder: &Path,
    environment: &dyn Environment,
) -> Result<Fleet, ConfigErrors> {
    let document = Document::new(Path::new(FLEET_FILE), text, folder, environment);
    let fleet = read::fleet(&document);
    settle(fleet, &document)
}

/// Reads the text of a pipe's file. Relative paths in it start at `folder`, which should be
/// absolute.
pub fn parse_pipe(
    name: &PipeName,
    text: &str,
    folder: &Path,
    environment: &dyn Environment,
) -> Result<Pipe, ConfigErrors> {
    let file = Path::new(PIPES_FOLDER).join(format!("{name}.toml"));
    let document = Document::new(&file, text, folder, environment);
    let pipe = read::pipe(&document, name.clone());
    settle(pipe, &document)
}

/// Loads one pipe, or supplement, by its name, as it is now.
pub fn load_pipe(
    folder: &Path,
    name: &PipeName,
    environment: &dyn Environment,
) -> Result<Pipe, ConfigErrors> {
    let file = pipe_file(name);
    let pipe = load_pipe_file(folder, &file, environment)?;
    let Some(own_name) = name.supplement() else { return Ok(pipe) };
    let found = pipe.supplements.into_iter().find(|supplement| supplement.name == *name);
    found.ok_or_else(|| {
        ConfigError::of_file(&file, format!("it has no [supplements.{own_name}]")).into()
    })
}

/// The file that has a pipe, or a supplement, relative to the folder.
pub fn pipe_file(name: &PipeName) -> PathBuf {
    Path::new(PIPES_FOLDER).join(format!("{}.toml", name.pipe()))
}

/// What was read counts only if there was no mistake.
fn settle<T>(read: Option<T>, document: &Document<'_>) -> Result<T, ConfigErrors> {
    let errors = document.finish();
    match read {
        Some(read) if errors.is_empty() => Ok(read),
        Some(_) => Err(errors),
        None if errors.is_empty() => {
            Err(ConfigError::of_file(document.file(), "it can't be read").into())
        }
        None => Err(errors),
    }
}

fn load_fleet(
    folder: &Path,
    environment: &dyn Environment,
) -> Result<(Fleet, Option<PathBuf>), ConfigErrors> {
    let file = folder.join(FLEET_FILE);
    match fs::read_to_string(&file) {
        Ok(text) => Ok((parse_fleet(&text, folder, environment)?, Some(file))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok((Fleet::defaults(folder), None)),
        Err(e) => Err(unreadable(Path::new(FLEET_FILE), &e)),
    }
}

fn load_pipe_file(
    folder: &Path,
    file: &Path,
    environment: &dyn Environment,
) -> Result<Pipe, ConfigErrors> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name: PipeName = stem.parse().map_err(|e: feedfleet_model::InvalidPipeName| {
        ConfigErrors::from(ConfigError::of_file(file, e.to_string()))
    })?;
    if name.is_supplement() {
        let message = "a supplement has no file of its own: it is a part of its pipe's";
        return Err(ConfigError::of_file(file, message).into());
    }
    let text = fs::read_to_string(folder.join(file)).map_err(|e| unreadable(file, &e))?;
    parse_pipe(&name, &text, folder, environment)
}

/// The files of pipes, relative to the folder, in order of their names. Hidden files are left
/// alone: editors keep theirs so.
fn pipe_files(folder: &Path) -> Result<Vec<PathBuf>, ConfigErrors> {
    let pipes = Path::new(PIPES_FOLDER);
    let entries = match fs::read_dir(folder.join(pipes)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(pipes, &e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| unreadable(pipes, &e))?.file_name();
        let file = pipes.join(&name);
        let is_hidden = name.to_string_lossy().starts_with('.');
        if !is_hidden && file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(file: &Path, error: &std::io::Error) -> ConfigErrors {
    ConfigError::of_file(file, format!("it can't be read: {error}")).into()
}
