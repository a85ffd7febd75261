//! The check before decoding: what the header says of the picture's size decides whether a decoder sees
//! it at all. Some decoders ignore the limits they are given, so that this is the limit that holds.
//!
//! Headers are read here rather than by the decoders, without allocating anything they ask for.

use crate::error::PictureError;
use crate::format::Format;
use crate::webp_header;

/// The longest edge in pixels.
pub const MAX_EDGE: u32 = 30_000;
/// The most memory that one picture may take, in bytes, by [`Header::working_bytes`].
pub const MAX_WORKING_BYTES: u64 = 512 << 20;

/// What a picture's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The format by the first bytes.
    pub format: Format,
    /// Width in pixels, as stored: before any rotation.
    pub width: u32,
    /// Height in pixels, as stored.
    pub height: u32,
    /// Where the picture ends; what comes after it is for nobody.
    pub end_bytes: usize,
    /// An estimate of the memory that decoding, turning and resizing take.
    pub working_bytes: u64,
}

/// Reads a picture's header and judges it.
///
/// # Errors
///
/// It is no picture that is mirrored, its end is missing, or it is too large to be decoded.
pub fn inspect(bytes: &[u8], max_pixels: u64) -> Result<Header, PictureError> {
    let format = Format::of(bytes)?;
    let shape = match format {
        Format::Jpeg => jpeg(bytes)?,
        Format::Png => png(bytes)?,
        Format::Gif => gif(bytes)?,
        Format::Webp => webp_header::read(bytes)?,
    };
    let Shape { width, height, .. } = shape;
    let edges = 1..=MAX_EDGE;
    if !edges.contains(&width) || !edges.contains(&height) {
        return Err(PictureError::Edge { width, height });
    }
    if pixels(width, height) > max_pixels {
        return Err(PictureError::TooManyPixels { width, height, max_pixels });
    }
    let working_bytes = shape.working_bytes();
    if working_bytes > MAX_WORKING_BYTES {
        return Err(PictureError::TooMuchMemory {
            width,
            height,
            needed_bytes: working_bytes,
            max_bytes: MAX_WORKING_BYTES,
        });
    }
    Ok(Header { format, width, height, end_bytes: shape.end_bytes, working_bytes })
}

/// A picture's size on the way through memory.
pub struct Shape {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes of a pixel as it is decoded.
    pub pixel_bytes: u64,
    /// Whether there may be an alpha channel.
    pub has_alpha: bool,
    /// What the decoder needs besides the pixels, in bytes.
    pub scratch_bytes: u64,
    /// Where the picture ends.
    pub end_bytes: usize,
}

impl Shape {
    /// An estimate of the memory that decoding, turning and resizing take, in bytes. What an encoder
    /// takes comes on top; it goes by the size of the rendition.
    fn working_bytes(&self) -> u64 {
        let pixels = pixels(self.width, self.height);
        // Once decoded there are two copies more at most: one reduced to 8 bits or turned, or one
        // multiplied by its alpha, and one resized along one axis.
        let copies_bytes = if self.has_alpha { 2 * 4 } else { 2 * 3 };
        let afterwards = pixels.saturating_mul(copies_bytes);
        pixels.saturating_mul(self.pixel_bytes).saturating_add(self.scratch_bytes.max(afterwards))
    }
}

/// The number of pixels.
pub fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

fn png(bytes: &[u8]) -> Result<Shape, PictureError> {
    let broken = |what| PictureError::BrokenHeader { format: Format::Png, what };
    // After the signature comes a chunk of: length, name, width, height, bit depth, colour type.
    let Some(chunk) = bytes.get(8..26) else {
        return Err(PictureError::Truncated { format: Format::Png });
    };
    if &chunk[4..8] != b"IHDR" {
        return Err(broken("its first chunk is not IHDR"));
    }
    let edge =
        |at: usize| u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
    // A tRNS chunk further on may add an alpha channel to any of them.
    let channels = match chunk[17] {
        0 | 4 => 2,
        2 | 3 | 6 => 4,
        _ => return Err(broken("its colour type is unknown")),
    };
    Ok(Shape {
        width: edge(8),
        height: edge(12),
        pixel_bytes: if chunk[16] == 16 { channels * 2 } else { channels },
        has_alpha: true,
        scratch_bytes: 0,
        end_bytes: bytes.len(),
    })
}

fn gif(bytes: &[u8]) -> Result<Shape, PictureError> {
    let Some(screen) = bytes.get(6..10) else {
        return Err(PictureError::Truncated { format: Format::Gif });
    };
    let width = u32::from(u16::from_le_bytes([screen[0], screen[1]]));
    let height = u32::from(u16::from_le_bytes([screen[2], screen[3]]));
    Ok(Shape {
        width,
        height,
        pixel_bytes: 4,
        has_alpha: true,
        // A frame that doesn't fill the screen is decoded by itself.
        scratch_bytes: pixels(width, height) * 4,
        end_bytes: bytes.len(),
    })
}

/// A JPEG's frame header (SOF).
struct JpegFrame {
    width: u32,
    height: u32,
    components: u8,
    is_progressive: bool,
}

