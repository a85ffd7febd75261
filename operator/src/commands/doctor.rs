//! `feedfleet doctor`.

use crate::cli::DoctorArgs;
use crate::doctor::{State, examine};
use crate::view;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;

/// Examines the fleet and prints what was found. Fails if something is broken; warnings are allowed.
pub async fn doctor(folder: &Path, args: &DoctorArgs) -> Result<ExitCode> {
    let findings = examine(folder, args.offline).await;
    let count = |state: State| findings.iter().filter(|f| f.state == state).count();
    let broken = count(State::Broken);
    if args.json {
        view::print_json(&findings)?;
    } else {
        for finding in &findings {
            view::print(finding);
        }
        let (ok, warnings) = (count(State::Ok), count(State::Warning));
        view::print(format!("{ok} ok, warnings: {warnings}, broken: {broken}"));
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
