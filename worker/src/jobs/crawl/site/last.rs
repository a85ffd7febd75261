//! What is known of a site's product pages from the run before: their addresses, so that each is asked for again whether
//! or not something still links to it, their states, so that an unchanged page costs no transfer, and their rows, which
//! stand for pages that are unchanged or could not be read.

use super::super::blocking;
use super::super::failure::Failure;
use super::super::raw::Place;
use super::page::{PageReader, PageTag};
use super::state::{self, Notes};
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{RunId, RunKey};
use feedfleet_objects::{Objects, Reports};
use feedfleet_site::{Frontier, UrlKind};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Bytes of lines that are read at once.
const READ_BYTES: usize = 256 * 1024;
/// Bytes of rows that are handed on at once.
const PORTION_BYTES: usize = 1 << 20;
/// Portions on their way.
const PORTIONS_AHEAD: usize = 2;

/// The rows of a run before.
pub(super) struct Last {
    pub run: RunId,
    place: Place,
    /// Whether the pages would give the same products today.
    is_same_reading: bool,
}

/// The states of pages, by the hash of their URL.
pub(super) type Tags = HashMap<u128, PageTag>;

/// What a row says of its page.
#[derive(Deserialize)]
struct Line {
    page_url: String,
    page_etag: Option<String>,
    page_modified: Option<String>,
    link: Option<String>,
    item_group_id: Option<String>,
}

impl Line {
    /// What the rows of one product's variants have in common, and those of a category's products have not.
    fn subject(&self) -> u128 {
        let link = self.link.as_deref().unwrap_or_default();
        let place = link.split(['?', '#']).next().unwrap_or_default();
        let group = self.item_group_id.as_deref().unwrap_or_default();
        bytes_hash(format!("{place} {group}").as_bytes())
    }
}

/// The states of pages, as their rows are read one by one.
#[derive(Default)]
struct States {
    tags: Tags,
    /// By page, what its rows are about; none where they are about several products. Such a page is a category: what it
    /// links to has to be seen anew.
    subjects: HashMap<u128, Option<u128>>,
}

impl States {
    fn add(&mut self, line: &Line) {
        let page = bytes_hash(line.page_url.as_bytes());
        let subject = Some(line.subject());
        if let Some(known) = self.subjects.get_mut(&page) {
            // Nothing says that two rows without a group are variants.
            if *known != subject || line.item_group_id.is_none() {
                *known = None;
                self.tags.remove(&page);
            }
            return;
        }
        self.subjects.insert(page, subject);
        let (etag, last_modified) = (line.page_etag.clone(), line.page_modified.clone());
        let tag = PageTag { etag, last_modified };
        if tag != PageTag::default() {
            self.tags.insert(page, tag);
        }
    }
}

impl Last {
    /// The rows that the pipe's newest run in the table, `committed`, was made of. None: there is no such run, or its
    /// rows have expired.
    pub(super) async fn find(
        objects: &Arc<dyn Objects>,
        reports: &Reports,
        key: &RunKey,
        committed: Option<i64>,
        extraction: &str,
    ) -> Result<Option<Self>, Failure> {
        let Some(committed) = committed else { return Ok(None) };
        let run = RunKey { pipe: key.pipe.clone(), run: RunId(committed) };
        // A report that cannot be read is as good as none: every page is fetched.
        let Ok(Some(report)) = reports.load(&run).await else { return Ok(None) };
        let source = report.source;
        let raw = source.raw_key.or(source.replayed_from);
        let raw = raw.and_then(|raw| keys::run_of_raw_object(&ObjectKey::parse(&raw)?));
        match raw {
            Some(raw) => Self::of(objects, &raw, extraction).await,
            None => Ok(None),
        }
    }

    /// The rows of this run.
    pub(super) async fn of(
        objects: &Arc<dyn Objects>,
        run: &RunKey,
        extraction: &str,
    ) -> Result<Option<Self>, Failure> {
        let place = Place::new(objects.clone(), run.clone());
        let found = place.look().await?;
        if !found.facts.is_some_and(|facts| facts.complete) {
            return Ok(None);
        }
        let notes: Option<Notes> = state::notes_of(objects.as_ref(), run).await?;
        let Some(notes) = notes else { return Ok(None) };
        let is_same_reading = notes.extraction == extraction;
        Ok(Some(Self { run: run.run, place, is_same_reading }))
    }

