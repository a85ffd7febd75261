//! What a crawl of a site saves, beside its rows, so that it can be taken up by another worker: the frontier, which rows
//! it counts, and what it has learnt of hosts.
//!
//! ```text
//! length of the JSON (u64) | JSON of the notes | number of unchanged pages (u64) | their hashes (16 each)
//!     | number of redirects (u64) | their hashes, from and to (16 each) | frontier
//! ```
//!
//! Numbers are little-endian.

use super::super::failure::Failure;
use super::super::raw::Segment;
use super::hosts::HostNotes;
use bytes::Bytes;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{ReasonClass, RunId, RunKey};
use feedfleet_objects::{Expected, ObjectError, Objects, PutOutcome};
use feedfleet_site::{Frontier, Limits};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;

/// The format; a state in another one counts for nothing.
const VERSION: u32 = 1;

/// A crawl, between two requests.
pub(super) struct State {
    pub notes: Notes,
    /// Pages that are as they were in the run before, by the hash of their URL.
    pub unchanged: HashSet<u128>,
    /// Which page redirects to which, by the hashes of their URLs, without loops.
    pub moved: HashMap<u128, u128>,
    pub frontier: Frontier,
}

/// What is to be known of a crawl besides its URLs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Notes {
    version: u32,
    /// The settings under which it began.
    pub site: String,
    /// What decides which products a page gives.
    pub extraction: String,
    /// The rows that it counts.
    pub segments: Vec<Segment>,
    /// Whether the rows of pages that were not read are there, too: nothing is missing any more.
    pub is_completed: bool,
    /// The run whose pages it knew when it began.
    pub last: Option<RunId>,
    /// Whether the table may show products on pages that neither that run nor this one knew of: no crawl has been whole
    /// since the rows of one were lost.
    #[serde(default)]
    pub has_gaps: bool,
    pub hosts: HostNotes,
    pub counts: SiteCounts,
    /// What it has cost so far.
    #[serde(default)]
    pub spent: Spent,
    /// Pictures that sitemaps name, by page, of pages that have not been read yet.
    pub pictures: BTreeMap<String, String>,
}

/// What a crawl has cost, in all attempts since it began, or began anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spent {
    pub seconds: f64,
    /// Bytes that came.
    pub bytes: u64,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SiteCounts {
    /// Products found.
    pub products: u64,
    /// Pages that gave none.
    pub without_product: u64,
    /// Pages that ask not to be indexed; their products are left out.
    pub noindex: u64,
    /// Scripts of JSON-LD that cannot be read at all.
    pub broken_json_ld: u64,
    /// Sitemaps that are not whole, or lie on another host.
    pub broken_sitemaps: u64,
    /// One of them.
    pub broken_sitemap: Option<String>,
    /// Sitemaps that are not there, without which the pages are known.
    pub gone_sitemaps: u64,
    /// One of them.
    pub gone_sitemap: Option<String>,
    /// Origins whose robots.txt could not be reached.
    pub unreachable: u64,
    /// One of them.
    pub unreachable_origin: Option<String>,
    /// Where a page of the site leads that does not belong to it.
    pub led_away: Option<String>,
    /// How often hosts asked, or made us, to leave them alone for long.
    pub busy: u64,
    /// Until when the last time, by host, for people.
    pub busy_hosts: BTreeMap<String, String>,
    /// A sitemap was not read to its end, or sitemaps named more pictures than are kept: what they said of pictures the
    /// night before counts on.
    pub lacks_pictures: bool,
    /// How often sitemaps named a picture that was not kept.
    pub pictures_left_out: u64,
    /// Pages failed, and nobody knows any more which products they had.
    pub forgotten: bool,
    /// Why the first pages and sitemaps failed that did, by address.
    pub why_failed: BTreeMap<String, String>,
}

impl Notes {
    pub(super) fn new(site: String, extraction: String, last: Option<RunId>) -> Self {
        Self { version: VERSION, site, extraction, last, ..Self::default() }
    }
}

impl State {
    /// Whether redirects lead from one page to another, or both are the same.
    pub(super) fn leads(&self, from: u128, to: u128) -> bool {
        std::iter::successors(Some(from), |at| self.moved.get(at).copied()).any(|at| at == to)
    }

    pub(super) fn to_bytes(&self) -> Result<Bytes, Failure> {
        let unsaved = |text: String| Failure::dead(ReasonClass::Storage, text);
        let notes = serde_json::to_vec(&self.notes).map_err(|e| unsaved(e.to_string()))?;
        let frontier = self.frontier.save().map_err(|e| unsaved(e.to_string()))?;
        let mut bytes =
            Vec::with_capacity(24 + notes.len() + 16 * self.unchanged.len() + frontier.len());
        bytes.extend((notes.len() as u64).to_le_bytes());
        bytes.extend(notes);
        bytes.extend((self.unchanged.len() as u64).to_le_bytes());
        for hash in &self.unchanged {
            bytes.extend(hash.to_le_bytes());
        }
        bytes.extend((self.moved.len() as u64).to_le_bytes());
        for (from, to) in &self.moved {
            bytes.extend(from.to_le_bytes());
            bytes.extend(to.to_le_bytes());
        }
        bytes.extend(frontier);
        Ok(bytes.into())
    }

