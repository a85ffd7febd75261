//! A shop on this machine: a sitemap, categories that link to each other, products with JSON-LD, and traps.

use chrono::{DateTime, Utc};
use feedfleet_tests::{Fleet, Reply, Server};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Products of a category.
const A_CATEGORY: usize = 20;

/// Where a wall against crawlers sends them.
const WALL: &str = "https://wall.example/";
/// Characters that its addresses go on with.
const WALL_CHARS: usize = 5_000;

const SECOND_SITEMAP: &str = "/sitemap-1.xml.gz";
const INDEX: &str = "<?xml version=\"1.0\"?>\
    <sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\
    <sitemap><loc>/sitemap-0.xml</loc></sitemap><sitemap><loc>/sitemap-1.xml.gz</loc></sitemap>\
    </sitemapindex>";

/// What the shop does.
#[derive(Default)]
pub(super) struct Mood {
    pub products: usize,
    /// Pages that answer with this status.
    pub failing: BTreeMap<usize, u16>,
    /// The price of every product, in cents.
    pub cents: u64,
    /// How long each page takes.
    pub delay: Duration,
    /// Links to days without end.
    pub has_calendar: bool,
    /// Whether pages have ETags.
    pub has_tags: bool,
    /// What robots.txt answers in the place of its rules; with the `Retry-After` of `busy`, if that is set.
    pub robots_status: Option<u16>,
    /// The start links to no category: sitemaps alone lead to products.
    pub hides_category: bool,
    /// No sitemap: links alone lead to products.
    pub hides_sitemap: bool,
    /// The sitemap that robots.txt names answers 404.
    pub lacks_sitemap: bool,
    /// The sitemap is an index of two, of which one is packed, and they name pictures.
    pub has_index: bool,
    /// What the second of the two answers instead of itself, one a request.
    pub second_sitemap: Vec<u16>,
    /// Where the pictures are that they name; nowhere: they name none.
    pub pictures: &'static str,
    /// What the first product page that is asked for answers, once, and its `Retry-After` in seconds.
    pub busy: Option<(u16, u32)>,
    /// When it did.
    pub busy_at: Option<Instant>,
    /// The `X-Key` header without which it answers 401, robots.txt too.
    pub key: Option<&'static str>,
    /// Whether products have pictures.
    pub has_pictures: bool,
    /// Requests under way, and the most there were.
    pub under_way: usize,
    pub most: usize,
    /// When each request came.
    pub arrivals: Vec<Instant>,
    /// When product pages were sent, by number.
    pub sent_at: Vec<(DateTime<Utc>, usize)>,
    /// Requests by path that got a page.
    pub pages: BTreeMap<String, usize>,
    /// Requests that were answered with 304.
    pub unchanged: usize,
}

/// The shop.
pub(super) struct Shop {
    pub server: Server,
    mood: Arc<Mutex<Mood>>,
}

impl Shop {
    pub(super) fn new(products: usize, change: impl FnOnce(&mut Mood)) -> Self {
        let mut mood = Mood { products, cents: 999, pictures: "/pictures", ..Mood::default() };
        change(&mut mood);
        let mood = Arc::new(Mutex::new(mood));
        let shared = Arc::clone(&mood);
        let server = Server::start(move |path, headers| {
            let delay = {
                let mut mood = shared.lock().expect("no handler panics");
                mood.arrivals.push(Instant::now());
                mood.under_way += 1;
                mood.most = mood.most.max(mood.under_way);
                mood.delay
            };
            std::thread::sleep(delay);
            let tag = headers.iter().find(|(name, _)| name == "if-none-match");
            let key = headers.iter().find(|(name, _)| name == "x-key");
            let mut mood = shared.lock().expect("no handler panics");
            let is_known = mood.key.is_none_or(|own| key.is_some_and(|(_, key)| key == own));
            let reply = if is_known {
                mood.reply(path, tag.map(|(_, tag)| tag.as_str()))
            } else {
                Reply::status(401)
            };
            mood.under_way -= 1;
            reply
        });
        Self { server, mood }
    }

    pub(super) fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().expect("no handler panics")
    }

    /// The pipe that crawls it; `rest` comes after `[source.site]`.
    pub(super) fn pipe(&self, fleet: &Fleet, name: &str, rest: &str) {
        let url = self.server.base_url();
        let text = format!(
            "[source]\nkind = \"site\"\nurl = \"{url}/\"\n[images]\nmirror = {}\n[source.site]\n\
             product = \"/p/*\"\n{rest}\n",
            self.mood().has_pictures
        );
        fleet.pipe(name, &text);
    }

    /// How often product pages were sent, by number.
    pub(super) fn sent(&self) -> BTreeMap<usize, usize> {
        let mood = self.mood();
        let pages = mood.pages.iter();
        pages.filter_map(|(path, n)| Some((path.strip_prefix("/p/")?.parse().ok()?, *n))).collect()
    }

    /// The product pages that were sent before a moment.
    pub(super) fn sent_before(&self, moment: DateTime<Utc>) -> BTreeSet<usize> {
        let mood = self.mood();
        let sent = mood.sent_at.iter().filter(|(at, _)| *at < moment);
        sent.map(|(_, product)| *product).collect()
    }

    /// The ids of products that the table has.
    pub(super) fn live(fleet: &Fleet, pipe: &str) -> BTreeSet<String> {
        fleet.products(pipe).into_iter().map(|product| product.id).collect()
    }
}

