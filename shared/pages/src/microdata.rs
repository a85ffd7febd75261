//! Microdata: `itemscope`, `itemtype`, `itemprop`, `itemref`, `itemid`, as WHATWG's standard reads them, and where
//! shops do it otherwise, as they mean it.

use crate::dom::{attribute, children_reversed, elements, filled_attribute};
use crate::item::{Item, Value, short_name};
use crate::text::{resolve, text_of};
use scraper::{ElementRef, Html};
use std::collections::{HashMap, HashSet};
use url::Url;

/// How deep items nest; what lies deeper is left out.
const MAX_DEPTH: usize = 16;
/// Elements looked at in one page. Items that share elements by `itemref` look at them again and again.
const MAX_VISITS: usize = 1_000_000;
/// Elements around one that are looked at.
const MAX_ANCESTORS: usize = 256;
/// Bytes of texts in the values of one page. A text within many properties is in each of them, and a value of many
/// properties too.
const MAX_BYTES: usize = 32 << 20;
/// Bytes that a value costs besides its text.
const VALUE_BYTES: usize = 128;
/// Bytes of a text that may be the name of an item without properties.
const MAX_NAME_BYTES: usize = 256;

/// The items of a page that are no property of another, in the page's order, and those whose `itemprop` belongs
/// to no item.
pub(crate) fn microdata(html: &Html, base: &Url) -> Vec<Item> {
    let root = html.root_element();
    let scopes: Vec<ElementRef<'_>> = elements(root).filter(|element| is_scope(*element)).collect();
    if scopes.is_empty() {
        return Vec::new();
    }
    let mut reader = Reader {
        base,
        by_id: HashMap::new(),
        referenced: elements(root)
            .filter_map(|element| attribute(element, "itemref"))
            .flat_map(str::split_ascii_whitespace)
            .collect(),
        path: Vec::new(),
        visits_left: MAX_VISITS,
        bytes_left: MAX_BYTES,
    };
    if !reader.referenced.is_empty() {
        for element in elements(root) {
            if let Some(id) = attribute(element, "id") {
                reader.by_id.entry(id).or_insert(element);
            }
        }
    }
    let top: Vec<ElementRef<'_>> = scopes
        .into_iter()
        .filter(|scope| attribute(*scope, "itemprop").is_none() || reader.is_orphan(*scope))
        .collect();
    let items = top.into_iter().map(|scope| reader.item(scope));
    items.filter(|item| !item.types.is_empty() || !item.properties.is_empty()).collect()
}

struct Reader<'a> {
    base: &'a Url,
    by_id: HashMap<&'a str, ElementRef<'a>>,
    /// The identifiers that some `itemref` names.
    referenced: HashSet<&'a str>,
    /// The items around the one at hand.
    path: Vec<ElementRef<'a>>,
    visits_left: usize,
    bytes_left: usize,
}

