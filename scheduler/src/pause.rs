//! Paused pipes. An object says that a pipe shall not run, who said so, when and why; while it is there no run
//! of the pipe is issued, by schedule or by hand. Runs that have been issued are not stopped: they, and their
//! messages if those are lost, go on to their end.

use chrono::{DateTime, Utc};
use feedfleet_model::{PipeName, RunId, keys, text};
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_objects::{
    Expected, ObjectError, Objects, PutOutcome, READS_AT_ONCE, ReportError, get_all,
};
use futures::stream::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Rounds in which a write may lose to others.
const MAX_ROUNDS: usize = 50;

/// Why a pipe does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Who paused it.
    pub by: String,
    /// Why, in that person's words.
    pub note: Option<String>,
    /// What the last rollback did since. Whoever asked for it need not be the one who paused the pipe.
    #[serde(default)]
    pub rolled_back: Option<RolledBack>,
}

/// What a rollback did to a pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// When.
    pub at: DateTime<Utc>,
    /// Who asked for it.
    pub by: String,
    /// Why, in that person's words.
    pub note: Option<String>,
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
        let Self { at, by, note, rolled_back } = self;
        write!(f, "since {}", Signed { at: *at, by, note: note.as_deref() })?;
        match rolled_back {
            None => Ok(()),
            // Paused for it.
            Some(RolledBack { to, by: theirs, note: why, .. }) if theirs == by && why == note => {
                write!(f, ", rolled back to run {to}")
            }
            Some(RolledBack { at, by, note, to, .. }) => {
                let signed = Signed { at: *at, by, note: note.as_deref() };
                write!(f, ", rolled back to run {to} at {signed}")
            }
        }
    }
}

/// When, by whom and why.
struct Signed<'a> {
    at: DateTime<Utc>,
    by: &'a str,
    note: Option<&'a str>,
}

