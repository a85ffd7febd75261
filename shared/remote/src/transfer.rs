//! A file that is being read: its bytes under the limits of the fetch.

use crate::ask::Head;
use crate::clock::Clock;
use crate::error::{RemoteError, RemoteErrorKind};
use async_trait::async_trait;
use bytes::Bytes;
use feedfleet_http::{Limits, Phase};
use std::fmt;
use std::time::{Duration, Instant};

/// The bytes of a file as a protocol brings them.
#[async_trait]
pub trait Chunks: Send {
    /// The next bytes, one at least; `None` at the file's end.
    ///
    /// # Errors
    ///
    /// The connection broke, or the server stopped. There is no more then.
    async fn next(&mut self) -> Result<Option<Bytes>, RemoteErrorKind>;

    /// Asked once, after the end: whether the file is what it was when it was opened. Protocols that cannot mix two
    /// states of a file need not look.
    ///
    /// # Errors
    ///
    /// As of [`Chunks::next`].
    async fn is_unchanged(&mut self) -> Result<bool, RemoteErrorKind> {
        Ok(true)
    }
}

/// A source that is being read. Dropping it gives up the rest.
pub struct Transfer {
    place: String,
    head: Head,
    chunks: Box<dyn Chunks>,
    limits: Limits,
    clock: Clock,
    /// Bytes that there are, those before this transfer included.
    position: u64,
    pace: Pace,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Complete,
    Failed,
}

impl Transfer {
    pub(crate) fn new(
        place: String,
        head: Head,
        chunks: Box<dyn Chunks>,
        limits: Limits,
        clock: Clock,
    ) -> Self {
        let (position, pace) = (head.from, Pace::default());
        Self { place, head, chunks, limits, clock, position, pace, state: State::Open }
    }

