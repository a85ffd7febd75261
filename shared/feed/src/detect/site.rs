//! A pipe for a source that turned out to be a page: its site is crawled.

use super::toml::quoted;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// First steps of paths that shops have their products under.
const PRODUCTS: [&str; 14] = [
    "products",
    "product",
    "p",
    "item",
    "items",
    "dp",
    "produkt",
    "produkte",
    "produit",
    "produits",
    "producto",
    "productos",
    "goods",
    "artikel",
];
/// Links of a page that make such a step more than a chance.
const LEAST_LINKS: usize = 3;

/// A web page in the place of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The pattern of the site's product pages, where the page's links show one.
    pub product: Option<String>,
}

impl Page {
    /// Looks at a page's links.
    pub(super) fn of(html: &str) -> Self {
        let mut links: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for path in html.split("href=").skip(1).filter_map(path) {
            let mut steps = path.split('/').filter(|step| !step.is_empty());
            let (first, rest) = (steps.next().unwrap_or_default(), steps.count());
            if rest == 1 && PRODUCTS.contains(&first) && seen.insert(path) {
                *links.entry(first).or_default() += 1;
            }
        }
        let most = links.into_iter().max_by_key(|(_, count)| *count);
        let product = most.filter(|(_, count)| *count >= LEAST_LINKS);
        Self { product: product.map(|(step, _)| format!("/{step}/*")) }
    }

    /// The file of a pipe that crawls the site. These lines, each with its end, say where it is and who asks.
    pub fn to_toml_at(&self, place: &str) -> String {
        let mut out = String::from(
            "# Proposed by feedfleet pipes detect: this is a web page, and no feed. If a feed was meant, the address\n\
             # is not the feed's. If there is none, this crawls the site.\n\
             schedule = \"0 2 * * *\"\ntimezone = \"UTC\"\n\n[source]\nkind = \"site\"\n",
        );
        out.push_str(place);
        out.push_str("\n[source.site]\n");
        match &self.product {
            Some(pattern) => writeln!(
                out,
                "product = {}   # from links of the page; no other pages are looked at for products",
                quoted(pattern)
            )
            .expect("a String takes any text"),
            None => out.push_str(
                "# product = \"/p/*\"   # pages that are products; without it every page is looked at\n",
            ),
        }
        out.push_str(
            "# follow = [\"/c/**\"]   # pages whose links are followed; without it all are\n",
        );
        out
    }
}

/// The path of an address in quotes that follows on `href=`.
fn path(rest: &str) -> Option<&str> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (address, _) = rest[1..].split_once(quote)?;
    let path = match address.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => address,
    };
    path.split(['?', '#']).next().filter(|path| path.starts_with('/') && !path.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_page_of_many_links_is_no_work() {
        let links: String = (0..250_000).map(|n| format!("<a href=\"/p/{n}\">")).collect();
        let began = Instant::now();
        assert_eq!(Page::of(&links).product.as_deref(), Some("/p/*"));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn links_show_where_products_are() {
        let page = |links: &[&str]| {
            let links: String =
                links.iter().map(|link| format!("<a href='{link}'>x</a>")).collect();
            Page::of(&format!("<!doctype html><html><body>{links}</body></html>")).product
        };
        let links = ["/p/1", "https://shop.example/p/2?a=b", "/p/3#x", "/p/3", "/about", "/p/4/x"];
        assert_eq!(page(&links).as_deref(), Some("/p/*"));
        assert_eq!(page(&links[..2]), None);
        assert_eq!(page(&["//cdn.example/p/1", "p/2", "mailto:a@b.example", "/p/1"]), None);
    }
}