/// Walks the segments up to the first scan.
fn jpeg(bytes: &[u8]) -> Result<Shape, PictureError> {
    let truncated = || PictureError::Truncated { format: Format::Jpeg };
    let broken = |what| PictureError::BrokenHeader { format: Format::Jpeg, what };
    let mut at = 2;
    let mut frame: Option<JpegFrame> = None;
    loop {
        let marker = next_marker(bytes, &mut at).ok_or_else(truncated)?;
        match marker {
            0x01 | 0xD0..=0xD8 => continue,
            0xD9 => return Err(broken("it ends before its first scan")),
            _ => {}
        }
        let segment = segment(bytes, at).ok_or_else(truncated)?;
        at += 2 + segment.len();
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if frame.is_none() => {
                let header = jpeg_frame(marker, segment);
                frame = Some(header.ok_or_else(|| broken("its frame header is too short"))?);
            }
            0xDA => {
                let frame = frame.ok_or_else(|| broken("it has no frame header"))?;
                // Decoders fill in for missing data without a word. In a scan FF is always
                // followed by zero, so that the end marker is found at the end only.
                if !bytes[at..].windows(2).rev().any(|pair| pair == [0xFF, 0xD9]) {
                    return Err(truncated());
                }
                let scan_components = segment.first().copied().unwrap_or(0);
                return Ok(jpeg_shape(&frame, scan_components, bytes.len()));
            }
            _ => {}
        }
    }
}

fn jpeg_shape(frame: &JpegFrame, scan_components: u8, end_bytes: usize) -> Shape {
    // Where the first scan is not the whole picture, all coefficients (two bytes each) are kept until
    // the last one. They come in blocks of up to 32 by 32 pixels.
    let is_kept = frame.is_progressive || scan_components < frame.components;
    let padded = pixels(frame.width.next_multiple_of(32), frame.height.next_multiple_of(32));
    Shape {
        width: frame.width,
        height: frame.height,
        pixel_bytes: if frame.components == 1 { 1 } else { 3 },
        has_alpha: false,
        scratch_bytes: if is_kept { padded * 2 * u64::from(frame.components) } else { 0 },
        end_bytes,
    }
}

fn jpeg_frame(marker: u8, segment: &[u8]) -> Option<JpegFrame> {
    let fields = segment.get(..6)?;
    Some(JpegFrame {
        height: u32::from(u16::from_be_bytes([fields[1], fields[2]])),
        width: u32::from(u16::from_be_bytes([fields[3], fields[4]])),
        components: fields[5],
        is_progressive: matches!(marker, 0xC2 | 0xC6 | 0xCA | 0xCE),
    })
}

/// The code of the next marker, and `at` moved past it. Fill bytes and stray bytes are passed over, as
/// decoders do.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        let code = *bytes.get(*at + 1)?;
        if bytes[*at] == 0xFF && code != 0x00 && code != 0xFF {
            *at += 2;
            return Some(code);
        }
        *at += 1;
    }
}

/// The content of the segment whose length is at `at`.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = bytes.get(at..at + 2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    bytes.get(at + 2..at + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    const MANY: u64 = 1 << 40;

    #[test]
    fn headers_are_read() {
        for (bytes, format) in [
            (samples::jpeg(70, 40), Format::Jpeg),
            (samples::png(70, 40), Format::Png),
            (samples::gif(70, 40), Format::Gif),
            (samples::webp(70, 40), Format::Webp),
        ] {
            let header = inspect(&bytes, 70 * 40).unwrap();
            assert_eq!((header.format, header.width, header.height), (format, 70, 40));
            assert_eq!(header.end_bytes, bytes.len());
            let refused = inspect(&bytes, 70 * 40 - 1).unwrap_err();
            assert!(matches!(refused, PictureError::TooManyPixels { .. }), "{refused}");
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let bomb = samples::png_header(16_384, 16_384, 16, 6);
        let refused = inspect(&bomb, 100_000_000).unwrap_err();
        assert!(matches!(refused, PictureError::TooManyPixels { .. }), "{refused}");
        let refused = inspect(&bomb, MANY).unwrap_err();
        assert!(matches!(refused, PictureError::TooMuchMemory { .. }), "{refused}");
        for (width, height) in [(0, 5), (5, 0), (30_001, 1), (u32::MAX, u32::MAX)] {
            let refused = inspect(&samples::png_header(width, height, 8, 2), MANY).unwrap_err();
            assert_eq!(refused, PictureError::Edge { width, height });
        }
    }

    #[test]
    fn sixteen_bits_take_more_than_eight() {
        let working_bytes = |depth| {
            let shape = png(&samples::png_header(100, 100, depth, 6)).ok();
            shape.map(|shape| shape.working_bytes())
        };
        assert_eq!(working_bytes(8), Some(100 * 100 * (4 + 8)));
        assert_eq!(working_bytes(16), Some(100 * 100 * (8 + 8)));
    }

    #[test]
    fn a_cut_jpeg_is_truncated_wherever_it_is_cut() {
        let whole = samples::jpeg(64, 64);
        for kept in [3, 20, whole.len() / 2, whole.len() - 2, whole.len() - 1] {
            let refused = inspect(&whole[..kept], MANY).unwrap_err();
            assert_eq!(refused, PictureError::Truncated { format: Format::Jpeg }, "{kept}");
        }
    }
}
