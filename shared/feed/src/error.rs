//! What ends the reading of a whole feed. What concerns one item only is a [`crate::Refusal`].

use std::io;

/// Why a feed can't be read, or not any further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The source sent something else, such as a web page, an error message or nothing.
    #[error("this is not the feed: {message}")]
    NotAFeed {
        /// What came instead.
        message: String,
    },
    /// The source ends before its first record.
    #[error("the source ends early: {message}")]
    Truncated {
        /// What is missing.
        message: String,
    },
    /// Compressed data that can't be decompressed, or whose checksum is wrong.
    #[error("the compressed data is damaged: {message}")]
    Damaged {
        /// What is wrong with it.
        message: String,
    },
    /// Packed in a way that this build can't unpack, however often it is fetched.
    #[error("the source can't be unpacked: {message}")]
    Unsupported {
        /// What it is, and what the partner can send instead.
        message: String,
    },
    /// More than the pipe's limits, or the reader's own, allow.
    #[error("over a limit: {message}")]
    LimitExceeded {
        /// The limit, and what went over it.
        message: String,
    },
    /// A character encoding that doesn't exist.
    #[error("character encoding: {message}")]
    Encoding {
        /// What is wrong with it.
        message: String,
    },
    /// The feed is one, but its fields aren't those the pipe maps.
    #[error("the feed does not fit the pipe's mapping: {message}")]
    WrongFields {
        /// What was looked for and what there is.
        message: String,
    },
    /// The input failed; the rest of the feed may still come on another try.
    #[error("the source can't be read")]
    Io {
        /// The input's error.
        #[source]
        source: io::Error,
    },
    /// The pipe's own settings contradict each other.
    #[error("the pipe's settings: {message}")]
    Configuration {
        /// What contradicts what, with the file's line where there is one.
        message: String,
    },
}

impl FeedError {
    pub(crate) fn not_a_feed(message: impl Into<String>) -> Self {
        Self::NotAFeed { message: message.into() }
    }

    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self::Damaged { message: message.into() }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported { message: message.into() }
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::LimitExceeded { message: message.into() }
    }

    pub(crate) fn wrong_fields(message: impl Into<String>) -> Self {
        Self::WrongFields { message: message.into() }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration { message: message.into() }
    }
}
