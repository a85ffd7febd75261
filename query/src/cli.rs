//! The command line.

use crate::cloud::Cloud;
use crate::output::{self, Format};
use crate::{Engine, ReportsPlace, complain};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use feedfleet_catalog::Location;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// SQL over Feedfleet's catalog, its pictures and its run reports. Reads, and never writes.
#[derive(Parser)]
#[command(name = "feedfleet-query", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a query over the tables products, images and runs.
    Sql(Sql),
}

#[derive(Args)]
struct Sql {
    /// The query, such as: SELECT pipe, count(*) FROM products GROUP BY pipe
    query: String,
    /// Where the catalog is: a folder, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "PLACE")]
    catalog: PathBuf,
    /// Where the objects are, among them the run reports: likewise.
    #[arg(long, value_name = "PLACE")]
    objects: PathBuf,
    /// The region of AWS; the environment's when left out.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Rows to print at most.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Memory for sorting, joining and aggregating; what needs more goes on on disk.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    memory: usize,
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let Command::Sql(sql) = Cli::parse().command;
    match run(&sql) {
        Err(e) if !is_broken_pipe(&e) => {
            complain(&e.to_string());
            ExitCode::FAILURE
        }
        // Whoever closed the pipe has seen enough.
        _ => ExitCode::SUCCESS,
    }
}

fn run(sql: &Sql) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let cloud = Cloud::new(&runtime, sql.region.clone());
    let catalog = match in_s3(&sql.catalog) {
        Some((bucket, prefix)) => cloud.location(bucket, prefix)?,
        None => Location::from(&sql.catalog),
    };
    let reports = match in_s3(&sql.objects) {
        Some((bucket, prefix)) => cloud.reports(bucket, prefix)?,
        None => ReportsPlace::from(&sql.objects),
    };
    let engine = Engine::open(catalog, reports, sql.memory)?;
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    runtime.block_on(async {
        let rows = engine.query(&sql.query, sql.limit).await?;
        output::write(rows, sql.format, &mut out).await
    })?;
    Ok(out.flush()?)
}

/// Bucket and prefix of an `s3://` address; none for a path.
fn in_s3(place: &Path) -> Option<(&str, &str)> {
    let rest = place.to_str()?.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Some((bucket, prefix.trim_matches('/')))
}

fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Bytes, as in `512MiB` or `2GiB`.
fn size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
    let parsed = units.iter().find_map(|(unit, bytes)| {
        let number = text.strip_suffix(unit)?.trim_end().parse::<usize>().ok()?;
        number.checked_mul(*bytes)
    });
    parsed.filter(|bytes| *bytes > 0).ok_or_else(|| {
        "expected a whole number with B, KiB, MiB or GiB, such as '512MiB'".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{Cli, is_broken_pipe, size};
    use clap::CommandFactory;
    use std::io;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        for bad in ["", "1", "GiB", "-1MiB", "0B", "1.5GiB", "99999999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_closed_pipe_is_known_through_arrow_too() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&closed().into()));
        assert!(is_broken_pipe(&arrow::error::ArrowError::from(closed()).into()));
        assert!(!is_broken_pipe(&io::Error::other("x").into()));
    }
}
