//! A configuration folder of its own, and the real binary run on it.

use crate::products::{Product, products};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// No command of a test takes longer than this.
const DEADLINE: Duration = Duration::from_secs(120);

/// The binary under test: `FEEDFLEET_BIN`, else the one that was built beside this test.
///
/// # Panics
///
/// Where there is none.
pub fn feedfleet() -> PathBuf {
    let path = match std::env::var_os("FEEDFLEET_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let test = std::env::current_exe().expect("a running test has a file");
            let folder =
                test.parent().and_then(Path::parent).expect("it is in target/PROFILE/deps");
            folder.join("feedfleet")
        }
    };
    assert!(path.is_file(), "there is no {}: build it with scripts/test", path.display());
    path
}

/// A port of the loopback address that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// A fleet in a temporary folder. Fleets share nothing, so tests run side by side.
pub struct Fleet {
    /// The configuration's folder; gone with the fleet.
    pub folder: TempDir,
    output: TempDir,
    processes: AtomicUsize,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl Fleet {
    /// A fleet that may fetch from this machine, with at most two workers. Its leases outlast a machine that stands still
    /// for a while.
    pub fn new() -> Self {
        Self::with_leases_of("60s")
    }

    /// As [`Fleet::new`], where a test waits for a lease to end.
    pub fn with_short_leases() -> Self {
        Self::with_leases_of("10s")
    }

    fn with_leases_of(visibility: &str) -> Self {
        Self::with_fleet_toml(&format!(
            "[leases]\nvisibility = \"{visibility}\"\n\
             [workers]\nmax = 2\n\
             [http]\nallow_private = [\"127.0.0.0/8\"]\n\
             [scheduler]\ntick = \"1s\"\n"
        ))
    }

    /// A fleet with this `fleet.toml`. Unless it has a `[console]`, one with a free port is added.
    pub fn with_fleet_toml(text: &str) -> Self {
        let fleet = Self::bare();
        let mut text = text.to_owned();
        if !text.contains("[console]") {
            text.push_str(&format!("\n[console]\nlisten = \"127.0.0.1:{}\"\n", free_port()));
        }
        fleet.write("fleet.toml", text);
        fleet
    }

    /// An empty folder.
    pub fn bare() -> Self {
        let folder = || tempfile::tempdir().expect("a temporary folder can be made");
        Self { folder: folder(), output: folder(), processes: AtomicUsize::new(0) }
    }

    /// Writes `pipes/NAME.toml`.
    pub fn pipe(&self, name: &str, toml: &str) {
        self.write(&format!("pipes/{name}.toml"), toml);
    }

    /// Writes a file in the folder, and the folders above it. Readers see the old file or the new one.
    pub fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(relative);
        let folder = path.parent().expect("a file has a folder");
        fs::create_dir_all(folder).expect("a temporary folder can be written");
        let mut new = path.clone().into_os_string();
        new.push(".new");
        fs::write(&new, bytes).expect("a temporary folder can be written");
        fs::rename(&new, &path).expect("a temporary folder can be written");
    }

