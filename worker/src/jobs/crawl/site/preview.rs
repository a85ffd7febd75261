//! A look at a page of a site: what would be read from it, and where on the page each field stands. Nothing is written.

use super::credentials::Credentials;
use super::fetch::{Ask, BodyRoom, Got, MAX_PAGE_BYTES, MAX_ROBOTS_BYTES, fetch};
use super::hosts::{agent_of, origin_of};
use super::page::{PageReader, PageSource, PageTag, lines};
use super::tasks::is_html;
use feedfleet_config::{Location, Pipe, Site};
use feedfleet_feed::{Change, FeedReader, Hints, Refusal, Settings, Step};
use feedfleet_http::{Client, Url};
use feedfleet_model::{Reason, ReasonClass, Row};
use feedfleet_pages::Product;
use feedfleet_site::robots::path_and_query;
use feedfleet_site::{Robots, UrlKind};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::Cursor;

/// Pages that are looked at in search of a product, where no page is named.
const PAGES: usize = 10;
/// Memory that bodies may take.
const ROOM_BYTES: u64 = 64 << 20;
/// Memory that a preview is taken to have, for the size of pages that are parsed.
const MEMORY_BYTES: u64 = 512 << 20;
/// Why a page that came whole gives nothing.
pub(super) const UNREAD: &str =
    "it is too large, or nests its elements too deep, to be read for products";

/// Rows, and what becomes of each.
type Mapped = Vec<(Row, Change)>;

/// A page that was looked at.
pub struct PagePreview {
    /// Its address.
    pub url: String,
    /// What became of it, where it was not read.
    pub not_read: Option<String>,
    /// It asks not to be indexed: its products are left out of the crawl.
    pub noindex: bool,
    /// Links of it that the crawl would follow.
    pub links: usize,
    /// Its products, each field with its origin.
    pub products: Vec<Product>,
    /// The products as rows.
    pub rows: Mapped,
    /// Products that would be refused.
    pub refused: Vec<Refusal>,
}

/// Looks at the page `url` of a pipe's site; without one, at its start and on, until a page shows a product. robots.txt
/// is obeyed.
///
/// # Errors
///
/// The pipe has no site, or its settings can't be used, or the page does not belong to the site.
pub async fn preview_page(
    http: &Client,
    user_agent: &str,
    pipe: &Pipe,
    url: Option<&str>,
) -> Result<Vec<PagePreview>, Reason> {
    let refused = |text: String| Reason::new(ReasonClass::Configuration, text);
    let Location::Site(site) = &pipe.source.location else {
        return Err(refused("the pipe's source is no site".to_owned()));
    };
    let reader = PageReader::new(site, MEMORY_BYTES).map_err(refused)?;
    let looker = Looker {
        http,
        agent: agent_of(user_agent),
        pipe,
        credentials: Credentials::of(pipe, site),
        reader,
        robots: BTreeMap::new(),
    };
    match url {
        Some(text) => {
            let url = looker.reader.canonical.parse(text);
            let Some(url) = url.filter(|url| looker.reader.is_of_site(url)) else {
                let text =
                    format!("{text} is not a page of the site; see url and hosts in [source]");
                return Err(refused(text));
            };
            looker.look_at(url).await
        }
        None => looker.look_for_product(site).await,
    }
}

struct Looker<'a> {
    http: &'a Client,
    agent: String,
    pipe: &'a Pipe,
    credentials: Credentials,
    reader: PageReader,
    /// By origin.
    robots: BTreeMap<String, Robots>,
}

/// A page, and where it leads.
struct Seen {
    preview: PagePreview,
    links: Vec<(String, UrlKind)>,
    /// The page of the site that it redirects to.
    target: Option<Url>,
}

