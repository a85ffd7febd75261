//! Where the links of a site's pages lead. A shop has its menus on every page: what comes of a link as it is written is found
//! out once, and remembered.

use feedfleet_http::Url;
use feedfleet_site::{Skip, UrlKind};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

/// Links that a reader remembers; then it begins anew. Some 300 bytes each, 2 KiB at most.
const MAX_LINKS: usize = 8_192;
/// Bytes of the longest link that is remembered, and of the longest origin of which any is.
const MAX_LINK_BYTES: usize = 512;
/// Bytes of the longest address of a target that is remembered.
const MAX_TARGET_BYTES: usize = 1_024;

/// Where a link leads, in its canonical form, and what that is to the crawl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub url: Arc<str>,
    pub kind: Result<UrlKind, Skip>,
}

/// What is remembered of links. Each reader of pages takes a memory of its own for a page, so that none waits for another.
#[derive(Debug, Default)]
pub(super) struct LinkMemory {
    idle: Mutex<Vec<KnownLinks>>,
}

impl LinkMemory {
    pub(super) fn take(&self) -> KnownLinks {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn put_back(&self, known: KnownLinks) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(known);
    }
}

/// Targets of links as written, by what else decides where they lead: the origin of the page's base, and the page's depth.
#[derive(Debug, Default)]
pub(super) struct KnownLinks {
    pages: HashMap<(String, u16), HashMap<Box<str>, Option<Target>>>,
    count: usize,
}

impl KnownLinks {
    /// Gives `use_target` where each link of a page leads, in the page's order; links that lead to no page are left out.
    /// `find` finds that out, of a link that is not remembered.
    pub(super) fn resolve<'a>(
        &mut self,
        hrefs: impl Iterator<Item = &'a str>,
        base: &Url,
        depth: u16,
        find: impl Fn(&str) -> Option<Target>,
        mut use_target: impl FnMut(&Target),
    ) {
        if self.count >= MAX_LINKS {
            *self = Self::default();
        }
        let origin = base.origin().ascii_serialization();
        // Others have an origin, too, and lead nowhere.
        let is_of_web = matches!(base.scheme(), "http" | "https");
        let mut known = if is_of_web && origin.len() <= MAX_LINK_BYTES {
            Some(match self.pages.entry((origin, depth)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    // Every page may name another base.
                    self.count += 1;
                    new.insert(HashMap::new())
                }
            })
        } else {
            None
        };
        for href in hrefs {
            let href = href.trim();
            if let Some(target) = known.as_deref().and_then(|known| known.get(href)) {
                target.iter().for_each(&mut use_target);
                continue;
            }
            let target = find(href);
            target.iter().for_each(&mut use_target);
            let target_bytes = target.as_ref().map_or(0, |target| target.url.len());
            let is_short = href.len() <= MAX_LINK_BYTES && target_bytes <= MAX_TARGET_BYTES;
            if let Some(known) = known.as_deref_mut()
                && is_of_origin(href)
                && is_short
                && self.count < MAX_LINKS
            {
                known.insert(href.into(), target);
                self.count += 1;
            }
        }
    }
}

