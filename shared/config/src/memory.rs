//! How a worker's memory is dealt out among the processes that do its work.
//!
//! What may exhaust memory, reading a feed and decoding a picture, is done in children of the worker, each
//! with a limit of its own; what is left is the worker's own.

use crate::fleet::Workers;

/// The least that one worker may be given: below it there is no room for a picture and a crawl.
pub const LEAST_MEMORY_BYTES: u64 = 256 << 20;
/// The least that one crawl may be given: a record at its limit, and batches of rows on their way.
pub const LEAST_CRAWL_BYTES: u64 = 64 << 20;

/// The least for the worker's own process, and for decoding.
const LEAST_SHARE_BYTES: u64 = 64 << 20;

/// A worker's memory, dealt out. The shares of all crawl slots and the two others make up the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryShares {
    /// The worker's own process: pictures being fetched and stored, messages, the runtime.
    pub own_bytes: u64,
    /// All decoders of pictures together.
    pub picture_bytes: u64,
    /// One crawl.
    pub crawl_bytes: u64,
}

impl MemoryShares {
    /// What the index of a pipe may take of a crawl's share: half. The rest is for reading and encoding.
    pub fn index_bytes(&self) -> usize {
        usize::try_from(self.crawl_bytes / 2).unwrap_or(usize::MAX)
    }
}

impl Workers {
    /// How `memory` is dealt out: an eighth for the worker's own process and a quarter for decoding, 64 MiB
    /// each at least; the rest in equal parts to the crawl slots.
    pub fn memory_shares(&self) -> MemoryShares {
        let own_bytes = (self.memory_bytes / 8).max(LEAST_SHARE_BYTES);
        let picture_bytes = (self.memory_bytes / 4).max(LEAST_SHARE_BYTES);
        let crawls_bytes = self.memory_bytes.saturating_sub(own_bytes + picture_bytes);
        let crawl_bytes = crawls_bytes / self.crawl_slots.max(1) as u64;
        MemoryShares { own_bytes, picture_bytes, crawl_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(memory_bytes: u64, crawl_slots: usize) -> MemoryShares {
        Workers { min: 0, max: 1, crawl_slots, image_slots: 8, memory_bytes }.memory_shares()
    }

    #[test]
    fn the_shares_make_up_the_whole() {
        for (memory_bytes, crawl_slots) in [(256 << 20, 1), (1 << 30, 1), (5 << 30, 3)] {
            let shares = shares(memory_bytes, crawl_slots);
            let sum =
                shares.own_bytes + shares.picture_bytes + shares.crawl_bytes * crawl_slots as u64;
            assert!(sum <= memory_bytes && sum + 64 > memory_bytes, "{shares:?}");
        }
    }

    #[test]
    fn a_small_worker_has_a_little_of_everything() {
        let small = shares(LEAST_MEMORY_BYTES, 2);
        assert_eq!((small.own_bytes, small.picture_bytes), (64 << 20, 64 << 20));
        assert_eq!(small.crawl_bytes, LEAST_CRAWL_BYTES);
        let usual = shares(2 << 30, 1);
        assert_eq!((usual.own_bytes, usual.picture_bytes), (256 << 20, 512 << 20));
        assert_eq!((usual.crawl_bytes, usual.index_bytes()), (1280 << 20, 640 << 20));
    }
}
