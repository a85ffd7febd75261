//! What the machine has for the fleet: room on its disks, memory, open files.

use super::Finding;
use super::scratch::nearest;
use feedfleet_config::{Fleet, QueueBackend, Workers};
use feedfleet_model::text;
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};
use rustix::process::{Resource, getrlimit};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const DISK: &str = "disk";
const MEMORY: &str = "memory";
const FILE_LIMITS: &str = "file limits";

/// Free bytes below which a night's work may not fit.
const LITTLE_ROOM: u64 = 5 << 30;
/// Free bytes below which hardly anything fits.
const NO_ROOM: u64 = 512 << 20;
/// Files that can still be made, below which pictures may not fit.
const FEW_FILES: u64 = 10_000;
/// Open files that a worker with its usual slots may need.
const ENOUGH_OPEN_FILES: u64 = 1024;
/// Open files below which a worker fails.
const TOO_FEW_OPEN_FILES: u64 = 256;

/// The room on each file system that holds a part of the fleet; nothing where none does.
pub fn disk(fleet: &Fleet) -> Vec<Finding> {
    let queue = match &fleet.queue.backend {
        QueueBackend::Sqlite { path } => Some(path.as_path()),
        QueueBackend::Sqs { .. } => None,
    };
    let places = [
        ("queue", queue),
        ("catalog", fleet.catalog.place.folder()),
        ("objects", fleet.objects.place.folder()),
    ];
    let places = places.into_iter().filter_map(|(name, path)| Some((name, path?)));
    let mut findings = Vec::new();
    let mut devices: BTreeMap<u64, (PathBuf, Vec<&str>)> = BTreeMap::new();
    for (name, path) in places {
        let present = nearest(path);
        match fs::metadata(present) {
            Ok(metadata) => {
                let new = || (present.to_owned(), Vec::new());
                devices.entry(metadata.dev()).or_insert_with(new).1.push(name);
            }
            Err(e) => findings.push(unreadable(present, &e)),
        }
    }
    for (place, names) in devices.into_values() {
        match statvfs(&place) {
            Ok(found) => findings.push(room(&place, &names.join(", "), &found)),
            Err(e) => findings.push(unreadable(&place, &e.into())),
        }
    }
    findings
}

fn unreadable(place: &Path, e: &std::io::Error) -> Finding {
    let found = format!("{}: the file system does not answer: {e}", place.display());
    Finding::broken(DISK, found, "look at the mount")
}

fn room(place: &Path, names: &str, found: &StatVfs) -> Finding {
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let total = found.f_blocks.saturating_mul(found.f_frsize);
    let mut told = format!(
        "{} free of {} for {names} (at {})",
        text::bytes(free),
        text::bytes(total),
        place.display()
    );
    if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
        told.push_str("; mounted for reading only");
        return Finding::broken(DISK, told, "mount it for writing");
    }
    let remedy = "make room, move what needs it ([queue], [catalog] and [objects] in fleet.toml), or keep less \
                  ([keep])";
    // Some file systems have no fixed number of files, and tell none.
    let few_files = found.f_files > 0 && found.f_favail < FEW_FILES;
    if few_files {
        told.push_str(&format!("; room for {} files", text::count(found.f_favail)));
    }
    if free < NO_ROOM {
        Finding::broken(DISK, told, remedy)
    } else if free < LITTLE_ROOM || few_files {
        Finding::warning(DISK, told, remedy)
    } else {
        Finding::ok(DISK, told)
    }
}

/// What the workers may use, against what the machine has.
pub fn memory(workers: &Workers) -> Finding {
    let told = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = Memory {
        total: meminfo(&told, "MemTotal:"),
        available: meminfo(&told, "MemAvailable:"),
        group: group_limit(),
    };
    enough_memory(workers.max, workers.memory_bytes, &machine)
}

/// Bytes of memory; none where the system does not say.
#[derive(Debug, Clone, Copy)]
struct Memory {
    total: Option<u64>,
    available: Option<u64>,
    /// The limit of the control group, as containers and service managers set it.
    group: Option<u64>,
}