impl<'a> Reader<'a> {
    /// Whether no item has this one as a property, though it is meant as one.
    fn is_orphan(&self, scope: ElementRef<'a>) -> bool {
        let is_named = |element: ElementRef<'a>| {
            attribute(element, "id").is_some_and(|id| self.referenced.contains(id))
        };
        let mut around = scope.ancestors().take(MAX_ANCESTORS).filter_map(ElementRef::wrap);
        !is_named(scope) && !around.any(|element| is_scope(element) || is_named(element))
    }

    fn item(&mut self, scope: ElementRef<'a>) -> Item {
        self.path.push(scope);
        let types = attribute(scope, "itemtype").unwrap_or_default().split_ascii_whitespace();
        let mut item = Item {
            types: types.map(|name| short_name(name).to_owned()).collect(),
            id: filled_attribute(scope, "itemid").map(|id| self.url(id)),
            ..Item::default()
        };
        self.properties(children_reversed(scope).collect(), &mut item);
        for id in attribute(scope, "itemref").unwrap_or_default().split_ascii_whitespace() {
            let Some(target) = self.by_id.get(id).copied().filter(|target| *target != scope) else {
                continue;
            };
            // Of an item that is nobody's property its properties are meant.
            let is_item = is_scope(target) && attribute(target, "itemprop").is_none();
            let found = if is_item { children_reversed(target).collect() } else { vec![target] };
            self.properties(found, &mut item);
        }
        if item.properties.is_empty() {
            // `<span itemprop="brand" itemscope itemtype="https://schema.org/Brand">Acme</span>`
            let name = text_of(scope);
            if !name.is_empty() && name.len() <= MAX_NAME_BYTES {
                item.push("name", Value::Text(name));
            }
        }
        self.path.pop();
        item
    }

    /// Adds the properties found in these elements, the last one first, and in what is in them.
    fn properties(&mut self, mut stack: Vec<ElementRef<'a>>, item: &mut Item) {
        while let Some(element) = stack.pop() {
            if self.visits_left == 0 {
                return;
            }
            self.visits_left -= 1;
            if let Some(names) = filled_attribute(element, "itemprop")
                && let Some(value) = self.value(element)
            {
                for (copies, name) in names.split_ascii_whitespace().enumerate() {
                    if copies > 0 && !self.pay(bytes_of(&value)) {
                        break;
                    }
                    item.push(short_name(name), value.clone());
                }
            }
            if !is_scope(element) {
                stack.extend(children_reversed(element));
            }
        }
    }

    /// The value of an element with `itemprop`; none for an item that is around itself.
    fn value(&mut self, element: ElementRef<'a>) -> Option<Value> {
        if !is_scope(element) {
            if self.bytes_left == 0 {
                return None;
            }
            let text = self.text(element);
            self.bytes_left = self.bytes_left.saturating_sub(text.len() + VALUE_BYTES);
            return Some(Value::Text(text));
        }
        if self.path.len() >= MAX_DEPTH || self.path.contains(&element) {
            return None;
        }
        Some(Value::Item(self.item(element)))
    }

    /// What the standard takes for an element of its kind, else `content`, which it knows of `<meta>` only and
    /// shops write everywhere, else its text.
    fn text(&self, element: ElementRef<'a>) -> String {
        let of_its_kind = match element.value().name() {
            "audio" | "embed" | "iframe" | "img" | "source" | "track" | "video" => {
                source(element).map(|url| self.url(url))
            }
            "a" | "area" | "link" => filled_attribute(element, "href").map(|url| self.url(url)),
            "object" => filled_attribute(element, "data").map(|url| self.url(url)),
            "data" | "meter" | "input" => filled_attribute(element, "value").map(str::to_owned),
            "time" => filled_attribute(element, "datetime").map(str::to_owned),
            _ => None,
        };
        of_its_kind
            .or_else(|| filled_attribute(element, "content").map(str::to_owned))
            .unwrap_or_else(|| text_of(element))
    }

    /// Whether so many bytes are left for a copy; they are not after that.
    fn pay(&mut self, bytes: usize) -> bool {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.unwrap_or(self.bytes_left);
        left.is_some()
    }

    fn url(&self, written: &str) -> String {
        resolve(self.base, written).map_or_else(|| written.to_owned(), String::from)
    }
}

/// Bytes of a value, those of an item with all that is in it.
fn bytes_of(value: &Value) -> usize {
    let inner = match value {
        Value::Text(text) => text.len(),
        Value::Item(item) => {
            let values = item.properties.iter().flat_map(|(_, values)| values);
            values.map(bytes_of).sum()
        }
    };
    VALUE_BYTES + inner
}

fn is_scope(element: ElementRef<'_>) -> bool {
    attribute(element, "itemscope").is_some()
}

