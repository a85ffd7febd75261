//! Who does upkeep: one scheduler at a time, named by an object that says until when.
//!
//! Losing it is harmless. Every duty is safe beside any number of writers and beside a second owner, so a clock
//! that is wrong, or a scheduler that slept, costs double work and nothing else: that is all that the object is
//! there to save.

use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_model::keys;
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_objects::{Expected, ObjectError, Objects, PutOutcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long an owner that gives no sign of life is waited for.
const LEASE: TimeDelta = TimeDelta::minutes(5);

/// When each duty was last done, by its name.
pub(crate) type Done = BTreeMap<String, DateTime<Utc>>;

/// One scheduler's claim to upkeep.
pub(crate) struct Owner {
    objects: Arc<dyn Objects>,
    name: String,
}

/// The object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ownership {
    /// Host, process, and when it began.
    holder: String,
    /// Until when the others leave upkeep to it.
    until: DateTime<Utc>,
    /// Kept from owner to owner, so that no change of owner repeats what was done an hour ago.
    #[serde(default)]
    done: Done,
}

impl Ownership {
    /// Whether its holder may be alive. A time far ahead was written by a clock that was wrong.
    fn stands(&self, now: DateTime<Utc>) -> bool {
        now < self.until && self.until - now <= LEASE * 2
    }
}

impl Owner {
    /// The claim of this process, which begins `now`.
    pub(crate) fn new(objects: Arc<dyn Objects>, now: DateTime<Utc>) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = format!("{host}/{}/{}", std::process::id(), now.timestamp_micros());
        Self { objects, name }
    }

    /// Takes upkeep, or keeps it. None: another scheduler does it.
    pub(crate) async fn hold(&self, now: DateTime<Utc>) -> Result<Option<Done>, ObjectError> {
        let key = keys::upkeep_owner();
        let (before, expected) = match self.objects.get(&key).await? {
            None => (None, Expected::Absent),
            // One that cannot be read holds nothing up.
            Some(object) => (
                from_json::<Ownership>(&key, &object.bytes).ok(),
                Expected::Version(object.version),
            ),
        };
        if before.as_ref().is_some_and(|b| b.holder != self.name && b.stands(now)) {
            return Ok(None);
        }
        let done = before.map(|b| b.done).unwrap_or_default();
        let mine = Ownership { holder: self.name.clone(), until: now + LEASE, done };
        let outcome = self.objects.put_if(&key, to_json(&mine), expected).await?;
        Ok((outcome != PutOutcome::Lost).then_some(mine.done))
    }

    /// Notes that a duty was done, for this owner and the next.
    pub(crate) async fn note(&self, duty: &str, at: DateTime<Utc>) -> Result<(), ObjectError> {
        self.change(|mine| {
            mine.done.insert(duty.to_owned(), at);
        })
        .await
    }

    /// Leaves upkeep to whoever asks next.
    pub(crate) async fn release(&self, now: DateTime<Utc>) -> Result<(), ObjectError> {
        self.change(|mine| mine.until = now).await
    }

    /// Changes the object while it is this scheduler's. That of another is left alone.
    async fn change(&self, change: impl FnOnce(&mut Ownership) + Send) -> Result<(), ObjectError> {
        let key = keys::upkeep_owner();
        let Some(object) = self.objects.get(&key).await? else { return Ok(()) };
        let Ok(mut mine) = from_json::<Ownership>(&key, &object.bytes) else { return Ok(()) };
        if mine.holder == self.name {
            change(&mut mine);
            let expected = Expected::Version(object.version);
            // Lost to whoever took over: then the note is lost too, and the duty is done once more.
            self.objects.put_if(&key, to_json(&mine), expected).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_objects::FolderObjects;

    fn time(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    /// Two schedulers and the folder of their objects.
    fn two() -> (tempfile::TempDir, Owner, Owner) {
        let folder = tempfile::tempdir().unwrap();
        let objects: Arc<dyn Objects> = Arc::new(FolderObjects::open(folder.path()).unwrap());
        let (a, b) = (Owner::new(objects.clone(), time(0)), Owner::new(objects, time(1)));
        (folder, a, b)
    }

    #[tokio::test]
    async fn one_at_a_time_and_the_next_after_silence() {
        let (_folder, a, b) = two();
        assert_eq!(a.hold(time(0)).await.unwrap(), Some(Done::new()));
        assert_eq!(b.hold(time(1)).await.unwrap(), None);
        a.note("vacuum", time(1)).await.unwrap();
        b.note("expiry", time(1)).await.unwrap();
        assert!(a.hold(time(4)).await.unwrap().is_some(), "renewed");
        assert_eq!(b.hold(time(6)).await.unwrap(), None);
        let taken = b.hold(time(10)).await.unwrap();
        assert_eq!(taken, Some(Done::from([("vacuum".to_owned(), time(1))])));
        assert_eq!(a.hold(time(11)).await.unwrap(), None, "it comes too late");
        a.release(time(11)).await.unwrap();
        assert_eq!(a.hold(time(11)).await.unwrap(), None, "what is another's is not released");
        b.release(time(11)).await.unwrap();
        assert!(a.hold(time(11)).await.unwrap().is_some(), "released");
    }

    #[tokio::test]
    async fn neither_a_wrong_clock_nor_a_damaged_object_stops_upkeep() {
        let (_folder, a, b) = two();
        assert!(a.hold(time(60)).await.unwrap().is_some(), "an hour ahead");
        assert!(b.hold(time(1)).await.unwrap().is_some());
        b.objects.put(&keys::upkeep_owner(), "{".into()).await.unwrap();
        assert!(a.hold(time(2)).await.unwrap().is_some());
    }
}
