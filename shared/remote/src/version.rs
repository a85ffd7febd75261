//! What tells one state of a file from another where the server has no entity tags: its size and when it was changed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Servers tell times in whole seconds, and a file that was changed just now may be changed again within its second,
/// or be still on its way to the server. By then it counts as settled.
const SETTLED: Duration = Duration::from_secs(5);

/// The state of a file, as far as its server tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Version {
    pub(crate) size_bytes: Option<u64>,
    /// Seconds since 1970.
    pub(crate) modified_secs: Option<i64>,
}

impl Version {
    /// A name by which this very state is known again. None where the server tells too little, or where the file was
    /// changed so lately that another state may get the same name. A server whose clock is ahead has none until the
    /// file is that much older.
    pub(crate) fn tag(&self, now: SystemTime) -> Option<String> {
        let (size, modified) = (self.size_bytes?, self.modified_secs?);
        let since = UNIX_EPOCH + Duration::from_secs(u64::try_from(modified).ok()?);
        let is_settled = now.duration_since(since).is_ok_and(|age| age >= SETTLED);
        is_settled.then(|| format!("\"{size}-{modified}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(modified_secs: i64, now_secs: u64) -> Option<String> {
        let version = Version { size_bytes: Some(12), modified_secs: Some(modified_secs) };
        version.tag(UNIX_EPOCH + Duration::from_secs(now_secs))
    }

    #[test]
    fn only_a_settled_state_has_a_name() {
        assert_eq!(tag(1_000, 2_000).as_deref(), Some("\"12-1000\""));
        assert_eq!(tag(1_000, 1_005).as_deref(), Some("\"12-1000\""));
        for now in [1_000, 1_004, 10] {
            assert_eq!(tag(1_000, now), None, "{now}");
        }
        assert_eq!(tag(-1, 2_000), None);
        let unknown = Version { size_bytes: Some(12), modified_secs: None };
        assert_eq!(unknown.tag(SystemTime::now()), None);
    }
}
