//! RDFa 1.1 in HTML, by the steps of the standard's section 7.5, which the comments number. Lists keep no order,
//! literals no language and no type. One deviation: the `href` and `src` of an element without any of RDFa's own
//! attributes are no subject for what is in it, since a link around a product's name is meant to be a link.

use crate::dom::children_reversed;
use crate::graph::{Edge, Graph, Node};
use crate::item::Item;
use crate::rdfa_names::Names;
use crate::text::{resolve, text_of};
use scraper::{ElementRef, Html};
use std::rc::Rc;
use url::Url;

/// Bytes of texts in the properties of one page. A text within many properties is in each of them.
const MAX_BYTES: usize = 32 << 20;

/// The items of a page that are no property of another. Properties of the page itself, such as Open Graph's, are
/// an item without a type whose identifier is the page's URL.
pub(crate) fn rdfa(html: &Html, base: &Url) -> Vec<Item> {
    let mut graph = Graph::default();
    let mut page_url = base.clone();
    page_url.set_fragment(None);
    let page = graph.intern(page_url.into());
    let mut reader = Reader { base, graph, page, bytes_left: MAX_BYTES };
    let context = Context {
        subject: page,
        object: page,
        incomplete: Rc::default(),
        names: Rc::new(Names::default()),
    };
    // A stack of its own: pages nest deeper than a thread's stack.
    let mut stack = vec![(html.root_element(), Rc::new(context))];
    while let Some((element, context)) = stack.pop() {
        let inner = reader.element(element, &context);
        stack.extend(children_reversed(element).map(|child| (child, Rc::clone(&inner))));
    }
    reader.graph.mark_resources();
    reader.graph.items(&reader.graph.roots())
}

/// What an element inherits.
struct Context {
    subject: usize,
    object: usize,
    /// Relations to the next thing that is found inside.
    incomplete: Rc<[Relation]>,
    names: Rc<Names>,
}

/// A relation from or to a subject.
struct Relation {
    predicate: String,
    is_reverse: bool,
}

/// The attributes that RDFa looks at.
#[derive(Default)]
struct Attributes<'a> {
    about: Option<&'a str>,
    content: Option<&'a str>,
    datatype: Option<&'a str>,
    datetime: Option<&'a str>,
    href: Option<&'a str>,
    prefix: Option<&'a str>,
    property: Option<&'a str>,
    rel: Option<&'a str>,
    resource: Option<&'a str>,
    rev: Option<&'a str>,
    src: Option<&'a str>,
    type_of: Option<&'a str>,
    vocab: Option<&'a str>,
    namespaces: Vec<(&'a str, &'a str)>,
}

impl<'a> Attributes<'a> {
    fn of(element: ElementRef<'a>) -> Self {
        let mut own = Self::default();
        for (name, value) in element.value().attrs() {
            let place = match name {
                "about" => &mut own.about,
                "content" => &mut own.content,
                "datatype" => &mut own.datatype,
                "datetime" => &mut own.datetime,
                "href" => &mut own.href,
                "prefix" => &mut own.prefix,
                "property" => &mut own.property,
                "rel" => &mut own.rel,
                "resource" => &mut own.resource,
                "rev" => &mut own.rev,
                "src" => &mut own.src,
                "typeof" => &mut own.type_of,
                "vocab" => &mut own.vocab,
                _ => {
                    own.namespaces.extend(name.strip_prefix("xmlns:").map(|name| (name, value)));
                    continue;
                }
            };
            *place = Some(value);
        }
        own
    }

    fn declares_names(&self) -> bool {
        self.vocab.is_some() || self.prefix.is_some() || !self.namespaces.is_empty()
    }

    fn has_relations(&self) -> bool {
        self.rel.is_some() || self.rev.is_some()
    }

    fn has_own(&self) -> bool {
        [self.about, self.property, self.resource, self.type_of].iter().any(Option::is_some)
    }
}

struct Reader<'a> {
    base: &'a Url,
    graph: Graph,
    /// The node of the page itself.
    page: usize,
    bytes_left: usize,
}

