//! What a page gives: its products, as lines of the run's snapshot, and its links, judged. For blocking threads.

use super::links::{LinkMemory, Target};
use feedfleet_config::{PAGE_NOTES, PageSelector, Site, host_key};
use feedfleet_feed::page_text;
use feedfleet_http::Url;
use feedfleet_pages::{Field, Product, Scan, Selectors, extract_page, scan, web_url};
use feedfleet_site::{Canonical, LinkKind, Rules, Skip, UrlKind};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Products of a page are read anew, whatever servers say of its state, when this is raised: with every change of what the
/// reading of pages finds.
const EXTRACTION_VERSION: u32 = 8;
/// Bytes of the largest page that is parsed into a tree, which takes some dozen times as much memory. Larger ones are
/// scanned for their JSON-LD and links.
const MAX_TREE_BYTES: u64 = 4 << 20;
/// A tree of the largest page may take this part of a crawl's memory.
const TREE_SHARE: u64 = 48;

/// Reads the pages of one site.
pub(crate) struct PageReader {
    pub(super) canonical: Canonical,
    rules: Rules,
    selectors: Selectors,
    hosts: BTreeSet<String>,
    has_product_rules: bool,
    follows_links: bool,
    max_tree_bytes: u64,
    links: LinkMemory,
}

/// A page as it came.
pub(crate) struct PageSource<'a> {
    pub url: &'a Url,
    /// Links since a start URL or a sitemap.
    pub depth: u16,
    pub bytes: &'a [u8],
    pub content_type: Option<&'a str>,
}

/// What a page gives.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub products: Vec<Product>,
    pub links: Vec<(String, UrlKind)>,
    /// Links that limits keep out, which another crawl might follow.
    pub cut: Vec<(Skip, Arc<str>)>,
    pub broken_json_ld: usize,
    /// It asks not to be indexed.
    pub noindex: bool,
    /// It is too large to be read for products, or made to be slow: what it has is unknown.
    pub is_unread: bool,
}

/// The state of a page, as its server names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PageTag {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl PageReader {
    /// The reader of a site's pages within `memory_bytes`; the error says which setting can't be used.
    pub(crate) fn new(site: &Site, memory_bytes: u64) -> Result<Self, String> {
        let rules =
            Rules::new(&site.roots(), &site.rules, &site.limits).map_err(|e| e.to_string())?;
        let selectors: Vec<(&str, &str, Option<&str>)> =
            site.selectors.iter().map(PageSelector::parts).collect();
        Ok(Self {
            canonical: Canonical::new(&site.canonical),
            rules,
            selectors: Selectors::compile(&selectors).map_err(|e| e.to_string())?,
            hosts: site.host_keys(),
            has_product_rules: !site.rules.product.is_empty(),
            follows_links: site.follows_links,
            max_tree_bytes: (memory_bytes / TREE_SHARE).min(MAX_TREE_BYTES),
            links: LinkMemory::default(),
        })
    }

    /// Reads a page.
    pub(crate) fn read(&self, source: &PageSource<'_>) -> Page {
        let text = page_text(source.bytes, source.content_type);
        let found = scan(&text);
        let meta = found.robots_meta();
        let mut page = Page { noindex: meta.noindex, ..Page::default() };
        let is_product = self.judge(source.url, 0) == Ok(UrlKind::Product);
        if !meta.noindex && (is_product || !self.has_product_rules) {
            let (selectors, max_bytes) = (&self.selectors, self.max_tree_bytes);
            match extract_page(&text, &found, source.url, selectors, max_bytes) {
                Some(told) => {
                    (page.products, page.broken_json_ld) = (told.products, told.broken_json_ld);
                }
                None => page.is_unread = true,
            }
        }
        if self.follows_links && !meta.nofollow {
            self.add_links(&found, source, &mut page);
        }
        page
    }

    fn add_links(&self, found: &Scan<'_>, source: &PageSource<'_>, page: &mut Page) {
        let base = found.base_url(source.url);
        let depth = source.depth.saturating_add(1);
        let followed = found.links.iter().filter(|anchor| !anchor.rel_nofollow);
        let mut seen = HashSet::new();
        let mut known = self.links.take();
        known.resolve(
            followed.map(|anchor| anchor.href.as_ref()),
            &base,
            depth,
            |href| {
                let url = self.canonical.apply(web_url(&base, href)?)?;
                let kind = self.judge(&url, depth);
                Some(Target { url: String::from(url).into(), kind })
            },
            |target| match target.kind {
                Err(skip) if !skip.is_cut() => {}
                kind if seen.insert(target.url.clone()) => match kind {
                    Ok(kind) => page.links.push((target.url.to_string(), kind)),
                    Err(skip) => page.cut.push((skip, target.url.clone())),
                },
                _ => {}
            },
        );
        self.links.put_back(known);
    }

    /// What a canonical URL is to the crawl.
    pub(crate) fn judge(&self, url: &Url, depth: u16) -> Result<UrlKind, Skip> {
        if !self.is_of_site(url) {
            return Err(Skip::OtherSite);
        }
        Ok(match self.rules.judge(url, depth)? {
            LinkKind::Product => UrlKind::Product,
            LinkKind::Page => UrlKind::Page,
        })
    }

    /// Whether a URL is on a host of the site.
    pub(super) fn is_of_site(&self, url: &Url) -> bool {
        host_key(url).is_some_and(|key| self.hosts.contains(&key))
    }
}

