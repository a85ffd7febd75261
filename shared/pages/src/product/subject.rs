//! What a page is about, by its own word: its address and its titles. Says which of several products on it is
//! the one it was made for.

use crate::document::Document;
use crate::dom;
use crate::open_graph::OpenGraph;
use crate::text::text_of;
use url::Url;

/// Most headings looked at.
const HEADINGS: usize = 8;

/// What a page is about.
#[derive(Debug)]
pub(crate) struct Subject {
    /// What its URLs are relative to.
    pub(crate) base: Url,
    /// Where it was found, and the address it prefers.
    pub(crate) addresses: Vec<Url>,
    /// The words of its titles.
    titles: Vec<Vec<String>>,
}

impl Subject {
    pub(crate) fn of(document: &Document, open_graph: &OpenGraph) -> Self {
        let mut addresses = vec![document.url().clone()];
        addresses.extend(document.canonical());
        let title = document.title();
        let mut subject =
            Self::new(document.base().clone(), addresses, open_graph, title.as_deref());
        let headings = dom::elements(document.html.root_element())
            .filter(|element| element.value().name() == "h1")
            .take(HEADINGS)
            .map(|heading| words(&text_of(heading)))
            .filter(|heading| !heading.is_empty());
        subject.titles.extend(headings);
        subject
    }

    /// By what is known without the tree of elements.
    pub(crate) fn new(
        base: Url,
        addresses: Vec<Url>,
        open_graph: &OpenGraph,
        title: Option<&str>,
    ) -> Self {
        let titles = [open_graph.first("og:title"), open_graph.first("twitter:title"), title];
        let titles = titles.into_iter().flatten().map(words).filter(|title| !title.is_empty());
        Self { base, addresses, titles: titles.collect() }
    }

    /// How much a name has in common with the best of the titles, in per cent.
    pub(crate) fn closeness(&self, name: &str) -> u32 {
        let name = words(name);
        self.titles.iter().map(|title| common_percent(&name, title)).max().unwrap_or(0)
    }

    /// Whether there is any title to be close to.
    pub(crate) fn has_titles(&self) -> bool {
        !self.titles.is_empty()
    }

    /// Whether a URL is the page's own. Scheme, `www.`, a slash at the end and the fragment don't matter; a query
    /// does where the URL has one.
    pub(crate) fn is_at(&self, reference: &str) -> bool {
        let Ok(url) = self.base.join(reference.trim()) else { return false };
        // The home page stands for the shop.
        url.path().len() > 1
            && self.addresses.iter().any(|own| {
                host(own) == host(&url)
                    && own.path().trim_end_matches('/') == url.path().trim_end_matches('/')
                    && (url.query().is_none() || url.query() == own.query())
            })
    }
}

fn host(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.strip_prefix("www.").unwrap_or(host)
}

/// The words of a text in lower case, each once, in alphabetical order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// How many of the words of both are in each, in per cent. Both as [`words`] gives them.
pub(crate) fn common_percent(one: &[String], other: &[String]) -> u32 {
    let common = one.iter().filter(|word| other.binary_search(word).is_ok()).count();
    let all = one.len() + other.len() - common;
    (common * 100).checked_div(all).unwrap_or_default() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(html: &str) -> Subject {
        let url = Url::parse("https://www.shop.example/pans/1?color=red").unwrap();
        let document = Document::parse(html, &url);
        Subject::of(&document, &document.open_graph())
    }

    #[test]
    fn a_name_is_close_to_the_best_title() {
        let page = subject("<title>Iron pan 28 cm | Shop</title><h1>Iron pan, 28 cm</h1>");
        assert_eq!(page.closeness("IRON PAN 28 CM"), 100);
        assert_eq!(page.closeness("Wooden spoon"), 0);
        assert!(page.has_titles() && !subject("").has_titles());
    }

    #[test]
    fn the_pages_own_address_is_known_in_its_spellings() {
        let page = subject("<link rel=canonical href=/pans/iron-pan>");
        for (url, expected) in [
            ("http://shop.example/pans/1/", true),
            ("/pans/1?color=red#top", true),
            ("/pans/1?color=blue", false),
            ("/pans/iron-pan", true),
            ("/pans/2", false),
            ("/", false),
        ] {
            assert_eq!(page.is_at(url), expected, "{url}");
        }
    }
}
