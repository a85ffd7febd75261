//! What hostile or unlucky partners send.

use encoding_rs::EUC_KR;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A CSV feed of so many products.
pub(super) fn csv(count: usize) -> String {
    let mut feed = "sku,name,price,from\n".to_owned();
    for n in 0..count {
        writeln!(feed, "{n:05},Product {n},{n}.50,2026-01-02").expect("text can be written");
    }
    feed
}

/// A CSV feed of three products, with one text of it replaced.
pub(super) fn csv_but(text: &str, instead: &str) -> String {
    let feed = csv(3);
    assert!(feed.contains(text), "{text}");
    feed.replacen(text, instead, 1)
}

/// A feed of three products, this before its root element, and this after its last product.
pub(super) fn rss(prolog: &str, more: &str) -> String {
    let item = |n: u32| {
        format!(
            "<item><g:id>{n}</g:id><title>Product {n}</title><g:price>{n}.50 EUR</g:price></item>\n"
        )
    };
    let items: String = (1..=3).map(item).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{prolog}\n\
         <rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>A shop</title>\n{items}{more}\n\
         </channel></rss>"
    )
}

/// One more product of such a feed.
pub(super) fn item(title: &str) -> String {
    format!("<item><g:id>4</g:id><title>{title}</title><g:price>4.50 EUR</g:price></item>")
}

/// Entities that would become three gigabytes.
pub(super) fn laughs() -> String {
    let mut doctype = "<!DOCTYPE rss [<!ENTITY lol0 \"lol\">".to_owned();
    for n in 1..10 {
        let tenfold = format!("&lol{};", n - 1).repeat(10);
        write!(doctype, "<!ENTITY lol{n} \"{tenfold}\">").expect("text can be written");
    }
    doctype + "]>"
}

/// Entities that are somewhere else: at the partner's, and on this machine.
pub(super) fn elsewhere(base_url: &str) -> String {
    format!(
        "<!DOCTYPE rss [<!ENTITY there SYSTEM \"{base_url}/secret\">\
         <!ENTITY here SYSTEM \"file:///etc/passwd\">]>"
    )
}

/// A full EP of Naver's with two products.
pub(super) const NAVER: &str = "\
     id\ttitle\tprice_pc\tlink\timage_link\tcategory_name1\tshipping\tsearch_tag\n\
     A1\t원목 의자\t129000\thttp://shop.kr/1\thttp://shop.kr/1.jpg\t가구\t0\t나무|의자\n\
     A2\t겨울 코트 여성용\t8500\thttp://shop.kr/2\thttp://shop.kr/2.jpg\t패션의류\t0\t코트\n";

/// The same in the encoding of old Korean shops.
pub(super) fn naver_in_euc_kr() -> Vec<u8> {
    let (bytes, _, unmappable) = EUC_KR.encode(NAVER);
    assert!(!unmappable);
    bytes.into_owned()
}

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// An archive with this feed in it, which claims to be encrypted.
pub(super) fn encrypted_zip(data: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    archive.start_file("feed.csv", options).expect("memory can be written");
    archive.write_all(data).expect("memory can be written");
    let mut archive = archive.finish().expect("memory can be written").into_inner();
    // The flags of the file's header.
    archive[6] |= 1;
    archive
}

/// What a spreadsheet's program saves.
pub(super) fn workbook() -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"] {
        let options = SimpleFileOptions::default();
        archive.start_file(name, options).expect("memory can be written");
        archive.write_all(b"<?xml version=\"1.0\"?><a/>").expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

pub(super) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 3).expect("memory can be written")
}

/// A feed that becomes so many bytes when it is decompressed.
pub(super) fn bomb(bytes: usize) -> Vec<u8> {
    let mut feed = csv(3).into_bytes();
    feed.resize(bytes, b'a');
    feed
}
