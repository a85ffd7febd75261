//! What a sitemap lists, judged, a portion at a time. For blocking threads.

use super::fetch::GZIP;
use super::page::PageReader;
use feedfleet_http::Url;
use feedfleet_site::{SitemapReader, UrlKind};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use tokio::sync::mpsc::Sender;

/// Entries that are handed on at once.
const PORTION: usize = 1_000;

/// Indexes of sitemaps in each other that are followed; the protocol knows one.
const MAX_INDEXES: u16 = 5;

/// An entry that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub url: String,
    pub kind: UrlKind,
    /// Of a sitemap: the indexes that it is in. Of a page: 0, none of its links is followed yet.
    pub depth: u16,
    /// The first picture that the sitemap names for the page.
    pub picture: Option<String>,
}

/// What a sitemap turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SitemapEnd {
    /// It was read to its end.
    Whole,
    /// Something in it, or behind what could be read, is missing.
    Broken(String),
    /// It is something else, such as a web page.
    NoSitemap(String),
}

/// Reads a sitemap that lies at `base`, in `depth` indexes, and hands its entries on.
pub(super) fn read(
    reader: &PageReader,
    base: &Url,
    depth: u16,
    bytes: &[u8],
    portions: &Sender<Vec<Listed>>,
) -> SitemapEnd {
    if bytes.starts_with(&GZIP) {
        read_plain(reader, base, depth, MultiGzDecoder::new(bytes), portions)
    } else {
        read_plain(reader, base, depth, bytes, portions)
    }
}

