//! A snapshot that a crawl of a site writes: rows in parts of whole lines. What counts is not what lies there but what the
//! crawl's saved state names, so a crawl that is taken up again goes on behind just those parts.

use super::{RawFacts, RawSnapshot, RawWriter, Segment};
use bytes::Bytes;
use feedfleet_model::keys;
use feedfleet_objects::ObjectError;
use std::collections::HashSet;

impl RawSnapshot {
    /// Whether all parts of these segments are there.
    pub fn has(&self, segments: &[Segment]) -> bool {
        let listed: HashSet<(u32, u32)> =
            self.listed.iter().filter_map(keys::part_of_raw).collect();
        let mut parts =
            segments.iter().flat_map(|s| (0..s.parts).map(move |number| (s.transfer, number)));
        parts.all(|part| listed.contains(&part))
    }
}

impl RawWriter {
    /// Goes on behind these segments; whatever else lies there counts for nothing.
    pub async fn resume_at(
        snapshot: &RawSnapshot,
        mut facts: RawFacts,
        segments: Vec<Segment>,
    ) -> Result<Self, ObjectError> {
        facts.segments = segments;
        Self::take(snapshot, facts).await
    }

    /// Writes a part, and waits until it is durable.
    pub async fn put_rows(&mut self, rows: Bytes) -> Result<(), ObjectError> {
        if rows.is_empty() {
            return Ok(());
        }
        let Segment { transfer, parts, .. } = self.written;
        let key = keys::raw_part(&self.place.run, transfer, parts);
        let bytes = rows.len() as u64;
        self.place.objects.put(&key, rows).await?;
        self.written.parts += 1;
        self.written.bytes += bytes;
        Ok(())
    }

    /// All that counts, this transfer's parts included.
    pub fn segments(&self) -> Vec<Segment> {
        let own = (self.written.parts > 0).then_some(self.written);
        self.facts.segments.iter().copied().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Archive;
    use super::*;

    #[test]
    fn parts_behind_the_saved_state_count_for_nothing() {
        let archive = Archive::new();
        let facts = RawFacts { location: "site".to_owned(), ..RawFacts::default() };
        let runtime = &archive.runtime;
        let mut first = runtime.block_on(RawWriter::begin(&archive.look(), facts.clone())).unwrap();
        runtime.block_on(first.put_rows("a\n".into())).unwrap();
        runtime.block_on(first.put_rows(Bytes::new())).unwrap();
        let saved = first.segments();
        runtime.block_on(first.put_rows("lost\n".into())).unwrap();
        drop(first);

        let look = archive.look();
        assert!(look.has(&saved) && look.has(&[]));
        assert!(!look.has(&[Segment { transfer: 1, parts: 3, bytes: 0 }]), "there are two");
        let resumed = RawWriter::resume_at(&look, facts, saved);
        let mut second = runtime.block_on(resumed).unwrap();
        runtime.block_on(second.put_rows("b\n".into())).unwrap();
        assert_eq!(second.segments().len(), 2);
        runtime.block_on(second.complete()).unwrap();
        assert_eq!(archive.read(), b"a\nb\n");
    }
}
