//! The requests of a crawl, each a task: one request, and what is made of its answer on a blocking thread.

use super::credentials::Credentials;
use super::fetch::{
    Ask, Body, BodyRoom, Got, MAX_PAGE_BYTES, MAX_ROBOTS_BYTES, MAX_SITEMAP_BYTES, Reply, fetch,
    lasting,
};
use super::hosts::RobotsAnswer;
use super::page::{Page, PageReader, PageSource, PageTag, lines};
use super::sitemaps::{self, Listed, SitemapEnd};
use feedfleet_http::{Client, Url};
use feedfleet_model::Clock;
use feedfleet_site::{Answer, Outcome, Skip, UrlEntry, UrlKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

const ACCEPT_PAGE: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1";
const ACCEPT_SITEMAP: &str = "application/xml,text/xml,text/plain;q=0.9,*/*;q=0.5";
const ACCEPT_ROBOTS: &str = "text/plain,*/*;q=0.5";
/// Waits before a robots.txt that could not be had is asked for again, unless its host asks for longer ones.
const ROBOTS_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// The longest that it may ask for.
const LONGEST_ROBOTS_PAUSE: Duration = Duration::from_secs(60);

/// What the requests of a crawl work with. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tools {
    pub http: Client,
    pub clock: Arc<dyn Clock>,
    /// The memory that bodies share.
    pub room: BodyRoom,
    /// Pages that are read at once: each may need a tree.
    pub readers: Arc<Semaphore>,
    pub reader: Arc<PageReader>,
    pub credentials: Arc<Credentials>,
    /// Where the entries of sitemaps go.
    pub listed: Sender<Vec<Listed>>,
}

/// A request that has ended.
pub(super) struct Ended {
    /// The host, by key.
    pub host: String,
    pub answer: Answer,
    /// Bytes that came.
    pub bytes: u64,
    pub what: What,
}

/// What a request was for, and what came of it.
pub(super) enum What {
    /// And why it could not be had, for people.
    Robots(RobotsAnswer, Option<String>),
    Sitemap(UrlEntry, PageEnd<SitemapEnd>),
    Page(UrlEntry, PageEnd<Found>),
}

/// What became of a page or sitemap.
pub(super) enum PageEnd<T> {
    Read(T),
    NotModified,
    /// Where it leads, as written.
    Redirect(String),
    /// There is nothing to read, and why.
    Ended(Outcome, Option<String>),
}

/// What was found on a page.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Its products, as lines.
    pub lines: Vec<u8>,
    pub products: u64,
    pub links: Vec<(String, UrlKind)>,
    pub cut: Vec<(Skip, Arc<str>)>,
    pub broken_json_ld: u64,
    pub noindex: bool,
    /// Nobody knows which products it has; its links are known.
    pub is_unread: bool,
}

impl Tools {
    /// Fetches an origin's robots.txt, redirects followed as RFC 9309 has it. One that cannot be had is asked for again
    /// before the origin is left alone.
    pub(super) async fn robots(self, host: String, origin: String) -> Ended {
        let url = format!("{origin}/robots.txt");
        let mut pauses = ROBOTS_PAUSES.into_iter();
        loop {
            let ask = Ask {
                url: &url,
                accept: ACCEPT_ROBOTS,
                max_bytes: MAX_ROBOTS_BYTES,
                follow_redirects: true,
                etag: None,
                last_modified: None,
                headers: self.credentials.headers_for(&url),
            };
            let Reply { got, answer, bytes, why } = fetch(&self.http, &self.room, ask).await;
            let is_busy = matches!(answer.status, None | Some(429 | 500..));
            let asked = answer.retry_after.unwrap_or_default();
            if is_busy
                && asked <= LONGEST_ROBOTS_PAUSE
                && let Some(pause) = pauses.next()
            {
                tokio::time::sleep(pause.max(asked)).await;
                continue;
            }
            let (status, body) = match got {
                Got::Body(body) => (answer.status, body.bytes.to_vec()),
                // A body that broke off, or is too large, says nothing for sure.
                Got::Ended(_) if answer.status.is_some_and(|status| status < 300) => {
                    (None, Vec::new())
                }
                _ => (answer.status, Vec::new()),
            };
            let at = self.clock.now();
            let what = What::Robots(RobotsAnswer { origin, at, status, body }, why);
            return Ended { host, answer, bytes, what };
        }
    }

    /// Fetches a page and reads it. `tag`: the state that is known. `picture`: what a sitemap names for it.
    pub(super) async fn page(
        self,
        host: String,
        entry: UrlEntry,
        tag: PageTag,
        picture: Option<String>,
    ) -> Ended {
        let ask = Ask {
            url: &entry.url,
            accept: ACCEPT_PAGE,
            max_bytes: MAX_PAGE_BYTES,
            follow_redirects: false,
            etag: tag.etag,
            last_modified: tag.last_modified,
            headers: self.credentials.headers_for(&entry.url),
        };
        let Reply { got, answer, bytes, why } = fetch(&self.http, &self.room, ask).await;
        let end = match got {
            Got::Body(body) => match no_page(answer.status, &body.bytes) {
                Some(why) => PageEnd::Ended(lasting(answer.status), Some(why)),
                None => self.read_page(&entry, body, picture).await,
            },
            Got::NotModified => PageEnd::NotModified,
            Got::Redirect(target) => PageEnd::Redirect(target),
            Got::Ended(outcome) => PageEnd::Ended(outcome, why),
        };
        Ended { host, answer, bytes, what: What::Page(entry, end) }
    }