fn read_plain(
    reader: &PageReader,
    base: &Url,
    depth: u16,
    source: impl Read,
    portions: &Sender<Vec<Listed>>,
) -> SitemapEnd {
    let mut sitemap = match SitemapReader::open(source) {
        Ok(sitemap) => sitemap,
        Err(e) if e.is_transient() => return SitemapEnd::Broken(e.to_string()),
        Err(e) => return SitemapEnd::NoSitemap(e.to_string()),
    };
    let mut portion = Vec::new();
    let (mut elsewhere, mut too_deep) = (0_u64, 0_u64);
    let mut failed = None;
    for entry in sitemap.by_ref() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                failed = Some(e);
                break;
            }
        };
        let Some(url) = reader.canonical.resolve(base, &entry.location) else { continue };
        let kind = if entry.is_sitemap {
            let is_of_site = reader.is_of_site(&url);
            let is_too_deep = is_of_site && depth >= MAX_INDEXES;
            elsewhere += u64::from(!is_of_site);
            too_deep += u64::from(is_too_deep);
            (is_of_site && !is_too_deep).then_some(UrlKind::Sitemap)
        } else {
            match reader.judge(&url, 0) {
                Ok(UrlKind::Page) => Some(UrlKind::Listed),
                Ok(kind) => Some(kind),
                Err(_) => None,
            }
        };
        let Some(kind) = kind else { continue };
        let picture = entry.images.into_iter().next();
        let picture = picture.and_then(|link| base.join(&link).ok()).map(String::from);
        let depth = if kind == UrlKind::Sitemap { depth + 1 } else { 0 };
        portion.push(Listed { url: url.into(), kind, depth, picture });
        if portion.len() >= PORTION {
            // A receiver that has gone needs nothing more: the crawl has stopped.
            portions.blocking_send(std::mem::take(&mut portion)).ok();
        }
    }
    portions.blocking_send(portion).ok();
    match failed {
        Some(e) if e.is_transient() || sitemap.report().entries > 0 => {
            return SitemapEnd::Broken(e.to_string());
        }
        Some(e) => return SitemapEnd::NoSitemap(e.to_string()),
        None => {}
    }
    let report = sitemap.report();
    if let Some(cut) = &report.cut {
        SitemapEnd::Broken(cut.clone())
    } else if report.errors > 0 {
        SitemapEnd::Broken(format!("{} places are not well-formed", report.errors))
    } else if elsewhere > 0 {
        SitemapEnd::Broken(format!(
            "it names {elsewhere} sitemaps on hosts that do not belong to the site"
        ))
    } else if too_deep > 0 {
        SitemapEnd::Broken(format!("it names {too_deep} sitemaps and is in {depth} indexes itself"))
    } else {
        SitemapEnd::Whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_config::Location;
    use std::collections::BTreeMap;
    use std::path::Path;

    fn read_all(text: &str) -> (SitemapEnd, Vec<Listed>) {
        read_at(0, text)
    }

    fn read_at(depth: u16, text: &str) -> (SitemapEnd, Vec<Listed>) {
        let pipe = "[source]\nkind = 'site'\nurl = 'https://shop.example/'\n\
                    [source.site]\nproduct = '/p/*'\n";
        let name = "acme".parse().unwrap();
        let environment = BTreeMap::new();
        let pipe = feedfleet_config::parse_pipe(&name, pipe, Path::new("/"), &environment);
        let Location::Site(site) = pipe.unwrap().source.location else { panic!("a site") };
        let reader = PageReader::new(&site, 1 << 30).unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(100);
        let base = Url::parse("https://shop.example/sitemap.xml").unwrap();
        let read = read(&reader, &base, depth, text.as_bytes(), &sender);
        drop(sender);
        let mut all = Vec::new();
        while let Some(portion) = receiver.blocking_recv() {
            all.extend(portion);
        }
        (read, all)
    }

    #[test]
    fn entries_are_judged_and_pictures_kept() {
        let (read, listed) = read_all(
            "<urlset xmlns:image='x'><url><loc>https://shop.example/p/1?gclid=1</loc>\
             <image:image><image:loc>/1.jpg</image:loc></image:image></url>\
             <url><loc>https://shop.example/c</loc></url></urlset>",
        );
        assert_eq!(read, SitemapEnd::Whole);
        let product = Listed {
            url: "https://shop.example/p/1".to_owned(),
            kind: UrlKind::Product,
            depth: 0,
            picture: Some("https://shop.example/1.jpg".to_owned()),
        };
        assert_eq!(listed[0], product);
        assert_eq!(listed[1].kind, UrlKind::Listed);
    }

    #[test]
    fn what_is_not_whole_is_told() {
        let (read, listed) = read_all("<urlset><url><loc>https://shop.example/a</loc></url>");
        assert!(matches!(read, SitemapEnd::Broken(_)) && listed.len() == 1, "{read:?}");
        let (read, _) = read_all("<!DOCTYPE html><html><body>Not found</body></html>");
        assert!(matches!(read, SitemapEnd::NoSitemap(_)), "{read:?}");
        let (read, listed) =
            read_all("<urlset><url><loc>https://cdn.example/a</loc></url></urlset>");
        assert!(read == SitemapEnd::Whole && listed.is_empty(), "{read:?}");
        let index =
            "<sitemapindex><sitemap><loc>https://cdn.example/s.xml</loc></sitemap></sitemapindex>";
        assert!(matches!(read_all(index).0, SitemapEnd::Broken(_)));
    }

    #[test]
    fn indexes_in_indexes_come_to_an_end() {
        let index =
            "<sitemapindex><sitemap><loc>https://shop.example/s.xml</loc></sitemap></sitemapindex>";
        let (read, listed) = read_at(4, index);
        assert_eq!((read, listed[0].depth), (SitemapEnd::Whole, 5));
        let (read, listed) = read_at(5, index);
        assert!(matches!(read, SitemapEnd::Broken(_)) && listed.is_empty(), "{read:?}");
        let (read, listed) =
            read_at(5, "<urlset><url><loc>https://shop.example/p/1</loc></url></urlset>");
        assert_eq!((read, listed[0].depth), (SitemapEnd::Whole, 0));
    }
}
