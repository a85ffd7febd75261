//! What was learnt of objects that are listed again and again. A listing is one request for a thousand of them, and
//! reading is one for each: an object that is as it was is not read again.

use crate::age;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A store may tell the time of a write by the second: only what was written this long before it was read is known
/// for good, for whatever is written then has another time.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// After this long an object is read again all the same: a disk may spoil what nobody writes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(6 * 3600);

/// What was learnt of each object.
pub(crate) struct Seen<K, V>(Mutex<HashMap<K, Note<V>>>);

struct Note<V> {
    written: SystemTime,
    read_at: DateTime<Utc>,
    what: V,
}

impl<K, V> Default for Seen<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Seen<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Note<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was learnt of the object, which was last `written` then; none where it must be read.
    pub(crate) fn get(&self, key: &K, written: SystemTime, now: DateTime<Utc>) -> Option<V> {
        let notes = self.lock();
        let note = notes.get(key)?;
        let is_known = note.written == written && age(now, note.read_at) < FORGOTTEN_AFTER;
        is_known.then(|| note.what.clone())
    }

    /// Notes what was learnt of the object, which was last `written` then and has just been read.
    pub(crate) fn note(&self, key: K, written: SystemTime, now: DateTime<Utc>, what: V) {
        if age(now, written.into()) >= SETTLED_AFTER {
            self.lock().insert(key, Note { written, read_at: now, what });
        }
    }

    /// Forgets the objects that are not listed any more.
    pub(crate) fn keep(&self, is_listed: impl Fn(&K) -> bool) {
        self.lock().retain(|key, _| is_listed(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn what_is_as_it_was_is_known_and_what_may_have_changed_is_not() {
        let seen = Seen::default();
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let after = |secs: i64| DateTime::<Utc>::from(written) + TimeDelta::seconds(secs);
        seen.note("young", written, after(59), 1);
        assert_eq!(seen.get(&"young", written, after(59)), None);
        seen.note("old", written, after(60), 2);
        assert_eq!(seen.get(&"old", written, after(100)), Some(2));
        assert_eq!(seen.get(&"old", written + Duration::from_secs(1), after(100)), None);
        assert_eq!(seen.get(&"old", written, after(60 + 6 * 3600)), None);
        seen.keep(|_| false);
        assert_eq!(seen.get(&"old", written, after(100)), None);
    }
}