impl fmt::Display for Signed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.format("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "{at} by {}", text::printable(self.by))?;
        match self.note {
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

/// What keeps a pipe, or a supplement, from running: its own pause, or that of its pipe; with the name of which it is.
pub async fn pause_over(
    objects: &dyn Objects,
    source: &PipeName,
) -> Result<Option<(PipeName, Pause)>, ReportError> {
    if let Some(pause) = paused(objects, source).await? {
        return Ok(Some((source.clone(), pause)));
    }
    if !source.is_supplement() {
        return Ok(None);
    }
    let pipe = source.pipe();
    Ok(paused(objects, &pipe).await?.map(|pause| (pipe, pause)))
}

/// The pipes that are paused, with why: one listing, and a look at each of them.
pub async fn all_paused(
    objects: &Arc<dyn Objects>,
) -> Result<BTreeMap<PipeName, Result<Pause, ReportError>>, ReportError> {
    let listed = objects.list(&format!("{}/", keys::PAUSED), None, usize::MAX).await?;
    let keys = listed.into_iter().map(|entry| entry.key);
    let mut reads = get_all(objects, keys, READS_AT_ONCE);
    let mut found = BTreeMap::new();
    while let Some((key, object)) = reads.next().await {
        let Some(pipe) = keys::pipe_of_pause(&key) else { continue };
        let pause = match object {
            Ok(Some(object)) => from_json(&key, &object.bytes),
            // It was let run again just now.
            Ok(None) => continue,
            Err(e) => Err(e.into()),
        };
        found.insert(pipe, pause);
    }
    Ok(found)
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

/// Notes in a pipe's pause what a rollback did. Who paused the pipe first, and why, stays. A pipe that was let run
/// meanwhile is paused again, or its next run would bring back what was wrong.
pub async fn note_rollback(
    objects: &dyn Objects,
    pipe: &PipeName,
    did: &RolledBack,
) -> Result<(), ReportError> {
    let key = keys::paused(pipe);
    for _ in 0..MAX_ROUNDS {
        let (earlier, expected) = match objects.get(&key).await? {
            // One that cannot be read has no record to keep.
            Some(object) => {
                let earlier = from_json::<Pause>(&key, &object.bytes).ok();
                (earlier, Expected::Version(object.version))
            }
            None => (None, Expected::Absent),
        };
        let new =
            || Pause { at: did.at, by: did.by.clone(), note: did.note.clone(), rolled_back: None };
        let mut said = earlier.unwrap_or_else(new);
        // A rollback that found the pipe as it should be may be the second try of the one that did it.
        let is_told = said.rolled_back.as_ref().is_some_and(|earlier| earlier.to == did.to);
        if is_told && did.version.is_none() {
            return Ok(());
        }
        said.rolled_back = Some(did.clone());
        if objects.put_if(&key, to_json(&said), expected).await? != PutOutcome::Lost {
            return Ok(());
        }
    }
    Err(ObjectError::contended(&key).into())
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

    fn rollback(by: &str, note: &str, to: i64, version: Option<u64>) -> RolledBack {
        let at = DateTime::from_timestamp(1_700_000_060, 0).unwrap();
        let (by, note, to) = (by.to_owned(), Some(note.to_owned()), RunId(to));
        RolledBack { at, by, note, to, version, put_back: 1, taken_out: 2, live: 3 }
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

    #[tokio::test]
    async fn a_pipe_that_is_paused_keeps_its_supplements_from_running_and_not_the_other_way_round()
    {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let pipe: PipeName = "acme".parse().unwrap();
        let stock = pipe.with_supplement("stock").unwrap();
        let over = async |name: &PipeName| {
            let found = pause_over(&objects, name).await.unwrap();
            found.map(|(whose, pause)| (whose.to_string(), pause.by))
        };
        let told = |whose: &str, by: &str| Some((whose.to_owned(), by.to_owned()));
        assert!(pause(&objects, &stock, &by("bob")).await.unwrap());
        assert_eq!((over(&pipe).await, over(&stock).await), (None, told("acme.stock", "bob")));
        assert!(pause(&objects, &pipe, &by("ada")).await.unwrap());
        assert!(resume(&objects, &stock).await.unwrap());
        assert_eq!(over(&stock).await, told("acme", "ada"));
    }

    #[tokio::test]
    async fn all_that_are_paused_are_found_beside_one_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let objects: Arc<dyn Objects> = Arc::new(FolderObjects::open(folder.path()).unwrap());
        assert!(all_paused(&objects).await.unwrap().is_empty());
        let name = |n: usize| format!("pipe-{n}").parse::<PipeName>().unwrap();
        for n in 0..READS_AT_ONCE * 2 {
            assert!(pause(objects.as_ref(), &name(n), &by("ada")).await.unwrap());
        }
        assert!(resume(objects.as_ref(), &name(3)).await.unwrap());
        objects.put(&keys::paused(&name(7)), "{".into()).await.unwrap();
        let found = all_paused(&objects).await.unwrap();
        assert_eq!(found.len(), READS_AT_ONCE * 2 - 1);
        assert!(!found.contains_key(&name(3)));
        for (pipe, pause) in found {
            match pipe == name(7) {
                true => assert!(pause.is_err()),
                false => assert_eq!(pause.unwrap(), by("ada")),
            }
        }
    }

    #[tokio::test]
    async fn a_rollback_is_noted_beside_who_paused_the_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let pipe: PipeName = "acme".parse().unwrap();
        assert!(pause(&objects, &pipe, &by("bob")).await.unwrap());
        let did = rollback("ada", "all cost 1", 7, Some(12));
        note_rollback(&objects, &pipe, &did).await.unwrap();
        let noted = Pause { rolled_back: Some(did), ..by("bob") };
        assert_eq!(paused(&objects, &pipe).await.unwrap(), Some(noted.clone()));

        // The same once more finds nothing to do; another one does.
        note_rollback(&objects, &pipe, &rollback("cid", "sure?", 7, None)).await.unwrap();
        assert_eq!(paused(&objects, &pipe).await.unwrap(), Some(noted));
        let other = rollback("cid", "farther", 5, Some(13));
        note_rollback(&objects, &pipe, &other).await.unwrap();
        let noted = Pause { rolled_back: Some(other), ..by("bob") };
        assert_eq!(paused(&objects, &pipe).await.unwrap(), Some(noted));

        // Neither a pause that was lifted nor one that is damaged leaves the pipe running.
        for damaged in [false, true] {
            assert!(resume(&objects, &pipe).await.unwrap());
            if damaged {
                objects.put(&keys::paused(&pipe), "{".into()).await.unwrap();
            }
            let did = rollback("ada", "all cost 1", 7, None);
            note_rollback(&objects, &pipe, &did).await.unwrap();
            let said = paused(&objects, &pipe).await.unwrap().unwrap();
            assert_eq!((said.by.as_str(), said.rolled_back), ("ada", Some(did)));
        }
    }

    #[test]
    fn a_pause_says_who_when_and_why() {
        let pause = by("ada\u{1b}[31m");
        assert_eq!(pause.to_string(), "since 2023-11-14 22:13:20 UTC by ada\\u{1b}[31m");
        let mut pause = by("ada");
        pause.note = Some("bad feed".to_owned());
        pause.rolled_back = Some(rollback("ada", "bad feed", 7, None));
        let text = "since 2023-11-14 22:13:20 UTC by ada (bad feed), rolled back to run 7";
        assert_eq!(pause.to_string(), text);
        pause.rolled_back = Some(rollback("bob", "all cost 1", 5, None));
        let text = "since 2023-11-14 22:13:20 UTC by ada (bad feed), rolled back to run 5 at \
                    2023-11-14 22:14:20 UTC by bob (all cost 1)";
        assert_eq!(pause.to_string(), text);
    }
}
