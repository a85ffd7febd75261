//! The raw snapshot of a run: what its source sent, as it came, so that nothing needs to come twice.
//!
//! A snapshot is a row of parts, plain objects that are durable one by one, and beside them a small object of
//! facts: what the source said of itself, and which parts belong to the snapshot. A transfer into a snapshot
//! first takes a number, by a conditional write of the facts, and its parts carry that number. So what a
//! worker without its lease still writes never mixes with what its successor writes.

mod facts;
mod parts;
mod rows;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use facts::{RawFacts, Segment};

use bytes::BytesMut;
use feedfleet_model::RunKey;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_objects::{Expected, ObjectError, Objects, PutOutcome, Version};
use parts::{Part, PartsReader};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The most that a part holds. Smaller parts would be synced more often than is free; larger ones would weigh in the
/// budget of a small worker, which has one in hand and those in flight in memory, and lose more where it is killed.
pub(crate) const PART_BYTES: usize = 4 * 1024 * 1024;

/// Parts that are written at once: while the disk syncs one, the next is on its way. Where a worker is killed and one of
/// them is missing, those after it count for nothing.
const PARTS_IN_FLIGHT: usize = 2;

/// Where a run's snapshot is kept.
#[derive(Clone)]
pub(crate) struct Place {
    objects: Arc<dyn Objects>,
    run: RunKey,
    runtime: Handle,
}

impl Place {
    /// The place of a run's snapshot. To be called in the context of the runtime.
    pub fn new(objects: Arc<dyn Objects>, run: RunKey) -> Self {
        Self { objects, run, runtime: Handle::current() }
    }

    /// The run.
    pub fn run(&self) -> &RunKey {
        &self.run
    }

    /// The snapshot as it is now.
    pub async fn look(&self) -> Result<RawSnapshot, ObjectError> {
        let key = keys::raw_facts(&self.run);
        // Facts before parts: what is written meanwhile is a part more, never one less.
        let (facts, expected) = match self.objects.get(&key).await? {
            None => (None, Expected::Absent),
            Some(object) => {
                let facts = from_json::<RawFacts>(&key, &object.bytes).inspect_err(|error| {
                    tracing::warn!(run = %self.run, %error, "the raw snapshot is taken anew");
                });
                (facts.ok(), Expected::Version(object.version))
            }
        };
        let prefix = keys::raw_prefix(&self.run);
        let mut listed = BTreeMap::new();
        for object in self.objects.list(&prefix, None, usize::MAX).await? {
            if let Some(number) = keys::part_of_raw(&object.key) {
                listed.insert(number, (object.key, object.size_bytes));
            }
        }
        let last_listed = listed.last_key_value().map_or(0, |((transfer, _), _)| *transfer);
        let last_transfer = facts.as_ref().map_or(0, |f| f.transfer).max(last_listed);
        let found = facts.and_then(|facts| {
            let parts = facts.parts(&listed);
            if parts.is_none() {
                tracing::warn!(run = %self.run, "parts of the raw snapshot are missing");
            }
            Some((facts, parts?))
        });
        let (facts, parts) =
            found.map_or((None, Vec::new()), |(facts, parts)| (Some(facts), parts));
        let listed = listed.into_values().map(|(key, _)| key).collect();
        Ok(RawSnapshot { place: self.clone(), facts, parts, listed, expected, last_transfer })
    }

    /// Opens whatever has come so far. Blocking: for use outside of the runtime's own threads.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, ObjectError> {
        let snapshot = self.runtime.block_on(self.look())?;
        if snapshot.facts.is_none() {
            let source = io::Error::new(io::ErrorKind::NotFound, "the raw snapshot has gone");
            let subject = keys::raw(&self.run).to_string();
            return Err(ObjectError { action: "open", subject, source });
        }
        Ok(snapshot.reader())
    }

    /// Notes that what came is no feed that can be read: a later attempt shall ask the source again, and
    /// not fail on the same bytes. Blocking, likewise.
    pub fn reject(&self) -> Result<(), ObjectError> {
        self.runtime.block_on(async {
            let snapshot = self.look().await?;
            let Some(mut facts) = snapshot.facts else { return Ok(()) };
            facts.rejected = true;
            self.put_facts(&facts, snapshot.expected).await.map(|_| ())
        })
    }

    async fn put_facts(
        &self,
        facts: &RawFacts,
        expected: Expected,
    ) -> Result<Version, ObjectError> {
        let key = keys::raw_facts(&self.run);
        match self.objects.put_if(&key, to_json(facts), expected).await? {
            PutOutcome::Written(version) => Ok(version),
            PutOutcome::Lost => {
                let source = io::Error::other("another worker has taken over the run's transfer");
                Err(ObjectError { action: "write", subject: key.to_string(), source })
            }
        }
    }
}

/// A run's snapshot as it was found.
pub(crate) struct RawSnapshot {
    place: Place,
    /// None: it was never begun, has expired, or is damaged.
    pub facts: Option<RawFacts>,
    parts: Vec<Part>,
    /// Every part that lies there, also those of transfers that were given up.
    listed: Vec<ObjectKey>,
    /// The state of the facts, for the next write.
    expected: Expected,
    last_transfer: u32,
}

