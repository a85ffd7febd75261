//! Open Graph and its like: `<meta property="og:title">`, `product:price:amount`, `twitter:card`.

/// What `og:` stands for. Some write it out.
const VOCABULARY: &str = "http://ogp.me/ns#";

/// Properties that are read of a page. Each is compared with those before.
const MAX_PROPERTIES: usize = 1_000;

/// A page's Open Graph properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenGraph {
    /// Names with their prefix and values, trimmed, in the page's order. A name may come several times, with another
    /// value each time.
    pub properties: Vec<(String, String)>,
}

impl OpenGraph {
    /// Reads the names and contents of a page's `<meta>` elements: those with a prefix (`og:`, `product:`,
    /// `twitter:` and any other) and a content that is not blank.
    pub fn from_metas<'a>(metas: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut properties: Vec<(String, String)> = Vec::new();
        for (name, content) in metas.map(|(name, content)| (name.trim(), content.trim())) {
            let name = name.strip_prefix(VOCABULARY).map_or_else(|| name.to_owned(), in_short);
            let is_new = |own: &(String, String)| own.0 != name || own.1 != content;
            if properties.len() == MAX_PROPERTIES {
                break;
            }
            if is_prefixed(&name) && !content.is_empty() && properties.iter().all(is_new) {
                properties.push((name, content.to_owned()));
            }
        }
        Self { properties }
    }

    /// The first value of a property, such as `og:title`; upper and lower case count as the same.
    pub fn first(&self, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn in_short(property: &str) -> String {
    format!("og:{property}")
}

fn is_prefixed(name: &str) -> bool {
    name.split_once(':').is_some_and(|(prefix, rest)| !prefix.is_empty() && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_come_in_the_pages_order() {
        let metas = [
            ("og:title", " Pan "),
            ("description", "no prefix"),
            ("og:image", "1.jpg"),
            ("http://ogp.me/ns#image", "2.jpg"),
            ("og:image", "1.jpg"),
            ("og:image", " "),
            ("product:price:amount", "12.00"),
        ];
        let graph = OpenGraph::from_metas(metas.into_iter());
        let names: Vec<&str> = graph.properties.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["og:title", "og:image", "og:image", "product:price:amount"]);
        assert_eq!(graph.first("OG:title"), Some("Pan"));
        assert_eq!(graph.first("og:image"), Some("1.jpg"));
        assert_eq!(graph.first("og:url"), None);
    }

    /// Promise 15: a page of nothing but properties is not compared with itself.
    #[test]
    fn so_many_properties_are_read_and_no_more() {
        let names: Vec<String> = (0..2 * MAX_PROPERTIES).map(|n| format!("og:{n}")).collect();
        let graph = OpenGraph::from_metas(names.iter().map(|name| (name.as_str(), "x")));
        assert_eq!(graph.properties.len(), MAX_PROPERTIES);
    }
}
