//! From bytes to renditions: the part that takes processor time and memory, free of any I/O.
//!
//! A picture is checked by its header, decoded (its first frame, if it is animated), reduced to 8 bits a
//! channel and turned the right side up. Colours are taken for sRGB: embedded ICC profiles are not
//! applied. CMYK is converted as the decoder does it.

use crate::error::PictureError;
use crate::format::Format;
use crate::header::{self, Header, MAX_EDGE, MAX_WORKING_BYTES};
use crate::render;
use ::image::codecs::gif::GifDecoder;
use ::image::codecs::jpeg::JpegDecoder;
use ::image::codecs::png::PngDecoder;
use ::image::codecs::webp::WebPDecoder;
use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageError, ImageResult, Limits};
use feedfleet_config::Rendition;
use std::any::Any;
use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};

/// What a decoder holds besides the picture, and slack for what its header does not tell.
const DECODER_BYTES: u64 = 32 << 20;
/// What a PNG may need besides its pixels, in bytes: rows, and metadata once inflated.
const MAX_PNG_EXTRA_BYTES: u64 = 64 << 20;

/// A picture that could be decoded.
#[derive(Debug)]
pub struct Picture {
    /// The format by the first bytes.
    pub format: Format,
    /// Width in pixels, right side up.
    pub width: u32,
    /// Height in pixels, right side up.
    pub height: u32,
    /// The renditions' files, in the order they were asked for.
    pub renditions: Vec<Vec<u8>>,
}

/// Checks and decodes a picture, and makes its renditions. Blocking: for use on a thread of its own.
///
/// # Errors
///
/// It is no picture that is mirrored, too large, or broken; a panic in a codec is an error too.
pub fn process(
    bytes: &[u8],
    renditions: &[Rendition],
    max_pixels: u64,
) -> Result<Picture, PictureError> {
    caught(|| {
        let header = header::inspect(bytes, max_pixels)?;
        let image = decode(bytes, &header)?;
        let mut drawn = Vec::with_capacity(renditions.len());
        for rendition in renditions {
            drawn.push(render::draw(&image, rendition)?);
        }
        Ok(Picture {
            format: header.format,
            width: image.width(),
            height: image.height(),
            renditions: drawn,
        })
    })
}

/// An estimate of the memory that [`process`] takes of its process for this picture, with what it gives back.
/// Only the header is looked at.
///
/// # Errors
///
/// The header says that it is no picture that is mirrored, or too large.
pub fn needed_bytes(
    bytes: &[u8],
    renditions: &[Rendition],
    max_pixels: u64,
) -> Result<Needed, PictureError> {
    let header = caught(|| header::inspect(bytes, max_pixels))?;
    let Header { width, height, working_bytes, .. } = header;
    let pixels = renditions.iter().map(|r| render::rendition_pixels(width, height, r));
    // Files are smaller than pixels of four bytes; the encoder at work holds two copies of them besides.
    let files_bytes = pixels.clone().sum::<u64>().saturating_mul(4);
    let encoder_bytes = pixels.max().unwrap_or(0).saturating_mul(8);
    let total_bytes = [2 * bytes.len() as u64, files_bytes, encoder_bytes, DECODER_BYTES]
        .into_iter()
        .fold(working_bytes, u64::saturating_add);
    Ok(Needed { width, height, total_bytes })
}

/// Does work that changes nothing but what it gives back: after a panic that is gone.
fn caught<T>(work: impl FnOnce() -> Result<T, PictureError>) -> Result<T, PictureError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let reason = panic_message(payload.as_ref());
        Err(PictureError::Panicked { reason })
    })
}

/// What a picture's header says of the memory it takes.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// Width in pixels, as stored.
    pub width: u32,
    /// Height in pixels, as stored.
    pub height: u32,
    /// Bytes of memory.
    pub total_bytes: u64,
}

/// The pixels, 8 bits a channel, with alpha or without it, right side up.
fn decode(bytes: &[u8], header: &Header) -> Result<DynamicImage, PictureError> {
    let format = header.format;
    let failed =
        |error: ImageError| PictureError::Undecodable { format, reason: error.to_string() };
    let mut decoder = open(&bytes[..header.end_bytes], format).map_err(failed)?;
    if decoder.dimensions() != (header.width, header.height) {
        return Err(PictureError::BrokenHeader { format, what: "it names two sizes" });
    }
    // Broken metadata is no reason to do without the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(failed)?;
    let mut image = if decoded.has_alpha() {
        DynamicImage::ImageRgba8(decoded.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(decoded.into_rgb8())
    };
    image.apply_orientation(orientation);
    Ok(image)
}

fn open<'a>(bytes: &'a [u8], format: Format) -> ImageResult<Box<dyn ImageDecoder + 'a>> {
    let input = Cursor::new(bytes);
    let mut decoder: Box<dyn ImageDecoder + 'a> = match format {
        Format::Jpeg => Box::new(JpegDecoder::new(input)?),
        Format::Png => Box::new(PngDecoder::with_limits(input, limits(MAX_PNG_EXTRA_BYTES))?),
        Format::Gif => Box::new(GifDecoder::new(input)?),
        Format::Webp => Box::new(WebPDecoder::new(input)?),
    };
    decoder.set_limits(limits(MAX_WORKING_BYTES))?;
    Ok(decoder)
}

