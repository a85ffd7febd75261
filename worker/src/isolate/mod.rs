//! Work in processes of its own: what a stranger's bytes may abort or exhaust ends a child, and not the
//! worker with its other jobs.
//!
//! A child is this same program under a hidden sub-command. It gets its work on standard input and answers on
//! standard output; it logs where the worker logs. The end of its input asks it to stop. It dies with its
//! worker, however the worker dies.

mod child;
mod crawl;
mod wire;

pub use child::serve_job;
pub(crate) use crawl::{Finished, Stop, run_apart};
pub(crate) use wire::is_memory_refusal;
pub use wire::tell_memory_refusals;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// A child that has said all it has to say is killed if it has not gone by then.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Settings of mimalloc, the allocator, in a child: what it frees goes back to the system within milliseconds, by small
/// pages. By itself it keeps it for a second, which would make half as much again of a crawl's share of the memory.
const ALLOCATOR: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "10"), ("MIMALLOC_ALLOW_THP", "0")];

/// How to start this program again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// What comes before the sub-command.
    pub options: Vec<OsString>,
    /// What comes after it, and after `--parent PID`.
    pub role_options: Vec<OsString>,
}

impl Program {
    /// Starts a child with this sub-command, its input and output piped. It is killed when it is dropped.
    ///
    /// To be called on a thread that lives as long as the worker, such as the runtime's: the system takes the
    /// end of the thread that started a child for its parent's end.
    ///
    /// # Errors
    ///
    /// The system starts no process.
    pub(crate) fn start(&self, role: &str) -> io::Result<Child> {
        // Whoever set them himself has his reasons.
        let allocator = ALLOCATOR.iter().filter(|(name, _)| std::env::var_os(name).is_none());
        Command::new(&self.path)
            .envs(allocator.copied())
            .args(&self.options)
            .arg(role)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .args(&self.role_options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Waits until a child that should go has gone, and kills it if it does not. None: nobody knows how it ended.
pub(crate) async fn gone(mut child: Child) -> Option<ExitStatus> {
    if let Ok(waited) = tokio::time::timeout(LEAVE_WITHIN, child.wait()).await {
        return waited.ok();
    }
    kill(child).await;
    None
}

/// Ends a child at once.
pub(crate) async fn kill(mut child: Child) {
    if let Err(e) = child.kill().await {
        tracing::warn!(error = %e, "could not kill a child process");
    }
}

/// How a process ended, in words.
pub(crate) fn ending(status: Option<ExitStatus>) -> String {
    let Some(status) = status else { return "it did not go and was killed".to_owned() };
    match (status.signal(), status.code()) {
        (Some(signal), _) => match signal_name(signal) {
            Some(name) => format!("signal {signal} ({name})"),
            None => format!("signal {signal}"),
        },
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => status.to_string(),
    }
}

/// Whether the process ended by a fault of its own, rather than by somebody's signal.
pub(crate) fn is_own_fault(status: Option<ExitStatus>) -> bool {
    status.is_some_and(|status| match status.signal() {
        Some(signal) => FAULTS.iter().any(|(number, _)| *number == signal),
        None => true,
    })
}

/// The signals of processes that went wrong.
const FAULTS: [(i32, &str); 4] = [(4, "SIGILL"), (6, "SIGABRT"), (8, "SIGFPE"), (11, "SIGSEGV")];

fn signal_name(signal: i32) -> Option<&'static str> {
    let others = [(2, "SIGINT"), (9, "SIGKILL"), (15, "SIGTERM")];
    FAULTS.iter().chain(&others).find(|(number, _)| *number == signal).map(|(_, name)| *name)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program that does what this shell script says.
    pub(crate) fn script(text: &str) -> Program {
        let options = vec!["-c".into(), text.into()];
        Program { path: "/bin/sh".into(), options, role_options: Vec::new() }
    }

    #[test]
    fn ends_are_told_in_words() {
        let aborted = Some(ExitStatus::from_raw(6));
        assert_eq!(ending(aborted), "signal 6 (SIGABRT)");
        assert!(is_own_fault(aborted));
        let killed = Some(ExitStatus::from_raw(9));
        assert_eq!(ending(killed), "signal 9 (SIGKILL)");
        assert!(!is_own_fault(killed));
        assert_eq!(ending(Some(ExitStatus::from_raw(3 << 8))), "exit code 3");
    }
}