    /// What is known of the source.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next bytes; `None` at the end, once the file was found to be whole and unchanged.
    ///
    /// # Errors
    ///
    /// The file breaks a limit, stops before its end, changes meanwhile, or the connection fails. After an error there
    /// is no more of it.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RemoteError> {
        match self.state {
            State::Open => {}
            State::Complete => return Ok(None),
            State::Failed => {
                let text = "the transfer failed earlier".to_owned();
                return Err(RemoteErrorKind::Unsupported(text).of(&self.place));
            }
        }
        let read = self.read().await;
        match &read {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Complete,
            Err(_) => self.state = State::Failed,
        }
        read.map_err(|kind| kind.of(&self.place))
    }

    async fn read(&mut self) -> Result<Option<Bytes>, RemoteErrorKind> {
        // A server that always has bytes ready would never let the timer fire.
        if self.clock.is_over() {
            return Err(RemoteErrorKind::TimedOut(Phase::Total));
        }
        let began = Instant::now();
        let next = self.clock.within(self.limits.idle, Phase::Idle, self.chunks.next()).await?;
        match next {
            Ok(Some(bytes)) => {
                self.count(bytes.len() as u64, began.elapsed())?;
                Ok(Some(bytes))
            }
            Ok(None) => self.end().await,
            Err(RemoteErrorKind::Broken { source }) => {
                tracing::debug!(place = %self.place, error = %source, "the transfer broke off");
                Err(self.truncated())
            }
            Err(kind) => Err(kind),
        }
    }

    fn count(&mut self, bytes: u64, wait: Duration) -> Result<(), RemoteErrorKind> {
        self.position += bytes;
        let limit_bytes = self.limits.max_bytes;
        if self.position > limit_bytes {
            return Err(RemoteErrorKind::TooLarge { limit_bytes });
        }
        let length = self.head.length_bytes;
        if length.is_some_and(|length| self.position > length) {
            // It has grown since its size was told: it is still being written.
            return Err(RemoteErrorKind::Changed);
        }
        let is_all = length == Some(self.position);
        if !is_all && self.pace.is_too_slow(&self.limits, bytes, wait) {
            let min_bytes_per_sec = self.limits.min_bytes_per_sec;
            return Err(RemoteErrorKind::TooSlow { min_bytes_per_sec });
        }
        Ok(())
    }

    /// The server says that this is the end.
    async fn end(&mut self) -> Result<Option<Bytes>, RemoteErrorKind> {
        let look = self.chunks.is_unchanged();
        let is_unchanged = self.clock.answer(Phase::FirstByte, look).await??;
        if !is_unchanged {
            return Err(RemoteErrorKind::Changed);
        }
        if self.head.length_bytes.is_some_and(|length| self.position < length) {
            return Err(self.truncated());
        }
        Ok(None)
    }

    fn truncated(&self) -> RemoteErrorKind {
        let expected_bytes = self.head.length_bytes;
        RemoteErrorKind::Truncated { expected_bytes, got_bytes: self.position }
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("place", &self.place)
            .field("head", &self.head)
            .field("position", &self.position)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Bytes, and time spent waiting for them, since the speed was last judged.
#[derive(Debug, Default)]
struct Pace {
    bytes: u64,
    wait: Duration,
}

impl Pace {
    /// Takes note of bytes that took so long to come.
    fn is_too_slow(&mut self, limits: &Limits, bytes: u64, wait: Duration) -> bool {
        self.bytes += bytes;
        self.wait += wait;
        if self.wait < limits.rate_window {
            return false;
        }
        let least = limits.min_bytes_per_sec as f64 * self.wait.as_secs_f64();
        let is_too_slow = (self.bytes as f64) < least;
        *self = Self::default();
        is_too_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io;

    /// Gives what it was told to give.
    struct Told {
        pieces: VecDeque<Result<&'static str, RemoteErrorKind>>,
        is_unchanged: bool,
    }

    #[async_trait]
    impl Chunks for Told {
        async fn next(&mut self) -> Result<Option<Bytes>, RemoteErrorKind> {
            self.pieces.pop_front().transpose().map(|piece| piece.map(Bytes::from))
        }

        async fn is_unchanged(&mut self) -> Result<bool, RemoteErrorKind> {
            Ok(self.is_unchanged)
        }
    }

    fn transfer(
        length_bytes: Option<u64>,
        pieces: impl IntoIterator<Item = Result<&'static str, RemoteErrorKind>>,
    ) -> Transfer {
        let limits = Limits { max_bytes: 10, ..Limits::default() };
        let told = Told { pieces: pieces.into_iter().collect(), is_unchanged: true };
        let head = Head { from: 2, tag: None, length_bytes };
        Transfer::new("x".to_owned(), head, Box::new(told), limits, Clock::start(&limits))
    }

    async fn end(mut transfer: Transfer) -> Result<u64, RemoteErrorKind> {
        let mut bytes = 0;
        loop {
            match transfer.chunk().await {
                Ok(Some(chunk)) => bytes += chunk.len() as u64,
                Ok(None) => return Ok(bytes),
                Err(e) => {
                    assert!(transfer.chunk().await.is_err(), "there is no more after an error");
                    return Err(e.kind);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_file_is_whole_or_an_error() {
        assert_eq!(end(transfer(Some(6), [Ok("ab"), Ok("cd")])).await.unwrap(), 4);
        assert_eq!(end(transfer(None, [Ok("ab")])).await.unwrap(), 2);
        let cut = end(transfer(Some(6), [Ok("ab")])).await.unwrap_err();
        let RemoteErrorKind::Truncated { expected_bytes, got_bytes } = cut else { panic!("{cut}") };
        assert_eq!((expected_bytes, got_bytes), (Some(6), 4));
        let source = io::Error::from(io::ErrorKind::ConnectionReset);
        let broken = Err(RemoteErrorKind::Broken { source });
        let cut = end(transfer(None, [Ok("ab"), broken])).await.unwrap_err();
        assert!(matches!(cut, RemoteErrorKind::Truncated { got_bytes: 4, .. }), "{cut}");
    }

    #[tokio::test]
    async fn a_file_that_grows_or_changes_is_not_taken() {
        let grown = end(transfer(Some(3), [Ok("ab")])).await.unwrap_err();
        assert!(matches!(grown, RemoteErrorKind::Changed), "{grown}");
        let mut changed = transfer(Some(4), [Ok("ab")]);
        changed.chunks = Box::new(Told { pieces: VecDeque::from([Ok("ab")]), is_unchanged: false });
        let changed = end(changed).await.unwrap_err();
        assert!(matches!(changed, RemoteErrorKind::Changed), "{changed}");
    }

    /// Promise 15: every input is bounded.
    #[tokio::test]
    async fn a_file_without_end_is_stopped() {
        let endless = end(transfer(None, (0..9).map(|_| Ok("abcd")))).await.unwrap_err();
        assert!(matches!(endless, RemoteErrorKind::TooLarge { limit_bytes: 10 }), "{endless}");
    }

    #[test]
    fn slowness_is_judged_over_the_window() {
        let limits = Limits::default();
        let mut pace = Pace::default();
        assert!(!pace.is_too_slow(&limits, 1, limits.rate_window / 2));
        assert!(pace.is_too_slow(&limits, 1, limits.rate_window / 2));
        assert!(!pace.is_too_slow(&limits, 1 << 20, limits.rate_window));
    }
}
