//! Supplements of a pipe: what `[supplements]` becomes, and what is refused in it.

use feedfleet_config::{LayerMode, Pipe, load_lenient, load_pipe, parse_pipe};
use feedfleet_model::{PipeName, columns};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const PIPE: &str = "
timezone = 'Asia/Seoul'
[source]
url = 'f.xml'
format = 'google-xml'
[supplements.stock]
schedule = '*/30 * * * *'
max_age = '2d'
[supplements.stock.source]
url = 'stock.csv'
format = 'csv'
[supplements.stock.map]
id = 'sku'
stock_quantity = 'qty'
price = { field = 'p', as = 'money', currency = 'KRW' }
[supplements.stock.guard]
max_removed = '50%'
[supplements.labels]
mode = 'fill'
columns = ['custom_label_0', 'brand']
source = { url = 'labels.xml', format = 'google-xml' }
";

fn environment() -> BTreeMap<String, String> {
    BTreeMap::new()
}

fn parse(text: &str) -> Result<Pipe, String> {
    let name = "acme".parse().expect("a pipe's name");
    let pipe = parse_pipe(&name, text, Path::new("/conf"), &environment());
    pipe.map_err(|errors| errors.to_string())
}

fn pipe(text: &str) -> Pipe {
    parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_supplement_is_read_as_a_pipe_is() {
    let acme = pipe(PIPE);
    let [stock, labels] = &acme.supplements[..] else { panic!("{:?}", acme.supplements) };
    assert_eq!((stock.name.as_str(), labels.name.as_str()), ("acme.stock", "acme.labels"));
    let schedule = stock.schedule.as_ref().expect("it has one");
    assert_eq!((schedule.cron.as_str(), schedule.timezone.name()), ("*/30 * * * *", "Asia/Seoul"));
    assert_eq!(stock.source.location.display(), "/conf/stock.csv");
    assert_eq!((stock.guard.max_removed, stock.images.mirror), (0.5, false));
    let layer = stock.layer.as_ref().expect("it is a supplement");
    let columns = [columns::STOCK_QUANTITY, columns::PRICE, columns::PRICE_CURRENCY];
    assert_eq!((layer.columns.as_slice(), layer.mode), (&columns[..], LayerMode::Override));
    assert_eq!(layer.max_age, Some(Duration::from_secs(2 * 86_400)));

    assert!(labels.schedule.is_none());
    let layer = labels.layer.as_ref().expect("it is a supplement");
    assert_eq!(layer.columns, [columns::BRAND, columns::CUSTOM_LABEL_0]);
    assert_eq!((layer.mode, layer.max_age), (LayerMode::Fill, None));
    assert!(acme.layer.is_none() && labels.supplements.is_empty());
}

/// Rows are made with what supplements say: whether a source must be read again depends on which they are.
#[test]
fn supplements_are_a_part_of_what_makes_rows() {
    let fingerprint = |text: &str| pipe(text).mapping_fingerprint();
    let same = fingerprint(PIPE);
    for (from, to) in [("stock.csv", "other.csv"), ("*/30", "*/15")] {
        assert_eq!(fingerprint(&PIPE.replace(from, to)), same, "{to}");
    }
    for (from, to) in [
        ("'fill'", "'override'"),
        ("'brand'", "'maker'"),
        (".labels]", ".marks]"),
        // What was left out as too old may count again.
        ("'2d'", "'3d'"),
    ] {
        assert_ne!(fingerprint(&PIPE.replace(from, to)), same, "{to}");
    }
    let labels = |text: &str| pipe(text).supplements[1].mapping_fingerprint();
    assert_ne!(labels(PIPE), labels(&PIPE.replace("'fill'", "'override'")));
}

#[test]
fn what_cannot_be_supplemented_is_refused() {
    const START: &str = "[source]\nurl = 'f.xml'\nformat = 'google-xml'\n";
    const SOURCE: &str = "source = { url = 's.xml', format = 'google-xml' }";
    for (rest, expected) in [
        (format!("[supplements.Stock]\n{SOURCE}"), "'Stock' is not a supplement's name"),
        (format!("[supplements.s]\n{SOURCE}"), "[supplements.s] fills no column"),
        ("[supplements.s]\ncolumns = 'price'".to_owned(), "[supplements.s] has no source"),
        (
            format!("[supplements.s]\ncolumns = ['price', 'image_link']\n{SOURCE}"),
            "a supplement cannot fill 'image_link'",
        ),
        (
            format!("[supplements.s]\n{SOURCE}\nmap = {{ id = 'a', search_tag = 'b' }}"),
            "a supplement cannot fill 'search_tag'",
        ),
        (
            format!(
                "[supplements.a]\ncolumns = 'price'\n{SOURCE}\n\
                 [supplements.b]\ncolumns = 'price'\n{SOURCE}"
            ),
            "both 'a' and 'b' fill price",
        ),
        (
            "[supplements.s]\ncolumns = 'price'\nsource = { kind = 'site', url = 'https://a/' }"
                .to_owned(),
            "a supplement is a feed",
        ),
        (
            "[supplements.s]\ncolumns = 'price'\nsource = { path = 'a' }".to_owned(),
            "unknown field 'path' in [supplements.s.source]; expected one of kind, url, format",
        ),
        (
            format!("[supplements.s]\ncolumns = 'price'\nmode = 'add'\n{SOURCE}"),
            "'add' is not a mode; expected one of override, fill",
        ),
        (
            format!(
                "[supplements.s]\ncolumns = 'price'\n{SOURCE}\n\
                 guard = {{ absent_nights = 2 }}"
            ),
            "unknown field 'absent_nights' in [supplements.s.guard]",
        ),
    ] {
        let errors = parse(&format!("{START}{rest}\n")).expect_err("it is wrong");
        assert!(errors.contains(expected), "{rest}\n{errors}");
    }
}

#[test]
fn a_supplement_is_found_in_its_pipes_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("pipes")).expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join("pipes").join(name), text).expect("a file");
    };
    write("acme.toml", PIPE);
    let load = |name: &str| {
        let name: PipeName = name.parse().expect("a name");
        load_pipe(folder.path(), &name, &environment()).map(|pipe| pipe.name.to_string())
    };
    assert_eq!(load("acme").as_deref(), Ok("acme"));
    assert_eq!(load("acme.stock").as_deref(), Ok("acme.stock"));
    let errors = load("acme.prices").expect_err("there is none").to_string();
    assert_eq!(errors, "pipes/acme.toml: it has no [supplements.prices]");

    write("acme.more.toml", PIPE);
    let (config, mistakes) = load_lenient(folder.path(), &environment()).expect("a folder");
    let names: Vec<&str> = config.sources().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["acme", "acme.stock", "acme.labels"]);
    assert!(mistakes.to_string().contains("pipes/acme.more.toml: a supplement has no file"));
}
