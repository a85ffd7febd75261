//! What extruct expects of RDFa: a graph as expanded JSON-LD. Both sides are compared as sets of statements, in
//! which a thing without an identifier is written out where it is referred to.

use crate::expected::{short, squeezed};
use feedfleet_pages::{Item, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Said of every page with a vocabulary; we have no use for it.
const USES_VOCABULARY: &str = "http://www.w3.org/ns/rdfa#usesVocabulary";

/// The statements of items.
pub fn statements(items: &[Item]) -> BTreeSet<String> {
    let mut statements = BTreeSet::new();
    for item in items {
        let term = term(item, &mut statements);
        if item.id.is_none() {
            statements.insert(term);
        }
    }
    statements
}

fn term(item: &Item, statements: &mut BTreeSet<String>) -> String {
    let types = item.types.iter().map(|name| format!("a {name}"));
    let mut own: BTreeSet<String> = types.collect();
    for (name, values) in &item.properties {
        for value in values {
            let value = match value {
                Value::Text(text) => squeezed(text),
                Value::Item(item) => term(item, statements),
            };
            own.insert(format!("{name} {value}"));
        }
    }
    let Some(id) = &item.id else {
        return format!("{own:?}");
    };
    statements.extend(own.iter().map(|statement| format!("{id} {statement}")));
    id.clone()
}

/// The statements of a graph.
pub fn expected_statements(nodes: &[Json]) -> BTreeSet<String> {
    let by_id: BTreeMap<&str, &Json> =
        nodes.iter().map(|node| (node["@id"].as_str().unwrap_or_default(), node)).collect();
    let text = serde_json::to_string(nodes).unwrap();
    let mut statements = BTreeSet::new();
    for (id, node) in &by_id {
        let own = own_statements(node, &by_id);
        // Its own mention, and one of whoever refers to it.
        let is_referred_to = text.matches(&format!("\"@id\":\"{id}\"")).count() > 1;
        if !id.starts_with("_:") {
            statements.extend(own.iter().map(|statement| format!("{id} {statement}")));
        } else if !is_referred_to {
            statements.insert(format!("{own:?}"));
        }
    }
    statements
}

fn own_statements(node: &Json, by_id: &BTreeMap<&str, &Json>) -> BTreeSet<String> {
    let mut own = BTreeSet::new();
    for (name, values) in node.as_object().into_iter().flatten() {
        for value in values.as_array().into_iter().flatten() {
            match name.as_str() {
                "@type" => own.insert(format!("a {}", short(value.as_str().unwrap()))),
                USES_VOCABULARY => false,
                name => own.insert(format!("{} {}", short(name), expected_term(value, by_id))),
            };
        }
    }
    own
}

fn expected_term(value: &Json, by_id: &BTreeMap<&str, &Json>) -> String {
    match value["@id"].as_str() {
        Some(id) if id.starts_with("_:") => match by_id.get(id) {
            Some(node) => format!("{:?}", own_statements(node, by_id)),
            None => id.to_owned(),
        },
        Some(id) => id.to_owned(),
        None => squeezed(value["@value"].as_str().unwrap_or_default()),
    }
}
