//! The things that a page describes, before they are nested: in JSON-LD and RDFa one thing may refer to another
//! by its identifier, in a circle even. Items are trees, and this is where circles end.

use crate::item::{Item, MAX_PROPERTIES, MAX_TYPES, Value, short_name};
use std::collections::HashMap;

/// How deep items nest; what lies deeper is left out.
const MAX_DEPTH: usize = 16;
/// Values made of one page. Things that all refer to each other would nest without end.
const MAX_VALUES: usize = 200_000;
/// Bytes of texts and names in the items of one page. What is referred to from many places is copied as often.
const MAX_BYTES: usize = 64 << 20;

/// The things of a page.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    by_id: HashMap<String, usize>,
}

/// A thing.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Its identifier; none for a blank one.
    pub id: Option<String>,
    /// Its types, by their short names.
    pub types: Vec<String>,
    /// Its properties, by their short names.
    pub properties: Vec<(String, Vec<Edge>)>,
    /// Whether a reference to it means a page or a picture and not what is said of it here: it stays a URL.
    pub is_resource: bool,
}

/// A value of a property.
#[derive(Debug)]
pub(crate) enum Edge {
    /// A text.
    Text(String),
    /// A node, by its place.
    Node(usize),
}

impl Node {
    /// Adds a type, as written.
    pub(crate) fn push_type(&mut self, name: &str) {
        let name = short_name(name);
        let is_new = self.types.len() < MAX_TYPES && !self.types.iter().any(|own| own == name);
        if !name.is_empty() && is_new {
            self.types.push(name.to_owned());
        }
    }

    /// Adds values to a property, its name as written.
    pub(crate) fn push(&mut self, property: &str, values: Vec<Edge>) {
        let property = short_name(property);
        if values.is_empty() {
            return;
        }
        let is_full = self.properties.len() >= MAX_PROPERTIES;
        match self.properties.iter_mut().find(|(name, _)| name == property) {
            Some((_, present)) => present.extend(values),
            None if is_full => {}
            None => self.properties.push((property.to_owned(), values)),
        }
    }

    fn says_nothing(&self) -> bool {
        self.types.is_empty() && self.properties.is_empty()
    }

    /// Bytes of its own texts and names: what an item made of it copies.
    fn bytes(&self) -> usize {
        let texts = self.properties.iter().flat_map(|(_, edges)| edges).map(|edge| match edge {
            Edge::Text(text) => text.len(),
            Edge::Node(_) => 0,
        });
        let names = self.properties.iter().map(|(name, _)| name.len());
        let types = self.types.iter().map(String::len);
        let id = self.id.as_ref().map_or(0, String::len);
        id + texts.chain(names).chain(types).sum::<usize>()
    }
}

impl Graph {
    /// Adds a node; gives its place. The first with properties is what its identifier refers to.
    pub(crate) fn add(&mut self, node: Node) -> usize {
        let place = self.nodes.len();
        if let Some(id) = &node.id
            && !node.properties.is_empty()
        {
            self.by_id.entry(id.clone()).or_insert(place);
        }
        self.nodes.push(node);
        place
    }

    /// The place of the one node with a name, added where it is new. A name that begins with `_:` is good within
    /// the page only and no identifier.
    pub(crate) fn intern(&mut self, name: String) -> usize {
        if let Some(place) = self.by_id.get(&name) {
            return *place;
        }
        let place = self.nodes.len();
        let id = (!name.starts_with("_:")).then(|| name.clone());
        self.nodes.push(Node { id, ..Node::default() });
        self.by_id.insert(name, place);
        place
    }

    /// The node at a place that [`Self::add`] or [`Self::intern`] gave.
    pub(crate) fn node_mut(&mut self, place: usize) -> &mut Node {
        &mut self.nodes[place]
    }

    /// The nodes that others do not have as a property, in the order they were added; of those in circles, the
    /// first.
    pub(crate) fn roots(&self) -> Vec<usize> {
        let mut is_referred_to = vec![false; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            for target in node.targets().filter(|target| *target != place) {
                is_referred_to[target] |= !self.nodes[target].is_resource;
            }
        }
        let mut is_reached = vec![false; self.nodes.len()];
        let mut roots = Vec::new();
        for in_circles in [false, true] {
            for (place, node) in self.nodes.iter().enumerate() {
                let is_root = if in_circles { !is_reached[place] } else { !is_referred_to[place] };
                if is_root && !node.says_nothing() {
                    roots.push(place);
                    self.reach(place, &mut is_reached);
                }
            }
        }
        roots
    }

    fn reach(&self, from: usize, is_reached: &mut [bool]) {
        let mut stack = vec![from];
        while let Some(place) = stack.pop() {
            if !is_reached[place] {
                is_reached[place] = true;
                let targets = self.nodes[place].targets();
                stack.extend(targets.filter(|target| !self.nodes[*target].is_resource));
            }
        }
    }

    /// Takes what has an identifier and no type for a page or a picture that something is said of.
    pub(crate) fn mark_resources(&mut self) {
        for node in &mut self.nodes {
            node.is_resource = node.id.is_some() && node.types.is_empty();
        }
    }

