//! Picture formats, told apart by their first bytes. What the server calls them doesn't count.

use crate::error::PictureError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A format that is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG, animated or not.
    Png,
    /// GIF, animated or not.
    Gif,
    /// WebP, animated or not.
    Webp,
}

impl Format {
    /// The format of these bytes.
    ///
    /// # Errors
    ///
    /// There are none, or they are something else; the error says what.
    pub fn of(bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.is_empty() {
            Err(PictureError::Empty)
        } else if bytes.starts_with(b"\xFF\xD8\xFF") {
            Ok(Format::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
            Ok(Format::Png)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Ok(Format::Gif)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice()) {
            Ok(Format::Webp)
        } else {
            Err(PictureError::NotAPicture { found: other(bytes) })
        }
    }

    /// The word for it in receipts.
    pub fn word(self) -> &'static str {
        match self {
            Format::Jpeg => "jpeg",
            Format::Png => "png",
            Format::Gif => "gif",
            Format::Webp => "webp",
        }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Jpeg => "image/jpeg",
            Format::Png => "image/png",
            Format::Gif => "image/gif",
            Format::Webp => "image/webp",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Gif => "GIF",
            Format::Webp => "WebP",
        })
    }
}

/// What the bytes look like, for an operator who wonders what a shop answered.
fn other(bytes: &[u8]) -> &'static str {
    if bytes.get(4..8) == Some(b"ftyp".as_slice()) {
        return match bytes.get(8..12) {
            Some(b"avif" | b"avis") => "an AVIF picture",
            Some(b"heic" | b"heix" | b"mif1" | b"msf1") => "a HEIF picture",
            _ => "a video or another ISO media file",
        };
    }
    let known: [(&[u8], &'static str); 9] = [
        (b"BM", "a BMP picture"),
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"\0\0\x01\0", "an icon"),
        (b"\xFF\x0A", "a JPEG XL picture"),
        (b"\0\0\0\x0CJXL ", "a JPEG XL picture"),
        (b"\0\0\0\x0CjP  ", "a JPEG 2000 picture"),
        (b"%PDF", "a PDF document"),
        (b"\x1F\x8B", "gzip data"),
    ];
    match known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some(&(_, name)) => name,
        None => markup(bytes),
    }
}

fn markup(bytes: &[u8]) -> &'static str {
    const LOOK_AT_BYTES: usize = 1024;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let head = bytes[..bytes.len().min(LOOK_AT_BYTES)].to_ascii_lowercase();
    let has = |tag: &[u8]| head.windows(tag.len()).any(|window| window == tag);
    match head.first() {
        Some(b'<') if has(b"<!doctype html") || has(b"<html") => "an HTML page",
        Some(b'<') if has(b"<svg") => "an SVG picture",
        Some(b'<') => "a piece of HTML or XML",
        Some(b'{' | b'[') => "JSON",
        _ => "of an unknown format",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(Format::of(b"\xFF\xD8\xFF\xE0"), Ok(Format::Jpeg));
        assert_eq!(Format::of(b"RIFF\x04\0\0\0WEBP"), Ok(Format::Webp));
        assert_eq!(Format::of(b""), Err(PictureError::Empty));
    }

    #[test]
    fn other_things_are_named() {
        let cases: [(&[u8], &'static str); 9] = [
            (b"<!DOCTYPE html><title>Not found</title>", "an HTML page"),
            (b"\xEF\xBB\xBF \n<?xml version='1.0'?><SVG/>", "an SVG picture"),
            (b"<error/>", "a piece of HTML or XML"),
            (b"{\"error\":1}", "JSON"),
            (b"\0\0\0\x20ftypavif", "an AVIF picture"),
            (b"\0\0\0\x20ftyp", "a video or another ISO media file"),
            (b"RIFF\x04\0\0\0WAVE", "of an unknown format"),
            (b"\xFF\xD8", "of an unknown format"),
            (b"\0", "of an unknown format"),
        ];
        for (bytes, name) in cases {
            assert_eq!(Format::of(bytes), Err(PictureError::NotAPicture { found: name }));
        }
    }
}
