//! What is known of a site's product pages from the run before: their addresses, so that each is asked for again whether
//! or not something still links to it, their states, so that an unchanged page costs no transfer, the pictures that
//! sitemaps named for them, and their rows, which stand for pages that are unchanged or could not be read.

use super::super::blocking;
use super::super::failure::Failure;
use super::super::raw::Place;
use super::page::{PageReader, PageTag};
use super::state::{self, Notes};
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::Counts;
use feedfleet_model::{RunId, RunKey};
use feedfleet_objects::{Objects, ReportError, Reports};
use feedfleet_site::{Frontier, UrlKind};
use serde::Deserialize;
use serde::de::IgnoredAny;
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
    /// Whether the table may show products of which the rows say nothing.
    pub has_gaps: bool,
}

/// What is known of pages, by the hash of their URL.
pub(super) type KnownPages = HashMap<u128, KnownPage>;

/// What is known of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KnownPage {
    /// Its state, if it may be asked for with conditions.
    pub tag: PageTag,
    pub picture: Picture,
}

/// Where the pictures of a page's products are from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Picture {
    /// From the page: what sitemaps name does not matter.
    #[default]
    OfPage,
    /// A product has none.
    Missing,
    /// A sitemap named this one for those without.
    OfSitemap(String),
}

/// What a row says of its page.
#[derive(Deserialize)]
struct Line {
    page_url: String,
    page_etag: Option<String>,
    page_modified: Option<String>,
    page_picture: Option<String>,
    link: Option<String>,
    image_link: Option<IgnoredAny>,
    item_group_id: Option<String>,
}

impl Line {
    fn picture(&self) -> Picture {
        match (&self.page_picture, self.image_link) {
            (Some(picture), _) => Picture::OfSitemap(picture.clone()),
            (None, Some(_)) => Picture::OfPage,
            (None, None) => Picture::Missing,
        }
    }

    /// What the rows of one product's variants have in common, and those of a category's products have not.
    fn subject(&self) -> u128 {
        let link = self.link.as_deref().unwrap_or_default();
        let place = link.split(['?', '#']).next().unwrap_or_default();
        let group = self.item_group_id.as_deref().unwrap_or_default();
        bytes_hash(format!("{place} {group}").as_bytes())
    }
}

/// What rows say of their pages, as they are read one by one.
#[derive(Default)]
struct Pages {
    known: KnownPages,
    /// By page, what its rows are about; none where they are about several products. Such a page is a category: what it
    /// links to has to be seen anew.
    subjects: HashMap<u128, Option<u128>>,
}

impl Pages {
    /// `is_same_reading`: whether the page would give the same products today, if it is unchanged.
    fn add(&mut self, line: &Line, is_same_reading: bool) {
        let page = bytes_hash(line.page_url.as_bytes());
        if is_same_reading {
            self.add_state(page, line);
        }
        match line.picture() {
            Picture::OfPage => {}
            Picture::Missing => {
                if let Some(known) = self.known.get_mut(&page) {
                    known.picture = Picture::Missing;
                }
            }
            picture => self.known.entry(page).or_default().picture = picture,
        }
    }

    fn add_state(&mut self, page: u128, line: &Line) {
        let subject = Some(line.subject());
        if let Some(known) = self.subjects.get_mut(&page) {
            // Nothing says that two rows without a group are variants.
            if *known != subject || line.item_group_id.is_none() {
                *known = None;
                if let Some(known) = self.known.get_mut(&page) {
                    known.tag = PageTag::default();
                }
            }
            return;
        }
        self.subjects.insert(page, subject);
        let (etag, last_modified) = (line.page_etag.clone(), line.page_modified.clone());
        let tag = PageTag { etag, last_modified };
        if tag != PageTag::default() {
            self.known.entry(page).or_default().tag = tag;
        }
    }
}

impl Last {
    /// The rows of the run `base`, which the table shows the pipe as. None: there is no such run, or its rows have expired.
    pub(super) async fn find(
        objects: &Arc<dyn Objects>,
        reports: &Reports,
        key: &RunKey,
        base: Option<i64>,
        extraction: &str,
    ) -> Result<Option<Self>, Failure> {
        let Some(base) = base else { return Ok(None) };
        let Some((raw, counts)) = Self::raw_run(reports, key, base).await? else {
            return Ok(None);
        };
        let place = Place::new(objects.clone(), raw.clone());
        let found = place.look().await?;
        if !found.facts.is_some_and(|facts| facts.complete) {
            return Ok(None);
        }
        let notes: Option<Notes> = state::notes_of(objects.as_ref(), &raw).await?;
        let Some(notes) = notes else { return Ok(None) };
        let is_same_reading = notes.extraction == extraction;
        // A run that found all products of the table has closed the gap, whatever became of its sitemaps.
        let lacks_none = counts.held == 0 && counts.absent == 0 && !notes.counts.forgotten;
        // A replay of an older run has its rows, and the table may have had more since.
        let has_gaps = (notes.has_gaps || raw.run.0 != base) && !lacks_none;
        Ok(Some(Self { run: raw.run, place, is_same_reading, has_gaps }))
    }

