//! Shares of a pipe's pictures, so that what upkeep holds in memory does not grow with the pipe.

use std::ops::RangeInclusive;

/// Hashes that a set may hold before the share is halved: about 100 MB while the set grows.
pub(crate) const MAX_HASHES: usize = 2 << 20;

/// The pictures whose hash begins with certain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    first: u8,
    last: u8,
}

impl Share {
    /// Every picture.
    pub(crate) const ALL: Share = Share { first: 0, last: u8::MAX };

    /// Whether a picture with this hash belongs to it.
    pub(crate) fn holds(self, hash: u128) -> bool {
        self.first_bytes().contains(&((hash >> 120) as u8))
    }

    /// The bytes that its hashes begin with.
    pub(crate) fn first_bytes(self) -> RangeInclusive<u8> {
        self.first..=self.last
    }

    /// The first half of it; none where it is a single byte.
    pub(crate) fn half(self) -> Option<Share> {
        let middle = self.first + (self.last - self.first) / 2;
        (self.first < self.last).then_some(Share { last: middle, ..self })
    }

    /// What comes after it, up to as large; none at the end.
    pub(crate) fn next(self) -> Option<Share> {
        let first = self.last.checked_add(1)?;
        Some(Share { first, last: first.saturating_add(self.last - self.first) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_in_one_share_however_often_they_are_halved() {
        let mut held = [0; 256];
        let mut share = Share::ALL;
        let mut turn = 0;
        loop {
            turn += 1;
            // Most shares are too large at first.
            if turn % 3 != 0
                && let Some(half) = share.half()
            {
                share = half;
                continue;
            }
            for byte in 0..=u8::MAX {
                let hash = (u128::from(byte) << 120) + 77;
                held[usize::from(byte)] += usize::from(share.holds(hash));
            }
            assert_eq!(share.first_bytes().count(), usize::from(share.last - share.first) + 1);
            match share.next() {
                Some(next) => share = next,
                None => break,
            }
        }
        assert_eq!(held, [1; 256]);
    }
}