    /// A path in the folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The command `feedfleet --config FOLDER args…`, with nothing to read and no settings from outside.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(&feedfleet(), args)
    }

    /// As [`Fleet::command`], of a binary somewhere else.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("--config").arg(self.folder.path()).args(args).stdin(Stdio::null());
        for name in ["FEEDFLEET_CONFIG", "FEEDFLEET_LOG", "FEEDFLEET_LOG_FORMAT"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    ///
    /// When it takes longer than two minutes; it is killed then.
    pub fn run(&self, args: &[&str]) -> Output {
        self.finish(self.command(args))
    }

    /// Runs a command of [`Fleet::command`] to its end; panics as [`Fleet::run`] does.
    pub fn finish(&self, command: Command) -> Output {
        let mut running = self.start(command);
        let status = running.wait(DEADLINE);
        Output { code: status.code(), stdout: running.stdout(), stderr: running.stderr() }
    }

    /// Starts a command that lives until it is told to stop.
    pub fn spawn(&self, args: &[&str]) -> Running {
        self.start(self.command(args))
    }

    /// Starts a command of [`Fleet::command`].
    pub fn start(&self, command: Command) -> Running {
        self.start_into(command, None)
    }

    /// As [`Fleet::spawn`], with a standard error that nobody reads: a pipe whose other end is closed.
    pub fn spawn_unread(&self, args: &[&str]) -> Running {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        self.start_into(self.command(args), Some(writer.into()))
    }

    /// Starts a command. Its standard error is a file, unless it has another.
    fn start_into(&self, mut command: Command, error: Option<Stdio>) -> Running {
        // Files, not pipes: a worker that outlives its parent by a moment must keep nobody waiting.
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        let output = self.output.path();
        let stdout = output.join(format!("{number}.stdout"));
        let stderr = output.join(format!("{number}.stderr"));
        let file = |path: &Path| File::create(path).expect("a temporary folder can be written");
        command.stdout(file(&stdout)).stderr(file(&stderr));
        if let Some(error) = error {
            command.stderr(error);
        }
        let child = command.spawn().expect("the binary can be started");
        Running { child, stdout_path: stdout, stderr_path: stderr, what: format!("{command:?}") }
    }

    /// Every file below the folder, with its bytes: what a command that only looks must leave as it is.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a temporary folder can be read") {
                let path = entry.expect("a temporary folder can be read").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path).expect("a file of this test can be read");
                    found.insert(path, bytes);
                }
            }
        }
        found
    }

    /// `feedfleet run PIPE --wait --json`, which must exit with 0: the run's report.
    pub fn run_pipe(&self, pipe: &str) -> Value {
        self.run(&["run", pipe, "--wait", "--json"]).ok().json()
    }

    /// `feedfleet run PIPE --wait --json`, which must exit with 1: the report of the dead run.
    pub fn run_pipe_dead(&self, pipe: &str) -> Value {
        let report = self.run(&["run", pipe, "--wait", "--json"]).failed().json();
        assert_eq!(report["state"], "dead", "{report:#}");
        report
    }

    /// The report of the pipe's newest run, by `feedfleet runs show`.
    pub fn report(&self, pipe: &str) -> Value {
        self.run(&["runs", "show", pipe, "--json"]).ok().json()
    }

    /// The pipe's live products, by id. The table is read by itself, not through the binary.
    pub fn products(&self, pipe: &str) -> Vec<Product> {
        products(self.path("var/catalog"), pipe)
    }
}

/// What a command left behind.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it logged and complained about.
    pub stderr: String,
}

impl Output {
    /// Itself, when the exit code is 0; panics otherwise.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.all());
        self
    }

    /// Itself, when the exit code is 1; panics otherwise.
    pub fn failed(self) -> Self {
        assert_eq!(self.code, Some(1), "{}", self.all());
        self
    }

    /// Standard output as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.all()))
    }

    /// All that a user would see.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Itself, when every text occurs in what a user would see; panics otherwise.
    pub fn says(self, texts: &[&str]) -> Self {
        let all = self.all();
        for text in texts {
            assert!(all.contains(text), "expected {text:?} in:\n{all}");
        }
        self
    }
}

/// A process that runs; killed when it goes out of scope.
#[derive(Debug)]
pub struct Running {
    child: Child,
    what: String,
    /// The file of its standard output.
    pub stdout_path: PathBuf,
    /// The file of its standard error.
    pub stderr_path: PathBuf,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, such as `TERM`, `KILL`, `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name]).arg(self.pid().to_string()).status();
        assert!(
            status.expect("kill can be started").success(),
            "could not send {name}: {}",
            self.what
        );
    }

    /// Sends a signal to it and to all the processes of its group, which it must lead.
    pub fn signal_group(&self, name: &str) {
        // The shell's own, which takes no group for the name of a signal.
        let kill = "kill -s \"$1\" -- \"-$2\"";
        let pid = self.pid().to_string();
        let status = Command::new("sh").args(["-c", kill, "sh", name, &pid]).status();
        assert!(
            status.expect("a shell can be started").success(),
            "could not send {name}: {}",
            self.what
        );
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it has not ended by `deadline`; it is killed then.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        let (tell, ended) = mpsc::channel();
        // Sees the end, and leaves the process to be waited for: its id stays its own until then.
        std::thread::spawn(move || {
            let seen = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            tell.send(seen.map(drop)).ok();
        });
        if ended.recv_timeout(deadline).is_err() && self.is_running() {
            let (out, err) = (self.stdout(), self.stderr());
            panic!("still running after {deadline:?}: {}\n{out}{err}", self.what);
        }
        self.child.wait().expect("a child can be waited for")
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout_path)
    }

    /// What it has logged so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr_path)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).expect("the output of a process is a file");
    String::from_utf8_lossy(&bytes).into_owned()
}
