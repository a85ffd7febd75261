//! A shop's site on the loopback address, for scripts/bench/sites: robots.txt, sitemaps, and a page a product, all
//! made as they are asked for. A thread a connection, and nothing but memory behind it.
//!
//!     shop_site serve PAGES KIB LATENCY_MS     until standard input ends; prints its address
//!     shop_site drain ADDRESS PAGES CONNECTIONS
//!
//! PAGES of KIB each, answered LATENCY_MS after they were asked for. `drain` fetches each page once and drops it:
//! how fast the site is with a visitor that has nothing else to do. `/-/stats` says what was asked for since it was
//! asked itself.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Pages that one sitemap lists.
const SITEMAP_PAGES: usize = 5_000;
const USAGE: &str = "shop_site serve PAGES KIB LATENCY_MS | drain ADDRESS PAGES CONNECTIONS";

const MAKES: [&str; 8] =
    ["Alder", "Birch", "Cedar", "Fjord", "Harbor", "Juniper", "Meadow", "Zephyr"];
const NOUNS: [&str; 8] =
    ["Jacket", "Lamp", "Kettle", "Backpack", "Blanket", "Chair", "Tent", "Skillet"];

/// Of which descriptions are made.
const SENTENCES: [&str; 7] = [
    "Made for the days when the weather cannot decide, and for those when it has decided otherwise.",
    "It weighs less than it looks, holds more than it should, and stands where it was put.",
    "Seams are taped, edges rounded, and every screw can be replaced with the tool in the box.",
    "The surface takes a knock without showing it, and cleans with a damp cloth.",
    "Two sizes fit nearly everyone; the strap adjusts for the rest of us.",
    "Comes flat in paper and stands ten minutes later, with spare parts for ten years.",
    "Drawn with care in a small studio, built to be used, and easy to repair at home.",
];
const DESCRIPTION_SENTENCES: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", pages, kib, latency] => {
            let latency = Duration::from_millis(latency.parse()?);
            serve(pages.parse()?, kib.parse()?, latency)?;
        }
        ["drain", address, pages, connections] => {
            drain(address.parse()?, pages.parse()?, connections.parse()?)?;
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn serve(pages: usize, kib: usize, latency: Duration) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let site = Arc::new(Site::new(listener.local_addr()?, pages, kib, latency));
    println!("{}", site.address);
    io::stdout().flush()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let site = Arc::clone(&site);
            // A visitor that goes away in the middle is no concern of the others.
            thread::spawn(move || site.talk(&stream).ok());
        }
    });
    // Whoever started this holds the other end, and closes it when it ends, however it ends.
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

