//! What a page says in its tags alone: JSON-LD, `<meta>` elements, its canonical address and its links, in one
//! pass and without a tree. Enough for most shops' pages, at a tenth of a tree's cost.

use crate::dom::is_json_ld;
use crate::json_ld::{JsonLd, json_ld};
use crate::links;
use crate::open_graph::OpenGraph;
use crate::robots_meta::RobotsMeta;
use crate::tags::{self, Attributes, TagEnd};
use memchr::memchr;
use std::borrow::Cow;
use url::Url;

/// What a scan of a page found. Of a well-formed page it is what [`Document`](crate::Document) finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan<'a> {
    /// The texts of its JSON-LD scripts.
    pub json_ld: Vec<Cow<'a, str>>,
    /// The names (`property`, else `name`) and contents of its `<meta>` elements.
    pub metas: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The text of its first `<title>`, as it stands there.
    pub title: Option<Cow<'a, str>>,
    /// The address that it prefers for itself, as written.
    pub canonical: Option<Cow<'a, str>>,
    /// The URL that its own are relative to, as written.
    pub base: Option<Cow<'a, str>>,
    /// Its links.
    pub links: Vec<Anchor<'a>>,
    /// Whether it has microdata, which only a tree can read.
    pub has_microdata: bool,
    /// Whether it has RDFa with a type, which only a tree can read.
    pub has_rdfa: bool,
}

/// A link as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor<'a> {
    /// Where it leads, not resolved.
    pub href: Cow<'a, str>,
    /// Whether the page asks crawlers not to follow it.
    pub rel_nofollow: bool,
}

/// Scans a page. Never fails; what is no HTML has nothing to say.
pub fn scan(html: &str) -> Scan<'_> {
    let mut scan = Scan::default();
    let mut at = 0;
    // Open drawings and formulas, where a tag may close itself.
    let mut foreign_depth = 0_usize;
    while let Some(offset) = memchr(b'<', &html.as_bytes()[at..]) {
        let start = at + offset + 1;
        let next = html.as_bytes().get(start).copied();
        let is_end_tag = next == Some(b'/');
        let name_start = start + usize::from(is_end_tag);
        if !html.as_bytes().get(name_start).is_some_and(u8::is_ascii_alphabetic) {
            at = match next {
                Some(b'!' | b'?' | b'/') => tags::comment_end(html, start),
                // A less-than sign.
                _ => start,
            };
            continue;
        }
        let name_end = tags::name_end(html, name_start);
        let name = &html[name_start..name_end];
        let mut attributes = Attributes::new(html, name_end);
        let own = Own::of(&mut attributes);
        let Some(end) = attributes.end else {
            break;
        };
        at = attributes.at;
        let is_foreign = name.eq_ignore_ascii_case("svg") || name.eq_ignore_ascii_case("math");
        if is_end_tag {
            foreign_depth = foreign_depth.saturating_sub(usize::from(is_foreign));
            continue;
        }
        foreign_depth += usize::from(is_foreign && end == TagEnd::Plain);
        scan.has_microdata |= own.is_item;
        scan.has_rdfa |= own.has_type;
        scan.element(name, &own);
        if name.eq_ignore_ascii_case("plaintext") {
            break;
        }
        let is_empty = end == TagEnd::SelfClosing && foreign_depth > 0;
        if tags::is_raw(name) && !is_empty {
            let content_end = tags::raw_end(html, at, name);
            let is_script = name.eq_ignore_ascii_case("script");
            if is_script && own.script_type.is_some_and(|own| is_json_ld(&tags::unescaped(own))) {
                scan.json_ld.push(tags::with_line_feeds(&html[at..content_end]));
            }
            // Drawings have titles, too.
            let is_title = name.eq_ignore_ascii_case("title") && foreign_depth == 0;
            if is_title && scan.title.is_none() {
                scan.title = Some(tags::unescaped(&html[at..content_end]));
            }
            at = content_end;
        }
    }
    scan
}

impl<'a> Scan<'a> {
    /// The items of the page's JSON-LD scripts.
    pub fn items(&self) -> JsonLd {
        json_ld(self.json_ld.iter().map(AsRef::as_ref))
    }

    /// The page's Open Graph properties.
    pub fn open_graph(&self) -> OpenGraph {
        OpenGraph::from_metas(self.meta_pairs())
    }

    /// What the page asks of crawlers.
    pub fn robots_meta(&self) -> RobotsMeta {
        RobotsMeta::from_metas(self.meta_pairs())
    }

    /// What the URLs of the page, found at `url`, are relative to.
    pub fn base_url(&self, url: &Url) -> Url {
        links::base_url(url, self.base.as_deref())
    }

    /// The address that the page, found at `url`, prefers for itself.
    pub fn canonical_url(&self, url: &Url) -> Option<Url> {
        links::web_url(&self.base_url(url), self.canonical.as_deref()?)
    }

    fn meta_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metas.iter().map(|(name, content)| (name.as_ref(), content.as_ref()))
    }

    fn element(&mut self, name: &str, own: &Own<'a>) {
        if name.eq_ignore_ascii_case("a") {
            if let Some(href) = own.href {
                let rel_nofollow = own.has_rel("nofollow");
                self.links.push(Anchor { href: tags::unescaped(href), rel_nofollow });
            }
        } else if name.eq_ignore_ascii_case("meta") {
            if let (Some(name), Some(content)) = (own.property.or(own.name), own.content) {
                let name = match tags::unescaped(name) {
                    Cow::Borrowed(name) => Cow::Borrowed(name.trim()),
                    Cow::Owned(name) => Cow::Owned(name.trim().to_owned()),
                };
                self.metas.push((name, tags::unescaped(content)));
            }
        } else if name.eq_ignore_ascii_case("link") {
            let href = own.href.map(tags::unescaped).filter(|href| !href.trim().is_empty());
            if self.canonical.is_none() && own.has_rel("canonical") {
                self.canonical = href;
            }
        } else if name.eq_ignore_ascii_case("base") && self.base.is_none() {
            self.base = own.href.map(tags::unescaped);
        }
    }
}

/// The attributes of one element that a scan looks at, as written; of several with one name the first.
#[derive(Debug, Default)]
struct Own<'a> {
    content: Option<&'a str>,
    href: Option<&'a str>,
    name: Option<&'a str>,
    property: Option<&'a str>,
    rel: Option<&'a str>,
    script_type: Option<&'a str>,
    is_item: bool,
    has_type: bool,
}

impl<'a> Own<'a> {
    fn of(attributes: &mut Attributes<'a>) -> Self {
        let mut own = Self::default();
        for (name, value) in attributes {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            let place = match name.len() {
                3 if is("rel") => &mut own.rel,
                4 if is("href") => &mut own.href,
                4 if is("name") => &mut own.name,
                4 if is("type") => &mut own.script_type,
                7 if is("content") => &mut own.content,
                8 if is("property") => &mut own.property,
                length => {
                    own.is_item |= length == 9 && is("itemscope");
                    own.has_type |= length == 6 && is("typeof");
                    continue;
                }
            };
            place.get_or_insert(value);
        }
        own
    }

    fn has_rel(&self, word: &str) -> bool {
        self.rel.is_some_and(|rel| links::has_rel(Some(&tags::unescaped(rel)), word))
    }
}

#[cfg(test)]
mod tests;