impl Looker<'_> {
    /// The page, and those that it redirects to.
    async fn look_at(mut self, url: Url) -> Result<Vec<PagePreview>, Reason> {
        let mut next = Some(url);
        let mut pages = Vec::new();
        while let Some(url) = next.take().filter(|_| pages.len() < PAGES) {
            let seen = self.look(&url).await?;
            next = seen.target;
            pages.push(seen.preview);
        }
        Ok(pages)
    }

    /// The start, and products or other pages that it leads to, until one shows a product.
    async fn look_for_product(mut self, site: &Site) -> Result<Vec<PagePreview>, Reason> {
        let canonical = &self.reader.canonical;
        let starts = site.starts.iter().filter_map(|start| canonical.apply(start.clone()));
        let mut waiting: VecDeque<String> = starts.map(String::from).collect();
        let mut known: HashSet<String> = waiting.iter().cloned().collect();
        let mut pages = Vec::new();
        while pages.len() < PAGES
            && let Some(url) = waiting.pop_front()
        {
            let Ok(url) = Url::parse(&url) else { continue };
            let seen = self.look(&url).await?;
            let has_product = !seen.preview.products.is_empty();
            pages.push(seen.preview);
            if has_product {
                break;
            }
            for (link, kind) in seen.links {
                if !known.insert(link.clone()) {
                    continue;
                }
                match kind {
                    UrlKind::Product => waiting.push_front(link),
                    _ => waiting.push_back(link),
                }
            }
        }
        Ok(pages)
    }

    async fn look(&mut self, url: &Url) -> Result<Seen, Reason> {
        let mut preview = PagePreview {
            url: url.to_string(),
            not_read: None,
            noindex: false,
            links: 0,
            products: Vec::new(),
            rows: Vec::new(),
            refused: Vec::new(),
        };
        let unread = |mut preview: PagePreview, why: String, target: Option<Url>| {
            preview.not_read = Some(why);
            let link = target.iter().map(|url| (url.to_string(), UrlKind::Product));
            Ok(Seen { preview, links: link.collect(), target })
        };
        if !self.is_permitted(url).await {
            return unread(preview, "robots.txt forbids it, or cannot be had".to_owned(), None);
        }
        let ask = self.ask(url.as_str(), MAX_PAGE_BYTES, false);
        let reply = fetch(self.http, &BodyRoom::new(ROOM_BYTES), ask).await;
        let body = match reply.got {
            Got::Body(body) => body,
            Got::Redirect(target) => {
                let to = self.reader.canonical.resolve(url, &target);
                let to = to.filter(|to| self.reader.is_of_site(to) && to != url);
                return unread(preview, format!("it leads to {target}"), to);
            }
            Got::NotModified | Got::Ended(_) => {
                return unread(preview, reply.why.unwrap_or_default(), None);
            }
        };
        let content_type = body.content_type.as_deref();
        if !is_html(content_type) {
            let why = format!("it is no page but {}", content_type.unwrap_or_default());
            return unread(preview, why, None);
        }
        let source = PageSource { url, depth: 0, bytes: &body.bytes, content_type };
        let page = self.reader.read(&source);
        let (rows, refused) = self.rows(&page.products, url)?;
        preview.not_read = page.is_unread.then(|| UNREAD.to_owned());
        preview.noindex = page.noindex;
        preview.links = page.links.len();
        preview.products = page.products;
        (preview.rows, preview.refused) = (rows, refused);
        Ok(Seen { preview, links: page.links, target: None })
    }

    /// The products as the load would map them.
    fn rows(&self, products: &[Product], url: &Url) -> Result<(Mapped, Vec<Refusal>), Reason> {
        let failed =
            |e: &dyn std::fmt::Display| Reason::new(ReasonClass::Configuration, e.to_string());
        let (mut rows, mut refused) = (Vec::new(), Vec::new());
        if products.is_empty() {
            return Ok((rows, refused));
        }
        let lines =
            lines(products, url.as_str(), &PageTag::default(), None).map_err(|e| failed(&e))?;
        let settings = Settings::of(self.pipe).map_err(|e| failed(&e))?;
        let input = Box::new(Cursor::new(lines));
        let hints = Hints { content_type: None };
        let mut reader = FeedReader::open(input, &settings, hints).map_err(|e| failed(&e))?;
        let mut row = Row::new();
        loop {
            row.clear();
            match reader.next(&mut row).map_err(|e| failed(&e))? {
                Step::End => return Ok((rows, refused)),
                Step::Known => {}
                Step::Row(change) => rows.push((row.clone(), change)),
                Step::Refused(refusal) => refused.push(refusal),
            }
        }
    }

    async fn is_permitted(&mut self, url: &Url) -> bool {
        let origin = origin_of(url);
        if !self.robots.contains_key(&origin) {
            let address = format!("{origin}/robots.txt");
            let ask = self.ask(&address, MAX_ROBOTS_BYTES, true);
            let reply = fetch(self.http, &BodyRoom::new(ROOM_BYTES), ask).await;
            let robots = match reply.got {
                Got::Body(body) => Robots::from_status(reply.answer.status, &body.bytes),
                // A body that broke off, or is too large, says nothing for sure.
                Got::Ended(_) if reply.answer.status.is_some_and(|status| status < 300) => {
                    Robots::from_status(None, &[])
                }
                _ => Robots::from_status(reply.answer.status, &[]),
            };
            self.robots.insert(origin.clone(), robots);
        }
        let path = path_and_query(url.as_str());
        self.robots.get(&origin).is_some_and(|robots| robots.allows(&self.agent, &path))
    }

    fn ask<'u>(&self, url: &'u str, max_bytes: u64, follow_redirects: bool) -> Ask<'u> {
        let accept = "text/html,*/*;q=0.1";
        let headers = self.credentials.headers_for(url);
        let (etag, last_modified) = (None, None);
        Ask { url, accept, max_bytes, follow_redirects, etag, last_modified, headers }
    }
}
