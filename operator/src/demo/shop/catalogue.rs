//! The sample shop's goods: who its partners are, and what each of them offers on either night.
//!
//! A product follows from the seed, its partner and its number alone, so that the second night can
//! make it again, and then change it or leave it out.

use super::words::{self, Assortment, Colour, Kind};

/// A partner of the shop: one pipe of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partner {
    /// RSS 2.0 in Google's namespace, gzipped.
    NorthwindOutdoor,
    /// Naver's full EP, tab-separated, in CP949. Night two brings the same bytes.
    HanokLiving,
    /// CSV with German column names, semicolons, and a few bad rows.
    LumenLighting,
    /// JSON Lines, compressed with Zstandard.
    PixelParts,
    /// Atom in Google's namespace. Down for maintenance on night two.
    AtelierPress,
    /// XML of its own shape, in a zip archive.
    CornerBooks,
}

impl Partner {
    /// Every partner, in the order of their assortments.
    pub const ALL: [Self; 6] = [
        Self::NorthwindOutdoor,
        Self::HanokLiving,
        Self::LumenLighting,
        Self::PixelParts,
        Self::AtelierPress,
        Self::CornerBooks,
    ];

    /// What the partner sells, and under which names.
    pub fn assortment(self) -> &'static Assortment {
        &words::ALL[self as usize]
    }

    /// The path of its feed on the shop's server.
    pub fn feed_path(self) -> String {
        let Assortment { slug, feed, .. } = self.assortment();
        format!("/{slug}/{feed}")
    }
}

/// Whether a product can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Now.
    InStock,
    /// Not at present.
    OutOfStock,
    /// Once it is published.
    Preorder,
}

/// One product as its partner knows it, before it is written in any format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Unique within the partner.
    pub id: String,
    /// Name of the product.
    pub title: String,
    /// A sentence or two.
    pub description: String,
    /// Brand; a book's publisher.
    pub brand: &'static str,
    /// Manufacturer; a book's author.
    pub maker: &'static str,
    /// GTIN-13 with a right check digit.
    pub gtin: String,
    /// Shared by the variants of one product.
    pub group: String,
    /// From the root down.
    pub category: Vec<&'static str>,
    /// In minor units of `currency`: cents, or whole won.
    pub price_minor: i64,
    /// A reduced price, lower than `price_minor`.
    pub sale_price_minor: Option<i64>,
    /// ISO 4217 code.
    pub currency: &'static str,
    /// Whether it can be bought.
    pub availability: Availability,
    /// Pieces in stock: none unless it can be bought now.
    pub stock: u32,
    /// Path of the product's page on the shop's server.
    pub page_path: String,
    /// Path of its picture, shared by products of the same kind and colour.
    pub image_path: String,
    /// Path of a second picture, where there is one.
    pub detail_path: Option<String>,
    /// Colour by name.
    pub color: &'static str,
    /// Size by name; a book's binding.
    pub size: &'static str,
    /// What it is made of.
    pub material: &'static str,
    /// When the partner last changed it: day, month and year with points between.
    pub updated: String,
}

impl Product {
    /// An amount in minor units as feeds write it: `149.00`, or `15900` for won.
    pub fn amount(&self, minor: i64) -> String {
        if self.currency == "KRW" {
            minor.to_string()
        } else {
            format!("{}.{:02}", minor / 100, minor % 100)
        }
    }

    /// An amount in minor units with its currency: `149.00 USD`.
    pub fn money(&self, minor: i64) -> String {
        format!("{} {}", self.amount(minor), self.currency)
    }
}

/// What a partner offers on a night, the first or (for any number above one) the second.
///
/// Overnight, of every thousand products about 10 go, 30 change in price, stock or title, 5 get a
/// new picture, and 10 new ones come. Hanok Living's stay as they are.
pub fn products(seed: u64, partner: Partner, night: u8) -> Vec<Product> {
    let count = partner.assortment().products;
    let first = (0..count).map(|number| product(seed, partner, number));
    if night < 2 || partner == Partner::HanokLiving {
        return first.collect();
    }
    first
        .enumerate()
        .filter_map(|(number, product)| overnight(seed, partner, number, product))
        .chain((count..count + count / 100).map(|number| product(seed, partner, number)))
        .collect()
}

fn product(seed: u64, partner: Partner, number: usize) -> Product {
    let all = partner.assortment();
    let mut rng = Rng::of(&[seed, partner as u64, number as u64, 1]);
    let kind: &Kind = rng.pick(all.kinds);
    let colour: &Colour = rng.pick(all.colours);
    let brand_number = rng.below(all.brands.len());
    let (brand, line) = (all.brands[brand_number], *rng.pick(all.lines));
    let (size, material) = (*rng.pick(kind.sizes), *rng.pick(kind.materials));
    let maker = if all.makers.is_empty() { brand } else { *rng.pick(all.makers) };
    let feature = *rng.pick(all.features);
    let fill = |template: &str| {
        let fields = [
            ("{brand}", brand),
            ("{line}", line),
            ("{name}", kind.name),
            ("{size}", size),
            ("{colour}", colour.name),
            ("{material}", material),
            ("{feature}", feature),
        ];
        fields.iter().fold(template.to_owned(), |text, (field, value)| text.replace(field, value))
    };
    let id = format!("{}{:05}", all.id_prefix, number + 1);
    let (lowest, highest) = kind.price_minor;
    let price_minor = rounded(lowest + rng.below((highest - lowest) as usize) as i64, all.currency);
    let sale = rng.below(8) == 0;
    let (availability, stock) = match rng.below(20) {
        0 | 1 => (Availability::OutOfStock, 0),
        2 => (Availability::Preorder, 0),
        _ => (Availability::InStock, 1 + rng.below(200) as u32),
    };
    let outdoor = partner == Partner::NorthwindOutdoor;
    Product {
        title: fill(all.title),
        description: fill(all.description),
        brand,
        maker,
        gtin: gtin13(&format!("{}{:04}{number:05}", all.gtin_prefix, 1_000 + brand_number * 37)),
        group: format!("{}-{}", kind.slug, line.to_lowercase().replace(' ', "-")),
        category: [&[all.root][..], kind.category].concat(),
        price_minor,
        sale_price_minor: sale.then(|| rounded(price_minor * 85 / 100, all.currency)),
        currency: all.currency,
        availability,
        stock,
        page_path: format!("/{}/p/{id}", all.slug),
        image_path: format!("/pictures/{}-{}.{}", kind.slug, colour.slug, all.pictures),
        detail_path: (outdoor && rng.below(4) == 0)
            .then(|| format!("/pictures/{}-detail.{}", kind.slug, all.pictures)),
        color: colour.name,
        size,
        material,
        updated: format!("{:02}.12.2025", 1 + rng.below(28)),
        id,
    }
}

