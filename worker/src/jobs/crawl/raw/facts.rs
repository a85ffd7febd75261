//! What lies beside a snapshot's parts: what the source said of itself, and which parts belong together.

use super::parts::Part;
use feedfleet_model::keys::ObjectKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a raw snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RawFacts {
    /// Where it comes from, without secrets.
    pub location: String,
    pub content_type: Option<String>,
    /// The parts are as transferred: encoded, where this says so.
    pub content_encoding: Option<String>,
    /// Bytes of the whole, if the source told.
    pub content_length: Option<u64>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// The ETag or the date can guard a request for the rest.
    pub resumable: bool,
    /// The transfer itself shows where it ends.
    pub marked_end: bool,
    /// The number of the last transfer into it.
    pub transfer: u32,
    /// What transfers that have ended left, in order.
    pub segments: Vec<Segment>,
    /// Everything has come; the last transfer is among the segments.
    pub complete: bool,
    /// It could not be read as a feed.
    pub rejected: bool,
}

/// The parts of one transfer, numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub transfer: u32,
    pub parts: u32,
    /// Bytes of all its parts.
    pub bytes: u64,
}

/// Parts that lie there, with their sizes in bytes, by transfer and number.
pub(super) type Listed = BTreeMap<(u32, u32), (ObjectKey, u64)>;

impl RawFacts {
    /// The snapshot's parts in order; none where some are missing.
    pub(super) fn parts(&self, listed: &Listed) -> Option<Vec<Part>> {
        let part = |transfer: u32, number: u32| {
            let (key, bytes) = listed.get(&(transfer, number))?;
            Some(Part { transfer, key: key.clone(), bytes: *bytes })
        };
        let mut parts = Vec::new();
        for segment in &self.segments {
            let mut bytes = 0;
            for number in 0..segment.parts {
                let part = part(segment.transfer, number)?;
                bytes += part.bytes;
                parts.push(part);
            }
            if bytes != segment.bytes {
                return None;
            }
        }
        if !self.complete {
            // The last transfer wrote no facts at its end: its parts are those that are there.
            parts.extend((0..u32::MAX).map_while(|number| part(self.transfer, number)));
        }
        Some(parts)
    }
}
