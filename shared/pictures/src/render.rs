//! Renditions: a picture made smaller and written in another format.

use crate::error::PictureError;
use crate::header;
use ::image::codecs::png::PngEncoder;
use ::image::{DynamicImage, ExtendedColorType, ImageEncoder};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use feedfleet_config::{Rendition, RenditionFormat};
use feedfleet_model::keys::{self, ObjectKey};
use std::borrow::Cow;

/// A part of every [`spec`]: raised when renditions come out differently, so that they are made again.
const VERSION: u32 = 1;

/// How a rendition is made, in one line. Renditions of equal specs and originals are equal.
pub fn spec(rendition: &Rendition) -> String {
    let Rendition { max, quality, format, .. } = rendition;
    match format {
        RenditionFormat::Webp => format!("webp max={max} quality={quality} v{VERSION}"),
        RenditionFormat::Jpeg => format!("jpeg max={max} quality={quality} v{VERSION}"),
        RenditionFormat::Png => format!("png max={max} v{VERSION}"),
    }
}

/// Where a rendition of the picture with this key is kept.
pub fn key(image: &ObjectKey, rendition: &Rendition) -> ObjectKey {
    let extension = match rendition.format {
        RenditionFormat::Webp => "webp",
        RenditionFormat::Jpeg => "jpg",
        RenditionFormat::Png => "png",
    };
    keys::rendition(image, &rendition.name, extension)
}

/// Makes a rendition's file of a picture of 8 bits a channel.
///
/// # Errors
///
/// [`PictureError::Rendition`]; none is worth a retry.
pub fn draw(image: &DynamicImage, rendition: &Rendition) -> Result<Vec<u8>, PictureError> {
    resized(image, rendition.max)
        .and_then(|pixels| encode(&pixels, rendition))
        .map_err(|reason| PictureError::Rendition { name: rendition.name.clone(), reason })
}

/// Pixels of 3 bytes (RGB), or of 4 with alpha, row by row.
struct Pixels<'a> {
    data: Cow<'a, [u8]>,
    width: u32,
    height: u32,
    has_alpha: bool,
}

/// The pixels that a rendition of a picture of this size has.
pub fn rendition_pixels(width: u32, height: u32, rendition: &Rendition) -> u64 {
    let (width, height) = fit(width, height, rendition.max);
    header::pixels(width, height)
}

/// The size whose longest edge is `max` at most, in the same proportions; never a larger one.
fn fit(width: u32, height: u32, max: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= max {
        return (width, height);
    }
    let scaled = |edge: u32| {
        let exact = u64::from(edge) * u64::from(max);
        let rounded = (exact + u64::from(longest) / 2) / u64::from(longest);
        // Not above `max`, which is 32 bits wide.
        (rounded as u32).max(1)
    };
    (scaled(width), scaled(height))
}

fn resized(image: &DynamicImage, max: u32) -> Result<Pixels<'_>, String> {
    let has_alpha = image.has_alpha();
    let (width, height) = fit(image.width(), image.height(), max);
    if (width, height) == (image.width(), image.height()) {
        let data = Cow::Borrowed(image.as_bytes());
        return Ok(Pixels { data, width, height, has_alpha });
    }
    let kind = if has_alpha { PixelType::U8x4 } else { PixelType::U8x3 };
    let source = ImageRef::new(image.width(), image.height(), image.as_bytes(), kind)
        .map_err(|error| error.to_string())?;
    let mut target = Image::new(width, height, kind);
    // With alpha taken into account, the colour of transparent pixels doesn't seep into their
    // neighbours.
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(true);
    Resizer::new().resize(&source, &mut target, &options).map_err(|error| error.to_string())?;
    Ok(Pixels { data: Cow::Owned(target.into_vec()), width, height, has_alpha })
}

fn encode(pixels: &Pixels<'_>, rendition: &Rendition) -> Result<Vec<u8>, String> {
    let quality = rendition.quality.clamp(1, 100);
    match rendition.format {
        RenditionFormat::Webp => webp(pixels, quality),
        RenditionFormat::Jpeg => jpeg(pixels, quality),
        RenditionFormat::Png => png(pixels),
    }
}

fn webp(pixels: &Pixels<'_>, quality: u8) -> Result<Vec<u8>, String> {
    /// What the format can express, in pixels.
    const MAX_WEBP_EDGE: u32 = 16_383;
    let Pixels { data, width, height, has_alpha } = pixels;
    if *width.max(height) > MAX_WEBP_EDGE {
        return Err(format!("{width} x {height} pixels are too many for WebP"));
    }
    let encoder = if *has_alpha {
        ::webp::Encoder::from_rgba(data, *width, *height)
    } else {
        ::webp::Encoder::from_rgb(data, *width, *height)
    };
    match encoder.encode_simple(false, f32::from(quality)) {
        Ok(file) => Ok(file.to_vec()),
        Err(error) => Err(format!("the encoder said {error:?}")),
    }
}

