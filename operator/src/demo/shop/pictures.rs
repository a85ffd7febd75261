//! Draws the sample shop's pictures: a coloured shape on a soft ground, 400 pixels square.
//!
//! A picture follows from its file name, `KIND-COLOUR.jpg`, with `-v2` for the second night's and
//! `KIND-detail.jpg` for a look at the material. Products of one kind and colour share one.

use std::io::Cursor;

use image::{ImageFormat, ImageResult, Rgb, RgbImage};

use super::catalogue::Rng;
use super::words::{self, Shape};

/// Width and height of every picture, in pixels.
const SIDE: u32 = 400;

/// Pictures that the feeds name and the shop has lost: they answer 404.
pub const MISSING: [&str; 4] = ["tent-plum", "backpack-sand", "pendant-copper", "gpu-silver"];

/// A picture whose file was damaged: it starts as a JPEG does, and goes on with noise.
pub const CORRUPT: &str = "lantern-ember";

/// A picture file.
#[derive(Debug)]
pub struct Picture {
    /// The whole file.
    pub body: Vec<u8>,
    /// Its media type.
    pub content_type: &'static str,
}

/// The picture of this file name, or `None` where the shop has none.
///
/// Takes a few milliseconds of CPU. Fails only if the encoder does.
pub fn draw(file: &str) -> ImageResult<Option<Picture>> {
    let Some((stem, extension)) = file.split_once('.') else { return Ok(None) };
    let (format, content_type) = match extension {
        "jpg" => (ImageFormat::Jpeg, "image/jpeg"),
        "png" => (ImageFormat::Png, "image/png"),
        _ => return Ok(None),
    };
    let Some(scene) = Scene::named(stem) else { return Ok(None) };
    let mut body = Cursor::new(Vec::new());
    scene.paint().write_to(&mut body, format)?;
    let mut body = body.into_inner();
    if stem == CORRUPT {
        let mut rng = Rng::of(&[body.len() as u64]);
        // No byte of 0xFF, so that no marker can occur by chance.
        body.iter_mut().skip(4).for_each(|byte| *byte = rng.below(0xFF) as u8);
    }
    Ok(Some(Picture { body, content_type }))
}

/// What a picture shows.
#[derive(Debug)]
struct Scene {
    shape: Shape,
    colour: [f32; 3],
    /// A close look at the material, without the product's outline.
    detail: bool,
    /// Seen from the other side, on another ground.
    retaken: bool,
    /// Tells kinds of the same shape apart: 0 to 1.
    character: f32,
}

impl Scene {
    fn named(stem: &str) -> Option<Self> {
        if MISSING.contains(&stem) {
            return None;
        }
        let (kind_name, rest) = stem.split_once('-')?;
        let (colour_name, retaken) = match rest.strip_suffix("-v2") {
            Some(colour) => (colour, true),
            None => (rest, false),
        };
        let detail = colour_name == "detail";
        // Only Northwind shows details, and sand is among its colours.
        let (kind, colour) = words::find(kind_name, if detail { "sand" } else { colour_name })?;
        let letters: Vec<u64> = kind_name.bytes().map(u64::from).collect();
        Some(Self {
            shape: kind.shape,
            colour: colour.rgb.map(f32::from),
            detail,
            retaken,
            character: Rng::of(&letters).below(1_000) as f32 / 1_000.0,
        })
    }

    fn paint(&self) -> RgbImage {
        RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let (u, v) = (x as f32 / SIDE as f32, y as f32 / SIDE as f32);
            Rgb(self.shade(if self.retaken { 1.0 - u } else { u }, v).map(|c| c as u8))
        })
    }

    /// The colour at a point of the unit square, with the origin at the top left.
    fn shade(&self, u: f32, v: f32) -> [f32; 3] {
        if self.detail {
            let weave = ((u * 60.0).sin() * (v * (40.0 + 40.0 * self.character)).sin()).abs();
            return mix(self.colour, [250.0; 3], 0.15 + 0.4 * weave);
        }
        // Kinds of one shape differ in how wide they are.
        let width = 0.8 + 0.35 * self.character;
        let across = 0.5 + (u - 0.5) / width;
        if accent(self.shape, across, v) {
            return mix(self.colour, [20.0; 3], 0.45);
        }
        if outline(self.shape, across, v) {
            let light = 0.3 * (1.0 - across) * (1.2 - v);
            return mix(mix(self.colour, [255.0; 3], light), [0.0; 3], 0.15 * v);
        }
        let ground = if self.retaken { [206.0, 214.0, 222.0] } else { [240.0, 236.0, 228.0] };
        let shadow = if disc(u, v, 0.5, 0.82, 0.34 * width, 0.05) { 0.2 } else { 0.0 };
        mix(mix(ground, self.colour, 0.25 * v), [0.0; 3], shadow)
    }
}

/// `from`, `share` of the way to `to`.
fn mix(from: [f32; 3], to: [f32; 3], share: f32) -> [f32; 3] {
    [0, 1, 2].map(|i| from[i] + (to[i] - from[i]) * share)
}

