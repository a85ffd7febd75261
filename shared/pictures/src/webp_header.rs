//! The header check for WebP: a RIFF container of chunks. The canvas that an extended file announces says
//! nothing of the frames inside, which decoders decode before they compare, so all of them are looked at.

use crate::error::PictureError;
use crate::format::Format;
use crate::header::{Shape, pixels};

/// Flags of the VP8X chunk.
const HAS_ALPHA: u8 = 0x10;
const IS_ANIMATED: u8 = 0x02;
/// Bytes of an ANMF chunk before the frame's own chunks.
const FRAME_HEADER_BYTES: usize = 16;

/// Reads the header of bytes that begin with `RIFF....WEBP`.
///
/// # Errors
///
/// A chunk is cut, the header makes no sense, or a frame is larger than its canvas.
pub fn read(bytes: &[u8]) -> Result<Shape, PictureError> {
    let riff = bytes.get(4..8).ok_or(TRUNCATED)?;
    let riff_bytes = u32::from_le_bytes([riff[0], riff[1], riff[2], riff[3]]) as usize;
    let end_bytes = bytes.len().min(riff_bytes.saturating_add(8));
    let mut rest = bytes.get(12..end_bytes).ok_or(TRUNCATED)?;

    let (kind, data) = next_chunk(&mut rest)?.ok_or(TRUNCATED)?;
    let (width, height, has_alpha, is_animated) = match &kind {
        b"VP8 " => {
            let (width, height) = lossy(data).ok_or(broken("its VP8 frame has no start"))?;
            (width, height, false, false)
        }
        b"VP8L" => {
            let (width, height) = lossless(data).ok_or(broken("its VP8L frame has no start"))?;
            (width, height, true, false)
        }
        b"VP8X" => {
            let data = data.get(..10).ok_or(broken("its VP8X chunk is too short"))?;
            let canvas = (edge(&data[4..7]), edge(&data[7..10]));
            check_frames(rest, canvas)?;
            let flags = data[0];
            (canvas.0, canvas.1, flags & HAS_ALPHA != 0, flags & IS_ANIMATED != 0)
        }
        _ => return Err(broken("its first chunk is of an unknown kind")),
    };
    // Planes, alpha and a copy for lossless data; an animation has a canvas besides.
    let scratch_pixel_bytes = if is_animated { 14 } else { 7 };
    Ok(Shape {
        width,
        height,
        pixel_bytes: if has_alpha { 4 } else { 3 },
        has_alpha,
        scratch_bytes: pixels(width, height).saturating_mul(scratch_pixel_bytes),
        end_bytes,
    })
}

const TRUNCATED: PictureError = PictureError::Truncated { format: Format::Webp };

fn broken(what: &'static str) -> PictureError {
    PictureError::BrokenHeader { format: Format::Webp, what }
}

/// Checks that no frame in these chunks is larger than the canvas.
fn check_frames(mut rest: &[u8], canvas: (u32, u32)) -> Result<(), PictureError> {
    while let Some((kind, data)) = next_chunk(&mut rest)? {
        match &kind {
            b"VP8 " => fits(lossy(data), canvas)?,
            b"VP8L" => fits(lossless(data), canvas)?,
            b"ANMF" => {
                let mut parts = data.get(FRAME_HEADER_BYTES..).unwrap_or_default();
                while let Some((kind, data)) = next_chunk(&mut parts)? {
                    match &kind {
                        b"ALPH" => {}
                        b"VP8L" => fits(lossless(data), canvas)?,
                        // What follows an alpha chunk is decoded as VP8, whatever its name.
                        _ => fits(lossy(data), canvas)?,
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn fits(frame: Option<(u32, u32)>, canvas: (u32, u32)) -> Result<(), PictureError> {
    match frame {
        Some((width, height)) if width > canvas.0 || height > canvas.1 => {
            Err(broken("a frame is larger than its canvas"))
        }
        _ => Ok(()),
    }
}

/// A chunk's name and content.
type Chunk<'a> = ([u8; 4], &'a [u8]);

/// The next chunk, and `rest` moved past it; none at the end.
fn next_chunk<'a>(rest: &mut &'a [u8]) -> Result<Option<Chunk<'a>>, PictureError> {
    let all: &'a [u8] = rest;
    let Some((head, tail)) = all.split_at_checked(8) else {
        return Ok(None);
    };
    let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let data = tail.get(..size).ok_or(TRUNCATED)?;
    // The padding of the last chunk may be missing.
    *rest = tail.get(size.saturating_add(size & 1)..).unwrap_or_default();
    Ok(Some(([head[0], head[1], head[2], head[3]], data)))
}

/// Width and height of a VP8 frame in pixels.
fn lossy(data: &[u8]) -> Option<(u32, u32)> {
    let head = data.get(..10).filter(|head| head[3..6] == [0x9D, 0x01, 0x2A])?;
    let edge = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    Some((edge(head[6], head[7]), edge(head[8], head[9])))
}

/// Width and height of a VP8L frame in pixels.
fn lossless(data: &[u8]) -> Option<(u32, u32)> {
    let head = data.get(..5).filter(|head| head[0] == 0x2F)?;
    let bits = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    Some(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1))
}

/// An edge of the canvas: three bytes, less one.
fn edge(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::inspect;
    use crate::samples;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut chunk = name.to_vec();
        chunk.extend_from_slice(&(data.len() as u32).to_le_bytes());
        chunk.extend_from_slice(data);
        chunk.resize(chunk.len() + data.len() % 2, 0);
        chunk
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let body = chunks.concat();
        let mut file = b"RIFF".to_vec();
        file.extend_from_slice(&(body.len() as u32 + 4).to_le_bytes());
        file.extend_from_slice(b"WEBP");
        file.extend_from_slice(&body);
        file
    }

    fn tiny_canvas(flags: u8) -> Vec<u8> {
        chunk(b"VP8X", &[flags, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// A VP8 frame of 16,383 by 16,383 pixels, as far as its header says.
    fn huge_frame() -> Vec<u8> {
        vec![0x10, 0, 0, 0x9D, 0x01, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F]
    }

    #[test]
    fn a_huge_frame_on_a_tiny_canvas_is_refused() {
        let mut animation = vec![0; FRAME_HEADER_BYTES];
        animation.extend(chunk(b"ALPH", &[0, 0]));
        animation.extend(chunk(b"whoa", &huge_frame()));
        let refused = broken("a frame is larger than its canvas");
        for bytes in [
            file(&[tiny_canvas(0), chunk(b"VP8 ", &huge_frame())]),
            file(&[tiny_canvas(IS_ANIMATED), chunk(b"ANMF", &animation)]),
        ] {
            assert_eq!(inspect(&bytes, 1 << 40).unwrap_err(), refused);
        }
    }

    #[test]
    fn a_cut_file_is_truncated() {
        let whole = samples::webp(70, 40);
        for kept in [12, 16, 24, whole.len() - 2] {
            assert_eq!(inspect(&whole[..kept], 1 << 40).unwrap_err(), TRUNCATED, "{kept}");
        }
    }

    #[test]
    fn what_comes_after_the_end_is_left_out() {
        let mut bytes = samples::webp(70, 40);
        let end_bytes = bytes.len();
        bytes.extend_from_slice(b"EXIF\xFF\xFF\xFF\xFFnot there");
        assert_eq!(inspect(&bytes, 1 << 40).unwrap().end_bytes, end_bytes);
    }
}
