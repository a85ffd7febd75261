//! A page as a tree of elements, and what it says of itself in the ways that standards give it.

use crate::dom::{self, attribute, filled_attribute};
use crate::item::Item;
use crate::json_ld::{JsonLd, json_ld};
use crate::links;
use crate::microdata::microdata;
use crate::open_graph::OpenGraph;
use crate::rdfa::rdfa;
use crate::robots_meta::RobotsMeta;
use crate::scan::Anchor;
use crate::text::text_of;
use crate::tree;
use scraper::{ElementRef, Html};
use std::borrow::Cow;
use url::Url;

/// What HTML's own elements are in, other than SVG's.
const HTML_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// A parsed page. It belongs to one thread: the tree counts its references without locks.
#[derive(Debug)]
pub struct Document {
    pub(crate) html: Html,
    url: Url,
    base: Url,
    is_whole: bool,
}

impl Document {
    /// Parses a page as a browser does, which never fails, within bounds of time and memory: [`Document::is_whole`].
    /// `url` is where it was found.
    pub fn parse(html: &str, url: &Url) -> Self {
        let (html, is_whole) = tree::parse(html);
        let base_href = dom::elements(html.root_element())
            .filter(|element| element.value().name() == "base")
            .find_map(|element| attribute(element, "href"));
        let base = links::base_url(url, base_href);
        Self { html, url: url.clone(), base, is_whole }
    }

    /// Whether all of the page is in the tree. One that nests its elements deeper than any browser shows, or opens them
    /// again and again, is read up to there.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Where the page was found.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What its URLs are relative to.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The items of its JSON-LD scripts.
    pub fn json_ld(&self) -> JsonLd {
        let is_json_ld =
            |element: &ElementRef<'_>| attribute(*element, "type").is_some_and(dom::is_json_ld);
        let scripts: Vec<String> =
            self.named("script").filter(is_json_ld).map(|script| script.text().collect()).collect();
        json_ld(scripts.iter().map(String::as_str))
    }

    /// The items of its microdata that are no property of another.
    pub fn microdata(&self) -> Vec<Item> {
        microdata(&self.html, &self.base)
    }

    /// The items of its RDFa that are no property of another.
    pub fn rdfa(&self) -> Vec<Item> {
        rdfa(&self.html, &self.base)
    }

    /// Its Open Graph properties.
    pub fn open_graph(&self) -> OpenGraph {
        OpenGraph::from_metas(self.metas())
    }

    /// The address it prefers for itself.
    pub fn canonical(&self) -> Option<Url> {
        self.named("link")
            .filter(|link| links::has_rel(attribute(*link, "rel"), "canonical"))
            .find_map(|link| filled_attribute(link, "href"))
            .and_then(|href| links::web_url(&self.base, href))
    }

    /// What it asks of crawlers.
    pub fn robots_meta(&self) -> RobotsMeta {
        RobotsMeta::from_metas(self.metas())
    }

    /// Its links, as written and in its order.
    pub fn links(&self) -> impl Iterator<Item = Anchor<'_>> {
        self.named("a").filter_map(|anchor| {
            let href = Cow::Borrowed(attribute(anchor, "href")?);
            let rel_nofollow = links::has_rel(attribute(anchor, "rel"), "nofollow");
            Some(Anchor { href, rel_nofollow })
        })
    }

    /// The text of its `<title>`; none for a blank one.
    pub fn title(&self) -> Option<String> {
        // Drawings have titles, too.
        self.named("title")
            .find(|title| &*title.value().name.ns == HTML_NAMESPACE)
            .map(text_of)
            .filter(|title| !title.is_empty())
    }

    /// The names (`property`, else `name`) and contents of its `<meta>` elements.
    pub(crate) fn metas(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named("meta").filter_map(|meta| {
            let name = attribute(meta, "property").or_else(|| attribute(meta, "name"))?;
            Some((name.trim(), attribute(meta, "content")?))
        })
    }

    fn named(&self, name: &'static str) -> impl Iterator<Item = ElementRef<'_>> {
        dom::elements(self.html.root_element())
            .filter(move |element| element.value().name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(html: &str) -> Document {
        Document::parse(html, &Url::parse("https://shop.example/pans/1?a=b").unwrap())
    }

    #[test]
    fn urls_are_relative_to_the_base() {
        let page = document(
            "<base target=x><base href='/de/'><base href='/fr/'><link rel='Canonical' href=' pan '>\
             <a href=next>n</a><a href='#top' rel='external nofollow'>t</a><a>none</a>\
             <a href='mailto:x@y.example'>m</a>",
        );
        assert_eq!(page.canonical().unwrap().as_str(), "https://shop.example/de/pan");
        let links: Vec<(Option<String>, bool)> = page
            .links()
            .map(|link| {
                let url = links::web_url(page.base(), &link.href);
                (url.map(String::from), link.rel_nofollow)
            })
            .collect();
        assert_eq!(
            links,
            [
                (Some("https://shop.example/de/next".to_owned()), false),
                (Some("https://shop.example/de/#top".to_owned()), true),
                (None, false),
            ]
        );
    }

    #[test]
    fn the_head_is_read() {
        let page = document(
            "<svg><title>Logo</title></svg><title> A  pan </title>\
             <meta property=' og:title ' name=x content='Pan'><meta name=Robots content=noindex>",
        );
        assert_eq!(page.title().as_deref(), Some("A pan"));
        assert_eq!(page.open_graph().first("og:title"), Some("Pan"));
        assert_eq!(page.robots_meta(), RobotsMeta { noindex: true, nofollow: false });
        assert_eq!(page.canonical(), None);
        assert_eq!(page.url().as_str(), page.base().as_str());
    }

    #[test]
    fn scripts_of_every_spelling_of_the_type_are_read() {
        let page = document(
            "<script type='application/ld&#x2B;json; charset=utf-8'>{\"@type\":\"Product\"}</script>\
             <script type='APPLICATION/LD+JSON'>{\"@type\":\"Offer\"}</script>\
             <script>{\"@type\":\"Not\"}</script>",
        );
        let read = page.json_ld();
        let types: Vec<&str> = read.items.iter().map(|item| item.types[0].as_str()).collect();
        assert_eq!(types, ["Product", "Offer"]);
        assert_eq!(read.broken, 0);
    }
}