impl Mood {
    fn reply(&mut self, path: &str, tag: Option<&str>) -> Reply {
        if path == "/robots.txt" {
            return match self.robots_status {
                Some(status) => {
                    let reply = Reply::status(status);
                    match self.busy {
                        Some((_, seconds)) => reply.header("Retry-After", seconds.to_string()),
                        None => reply,
                    }
                }
                None => Reply::ok("User-agent: *\nDisallow: /private/\nSitemap: /sitemap.xml\n"),
            };
        }
        if path == "/sitemap.xml" && self.lacks_sitemap {
            return Reply::status(404);
        }
        if path == SECOND_SITEMAP
            && let Some(status) = self.second_sitemap.pop()
        {
            return Reply::status(status);
        }
        if self.has_index
            && let Some(sitemap) = self.indexed(path)
        {
            return Reply::ok(sitemap);
        }
        if path == "/sitemap.xml" {
            return if self.hides_sitemap { Reply::ok(listing("")) } else { self.sitemap() };
        }
        if path.starts_with("/pictures/") {
            return Reply::status(404);
        }
        let body = if let Some(product) = path.strip_prefix("/p/").and_then(|n| n.parse().ok()) {
            if let Some((status, seconds)) = self.busy.take() {
                self.busy_at = Some(Instant::now());
                return Reply::status(status).header("Retry-After", seconds.to_string());
            }
            if let Some(status) = self.failing.get(&product) {
                let reply = Reply::status(*status);
                let is_redirect = *status == 302;
                let wall = || format!("{WALL}{}", "x".repeat(WALL_CHARS));
                return if is_redirect { reply.header("Location", wall()) } else { reply };
            }
            if product >= self.products {
                return Reply::status(404);
            }
            self.product(product)
        } else if let Some(page) = path.strip_prefix("/c/").and_then(|n| n.parse().ok()) {
            self.category(page)
        } else if let Some(day) = path.strip_prefix("/day/").and_then(|n| n.parse::<u64>().ok()) {
            html(&format!("<a href=\"/day/{}\">tomorrow</a>", day + 1))
        } else if path == "/" {
            let calendar = if self.has_calendar { "<a href=\"/day/1\">today</a>" } else { "" };
            let category = if self.hides_category { "" } else { "<a href=\"/c/0\">all</a>" };
            html(&format!("{category}<a href=\"/private/1\">x</a>{calendar}"))
        } else {
            *self.pages.entry(path.to_owned()).or_default() += 1;
            return Reply::status(404);
        };
        let etag = format!("\"{}\"", body.len() as u64 * 1_000_000 + self.cents);
        let is_tagged = self.has_tags && path.starts_with("/p/");
        if is_tagged && tag == Some(etag.as_str()) {
            self.unchanged += 1;
            return Reply::status(304).header("ETag", etag);
        }
        *self.pages.entry(path.to_owned()).or_default() += 1;
        if let Some(product) = path.strip_prefix("/p/").and_then(|n| n.parse().ok()) {
            self.sent_at.push((Utc::now(), product));
        }
        let reply = Reply::ok(body).header("Content-Type", "text/html; charset=utf-8");
        if is_tagged { reply.header("ETag", etag) } else { reply }
    }

    fn sitemap(&self) -> Reply {
        let urls: String =
            (0..self.products).map(|n| format!("<url><loc>/p/{n}</loc></url>")).collect();
        Reply::ok(listing(&urls)).header("Content-Type", "application/xml")
    }

    /// An index of sitemaps, or one of the two that it names.
    fn indexed(&self, path: &str) -> Option<Vec<u8>> {
        let listed = |products: Range<usize>| {
            let entry = |n| {
                let image = match self.pictures {
                    "" => String::new(),
                    at => format!("<image:image><image:loc>{at}/{n}.jpg</image:loc></image:image>"),
                };
                format!("<url><loc>/p/{n}</loc>{image}</url>")
            };
            listing(&products.map(entry).collect::<String>())
        };
        let half = self.products / 2;
        match path {
            "/sitemap.xml" => Some(INDEX.into()),
            "/sitemap-0.xml" => Some(listed(0..half).into()),
            SECOND_SITEMAP => Some(packed(&listed(half..self.products))),
            _ => None,
        }
    }

    fn category(&self, page: usize) -> String {
        let first = page * A_CATEGORY;
        let last = (first + A_CATEGORY).min(self.products);
        let mut links: String = (first..last)
            .map(|n| format!("<a href=\"/p/{n}?utm_source=list#top\">{n}</a>"))
            .collect();
        if last < self.products {
            links.push_str(&format!("<a href=\"/c/{}\">next</a>", page + 1));
        }
        html(&links)
    }

    fn product(&self, n: usize) -> String {
        let picture = if self.has_pictures {
            format!("\"image\":\"/pictures/{n}.jpg\",")
        } else {
            String::new()
        };
        let price = format!("{}.{:02}", self.cents / 100, self.cents % 100);
        html(&format!(
            "<link rel=\"canonical\" href=\"/p/{n}\"><script type=\"application/ld+json\">\
             {{\"@context\":\"https://schema.org\",\"@type\":\"Product\",\"name\":\"Product {n}\",\
             \"sku\":\"S{n}\",\"brand\":\"Acme\",{picture}\"offers\":{{\"@type\":\"Offer\",\
             \"price\":\"{price}\",\"priceCurrency\":\"EUR\",\
             \"availability\":\"https://schema.org/InStock\"}}}}</script><h1>Product {n}</h1>\
             {}",
            if self.hides_category { "" } else { "<a href=\"/c/0\">all</a>" }
        ))
    }
}

fn html(body: &str) -> String {
    format!("<!DOCTYPE html><html><head><title>Shop</title></head><body>{body}</body></html>")
}

fn listing(urls: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
         xmlns:image=\"http://www.google.com/schemas/sitemap-image/1.1\">{urls}</urlset>"
    )
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).expect("a Vec takes all");
    packed.finish().expect("a Vec takes all")
}
