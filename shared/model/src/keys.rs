//! Object keys. They are made here and nowhere else, from typed parts, so that nothing from outside can
//! shape a path.

use crate::hash::{bytes_hash, hex};
use crate::ids::{PipeName, RunId, RunKey};
use std::fmt;

/// The key of an object: `/`-separated segments of `A-Z a-z 0-9 . _ = -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a key that was written before; none for a text that is no key.
    pub fn parse(text: &str) -> Option<Self> {
        let segment = |s: &str| {
            !s.is_empty()
                && s != "."
                && s != ".."
                && s.len() <= 255
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._=-".contains(&b))
        };
        (text.len() <= 1024 && text.split('/').all(segment)).then(|| Self(text.to_owned()))
    }

    fn of(text: String) -> Self {
        debug_assert!(Self::parse(&text).is_some(), "{text}");
        Self(text)
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Prefix of all run reports.
pub const REPORTS: &str = "reports";
/// Prefix of image receipts that wait to be folded into the `images` table.
pub const RECEIPTS: &str = "receipts";
/// Prefix of dead letters.
pub const DEAD: &str = "dead";

/// A run's report. Run ids are written with leading zeros: listing sorts them by time.
pub fn report(key: &RunKey) -> ObjectKey {
    ObjectKey::of(format!("{REPORTS}/{}/{}.json", key.pipe, run_segment(key.run)))
}

/// Prefix of a pipe's reports.
pub fn reports_of(pipe: &PipeName) -> String {
    format!("{REPORTS}/{pipe}/")
}

/// The run a report's key names; none for other keys.
pub fn run_of_report(key: &ObjectKey) -> Option<RunKey> {
    let mut parts = key.as_str().strip_prefix(REPORTS)?.strip_prefix('/')?.split('/');
    let pipe = parts.next()?.parse().ok()?;
    let run = parts.next()?.strip_suffix(".json")?.parse().ok()?;
    parts.next().is_none().then_some(RunKey { pipe, run })
}

/// The raw snapshot of a run's source, as it came.
pub fn raw(key: &RunKey) -> ObjectKey {
    ObjectKey::of(format!("raw/{}/{}.bin", key.pipe, run_segment(key.run)))
}

/// The run whose raw snapshot has this key; none for other keys.
pub fn run_of_raw(key: &ObjectKey) -> Option<RunKey> {
    let (pipe, run) = key.as_str().strip_prefix("raw/")?.strip_suffix(".bin")?.split_once('/')?;
    Some(RunKey { pipe: pipe.parse().ok()?, run: run.parse().ok()? })
}

/// Prefix of a pipe's raw snapshots.
pub fn raw_of(pipe: &PipeName) -> String {
    format!("raw/{pipe}/")
}

/// The validators of a pipe's last complete run.
pub fn validators(pipe: &PipeName) -> ObjectKey {
    ObjectKey::of(format!("validators/{pipe}.json"))
}

/// The key of a picture of a pipe: derived from its address, so that the product row knows it before the
/// picture is there. It names the original.
pub fn image_key(pipe: &PipeName, url: &str) -> ObjectKey {
    let hash = hex(bytes_hash(url.as_bytes()));
    ObjectKey::of(format!("images/{pipe}/{}/{hash}/original", &hash[..2]))
}

/// A rendition of the picture with this key.
pub fn rendition(image: &ObjectKey, name: &str, extension: &str) -> ObjectKey {
    let base = image.as_str().strip_suffix("original").unwrap_or(image.as_str());
    ObjectKey::of(format!("{base}{name}.{extension}"))
}

/// What is known of the picture with this key: ETag, hash, size, renditions.
pub fn image_facts(image: &ObjectKey) -> ObjectKey {
    let base = image.as_str().strip_suffix("original").unwrap_or(image.as_str());
    ObjectKey::of(format!("{base}facts.json"))
}

/// Prefix of what workers tell of themselves.
pub const WORKERS: &str = "fleet/workers";

/// What a worker process tells of itself.
pub fn worker_status(pid: u32) -> ObjectKey {
    ObjectKey::of(format!("{WORKERS}/{pid}.json"))
}

/// What the scheduler tells of the fleet.
pub fn fleet_status() -> ObjectKey {
    ObjectKey::of("fleet/status.json".to_owned())
}

/// The receipt of an image job, by the job's own id.
pub fn receipt(job_id: &str) -> ObjectKey {
    ObjectKey::of(format!("{RECEIPTS}/{job_id}.json"))
}

/// The lasting dead letter of a job, by the job's own id.
pub fn dead_letter(job_id: &str) -> ObjectKey {
    ObjectKey::of(format!("{DEAD}/{job_id}.json"))
}

fn run_segment(run: RunId) -> String {
    format!("{:012}", run.0.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_shapes_a_path() {
        let pipe: PipeName = "acme".parse().unwrap();
        for url in
            ["http://h/../../etc/passwd", "http://h/%2e%2e/", &"x".repeat(5000), "http://h/\0"]
        {
            let key = image_key(&pipe, url);
            assert!(ObjectKey::parse(key.as_str()).is_some(), "{key}");
            assert!(key.as_str().len() < 160);
        }
        for bad in ["", "a//b", "../a", "a/..", "a b", "/a", "a/"] {
            assert_eq!(ObjectKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn report_keys_sort_by_time_and_read_back() {
        let key = |run| RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        assert!(report(&key(999_999_999)) < report(&key(1_000_000_000)));
        assert_eq!(run_of_report(&report(&key(7))), Some(key(7)));
    }
}
