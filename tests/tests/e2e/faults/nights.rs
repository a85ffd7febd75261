//! A partner's catalogue as it changes from night to night, by a seed; what the table must hold after each
//! night; and the shop that serves it.

use feedfleet_tests::{Fleet, Gate, Product, Reply, Server};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// Numbers of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A product of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its title.
    pub(crate) title: String,
    /// Its price in cents.
    pub(crate) price_cents: Option<i64>,
    /// The number of its picture.
    pub(crate) image: Option<u64>,
    /// The run that last changed it.
    pub(crate) run: i64,
}

/// What tests compare of a product: id, title, price in ten-thousandths, and the run that last changed it.
pub(crate) type Row = (String, String, Option<i64>, i64);

/// The rows of a pipe's live products.
pub(crate) fn rows(products: &[Product]) -> Vec<Row> {
    products.iter().map(|p| (p.id.clone(), p.title().to_owned(), p.price, p.run)).collect()
}

/// One pipe's catalogue, night after night.
pub(crate) struct Nights {
    random: Random,
    next_number: u64,
    items: BTreeMap<String, Item>,
    touched: BTreeSet<String>,
}

impl Nights {
    /// The first night, with this many products.
    pub(crate) fn new(seed: u64, products: u64) -> Self {
        let mut nights = Self {
            random: Random::new(seed),
            next_number: 0,
            items: BTreeMap::new(),
            touched: BTreeSet::new(),
        };
        for _ in 0..products {
            nights.add();
        }
        nights
    }

    /// A night passes: one in four changes nothing, the others change, remove and add products.
    pub(crate) fn pass(&mut self) {
        if self.random.one_in(4) {
            return;
        }
        for id in self.items.keys().cloned().collect::<Vec<_>>() {
            match self.random.below(20) {
                0 => {
                    self.items.remove(&id);
                    self.touched.remove(&id);
                }
                1..=3 => self.change(&id),
                _ => {}
            }
        }
        for _ in 0..1 + self.random.below(5) {
            self.add();
        }
    }

    /// The run has brought the present night into the table.
    pub(crate) fn committed(&mut self, run: i64) {
        for id in std::mem::take(&mut self.touched) {
            if let Some(item) = self.items.get_mut(&id) {
                item.run = run;
            }
        }
    }

    /// The products by id.
    pub(crate) fn items(&self) -> &BTreeMap<String, Item> {
        &self.items
    }

    /// What the table must hold.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let row = |(id, item): (&String, &Item)| {
            (id.clone(), item.title.clone(), item.price_cents.map(|cents| cents * 100), item.run)
        };
        self.items.iter().map(row).collect()
    }

    /// Paths of all pictures.
    pub(crate) fn image_paths(&self, pipe: &str) -> Vec<String> {
        self.items.values().filter_map(|i| i.image).map(|image| image_path(pipe, image)).collect()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn add(&mut self) {
        let number = self.number();
        // Ids do not come in the order of their birth, and some begin as others do.
        let id = format!("{}-{number}", self.random.below(30));
        let price_cents =
            (!self.random.one_in(10)).then(|| 1 + self.random.below(1_000_000) as i64);
        let image = (!self.random.one_in(5)).then_some(number);
        let item = Item { title: title(number), price_cents, image, run: 0 };
        self.items.insert(id.clone(), item);
        self.touched.insert(id);
    }

    fn change(&mut self, id: &str) {
        let number = self.number();
        let what = self.random.below(3);
        let Some(item) = self.items.get_mut(id) else { return };
        match what {
            0 => item.title = title(number),
            1 => item.price_cents = Some(item.price_cents.unwrap_or(0) + 1),
            _ => item.image = Some(number),
        }
        self.touched.insert(id.to_owned());
    }

    /// The night as a feed in Google's format.
    pub(crate) fn feed(&self, base_url: &str, pipe: &str) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <rss version=\"2.0\" xmlns:g=\"http://base.google.com/ns/1.0\"><channel>\n",
        );
        for (id, item) in &self.items {
            let title = item.title.replace('&', "&amp;").replace('<', "&lt;");
            xml.push_str(&format!("<item><g:id>{id}</g:id><title>{title}</title>"));
            xml.push_str(&format!("<g:link>http://shop.example/{pipe}/{id}</g:link>"));
            if let Some(cents) = item.price_cents {
                let (whole, rest) = (cents / 100, cents % 100);
                xml.push_str(&format!("<g:price>{whole}.{rest:02} EUR</g:price>"));
            }
            if let Some(image) = item.image {
                let path = image_path(pipe, image);
                xml.push_str(&format!("<g:image_link>{base_url}{path}</g:image_link>"));
            }
            xml.push_str("</item>\n");
        }
        xml.push_str("</channel></rss>\n");
        xml
    }
}

fn title(number: u64) -> String {
    format!("Größe \"{number}\" & <漢字> № {}", number * 7)
}

/// The path of a picture.
pub(crate) fn image_path(pipe: &str, image: u64) -> String {
    format!("/picture/{pipe}/{image}.png")
}

/// A picture of one pixel.
pub(crate) const PIXEL: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\
    \0\0\0\x0cIDATx\xdacPh8\0\0\x02$\x01a\xe3\xe9I<\0\0\0\0IEND\xaeB`\x82";

/// A server of feeds and pictures. It answers conditional requests for a feed that has not changed with 304.
pub(crate) struct Shop {
    /// The server; [`Server::hits`] counts what was asked for.
    pub(crate) server: Server,
    feeds: Arc<Mutex<HashMap<String, String>>>,
    pictures: Gate,
}

impl Shop {
    /// A shop without a feed.
    pub(crate) fn open() -> Self {
        let feeds: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let pictures = Gate::default();
        let (served, wait) = (Arc::clone(&feeds), pictures.clone());
        let server = Server::start(move |path, headers| {
            if path.starts_with("/picture/") {
                wait.pass();
                return Reply::ok(PIXEL).header("Content-Type", "image/png");
            }
            let feed = served.lock().expect("no handler panics").get(path).cloned();
            let Some(feed) = feed else { return Reply::status(404) };
            let mut hasher = DefaultHasher::new();
            feed.hash(&mut hasher);
            let etag = format!("\"{:x}\"", hasher.finish());
            let known = headers.iter().any(|(name, v)| name == "if-none-match" && *v == etag);
            let reply = if known { Reply::status(304) } else { Reply::ok(feed) };
            reply.header("ETag", etag).header("Content-Type", "application/xml")
        });
        Self { server, feeds, pictures }
    }

    /// Whether requests for pictures wait, or are answered.
    pub(crate) fn let_pictures_wait(&self, wait: bool) {
        self.pictures.set(wait);
    }

    /// Serves a pipe's present night.
    pub(crate) fn publish(&self, pipe: &str, nights: &Nights) {
        let feed = nights.feed(&self.server.base_url(), pipe);
        self.feeds.lock().expect("no handler panics").insert(format!("/{pipe}.xml"), feed);
    }

    /// Writes the pipe that reads this feed. `images`: whether its pictures are mirrored.
    pub(crate) fn write_pipe(&self, fleet: &Fleet, pipe: &str, images: bool) {
        let url = self.server.base_url();
        fleet.pipe(
            pipe,
            &format!(
                "[source]\nurl = \"{url}/{pipe}.xml\"\nformat = \"google-xml\"\n\
                 [guard]\nmax_removed = \"100%\"\n\
                 [images]\nmirror = {images}\n"
            ),
        );
    }
}
