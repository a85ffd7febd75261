//! Pictures: from bytes that somebody else sent to renditions. No I/O: what takes processor time and memory, and
//! nothing else.
//!
//! A picture's format is told by its first bytes ([`mod@format`]), its size by its header ([`header`]), before any
//! decoder sees it; then it is decoded, turned the right side up ([`picture`]) and made smaller ([`render`]).

pub mod error;
pub mod format;
pub mod header;
pub mod picture;
pub mod render;
mod webp_header;

#[cfg(test)]
mod corpus;
#[cfg(any(test, feature = "samples"))]
pub mod samples;

pub use error::PictureError;
pub use format::Format;
pub use picture::Picture;
