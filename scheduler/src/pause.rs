//! Paused pipes. An object says that a pipe shall not run, who said so, when and why; while it is there no run
//! of the pipe is issued, by schedule or by hand. Runs that have been issued are not stopped: they, and their
//! messages if those are lost, go on to their end.

use chrono::{DateTime, Utc};
use feedfleet_model::{PipeName, RunId, keys, text};
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_objects::{Expected, Objects, PutOutcome, ReportError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a pipe does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Who paused it.
    pub by: String,
    /// Why, in that person's words.
    pub note: Option<String>,
    /// The rollback that it was paused for.
    #[serde(default)]
    pub rolled_back: Option<RolledBack>,
}

/// What a rollback did to a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The run that the pipe was put back to.
    pub to: RunId,
    /// The table's version that says so; none when the pipe was so already.
    pub version: Option<u64>,
    /// Rows put back.
    pub put_back: u64,
    /// Rows taken out.
    pub taken_out: u64,
    /// Live rows since then.
    pub live: u64,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.format("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "since {at} by {}", text::printable(&self.by))?;
        if let Some(back) = &self.rolled_back {
            write!(f, ", rolled back to run {}", back.to)?;
        }
        match &self.note {
            Some(note) => write!(f, " ({})", text::printable(note)),
            None => Ok(()),
        }
    }
}

/// Whether a pipe is paused, and why.
pub async fn paused(objects: &dyn Objects, pipe: &PipeName) -> Result<Option<Pause>, ReportError> {
    let key = keys::paused(pipe);
    match objects.get(&key).await? {
        Some(object) => from_json(&key, &object.bytes).map(Some),
        None => Ok(None),
    }
}

/// Pauses a pipe. False: it is paused already, and that pause stays as it is.
pub async fn pause(
    objects: &dyn Objects,
    pipe: &PipeName,
    pause: &Pause,
) -> Result<bool, ReportError> {
    let key = keys::paused(pipe);
    let outcome = objects.put_if(&key, to_json(pause), Expected::Absent).await?;
    Ok(outcome != PutOutcome::Lost)
}

/// Lets a pipe run again. False: it was not paused.
pub async fn resume(objects: &dyn Objects, pipe: &PipeName) -> Result<bool, ReportError> {
    let key = keys::paused(pipe);
    // The bytes do not matter: also a pause that nobody can read any more must be lifted.
    let was_paused = objects.get(&key).await?.is_some();
    objects.delete(&key).await?;
    Ok(was_paused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_objects::FolderObjects;

    fn by(name: &str) -> Pause {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        Pause { at, by: name.to_owned(), note: None, rolled_back: None }
    }

    #[tokio::test]
    async fn the_first_pause_stays_until_it_is_lifted() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let pipe: PipeName = "acme".parse().unwrap();
        assert_eq!(paused(&objects, &pipe).await.unwrap(), None);
        assert!(!resume(&objects, &pipe).await.unwrap());
        assert!(pause(&objects, &pipe, &by("ada")).await.unwrap());
        assert!(!pause(&objects, &pipe, &by("bob")).await.unwrap());
        assert_eq!(paused(&objects, &pipe).await.unwrap(), Some(by("ada")));
        assert_eq!(paused(&objects, &"other".parse().unwrap()).await.unwrap(), None);
        assert!(resume(&objects, &pipe).await.unwrap());
        assert_eq!(paused(&objects, &pipe).await.unwrap(), None);
    }

    #[test]
    fn a_pause_says_who_when_and_why() {
        let mut pause = by("ada\u{1b}[31m");
        assert_eq!(pause.to_string(), "since 2023-11-14 22:13:20 UTC by ada\\u{1b}[31m");
        pause.note = Some("bad feed".to_owned());
        let (put_back, taken_out) = (1, 2);
        let to = RunId(7);
        pause.rolled_back = Some(RolledBack { to, version: None, put_back, taken_out, live: 3 });
        assert!(pause.to_string().ends_with(", rolled back to run 7 (bad feed)"), "{pause}");
    }
}
