//! How much memory this process uses, as the kernel counts it.

use std::fs;

/// Resident bytes now; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    status("VmRSS:")
}

/// Resident bytes of this process and of those that it started; 0 where the system does not say.
pub fn resident_bytes_with_children() -> u64 {
    resident_bytes() + children().iter().map(|pid| status_of(pid, "VmRSS:")).sum::<u64>()
}

/// The most resident bytes since the process began, or since [`reset_peak`]; 0 where the system does not say.
pub fn peak_resident_bytes() -> u64 {
    status("VmHWM:")
}

/// Makes [`peak_resident_bytes`] count from now on. Where the system refuses, it goes on counting from the
/// process's beginning.
pub fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").ok();
}

/// The processes that this one started, as far as they still run.
fn children() -> Vec<String> {
    // Every thread has its own list.
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn status(name: &str) -> u64 {
    status_of("self", name)
}

fn status_of(pid: &str, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
