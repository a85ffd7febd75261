//! What a command does to files, seen through `strace`: what it makes, writes, puts in place and syncs, and in
//! which order.

use super::skipped;
use feedfleet_tests::{Fleet, Output};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is noted. A question mark: not every processor's Linux has the call.
const CALLS: &str = "trace=fsync,fdatasync,write,pwrite64,?mkdir,mkdirat,?open,openat,?rename,?renameat,renameat2,\
                     ?link,linkat";

/// What a call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It made a folder.
    MakeFolder,
    /// It opened a file, which it made where there was none.
    Create,
    /// It wrote to a file.
    Write,
    /// It gave a file its name, or another one.
    Name,
    /// It made a file or a folder durable.
    Sync,
}

/// A call that succeeded. Lines of the trace tell when: a call may end many lines after it began.
#[derive(Debug)]
pub(super) struct Call {
    /// What it did.
    pub(super) kind: Kind,
    /// The file or folder.
    pub(super) path: PathBuf,
    /// The name that the file had before.
    from: Option<PathBuf>,
    /// The line on which it began.
    pub(super) begun: usize,
    /// The line on which it ended.
    pub(super) ended: usize,
}

/// The calls of a command and of all processes that it started, in the order in which they ended.
pub(super) struct Trace(Vec<Call>);

impl Trace {
    /// Runs a command of the fleet, which must end with 0. None, and said aloud: nothing can be traced here.
    pub(super) fn of(fleet: &Fleet, args: &[&str]) -> Option<Self> {
        if let Err(why) = probe() {
            skipped("what is synced before an acknowledgement", &why);
            return None;
        }
        let file = fleet.path("trace");
        fleet.finish(traced(&fleet.command(args), &file)).ok();
        let text = fs::read(&file).expect("strace has written its file");
        Some(Self(calls(&String::from_utf8_lossy(&text))))
    }

    /// All calls.
    pub(super) fn calls(&self) -> &[Call] {
        &self.0
    }

    /// The call that put this file in place, the last one that ended before the line `before`.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub(super) fn placed(&self, path: &Path, before: usize) -> &Call {
        let is_it = |call: &&Call| {
            matches!(call.kind, Kind::Name | Kind::Create)
                && call.path == path
                && call.ended < before
        };
        let found = self.0.iter().rfind(is_it);
        found.unwrap_or_else(|| panic!("{} was not put in place in time", path.display()))
    }

    /// The first sync of this path that began after the line `after`.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub(super) fn synced_after(&self, path: &Path, after: usize) -> &Call {
        let found = self.syncs(path).find(|call| call.begun > after);
        found.unwrap_or_else(|| panic!("{} was not synced after line {after}", path.display()))
    }

    /// Whether this path was synced between these lines.
    pub(super) fn is_synced(&self, path: &Path, after: usize, before: usize) -> bool {
        self.syncs(path).any(|call| call.begun > after && call.ended < before)
    }

    /// Before the line `before` the file was synced after all that was written to it, and its folder after it was
    /// in there. Gives the call that put it in place.
    ///
    /// # Panics
    ///
    /// Where that is not so.
    #[track_caller]
    pub(super) fn assert_durable(&self, path: &Path, before: usize) -> &Call {
        let placed = self.placed(path, before);
        let is_it = |call: &Call| call.path == path || Some(&call.path) == placed.from.as_ref();
        let written = self
            .0
            .iter()
            .filter(|call| call.kind == Kind::Write && is_it(call) && call.ended < before)
            .map(|call| call.ended)
            .max();
        let written = written.unwrap_or_else(|| panic!("{} is empty", path.display()));
        let is_synced = self.0.iter().any(|call| {
            call.kind == Kind::Sync && is_it(call) && call.begun > written && call.ended < before
        });
        assert!(is_synced, "{} was not synced before line {before}", path.display());
        let folder = path.parent().expect("a file has a folder");
        assert!(
            self.is_synced(folder, placed.ended, before),
            "the folder of {} was not synced before line {before}",
            path.display()
        );
        placed
    }

    /// Whether the file was synced before this call gave it its name.
    pub(super) fn is_whole(&self, named: &Call) -> bool {
        named.from.as_ref().is_some_and(|from| self.is_synced(from, 0, named.begun))
    }

    fn syncs<'a>(&'a self, path: &Path) -> impl Iterator<Item = &'a Call> {
        self.0.iter().filter(move |call| call.kind == Kind::Sync && call.path == path)
    }
}

