//! Writes each partner's feed for a night, byte for byte as that partner would send it.

use std::io::{self, Cursor, Write};

use encoding_rs::EUC_KR;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::catalogue::{self, Availability, Partner, Product};
use super::xml_feeds::{atom, books, rss};

/// A feed as it goes over the wire.
#[derive(Debug)]
pub struct Feed {
    /// The whole body, compressed where the partner compresses.
    pub body: Vec<u8>,
    /// Its media type.
    pub content_type: &'static str,
}

/// The partner's feed on this night, with links that start with `base_url`.
///
/// The bytes follow from the arguments alone. Fails only if a compressor does.
pub fn render(seed: u64, partner: Partner, night: u8, base_url: &str) -> io::Result<Feed> {
    if partner == Partner::AtelierPress && night > 1 {
        let body = MAINTENANCE_PAGE.as_bytes().to_vec();
        return Ok(Feed { body, content_type: "text/html; charset=utf-8" });
    }
    let products = catalogue::products(seed, partner, night);
    let (body, content_type) = match partner {
        Partner::NorthwindOutdoor => (gzip(&rss(&products, base_url))?, "application/gzip"),
        // WHATWG's EUC-KR is CP949, with every Hangul syllable in it.
        Partner::HanokLiving => {
            (EUC_KR.encode(&naver_ep(&products, base_url)).0.into_owned(), "text/plain")
        }
        Partner::LumenLighting => {
            (csv(&products, base_url).into_bytes(), "text/csv; charset=utf-8")
        }
        Partner::PixelParts => {
            (zstd::encode_all(json_lines(&products, base_url).as_bytes(), 3)?, "application/zstd")
        }
        Partner::AtelierPress => {
            (atom(&products, base_url).into_bytes(), "application/atom+xml; charset=utf-8")
        }
        Partner::CornerBooks => {
            (zipped("books.xml", &books(&products, base_url))?, "application/zip")
        }
    };
    Ok(Feed { body, content_type })
}

/// What a shop under repair answers: a page for people, and status 200.
const MAINTENANCE_PAGE: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head><title>Atelier Press: back soon</title></head>
<body>
<h1>We'll be back soon</h1>
<p>Our shop is closed for maintenance tonight. Please come back in the morning.</p>
</body>
</html>
";

/// A subset of the EP's columns, as real shops send it; nothing is quoted or escaped.
fn naver_ep(products: &[Product], base: &str) -> String {
    let header = "id\ttitle\tprice_pc\tprice_mobile\tnormal_price\tlink\tmobile_link\timage_link\t\
                  category_name1\tcategory_name2\tcategory_name3\tcondition\tbrand\tmaker\torigin\t\
                  barcode\tevent_words\tsearch_tag\tgroup_id\tshipping\n";
    let rows = products.iter().map(|p| {
        let list_price = p.amount(p.price_minor);
        let price = p.amount(p.sale_price_minor.unwrap_or(p.price_minor));
        let page = format!("{base}{}", p.page_path);
        let row: [&str; 20] = [
            &p.id,
            &p.title,
            &price,
            &price,
            &list_price,
            &page,
            &page,
            &format!("{base}{}", p.image_path),
            p.category[0],
            p.category[1],
            p.category[2],
            "신상품",
            p.brand,
            p.maker,
            "국산",
            &p.gtin,
            &p.description,
            &[p.material, p.color, p.category[2]].join("|"),
            &p.group,
            if p.price_minor < 50_000 { "3000" } else { "0" },
        ];
        row.join("\t") + "\n"
    });
    header.to_owned() + &rows.collect::<String>()
}

const CSV_HEADER: [&str; 15] = [
    "Artikelnummer",
    "Bezeichnung",
    "Beschreibung",
    "Hersteller",
    "EAN",
    "Warengruppe",
    "Preis",
    "Lieferstatus",
    "Bestand",
    "Farbe",
    "Material",
    "Größe",
    "Stand",
    "Bild",
    "Deeplink",
];

/// Number and price of rows that can't be read, the same on every night: one without a number can't
/// be told from others, and a price in words is none.
const BAD_ROWS: [(&str, &str); 5] = [
    ("", "49.99 EUR"),
    ("LU-X0001", "auf Anfrage"),
    ("LU-X0002", "siehe Webseite"),
    ("", "19.99 EUR"),
    ("LU-X0003", "k. A."),
];

fn csv(products: &[Product], base: &str) -> String {
    let mut rows: Vec<[String; 15]> = products.iter().map(|p| csv_row(p, base)).collect();
    rows.extend(BAD_ROWS.map(|(number, price)| {
        CSV_HEADER.map(|column| match column {
            "Artikelnummer" => number.to_owned(),
            "Bezeichnung" => "Sonderposten".to_owned(),
            "Preis" => price.to_owned(),
            "Deeplink" => format!("{base}/lumen-lighting/angebote"),
            _ => String::new(),
        })
    }));
    let lines = rows.iter().map(|row| row.each_ref().map(|cell| quoted(cell)).join(";") + "\r\n");
    CSV_HEADER.join(";") + "\r\n" + &lines.collect::<String>()
}

