//! `feedfleet sql` hands over to `feedfleet-query`, as git does to its external commands: DataFusion takes
//! longer to build than all the rest, and no crawl needs it.

use crate::cli::SqlArgs;
use crate::context::Context;
use anyhow::{Context as _, Result};
use feedfleet_config::{Fleet, Place};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The program's name.
pub const PROGRAM: &str = "feedfleet-query";

/// Becomes `feedfleet-query`.
pub fn sql(folder: &Path, args: &SqlArgs) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let fleet = &context.config.fleet;
    let mut command = Command::new(program());
    command
        .args(["sql", &args.query, "--format", &args.format, "--catalog"])
        .arg(argument(&fleet.catalog.place))
        .arg("--objects")
        .arg(argument(&fleet.objects.place));
    if let Some(region) = &fleet.aws.region {
        command.args(["--region", region]);
    }
    let error = command.exec();
    // `exec` only returns when it failed.
    if error.kind() == std::io::ErrorKind::NotFound {
        anyhow::bail!(
            "{PROGRAM} is not beside this program nor on the PATH; build it once (about half an hour on two \
             cores) with: {}",
            build(fleet)
        );
    }
    Err(error).with_context(|| format!("could not start {PROGRAM}"))
}

/// A place on the command line: a path, which need not be text, or an `s3://` address.
fn argument(place: &Place) -> OsString {
    match place {
        Place::Folder(folder) => folder.into(),
        Place::S3 { .. } => place.to_string().into(),
    }
}

/// What builds the program so that it can read this fleet's tables and reports.
pub fn build(fleet: &Fleet) -> String {
    let places = [&fleet.catalog.place, &fleet.objects.place];
    let on_s3 = places.into_iter().any(|place| place.folder().is_none());
    format!("cargo build --release -p {PROGRAM}{}", if on_s3 { " --features aws" } else { "" })
}

/// The program: beside this one, else by the PATH.
pub fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(PROGRAM)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_s3_needs_a_build_with_aws() {
        let mut fleet = Fleet::defaults(&std::env::temp_dir());
        assert_eq!(build(&fleet), "cargo build --release -p feedfleet-query");
        let s3 = Place::S3 { bucket: "shop".into(), prefix: "objects".into() };
        fleet.objects.place = s3.clone();
        assert_eq!(build(&fleet), "cargo build --release -p feedfleet-query --features aws");
        fleet = Fleet::defaults(&std::env::temp_dir());
        fleet.catalog.place = s3;
        assert_eq!(build(&fleet), "cargo build --release -p feedfleet-query --features aws");
    }
}
