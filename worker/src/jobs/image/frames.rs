//! What a worker and a decoder say to each other: a line of JSON, then bytes, in both directions.

use feedfleet_config::{Rendition, RenditionFormat};
use feedfleet_pictures::format::Format;
use serde::{Deserialize, Serialize};

/// The longest line, in bytes.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;

/// A picture to be decoded; its bytes follow.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// How many bytes follow.
    pub(super) size_bytes: usize,
    /// What the decoder may hold for it, in bytes.
    pub(super) memory_bytes: usize,
    /// The most pixels that it may have.
    pub(super) max_pixels: u64,
    /// What to make of it.
    pub(super) renditions: Vec<Wanted>,
}

/// A [`Rendition`] on its way to a decoder.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    name: String,
    max: u32,
    format: WantedFormat,
    quality: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WantedFormat {
    Webp,
    Jpeg,
    Png,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(super) enum Answer {
    /// It is a picture; the files of its renditions follow.
    Picture {
        /// Its format by the first bytes.
        format: Format,
        /// Width in pixels, right side up.
        width: u32,
        /// Height in pixels, right side up.
        height: u32,
        /// The sizes of the files, in order.
        files_bytes: Vec<usize>,
    },
    /// It is refused.
    Refused {
        /// Why.
        reason: String,
    },
}

impl From<&Rendition> for Wanted {
    fn from(rendition: &Rendition) -> Self {
        let format = match rendition.format {
            RenditionFormat::Webp => WantedFormat::Webp,
            RenditionFormat::Jpeg => WantedFormat::Jpeg,
            RenditionFormat::Png => WantedFormat::Png,
        };
        let Rendition { name, max, quality, .. } = rendition;
        Self { name: name.clone(), max: *max, format, quality: *quality }
    }
}

impl From<Wanted> for Rendition {
    fn from(wanted: Wanted) -> Self {
        let format = match wanted.format {
            WantedFormat::Webp => RenditionFormat::Webp,
            WantedFormat::Jpeg => RenditionFormat::Jpeg,
            WantedFormat::Png => RenditionFormat::Png,
        };
        Rendition { name: wanted.name, max: wanted.max, format, quality: wanted.quality }
    }
}
