//! A number of bytes that several tasks share: who needs some waits until they are free.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this: a semaphore's are at most 32 bits wide at a time.
const UNIT_BYTES: u64 = 64 * 1024;

/// Bytes to be shared, in order of arrival. Clones share them.
#[derive(Debug, Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    units: u32,
}

/// Some of a room's bytes. Dropping it gives them back.
#[derive(Debug)]
#[must_use = "the place is given back when it is dropped"]
pub struct Place {
    _units: OwnedSemaphorePermit,
}

impl Room {
    /// A room of this size, and of 64 KiB at least.
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// The most that anybody can have.
    pub fn bytes(&self) -> u64 {
        u64::from(self.units) * UNIT_BYTES
    }

    /// Waits until so many bytes are free, and takes them; all there are, for who asks for more.
    ///
    /// Who has a place must not wait for another one of the same room: two who do would wait for each other.
    pub async fn take(&self, bytes: u64) -> Place {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units);
        let units = self.free.clone().acquire_many_owned(units).await;
        Place { _units: units.expect("a room's semaphore is never closed") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn who_finds_no_room_waits_for_it() {
        let room = Room::new(1 << 20);
        assert_eq!(room.bytes(), 1 << 20);
        let most = room.take(900 << 10).await;
        let waits = room.take(200 << 10);
        tokio::pin!(waits);
        let short = Duration::from_millis(20);
        assert!(tokio::time::timeout(short, &mut waits).await.is_err());
        drop(most);
        drop(waits.await);
        // More than there is: all of it.
        drop(room.take(u64::MAX).await);
    }
}
