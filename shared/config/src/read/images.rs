//! Reads `[images]`.

use crate::pipe::{Images, Rendition, RenditionFormat};
use crate::table::Table;
use crate::value::Value;

const FORMATS: [(&str, RenditionFormat); 3] = [
    ("webp", RenditionFormat::Webp),
    ("jpeg", RenditionFormat::Jpeg),
    ("png", RenditionFormat::Png),
];

/// The longest edge that WebP can hold.
const LONGEST_EDGE: u32 = 16_383;

/// What becomes of pictures where the pipe doesn't say.
pub(super) fn defaults() -> Images {
    Images { mirror: true, renditions: Vec::new(), max_bytes: 20_000_000, max_pixels: 100_000_000 }
}

/// Reads the section.
pub(super) fn images(table: &mut Table<'_>, default: Images) -> Images {
    Images {
        mirror: table.read("mirror", default.mirror, |v| v.flag()),
        renditions: table.read("renditions", default.renditions, renditions),
        max_bytes: table.read("max_bytes", default.max_bytes, |v| v.size(1)),
        max_pixels: table.read("max_pixels", default.max_pixels, |v| v.integer(1, 1_000_000_000)),
    }
}

fn renditions(value: &Value<'_>) -> Option<Vec<Rendition>> {
    let mut renditions: Vec<Rendition> = Vec::new();
    for item in value.items()? {
        let Some(mut table) = item.table_or("a table with name, max and format") else {
            continue;
        };
        let rendition = rendition(&mut table);
        table.finish();
        let Some(rendition) = rendition else {
            continue;
        };
        if renditions.iter().any(|other| other.name == rendition.name) {
            let message = format!("there are two renditions named '{}'", rendition.name);
            item.refuse(message, "expected a name for each");
        }
        renditions.push(rendition);
    }
    Some(renditions)
}

fn rendition(table: &mut Table<'_>) -> Option<Rendition> {
    let name = table.required("name", "expected a name such as 'thumb'");
    let max = table.required("max", "expected the longest edge in pixels");
    let format = table.required("format", "expected one of webp, jpeg, png");
    let quality = table.take("quality");

    let name = name.and_then(|value| rendition_name(&value));
    let max = max.and_then(|value| value.count(1, LONGEST_EDGE));
    let format = format.and_then(|value| value.text()?.choose("a format of renditions", &FORMATS));
    let quality = match (quality, format) {
        (Some(value), Some(RenditionFormat::Png)) => {
            value.refuse("png has no quality", "expected quality with webp and jpeg only");
            None
        }
        (Some(value), _) => value.count(1, 100).map(|quality| quality as u8),
        (None, Some(RenditionFormat::Webp)) => Some(80),
        (None, Some(RenditionFormat::Jpeg)) => Some(85),
        (None, _) => Some(100),
    };
    Some(Rendition { name: name?, max: max?, format: format?, quality: quality? })
}

fn rendition_name(value: &Value<'_>) -> Option<String> {
    let name = value.plain()?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    // The picture as it came is kept under that name.
    if (1..=32).contains(&name.len()) && name.bytes().all(allowed) && name != "original" {
        return Some(name);
    }
    let expected = "expected 1 to 32 of a-z, 0-9 and '-', other than 'original'";
    value.text()?.refuse("a rendition's name", expected)
}
