//! The tree of a page, within bounds: a parser looks through all elements that are open at every further one, and opens
//! some of them again, so that a page of a few megabytes could keep it busy for hours and fill any memory.

use html5ever::driver::{self, ParseOpts};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{Tracer, TreeSink};
use scraper::{Html, HtmlTreeSink};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Bytes that are parsed before the bounds are looked at.
const PIECE_BYTES: usize = 1024;
/// Elements open at once, those of formatting (`<b>`) counted twice. Browsers stop at 512.
const MAX_OPEN: usize = 1_000;
/// Nodes of any tree, to which one comes for so many bytes of the page.
const FREE_NODES: usize = 1_000;
const BYTES_PER_NODE: usize = 4;
/// For what the counts above don't show, such as a tag with 100,000 attributes.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Parses a page as a browser does, which never fails. False beside the tree: it ends where a bound was met, and what
/// comes after that on the page is not in it.
pub(crate) fn parse(html: &str) -> (Html, bool) {
    let began = Instant::now();
    let max_nodes = FREE_NODES + html.len() / BYTES_PER_NODE;
    let sink = HtmlTreeSink::new(Html::new_document());
    let mut parser = driver::parse_document(sink, ParseOpts::default());
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        parser.process(StrTendril::from(piece));
        rest = behind;
        let builder = &parser.tokenizer.sink;
        let nodes = builder.sink.0.borrow().tree.nodes().len();
        let open = Open::default();
        builder.trace_handles(&open);
        if nodes > max_nodes || open.0.get() > MAX_OPEN || began.elapsed() > MAX_TIME {
            break;
        }
    }
    (parser.finish(), rest.is_empty())
}

/// Counts what a parser has open.
#[derive(Default)]
struct Open(Cell<usize>);

impl Tracer for Open {
    type Handle = <HtmlTreeSink as TreeSink>::Handle;

    fn trace_handle(&self, _node: &Self::Handle) {
        self.0.set(self.0.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn a_page_in_pieces_has_the_tree_of_the_whole() {
        let mut html = "<!DOCTYPE html><title>Pan &amp; Söhne</title><body class='é'>".to_owned();
        for n in 0..2_000 {
            let text = "€ &euro;&#8364; <b>größer<i>als</b> x</i><td>鍋\r\n";
            write!(html, "<p id=p{n}>{n} {text}").unwrap();
        }
        html.push_str("<table><tr>a<td>b</table><script>if (a < b) { c('é</p>'); }</script>");
        let (tree, is_whole) = parse(&html);
        assert!(is_whole && tree == Html::parse_document(&html));
        for html in ["", "é", "<p"] {
            assert_eq!(parse(html), (Html::parse_document(html), true));
        }
    }

    /// Promise 15: a page that would keep a parser busy for hours is read as far as the bounds go.
    #[test]
    fn a_page_made_to_be_slow_is_cut() {
        let opened = |count: usize| (0..count).map(|n| format!("<b id={n}>")).collect::<String>();
        let paragraphs = "<p>x".repeat(200_000);
        for (slow, name) in [
            ("<div>".repeat(800_000), "elements in each other"),
            (opened(100_000), "formatting that is never closed"),
            (format!("<p>{}</p>{paragraphs}", opened(400)), "formatting that is opened again"),
        ] {
            let began = Instant::now();
            let html = format!("<title>Pan</title><p>x</p>{slow}<p>end</p>");
            let (tree, is_whole) = parse(&html);
            assert!(!is_whole, "{name}");
            assert!(began.elapsed() < MAX_TIME, "{name}: {:?}", began.elapsed());
            let most = FREE_NODES + html.len() / BYTES_PER_NODE + PIECE_BYTES * MAX_OPEN;
            assert!(tree.tree.nodes().len() <= most, "{name}");
            let text: String = tree.root_element().text().take(2).collect();
            assert_eq!(text, "Panx", "{name}");
        }
    }

    #[test]
    fn a_long_page_of_the_usual_kind_is_whole() {
        let item =
            "<li class=item><a href=/p/1><b>Iron pan</b></a> <span class=price>39,00 €</span>";
        let html = format!("<ul>{}</ul>", item.repeat(40_000));
        let (tree, is_whole) = parse(&html);
        assert!(is_whole);
        assert!(tree.tree.nodes().len() > 200_000);
    }
}
