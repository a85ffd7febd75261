//! Whether the configuration loads: `fleet.toml`, every pipe's file, and each pipe as its reader will
//! understand it.

use super::Finding;
use crate::context::Context;
use feedfleet_config::{ConfigError, ConfigErrors};
use feedfleet_feed::Settings;
use std::path::Path;

const CHECK: &str = "configuration";

/// Loads the configuration; none where `fleet.toml` itself cannot be used. Pipes with mistakes are left
/// out of it, and told.
pub fn check(folder: &Path) -> (Option<Context>, Vec<Finding>) {
    let context = match Context::load(folder) {
        Ok(context) => context,
        Err(e) => {
            let findings = match e.downcast_ref::<ConfigErrors>() {
                Some(errors) => errors.iter().map(mistake).collect(),
                None => vec![Finding::broken(CHECK, format!("{e:#}"), "see --config")],
            };
            return (None, findings);
        }
    };
    let mut findings: Vec<Finding> = context.mistakes.iter().map(mistake).collect();
    let mut sound = 0;
    for pipe in &context.config.pipes {
        match Settings::of(pipe) {
            Ok(_) => sound += 1,
            Err(e) => {
                let found = format!("{}: {e}", pipe.file.display());
                findings.push(Finding::broken(CHECK, found, "correct the pipe's file"));
            }
        }
    }
    findings.push(summary(&context, sound));
    (Some(context), findings)
}

fn summary(context: &Context, sound: usize) -> Finding {
    let config = &context.config;
    let folder = config.folder.display();
    if !config.pipes.is_empty() || !context.mistakes.is_empty() {
        let fleet = match config.fleet_file {
            Some(_) => "fleet.toml",
            None => "no fleet.toml (every setting has its default)",
        };
        return Finding::ok(CHECK, format!("{fleet} and {sound} sound pipes in {folder}"));
    }
    if config.fleet_file.is_none() {
        let found = format!("there is neither a fleet.toml nor a pipe in {folder}");
        let remedy = "go to the folder that has them, name it with --config, or begin with a \
                      pipes/NAME.toml (docs/configuration.md)";
        return Finding::broken(CHECK, found, remedy);
    }
    let found = format!("fleet.toml and no pipe in {folder}");
    Finding::warning(CHECK, found, "begin with a pipes/NAME.toml (docs/configuration.md)")
}

fn mistake(e: &ConfigError) -> Finding {
    let mut found = e.file.display().to_string();
    if e.line > 0 {
        found.push_str(&format!(":{}:{}", e.line, e.column));
    }
    found.push_str(&format!(": {}", e.message));
    let remedy = match &e.expected {
        Some(expected) => expected.clone(),
        None => "correct it; feedfleet pipes check shows the line".to_owned(),
    };
    Finding::broken(CHECK, found, remedy)
}
