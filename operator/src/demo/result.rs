//! What a night brought, a row a pipe.

use crate::view;
use anyhow::Result;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use feedfleet_catalog::{Catalog, read};
use feedfleet_model::report::RunState;
use feedfleet_model::{RunId, RunReport, text};
use std::collections::BTreeMap;
use std::fmt;

/// Pictures by pipe and run: those that are there, and those that could not be had.
pub type ImageResults = BTreeMap<(String, RunId), (u64, u64)>;

/// One night of all pipes.
pub struct NightResult {
    /// Which night.
    pub night: u8,
    /// The runs' final reports.
    pub reports: Vec<RunReport>,
    /// Their pictures.
    pub images: ImageResults,
    /// Requests that the shop answered.
    pub requests: u64,
}

/// Counts the entries of the `images` table.
pub fn image_results(catalog: &Catalog) -> Result<ImageResults> {
    let mut results = ImageResults::new();
    let Some(snapshot) = catalog.images().snapshot()? else { return Ok(results) };
    for file in snapshot.files(None)? {
        read::for_each_batch(&snapshot, &file, Some(&["run", "status"]), |rows| {
            let run =
                rows.batch.column_by_name("run").and_then(|c| c.as_primitive_opt::<Int64Type>());
            let status = rows.batch.column_by_name("status").and_then(|c| c.as_string_opt::<i32>());
            let (Some(run), Some(status)) = (run, status) else { return Ok(()) };
            for row in rows.live().filter(|&row| run.is_valid(row) && status.is_valid(row)) {
                let place = results.entry((file.pipe.clone(), RunId(run.value(row)))).or_default();
                match status.value(row) {
                    "failed" => place.1 += 1,
                    _ => place.0 += 1,
                }
            }
            Ok(())
        })?;
    }
    Ok(results)
}

/// A finished run, for the progress display.
pub fn one_line(report: &RunReport) -> String {
    let counts = &report.counts;
    let end = match (report.state, &report.reason) {
        (RunState::Dead, Some(reason)) => format!("failed: {reason}"),
        (RunState::Held, Some(reason)) => format!("held: {reason}"),
        _ if report.source.not_modified => "not modified since the last run".to_owned(),
        _ => format!(
            "{} seen, {} new, {} changed, {} removed, {} refused",
            text::count(counts.seen),
            text::count(counts.new),
            text::count(counts.changed),
            text::count(counts.removed),
            text::count(counts.refused)
        ),
    };
    format!("{:18} {}", report.key.pipe, text::shorten(&text::printable(&end), 110))
}

impl fmt::Display for NightResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = view::table(&[
            "pipe",
            "state",
            "seen",
            "new",
            "changed",
            "removed",
            "refused",
            "images",
            "failed",
            "seconds",
            "peak memory",
        ]);
        for report in &self.reports {
            let counts = &report.counts;
            let place = (report.key.pipe.to_string(), report.key.run);
            let (stored, failed) = self.images.get(&place).copied().unwrap_or_default();
            let state =
                if report.source.not_modified { "not modified" } else { report.state.word() };
            table.add_row(vec![
                report.key.pipe.to_string().into(),
                state.into(),
                view::number(counts.seen),
                view::number(counts.new),
                view::number(counts.changed),
                view::number(counts.removed),
                view::number(counts.refused),
                view::number(stored),
                view::number(failed),
                view::seconds(report.total_seconds()),
                view::bytes(report.peak_memory_bytes),
            ]);
        }
        let requests = text::count(self.requests);
        writeln!(f, "\nnight {} ({requests} requests)\n{table}", self.night)?;
        for report in &self.reports {
            if let (RunState::Dead | RunState::Held, Some(reason)) = (report.state, &report.reason)
            {
                let reason = reason.to_string();
                writeln!(f, "{}: {}", report.key.pipe, text::printable(&reason))?;
            }
        }
        Ok(())
    }
}
