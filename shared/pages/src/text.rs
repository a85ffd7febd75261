//! The text of an element as a person reads it, and the URLs that a page writes relative to itself.

use scraper::{ElementRef, Node};
use url::Url;

/// The text of an element: white space is one space, block elements and `<br>` begin a new line; what is never
/// shown (scripts, styles, templates) is left out.
pub(crate) fn text_of(element: ElementRef<'_>) -> String {
    let mut lines = Lines::default();
    // A stack of its own: pages nest deeper than a thread's stack.
    let mut stack = vec![Step::Visit(*element)];
    while let Some(step) = stack.pop() {
        let node = match step {
            Step::Visit(node) => node,
            Step::Gap(gap) => {
                lines.widen(gap);
                continue;
            }
        };
        match node.value() {
            Node::Text(text) => lines.push(text),
            Node::Element(inner) => {
                let name = inner.name();
                // An element that is asked for itself is read, be it hidden or not.
                if is_hidden(name) && node.id() != element.id() {
                    continue;
                }
                let gap = gap_around(name);
                lines.widen(gap);
                stack.push(Step::Gap(gap));
                stack.extend(node.children().rev().map(Step::Visit));
            }
            _ => {}
        }
    }
    lines.text
}

/// A URL as the page means it; none for a blank one and for what is no URL.
pub(crate) fn resolve(base: &Url, reference: &str) -> Option<Url> {
    let reference = reference.trim();
    if reference.is_empty() {
        return None;
    }
    base.join(reference).ok()
}

/// What is left to do in a walk.
enum Step<N> {
    Visit(N),
    Gap(Gap),
}

/// What stands between two words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
}

/// A text under construction.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    gap: Gap,
}

impl Lines {
    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn push(&mut self, text: &str) {
        if text.starts_with(char::is_whitespace) {
            self.widen(Gap::Space);
        }
        let mut is_first = true;
        for word in text.split_whitespace() {
            if !is_first {
                self.gap = Gap::Space;
            }
            is_first = false;
            if !self.text.is_empty() {
                match self.gap {
                    Gap::None => {}
                    Gap::Space => self.text.push(' '),
                    Gap::Line => self.text.push('\n'),
                }
            }
            self.text.push_str(word);
            self.gap = Gap::None;
        }
        if !is_first && text.ends_with(char::is_whitespace) {
            self.gap = Gap::Space;
        }
    }
}

fn is_hidden(name: &str) -> bool {
    matches!(name, "script" | "style" | "noscript" | "template" | "head" | "iframe" | "svg")
}

fn gap_around(name: &str) -> Gap {
    match name {
        "td" | "th" => Gap::Space,
        "address" | "article" | "aside" | "blockquote" | "body" | "br" | "caption" | "center"
        | "dd" | "details" | "dialog" | "dir" | "div" | "dl" | "dt" | "fieldset" | "figcaption"
        | "figure" | "footer" | "form" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "header"
        | "hgroup" | "hr" | "html" | "legend" | "li" | "main" | "menu" | "nav" | "ol"
        | "optgroup" | "option" | "p" | "pre" | "search" | "section" | "select" | "summary"
        | "table" | "tbody" | "tfoot" | "thead" | "tr" | "ul" => Gap::Line,
        _ => Gap::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scraper::Html;

    fn text_of_body(body: &str) -> String {
        text_of(Html::parse_document(body).root_element())
    }

    #[test]
    fn white_space_is_one_space_and_blocks_begin_lines() {
        for (body, expected) in [
            ("<p> A \n\t b<b>c</b> <i> d</i></p>", "A bc d"),
            ("<p>one</p>\n  <p>two<br>three</p>four", "one\ntwo\nthree\nfour"),
            ("<ul><li>a<li>b</ul>", "a\nb"),
            ("<table><tr><td>SKU</td><td>12</td></tr><tr><td>EAN</td></tr></table>", "SKU 12\nEAN"),
            ("1\u{a0}299,00&nbsp;€", "1 299,00 €"),
            ("<div><div><div></div></div></div>", ""),
        ] {
            assert_eq!(text_of_body(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_never_shown_is_left_out() {
        let body = "<title>t</title><p>a<script>b</script><style>c</style>\
                    <noscript>d</noscript><template>e</template>f<!-- g --></p>";
        assert_eq!(text_of_body(body), "af");
    }

    #[test]
    fn deep_nesting_is_read() {
        let body = format!("{}deep", "<span>".repeat(20_000));
        assert_eq!(text_of_body(&body), "deep");
    }

    #[test]
    fn a_reference_is_resolved() {
        let base = Url::parse("https://shop.example/a/b?c").unwrap();
        for (reference, expected) in [
            (" d.html ", Some("https://shop.example/a/d.html")),
            ("//cdn.example/x y.jpg", Some("https://cdn.example/x%20y.jpg")),
            ("?e", Some("https://shop.example/a/b?e")),
            ("  ", None),
            ("http://[", None),
        ] {
            let resolved = resolve(&base, reference).map(String::from);
            assert_eq!(resolved.as_deref(), expected, "{reference:?}");
        }
    }
}
