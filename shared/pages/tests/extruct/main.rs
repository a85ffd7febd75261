//! The pages of extruct's tests against what extruct reads in them. Left out are what Feedfleet does not read
//! (microformats, Dublin Core) and extruct's other forms of the same items (flattened, with text, with node ids).

#![allow(clippy::unwrap_used, reason = "a test that fails by `unwrap` says enough")]

mod expected;
mod rdf;

use expected::{from_json_ld, from_microdata, is_same};
use feedfleet_pages::{Document, Item};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use url::Url;

const SAMPLES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/extruct/tests/samples");

/// Where the pages were found that say so in their expectation.
const URLS: [(&str, &str); 8] = [
    ("misc/Portfolio", "http://nielslubberman.nl/drupal/"),
    ("schema.org/product_custom_url", "http://some-example.com/"),
    ("songkick/elysianfields", "http://www.songkick.com/artists/236156-elysian-fields"),
    (
        "songkick/tovestyrke",
        "https://www.songkick.com/concerts/30166884-tove-styrke-at-hoxton-square-bar-and-kitchen",
    ),
    ("w3c/microdata.7.1", "http://blog.example.com/progress-report"),
    ("w3c/microdata.object", "http://www.example.com/microdata/test.html"),
    ("w3crdfa/", "http://www.example.com/index.html"),
    ("", "http://www.example.com/index.html"),
];

/// Parts of the names of expectations in forms that are not read.
const LEFT_OUT: [&str; 5] = ["_flat", ".flat", "withtext", "node_id", "microformat"];

/// What we read otherwise, and why.
const KNOWN_MISSES: [(&str, &str); 2] = [
    (
        "microdata schema.org/SearchAction.001.json",
        "an <input> that describes a search's parameter",
    ),
    (
        "rdfa misc/Portfolio_Niels_Lubberman.json",
        "literals of XML as markup, link types of XHTML 1.0",
    ),
];

#[test]
fn what_extruct_reads_is_read() {
    let mut files = Vec::new();
    collect(Path::new(SAMPLES), &mut files);
    if files.is_empty() {
        eprintln!("SKIPPED: no {SAMPLES}");
        return;
    }
    let mut tally: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut misses = Vec::new();
    let (mut left_out, mut without_page) = (BTreeMap::new(), 0);
    for file in &files {
        if let Some(form) = left_out_form(file) {
            *left_out.entry(form).or_insert(0) += 1;
        }
        for (syntax, expected) in expectations(file) {
            let Some(html) = html_of(file) else {
                without_page += 1;
                continue;
            };
            let url = url_of(file);
            let document = Document::parse(&html, &url);
            let is_read = compare(syntax, &document, &expected);
            let (passed, all) = tally.entry(syntax).or_default();
            *passed += usize::from(is_read);
            *all += 1;
            if !is_read {
                misses.push(format!("{syntax} {}", name_of(file)));
            }
        }
    }
    for (syntax, (passed, all)) in &tally {
        println!("extruct, {syntax}: {passed} of {all}");
    }
    for miss in &misses {
        let known = KNOWN_MISSES.iter().find(|(name, _)| name == miss);
        println!("  {miss}: {}", known.map_or("NOT EXPLAINED", |(_, reason)| *reason));
    }
    for (form, files) in &left_out {
        println!("  left out, {files} files: {form}");
    }
    println!("  left out, {without_page} expectations: their page is not in the set");
    misses.sort();
    assert_eq!(misses, KNOWN_MISSES.map(|(name, _)| name.to_owned()));
}

/// Why the expectation in a file is left out; none: it is not, or the file is a page.
fn left_out_form(file: &Path) -> Option<&'static str> {
    let name = name_of(file);
    if !(name.ends_with(".json") || name.ends_with(".jsonld")) {
        return None;
    }
    if name.contains("dublincore") {
        return Some("Dublin Core, which is not read");
    }
    let part = LEFT_OUT.iter().find(|part| name.contains(*part))?;
    Some(match *part {
        "microformat" => "microformats, which are not read",
        _ => "the same items flattened, with text, or with node ids",
    })
}

/// The expectations of a file: syntax and what is expected.
fn expectations(file: &Path) -> Vec<(&'static str, Json)> {
    let name = name_of(file);
    if left_out_form(file).is_some() || !(name.ends_with(".json") || name.ends_with(".jsonld")) {
        return Vec::new();
    }
    let json: Json = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    if let Json::Object(members) = json {
        let syntaxes = ["json-ld", "microdata", "opengraph", "rdfa"].into_iter();
        return syntaxes
            .filter_map(|syntax| Some((syntax, members.get(syntax)?.clone())))
            .collect();
    }
    let is_rdfa =
        [".expanded.json", "Portfolio", "expanded_OG"].iter().any(|part| name.contains(part));
    let syntax = if name.ends_with(".jsonld") {
        "json-ld"
    } else if is_rdfa {
        "rdfa"
    } else if name.contains("opengraph") {
        "opengraph"
    } else {
        "microdata"
    };
    vec![(syntax, json)]
}

fn compare(syntax: &str, document: &Document, expected: &Json) -> bool {
    let elements = expected.as_array().unwrap();
    match syntax {
        "json-ld" => {
            let read = document.json_ld();
            let expected: Vec<Item> =
                elements.iter().map(from_json_ld).filter(|item| *item != Item::default()).collect();
            read.broken == 0 && is_same(&read.items, &expected, document.base())
        }
        "microdata" => {
            let expected: Vec<Item> = elements.iter().map(from_microdata).collect();
            is_same(&document.microdata(), &expected, document.base())
        }
        "rdfa" => rdf::statements(&document.rdfa()) == rdf::expected_statements(elements),
        _ => open_graph(document, elements),
    }
}

/// The properties of the namespaces that extruct found declared.
fn open_graph(document: &Document, elements: &[Json]) -> bool {
    let read = document.open_graph();
    let Some(expected) = elements.first() else {
        return !read.properties.iter().any(|(name, _)| name.starts_with("og:"));
    };
    let namespaces = expected["namespace"].as_object().unwrap();
    let is_declared = |name: &str| {
        name.split_once(':').is_some_and(|(prefix, _)| namespaces.contains_key(prefix))
    };
    let read: Vec<(&str, &str)> = read
        .properties
        .iter()
        .filter(|(name, _)| is_declared(name))
        .map(|(name, content)| (name.as_str(), content.as_str()))
        .collect();
    let pairs = expected["properties"].as_array().unwrap().iter();
    let pairs: Vec<(&str, &str)> = pairs
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap().trim()))
        .filter(|(_, content)| !content.is_empty())
        .collect();
    read == pairs
}

fn html_of(file: &Path) -> Option<String> {
    let name = file.to_str()?.replace("product_custom_url", "product");
    let stem = [".jsonld", ".expanded.json", ".json"]
        .iter()
        .find_map(|extension| name.strip_suffix(extension))?;
    let bytes = fs::read(format!("{stem}.html")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn url_of(file: &Path) -> Url {
    let name = name_of(file);
    let found = URLS.iter().find(|(start, _)| name.starts_with(start));
    Url::parse(found.unwrap().1).unwrap()
}

fn name_of(file: &Path) -> String {
    file.strip_prefix(SAMPLES).unwrap().to_string_lossy().into_owned()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
