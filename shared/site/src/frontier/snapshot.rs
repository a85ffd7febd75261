//! A frontier as bytes.
//!
//! ```text
//! magic (6) | version (u16) | XXH3-128 of what follows (16) | zstd of:
//!     length of the JSON (u64) | JSON of all but the seen URLs | hashes of the seen URLs, sorted (16 each)
//! ```
//!
//! Numbers are little-endian. The same frontier has the same bytes.

use super::entry::{FailedPage, Tally, UrlEntry, UrlKind};
use super::{Frontier, LANES, Waiting, hash_of, lane};
use crate::traps::{Limits, PatternCounts};
use chrono::{DateTime, Utc};
use feedfleet_model::hash::bytes_hash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

const MAGIC: &[u8; 6] = b"FFSITE";
const VERSION: u16 = 1;
/// Fast: a snapshot is made while a crawl waits for it.
const COMPRESSION_LEVEL: i32 = 1;

/// Why a frontier can't be saved or restored. Another try does not help; a crawl whose snapshot can't be restored
/// begins anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are no snapshot of a frontier, or not all of one.
    #[error("damaged snapshot of a frontier: {message}")]
    Damaged {
        /// What is wrong.
        message: &'static str,
    },
    /// Made by another release.
    #[error("snapshot of a frontier in format {version}; this release reads {VERSION}")]
    Version {
        /// The snapshot's format.
        version: u16,
    },
    /// The contents can't be written or read as JSON.
    #[error("contents of a frontier's snapshot")]
    Contents {
        /// The parser's word.
        #[source]
        source: serde_json::Error,
    },
    /// The contents can't be packed or unpacked.
    #[error("packing a frontier's snapshot")]
    Packing {
        /// The compressor's word.
        #[source]
        source: std::io::Error,
    },
}

#[derive(Serialize)]
struct StateRef<'a> {
    started: DateTime<Utc>,
    lanes: Vec<Vec<&'a UrlEntry>>,
    waiting: Vec<(DateTime<Utc>, &'a UrlEntry)>,
    patterns: &'a PatternCounts,
    failed: &'a [FailedPage],
    tally: &'a Tally,
    too_deep: &'a BTreeSet<String>,
}

#[derive(Deserialize)]
struct State {
    started: DateTime<Utc>,
    lanes: Vec<VecDeque<UrlEntry>>,
    waiting: Vec<(DateTime<Utc>, UrlEntry)>,
    patterns: PatternCounts,
    failed: Vec<FailedPage>,
    tally: Tally,
    #[serde(default)]
    too_deep: BTreeSet<String>,
}

impl Frontier {
    /// The frontier as bytes. URLs that are under way are saved as still to be fetched, before all others of their
    /// kind: what has not been reported as done before this call will be fetched again.
    pub fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut lanes: Vec<Vec<&UrlEntry>> = vec![Vec::new(); LANES];
        let mut under_way: Vec<(&u128, &UrlEntry)> = self.under_way.iter().collect();
        under_way.sort_unstable_by_key(|(hash, _)| **hash);
        for (_, entry) in under_way {
            lanes[lane(entry.kind)].push(entry);
        }
        for (saved, lane) in lanes.iter_mut().zip(&self.lanes) {
            saved.extend(lane);
        }
        let state = StateRef {
            started: self.started,
            lanes,
            waiting: self.waiting.iter().map(|(due, entry)| (due.0, entry)).collect(),
            patterns: &self.patterns,
            failed: &self.failed,
            tally: &self.tally,
            too_deep: &self.too_deep,
        };
        let json =
            serde_json::to_vec(&state).map_err(|source| SnapshotError::Contents { source })?;
        let mut seen: Vec<u128> = self.seen.iter().copied().collect();
        seen.sort_unstable();
        let mut contents = Vec::with_capacity(8 + json.len() + 16 * seen.len());
        contents.extend((json.len() as u64).to_le_bytes());
        contents.extend(json);
        for hash in seen {
            contents.extend(hash.to_le_bytes());
        }
        let packed = zstd::bulk::compress(&contents, COMPRESSION_LEVEL)
            .map_err(|source| SnapshotError::Packing { source })?;
        let mut out = Vec::with_capacity(24 + packed.len());
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(bytes_hash(&packed).to_le_bytes());
        out.extend(packed);
        Ok(out)
    }

    /// Restores a frontier from the bytes that [`Frontier::save`] made. The limits are those of today's settings.
    pub fn load(bytes: &[u8], limits: &Limits) -> Result<Self, SnapshotError> {
        let damaged = |message| SnapshotError::Damaged { message };
        let rest = bytes.strip_prefix(MAGIC).ok_or(damaged("it begins otherwise"))?;
        let (version, rest) = rest.split_first_chunk().ok_or(damaged("too short"))?;
        let version = u16::from_le_bytes(*version);
        if version != VERSION {
            return Err(SnapshotError::Version { version });
        }
        let (hash, packed) = rest.split_first_chunk().ok_or(damaged("too short"))?;
        if u128::from_le_bytes(*hash) != bytes_hash(packed) {
            return Err(damaged("its checksum is wrong"));
        }
        let contents =
            zstd::stream::decode_all(packed).map_err(|source| SnapshotError::Packing { source })?;
        let (json_bytes, rest) = contents.split_first_chunk().ok_or(damaged("too short"))?;
        let json_bytes = usize::try_from(u64::from_le_bytes(*json_bytes)).unwrap_or(usize::MAX);
        let (json, hashes) = rest.split_at_checked(json_bytes).ok_or(damaged("too short"))?;
        let state: State =
            serde_json::from_slice(json).map_err(|source| SnapshotError::Contents { source })?;
        let (hashes, rest) = hashes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(damaged("half a hash at its end"));
        }
        let lanes: [VecDeque<UrlEntry>; LANES] =
            state.lanes.try_into().map_err(|_| damaged("another number of queues"))?;
        let open = lanes.iter().flatten().chain(state.waiting.iter().map(|(_, entry)| entry));
        let open_sitemaps = open.filter(|entry| entry.kind == UrlKind::Sitemap).count();
        let waiting = state.waiting.into_iter().map(|(due, entry)| {
            let key: Waiting = (due, hash_of(&entry.url));
            (key, entry)
        });
        Ok(Self {
            limits: limits.clone(),
            started: state.started,
            seen: hashes.iter().map(|hash| u128::from_le_bytes(*hash)).collect(),
            lanes,
            waiting: waiting.collect(),
            under_way: Default::default(),
            patterns: state.patterns,
            failed: state.failed,
            tally: state.tally,
            too_deep: state.too_deep,
            open_sitemaps,
            held_since: None,
        })
    }
}
