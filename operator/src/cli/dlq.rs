//! The command line of `feedfleet dlq`.

use super::Signature;
use clap::{Args, Subcommand};
use feedfleet_model::{PipeName, ReasonClass};
use std::path::PathBuf;
use std::time::Duration;

/// `feedfleet dlq`
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters, by pipe and what they died of
    List {
        #[command(flatten)]
        select: DlqSelect,
        /// List each letter
        #[arg(long)]
        each: bool,
        /// Also those that were decided on
        #[arg(long)]
        all: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one dead letter
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send the jobs of dead letters anew
    Replay(DlqDecide),
    /// Give the jobs of dead letters up
    Drop(DlqDecide),
    /// Write dead letters as JSON, one a line
    Export {
        #[command(flatten)]
        select: DlqSelect,
        /// Also those that were decided on
        #[arg(long)]
        all: bool,
        /// Write to this file, which must not be there yet, instead of standard output (-)
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Which dead letters: those that fit everything that is given.
#[derive(Debug, Args)]
pub struct DlqSelect {
    /// The ids of letters
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Of this pipe
    #[arg(long)]
    pub pipe: Option<PipeName>,
    /// Dead of this, such as source-refused
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub class: Option<ReasonClass>,
    /// Dead for longer than this: a whole number with ms, s, m, h or d, such as 2h
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,
    /// Dead for no longer than this, such as 30m or 7d
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub newer_than: Option<Duration>,
}

/// `feedfleet dlq replay` and `drop`
#[derive(Debug, Args)]
pub struct DlqDecide {
    #[command(flatten)]
    pub select: DlqSelect,
    /// Every letter that waits for a decision
    #[arg(long)]
    pub all_waiting: bool,
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// At most so many letters a second, 0.001 to 1000
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    #[command(flatten)]
    pub signature: Signature,
}

/// A reason's class by its name.
fn class(text: &str) -> Result<ReasonClass, String> {
    // The error lists the classes.
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| e.to_string())
}

/// A whole number with a unit, with or without a space between, as in configuration files.
pub fn age(text: &str) -> Result<Duration, String> {
    let expected = || "expected a whole number with ms, s, m, h or d, such as 2h".to_owned();
    feedfleet_config::duration(text).ok_or_else(expected)
}

/// Letters a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.001..=1000.0).contains(rate));
    rate.ok_or_else(|| "expected a number from 0.001 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_ages_and_rates_are_read() {
        assert_eq!(class("not-a-feed"), Ok(ReasonClass::NotAFeed));
        assert!(class("404").unwrap_err().contains("source-refused"));
        assert_eq!(age("2h"), Ok(Duration::from_secs(7_200)));
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(age("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(age("2 h"), age("2h"));
        for bad in ["", "h", "2", "2 hours", "-2h", "2w", "99999999999999999d", "2ℎ"] {
            assert!(age(bad).is_err(), "{bad}");
        }
        assert_eq!(rate("0.5"), Ok(0.5));
        for bad in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