fn limits(max_alloc_bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_EDGE);
    limits.max_image_height = Some(MAX_EDGE);
    limits.max_alloc = Some(max_alloc_bytes);
    limits
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else {
        "no message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, ALL, at, thumb};
    use feedfleet_config::RenditionFormat;

    fn only_rendition(bytes: &[u8], rendition: Rendition) -> (Picture, DynamicImage) {
        let picture = process(bytes, &[rendition], ALL).unwrap();
        let drawn = ::image::load_from_memory(&picture.renditions[0]).unwrap();
        (picture, drawn)
    }

    #[test]
    fn a_picture_is_turned_the_right_side_up() {
        // Stored with red on the left and blue on the right, to be turned clockwise.
        let bytes = samples::jpeg_with_orientation(6);
        let (picture, drawn) = only_rendition(&bytes, thumb(300, RenditionFormat::Png));
        assert_eq!((picture.width, picture.height), (32, 64));
        assert_eq!((drawn.width(), drawn.height()), (32, 64));
        let (top, bottom) = (at(&drawn, 16, 10), at(&drawn, 16, 54));
        assert!(top[0] > 200 && top[2] < 50, "{top:?}");
        assert!(bottom[0] < 50 && bottom[2] > 200, "{bottom:?}");
    }

    #[test]
    fn an_animation_is_its_first_frame() {
        let bytes = samples::gif(20, 10);
        let (picture, drawn) = only_rendition(&bytes, thumb(300, RenditionFormat::Png));
        assert_eq!((picture.width, picture.height), (20, 10));
        assert_eq!(at(&drawn, 10, 5), [255, 0, 0, 255]);
    }

    #[test]
    fn sixteen_bits_and_grey_become_eight_bits_and_colour() {
        let grey = ::image::ImageBuffer::from_pixel(9, 9, ::image::Luma([0x8000_u16]));
        let bytes = samples::encoded(&DynamicImage::ImageLuma16(grey), ::image::ImageFormat::Png);
        let (_, drawn) = only_rendition(&bytes, thumb(300, RenditionFormat::Png));
        assert_eq!(drawn.color(), ::image::ColorType::Rgb8);
        assert!((127..=128).contains(&at(&drawn, 4, 4)[0]));
    }

    #[test]
    fn broken_data_is_an_error_with_a_reason() {
        let mut png = samples::png(60, 60);
        png.truncate(png.len() / 2);
        let refused = process(&png, &[], ALL).unwrap_err();
        assert!(matches!(refused, PictureError::Undecodable { .. }), "{refused}");
        assert_eq!(process(b"", &[], ALL).unwrap_err(), PictureError::Empty);
        let refused = process(b"<html>sorry</html>", &[], ALL).unwrap_err().to_string();
        assert_eq!(refused, "the body is an HTML page; pictures are JPEG, PNG, GIF or WebP");
    }

    #[test]
    fn more_pixels_and_renditions_need_more_memory() {
        let needed = |bytes: &[u8], renditions: &[Rendition]| {
            needed_bytes(bytes, renditions, ALL).unwrap().total_bytes
        };
        let (small, large) = (samples::png(10, 10), samples::png(1000, 1000));
        let base = needed(&small, &[]);
        assert!((DECODER_BYTES..DECODER_BYTES + (64 << 10)).contains(&base), "{base}");
        assert!(needed(&large, &[]) >= base + 1000 * 1000 * 12);
        let png = thumb(2000, RenditionFormat::Png);
        assert!(needed(&large, &[png]) >= needed(&large, &[]) + 1000 * 1000 * 12);
        assert_eq!(needed_bytes(b"", &[], ALL).unwrap_err(), PictureError::Empty);
    }

    #[test]
    fn the_message_of_a_panic_is_kept() {
        fn fails() {
            panic!("out of {}", "range");
        }
        let payload = panic::catch_unwind(fails).unwrap_err();
        assert_eq!(panic_message(payload.as_ref()), "out of range");
    }
}
