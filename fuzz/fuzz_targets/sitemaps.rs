//! A sitemap of whatever kind: byte by byte it says what it says in one piece, and all that it says has an address.
#![no_main]

use feedfleet_site::{SitemapEntry, SitemapKind, SitemapReader};
use libfuzzer_sys::fuzz_target;
use std::io::{self, Read};

fuzz_target!(|data: &[u8]| {
    let whole = read(data);
    assert_eq!(whole, read(ByBytes(data)));
    let Some((entries, _, _)) = whole else { return };
    for entry in entries {
        assert!(!entry.location.is_empty() && entry.location.trim() == entry.location, "{entry:?}");
        assert!(entry.images.len() <= 1_000, "{} images", entry.images.len());
    }
});

/// Its entries, its kind, and whether it was read to its end. None: it is no sitemap.
fn read(source: impl Read) -> Option<(Vec<SitemapEntry>, Option<SitemapKind>, bool)> {
    let mut reader = SitemapReader::open(source).ok()?;
    let (mut entries, mut is_whole) = (Vec::new(), true);
    for entry in reader.by_ref() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(_) => is_whole = false,
        }
    }
    let report = reader.report();
    assert_eq!(report.entries, entries.len() as u64);
    Some((entries, report.kind, is_whole && report.is_whole()))
}

/// One byte at a time.
struct ByBytes<'a>(&'a [u8]);

impl Read for ByBytes<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let one = into.len().min(1);
        self.0.read(&mut into[..one])
    }
}