    /// The items that begin at these nodes.
    pub(crate) fn items(&self, roots: &[usize]) -> Vec<Item> {
        let (values_left, bytes_left) = (MAX_VALUES, MAX_BYTES);
        let mut nesting = Nesting { graph: self, path: Vec::new(), values_left, bytes_left };
        roots.iter().filter_map(|root| nesting.item(*root)).collect()
    }
}

impl Node {
    fn targets(&self) -> impl Iterator<Item = usize> {
        self.properties.iter().flat_map(|(_, edges)| edges).filter_map(|edge| match edge {
            Edge::Node(place) => Some(*place),
            Edge::Text(_) => None,
        })
    }
}

/// The nesting of items.
struct Nesting<'a> {
    graph: &'a Graph,
    /// The nodes around the one at hand.
    path: Vec<usize>,
    values_left: usize,
    bytes_left: usize,
}

impl Nesting<'_> {
    fn item(&mut self, place: usize) -> Option<Item> {
        if self.path.len() >= MAX_DEPTH || self.path.contains(&place) {
            return None;
        }
        let graph = self.graph;
        let node = &graph.nodes[place];
        self.bytes_left = self.bytes_left.checked_sub(node.bytes())?;
        self.path.push(place);
        let mut item = Item { types: node.types.clone(), id: node.id.clone(), ..Item::default() };
        for (name, edges) in &node.properties {
            let values: Vec<Value> = edges.iter().filter_map(|edge| self.value(edge)).collect();
            if !values.is_empty() {
                item.properties.push((name.clone(), values));
            }
        }
        self.path.pop();
        Some(item)
    }

    fn value(&mut self, edge: &Edge) -> Option<Value> {
        self.values_left = self.values_left.checked_sub(1)?;
        let graph = self.graph;
        let place = match edge {
            Edge::Text(text) => return Some(Value::Text(text.clone())),
            Edge::Node(place) => *place,
        };
        let node = &graph.nodes[place];
        let id = node.id.as_ref();
        // A mention without properties stands for the node that is described elsewhere.
        let described = if node.properties.is_empty() {
            id.and_then(|id| graph.by_id.get(id)).copied().unwrap_or(place)
        } else {
            place
        };
        let node = &graph.nodes[described];
        let is_item = !node.is_resource && !node.says_nothing();
        let item = if is_item { self.item(described) } else { None };
        if let Some(item) = item {
            return Some(Value::Item(item));
        }
        let id = id?;
        self.bytes_left = self.bytes_left.checked_sub(id.len())?;
        Some(Value::Text(id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, type_name: &str, refers_to: &[usize]) -> Node {
        let mut node = Node { id: Some(id.to_owned()), ..Node::default() };
        node.push_type(type_name);
        node.push("name", vec![Edge::Text(id.to_owned())]);
        node.push("schema:sees", refers_to.iter().copied().map(Edge::Node).collect());
        node
    }

    #[test]
    fn a_circle_ends_in_the_identifier() {
        let mut graph = Graph::default();
        graph.add(node("a", "A", &[1]));
        graph.add(node("b", "B", &[0]));
        assert_eq!(graph.roots(), [0]);
        let items = graph.items(&[0]);
        let inner = items[0].items("sees").next().unwrap();
        assert_eq!(inner.types, ["B"]);
        assert_eq!(inner.text("sees"), Some("a"));
    }

    #[test]
    fn things_that_all_refer_to_each_other_are_bounded() {
        let mut graph = Graph::default();
        let all: Vec<usize> = (0..30).collect();
        for place in 0..30 {
            graph.add(node(&place.to_string(), "T", &all));
        }
        let items = graph.items(&all);
        fn count(item: &Item) -> usize {
            item.values("sees").count() + item.items("sees").map(count).sum::<usize>()
        }
        let made: usize = items.iter().map(count).sum();
        assert!(made > 100 && made <= MAX_VALUES, "{made}");
    }

    /// Promise 15: a long text is not copied as often as it is referred to.
    #[test]
    fn texts_that_are_referred_to_everywhere_are_bounded() {
        let mut graph = Graph::default();
        let mut long = node("long", "T", &[]);
        long.push("text", vec![Edge::Text("x".repeat(MAX_BYTES / 100))]);
        let long = graph.add(long);
        let all = graph.add(node("all", "T", &[long; 1_000]));
        let items = graph.items(&[all]);
        assert_eq!(items[0].values("sees").count(), 1_000);
        let copies = items[0].items("sees").count();
        assert!((50..100).contains(&copies), "{copies}");
    }

    #[test]
    fn a_mention_is_what_is_described_elsewhere() {
        let mut graph = Graph::default();
        let mention = Node { id: Some("o".into()), ..Node::default() };
        let unknown = Node { id: Some("https://x.example/".into()), ..Node::default() };
        let (mention, unknown) = (graph.add(mention), graph.add(unknown));
        let product = graph.add(node("p", "Product", &[mention, unknown]));
        graph.add(node("o", "Offer", &[]));
        let items = graph.items(&[product]);
        let seen: Vec<&Value> = items[0].values("sees").collect();
        assert_eq!(seen[0].item().unwrap().text("name"), Some("o"));
        assert_eq!(seen[1].text(), Some("https://x.example/"));
    }
}