    async fn read_page(
        &self,
        entry: &UrlEntry,
        body: Body,
        picture: Option<String>,
    ) -> PageEnd<Found> {
        if !is_html(body.content_type.as_deref()) {
            return PageEnd::Read(Found::default());
        }
        let (reader, depth) = (self.reader.clone(), entry.depth);
        let Ok(url) = Url::parse(&entry.url) else {
            return PageEnd::Ended(lasting(None), Some("it is no address".to_owned()));
        };
        let Ok(_permit) = self.readers.clone().acquire_owned().await else {
            return PageEnd::Ended(lasting(None), None);
        };
        let read = tokio::task::spawn_blocking(move || {
            let content_type = body.content_type.as_deref();
            let source = PageSource { url: &url, depth, bytes: &body.bytes, content_type };
            let page = reader.read(&source);
            let tag = PageTag { etag: body.etag, last_modified: body.last_modified };
            found(page, url.as_str(), &tag, picture.as_deref())
        });
        match read.await {
            Ok(Ok(found)) => PageEnd::Read(found),
            Ok(Err(e)) => PageEnd::Ended(lasting(None), Some(e.to_string())),
            // A bad page costs only itself.
            Err(e) => PageEnd::Ended(lasting(None), Some(format!("reading it failed: {e}"))),
        }
    }

    /// Fetches a sitemap and hands its entries on. All of them are there when this ends.
    pub(super) async fn sitemap(self, host: String, entry: UrlEntry) -> Ended {
        let ask = Ask {
            url: &entry.url,
            accept: ACCEPT_SITEMAP,
            max_bytes: MAX_SITEMAP_BYTES,
            follow_redirects: false,
            etag: None,
            last_modified: None,
            headers: self.credentials.headers_for(&entry.url),
        };
        let Reply { got, answer, bytes, why } = fetch(&self.http, &self.room, ask).await;
        let end = match got {
            Got::Body(body) => self.read_sitemap(&entry, body).await,
            Got::NotModified => PageEnd::NotModified,
            Got::Redirect(target) => PageEnd::Redirect(target),
            Got::Ended(outcome) => PageEnd::Ended(outcome, why),
        };
        Ended { host, answer, bytes, what: What::Sitemap(entry, end) }
    }

    async fn read_sitemap(&self, entry: &UrlEntry, body: Body) -> PageEnd<SitemapEnd> {
        let (reader, listed) = (self.reader.clone(), self.listed.clone());
        let Ok(base) = Url::parse(&entry.url) else {
            return PageEnd::Ended(lasting(None), Some("it is no address".to_owned()));
        };
        let depth = entry.depth;
        let read = move || sitemaps::read(&reader, &base, depth, &body.bytes, &listed);
        match tokio::task::spawn_blocking(read).await {
            Ok(end) => PageEnd::Read(end),
            Err(e) => PageEnd::Read(SitemapEnd::Broken(format!("reading it failed: {e}"))),
        }
    }
}

/// Why a body is no page, whatever is in it: what was on the page is unknown then.
fn no_page(status: Option<u16>, bytes: &[u8]) -> Option<String> {
    match status {
        Some(200 | 203) => bytes.is_empty().then(|| "it is empty".to_owned()),
        // Walls against crawlers answer 202.
        status => Some(format!("answered {}", status.unwrap_or_default())),
    }
}

fn found(page: Page, url: &str, tag: &PageTag, picture: Option<&str>) -> serde_json::Result<Found> {
    Ok(Found {
        lines: lines(&page.products, url, tag, picture)?,
        products: page.products.len() as u64,
        links: page.links,
        cut: page.cut,
        broken_json_ld: page.broken_json_ld as u64,
        noindex: page.noindex,
        is_unread: page.is_unread,
    })
}

/// Whether a body may be a page; servers that say nothing may mean anything.
pub(super) fn is_html(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "" | "text/html" | "application/xhtml+xml" | "text/plain")
}

#[cfg(test)]
mod tests {
    use super::{is_html, no_page};

    #[test]
    fn what_is_accepted_for_later_or_empty_is_no_page() {
        assert_eq!(no_page(Some(200), b"<html>"), None);
        assert!(no_page(Some(200), b"").is_some());
        assert_eq!(no_page(Some(202), b"<html>").as_deref(), Some("answered 202"));
    }

    #[test]
    fn only_pages_are_read() {
        for page in [None, Some("text/html; charset=x"), Some("Application/XHTML+xml"), Some("")] {
            assert!(is_html(page), "{page:?}");
        }
        for other in ["application/pdf", "image/jpeg", "application/json"] {
            assert!(!is_html(Some(other)), "{other}");
        }
    }
}
