//! `feedfleet sql` hands over to `feedfleet-query`, as git does to its external commands: DataFusion takes
//! longer to build than all the rest, and no crawl needs it.

use crate::cli::SqlArgs;
use crate::context::Context;
use anyhow::{Context as _, Result};
use feedfleet_config::Place;
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
             cores) with: cargo build --release -p {PROGRAM}"
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

/// The program: beside this one, else by the PATH.
pub fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(PROGRAM)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM))
}
