//! The pipes that people copy from `examples`: each loads as it stands, once the variables that it names are set.

use feedfleet_config::{Config, Pipe, load};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The variables that the examples name.
const VARIABLES: [(&str, &str); 5] = [
    ("DEMO_URL", "http://127.0.0.1:4000"),
    ("PARTNER_SSH_KEY", "a private key"),
    ("PARTNER_SSH_PHRASE", "its phrase"),
    ("PARTNER_TOKEN", "hunter2"),
    ("SHOP_CRAWLER_KEY", "hunter3"),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn examples(name: &str) -> Config {
    let variables = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = load(&folder(name), &BTreeMap::from(variables));
    config.unwrap_or_else(|errors| panic!("{errors}"))
}

/// Name, format and place of each pipe, and of each supplement behind its pipe.
fn sources(config: &Config) -> Vec<(String, &'static str, String)> {
    let brief = |pipe: &Pipe| {
        let source = &pipe.source;
        (pipe.name.to_string(), source.format.name(), source.location.display())
    };
    let each = |pipe: &Pipe| {
        let mut briefs = vec![brief(pipe)];
        briefs.extend(pipe.supplements.iter().map(brief));
        briefs
    };
    config.pipes.iter().flat_map(each).collect()
}

#[test]
fn pipes_to_copy_load_as_they_stand() {
    let config = examples("examples");
    let expected = [
        ("sftp", "csv", "sftp://files.partner.example:2222/out/products.csv.gz"),
        ("shopify-json", "shopify-json", "https://shop.example/products.json"),
        ("site", "schema-org", "https://shop.example/"),
        ("stock-supplement", "google-xml", "https://partner.example/catalogue.xml.gz"),
        ("stock-supplement.stock", "csv", "https://partner.example/stock.csv"),
    ];
    let expected =
        expected.map(|(name, format, place)| (name.to_owned(), format, place.to_owned()));
    assert_eq!(sources(&config), expected);
    assert!(config.pipes.iter().all(|pipe| pipe.schedule.is_some()));
}

#[test]
fn the_demos_pipes_load_with_its_fleet() {
    let config = examples("examples/demo");
    assert!(config.fleet_file.is_some());
    let sources = sources(&config);
    let formats: Vec<(&str, &str)> =
        sources.iter().map(|(name, format, _)| (name.as_str(), *format)).collect();
    let expected = [
        ("atelier-press", "google-xml"),
        ("corner-books", "xml"),
        ("hanok-living", "naver-ep"),
        ("lumen-lighting", "csv"),
        ("northwind-outdoor", "google-xml"),
        ("pixel-parts", "jsonl"),
    ];
    assert_eq!(formats, expected);
}

/// What is secret is named, never written; and every example has its row.
#[test]
fn examples_name_their_variables_and_are_listed() {
    let listed = fs::read_to_string(folder("examples/README.md")).expect("there is a list");
    let mut named = BTreeSet::new();
    for (place, pipes) in [("examples", "pipes"), ("examples/demo", "demo/pipes")] {
        for pipe in examples(place).pipes {
            let text = fs::read_to_string(folder(place).join(&pipe.file)).expect("it was loaded");
            let variables = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            named.extend(variables.map(|(name, _)| name.to_owned()));
            let row = format!("]({pipes}/{}.toml)", pipe.name);
            assert!(listed.contains(&row), "examples/README.md does not list {row}");
        }
    }
    // The comment of sftp.toml shows another way.
    named.remove("NAME");
    assert_eq!(named, BTreeSet::from(VARIABLES.map(|(name, _)| name.to_owned())));
}