/// Whether a point lies within the product.
fn outline(shape: Shape, u: f32, v: f32) -> bool {
    match shape {
        Shape::Peak => v < 0.8 && (u - 0.5).abs() < (v - 0.24) * 0.62,
        Shape::Block => rect(u, v, [0.24, 0.34, 0.76, 0.8]),
        Shape::Tall => rect(u, v, [0.38, 0.34, 0.62, 0.82]) || disc(u, v, 0.5, 0.34, 0.12, 0.1),
        Shape::Disc => disc(u, v, 0.5, 0.52, 0.29, 0.29),
        Shape::Lamp => rect(u, v, [0.0, 0.22, 1.0, 0.5]) && (u - 0.5).abs() < v * 0.5 - 0.02,
        Shape::Bowl => v > 0.42 && disc(u, v, 0.5, 0.42, 0.32, 0.38),
        Shape::Board => rect(u, v, [0.16, 0.38, 0.84, 0.7]),
        Shape::Frame => rect(u, v, [0.24, 0.16, 0.76, 0.82]),
        Shape::Book => rect(u, v, [0.3, 0.18, 0.7, 0.82]),
        Shape::Coat => {
            rect(u, v, [0.34, 0.28, 0.66, 0.82])
                || disc(u, v, 0.5, 0.28, 0.16, 0.08)
                || rect(u, v, [0.22, 0.32, 0.78, 0.62]) && (u - 0.5).abs() < v * 0.45 + 0.02
        }
    }
}

/// Whether a point belongs to what stands out on the product: a door, a rim, a cap, a title.
fn accent(shape: Shape, u: f32, v: f32) -> bool {
    match shape {
        Shape::Peak => v < 0.8 && (u - 0.5).abs() < (v - 0.46) * 0.3,
        Shape::Block => rect(u, v, [0.24, 0.5, 0.76, 0.54]),
        Shape::Tall => rect(u, v, [0.45, 0.18, 0.55, 0.27]),
        Shape::Disc => disc(u, v, 0.5, 0.52, 0.16, 0.16),
        Shape::Lamp => rect(u, v, [0.485, 0.5, 0.515, 0.8]) || disc(u, v, 0.5, 0.8, 0.16, 0.03),
        Shape::Bowl => disc(u, v, 0.5, 0.42, 0.32, 0.05),
        Shape::Board => {
            rect(u, v, [0.2, 0.44, 0.8, 0.64])
                && (u * 16.0).fract() < 0.7
                && (v * 14.0).fract() < 0.7
        }
        Shape::Frame => rect(u, v, [0.31, 0.24, 0.69, 0.74]) && !disc(u, v, 0.5, 0.5, 0.13, 0.13),
        Shape::Book => rect(u, v, [0.3, 0.18, 0.345, 0.82]) || rect(u, v, [0.42, 0.3, 0.63, 0.38]),
        Shape::Coat => rect(u, v, [0.49, 0.3, 0.51, 0.82]),
    }
}

/// Whether a point lies between left, top, right and bottom.
fn rect(u: f32, v: f32, [left, top, right, bottom]: [f32; 4]) -> bool {
    (left..right).contains(&u) && (top..bottom).contains(&v)
}

/// Whether a point lies in the ellipse with this centre and these half axes.
fn disc(u: f32, v: f32, centre_u: f32, centre_v: f32, half_u: f32, half_v: f32) -> bool {
    ((u - centre_u) / half_u).powi(2) + ((v - centre_v) / half_v).powi(2) < 1.0
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::catalogue::{Partner, products};
    use super::*;

    #[test]
    fn every_picture_in_a_feed_is_known_but_the_missing_ones() {
        let mut stems = HashSet::new();
        for (partner, night) in Partner::ALL.into_iter().flat_map(|p| [(p, 1), (p, 2)]) {
            for product in products(1, partner, night) {
                for path in [Some(product.image_path), product.detail_path].into_iter().flatten() {
                    let file = path.strip_prefix("/pictures/").unwrap();
                    let (stem, _) = file.split_once('.').unwrap();
                    assert_eq!(Scene::named(stem).is_none(), MISSING.contains(&stem), "{stem}");
                    stems.insert(stem.to_owned());
                }
            }
        }
        assert!((550..700).contains(&stems.len()), "{} pictures", stems.len());
        assert!(MISSING.into_iter().chain([CORRUPT]).all(|stem| stems.contains(stem)));
    }

    #[test]
    fn pictures_are_pictures_but_the_corrupt_one() {
        for file in ["jar-celadon.jpg", "pendant-brass.png", "tent-moss-v2.jpg", "tent-detail.jpg"]
        {
            let picture = draw(file).unwrap().unwrap();
            let decoded = image::load_from_memory(&picture.body).unwrap();
            assert_eq!((decoded.width(), decoded.height()), (SIDE, SIDE));
        }
        let corrupt = draw(&format!("{CORRUPT}.jpg")).unwrap().unwrap();
        assert_eq!(corrupt.body[..3], [0xFF, 0xD8, 0xFF]);
        assert!(image::load_from_memory(&corrupt.body).is_err());
    }

    #[test]
    fn the_same_name_is_the_same_picture_and_another_is_not() {
        let body = |file| draw(file).unwrap().unwrap().body;
        assert_eq!(body("mouse-teal.jpg"), body("mouse-teal.jpg"));
        assert_ne!(body("mouse-teal.jpg"), body("mouse-teal-v2.jpg"));
        assert_ne!(body("mouse-teal.jpg"), body("fan-teal.jpg"));
    }

    #[test]
    fn what_the_shop_never_had_is_not_found() {
        for file in ["tent-plum.jpg", "tent.jpg", "yacht-red.jpg", "tent-moss.tiff", "", "../x.jpg"]
        {
            assert!(draw(file).unwrap().is_none(), "{file}");
        }
    }
}