/// What decides which products pages give, besides the pages.
pub(super) fn extraction(site: &Site) -> String {
    format!("{EXTRACTION_VERSION}-{}", site.extraction_fingerprint())
}

/// The products of a page as lines of a snapshot. `picture`: what a sitemap names, for products without one.
pub(crate) fn lines(
    products: &[Product],
    url: &str,
    tag: &PageTag,
    picture: Option<&str>,
) -> serde_json::Result<Vec<u8>> {
    let [page_url, page_etag, page_modified, page_picture] = PAGE_NOTES;
    let mut lines = Vec::new();
    for product in products {
        let mut line: BTreeMap<&str, &str> = BTreeMap::new();
        for (field, value) in &product.fields {
            line.insert(field.name(), &value.text);
        }
        let image_link = Field::ImageLink.name();
        if let Some(picture) = picture
            && !line.contains_key(image_link)
        {
            line.extend([(image_link, picture), (page_picture, picture)]);
        }
        line.insert(page_url, url);
        line.extend(tag.etag.as_deref().map(|etag| (page_etag, etag)));
        line.extend(tag.last_modified.as_deref().map(|modified| (page_modified, modified)));
        serde_json::to_writer(&mut lines, &line)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_config::{Location, PAGE_FIELDS};
    use std::path::Path;

    fn reader(rest: &str) -> PageReader {
        let text = format!("[source]\nkind = 'site'\nurl = 'https://shop.example/'\n{rest}");
        let name = "acme".parse().unwrap();
        let environment = BTreeMap::new();
        let pipe = feedfleet_config::parse_pipe(&name, &text, Path::new("/"), &environment);
        let Location::Site(site) = pipe.unwrap().source.location else { panic!("a site") };
        PageReader::new(&site, 1 << 30).unwrap()
    }

    fn read(reader: &PageReader, path: &str, html: &str) -> Page {
        let url = Url::parse("https://shop.example/").unwrap().join(path).unwrap();
        let (bytes, content_type) = (html.as_bytes(), Some("text/html; charset=utf-8"));
        reader.read(&PageSource { url: &url, depth: 0, bytes, content_type })
    }

    const PRODUCT: &str = r#"<title>Pan</title><link rel=canonical href="/p/1">
        <script type="application/ld+json">{"@context":"https://schema.org","@type":"Product",
        "name":"Pan","sku":"A1","brand":"Acme","image":"/1.jpg","offers":{"@type":"Offer",
        "price":"24.99","priceCurrency":"EUR","availability":"https://schema.org/InStock"}}</script>
        <a href="/p/2?utm_source=x">2</a><a href="/p/2">2</a><a rel=nofollow href="/p/3">3</a>
        <a href="https://elsewhere.example/">x</a><a href="/about">a</a>"#;

    #[test]
    fn fields_have_the_names_that_the_configuration_knows() {
        let names: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names, PAGE_FIELDS);
    }

    #[test]
    fn a_page_gives_products_and_links() {
        let page = read(&reader("[source.site]\nproduct = '/p/*'"), "/p/1", PRODUCT);
        assert_eq!(page.products.len(), 1);
        assert_eq!(page.products[0].get(Field::Price), Some("24.99"));
        let links: Vec<(&str, UrlKind)> =
            page.links.iter().map(|(url, kind)| (url.as_str(), *kind)).collect();
        assert_eq!(
            links,
            [
                ("https://shop.example/p/2", UrlKind::Product),
                ("https://shop.example/about", UrlKind::Page)
            ]
        );
        let tag = PageTag { etag: Some("\"v1\"".to_owned()), last_modified: None };
        let url = "https://shop.example/p/1";
        let lines =
            String::from_utf8(lines(&page.products, url, &tag, Some("x")).unwrap()).unwrap();
        let line: BTreeMap<String, String> = serde_json::from_str(&lines).unwrap();
        assert_eq!((line["id"].as_str(), line["page_etag"].as_str()), ("A1", "\"v1\""));
        assert_eq!(line["image_link"], "https://shop.example/1.jpg", "its own comes first");
        assert!(lines.ends_with("}\n") && !line.contains_key("page_modified"));
        assert!(!line.contains_key("page_picture"), "{lines}");
        let bare = PRODUCT.replace(r#""image":"/1.jpg","#, "");
        let page = read(&reader(""), "/p/1", &bare);
        let lines = super::lines(&page.products, url, &tag, Some("x")).unwrap();
        let line: BTreeMap<String, String> = serde_json::from_slice(&lines).unwrap();
        assert_eq!((line["image_link"].as_str(), line["page_picture"].as_str()), ("x", "x"));
    }

    #[test]
    fn what_a_page_asks_of_crawlers_is_done() {
        let asking = |words: &str| format!("<meta name=robots content='{words}'>{PRODUCT}");
        let reader = reader("");
        let page = read(&reader, "/p/1", &asking("noindex"));
        assert!(page.products.is_empty() && page.noindex && !page.links.is_empty());
        let page = read(&reader, "/p/1", &asking("nofollow"));
        assert!(page.links.is_empty() && page.products.len() == 1);
    }

    #[test]
    fn product_rules_and_selectors_decide_what_is_read() {
        let rules = reader("[source.site]\nproduct = '/x/*'\nlinks = false");
        let page = read(&rules, "/p/1", PRODUCT);
        assert!(page.products.is_empty() && page.links.is_empty());
        let selected = reader("[source.selectors]\nbrand = 'title'");
        let page = read(&selected, "/p/1", PRODUCT);
        assert_eq!(page.products[0].get(Field::Brand), Some("Pan"));
    }

    #[test]
    fn a_page_that_cannot_be_read_whole_does_not_pass_for_one_without_products() {
        let reader = PageReader { max_tree_bytes: 10_000, ..reader("") };
        let long = "<p>x</p>".repeat(2_000);
        let page = read(&reader, "/p/1", &format!("{PRODUCT}{long}"));
        assert!(!page.is_unread && page.products.len() == 1, "its JSON-LD says all");
        let page = read(&reader, "/p/1", &format!("<a href=/p/2>2</a>{long}"));
        assert!(page.is_unread && page.links.len() == 1);
        let page = read(&reader, "/p/1", &"<div>".repeat(1_999));
        assert!(page.is_unread, "nobody nests elements so deep");
        let head = "<meta property=og:type content=product><title>Pan</title><h1>Pan</h1>";
        let page = read(
            &self::reader(""),
            "/p/1",
            &format!("{head}{}<p class=price>9,00 €</p>", "<div>".repeat(2_000)),
        );
        assert!(page.is_unread && page.products.is_empty(), "its price is behind the cut");
        let page = read(&reader, "/p/1", "<p>About us</p>");
        assert!(!page.is_unread);
        let rules = self::reader("[source.site]\nproduct = '/x/*'");
        let rules = PageReader { max_tree_bytes: 10_000, ..rules };
        assert!(!read(&rules, "/p/1", &long).is_unread, "it is none of a product");
    }
}