impl Reader<'_> {
    /// Reads one element; gives what its children inherit.
    fn element(&mut self, element: ElementRef<'_>, context: &Rc<Context>) -> Rc<Context> {
        let own = Attributes::of(element);
        if !own.declares_names() && !own.has_relations() && !own.has_own() {
            return Rc::clone(context);
        }
        // Steps 2 and 3.
        let names = names_of(&own, &context.names);
        // A `rel` of words that are no names is as if it weren't there.
        let relations = relations_of(&own, &names);
        let is_root = element.parent().and_then(ElementRef::wrap).is_none();
        let is_head_or_body = matches!(element.value().name(), "head" | "body");
        let about = own.about.and_then(|about| self.resource(about, &names));
        let is_plain_link = relations.is_empty() && !own.has_own();
        let linked = if is_plain_link { None } else { self.linked(&own, &names) };
        let has_literal = own.content.is_some() || own.datatype.is_some();
        let is_plain_property = own.property.is_some() && !has_literal;
        let is_related = !relations.is_empty();

        let mut is_skipped = false;
        let mut object = None;
        let mut typed = None;
        let subject = if is_related {
            // Step 6.
            object = linked;
            if own.type_of.is_some() {
                typed = about;
                if about.is_none() {
                    object = Some(object.unwrap_or_else(|| self.blank_node()));
                    typed = object;
                }
            }
            about.unwrap_or(if is_root { self.page } else { context.object })
        } else if is_plain_property {
            // Step 5.1.
            if own.type_of.is_some() {
                let found = about.or(is_root.then_some(self.page)).or(linked);
                typed = Some(found.unwrap_or_else(|| self.blank_node()));
                object = typed;
            }
            about.unwrap_or(if is_root { self.page } else { context.object })
        } else {
            // Step 5.2.
            let found = about.or(linked).or(is_root.then_some(self.page));
            let subject = if let Some(found) = found {
                found
            } else if is_head_or_body {
                context.object
            } else if own.type_of.is_some() {
                self.blank_node()
            } else {
                is_skipped = own.property.is_none();
                context.object
            };
            typed = own.type_of.map(|_| subject);
            subject
        };

        // Step 7.
        if let Some(typed) = typed {
            for name in own.type_of.unwrap_or_default().split_ascii_whitespace() {
                if let Some(name) = names.expand(name) {
                    self.graph.node_mut(typed).push_type(&name);
                }
            }
        }
        // Steps 9 and 10.
        let mut incomplete: Rc<[Relation]> = Rc::default();
        if let Some(object) = object {
            self.relate(subject, &relations, object);
        } else if is_related {
            incomplete = relations.into();
            object = Some(self.blank_node());
        }
        // Step 11.
        if let Some(properties) = own.property {
            let linked = linked.filter(|_| !has_literal && !is_related);
            let typed = typed.filter(|_| !has_literal && own.about.is_none());
            for word in properties.split_ascii_whitespace() {
                if let Some(predicate) = names.expand(word)
                    && self.bytes_left > 0
                {
                    let value = value_of(element, &own, linked.or(typed));
                    self.bytes_left = self.bytes_left.saturating_sub(bytes_of(&value));
                    self.graph.node_mut(subject).push(&predicate, vec![value]);
                }
            }
        }
        // Steps 12 and 13.
        if is_skipped {
            return Rc::new(Context {
                subject: context.subject,
                object: context.object,
                incomplete: Rc::clone(&context.incomplete),
                names,
            });
        }
        self.relate(context.subject, &context.incomplete, subject);
        Rc::new(Context { subject, object: object.unwrap_or(subject), incomplete, names })
    }

    fn relate(&mut self, subject: usize, relations: &[Relation], object: usize) {
        for relation in relations {
            let (from, to) =
                if relation.is_reverse { (object, subject) } else { (subject, object) };
            self.graph.node_mut(from).push(&relation.predicate, vec![Edge::Node(to)]);
        }
    }

    /// What `resource`, `href` or `src` names, the first of them.
    fn linked(&mut self, own: &Attributes<'_>, names: &Names) -> Option<usize> {
        if let Some(resource) = own.resource.and_then(|resource| self.resource(resource, names)) {
            return Some(resource);
        }
        let url = resolve(self.base, own.href.or(own.src)?)?;
        Some(self.graph.intern(url.into()))
    }

    /// What a value of `about` or `resource` names: a URL, or a name with a prefix, in brackets or not.
    fn resource(&mut self, value: &str, names: &Names) -> Option<usize> {
        let value = value.trim();
        if value.is_empty() {
            return Some(self.page);
        }
        let in_brackets = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
        let name = in_brackets.unwrap_or(value);
        if name.starts_with("_:") {
            return Some(self.graph.intern(name.to_owned()));
        }
        if let Some(iri) = names.expand_prefix(name) {
            return Some(self.graph.intern(iri));
        }
        if in_brackets.is_some() {
            return None;
        }
        let url = resolve(self.base, value)?;
        Some(self.graph.intern(url.into()))
    }

    fn blank_node(&mut self) -> usize {
        self.graph.add(Node::default())
    }
}

/// The value of a property: a node, where one is given, else a literal.
fn value_of(element: ElementRef<'_>, own: &Attributes<'_>, node: Option<usize>) -> Edge {
    match (node, own.content.or(own.datetime)) {
        (Some(node), _) => Edge::Node(node),
        (None, Some(literal)) => Edge::Text(literal.to_owned()),
        (None, None) => Edge::Text(text_of(element)),
    }
}

fn bytes_of(value: &Edge) -> usize {
    match value {
        Edge::Text(text) => text.len().max(1),
        Edge::Node(_) => 1,
    }
}

fn names_of(own: &Attributes<'_>, inherited: &Rc<Names>) -> Rc<Names> {
    if !own.declares_names() {
        return Rc::clone(inherited);
    }
    let mut names = Names::clone(inherited);
    own.namespaces.iter().for_each(|(prefix, iri)| names.declare(prefix, iri));
    if let Some(prefixes) = own.prefix {
        names.declare_all(prefixes);
    }
    if let Some(vocabulary) = own.vocab {
        names.set_vocabulary(vocabulary);
    }
    Rc::new(names)
}

fn relations_of(own: &Attributes<'_>, names: &Names) -> Vec<Relation> {
    let mut relations = Vec::new();
    for (words, is_reverse) in [(own.rel, false), (own.rev, true)] {
        for word in words.unwrap_or_default().split_ascii_whitespace() {
            let predicate = names.expand_relation(word);
            relations.extend(predicate.map(|predicate| Relation { predicate, is_reverse }));
        }
    }
    relations
}

#[cfg(test)]
mod tests;
