//! What the end-to-end tests share: a fleet in a temporary folder that is driven through the real binary, small
//! servers (HTTP, SFTP, FTP) whose answers a test decides, and a reader of the product table.

pub mod aws;
mod fleet;
mod gate;
mod products;
mod readers;
pub mod remote;
mod server;

pub use fleet::{Fleet, Output, Running, feedfleet, free_port};
pub use gate::Gate;
pub use products::{Product, products};
pub use readers::Readers;
pub use server::{Reply, Server};

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A folder of the optional real input, `../shared/data` beside the workspace. None, and a line that says so,
/// where it is absent; the test then ends early.
pub fn real_data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED: {} is absent", path.display());
    None
}

/// Looks until `check` has an answer: every 20 ms, or, where a look takes longer, after as long again, 250 ms at most. A
/// pause counts for what it should last: while the machine stood still, nothing could happen either.
///
/// # Panics
///
/// After `deadline`, naming `what` was waited for.
pub fn eventually<T>(deadline: Duration, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let mut waited = Duration::ZERO;
    loop {
        let begun = Instant::now();
        if let Some(answer) = check() {
            return answer;
        }
        assert!(waited < deadline, "waited {deadline:?} in vain: {what}");
        let looked = begun.elapsed();
        let pause = looked.clamp(Duration::from_millis(20), Duration::from_millis(250));
        std::thread::sleep(pause);
        waited += looked + pause;
    }
}
