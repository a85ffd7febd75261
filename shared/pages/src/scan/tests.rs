use super::*;
use crate::Document;
use proptest::prelude::Strategy;

/// Well-formed pieces of pages, and what is meant to mislead.
static PIECES: [&str; 34] = [
    "<a href=/1>one</a>",
    "<A HREF='2?a=1&amp;b=2&copy=3' REL='NoFollow noopener'>two</A>",
    "<a href=\" 3&#x20;4 \" href=5 rel=nofollow>three</a>",
    "<a name=6>none</a><a href>empty</a>",
    "<a href='mailto:x@y.example'>m</a>",
    "<div title='<a href=/no>' data-x=\"a > b 'c\">x</div>",
    "<p>1 < 2 <3 & 4 > 3</p>",
    "<!-- <a href=/no> -- > --><!--><!---><!-- a --!><!-- b --->",
    "<?php echo '<a' ?>",
    "</ a href=/no></>",
    "<meta name=description content='A &quot;pan&quot;'>",
    "<META PROPERTY=og:title NAME=x CONTENT=Pan>",
    "<meta name=' robots ' content='NOINDEX, nofollow'/>",
    "<meta name=empty><meta content=nameless><meta charset=utf-8>",
    "<meta property='og:description' content='line\r\nnext &nbsp;&euro;&hellip;&unknown; &ampx'>",
    "<link rel='alternate canonical' href='/canonical'>",
    "<link rel=canonical href=' '><link rel=canonical>",
    "<link rel=stylesheet href=style.css>",
    "<base target=_blank><base href='/base/'>",
    "<base href='https://cdn.example/x/'>",
    "<script>document.write('<a href=/no>' + \"<!-- \")</script>",
    "<script src=x.js></script >",
    "<script type=application/ld+json>{\"@type\":\"Product\",\"name\":\"A </b> pan\"}</script>",
    "<SCRIPT TYPE='application/ld&#x2B;json; charset=utf-8'>{\"@type\":\"Offer\"}\r\n</SCRIPT\n>",
    "<script type='application/ld+json'>{\"@id\":\"a\",\"text\":\"1\r\n2\r3\",}</script>",
    "<style>a::before { content: '<a href=/no>' }</style>",
    "<noscript><a href=/no></noscript>",
    "<textarea><a href=/no></textarea>",
    "<iframe src=x><a href=/no></iframe>",
    "<template><a href=/in-template>t</a></template>",
    "<svg viewBox='0 0 1 1'><title/><path d='M0'/></svg>",
    "<svg><title>t</title><style>a{}</style></svg>",
    "<img src=x alt='a/b'/><br/>",
    "<ul><li>가나다<li>é</ul>",
];

fn url() -> Url {
    Url::parse("https://shop.example/a/b?c#d").unwrap()
}

/// Where links lead, in their order, and whether they are not to be followed.
fn targets<'a>(base: &Url, anchors: impl IntoIterator<Item = Anchor<'a>>) -> Vec<(Url, bool)> {
    let target = |anchor: Anchor<'a>| {
        let url = links::web_url(base, &anchor.href)?;
        Some((url, anchor.rel_nofollow))
    };
    anchors.into_iter().filter_map(target).collect()
}

/// Both ways to read a page find the same.
fn compare(html: &str) {
    let (url, scan) = (url(), scan(html));
    let document = Document::parse(html, &url);
    assert_eq!(scan.items(), document.json_ld(), "{html}");
    let metas: Vec<(&str, &str)> = document.metas().collect();
    assert_eq!(scan.meta_pairs().collect::<Vec<_>>(), metas, "{html}");
    assert_eq!(scan.open_graph(), document.open_graph(), "{html}");
    assert_eq!(scan.robots_meta(), document.robots_meta(), "{html}");
    assert_eq!(&scan.base_url(&url), document.base(), "{html}");
    assert_eq!(scan.canonical_url(&url), document.canonical(), "{html}");
    let in_tree = targets(document.base(), document.links());
    assert_eq!(targets(&scan.base_url(&url), scan.links), in_tree, "{html}");
}

#[test]
fn a_scan_finds_what_the_tree_has() {
    for piece in PIECES {
        compare(piece);
        compare(&format!("<!doctype html><html><head>{piece}</head><body>{piece}</body></html>"));
    }
}

proptest::proptest! {
    #[test]
    fn a_scan_finds_what_the_tree_has_in_any_order(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12)
            .prop_map(|pieces| pieces.concat())
    ) {
        compare(&pieces);
    }

    #[test]
    fn no_page_brings_it_down(html in "(<|</|<!--|-->|<a|<script|</script>|href=| |'|\"|>|/|é|&amp;){0,40}") {
        scan(&html);
    }
}

#[test]
fn a_scan_reads_a_page() {
    let html = PIECES.concat();
    let scan = scan(&html);
    assert_eq!(scan.json_ld.len(), 3);
    assert_eq!(scan.canonical.as_deref(), Some("/canonical"));
    assert_eq!(scan.base.as_deref(), Some("/base/"));
    assert_eq!(scan.open_graph().first("og:title"), Some("Pan"));
    assert!(scan.robots_meta().noindex);
    let links = targets(&scan.base_url(&url()), scan.links.clone());
    assert_eq!(
        links.iter().map(|(url, _)| url.as_str()).collect::<Vec<_>>(),
        [
            "https://shop.example/1",
            "https://shop.example/base/2?a=1&b=2&copy=3",
            "https://shop.example/base/3%204",
            "https://shop.example/in-template",
        ]
    );
    assert!(scan.links[1].rel_nofollow);
    assert!(!scan.has_microdata && !scan.has_rdfa);
}

/// However long the base of a page is, its links stay short.
#[test]
fn a_base_that_is_too_long_is_taken_by_neither() {
    for long in ["/".to_owned() + &"x".repeat(5_000), format!("//{}.example/", "x".repeat(5_000))] {
        let html = format!("<base href='{long}'><a href=c>c</a>");
        compare(&html);
        assert_eq!(scan(&html).base_url(&url()), url());
    }
}

#[test]
fn a_page_that_ends_in_the_middle_is_read_up_to_there() {
    let scanned = scan("<a href=/1>one</a><script type=application/ld+json>{\"a\": 1");
    assert_eq!((scanned.links.len(), scanned.json_ld.len()), (1, 1));
    assert_eq!(scan("<a href=/1>one</a><a href='/2").links.len(), 1);
    assert_eq!(scan("<a href=/1>one</a><!-- <a href=/2>").links.len(), 1);
}

#[test]
fn what_only_a_tree_can_read_is_told() {
    assert!(scan("<div itemscope>").has_microdata);
    assert!(scan("<div TypeOf=x>").has_rdfa);
    assert!(!scan("<!-- <div itemscope typeof=x> -->").has_microdata);
}
