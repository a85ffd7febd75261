//! Scores extraction against a folder of product pages with their ground truth, as the benchmark that the pages come
//! from does: a page's field has one predicted value, which is right if it equals any of the true ones; a wrong value
//! where there is a true one counts as found wrongly and as missed. Prices are compared as numbers, all else as text.

use feedfleet_pages::{
    Document, Extraction, Field, Origin, Selectors, extract_page, extract_structured, scan,
};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use url::Url;

/// Whether a value that was found is the true one.
type IsSame = fn(&str, &str) -> bool;

/// What is scored: the name in the ground truth, the field, and how values are compared.
pub const FIELDS: [(&str, Field, IsSame); 7] = [
    ("price", Field::Price, is_same_number),
    ("currency", Field::Currency, is_same_currency),
    ("sku", Field::Sku, is_same_text),
    ("brand", Field::Brand, is_same_text),
    ("availability", Field::Availability, is_same_availability),
    ("gtin", Field::Gtin, is_same_text),
    ("mpn", Field::Mpn, is_same_text),
];

/// Counts of a field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Found and right.
    pub right: u32,
    /// Found and wrong.
    pub wrong: u32,
    /// There, and not found or found wrongly.
    pub missed: u32,
}

impl Tally {
    fn add(&mut self, truth: &[&str], found: Option<&str>, is_same: fn(&str, &str) -> bool) {
        let is_there = u32::from(!truth.is_empty());
        match found {
            None => self.missed += is_there,
            Some(found) if truth.iter().any(|one| is_same(one, found)) => self.right += 1,
            Some(_) => {
                self.wrong += 1;
                self.missed += is_there;
            }
        }
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        let right = f64::from(self.right);
        let all = 2.0 * right + f64::from(self.wrong) + f64::from(self.missed);
        if all == 0.0 { 1.0 } else { 2.0 * right / all }
    }
}

/// The score of a folder, a line each field in the order of [`FIELDS`].
#[derive(Debug, Default)]
pub struct Score {
    /// Pages read.
    pub pages: u32,
    /// As a crawl extracts them.
    pub all: [Tally; FIELDS.len()],
    /// By an extraction that reads structured data alone.
    pub structured: [Tally; FIELDS.len()],
    /// What a crawl gets wrong or misses, a line each.
    pub misses: Vec<String>,
}

/// Scores the pages of a folder: `ground-truth.json` and `html/NAME.html.gz` or `html/NAME.html`.
///
/// # Errors
///
/// If a file can't be read. Pages whose file is not there are passed over.
pub fn score(folder: &Path) -> io::Result<Score> {
    let truth: Value = serde_json::from_slice(&fs::read(folder.join("ground-truth.json"))?)?;
    let mut score = Score::default();
    for (name, expected) in truth.as_object().into_iter().flatten() {
        let Some(html) = page(folder, name)? else { continue };
        let url = expected["url"].as_str().and_then(|url| Url::parse(url).ok());
        let url = url.ok_or_else(|| io::Error::other(format!("{name} has no URL")))?;
        let all = extract_page(&html, &scan(&html), &url, &Selectors::default(), u64::MAX);
        let structured = extract_structured(&Document::parse(&html, &url));
        // A page that can't be read has no products.
        score.add(name, expected, &all.unwrap_or_default(), &structured);
    }
    Ok(score)
}

impl Score {
    fn add(&mut self, name: &str, expected: &Value, all: &Extraction, structured: &Extraction) {
        self.pages += 1;
        for (place, (key, field, is_same)) in FIELDS.into_iter().enumerate() {
            let truth: Vec<&str> =
                expected[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let found = value(all, field);
            let text = found.map(|(text, _)| text);
            let before = self.all[place];
            self.all[place].add(&truth, text, is_same);
            let alone = value(structured, field).map(|(text, _)| text);
            self.structured[place].add(&truth, alone, is_same);
            if self.all[place].right == before.right && (text.is_some() || !truth.is_empty()) {
                let found = found.map_or_else(
                    || "nothing".to_owned(),
                    |(text, origin)| format!("{text:?} by {origin}"),
                );
                self.misses.push(format!(
                    "{} {key}: {found}, true is {truth:?}",
                    &name[..8.min(name.len())]
                ));
            }
        }
    }
}

/// A page's value of a field: its first product's. It has a product in stock if one of its variants is.
fn value(found: &Extraction, field: Field) -> Option<(&str, Origin)> {
    let values = || found.products.iter().filter_map(|product| product.fields.get(&field));
    let in_stock =
        values().find(|value| field == Field::Availability && value.text != "out_of_stock");
    let first = found.products.first()?.fields.get(&field);
    in_stock.or(first).map(|value| (value.text.as_str(), value.origin))
}

fn page(folder: &Path, name: &str) -> io::Result<Option<String>> {
    let packed = folder.join("html").join(format!("{name}.html.gz"));
    let plain = folder.join("html").join(format!("{name}.html"));
    let mut bytes = Vec::new();
    if packed.exists() {
        GzDecoder::new(fs::File::open(packed)?).read_to_end(&mut bytes)?;
    } else if plain.exists() {
        bytes = fs::read(plain)?;
    } else {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn is_same_text(truth: &str, found: &str) -> bool {
    truth.trim() == found
}

fn is_same_number(truth: &str, found: &str) -> bool {
    let number =
        |text: &str| text.trim().parse::<f64>().map(|value| (value * 10_000.0).round() as i64);
    matches!((number(truth), number(found)), (Ok(truth), Ok(found)) if truth == found)
}

/// The truth has what the page shows, often a sign that several currencies share.
fn is_same_currency(truth: &str, found: &str) -> bool {
    let codes: &[&str] = match truth.trim().trim_end_matches('.') {
        "$" => &[
            "USD", "CAD", "AUD", "NZD", "MXN", "CLP", "ARS", "COP", "UYU", "TWD", "HKD", "SGD",
            "BRL",
        ],
        "€" => &["EUR"],
        "£" => &["GBP"],
        "₹" => &["INR"],
        "Rs" | "₨" => &["INR", "PKR", "LKR", "NPR", "MUR"],
        "¥" | "￥" => &["JPY", "CNY"],
        "kr" => &["SEK", "NOK", "DKK", "ISK"],
        "R$" => &["BRL"],
        "R" => &["ZAR"],
        "zł" => &["PLN"],
        "Kč" => &["CZK"],
        "Ft" => &["HUF"],
        "лв" => &["BGN"],
        "тг" | "₸" => &["KZT"],
        "руб" | "₽" | "р" => &["RUB"],
        "грн" | "₴" => &["UAH"],
        "₪" => &["ILS"],
        "TL" | "₺" => &["TRY"],
        "lei" | "Lei" => &["RON"],
        "₩" | "원" => &["KRW"],
        "円" => &["JPY"],
        "元" | "NT$" => &["TWD", "CNY"],
        "RM" => &["MYR"],
        "Rp" => &["IDR"],
        "฿" => &["THB"],
        "₫" | "đ" => &["VND"],
        _ => &[],
    };
    truth.trim().eq_ignore_ascii_case(found) || codes.contains(&found)
}

/// The truth knows two: what can be ordered counts as in stock.
fn is_same_availability(truth: &str, found: &str) -> bool {
    (truth == "OutOfStock") == (found == "out_of_stock")
}