impl RawSnapshot {
    /// Bytes that have come so far.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Reads it from its start.
    pub fn reader(&self) -> Box<dyn Read + Send> {
        Box::new(PartsReader::new(self.place.objects.clone(), self.parts.clone()))
    }
}

/// A transfer into a snapshot. Dropping it keeps the parts that were full.
pub(crate) struct RawWriter {
    place: Place,
    facts: RawFacts,
    version: Version,
    buffer: BytesMut,
    /// The parts that are being written while the next one fills.
    in_flight: VecDeque<JoinHandle<Result<(), ObjectError>>>,
    /// What this transfer has written, the parts in flight included.
    written: Segment,
}

impl RawWriter {
    /// Begins the snapshot anew, in place of what there is of it.
    pub async fn begin(snapshot: &RawSnapshot, mut facts: RawFacts) -> Result<Self, ObjectError> {
        facts.segments = Vec::new();
        let writer = Self::take(snapshot, facts).await?;
        for key in &snapshot.listed {
            // The facts no longer name it: a leftover harms nobody, and expires with the run.
            if let Err(error) = snapshot.place.objects.delete(key).await {
                tracing::warn!(%error, "a part of an earlier transfer stays");
            }
        }
        Ok(writer)
    }

    /// Goes on where the snapshot ends.
    pub async fn resume(snapshot: &RawSnapshot, mut facts: RawFacts) -> Result<Self, ObjectError> {
        let transfer = facts.transfer;
        let last = snapshot.parts.iter().filter(|part| part.transfer == transfer);
        let sizes: Vec<u64> = last.map(|part| part.bytes).collect();
        if !sizes.is_empty() {
            let parts = sizes.len() as u32;
            facts.segments.push(Segment { transfer, parts, bytes: sizes.iter().sum() });
        }
        Self::take(snapshot, facts).await
    }

    /// Takes the next number. Of several who try, one succeeds.
    async fn take(snapshot: &RawSnapshot, mut facts: RawFacts) -> Result<Self, ObjectError> {
        let transfer = snapshot.last_transfer.saturating_add(1);
        facts.transfer = transfer;
        (facts.complete, facts.rejected) = (false, false);
        let version = snapshot.place.put_facts(&facts, snapshot.expected.clone()).await?;
        Ok(Self {
            place: snapshot.place.clone(),
            facts,
            version,
            buffer: BytesMut::new(),
            in_flight: VecDeque::new(),
            written: Segment { transfer, parts: 0, bytes: 0 },
        })
    }

    /// Where it writes to.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Adds bytes. Blocking: for use outside of the runtime's own threads.
    pub fn write(&mut self, mut piece: &[u8]) -> Result<(), ObjectError> {
        while !piece.is_empty() {
            let n = piece.len().min(PART_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(&piece[..n]);
            piece = &piece[n..];
            if self.buffer.len() == PART_BYTES {
                self.put_part()?;
            }
        }
        Ok(())
    }

    /// Writes the part that is not full, so that nothing is lost. `whole`: it was the last. Blocking,
    /// likewise.
    pub fn finish(mut self, whole: bool) -> Result<(), ObjectError> {
        self.put_part()?;
        self.settle(0)?;
        if !whole {
            return Ok(());
        }
        let runtime = self.place.runtime.clone();
        runtime.block_on(self.complete())
    }

    /// Notes that everything has come.
    pub async fn complete(mut self) -> Result<(), ObjectError> {
        if self.written.parts > 0 {
            self.facts.segments.push(self.written);
        }
        self.facts.complete = true;
        self.place.put_facts(&self.facts, Expected::Version(self.version)).await.map(|_| ())
    }

    /// Begins to write the part at hand, once there is room beside those in flight.
    fn put_part(&mut self) -> Result<(), ObjectError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.settle(PARTS_IN_FLIGHT - 1)?;
        let Segment { transfer, parts, .. } = self.written;
        let key = keys::raw_part(&self.place.run, transfer, parts);
        let bytes = self.buffer.split().freeze();
        self.written.bytes += bytes.len() as u64;
        self.written.parts += 1;
        let objects = self.place.objects.clone();
        let put = async move { objects.put(&key, bytes).await.map(|_| ()) };
        self.in_flight.push_back(self.place.runtime.spawn(put));
        Ok(())
    }

    /// Waits until no more than this many parts are in flight.
    fn settle(&mut self, most: usize) -> Result<(), ObjectError> {
        while self.in_flight.len() > most
            && let Some(part) = self.in_flight.pop_front()
        {
            self.place.runtime.block_on(part).unwrap_or_else(|stopped| {
                let subject = keys::raw(&self.place.run).to_string();
                let source = io::Error::other(stopped);
                Err(ObjectError { action: "write a part of", subject, source })
            })?;
        }
        Ok(())
    }
}
