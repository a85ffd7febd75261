//! One stand-in's process. It dies with the test's process, however that ends.

use super::{http, python};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers. Most take a second; SeaweedFS three, on a busy machine more.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take until it is gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// Starts of one server, each on new ports: between the choice of a port and its use somebody else may take it.
const STARTS: usize = 5;
/// Lines of a server's log that a failed test shows.
const LOG_LINES: usize = 40;

/// Runs the server that its arguments name, and kills it at the end of its own input. The test's process holds the
/// other end, which closes even if that process is killed.
const WATCHER: &str = "\
import os, subprocess, sys, threading
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def watch():
    while os.read(0, 1):
        pass
    server.kill()
threading.Thread(target=watch, daemon=True).start()
os._exit(server.wait() & 255)
";

/// What to run.
pub(super) struct Start<'a> {
    pub program: &'a Path,
    pub args: Vec<String>,
    pub env: Vec<(&'static str, String)>,
    /// The server's output goes to the file `log` here.
    pub folder: &'a Path,
    /// Answers with 200 as soon as the server is ready.
    pub ready: String,
}

/// A server that answers; it is killed when this goes out of scope, and a test that fails shows its log.
pub(super) struct Process {
    name: String,
    watcher: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a server and waits until it is ready. None if it ended before that.
    ///
    /// # Panics
    ///
    /// When it neither ends nor answers.
    pub fn start(start: &Start) -> Option<Self> {
        let log = start.folder.join("log");
        let out = File::create(&log).expect("a temporary folder can be written");
        let err = out.try_clone().expect("a file can be written through two handles");
        let mut command = Command::new(python().expect("its folder holds the program"));
        command.args(["-I", "-S", "-c", WATCHER]).arg(start.program).args(&start.args);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            // A stand-in knows no account of this machine, and reaches nobody through a proxy.
            if name.starts_with("AWS_") || name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(&*name);
            }
        }
        // What a server leaves in the folder for temporary files goes with the test.
        command.env("TMPDIR", start.folder);
        for (name, value) in &start.env {
            command.env(name, value);
        }
        command.stdin(Stdio::piped()).stdout(out).stderr(err);
        let watcher = command.spawn().expect("the interpreter of FEEDFLEET_PYTHON can be started");
        let name = start.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut process = Self { name, watcher, log };
        process.wait_until_ready(&start.ready).then_some(process)
    }

    /// Calls `start` until it gives a server; each time it should choose new ports.
    ///
    /// # Panics
    ///
    /// When it gives none again and again.
    pub fn start_somewhere<T>(name: &str, mut start: impl FnMut() -> Option<T>) -> T {
        for _ in 0..STARTS {
            if let Some(server) = start() {
                return server;
            }
        }
        panic!("{name} ended {STARTS} times before it answered");
    }

    fn wait_until_ready(&mut self, url: &str) -> bool {
        let begun = Instant::now();
        loop {
            if self.watcher.try_wait().expect("a child can be waited for").is_some() {
                eprintln!("{} ended at once:\n{}", self.name, self.last_lines());
                return false;
            }
            if matches!(http::send("GET", url), Ok((200, _))) {
                return true;
            }
            assert!(begun.elapsed() < READY_WITHIN, "{} does not answer at {url}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn last_lines(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the end of the log of {}:\n{}", self.name, self.last_lines());
        }
        // The watcher kills the server, then ends itself.
        drop(self.watcher.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < GONE_WITHIN {
            if !matches!(self.watcher.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("{} did not end within {GONE_WITHIN:?}", self.name);
        // Both fail only when it has ended already.
        self.watcher.kill().ok();
        self.watcher.wait().ok();
    }
}
