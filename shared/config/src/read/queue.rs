//! Reads `[queue]`.

use super::place;
use crate::fleet::{Queue, QueueBackend};
use crate::table::Table;
use crate::value::Value;

/// The values of `backend`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Sqs,
}

const KINDS: [(&str, Kind); 2] = [("sqlite", Kind::Sqlite), ("sqs", Kind::Sqs)];
/// The settings of SQS.
const URLS: [&str; 4] = ["crawl_url", "image_url", "crawl_dead_url", "image_dead_url"];

/// Reads the section.
pub(super) fn queue(table: &mut Table<'_>, default: Queue) -> Queue {
    let backend = table.take("backend");
    let path = table.take("path");
    let urls = URLS.map(|name| table.take(name));
    let kind = match &backend {
        Some(backend) => backend.text().and_then(|text| text.choose("a queue", &KINDS)),
        None => Some(Kind::Sqlite),
    };
    match kind {
        // What belongs with a backend that nobody knows can't be told.
        None => default,
        Some(Kind::Sqs) => {
            refuse_useless(path.as_ref(), "sqlite");
            Queue { backend: sqs(table, &urls) }
        }
        Some(Kind::Sqlite) => {
            for url in &urls {
                refuse_useless(url.as_ref(), "sqs");
            }
            match path.and_then(|path| place::folder(&path)) {
                Some(path) => Queue { backend: QueueBackend::Sqlite { path } },
                None => default,
            }
        }
    }
}

fn sqs(table: &Table<'_>, urls: &[Option<Value<'_>>; 4]) -> QueueBackend {
    let mut read: [String; 4] = Default::default();
    for (at, value) in urls.iter().enumerate() {
        let Some(value) = value else {
            let message = format!("{} has no {}", table.name(), URLS[at]);
            table.mistake(message, "expected the address of a FIFO queue, as backend is sqs");
            continue;
        };
        let Some(url) = place::queue_url(value) else { continue };
        if let Some(other) = read[..at].iter().position(|other| *other == url) {
            let message = format!("{} names the same queue as {}", value.name(), URLS[other]);
            value.refuse(message, "expected a queue of its own");
        }
        read[at] = url;
    }
    let [crawl_url, image_url, crawl_dead_url, image_dead_url] = read;
    QueueBackend::Sqs { crawl_url, image_url, crawl_dead_url, image_dead_url }
}

fn refuse_useless(value: Option<&Value<'_>>, backend: &str) {
    if let Some(value) = value {
        let message = format!("{} has no use here", value.name());
        value.refuse_key(message, format!("expected it with backend {backend} only"));
    }
}