    /// The run whose crawl made the rows of `base`, which may be a replay, and what became of them in the table. None:
    /// nobody knows any more.
    pub(super) async fn raw_run(
        reports: &Reports,
        key: &RunKey,
        base: i64,
    ) -> Result<Option<(RunKey, Counts)>, Failure> {
        let run = RunKey { pipe: key.pipe.clone(), run: RunId(base) };
        let report = match reports.load(&run).await {
            Ok(None) | Err(ReportError::Unreadable { .. }) => return Ok(None),
            Ok(Some(report)) => report,
            Err(e) => return Err(e.into()),
        };
        let raw = report.source.raw_key.or(report.source.replayed_from);
        let raw = raw.and_then(|raw| keys::run_of_raw_object(&ObjectKey::parse(&raw)?));
        Ok(raw.map(|raw| (raw, report.counts)))
    }

    /// What is known of the pages, and their addresses in the frontier where that is given. Without their states where
    /// they have to be read anew.
    pub(super) async fn pages(
        &self,
        reader: &Arc<PageReader>,
        frontier: Option<Frontier>,
    ) -> Result<(KnownPages, Option<Frontier>), Failure> {
        let (place, reader) = (self.place.clone(), reader.clone());
        let is_same_reading = self.is_same_reading;
        let read = move || {
            let (mut pages, mut frontier) = (Pages::default(), frontier);
            for_each_line(place.open()?, &mut |line, _| {
                pages.add(&line, is_same_reading);
                let url = reader.canonical.parse(&line.page_url);
                let is_of_site = url.is_some_and(|url| reader.judge(&url, 0).is_ok());
                if let Some(frontier) = &mut frontier
                    && is_of_site
                {
                    frontier.add(&line.page_url, UrlKind::Product, 0);
                }
                true
            })?;
            Ok::<_, Failure>((pages.known, frontier))
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
    use serde_json::json;

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
        let mut pages = Pages::default();
        let mut add = |page: &str, link: &str, group: Option<&str>| {
            let row = json!({
                "page_url": page, "page_etag": "\"1\"", "link": link, "item_group_id": group,
            });
            pages.add(&serde_json::from_value(row).unwrap(), true);
        };
        add("http://x/one", "http://x/1", None);
        add("http://x/variants", "http://x/2?color=red", Some("G"));
        add("http://x/variants", "http://x/2?color=blue#top", Some("G"));
        for link in ["http://x/3", "http://x/4", "http://x/3"] {
            add("http://x/category", link, None);
            add("http://x/list", "http://x/list", None);
        }
        let has = |page: &str| pages.known[&bytes_hash(page.as_bytes())].tag != PageTag::default();
        assert!(has("http://x/one") && has("http://x/variants"));
        assert!(!has("http://x/category") && !has("http://x/list"));
    }

    #[test]
    fn pictures_of_sitemaps_are_known_of_pages_whatever_their_state() {
        let of_sitemap = |picture: &str| Picture::OfSitemap(picture.to_owned());
        let etag = "\"1\"";
        let rows = [
            json!({"page_url": "own", "page_etag": etag, "image_link": "1.jpg"}),
            json!({"page_url": "none", "page_etag": etag}),
            json!({"page_url": "named", "image_link": "2.jpg", "page_picture": "2.jpg"}),
            // The first of two variants has a picture of its own.
            json!({"page_url": "some", "image_link": "3.jpg", "item_group_id": "G"}),
            json!({"page_url": "some", "image_link": "4.jpg", "page_picture": "4.jpg", "item_group_id": "G"}),
            json!({"page_url": "half", "page_etag": etag, "image_link": "5.jpg", "item_group_id": "G"}),
            json!({"page_url": "half", "page_etag": etag, "item_group_id": "G"}),
        ];
        for is_same_reading in [true, false] {
            let mut pages = Pages::default();
            for row in &rows {
                pages.add(&serde_json::from_value(row.clone()).unwrap(), is_same_reading);
            }
            let picture = |page: &str| {
                let known = pages.known.get(&bytes_hash(page.as_bytes()));
                known.map(|known| known.picture.clone())
            };
            assert_eq!(
                ["named", "some"].map(picture),
                [Some(of_sitemap("2.jpg")), Some(of_sitemap("4.jpg"))]
            );
            // Without a state there is nothing to know of them.
            let known = |picture| is_same_reading.then_some(picture);
            assert_eq!(
                ["own", "none", "half"].map(picture),
                [known(Picture::OfPage), known(Picture::Missing), known(Picture::Missing)]
            );
        }
    }
}
