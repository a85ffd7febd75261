//! Hashes that are kept: 128 bits of XXH3, the same on every machine and in every release.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128, xxh3_128_with_seed};

/// The hash of a product's id within its pipe.
pub fn id_hash(id: &str) -> u128 {
    xxh3_128(id.as_bytes())
}

/// The hash of any bytes, for object keys and fingerprints.
pub fn bytes_hash(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// As [`bytes_hash`], with a seed: the same bytes under another seed have another hash.
pub fn seeded_hash(bytes: &[u8], seed: u64) -> u128 {
    xxh3_128_with_seed(bytes, seed)
}

/// A hash as 32 lower-case hexadecimal digits.
pub fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}

/// A fingerprint of a product's image links, in order. Zero stands for no links at all.
pub fn images_hash<'a>(links: impl IntoIterator<Item = &'a str>) -> i32 {
    let mut all = Vec::new();
    for link in links {
        all.extend_from_slice(link.as_bytes());
        all.push(b'\n');
    }
    if all.is_empty() { 0 } else { ((xxh3_64(&all) >> 33) as i32).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_published_algorithm() {
        // XXH3's own test vectors for the empty input with seed 0.
        assert_eq!(hex(bytes_hash(b"")), "99aa06d3014798d86001c324468d497f");
        assert_ne!(id_hash("a"), id_hash("b"));
    }

    #[test]
    fn image_fingerprints_tell_order_and_boundaries_apart() {
        assert_eq!(images_hash([]), 0);
        assert_ne!(images_hash(["a", "b"]), images_hash(["b", "a"]));
        assert_ne!(images_hash(["ab"]), images_hash(["a", "b"]));
    }
}
