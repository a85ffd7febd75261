//! The patterns in which a pipe writes its link rules.

use super::RuleError;
use regex::{RegexSet, RegexSetBuilder};

/// Bytes that the compiled patterns of one rule may take.
const MAX_COMPILED_BYTES: usize = 4 * 1024 * 1024;
/// What begins a regular expression.
const REGEX: &str = "regex:";

/// Some patterns, asked all at once.
#[derive(Debug, Clone)]
pub(super) struct Patterns(RegexSet);

impl Patterns {
    /// Compiles the patterns of the rule `name`.
    pub(super) fn new(name: &'static str, patterns: &[String]) -> Result<Self, RuleError> {
        let regexes = patterns.iter().map(|pattern| match pattern.strip_prefix(REGEX) {
            Some(regex) => regex.to_owned(),
            None => from_glob(pattern),
        });
        RegexSetBuilder::new(regexes)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map(Self)
            .map_err(|source| RuleError::Pattern { rule: name, source })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, url: &str) -> bool {
        self.0.is_match(url)
    }
}

/// A glob as a regular expression for whole URLs.
fn from_glob(glob: &str) -> String {
    let mut out = String::from("^");
    if !glob.contains("://") {
        out.push_str("[a-z]+://[^/?]*");
        if !glob.starts_with(['/', '*']) {
            out.push('/');
        }
    }
    let mut rest = glob;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("**") {
            out.push_str(".*");
            rest = after;
        } else if let Some(after) = rest.strip_prefix('*') {
            out.push_str("[^/?]*");
            rest = after;
        } else {
            let end = rest.find('*').unwrap_or(rest.len());
            out.push_str(&regex::escape(&rest[..end]));
            rest = &rest[end..];
        }
    }
    // A glob that does not speak of the query takes any.
    out.push_str(if glob.contains('?') { "$" } else { r"(\?.*)?$" });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, url: &str) -> bool {
        Patterns::new("follow", &[pattern.to_owned()]).unwrap().matches(url)
    }

    #[test]
    fn globs_are_about_paths_and_about_queries_when_they_name_one() {
        assert!(matches("/p/*", "https://a.example/p/red-shoe?size=42"));
        assert!(!matches("/p/*", "https://a.example/p/red/shoe"));
        assert!(matches("/p/**", "https://a.example/p/red/shoe"));
        assert!(matches("p/*.html", "https://a.example/p/1.html"));
        assert!(!matches("/p/*", "https://a.example/x?u=/p/1"));
        assert!(matches("/list?page=*", "https://a.example/list?page=2"));
        assert!(!matches("/list?page=*", "https://a.example/list"));
        assert!(matches("https://b.example/**", "https://b.example/x/y"));
        assert!(!matches("https://b.example/**", "https://a.example/x/y"));
        assert!(matches("**/product-*", "https://a.example/x/product-7"));
    }

    #[test]
    fn regular_expressions_are_searched_in_the_whole_url() {
        assert!(matches(r"regex:/p/\d+$", "https://a.example/p/12"));
        assert!(!matches(r"regex:/p/\d+$", "https://a.example/p/12x"));
        assert!(Patterns::new("deny", &["regex:(".to_owned()]).is_err());
    }
}