fn jpeg(pixels: &Pixels<'_>, quality: u8) -> Result<Vec<u8>, String> {
    let edge = |edge: u32| u16::try_from(edge).map_err(|_| format!("{edge} pixels are too many"));
    let (width, height) = (edge(pixels.width)?, edge(pixels.height)?);
    let data: Cow<'_, [u8]> = if pixels.has_alpha {
        Cow::Owned(on_white(&pixels.data))
    } else {
        Cow::Borrowed(&pixels.data)
    };
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, quality);
    encoder.set_chroma_subsampling_method(jpeg_encoder::ChromaSubsamplingMethod::Average);
    encoder
        .encode(&data, width, height, jpeg_encoder::ColorType::Rgb)
        .map_err(|error| error.to_string())?;
    Ok(file)
}

fn png(pixels: &Pixels<'_>) -> Result<Vec<u8>, String> {
    let colour = if pixels.has_alpha { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(&pixels.data, pixels.width, pixels.height, colour)
        .map_err(|error| error.to_string())?;
    Ok(file)
}

/// RGBA pixels as they look on white paper, in RGB.
fn on_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        for &channel in &pixel[..3] {
            let mixed = u32::from(channel) * alpha + 255 * (255 - alpha);
            // At most 255: a mean of two bytes.
            rgb.push(((mixed + 127) / 255) as u8);
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, thumb};
    use ::image::{Rgb, RgbImage, Rgba, RgbaImage};

    fn drawn(image: &DynamicImage, rendition: &Rendition) -> DynamicImage {
        ::image::load_from_memory(&draw(image, rendition).unwrap()).unwrap()
    }

    #[test]
    fn the_longest_edge_fits_and_nothing_is_enlarged() {
        assert_eq!(fit(4000, 3000, 300), (300, 225));
        assert_eq!(fit(3000, 4000, 300), (225, 300));
        assert_eq!(fit(30_000, 1, 300), (300, 1));
        assert_eq!(fit(300, 20, 300), (300, 20));
        assert_eq!(fit(10, 10, u32::MAX), (10, 10));
    }

    #[test]
    fn every_format_comes_out_at_its_size() {
        let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(80, 40, Rgb([10, 200, 30])));
        for format in [RenditionFormat::Webp, RenditionFormat::Jpeg, RenditionFormat::Png] {
            let small = drawn(&image, &thumb(20, format));
            assert_eq!((small.width(), small.height()), (20, 10), "{format:?}");
            let pixel = at(&small, 10, 5);
            assert!(pixel[0] < 30 && pixel[1] > 180 && pixel[2] < 50, "{format:?}: {pixel:?}");
            let same = drawn(&image, &thumb(300, format));
            assert_eq!((same.width(), same.height()), (80, 40), "{format:?}");
        }
    }

    #[test]
    fn transparency_is_kept_or_becomes_white() {
        let clear = RgbaImage::from_pixel(40, 40, Rgba([255, 0, 0, 0]));
        let image = DynamicImage::ImageRgba8(clear);
        let jpeg = at(&drawn(&image, &thumb(20, RenditionFormat::Jpeg)), 10, 10);
        assert!(jpeg[..3].iter().all(|&channel| channel > 250), "{jpeg:?}");
        for format in [RenditionFormat::Webp, RenditionFormat::Png] {
            assert_eq!(at(&drawn(&image, &thumb(20, format)), 10, 10)[3], 0, "{format:?}");
        }
        assert_eq!(on_white(&[0, 255, 100, 128]), [127, 255, 177]);
    }

    #[test]
    fn hidden_colours_stay_hidden() {
        // Opaque white on the left; on the right transparent pixels that are red underneath.
        let image = RgbaImage::from_fn(64, 64, |x, _| {
            if x < 32 { Rgba([255, 255, 255, 255]) } else { Rgba([255, 0, 0, 0]) }
        });
        let small = drawn(&DynamicImage::ImageRgba8(image), &thumb(9, RenditionFormat::Jpeg));
        for x in 0..9 {
            let pixel = at(&small, x, 4);
            assert!(pixel[..3].iter().all(|&channel| channel > 240), "{x}: {pixel:?}");
        }
    }

    #[test]
    fn a_spec_says_what_changes_the_file() {
        let thumb = thumb(300, RenditionFormat::Webp);
        assert_eq!(spec(&thumb), "webp max=300 quality=80 v1");
        assert_eq!(spec(&Rendition { name: "other".to_owned(), ..thumb.clone() }), spec(&thumb));
    }
}
