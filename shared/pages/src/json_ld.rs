//! The items of JSON-LD scripts, good and broken ones.

use crate::graph::{Edge, Graph, Node};
use crate::item::Item;
use crate::json::{self, Json};

/// What a page's JSON-LD scripts say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonLd {
    /// The items that the scripts list, those of `@graph` among them, in their order. One that refers to another
    /// by its `@id`, in whichever script, has it as a value.
    pub items: Vec<Item>,
    /// Scripts that could not be read, or not to their end.
    pub broken: usize,
}

/// Reads the texts of a page's JSON-LD scripts. What is broken is recovered where its meaning is clear. Names
/// are taken as they are: contexts are not looked at, since pages get them wrong more often than names.
pub fn json_ld<'a>(scripts: impl Iterator<Item = &'a str>) -> JsonLd {
    let mut reader = Reader::default();
    let mut broken = 0;
    for script in scripts {
        let (documents, is_whole) = json::read(script);
        broken += usize::from(!is_whole);
        for document in documents {
            reader.list(document);
        }
    }
    JsonLd { items: reader.graph.items(&reader.listed), broken }
}

#[derive(Default)]
struct Reader {
    graph: Graph,
    /// What is listed by itself: no value of something else, or one of a graph.
    listed: Vec<usize>,
}

impl Reader {
    fn list(&mut self, json: Json) {
        match json {
            Json::Array(elements) => elements.into_iter().for_each(|element| self.list(element)),
            Json::Object(members) => {
                let node = self.node(members);
                // What only names another is listed where that is described.
                if !node.properties.is_empty() || (!node.types.is_empty() && node.id.is_none()) {
                    let place = self.graph.add(node);
                    self.listed.push(place);
                }
            }
            _ => {}
        }
    }

    fn node(&mut self, members: Vec<(String, Json)>) -> Node {
        let mut node = Node::default();
        for (name, value) in members {
            if !name.trim_start().starts_with('@') {
                let mut values = Vec::new();
                self.values(value, &mut values);
                node.push(&name, values);
                continue;
            }
            match name.trim().to_ascii_lowercase().as_str() {
                "@id" => node.id = scalar(value).filter(|id| !id.trim().is_empty()),
                "@type" => push_types(value, &mut node),
                "@graph" => self.list(value),
                // `@context`, `@reverse` and the like say nothing that is read here.
                _ => {}
            }
        }
        node
    }

    fn values(&mut self, json: Json, out: &mut Vec<Edge>) {
        match json {
            Json::Array(elements) => {
                elements.into_iter().for_each(|element| self.values(element, out));
            }
            Json::Object(members) => self.object(members, out),
            other => out.extend(scalar(other).map(Edge::Text)),
        }
    }

    fn object(&mut self, members: Vec<(String, Json)>, out: &mut Vec<Edge>) {
        let is_plain = |name: &str| matches!(name, "@value" | "@list" | "@set");
        if let Some(place) = members.iter().position(|(name, _)| is_plain(name)) {
            let value = members.into_iter().nth(place);
            value.into_iter().for_each(|(_, value)| self.values(value, out));
            return;
        }
        let node = self.node(members);
        if node.id.is_some() || !node.types.is_empty() || !node.properties.is_empty() {
            let place = self.graph.add(node);
            out.push(Edge::Node(place));
        }
    }
}

fn push_types(json: Json, node: &mut Node) {
    match json {
        Json::Array(elements) => elements.into_iter().for_each(|one| push_types(one, node)),
        Json::Text(name) => node.push_type(&name),
        _ => {}
    }
}

fn scalar(json: Json) -> Option<String> {
    match json {
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(text) | Json::Text(text) => Some(text),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(scripts: &[&str]) -> Vec<Item> {
        let read = json_ld(scripts.iter().copied());
        assert_eq!(read.broken, 0, "{scripts:?}");
        read.items
    }

    #[test]
    fn a_product_is_read() {
        let items = items(&[r##"{
            "@context": "https://schema.org", "@type": ["Product", "schema:Vehicle"], "@id": "#p",
            "name": "Pan", "http://schema.org/sku": 12, "image": ["1.jpg", {"@value": "2.jpg"}],
            "isFamilyFriendly": true, "gtin": null, "weight": 1.50,
            "offers": {"@type": "Offer", "price": "24.90"}
        }"##]);
        let product = &items[0];
        assert_eq!(product.types, ["Product", "Vehicle"]);
        assert_eq!(product.id.as_deref(), Some("#p"));
        assert_eq!(product.text("sku"), Some("12"));
        assert_eq!(product.text("weight"), Some("1.50"));
        assert_eq!(product.text("isFamilyFriendly"), Some("true"));
        assert_eq!(product.values("image").filter_map(|value| value.text()).count(), 2);
        assert_eq!(product.values("gtin").count(), 0);
        assert_eq!(product.items("offers").next().unwrap().text("price"), Some("24.90"));
    }

    #[test]
    fn a_graphs_nodes_are_listed_and_refer_to_each_other() {
        let items = items(&[
            r##"{"@context": "https://schema.org", "@graph": [
                {"@type": "WebPage", "@id": "#page", "mainEntity": {"@id": "#p"}},
                {"@type": "Product", "@id": "#p", "brand": {"@type": "Brand", "@id": "#b"},
                 "isPartOf": {"@id": "#page"}, "url": {"@id": "https://shop.example/1"}},
                {"@id": "#p"}
            ]}"##,
            r##"{"@type": "Brand", "@id": "#b", "name": "Acme"}"##,
        ]);
        let types: Vec<&str> = items.iter().map(|item| item.types[0].as_str()).collect();
        assert_eq!(types, ["WebPage", "Product", "Brand"]);
        let product = items[0].items("mainEntity").next().unwrap();
        assert_eq!(product.items("brand").next().unwrap().text("name"), Some("Acme"));
        // The circle ends.
        assert_eq!(product.text("isPartOf"), Some("#page"));
        assert_eq!(product.text("url"), Some("https://shop.example/1"));
    }

    #[test]
    fn things_with_one_identifier_stay_apart() {
        let items = items(&[r#"[
            {"@type": "WebPage", "@id": "https://shop.example/1", "name": "Shop"},
            {"@type": "Product", "@id": "https://shop.example/1", "name": "Pan"}
        ]"#]);
        assert_eq!(items.len(), 2);
        assert_eq!(items[1].text("name"), Some("Pan"));
    }

    #[test]
    fn broken_scripts_are_counted() {
        let scripts =
            ["null", "{\"@type\": \"Product\", \"name\": \"Pan\",}", "{{ broken }}", "{}"];
        let read = json_ld(scripts.into_iter());
        assert_eq!((read.items.len(), read.broken), (1, 1));
    }
}
