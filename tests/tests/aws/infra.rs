//! The templates under `infra/`, the script that brings them to an account, and what an instance makes of both.
//!
//! The comparisons are in Python (`infra/tests`), where the clients of the services that no part of Feedfleet calls
//! are: CloudFormation, EC2, IAM. No emulator says truly whether it made what a template names, so the services
//! are asked themselves; what each of them leaves out is in docs/aws.md.

use feedfleet_tests::aws::{AwsEnv, Ministack, Moto, program};
use feedfleet_tests::feedfleet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every template, by the rules for each property that AWS publishes.
#[test]
fn the_linter_has_no_warnings() {
    let Some(linter) = program("cfn-lint") else { return };
    let templates: Vec<PathBuf> = std::fs::read_dir(infra().join("templates"))
        .expect("the templates can be listed")
        .map(|entry| entry.expect("the templates can be listed").path())
        .collect();
    assert!(templates.len() >= 7, "{templates:?}");
    let mut command = Command::new(linter);
    command.args(["--format", "parseable", "--"]).args(&templates);
    run(command);
}

/// Each call that the code makes is allowed by its role, and nothing else is.
#[test]
fn each_role_may_do_what_it_does_and_nothing_else() {
    check("check_policies.py", None);
}

/// From an empty account and back, on the emulator that makes nearly everything.
#[test]
fn both_stacks_come_and_go_whole() {
    let Some(ministack) = Ministack::start() else { return };
    check("check_stacks.py", Some(&ministack.url()));
}

/// What that emulator does not keep, on one that does.
#[test]
fn the_group_mixes_architectures() {
    let Some(moto) = Moto::start() else { return };
    check("check_fleet.py", Some(&moto.url()));
}

/// Workers that protect themselves do not keep a fleet from being taken down.
#[test]
fn a_busy_fleet_is_let_go() {
    if program("aws").is_none() {
        return;
    }
    let Some(moto) = Moto::start() else { return };
    check("check_retire.py", Some(&moto.url()));
}

/// `scripts/deploy` from the first release to the last trace, and in between an instance that starts and is configured.
#[test]
fn a_fleet_is_deployed_configured_and_destroyed() {
    if program("aws").is_none() {
        return;
    }
    let Some(ministack) = Ministack::start() else { return };
    check("check_deploy.py", Some(&ministack.url()));
}

fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra")
}

/// Runs one of infra/tests, which says what is not as it should be.
fn check(script: &str, stand_in: Option<&str>) {
    check_with(script, stand_in, &[]);
}

/// As [`check`], with these arguments.
pub(crate) fn check_with(script: &str, stand_in: Option<&str>, args: &[&Path]) {
    let Some(python) = program("python") else { return };
    let mut command = Command::new(&python);
    command.arg(infra().join("tests").join(script)).args(args);
    // No account of this machine is reached, whatever is asked.
    AwsEnv::new().set(&mut command);
    if let Some(url) = stand_in {
        command.env("FEEDFLEET_STAND_IN", url);
    }
    // scripts/deploy takes `aws` and `python3` from where everybody finds them.
    let mut path = python.parent().map(Path::as_os_str).unwrap_or_default().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    command.env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    // A configuration is checked by the program that it is for.
    command.env("FEEDFLEET_BIN", feedfleet());
    run(command);
}

fn run(mut command: Command) {
    let ended = command.output().expect("the Python environment's programs can be started");
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ended.status.success(), "{command:?} ended with {}:\n{said}", ended.status);
    println!("{}", said.trim());
}