    /// The error says why the bytes are no state that this release can go on with.
    pub(super) fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, String> {
        let (notes, rest) = Self::notes_of(bytes)?;
        let (unchanged, rest) = hashes(rest, 1)?;
        let (moved, frontier) = hashes(rest, 2)?;
        let (moved, _) = moved.as_chunks::<2>();
        Ok(Self {
            notes,
            unchanged: unchanged.iter().map(|hash| u128::from_le_bytes(*hash)).collect(),
            moved: moved
                .iter()
                .map(|[from, to]| (u128::from_le_bytes(*from), u128::from_le_bytes(*to)))
                .collect(),
            frontier: Frontier::load(frontier, limits).map_err(|e| e.to_string())?,
        })
    }

    /// The notes alone, and what comes behind them.
    fn notes_of(bytes: &[u8]) -> Result<(Notes, &[u8]), String> {
        let (size, rest) = length(bytes)?;
        let (notes, rest) = rest.split_at_checked(size).ok_or("too short")?;
        let notes: Notes = serde_json::from_slice(notes).map_err(|e| e.to_string())?;
        if notes.version != VERSION {
            return Err(format!("format {}, this release reads {VERSION}", notes.version));
        }
        Ok((notes, rest))
    }
}

fn length(bytes: &[u8]) -> Result<(usize, &[u8]), String> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or("too short")?;
    Ok((usize::try_from(u64::from_le_bytes(*length)).map_err(|e| e.to_string())?, rest))
}

/// A number of hashes, or of `each` at a time, and what comes behind them.
fn hashes(bytes: &[u8], each: usize) -> Result<(&[[u8; 16]], &[u8]), String> {
    let (count, rest) = length(bytes)?;
    let size = count.checked_mul(16 * each).ok_or("too short")?;
    let (hashes, rest) = rest.split_at_checked(size).ok_or("too short")?;
    Ok((hashes.as_chunks::<16>().0, rest))
}

/// The notes of a run's crawl; none where there are none that can be read.
pub(super) async fn notes_of(
    objects: &dyn Objects,
    run: &RunKey,
) -> Result<Option<Notes>, ObjectError> {
    let Some(object) = objects.get(&keys::site_state(run)).await? else { return Ok(None) };
    Ok(notes_in(&object.bytes))
}

/// The notes of a state; none where they cannot be read.
pub(super) fn notes_in(state: &[u8]) -> Option<Notes> {
    State::notes_of(state).ok().map(|(notes, _)| notes)
}

/// Where a crawl's state is kept. Who has been overtaken by another worker finds out at the next write.
pub(super) struct Keeper {
    objects: Arc<dyn Objects>,
    key: ObjectKey,
    expected: Expected,
}

impl Keeper {
    /// The place of a run's state, and what is there.
    pub(super) async fn open(
        objects: Arc<dyn Objects>,
        run: &RunKey,
    ) -> Result<(Self, Option<Bytes>), ObjectError> {
        let key = keys::site_state(run);
        let (expected, bytes) = match objects.get(&key).await? {
            Some(object) => (Expected::Version(object.version), Some(object.bytes)),
            None => (Expected::Absent, None),
        };
        Ok((Self { objects, key, expected }, bytes))
    }

    pub(super) async fn save(&mut self, state: &State) -> Result<(), Failure> {
        let bytes = state.to_bytes()?;
        match self.objects.put_if(&self.key, bytes, self.expected.clone()).await? {
            PutOutcome::Written(version) => {
                self.expected = Expected::Version(version);
                Ok(())
            }
            PutOutcome::Lost => {
                let source = io::Error::other("another worker has taken over the crawl");
                let subject = self.key.to_string();
                Err(ObjectError { action: "write", subject, source }.into())
            }
        }
    }

    /// Takes the state away: the next attempt begins anew.
    pub(super) async fn discard(&self) -> Result<(), ObjectError> {
        self.objects.delete(&self.key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use feedfleet_site::UrlKind;

    #[test]
    fn a_state_survives_its_bytes() {
        let limits = Limits::default();
        let mut frontier = Frontier::new(&limits, DateTime::UNIX_EPOCH);
        frontier.add("http://a.example/1", UrlKind::Product, 0);
        let mut notes = Notes::new("s".into(), "e".into(), Some(RunId(7)));
        notes.pictures.insert("http://a.example/1".into(), "http://a.example/1.jpg".into());
        notes.counts.products = 3;
        notes.spent = Spent { seconds: 1.5, bytes: 7 };
        let unchanged = HashSet::from([1, u128::MAX]);
        let state = State { notes, unchanged, moved: HashMap::from([(5, 6), (6, 7)]), frontier };
        let bytes = state.to_bytes().unwrap();
        let read = State::from_bytes(&bytes, &limits).unwrap();
        assert_eq!((&read.notes, &read.unchanged), (&state.notes, &state.unchanged));
        assert_eq!(read.moved, state.moved);
        assert!(read.leads(5, 7) && read.leads(5, 5) && !read.leads(7, 5));
        assert_eq!(read.frontier.remaining(), 1);
        for end in [0, 7, 20, bytes.len() - 1] {
            assert!(State::from_bytes(&bytes[..end], &limits).is_err(), "{end}");
        }
    }
}
