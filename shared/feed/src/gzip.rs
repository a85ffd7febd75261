//! The members of a gzip file, one after the other. What follows the last one, such as padding, is left
//! out as `gunzip` does.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Read};

/// Reads all members as one stream, and counts them.
pub(crate) struct GzipMembers<R> {
    current: Option<GzDecoder<R>>,
    count: u64,
}

impl<R: BufRead> GzipMembers<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { current: Some(GzDecoder::new(input)), count: 1 }
    }

    /// Members begun so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.current {
            let read = decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            // The member's trailer was there and right.
            if let Some(ended) = self.current.take() {
                let mut input = ended.into_inner();
                if input.fill_buf()?.first() == Some(&0x1f) {
                    self.current = Some(GzDecoder::new(input));
                    self.count += 1;
                }
            }
        }
        Ok(0)
    }
}
