//! Whether the configuration loads: `fleet.toml`, every pipe's file, and each pipe as its reader will
//! understand it.

use super::Finding;
use crate::context::Context;
use feedfleet_config::{ConfigError, ConfigErrors, FleetBackend};
use feedfleet_feed::Settings;
use std::collections::BTreeSet;
use std::path::Path;

const CHECK: &str = "configuration";
/// What to do where nothing is configured.
const ELSEWHERE: &str = "go to the folder that has fleet.toml and the pipes, name it with --config, or begin with a \
                         pipes/NAME.toml (docs/configuration.md)";

/// Loads the configuration; none where `fleet.toml` itself cannot be used. Pipes with mistakes are left
/// out of it, and told.
pub fn check(folder: &Path) -> (Option<Context>, Vec<Finding>) {
    let context = match Context::load(folder) {
        Ok(context) => context,
        Err(e) => {
            let findings = match e.downcast_ref::<ConfigErrors>() {
                Some(errors) if !folder.is_dir() => {
                    errors.iter().map(|e| Finding::broken(CHECK, told(e), ELSEWHERE)).collect()
                }
                Some(errors) => errors.iter().map(mistake).collect(),
                None => vec![Finding::broken(CHECK, format!("{e:#}"), "see --config")],
            };
            return (None, findings);
        }
    };
    let of_pipe = |e| mistake_of_pipe(&context.config.fleet.fleet, e);
    let mut findings: Vec<Finding> = context.mistakes.iter().map(of_pipe).collect();
    let mut sound = 0;
    for pipe in &context.config.pipes {
        let mut sources = std::iter::once(pipe).chain(&pipe.supplements);
        match sources.try_for_each(|source| Settings::of(source).map(drop)) {
            Ok(()) => sound += 1,
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
        return Finding::broken(CHECK, found, ELSEWHERE);
    }
    let found = format!("fleet.toml and no pipe in {folder}");
    Finding::warning(CHECK, found, "begin with a pipes/NAME.toml (docs/configuration.md)")
}

/// A variable that is not set here may be set on the instances, where the pipe is read.
fn mistake_of_pipe(fleet: &FleetBackend, e: &ConfigError) -> Finding {
    let (FleetBackend::AutoScaling { group }, Some(variable)) = (fleet, &e.unset) else {
        return mistake(e);
    };
    // Groups that infra/ made are called so.
    let name = group.strip_suffix("-workers").unwrap_or("NAME");
    let found = format!("{}; the source is not asked from here", told(e));
    let remedy = format!(
        "on the instances it has to be the parameter /feedfleet/{name}/{variable} (infra/README.md); set it here \
         too if the source is to be asked from here"
    );
    Finding::warning(CHECK, found, remedy)
}

fn told(e: &ConfigError) -> String {
    let mut told = e.file.display().to_string();
    if e.line > 0 {
        told.push_str(&format!(":{}:{}", e.line, e.column));
    }
    told.push_str(&format!(": {}", e.message));
    told
}

/// What to do about variables that are not set.
pub fn set(variables: &[&str]) -> String {
    let variables: BTreeSet<&str> = variables.iter().copied().collect();
    let variables: Vec<&str> = variables.into_iter().collect();
    format!("set {} in the environment of scheduler and workers, and here", variables.join(", "))
}

fn mistake(e: &ConfigError) -> Finding {
    let remedy = match (&e.unset, &e.expected) {
        (Some(variable), _) => set(&[variable.as_str()]),
        (None, Some(expected)) => expected.clone(),
        (None, None) if e.line == 0 => "correct that file, its name, or who may read it".to_owned(),
        (None, None) => "correct it; feedfleet pipes check shows the line".to_owned(),
    };
    Finding::broken(CHECK, told(e), remedy)
}

/// A sound configuration with one pipe, acme, made in this folder.
#[cfg(test)]
pub fn sound(folder: &Path) -> Context {
    let pipe =
        "[source]\nurl = \"https://acme.example/feed\"\nformat = \"csv\"\n[map]\nid = \"sku\"\n";
    std::fs::create_dir(folder.join("pipes")).unwrap();
    std::fs::write(folder.join("pipes/acme.toml"), pipe).unwrap();
    check(folder).0.unwrap()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::scratch::Scratch;
    use super::*;
    use std::fs;

    const UNSET: &str = "https://acme.example/feed?key=${NEVER_SET_4711}";
    const ON_AWS: &str = "[queue]\nbackend = \"sqs\"\n\
                          crawl_url = \"https://sqs.eu-central-1.amazonaws.com/1/crawl.fifo\"\n\
                          image_url = \"https://sqs.eu-central-1.amazonaws.com/1/image.fifo\"\n\
                          crawl_dead_url = \"https://sqs.eu-central-1.amazonaws.com/1/crawl-dead.fifo\"\n\
                          image_dead_url = \"https://sqs.eu-central-1.amazonaws.com/1/image-dead.fifo\"\n\
                          [catalog]\nurl = \"s3://acme/catalog\"\n\
                          [objects]\nurl = \"s3://acme/objects\"\n\
                          [fleet]\nbackend = \"autoscaling\"\ngroup = \"shop-workers\"\n";

    /// What is found of a fleet with one pipe, but for the summary, and the pipes that lack variables.
    fn examined(fleet: &str, url: &str, rest: &str) -> (Vec<Finding>, Vec<String>) {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let pipe =
            format!("[source]\nurl = \"{url}\"\nformat = \"csv\"\n[map]\nid = \"sku\"\n{rest}");
        fs::write(scratch.path().join("fleet.toml"), fleet).unwrap();
        fs::create_dir(scratch.path().join("pipes")).unwrap();
        fs::write(scratch.path().join("pipes/acme.toml"), pipe).unwrap();
        let (context, mut findings) = check(scratch.path());
        findings.pop();
        let lacking = context.unwrap().lacking_variables();
        (findings, lacking.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_variable_that_instances_may_have_is_a_warning() {
        let (findings, lacking) = examined(ON_AWS, UNSET, "");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].state, State::Warning, "{findings:?}");
        let line = findings[0].to_string();
        assert!(line.contains("pipes/acme.toml:2:38: variable NEVER_SET_4711"), "{line}");
        assert!(line.contains("/feedfleet/shop/NEVER_SET_4711 "), "{line}");
        assert_eq!(lacking, ["acme"]);

        // Where workers are processes, they have what is set here.
        let (findings, lacking) = examined("", UNSET, "");
        assert_eq!(findings[0].state, State::Broken, "{findings:?}");
        let remedy = findings[0].remedy.as_deref().unwrap();
        assert!(remedy.starts_with("set NEVER_SET_4711 in"), "{remedy}");
        assert_eq!(lacking, ["acme"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_looked_for_elsewhere() {
        let (context, findings) = check(Path::new("/no/such/folder/4711"));
        assert!(context.is_none() && findings.len() == 1, "{findings:?}");
        let line = findings[0].to_string();
        assert!(line.contains("no such folder") && line.contains("--config"), "{line}");
    }

    #[test]
    fn a_variable_excuses_no_other_mistake() {
        let (findings, lacking) = examined(ON_AWS, UNSET, "titel = \"name\"\n");
        let states: Vec<_> = findings.iter().map(|finding| finding.state).collect();
        assert_eq!(states, [State::Warning, State::Broken], "{findings:?}");
        assert_eq!(lacking, [""; 0]);
    }
}