fn csv_row(p: &Product, base: &str) -> [String; 15] {
    let status = match p.availability {
        Availability::InStock => "lieferbar",
        Availability::OutOfStock => "ausverkauft",
        Availability::Preorder => "vorbestellbar",
    };
    [
        p.id.clone(),
        p.title.clone(),
        p.description.clone(),
        p.brand.to_owned(),
        p.gtin.clone(),
        p.category.join("|"),
        p.money(p.price_minor),
        status.to_owned(),
        p.stock.to_string(),
        p.color.to_owned(),
        p.material.to_owned(),
        p.size.to_owned(),
        p.updated.clone(),
        format!("{base}{}", p.image_path),
        format!("{base}{}", p.page_path),
    ]
}

fn quoted(cell: &str) -> String {
    if cell.contains([';', '"', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn json_lines(products: &[Product], base: &str) -> String {
    let lines = products.iter().map(|p| {
        let status = match p.availability {
            Availability::InStock => "available",
            Availability::OutOfStock => "sold_out",
            Availability::Preorder => "announced",
        };
        let product = json!({
            "sku": p.id,
            "name": p.title,
            "summary": p.description,
            "vendor": p.brand,
            "ean": p.gtin,
            "category": p.category.join("/"),
            // A number, not a text: this partner's feed comes straight from its database.
            "price": p.price_minor as f64 / 100.0,
            "status": status,
            "stock": p.stock,
            "color": p.color,
            "capacity": p.size,
            "url": format!("{base}{}", p.page_path),
            "image": format!("{base}{}", p.image_path),
        });
        product.to_string() + "\n"
    });
    lines.collect()
}

fn gzip(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

fn zipped(name: &str, text: &str) -> io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // The date is set, so that the same books make the same bytes.
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
    archive.start_file(name, options)?;
    archive.write_all(text.as_bytes())?;
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use zip::ZipArchive;

    use super::*;

    const BASE: &str = "http://127.0.0.1:1234";

    /// A partner's feed, unpacked and decoded.
    fn text(partner: Partner, night: u8) -> String {
        let body = render(1, partner, night, BASE).unwrap().body;
        let mut text = String::new();
        match partner {
            Partner::NorthwindOutdoor => {
                GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
            }
            Partner::HanokLiving => {
                let (decoded, _, malformed) = EUC_KR.decode(&body);
                assert!(!malformed);
                text.push_str(&decoded);
            }
            Partner::PixelParts => {
                text = String::from_utf8(zstd::decode_all(body.as_slice()).unwrap()).unwrap();
            }
            Partner::CornerBooks => {
                let mut archive = ZipArchive::new(Cursor::new(body)).unwrap();
                archive.by_index(0).unwrap().read_to_string(&mut text).unwrap();
            }
            Partner::LumenLighting | Partner::AtelierPress => {
                text = String::from_utf8(body).unwrap();
            }
        }
        text
    }

    #[test]
    fn the_same_night_is_the_same_bytes() {
        for partner in Partner::ALL {
            let [one, again] = [1, 1].map(|n| render(1, partner, n, BASE).unwrap().body);
            assert_eq!(one, again);
            let two = render(1, partner, 2, BASE).unwrap().body;
            assert_eq!(one == two, partner == Partner::HanokLiving, "{partner:?}");
        }
    }

    #[test]
    fn xml_feeds_hold_every_product() {
        for (partner, item, end) in [
            (Partner::NorthwindOutdoor, "<item>", "</rss>\n"),
            (Partner::AtelierPress, "<entry>", "</feed>\n"),
            (Partner::CornerBooks, "<book>", "</catalogue>\n"),
        ] {
            let text = text(partner, 1);
            assert_eq!(text.matches(item).count(), partner.assortment().products);
            assert!(text.ends_with(end));
            assert!(!text.contains("& "), "an unescaped ampersand");
        }
    }

    #[test]
    fn tables_have_one_width() {
        let ep = text(Partner::HanokLiving, 1);
        assert_eq!(ep.lines().count(), 1 + 1_200);
        assert!(ep.lines().all(|line| line.split('\t').count() == 20));
        assert!(ep.contains("한옥살이"), "Hangul survives CP949");
        assert!(!ep.contains("&#"), "what CP949 lacks would be a numeric reference");
        let csv = text(Partner::LumenLighting, 1);
        assert_eq!(csv.lines().count(), 1 + 1_000 + BAD_ROWS.len());
        assert!(csv.contains(";auf Anfrage;") && csv.contains("\"\"Click\"\""));
    }

    #[test]
    fn json_lines_are_json() {
        let text = text(Partner::PixelParts, 1);
        assert_eq!(text.lines().count(), 1_000);
        for line in text.lines() {
            let product: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(product["price"].as_f64().unwrap() > 1.0);
        }
    }

    #[test]
    fn night_two_finds_the_atelier_closed() {
        assert!(text(Partner::AtelierPress, 2).starts_with("<!DOCTYPE html>"));
    }
}
