//! Real pictures, and files made to break decoders: each ends as a picture or as an error with a reason.
//! Where the outcomes of another decoder (Pillow) are at hand, sizes must agree with them.

use crate::error::PictureError;
use crate::picture::{self, Picture};
use crate::samples::{ALL, thumb};
use feedfleet_config::RenditionFormat;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
const FOLDERS: [&str; 2] = ["img-image-rs", "img-sharp"];
const ORACLE: &str = "image_oracle_pillow.jsonl";

/// What Pillow says of a file.
#[derive(serde::Deserialize)]
struct Verdict {
    path: String,
    decodes: bool,
    format: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    exif_orientation: Option<u32>,
}

#[test]
fn real_pictures_are_decoded_or_refused() {
    let data = Path::new(DATA);
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&data.join(folder), &mut files);
    }
    if files.is_empty() {
        eprintln!("SKIPPED: no pictures below {DATA}");
        return;
    }
    let verdicts = verdicts(data);
    let renditions = [
        thumb(100, RenditionFormat::Webp),
        thumb(100, RenditionFormat::Jpeg),
        thumb(100, RenditionFormat::Png),
    ];
    let (mut decoded, mut refused_too_much) = (0, Vec::new());
    for file in &files {
        let name = file.strip_prefix(data).unwrap().to_string_lossy().into_owned();
        let verdict = verdicts.get(&name);
        let bytes = fs::read(file).unwrap();
        match picture::process(&bytes, &renditions, ALL) {
            Ok(picture) => {
                decoded += 1;
                check(&name, &picture, verdict);
            }
            Err(error) => {
                assert!(!matches!(error, PictureError::Panicked { .. }), "{name}: {error}");
                if verdict.is_some_and(|v| v.decodes && is_mirrored(v)) {
                    refused_too_much.push(format!("{name}: {error}"));
                }
            }
        }
    }
    eprintln!("{decoded} of {} files decoded; Pillow alone decodes:", files.len());
    eprintln!("{}", refused_too_much.join("\n"));
    assert!(decoded > 0);
    assert!(refused_too_much.len() * 10 <= decoded, "{refused_too_much:#?}");
}

fn check(name: &str, picture: &Picture, verdict: Option<&Verdict>) {
    for rendition in &picture.renditions {
        let small = ::image::load_from_memory(rendition).unwrap();
        let longest = picture.width.max(picture.height).min(100);
        assert_eq!(small.width().max(small.height()), longest, "{name}");
    }
    let Some(verdict) = verdict.filter(|verdict| verdict.decodes) else { return };
    let (Some(mut width), Some(mut height)) = (verdict.width, verdict.height) else { return };
    if verdict.exif_orientation.is_some_and(|orientation| (5..=8).contains(&orientation)) {
        (width, height) = (height, width);
    }
    // Where a GIF's frame is larger than its screen, Pillow enlarges the screen; we show what fits it.
    let is_gif = verdict.format.as_deref() == Some("GIF");
    if !(is_gif && picture.width <= width && picture.height <= height) {
        assert_eq!((picture.width, picture.height), (width, height), "{name}");
    }
}

fn is_mirrored(verdict: &Verdict) -> bool {
    matches!(verdict.format.as_deref(), Some("JPEG" | "MPO" | "PNG" | "GIF" | "WEBP"))
}

fn verdicts(data: &Path) -> BTreeMap<String, Verdict> {
    let Ok(lines) = fs::read_to_string(data.join(ORACLE)) else {
        eprintln!("SKIPPED: no outcomes of another decoder to compare with");
        return BTreeMap::new();
    };
    let verdicts = lines.lines().map(|line| serde_json::from_str::<Verdict>(line).unwrap());
    verdicts.map(|verdict| (verdict.path.clone(), verdict)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