/// The product as night two finds it, or `None` if it is gone.
fn overnight(seed: u64, partner: Partner, number: usize, mut product: Product) -> Option<Product> {
    let mut rng = Rng::of(&[seed, partner as u64, number as u64, 2]);
    match rng.below(1_000) {
        0..10 => return None,
        10..28 => {
            let percent = if rng.below(2) == 0 { 85 } else { 112 };
            product.price_minor = rounded(product.price_minor * percent / 100, product.currency);
            product.sale_price_minor = None;
        }
        28..36 => {
            let sold_out = product.availability == Availability::InStock;
            (product.availability, product.stock) =
                if sold_out { (Availability::OutOfStock, 0) } else { (Availability::InStock, 12) };
        }
        36..40 => product.title.push_str(partner.assortment().retitled),
        40..45 => product.image_path = product.image_path.replace('.', "-v2."),
        _ => return Some(product),
    }
    product.updated = "06.01.2026".to_owned();
    Some(product)
}

/// A price as shops like it: down to whole hundreds of won, or just below a whole unit.
fn rounded(minor: i64, currency: &str) -> i64 {
    let whole = minor - minor % 100;
    if currency == "KRW" { whole } else { whole - 1 }
}

/// Twelve digits with their GS1 check digit.
fn gtin13(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .enumerate()
        .map(|(place, digit)| u32::from(digit - b'0') * if place % 2 == 0 { 1 } else { 3 })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// SplitMix64: small, fast, and the same on every machine and in every release.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose numbers follow from all the parts, in their order.
    pub fn of(parts: &[u64]) -> Self {
        Self(parts.iter().fold(0, |state, part| Self(state ^ part).step()))
    }

    /// The next 64 bits.
    pub fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which must not be zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.step() % end as u64) as usize
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // SplitMix64's reference output for the seed 1234567.
        let mut rng = Rng(1_234_567);
        assert_eq!(rng.step(), 6_457_827_717_110_365_317);
        assert_eq!(rng.step(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_seed_always_makes_the_same_shop() {
        for partner in Partner::ALL {
            for night in [1, 2] {
                assert_eq!(products(7, partner, night), products(7, partner, night));
            }
            assert_ne!(products(7, partner, 1), products(8, partner, 1));
        }
    }

    #[test]
    fn products_are_well_formed() {
        let (mut gtins, mut count) = (HashSet::new(), 0);
        for partner in Partner::ALL {
            let mut ids = HashSet::new();
            for product in products(1, partner, 2) {
                assert!(product.price_minor > 0);
                assert!(product.sale_price_minor.is_none_or(|sale| sale < product.price_minor));
                for text in [&product.title, &product.description] {
                    assert!(!text.is_empty() && !text.contains(['{', '}', '\t', '\n']), "{text}");
                }
                assert!(ids.insert(product.id));
                assert_eq!(product.gtin.len(), 13);
                assert!(gtins.insert(product.gtin));
                count += 1;
            }
        }
        assert!((6_000..6_400).contains(&count), "{count}");
    }

    #[test]
    fn check_digits_are_those_of_known_articles() {
        assert_eq!(gtin13("400638133393"), "4006381333931");
        assert_eq!(gtin13("978030640615"), "9780306406157");
        assert_eq!(gtin13("000000000000"), "0000000000000");
    }

    #[test]
    fn night_two_changes_as_much_as_it_says() {
        let (mut all, mut gone, mut new, mut pictures, mut changed) = (0, 0, 0, 0, 0);
        for partner in Partner::ALL.into_iter().filter(|p| *p != Partner::HanokLiving) {
            let mut before: HashMap<_, _> =
                products(1, partner, 1).into_iter().map(|p| (p.id.clone(), p)).collect();
            all += before.len();
            for after in products(1, partner, 2) {
                match before.remove(&after.id) {
                    None => new += 1,
                    Some(before) if before == after => {}
                    Some(before) if before.image_path != after.image_path => pictures += 1,
                    Some(before) => {
                        let same = Product { updated: before.updated.clone(), ..after };
                        assert_ne!(before, same, "changed in nothing but its date");
                        changed += 1;
                    }
                }
            }
            gone += before.len();
        }
        assert_eq!(all, 5_000);
        assert_eq!(new, 50);
        assert!((25..80).contains(&gone), "{gone} removed");
        assert!((110..200).contains(&changed), "{changed} changed");
        assert!((10..45).contains(&pictures), "{pictures} new pictures");
    }

    #[test]
    fn hanok_living_stays_as_it_is() {
        let [one, two] = [1, 2].map(|night| products(1, Partner::HanokLiving, night));
        assert_eq!(one, two);
    }
}
