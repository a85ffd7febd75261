//! How RDFa shortens names: prefixes, a vocabulary for names without one, and which words of `rel` are none.

use std::collections::HashMap;

/// Prefixes that are known without being declared: RDFa's own of those that pages use.
const PREFIXES: [(&str, &str); 19] = [
    ("article", "http://ogp.me/ns/article#"),
    ("book", "http://ogp.me/ns/book#"),
    ("cc", "http://creativecommons.org/ns#"),
    ("dc", "http://purl.org/dc/terms/"),
    ("dc11", "http://purl.org/dc/elements/1.1/"),
    ("dcterms", "http://purl.org/dc/terms/"),
    ("foaf", "http://xmlns.com/foaf/0.1/"),
    ("gr", "http://purl.org/goodrelations/v1#"),
    ("music", "http://ogp.me/ns/music#"),
    ("og", "http://ogp.me/ns#"),
    ("product", "http://ogp.me/ns/product#"),
    ("profile", "http://ogp.me/ns/profile#"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("rdfs", "http://www.w3.org/2000/01/rdf-schema#"),
    ("schema", "http://schema.org/"),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
    ("v", "http://rdf.data-vocabulary.org/#"),
    ("video", "http://ogp.me/ns/video#"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

/// What `rel` says of a link in HTML. No property of a thing, even within a vocabulary.
const LINK_TYPES: [&str; 32] = [
    "alternate",
    "apple-touch-icon",
    "author",
    "bookmark",
    "canonical",
    "dns-prefetch",
    "external",
    "first",
    "help",
    "icon",
    "last",
    "license",
    "lightbox",
    "manifest",
    "me",
    "modulepreload",
    "next",
    "nofollow",
    "noopener",
    "noreferrer",
    "opener",
    "preconnect",
    "prefetch",
    "preload",
    "prerender",
    "prev",
    "search",
    "shortcut",
    "sponsored",
    "stylesheet",
    "tag",
    "ugc",
];

/// The prefixes and the vocabulary in force at an element.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefixes: HashMap<String, String>,
    vocabulary: Option<String>,
}

impl Default for Names {
    fn default() -> Self {
        let own = |(prefix, iri): (&str, &str)| (prefix.to_owned(), iri.to_owned());
        Self { prefixes: PREFIXES.into_iter().map(own).collect(), vocabulary: None }
    }
}

impl Names {
    /// Declares a prefix, as `xmlns:og="…"` does.
    pub(crate) fn declare(&mut self, prefix: &str, iri: &str) {
        if prefix != "_" {
            self.prefixes.insert(prefix.to_ascii_lowercase(), iri.trim().to_owned());
        }
    }

    /// Declares the prefixes of a `prefix` attribute: `og: http://ogp.me/ns# schema: …`.
    pub(crate) fn declare_all(&mut self, attribute: &str) {
        let mut words = attribute.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if let Some(prefix) = word.strip_suffix(':')
                && let Some(iri) = words.next()
            {
                self.declare(prefix, iri);
            }
        }
    }

    /// Sets the vocabulary, or ends it with a blank one.
    pub(crate) fn set_vocabulary(&mut self, iri: &str) {
        self.vocabulary = Some(iri.trim().to_owned()).filter(|iri| !iri.is_empty());
    }

    /// What a word of `property` or `typeof` stands for; none for a word without a vocabulary.
    pub(crate) fn expand(&self, word: &str) -> Option<String> {
        match word.split_once(':') {
            Some(("" | "_", _)) => None,
            Some(_) => Some(self.expand_prefix(word).unwrap_or_else(|| word.to_owned())),
            None => self.vocabulary.as_ref().map(|vocabulary| format!("{vocabulary}{word}")),
        }
    }

    /// What a word of `rel` or `rev` stands for: as of a property, but for HTML's own.
    pub(crate) fn expand_relation(&self, word: &str) -> Option<String> {
        let is_link_type = LINK_TYPES.iter().any(|own| own.eq_ignore_ascii_case(word));
        if is_link_type { None } else { self.expand(word) }
    }

    /// What a word with a known prefix stands for.
    pub(crate) fn expand_prefix(&self, word: &str) -> Option<String> {
        let (prefix, rest) = word.split_once(':')?;
        if rest.starts_with("//") {
            return None;
        }
        let iri = self.prefixes.get(&prefix.to_ascii_lowercase())?;
        Some(format!("{iri}{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_expanded() {
        let mut names = Names::default();
        assert_eq!(names.expand("name"), None);
        names.set_vocabulary(" https://schema.org/ ");
        names.declare_all("Ex: http://ex.example/ broken x: http://x.example/");
        names.declare("fb", "http://fb.example/2008#");
        for (word, expected) in [
            ("name", Some("https://schema.org/name")),
            ("og:title", Some("http://ogp.me/ns#title")),
            ("OG:title", Some("http://ogp.me/ns#title")),
            ("ex:a", Some("http://ex.example/a")),
            ("x:a:b", Some("http://x.example/a:b")),
            ("fb:app_id", Some("http://fb.example/2008#app_id")),
            ("al:ios:url", Some("al:ios:url")),
            ("http://purl.org/dc/terms/title", Some("http://purl.org/dc/terms/title")),
            (":a", None),
            ("_:a", None),
        ] {
            assert_eq!(names.expand(word).as_deref(), expected, "{word}");
        }
        assert_eq!(names.expand_relation("NoFollow"), None);
        assert_eq!(names.expand_relation("offers").as_deref(), Some("https://schema.org/offers"));
        names.set_vocabulary("");
        assert_eq!(names.expand("name"), None);
    }
}
