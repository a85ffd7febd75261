//! Reads the pipes of a described night.

use super::super::night::{Due, PipeGroup};
use super::tables;
use feedfleet_config::reading::{Table, Value};
use std::time::Duration;

/// Products in a night, at most: a hundred billion.
const MOST: u64 = 100_000_000_000;
const MOST_PIPES: u32 = 100_000;
const MOST_SKEW: f64 = 10.0;
const LONGEST_IMAGE: Duration = Duration::from_secs(600);

/// `[[pipes]]`
pub(super) fn groups(root: &mut Table<'_>) -> Vec<PipeGroup> {
    tables(root, "pipes", group)
}

fn group(table: &mut Table<'_>) -> Option<PipeGroup> {
    let name = table.read("name", "pipe".to_owned(), |v| v.word());
    let count = table.read("count", 1, |v| v.count(1, MOST_PIPES));
    let products = table.required("products", "expected how many they have together");
    let products = products.and_then(|v| v.integer(1, MOST));
    let product_bytes = table.required("product", "expected a product's size, such as '800B'");
    let product_bytes = product_bytes.and_then(|v| v.size(1));
    let changed = table.required("changed", "expected the share that is new or changed");
    let changed = changed.and_then(|v| v.share());
    let speed = table.required("speed", "expected what a partner sends a second, such as '5MB'");
    let bytes_per_sec = speed.and_then(|v| v.size(1));
    let skew = table.read("skew", 0.0, |v| v.amount(MOST_SKEW));
    let images = table.read("images", 0.0, |v| v.share());
    let image = |v: &Value<'_>| v.duration(Duration::from_millis(1), LONGEST_IMAGE).map(Some);
    let image = table.read("image", None, image);
    let image_hosts = table.read("image_hosts", count, |v| v.count(1, MOST_PIPES));
    let due = due(table);
    Some(PipeGroup {
        name,
        count,
        products: products?,
        skew,
        product_bytes: product_bytes?,
        changed: changed?,
        images,
        bytes_per_sec: bytes_per_sec?,
        image,
        image_hosts,
        due: due?,
    })
}

fn due(table: &mut Table<'_>) -> Option<Due> {
    let expected = "expected at = '02:00', or window = ['01:00', '05:00']";
    match (table.take("at"), table.take("window")) {
        (Some(at), None) => clock(&at).map(Due::At),
        (None, Some(window)) => {
            let times = window.items()?;
            match times.as_slice() {
                [from, to] => Some(Due::Window(clock(from)?, clock(to)?)),
                _ => {
                    window.refuse(format!("{} has not two times", window.name()), expected);
                    None
                }
            }
        }
        (None, None) => {
            table.mistake("[pipes] does not say when they are due", expected);
            None
        }
        (Some(_), Some(window)) => {
            window.refuse_key("[pipes] has both at and window", expected);
            None
        }
    }
}

/// A time of day, since midnight.
pub(super) fn clock(value: &Value<'_>) -> Option<Duration> {
    let text = value.text()?;
    let number = |digits: &str, below: u64| {
        let is_plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|n| is_plain && *n < below)
    };
    let time = text.value.split_once(':').and_then(|(hours, minutes)| {
        Some(Duration::from_secs(number(hours, 24)? * 3_600 + number(minutes, 60)? * 60))
    });
    match time {
        Some(time) => Some(time),
        None => text.refuse("a time of day", "expected hours and minutes, such as '02:30'"),
    }
}
