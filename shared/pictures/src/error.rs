//! Why bytes are no picture that is mirrored.

use crate::format::Format;
use crate::header::MAX_EDGE;
use feedfleet_model::text;

/// Why a picture is refused. A retry never helps: the same bytes fail in the same way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// There are no bytes.
    #[error("the body is empty")]
    Empty,
    /// The first bytes are those of something else.
    #[error("the body is {found}; pictures are JPEG, PNG, GIF or WebP")]
    NotAPicture {
        /// What it looks like.
        found: &'static str,
    },
    /// The end is missing.
    #[error("the {format} stops before its end")]
    Truncated {
        /// The format by its first bytes.
        format: Format,
    },
    /// The header makes no sense.
    #[error("the {format} header is broken: {what}")]
    BrokenHeader {
        /// The format by its first bytes.
        format: Format,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An edge is zero or too long.
    #[error("{width} x {height} pixels: an edge may have 1 to {max} pixels", max = MAX_EDGE)]
    Edge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// There are more pixels than the pipe allows.
    #[error("{width} x {height} pixels: a picture may have {max_pixels} pixels")]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The pipe's limit in pixels.
        max_pixels: u64,
    },
    /// It would take more memory than one picture may.
    #[error(
        "{width} x {height} pixels would take {needed} to decode; a picture may take {max}",
        needed = in_bytes(.needed_bytes),
        max = in_bytes(.max_bytes)
    )]
    TooMuchMemory {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The estimate in bytes.
        needed_bytes: u64,
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// The decoder gave up.
    #[error("the {format} cannot be decoded: {reason}")]
    Undecodable {
        /// The format by its first bytes.
        format: Format,
        /// What the decoder said.
        reason: String,
    },
    /// A rendition could not be made.
    #[error("rendition '{name}' cannot be made: {reason}")]
    Rendition {
        /// The rendition's name.
        name: String,
        /// What the resizer or the encoder said.
        reason: String,
    },
    /// A decoder or encoder panicked over it.
    #[error("the picture made a codec panic: {reason}")]
    Panicked {
        /// The panic's message.
        reason: String,
    },
}

fn in_bytes(bytes: &u64) -> String {
    text::bytes(*bytes)
}
