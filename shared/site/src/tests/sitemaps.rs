//! Sitemaps: the files of crawler-commons, and broken ones.

use super::crawler_commons;
use crate::{SitemapEntry, SitemapError, SitemapKind, SitemapReader, SitemapReport};
use flate2::read::MultiGzDecoder;
use proptest::prelude::*;
use std::io::Read;

fn read(bytes: &[u8]) -> (Vec<SitemapEntry>, SitemapReport) {
    let mut reader = SitemapReader::open(bytes).unwrap();
    let entries = reader.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
    let report = reader.report().clone();
    assert_eq!(entries.len() as u64, report.entries);
    (entries, report)
}

fn locations(entries: &[SitemapEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.location.as_str()).collect()
}

/// What is in the files: kind, entries, pictures, dates, first and last address.
type Expected = (&'static str, SitemapKind, usize, usize, usize, &'static str, &'static str);

const EXPECTED: [Expected; 20] = [
    (
        "rss/feed.rss",
        SitemapKind::Rss,
        4,
        0,
        1,
        "https://www.example.com/blog/post/1",
        "https://www.example.com/foo?q=a&l=fr",
    ),
    (
        "rss/xmlRss_pubDate.xml",
        SitemapKind::Rss,
        7,
        0,
        4,
        "http://www.example.com/article_1",
        "http://www.example.com/article_7",
    ),
    (
        "sitemaps/atom.xml",
        SitemapKind::Atom,
        1,
        0,
        1,
        "http://example.org/2003/12/13/atom03",
        "http://example.org/2003/12/13/atom03",
    ),
    (
        "sitemaps/do-not-visit.txt",
        SitemapKind::Text,
        1,
        0,
        0,
        "http://www.example.com/do-not-visit-here",
        "http://www.example.com/do-not-visit-here",
    ),
    (
        "sitemaps/sitemap-with-bom.txt",
        SitemapKind::Text,
        2,
        0,
        0,
        "http://www.domain.com/page1.html",
        "http://www.domain.com/page2.html",
    ),
    (
        "sitemaps/sitemap.txt",
        SitemapKind::Text,
        2,
        0,
        0,
        "http://www.domain.com/page1.html",
        "http://www.domain.com/page2.html",
    ),
    (
        "sitemaps/sitemap.txt.gz",
        SitemapKind::Text,
        5,
        0,
        0,
        "http://www.example.com/",
        "http://www.example.com/catalog?item=83&desc=vacation_usa",
    ),
    (
        "sitemaps/xmlSitemap.gz",
        SitemapKind::Pages,
        5,
        0,
        4,
        "http://www.example.com/",
        "http://www.example.com/catalog?item=83&desc=vacation_usa",
    ),
    (
        "sitemaps/sitemap.badns.xml",
        SitemapKind::Pages,
        2,
        0,
        0,
        "http://www.example.com/1",
        "http://www.example.com/2",
    ),
    (
        "sitemaps/sitemap.ns.xml",
        SitemapKind::Pages,
        2,
        0,
        0,
        "http://www.example.com/1",
        "http://www.example.com/2",
    ),
    (
        "sitemaps/sitemap.index.xml",
        SitemapKind::Index,
        15,
        0,
        0,
        "https://example.com/sitemap.jss?portalCode=10260&lang=en",
        "https://example.com/sitemap.jss?portalCode=10570&lang=en",
    ),
    (
        "sitemaps/extension/hebdenbridgetimes-articles-sitemap.xml",
        SitemapKind::Pages,
        74,
        94,
        74,
        "http://www.hebdenbridgetimes.co.uk/news/local/video-tour-de-yorkshire-in-calderdale-1-7242580",
        "http://www.hebdenbridgetimes.co.uk/news/local/now-you-see-it-now-you-don-t-it-s-off-the-wall-1-7229940",
    ),
    (
        "sitemaps/extension/pagemaps-sitemap.xml",
        SitemapKind::Pages,
        2,
        0,
        0,
        "http://www.example.com/foo",
        "http://www.example.com/bar",
    ),
    (
        "sitemaps/extension/shinpaideshou-news-sitemap.xml",
        SitemapKind::Pages,
        3,
        0,
        0,
        "https://shinpaideshou.wordpress.com/2017/04/25/job-opening-reischauer-policy-research-fellow/",
        "https://shinpaideshou.wordpress.com/2017/04/24/job-opening-lecturer-in-japanese-studies-university-of-leeds/",
    ),
    (
        "sitemaps/extension/sitemap-images.xml",
        SitemapKind::Pages,
        1,
        2,
        0,
        "http://www.example.com/images/some_image_landing_page.html",
        "http://www.example.com/images/some_image_landing_page.html",
    ),
    (
        "sitemaps/extension/sitemap-links.xml",
        SitemapKind::Pages,
        3,
        0,
        0,
        "http://www.example.com/english/",
        "http://www.example.com/schweiz-deutsch/",
    ),
    (
        "sitemaps/extension/sitemap-mobile.xml",
        SitemapKind::Pages,
        3,
        0,
        0,
        "http://www.example.com/mobile-friendly-1/",
        "http://www.example.com/no-mobile/",
    ),
    (
        "sitemaps/extension/sitemap-news.xml",
        SitemapKind::Pages,
        2,
        0,
        0,
        "http://www.example.org/business/article55.html",
        "http://www.example.org/empty_news_name.html",
    ),
    (
        "sitemaps/extension/sitemap-videos-tvshow.xml",
        SitemapKind::Pages,
        1,
        0,
        0,
        "https://example.org/my-tv-show/23/13/",
        "https://example.org/my-tv-show/23/13/",
    ),
    (
        "sitemaps/extension/sitemap-videos.xml",
        SitemapKind::Pages,
        3,
        0,
        0,
        "http://www.example.com/videos/some_video_landing_page.html",
        "http://www.example.com/videos/some_video_landing_page-3.html",
    ),
];

#[test]
fn crawler_commons_sitemaps_are_read_as_it_expects() {
    let mut wrong = Vec::new();
    for (file, kind, entries, images, dates, first, last) in EXPECTED {
        let Some(mut bytes) = crawler_commons(file) else { return };
        if file.ends_with(".gz") {
            let packed = std::mem::take(&mut bytes);
            MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        }
        let (found, report) = read(&bytes);
        let found_images: usize = found.iter().map(|entry| entry.images.len()).sum();
        let found_dates = found.iter().filter(|entry| entry.modified.is_some()).count();
        let ends = (found.first(), found.last());
        let is_right = report.kind == Some(kind)
            && (found.len(), found_images, found_dates) == (entries, images, dates)
            && ends.0.is_some_and(|entry| entry.location == first)
            && ends.1.is_some_and(|entry| entry.location == last)
            && found.iter().all(|entry| entry.is_sitemap == (kind == SitemapKind::Index))
            && report.is_whole()
            && report.without_location == 0;
        if !is_right {
            wrong.push(format!(
                "{file}: {found_images} images, {found_dates} dates, {ends:?}, {report:?}"
            ));
        }
    }
    println!("crawler-commons, sitemaps: {} of {}", EXPECTED.len() - wrong.len(), EXPECTED.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_broken_is_left_out_and_told() {
    let xml = "\u{feff}<?xml version=\"1.0\"?><URLS:urlset xmlns:URLS=\"x\">\
        <url><loc> http://a.example/?a=1&b=2&amp;c=&#51;&eacute; </loc><lastmod>soon</lastmod></url>\
        <url><loc>http://a.example/2\
        <url><loc><![CDATA[http://a.example/3?x&y]]></loc></url>\
        <url><lastmod>2024</lastmod></url>\
        <!-- a -- comment --><url><priority>1<loc>no</loc></priority><loc>http://a.example/4</loc></url>\
        </URLS:urlset>";
    let (entries, report) = read(xml.as_bytes());
    let expected = [
        "http://a.example/?a=1&b=2&c=3&eacute;",
        "http://a.example/2",
        "http://a.example/3?x&y",
        "http://a.example/4",
    ];
    assert_eq!(locations(&entries), expected);
    assert_eq!((report.without_location, report.unknown_references), (1, 1));
    assert_eq!(report.cut, None);
}

#[test]
fn links_of_atom_without_an_address_are_none() {
    let (entries, report) = read(
        b"<feed xmlns='http://www.w3.org/2005/Atom'>\
        <entry><link rel='alternate' href/><link rel='self' href=' https://s.example/1 '/></entry>\
        <entry><link href=''/></entry></feed>",
    );
    assert_eq!(locations(&entries), ["https://s.example/1"]);
    assert_eq!(report.without_location, 1);
}

#[test]
fn a_document_without_its_end_is_not_whole() {
    let whole = "<urlset><url><loc>http://a.example/1</loc></url>\
        <url><loc>http://a.example/2</loc><lastmod>2024-01-01</lastmod></url></urlset>";
    let (entries, report) = read(whole.as_bytes());
    assert!(entries.len() == 2 && report.is_whole(), "{report:?}");
    for end in "<urlset>".len()..whole.len() {
        let (entries, report) = read(&whole.as_bytes()[..end]);
        assert!(!report.is_whole(), "cut at {end}: {report:?}");
        let known = ["http://a.example/1", "http://a.example/2"];
        assert!(known.starts_with(&locations(&entries)), "cut at {end}: {entries:?}");
    }
    let (_, report) = read(b"<urlset/>");
    assert!(report.is_whole());
}

#[test]
fn other_things_are_no_sitemaps() {
    for bytes in
        [&b""[..], b" \n ", b"<!doctype html><p>", b"<HTML></HTML>", b"not found", b"<!-- -->"]
    {
        let error = SitemapReader::open(bytes).map_or_else(Some, |mut reader| reader.next()?.err());
        let is_refusal = matches!(error, Some(SitemapError::NotASitemap { .. }));
        assert!(is_refusal, "{:?}: {error:?}", String::from_utf8_lossy(bytes));
    }
}

/// Some text, and then an error.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() {
            return Err(std::io::Error::other("connection reset"));
        }
        self.0.read(buffer)
    }
}

