//! Pictures for tests, made on the spot.

#![allow(clippy::unwrap_used)] // made for tests: what fails here fails them

use ::image::codecs::gif::GifEncoder;
use ::image::{DynamicImage, Frame, GenericImageView, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use feedfleet_config::{Rendition, RenditionFormat};
use std::io::Cursor;

/// A limit in pixels that no sample reaches.
pub const ALL: u64 = 100_000_000;

/// The picture as a file.
pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A gradient: its files have some length.
fn gradient(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 7 % 256) as u8, (y * 5 % 256) as u8, ((x + y) * 3 % 256) as u8])
    }))
}

/// A JPEG of this size.
pub fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(&gradient(width, height), ImageFormat::Jpeg)
}

/// A PNG of this size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&gradient(width, height), ImageFormat::Png)
}

/// A WebP of this size.
pub fn webp(width: u32, height: u32) -> Vec<u8> {
    encoded(&gradient(width, height), ImageFormat::WebP)
}

/// Two frames: red, then blue.
pub fn gif(width: u32, height: u32) -> Vec<u8> {
    let frame = |colour| Frame::new(RgbaImage::from_pixel(width, height, colour));
    let frames = [frame(Rgba([255, 0, 0, 255])), frame(Rgba([0, 0, 255, 255]))];
    let mut file = Vec::new();
    GifEncoder::new(&mut file).encode_frames(frames).unwrap();
    file
}

/// The start of a PNG that claims this size.
pub fn png_header(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR".to_vec();
    file.extend_from_slice(&width.to_be_bytes());
    file.extend_from_slice(&height.to_be_bytes());
    file.extend_from_slice(&[depth, colour, 0, 0, 0]);
    file.extend_from_slice(&[0; 4]);
    file
}

/// A JPEG of 64 by 32 pixels, red on the left and blue on the right, with an EXIF orientation.
pub fn jpeg_with_orientation(orientation: u8) -> Vec<u8> {
    let halves =
        RgbImage::from_fn(64, 32, |x, _| if x < 32 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    let plain = encoded(&DynamicImage::ImageRgb8(halves), ImageFormat::Jpeg);
    // A TIFF of one directory with one entry: tag 0x0112, type 3 (16 bits), one value.
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend_from_slice(&[orientation, 0, 0, 0]);
    exif.extend_from_slice(&[0; 4]);
    let mut file = plain[..2].to_vec();
    file.extend_from_slice(&[0xFF, 0xE1]);
    file.extend_from_slice(&(exif.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(&exif);
    file.extend_from_slice(&plain[2..]);
    file
}

/// A rendition called `thumb`.
pub fn thumb(max: u32, format: RenditionFormat) -> Rendition {
    Rendition { name: "thumb".to_owned(), max, format, quality: 80 }
}

/// A pixel: red, green, blue, alpha.
pub fn at(image: &DynamicImage, x: u32, y: u32) -> [u8; 4] {
    image.get_pixel(x, y).0
}
