//! How much memory this process uses, as the kernel counts it.

use std::fs;

/// Resident bytes now; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    status("VmRSS:")
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

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