#[test]
fn a_source_that_fails_is_an_error_after_the_entries_before_it() {
    let mut xml = b"<urlset><url><loc>http://a.example/1</loc></url>".to_vec();
    xml.resize(4_096, b' ');
    let mut reader = SitemapReader::open(Failing(&xml)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().location, "http://a.example/1");
    assert!(reader.next().unwrap().unwrap_err().is_transient());
    assert!(reader.next().is_none());
}

#[test]
fn a_tag_without_end_takes_no_memory_without_end() {
    let mut xml = b"<urlset><url><loc>http://a.example/1</loc></url><url x=\"".to_vec();
    xml.resize(5 * 1024 * 1024, b'x');
    xml.extend(b"\"></url><url><loc>http://a.example/2</loc></url></urlset>");
    let (entries, report) = read(&xml);
    assert_eq!(locations(&entries), ["http://a.example/1", "http://a.example/2"]);
    assert!(!report.is_whole());
}

#[test]
fn bounds_of_the_protocol_are_reported_and_not_enforced() {
    let mut text = String::new();
    for number in 0..50_001 {
        text.push_str(&format!("http://a.example/{number}\n"));
    }
    let (entries, report) = read(text.as_bytes());
    assert_eq!(entries.len(), 50_001);
    assert!(report.is_over_protocol());
}

proptest! {
    #[test]
    fn no_input_is_too_strange(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "<urlset>", "</urlset>", "<url>", "</url>", "<loc>", "</loc>", "<image:image>",
            "<image:loc>", "</image:loc>", "http://a.example/", "&amp;", "&", "&#0;", "<", ">",
            "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<!", "</", "<a b='", "'", "\u{feff}",
            "\0", "é", " ", "\n",
        ]),
        0..40,
    )) {
        let text = pieces.concat();
        if let Ok(mut reader) = SitemapReader::open(text.as_bytes()) {
            let read = reader.by_ref().count();
            prop_assert!(read <= text.len());
        }
    }
}
