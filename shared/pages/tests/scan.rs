//! A scan of real pages finds what their trees have.

#![allow(clippy::unwrap_used, reason = "a test that fails by `unwrap` says enough")]

use feedfleet_pages::{Anchor, Document, scan, web_url};
use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use url::Url;

const FOLDERS: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/extruct"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/zyte-product-pages"),
];

#[test]
fn a_scan_of_real_pages_finds_what_their_trees_have() {
    let mut pages = Vec::new();
    FOLDERS.iter().for_each(|folder| collect(Path::new(folder), &mut pages));
    if pages.is_empty() {
        eprintln!("SKIPPED: none of {FOLDERS:?}");
        return;
    }
    let url = Url::parse("https://shop.example/a/b").unwrap();
    let wrong: Vec<String> =
        pages.iter().flat_map(|page| differences(&read(page), &url, page)).collect();
    eprintln!("scan: {} pages, {} differences", pages.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the scan and the tree of one page disagree on.
fn differences(html: &str, url: &Url, page: &Path) -> Vec<String> {
    let scan = scan(html);
    let document = Document::parse(html, url);
    // Of badly nested links the tree has copies.
    let scanned = targets(&scan.base_url(url), scan.links.iter().cloned());
    let in_tree = targets(document.base(), document.links());
    let links: Vec<&str> =
        scanned.symmetric_difference(&in_tree).map(|(url, _)| url.as_str()).collect();
    let is_equal = [
        ("JSON-LD", scan.items() == document.json_ld()),
        ("Open Graph", scan.open_graph() == document.open_graph()),
        ("robots", scan.robots_meta() == document.robots_meta()),
        ("base", scan.base_url(url) == *document.base()),
        ("canonical", scan.canonical_url(url) == document.canonical()),
        ("links", links.is_empty()),
        ("microdata", scan.has_microdata || document.microdata().is_empty()),
        ("RDFa", scan.has_rdfa || document.rdfa().iter().all(|item| item.types.is_empty())),
    ];
    let unequal = is_equal.into_iter().filter(|(_, is_equal)| !is_equal);
    unequal.map(|(what, _)| format!("{}: {what} {links:?}", page.display())).collect()
}

/// Where links lead, and whether they are not to be followed.
fn targets<'a>(base: &Url, links: impl Iterator<Item = Anchor<'a>>) -> HashSet<(Url, bool)> {
    links.filter_map(|link| Some((web_url(base, &link.href)?, link.rel_nofollow))).collect()
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            collect(&path, pages);
        } else if name.ends_with(".html") || name.ends_with(".html.gz") {
            pages.push(path);
        }
    }
    pages.sort();
}

fn read(page: &Path) -> String {
    let bytes = fs::read(page).unwrap();
    if page.extension().is_none_or(|extension| extension != "gz") {
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    let mut html = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut html).unwrap();
    String::from_utf8_lossy(&html).into_owned()
}