/// Where a picture is; of one that is loaded when it is scrolled to, where it will be.
fn source(element: ElementRef<'_>) -> Option<&str> {
    let is_placeholder = |url: &&str| url.starts_with("data:");
    let later = || {
        let names = ["data-src", "data-lazy-src", "data-original"];
        names.into_iter().find_map(|name| filled_attribute(element, name))
    };
    let source = filled_attribute(element, "src");
    source.filter(|url| !is_placeholder(url)).or_else(later).or(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(body: &str) -> Vec<Item> {
        let base = Url::parse("https://shop.example/a/").unwrap();
        microdata(&Html::parse_document(body), &base)
    }

    fn texts<'a>(item: &'a Item, name: &str) -> Vec<&'a str> {
        item.values(name).filter_map(Value::text).collect()
    }

    #[test]
    fn a_value_is_what_its_element_has() {
        let items = items(
            "<div itemscope itemtype='https://schema.org/Product' itemid=' /p/1 '>
             <meta itemprop=meta content=' 1 '><a itemprop=a href=' x '>no</a><a itemprop=b>yes</a>
             <img itemprop=img src=i.jpg><img itemprop=lazy src='data:,' data-src=l.jpg>
             <object itemprop=object data=o></object><data itemprop=data value=2>no</data>
             <meter itemprop=meter value=3>no</meter><time itemprop=time datetime=2026>no</time>
             <time itemprop=text>now</time><input itemprop=input value=4>
             <span itemprop='price schema:amount' content=12.00>12,00 €</span>
             <span itemprop=name content=''>A <b>pan</b></span></div>",
        );
        let product = &items[0];
        assert_eq!(product.types, ["Product"]);
        assert_eq!(product.id.as_deref(), Some("https://shop.example/p/1"));
        for (name, expected) in [
            ("meta", "1"),
            ("a", "https://shop.example/a/x"),
            ("b", "yes"),
            ("img", "https://shop.example/a/i.jpg"),
            ("lazy", "https://shop.example/a/l.jpg"),
            ("object", "https://shop.example/a/o"),
            ("data", "2"),
            ("meter", "3"),
            ("time", "2026"),
            ("text", "now"),
            ("input", "4"),
            ("price", "12.00"),
            ("amount", "12.00"),
            ("name", "A pan"),
        ] {
            assert_eq!(texts(product, name), [expected], "{name}");
        }
    }

    #[test]
    fn items_nest() {
        let items = items(
            "<div itemscope itemtype=Product><div><p itemprop=offers itemscope itemtype=Offer>
             <b itemprop=price>1</b></p><p itemprop=offers itemscope><b itemprop=price>2</b></p></div>
             <i itemprop=brand itemscope itemtype=Brand>Acme</i><b itemprop=price>3</b></div>",
        );
        assert_eq!(items.len(), 1);
        let prices: Vec<&str> =
            items[0].items("offers").filter_map(|offer| offer.text("price")).collect();
        assert_eq!(prices, ["1", "2"]);
        assert_eq!(texts(&items[0], "price"), ["3"]);
        assert_eq!(items[0].items("brand").next().unwrap().text("name"), Some("Acme"));
    }

    #[test]
    fn elements_elsewhere_are_referred_to() {
        let items = items(
            "<div id=x><p itemprop=a>1</p><div itemprop=b itemscope><i itemprop=c>2</i></div></div>
             <div itemscope itemref='x missing'><p itemprop=a>3</p></div>
             <div itemprop=lost itemscope><i itemprop=c>4</i></div>",
        );
        assert_eq!(items.len(), 2);
        assert_eq!(texts(&items[0], "a"), ["3", "1"]);
        assert_eq!(items[0].items("b").count(), 1);
        assert_eq!(texts(&items[1], "c"), ["4"]);
    }

    #[test]
    fn circles_end() {
        let items = items(
            "<div itemscope itemtype=T itemref='x y'></div>
             <div id=x itemprop=p itemscope itemref='y x'><i itemprop=n>1</i></div>
             <div id=y itemprop=p itemscope itemref='x y'><i itemprop=n>2</i></div>",
        );
        assert_eq!(items.len(), 1);
        let (mut item, mut depth) = (&items[0], 0);
        while let Some(inner) = item.items("p").next() {
            (item, depth) = (inner, depth + 1);
        }
        assert_eq!(depth, 2);
    }

    /// Promise 15: what stands once on the page is not copied without end.
    #[test]
    fn values_of_many_properties_are_bounded() {
        let names: Vec<String> = (0..100).map(|n| format!("p{n}")).collect();
        let open = format!("<div itemscope itemprop='{}'>", names.join(" "));
        let body = format!("<div itemscope>{}<i itemprop=n>1</i>", open.repeat(12));
        let items = items(&body);
        assert!(items.len() == 1 && items[0].values("p0").count() == 1);
        let bytes: usize = items[0].properties.iter().flat_map(|(_, all)| all).map(bytes_of).sum();
        assert!(bytes <= 2 * MAX_BYTES, "{bytes}");

        let open = "<div itemprop=n>".repeat(200);
        let text = "x".repeat(MAX_BYTES / 50);
        let items = self::items(&format!("<div itemscope>{open}{text}"));
        let bytes: usize = items[0].values("n").map(bytes_of).sum();
        assert!(bytes > MAX_BYTES / 2 && bytes < 2 * MAX_BYTES, "{bytes}");
    }

    #[test]
    fn items_that_share_everything_are_bounded() {
        let scopes = "<div itemscope itemref=x></div>".repeat(3_000);
        let shared = "<i itemprop=n>1</i>".repeat(3_000);
        let items = items(&format!("{scopes}<div id=x>{shared}</div>"));
        let values: usize = items.iter().map(|item| item.values("n").count()).sum();
        assert!(values < MAX_VISITS, "{values}");
    }
}