/// Whether a link leads to the same place from every page of an origin: it has a path from the root, or is whole.
fn is_of_origin(href: &str) -> bool {
    let mut bytes = href.bytes();
    // What else follows the slash may begin a host.
    let is_rooted =
        bytes.next() == Some(b'/') && bytes.next().is_none_or(|byte| byte.is_ascii_alphanumeric());
    is_rooted || href.starts_with("https://") || href.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Resolves links of a page with what is known; gives where they lead, and how many had to be found out.
    fn resolve(
        known: &mut KnownLinks,
        base: &str,
        depth: u16,
        hrefs: &[&str],
    ) -> (Vec<String>, usize) {
        let base = Url::parse(base).unwrap();
        let found = Cell::new(0);
        let mut targets = Vec::new();
        known.resolve(
            hrefs.iter().copied(),
            &base,
            depth,
            |href| {
                found.set(found.get() + 1);
                let url: String = base.join(href).ok()?.into();
                Some(Target { url: url.into(), kind: Ok(UrlKind::Page) })
            },
            |target| targets.push(target.url.to_string()),
        );
        (targets, found.get())
    }

    #[test]
    fn what_was_found_out_is_remembered_for_the_origin_and_the_depth() {
        let mut known = KnownLinks::default();
        let links = ["/c/1", "https://b.example/2", " /c/1 ", "/", "http://["];
        let leads = [
            "https://a.example/c/1",
            "https://b.example/2",
            "https://a.example/c/1",
            "https://a.example/",
        ];
        let first = resolve(&mut known, "https://a.example/p/1", 1, &links);
        assert_eq!(first, (leads.map(str::to_owned).to_vec(), 4));
        let again = resolve(&mut known, "https://a.example/p/2?x#y", 1, &links);
        assert_eq!(again, (first.0, 0));
        assert_eq!(resolve(&mut known, "https://a.example/", 2, &links[..1]).1, 1);
        let (elsewhere, found) = resolve(&mut known, "https://c.example/", 1, &links[..1]);
        assert_eq!((elsewhere[0].as_str(), found), ("https://c.example/c/1", 1));
    }

    #[test]
    fn what_depends_on_the_page_is_not_remembered() {
        let links = [
            "c",
            "?page=2",
            "#top",
            "../c",
            "//c.example/",
            "/\\c.example/",
            "/\t/c.example/",
            "https:c",
            "",
        ];
        let mut known = KnownLinks::default();
        for base in ["https://a.example/x/y", "https://a.example/z/"] {
            let base_url = Url::parse(base).unwrap();
            let expected: Vec<String> =
                links.iter().map(|link| base_url.join(link).unwrap().into()).collect();
            assert_eq!(resolve(&mut known, base, 1, &links), (expected, links.len()), "{base}");
        }
        let long = format!("/{}", "x".repeat(MAX_LINK_BYTES));
        for _ in 0..2 {
            assert_eq!(resolve(&mut known, "https://a.example/", 1, &[&long]).1, 1);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut known = KnownLinks::default();
        let links: Vec<String> = (0..MAX_LINKS + 10).map(|n| format!("/{n}")).collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        let (first, found) = resolve(&mut known, "https://a.example/", 1, &links);
        assert_eq!((first.len(), found, known.count), (links.len(), links.len(), MAX_LINKS));
        assert_eq!(resolve(&mut known, "https://a.example/", 1, &links[..1]).1, 1, "begun anew");
        assert_eq!(known.count, 2);
        for n in 0..2 * MAX_LINKS {
            resolve(&mut known, &format!("https://{n}.example/"), 1, &["a"]);
        }
        assert!(known.pages.len() <= MAX_LINKS, "{}", known.pages.len());
    }

    #[test]
    fn what_is_long_is_not_remembered() {
        let mut known = KnownLinks::default();
        let host = vec!["x".repeat(60); 9].join(".");
        // In an address, each of these letters is six.
        let link = format!("/a{}", "ä".repeat(250));
        assert!(host.len() > MAX_LINK_BYTES && link.len() <= MAX_LINK_BYTES);
        for _ in 0..2 {
            assert_eq!(resolve(&mut known, &format!("https://{host}/"), 1, &["/c"]).1, 1);
        }
        assert_eq!((known.pages.len(), known.count), (0, 0));
        for _ in 0..2 {
            let (leads, found) = resolve(&mut known, "https://a.example/", 1, &[&link]);
            assert!(leads[0].len() > MAX_TARGET_BYTES && found == 1, "{leads:?}");
        }
        assert_eq!(known.count, 1, "the origin");
    }

    #[test]
    fn a_base_that_is_not_of_the_web_is_neither_remembered_nor_looked_up() {
        let mut known = KnownLinks::default();
        for found_of_web in [1, 0] {
            let (nowhere, found) = resolve(&mut known, "blob:https://a.example/x", 1, &["/c"]);
            assert_eq!((nowhere.len(), found), (0, 1));
            let (leads, found) = resolve(&mut known, "https://a.example/", 1, &["/c"]);
            assert_eq!((leads[0].as_str(), found), ("https://a.example/c", found_of_web));
        }
    }

    #[test]
    fn a_memory_is_used_again() {
        let memory = LinkMemory::default();
        let mut known = memory.take();
        resolve(&mut known, "https://a.example/", 1, &["/c"]);
        memory.put_back(known);
        assert_eq!(memory.take().count, 2);
        assert_eq!(memory.take().count, 0);
    }
}