fn enough_memory(workers: u32, each: u64, machine: &Memory) -> Finding {
    let planned = each.saturating_mul(u64::from(workers));
    let mut told =
        format!("{workers} workers of {} may use {}", text::bytes(each), text::bytes(planned));
    let Some(limit) = [machine.total, machine.group].into_iter().flatten().min() else {
        told.push_str("; the system does not say what it has");
        return Finding::warning(MEMORY, told, "compare it with the machine's memory");
    };
    told.push_str(&format!(" of {}", text::bytes(limit)));
    if machine.group == Some(limit) && machine.total != Some(limit) {
        told.push_str(" (the control group's limit)");
    }
    if let Some(available) = machine.available {
        told.push_str(&format!("; {} are available now", text::bytes(available)));
    }
    let remedy = "lower max or memory under [workers] in fleet.toml, or give the machine more";
    let one_fits = machine.available.is_none_or(|available| workers == 0 || each <= available);
    if planned > limit || !one_fits {
        Finding::warning(MEMORY, told, remedy)
    } else {
        Finding::ok(MEMORY, told)
    }
}

fn meminfo(told: &str, name: &str) -> Option<u64> {
    let line = told.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The least limit of this process's control group and those above it, of either version.
fn group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let files = groups.lines().filter_map(group_files).flatten();
    files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

/// The files that hold the limits which a line such as `0::/system.slice/feedfleet.service` names.
fn group_files(line: &str) -> Option<Vec<PathBuf>> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|c| c == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let below = path.trim_start_matches('/');
    Some(Path::new(below).ancestors().map(|p| Path::new(root).join(p).join(file)).collect())
}

/// How many files a process of this user may have open.
pub fn file_limits() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    enough_open_files(limit.current, limit.maximum)
}

fn enough_open_files(current: Option<u64>, maximum: Option<u64>) -> Finding {
    let shown = |n: Option<u64>| n.map_or_else(|| "unlimited".to_owned(), text::count);
    let told = format!("open files of a process: {}, at most {}", shown(current), shown(maximum));
    let remedy = "raise it before the fleet starts: ulimit -n 4096, or LimitNOFILE of its service";
    match current {
        Some(n) if n < TOO_FEW_OPEN_FILES => Finding::broken(FILE_LIMITS, told, remedy),
        Some(n) if n < ENOUGH_OPEN_FILES => Finding::warning(FILE_LIMITS, told, remedy),
        _ => Finding::ok(FILE_LIMITS, told),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn workers_that_need_more_than_there_is_are_told() {
        let machine = Memory { total: Some(8 * GIB), available: Some(6 * GIB), group: None };
        assert_eq!(enough_memory(4, 2 * GIB, &machine).state, State::Ok);
        assert_eq!(enough_memory(5, 2 * GIB, &machine).state, State::Warning);
        assert_eq!(enough_memory(1, 7 * GIB, &machine).state, State::Warning);
        assert_eq!(enough_memory(0, 7 * GIB, &machine).state, State::Ok);
        let contained = Memory { group: Some(3 * GIB), ..machine };
        let finding = enough_memory(2, 2 * GIB, &contained);
        assert_eq!(finding.state, State::Warning);
        assert!(finding.found.contains("4.0 GiB of 3.0 GiB (the control group's"), "{finding}");
        let unknown = Memory { total: None, available: None, group: None };
        assert_eq!(enough_memory(1, GIB, &unknown).state, State::Warning);
    }

    #[test]
    fn the_systems_files_are_read() {
        let told = "MemTotal:       16384256 kB\nMemFree:  1 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(meminfo(told, "MemTotal:"), Some(16_384_256 * 1024));
        assert_eq!(meminfo(told, "MemAvailable:"), Some(1024 * 1024));
        assert_eq!(meminfo("", "MemTotal:"), None);
        let files = group_files("0::/a/b").unwrap();
        let shown: Vec<_> = files.iter().map(|f| f.to_str().unwrap()).collect();
        let expected = ["a/b/", "a/", ""].map(|p| format!("/sys/fs/cgroup/{p}memory.max"));
        assert_eq!(shown, expected);
        let old = group_files("5:cpu,memory:/").unwrap();
        assert_eq!(old, [PathBuf::from("/sys/fs/cgroup/memory/memory.limit_in_bytes")]);
        assert_eq!(group_files("4:pids:/"), None);
    }

    #[test]
    fn few_open_files_are_told() {
        assert_eq!(enough_open_files(None, None).state, State::Ok);
        assert_eq!(enough_open_files(Some(1024), None).state, State::Ok);
        assert_eq!(enough_open_files(Some(1023), Some(4096)).state, State::Warning);
        assert_eq!(enough_open_files(Some(255), Some(4096)).state, State::Broken);
    }

    #[test]
    fn a_disk_that_is_there_is_measured() {
        let fleet = Fleet::defaults(&std::env::temp_dir());
        let findings = disk(&fleet);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].found.contains("queue, catalog, objects"), "{findings:?}");
    }
}