/// Whether strace is there, and may look into a process.
fn probe() -> Result<(), String> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(e) => Err(format!("strace cannot be started: {e}")),
    }
}

/// The command under strace, which writes into `file`: a line a call, with the paths that descriptors stand for.
fn traced(command: &Command, file: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "0", "-e", CALLS, "-o"]).arg(file);
    under(strace, command)
}

/// Runs a command of the fleet, of which every process is killed that is about to give a file this name. None, and said
/// aloud: nothing can be traced here.
pub(super) fn killed_at_naming(fleet: &Fleet, args: &[&str], path: &Path) -> Option<Output> {
    if let Err(why) = probe() {
        skipped("what a process leaves that is killed at a certain call", &why);
        return None;
    }
    let mut strace = Command::new("strace");
    let names = "?link,linkat,?rename,?renameat,renameat2";
    let [trace, inject] = [format!("trace={names}"), format!("inject={names}:signal=KILL")];
    strace.args(["-f", "-e", &trace, "-e", &inject, "-P"]).arg(path);
    strace.arg("-o").arg(fleet.path("trace"));
    Some(fleet.finish(under(strace, &fleet.command(args))))
}

fn under(mut strace: Command, command: &Command) -> Command {
    strace.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

/// Reads lines such as `17 fsync(5</path>) = 0`. A call that another process's lines interrupt takes two:
/// `17 fsync(5</path> <unfinished ...>` and `17 <... fsync resumed>) = 0`.
fn calls(text: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let Some((pid, said)) = text.trim_start().split_once(' ') else { continue };
        let said = said.trim_start();
        if let Some(head) = said.strip_suffix("<unfinished ...>") {
            unfinished.insert(pid, (line, head));
        } else if let Some(rest) = said.strip_prefix("<... ") {
            let Some((begun, head)) = unfinished.remove(pid) else { continue };
            let tail = rest.split_once("resumed>").map_or("", |(_, tail)| tail);
            calls.extend(call(&format!("{head}{tail}"), begun, line));
        } else {
            calls.extend(call(said, line, line));
        }
    }
    calls
}

/// None: the call failed, or is none that matters here.
fn call(said: &str, begun: usize, ended: usize) -> Option<Call> {
    let (name, rest) = said.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if !result.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let descriptor = || Some(PathBuf::from(arguments.split_once('<')?.1.split_once('>')?.0));
    let mut quoted: Vec<PathBuf> =
        arguments.split('"').skip(1).step_by(2).map(PathBuf::from).collect();
    let (kind, path, from) = match name {
        "fsync" | "fdatasync" => (Kind::Sync, descriptor()?, None),
        "write" | "pwrite64" => (Kind::Write, descriptor()?, None),
        "mkdir" | "mkdirat" => (Kind::MakeFolder, quoted.pop()?, None),
        "open" | "openat" if arguments.contains("O_CREAT") => (Kind::Create, quoted.pop()?, None),
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
            let path = quoted.pop()?;
            (Kind::Name, path, quoted.pop())
        }
        _ => return None,
    };
    Some(Call { kind, path, from, begun, ended })
}

#[test]
fn traces_are_read() {
    let text = "17    openat(AT_FDCWD</w>, \"/w/a b\", O_RDWR|O_CREAT|O_EXCL, 0666) = 5</w/a b>\n\
                17    write(5</w/a b>, \"\"..., 43)   = 43\n\
                17    fsync(5</w/a b> <unfinished ...>\n\
                18    linkat(AT_FDCWD</w>, \"/w/a b\", AT_FDCWD</w>, \"/w/b\", 0) = 0\n\
                17    <... fsync resumed>)          = 0\n\
                18    mkdir(\"/w/c\", 0777) = -1 EEXIST (File exists)\n\
                18    fsync(6</w>)                  = 0\n\
                18    +++ exited with 0 +++\n";
    let trace = Trace(calls(text));
    let kinds: Vec<Kind> = trace.calls().iter().map(|call| call.kind).collect();
    assert_eq!(kinds, [Kind::Create, Kind::Write, Kind::Name, Kind::Sync, Kind::Sync]);
    let synced = trace.synced_after(Path::new("/w/a b"), 1);
    assert_eq!((synced.begun, synced.ended), (2, 4));
    assert!(!trace.is_synced(Path::new("/w"), 0, 6));
    assert_eq!(trace.assert_durable(Path::new("/w/b"), 7).begun, 3);
}