    /// The states of the pages, and their addresses in the frontier where that is given. Without the states where the
    /// pages have to be read anew.
    pub(super) async fn tags(
        &self,
        reader: &Arc<PageReader>,
        frontier: Option<Frontier>,
    ) -> Result<(Tags, Option<Frontier>), Failure> {
        let (place, reader) = (self.place.clone(), reader.clone());
        let is_same_reading = self.is_same_reading;
        let read = move || {
            let (mut states, mut frontier) = (States::default(), frontier);
            for_each_line(place.open()?, &mut |line, _| {
                if is_same_reading {
                    states.add(&line);
                }
                let url = reader.canonical.parse(&line.page_url);
                let is_of_site = url.is_some_and(|url| reader.judge(&url, 0).is_ok());
                if let Some(frontier) = &mut frontier
                    && is_of_site
                {
                    frontier.add(&line.page_url, UrlKind::Product, 0);
                }
                true
            })?;
            Ok::<_, Failure>((states.tags, frontier))
        };
        blocking(read).await?
    }

    /// The rows of these pages, as they were, in portions. An error of the store is the last one.
    pub(super) fn rows(&self, pages: HashSet<u128>) -> Receiver<Result<Vec<u8>, Failure>> {
        let (portions, receiver) = mpsc::channel(PORTIONS_AHEAD);
        let place = self.place.clone();
        tokio::task::spawn_blocking(move || {
            let end = send_rows(&place, &pages, &portions);
            // Nobody reads any more where this fails.
            portions.blocking_send(end).ok();
        });
        receiver
    }
}

/// Sends the rows of these pages; those of the last portion are returned.
fn send_rows(
    place: &Place,
    pages: &HashSet<u128>,
    portions: &Sender<Result<Vec<u8>, Failure>>,
) -> Result<Vec<u8>, Failure> {
    let mut portion = Vec::new();
    for_each_line(place.open()?, &mut |line, bytes| {
        if pages.contains(&bytes_hash(line.page_url.as_bytes())) {
            portion.extend_from_slice(bytes);
        }
        if portion.len() < PORTION_BYTES {
            return true;
        }
        portions.blocking_send(Ok(std::mem::take(&mut portion))).is_ok()
    })?;
    Ok(portion)
}

/// Calls `visit` with every row, until it says that it has enough.
fn for_each_line(
    rows: Box<dyn Read + Send>,
    visit: &mut dyn FnMut(Line, &[u8]) -> bool,
) -> Result<(), Failure> {
    let failed = |source: io::Error| {
        let subject = "the rows of the run before".to_owned();
        Failure::from(feedfleet_objects::ObjectError { action: "read", subject, source })
    };
    let mut rows = BufReader::with_capacity(READ_BYTES, rows);
    let mut bytes = Vec::new();
    while rows.read_until(b'\n', &mut bytes).map_err(failed)? > 0 {
        // A row that is none of ours is no page's.
        if let Ok(line) = serde_json::from_slice::<Line>(&bytes)
            && !visit(line, &bytes)
        {
            return Ok(());
        }
        bytes.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_their_pages() {
        let text = "{\"id\":\"a\",\"page_url\":\"http://x/1\",\"page_etag\":\"\\\"1\\\"\"}\nnonsense\n\
                    {\"id\":\"b\",\"page_url\":\"http://x/2\"}";
        let mut pages = Vec::new();
        let mut visit = |line: Line, bytes: &[u8]| {
            pages.push((line.page_url, line.page_etag, bytes.len()));
            true
        };
        for_each_line(Box::new(text.as_bytes()), &mut visit).unwrap();
        let etag = Some("\"1\"".to_owned());
        assert_eq!(pages[0], ("http://x/1".to_owned(), etag, 55));
        assert_eq!((pages.len(), pages[1].0.as_str()), (2, "http://x/2"));
    }

    #[test]
    fn pages_of_several_products_are_asked_for_without_conditions() {
        let mut states = States::default();
        let mut add = |page: &str, link: &str, group: Option<&str>| {
            states.add(&Line {
                page_url: page.to_owned(),
                page_etag: Some("\"1\"".to_owned()),
                page_modified: None,
                link: Some(link.to_owned()),
                item_group_id: group.map(str::to_owned),
            });
        };
        add("http://x/one", "http://x/1", None);
        add("http://x/variants", "http://x/2?color=red", Some("G"));
        add("http://x/variants", "http://x/2?color=blue#top", Some("G"));
        for link in ["http://x/3", "http://x/4", "http://x/3"] {
            add("http://x/category", link, None);
            add("http://x/list", "http://x/list", None);
        }
        let has = |page: &str| states.tags.contains_key(&bytes_hash(page.as_bytes()));
        assert!(has("http://x/one") && has("http://x/variants"));
        assert!(!has("http://x/category") && !has("http://x/list"));
    }
}