/// The site, and what was asked of it since it was last asked for that.
struct Site {
    address: SocketAddr,
    latency: Duration,
    /// What all pages have before their product, and after it.
    head: String,
    tail: String,
    /// Requests by page.
    hits: Vec<AtomicU32>,
    others: AtomicU32,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Site {
    fn new(address: SocketAddr, pages: usize, kib: usize, latency: Duration) -> Self {
        let (head, tail) = surroundings(kib * 1024);
        Self {
            address,
            latency,
            head,
            tail,
            hits: (0..pages).map(|_| AtomicU32::new(0)).collect(),
            others: AtomicU32::new(0),
            under_way: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    /// Answers the requests of one connection.
    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut requests = BufReader::new(stream);
        let mut answer = Vec::new();
        while let Some(request) = read_head(&mut requests)? {
            let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
            let at_once = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            if !self.latency.is_zero() {
                thread::sleep(self.latency);
            }
            let (status, kind, body) = self.answer(&path);
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            answer.clear();
            write!(
                answer,
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            answer.extend_from_slice(body.as_bytes());
            stream.write_all(&answer)?;
            if request.to_ascii_lowercase().contains("\nconnection: close") {
                break;
            }
        }
        Ok(())
    }

    /// Status, content type and body.
    fn answer(&self, path: &str) -> (&'static str, &'static str, String) {
        const FOUND: &str = "200 OK";
        const XML: &str = "application/xml";
        const HTML: &str = "text/html; charset=utf-8";
        if path == "/-/stats" {
            return (FOUND, "application/json", self.take_stats());
        }
        if let Some(number) = numbered(path, "/p/", "", self.hits.len()) {
            self.hits[number].fetch_add(1, Ordering::Relaxed);
            return (FOUND, HTML, self.page(number));
        }
        self.others.fetch_add(1, Ordering::Relaxed);
        let sitemaps = self.hits.len().div_ceil(SITEMAP_PAGES);
        if let Some(number) = numbered(path, "/sitemap-", ".xml", sitemaps) {
            return (FOUND, XML, self.sitemap(number));
        }
        match path {
            "/robots.txt" => {
                let address = self.address;
                let lines = "User-agent: *\nDisallow: /cart\n";
                (FOUND, "text/plain", format!("{lines}Sitemap: http://{address}/sitemap.xml\n"))
            }
            "/sitemap.xml" => (FOUND, XML, self.sitemap_index(sitemaps)),
            "/" => (FOUND, HTML, format!("{}<h1>The shop</h1>{}", self.head, self.tail)),
            _ => ("404 Not Found", HTML, "<h1>Not here</h1>".to_owned()),
        }
    }

    fn sitemap_index(&self, sitemaps: usize) -> String {
        let address = self.address;
        let entry = |number| {
            format!("<sitemap><loc>http://{address}/sitemap-{number}.xml</loc></sitemap>\n")
        };
        let entries: String = (0..sitemaps).map(entry).collect();
        let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sitemapindex \
                     xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n";
        format!("{start}{entries}</sitemapindex>\n")
    }

    fn sitemap(&self, number: usize) -> String {
        let address = self.address;
        let first = number * SITEMAP_PAGES;
        let last = self.hits.len().min(first + SITEMAP_PAGES);
        let entry = |page| format!("<url><loc>http://{address}/p/{page}</loc></url>\n");
        let entries: String = (first..last).map(entry).collect();
        let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset \
                     xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n";
        format!("{start}{entries}</urlset>\n")
    }

    /// A product's page, with all of it in JSON-LD.
    fn page(&self, n: usize) -> String {
        let link = format!("http://{}/p/{n}", self.address);
        let (make, noun) = (MAKES[n % 8], NOUNS[n / 8 % 8]);
        let name = format!("{make} {noun} {}", 1000 + n);
        let price = format!("{}.{:02}", 5 + n % 600, n * 37 % 100);
        let stock = if n.is_multiple_of(9) { "OutOfStock" } else { "InStock" };
        let image = format!("http://{}/i/{n}.jpg", self.address);
        let sentences = (0..DESCRIPTION_SENTENCES).map(|place| SENTENCES[(n + place * place) % 7]);
        let text = format!("The {noun} {n}. {}", sentences.collect::<Vec<_>>().join(" "));
        let json_ld = format!(
            r#"{{"@context":"https://schema.org","@type":"Product","name":"{name}","sku":"S{n:07}",
"gtin13":"{:013}","mpn":"{}-{n}","description":"{text}","brand":{{"@type":"Brand","name":"{make}"}},
"image":["{image}"],"url":"{link}","offers":{{"@type":"Offer","price":"{price}","priceCurrency":"EUR",
"availability":"https://schema.org/{stock}","itemCondition":"https://schema.org/NewCondition",
"url":"{link}"}}}}"#,
            4_000_000_000_000_usize + n,
            &make[..2],
        );
        let related = (1..=12).map(|step| (n + step * 131) % self.hits.len());
        let related: String = related
            .map(|other| format!("<li><a href=\"/p/{other}\">More like this: {other}</a></li>\n"))
            .collect();
        format!(
            "{}<title>{name}</title>\n<link rel=\"canonical\" href=\"{link}\">\n\
             <meta property=\"og:title\" content=\"{name}\">\n\
             <meta property=\"og:image\" content=\"{image}\">\n\
             <script type=\"application/ld+json\">{json_ld}</script>\n</head>\n<body>\n\
             <h1>{name}</h1>\n<p class=\"price\">{price} &euro;</p>\n<p>{text}</p>\n\
             <ul>\n{related}</ul>\n{}",
            self.head, self.tail
        )
    }

    fn take_stats(&self) -> String {
        let (mut requests, mut pages) = (0, 0);
        for hits in &self.hits {
            let hits = hits.swap(0, Ordering::Relaxed);
            requests += hits;
            pages += u32::from(hits > 0);
        }
        let others = self.others.swap(0, Ordering::Relaxed);
        // What asks for this is a visitor itself.
        let most = self.most_at_once.swap(0, Ordering::SeqCst);
        format!(
            "{{\"page_requests\":{requests},\"pages\":{pages},\"other_requests\":{others},\
             \"most_at_once\":{most}}}"
        )
    }
}

/// The number in a path such as `/p/17`, if it is less than `count`.
fn numbered(path: &str, before: &str, after: &str, count: usize) -> Option<usize> {
    let number = path.strip_prefix(before)?.strip_suffix(after)?;
    number.parse().ok().filter(|number| *number < count)
}

/// What a page has around its product, as shops have it: styles, scripts, menus and a footer, of this size in all.
fn surroundings(bytes: usize) -> (String, String) {
    let mut head = "<!doctype html>\n<html lang=\"en\">\n<head>\n".to_owned();
    head.push_str("<meta charset=\"utf-8\">\n<style>\n");
    for number in 0..bytes / 600 {
        let style = format!("margin: {number}px auto; color: #{number:06x}");
        // Writing to a String does not fail.
        writeln!(head, ".block-{number} > a:hover {{ {style} }}").ok();
    }
    head.push_str("</style>\n");
    let mut tail = String::new();
    let mut number = 0;
    while head.len() + tail.len() < bytes {
        number += 1;
        let (level, year) = (number % 5, 1900 + number % 100);
        writeln!(
            tail,
            "<div class=\"menu level-{level}\"><a href=\"/c/{number}\" title=\"Number {number}\">\
             Department {number}</a><span>of the makers since {year}</span></div>"
        )
        .ok();
        if number % 10 == 0 {
            writeln!(
                tail,
                "<script>window.seen = window.seen || []; \
                 if (1 < {number}) {{ seen.push([\"<b>a department</b>\", {number}]); }}</script>"
            )
            .ok();
        }
    }
    tail.push_str("</body>\n</html>\n");
    (head, tail)
}

/// A request's or an answer's lines up to the empty one. None: the connection has ended.
fn read_head(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if input.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if head[before..].trim_end().is_empty() {
            return Ok(Some(head));
        }
    }
}

/// Fetches every page once, and prints the pages a second.
fn drain(address: SocketAddr, pages: usize, connections: usize) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let visitors: Vec<_> = (0..connections)
        .map(|first| {
            thread::spawn(move || visit(address, (first..pages).step_by(connections.max(1))))
        })
        .collect();
    for visitor in visitors {
        visitor.join().map_err(|_| "a visitor panicked")??;
    }
    println!("{:.0}", pages as f64 / began.elapsed().as_secs_f64());
    Ok(())
}

fn visit(address: SocketAddr, pages: impl Iterator<Item = usize>) -> io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::with_capacity(256 * 1024, &stream);
    for page in pages {
        let request = format!("GET /p/{page} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        (&stream).write_all(request.as_bytes())?;
        let head = read_head(&mut answers)?.unwrap_or_default();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .and_then(|length| length.parse::<u64>().ok())
            .ok_or_else(|| io::Error::other("an answer without a length"))?;
        let copied = io::copy(&mut (&mut answers).take(length), &mut io::sink())?;
        if copied < length || !head.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("page {page} did not come: {head}")));
        }
    }
    Ok(())
}
