//! How things look on a terminal.

use chrono::{DateTime, Utc};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use feedfleet_model::text;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// Between the movements of a spinner.
const TICK: Duration = Duration::from_millis(120);

/// A table with these headings. Text that came from outside must go through [`text::printable`] first.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(Cell::new));
    table
}

/// A number's cell, to the right.
pub fn number(n: u64) -> Cell {
    Cell::new(text::count(n)).set_alignment(CellAlignment::Right)
}

/// Seconds with one digit.
pub fn seconds(secs: f64) -> Cell {
    Cell::new(format!("{secs:.1}")).set_alignment(CellAlignment::Right)
}

/// A size.
pub fn bytes(n: u64) -> Cell {
    Cell::new(text::bytes(n)).set_alignment(CellAlignment::Right)
}

/// A moment, to the second.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long ago something was, or how long it will be.
pub fn distance(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    let span =
        |d: chrono::TimeDelta| text::duration(Duration::from_secs(d.num_seconds().unsigned_abs()));
    if at >= now { format!("in {}", span(at - now)) } else { format!("{} ago", span(now - at)) }
}

/// A line with the time passed, which says what goes on.
pub fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    style(&bar, "{spinner} {elapsed_precise} {msg}");
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar that fills up to its length.
pub fn bar(title: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(title);
    style(&bar, "  {prefix:18} {bar:40} {pos}/{len} {msg}");
    bar
}

fn style(bar: &ProgressBar, template: &str) {
    // A template with a mistake leaves the bar's own style.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}

/// Prints a line; a reader that has gone away ends the program quietly.
pub fn print(line: impl std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// Says a line on standard error. Where nobody reads that, nobody misses the line.
pub fn tell(line: impl std::fmt::Display) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// An error and its causes, but for those that it tells itself.
pub fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// JSON over several lines, for people and programs. What steers a terminal is escaped in it.
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(text::printable_json(&serde_json::to_string_pretty(value)?).into_owned())
}

/// The same on one line.
pub fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(text::printable_json(&serde_json::to_string(value)?).into_owned())
}

/// Prints [`json`].
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(json(value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_objects::ObjectError;

    #[test]
    fn what_an_error_says_of_its_cause_is_not_said_again() {
        let source = std::io::Error::other("GetObject: no");
        let error = ObjectError { action: "read", subject: "fleet/status.json".into(), source };
        let text = error.to_string();
        assert!(text.ends_with("GetObject: no"), "{text}");
        assert_eq!(told(&anyhow::Error::from(error)), text);
        assert_eq!(told(&anyhow::Error::msg("no").context("look")), "look: no");
    }
}
