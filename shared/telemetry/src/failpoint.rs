//! Failpoints: places at which a test can make a worker panic, abort, run out of memory, stop or wait.
//!
//! They are set by the worker's hidden flag `--failpoint NAME=ACTION`, which it passes on to the processes it
//! starts; where none is set, a failpoint costs one load. That the real binary has them is the point: what is
//! tested is what runs.

use rustix::process::{Signal, kill_current_process_group};
use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

/// What happens at a failpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The thread panics.
    Panic,
    /// The process aborts.
    Abort,
    /// The process takes memory until it has none.
    Exhaust,
    /// The process group stops until it is continued (SIGSTOP): the worker and all its children.
    Stop,
    /// The thread waits until this file is there.
    Wait(PathBuf),
}

/// A failpoint and what happens there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failpoint {
    name: String,
    action: Action,
}

/// Why a text is no failpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFailpoint(String);

impl std::fmt::Display for InvalidFailpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' is no failpoint: expected NAME=panic|abort|exhaust|stop|wait:FILE", self.0)
    }
}

impl std::error::Error for InvalidFailpoint {}

impl FromStr for Failpoint {
    type Err = InvalidFailpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidFailpoint(text.to_owned());
        let (name, action) = text.split_once('=').ok_or_else(invalid)?;
        let action = match action.split_once(':') {
            None if action == "panic" => Action::Panic,
            None if action == "abort" => Action::Abort,
            None if action == "exhaust" => Action::Exhaust,
            None if action == "stop" => Action::Stop,
            Some(("wait", file)) if !file.is_empty() => Action::Wait(file.into()),
            _ => return Err(invalid()),
        };
        Ok(Self { name: name.to_owned(), action })
    }
}

impl std::fmt::Display for Failpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match &self.action {
            Action::Panic => write!(f, "{name}=panic"),
            Action::Abort => write!(f, "{name}=abort"),
            Action::Exhaust => write!(f, "{name}=exhaust"),
            Action::Stop => write!(f, "{name}=stop"),
            Action::Wait(file) => write!(f, "{name}=wait:{}", file.display()),
        }
    }
}

/// A process that was sent the signal to stop has stopped by then.
const STOPPED_WITHIN: Duration = Duration::from_secs(1);

/// How often a thread looks whether it has waited for long enough.
const LOOK: Duration = Duration::from_millis(10);

static SET: OnceLock<HashMap<String, Action>> = OnceLock::new();

/// Sets the failpoints of this process; once, at its start.
pub fn set(points: impl IntoIterator<Item = Failpoint>) {
    let points: HashMap<String, Action> = points.into_iter().map(|p| (p.name, p.action)).collect();
    if !points.is_empty() && SET.set(points).is_err() {
        tracing::warn!("failpoints were set already");
    }
}

/// Does what was set for this place, if anything was.
pub fn hit(name: &str) {
    let Some(action) = SET.get().and_then(|points| points.get(name)) else { return };
    tracing::warn!(failpoint = name, ?action, "failpoint");
    match action {
        Action::Panic => panic!("failpoint {name}"),
        Action::Abort => std::process::abort(),
        Action::Wait(file) => {
            while !file.exists() {
                std::thread::sleep(LOOK);
            }
        }
        Action::Stop => {
            if let Err(e) = kill_current_process_group(Signal::STOP) {
                tracing::error!(error = %e, "could not stop");
            }
            // Whichever thread gets the signal stops the others once it runs, which takes a while on a busy machine. So
            // the process stops within this call, and goes on after it.
            std::thread::sleep(STOPPED_WITHIN);
        }
        Action::Exhaust => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1u8; 16 << 20]);
                // The last of these lines tells how much the process was given.
                tracing::warn!(failpoint = name, taken_mib = 16 * hoard.len(), "exhausting");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failpoints_are_read() {
        let point: Failpoint = "crawl.committed=wait:/a=b:c".parse().unwrap();
        assert_eq!(point.action, Action::Wait("/a=b:c".into()));
        for text in ["a=panic", "a=abort", "a=exhaust", "a=stop", "a=wait:/go"] {
            assert_eq!(text.parse::<Failpoint>().unwrap().to_string(), text);
        }
        assert!("crawl.committed".parse::<Failpoint>().is_err());
        assert!("x=explode".parse::<Failpoint>().is_err());
        assert!("x=wait:".parse::<Failpoint>().is_err());
        hit("never.set");
    }
}
