//! Catalogues that somebody else made, from the optional `../shared/data`. Each test compares with a plain
//! reading of the same bytes by another reader.

use feedfleet_tests::{Fleet, Product, real_data};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

type Record = BTreeMap<String, String>;

/// The rows of a CSV file by one of its columns; cells trimmed, empty ones left out.
fn csv_by(path: &Path, key: &str) -> BTreeMap<String, Record> {
    let mut reader = csv::Reader::from_path(path).expect("the file can be read");
    let mut rows = BTreeMap::new();
    for record in reader.deserialize::<Record>() {
        let mut record = record.expect("the file is CSV");
        record.retain(|_, cell| {
            *cell = cell.trim().to_owned();
            !cell.is_empty()
        });
        rows.insert(record[key].clone(), record);
    }
    rows
}

fn by_id(products: Vec<Product>) -> BTreeMap<String, Product> {
    products.into_iter().map(|p| (p.id.clone(), p)).collect()
}

/// A JSON list of objects by their `id`.
fn json_by_id(list: &Value) -> BTreeMap<String, &Value> {
    let list = list.as_array().expect("a list");
    let id = |item: &Value| match &item["id"] {
        Value::String(id) => id.clone(),
        id => id.to_string(),
    };
    list.iter().map(|item| (id(item), item)).collect()
}

fn trimmed(value: &Value) -> &str {
    value.as_str().unwrap_or_default().trim()
}

const SUNRISE: &str = r#"
[images]
mirror = false
[source]
url = "products.csv"
format = "csv"
[map]
id = "sku"
title = { first_of = ["name.en", "name.de"] }
brand = "designer"
color = "color"
size = "size"
item_group_id = "baseId"
"#;

#[test]
fn sunrise_night_by_night() {
    let Some(data) = real_data("sunrise") else { return };
    let nights = ["products_f2f1afd.csv", "products_0719500.csv", "products_f2f1afd.csv"];
    let fleet = Fleet::new();
    fleet.pipe("sunrise", SUNRISE);
    let mut before: BTreeMap<String, Record> = BTreeMap::new();
    for night in nights {
        let path = data.join("data").join(night);
        let after = csv_by(&path, "sku");
        fleet.write("products.csv", fs::read(&path).unwrap());
        let report = fleet.run_pipe("sunrise");
        assert_eq!(report["state"], "done", "{report:#}");

        let (mut new, mut changed, mut unchanged) = (0, 0, 0);
        for (sku, row) in &after {
            match before.get(sku) {
                None => new += 1,
                Some(old) if old == row => unchanged += 1,
                Some(_) => changed += 1,
            }
        }
        let removed = before.keys().filter(|sku| !after.contains_key(*sku)).count();
        let counts = &report["counts"];
        let found =
            json!([counts["new"], counts["changed"], counts["unchanged"], counts["removed"]]);
        assert_eq!(found, json!([new, changed, unchanged, removed]), "{night}: {report:#}");
        assert_eq!(counts["refused"], 0, "{report:#}");

        let products = by_id(fleet.products("sunrise"));
        assert!(products.keys().eq(after.keys()), "{night}");
        for (sku, row) in &after {
            assert_sunrise(&products[sku], row);
        }
        before = after;
    }
}

fn assert_sunrise(product: &Product, row: &Record) {
    let cell = |name: &str| row.get(name).map_or("", String::as_str);
    let title = if cell("name.en").is_empty() { cell("name.de") } else { cell("name.en") };
    assert_eq!(product.title(), title);
    let mapped =
        [("brand", "designer"), ("color", "color"), ("size", "size"), ("item_group_id", "baseId")];
    for (column, field) in mapped {
        assert_eq!(product.text(column), cell(field), "{column} of {}", product.id);
    }
    // All that no column takes is in `extra`, such as the cells with many prices, and the second of two
    // names when the first was taken.
    let taken = ["sku", "name.en", "designer", "color", "size", "baseId"];
    let mut rest = row.clone();
    rest.retain(|field, value| {
        let is_title = field == "name.de" && value == title;
        !is_title && !taken.contains(&field.as_str())
    });
    assert_eq!(product.extra, rest, "{}", product.id);
}

#[test]
fn sunrise_stock() {
    let Some(data) = real_data("sunrise") else { return };
    let path = data.join("data/inventory.csv");
    let fleet = Fleet::new();
    let map = "[map]\nid = \"sku\"\nstock_quantity = \"quantityOnStock\"\n";
    let path_text = path.to_string_lossy();
    fleet.pipe("stock", &format!("[source]\nurl = \"{path_text}\"\nformat = \"csv\"\n{map}"));
    fleet.run_pipe("stock");
    let rows = csv_by(&path, "sku");
    let products = by_id(fleet.products("stock"));
    assert_eq!(products.len(), rows.len());
    for (sku, row) in &rows {
        let stock = products[sku].integers.get("stock_quantity").map(i64::to_string);
        assert_eq!(stock.as_ref(), row.get("quantityOnStock"), "{sku}");
    }
}

#[test]
fn shopify_variants_take_what_they_lack_from_the_first_row() {
    let Some(data) = real_data("shopify-csv") else { return };
    let path = data.join("packt/Product-data.csv");
    let fleet = Fleet::new();
    let settings = r#"
key = ["Handle", "Option1 Value"]
group = "Handle"
[map]
title = "Title"
brand = "Vendor"
description = "Body (HTML)"
image_link = "Image Src"
price = { field = "Variant Price", as = "money", currency = "USD" }
[images]
mirror = false
"#;
    let path_text = path.to_string_lossy();
    fleet.pipe("shopify", &format!("[source]\nurl = \"{path_text}\"\nformat = \"csv\"{settings}"));
    let report = fleet.run_pipe("shopify");
    assert_eq!(report["counts"]["refused"], 0, "{report:#}");

    let mut reader = csv::Reader::from_path(&path).unwrap();
    let rows: Vec<Record> = reader.deserialize::<Record>().map(Result::unwrap).collect();
    let products = by_id(fleet.products("shopify"));
    assert_eq!(products.len(), rows.len());
    let mut untitled = 0;
    for row in &rows {
        let product = &products[&format!("{}:{}", row["Handle"], row["Option1 Value"])];
        let leader = rows.iter().find(|first| first["Handle"] == row["Handle"]).unwrap();
        untitled += usize::from(row["Title"].is_empty());
        assert_eq!(product.title(), leader["Title"]);
        assert_eq!(product.text("brand"), leader["Vendor"]);
        // Each variant has a price and a picture of its own.
        let cents: i64 = row["Variant Price"].replace('.', "").parse().unwrap();
        assert_eq!(product.price, Some(cents * 100), "{}", product.id);
        assert_eq!(product.text("image_link"), row["Image Src"]);
    }
    assert!(untitled > 0, "the file has a row that needs its group");
}

#[test]
fn bestbuy_categories_from_json() {
    let Some(data) = real_data("bestbuy") else { return };
    let path = data.join("categories.json");
    let fleet = Fleet::new();
    let names: Vec<String> = (0..10).map(|level| format!("\"path[{level}].name\"")).collect();
    fleet.pipe(
        "bestbuy",
        &format!(
            "[source]\nurl = \"{}\"\nformat = \"json\"\n[map]\nid = \"id\"\ntitle = \"name\"\n\
             category = {{ fields = [{}], join = \" > \", as = \"category\" }}\n",
            path.display(),
            names.join(", ")
        ),
    );
    let report = fleet.run_pipe("bestbuy");
    assert_eq!(report["counts"]["refused"], 0, "{report:#}");
    let list: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let categories = json_by_id(&list);
    let products = by_id(fleet.products("bestbuy"));
    assert!(products.keys().eq(categories.keys()));
    for (id, category) in categories {
        let product = &products[&id];
        assert_eq!(product.title(), trimmed(&category["name"]), "{id}");
        let names = category["path"].as_array().into_iter().flatten().map(|c| trimmed(&c["name"]));
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        for (level, column) in
            ["category_1", "category_2", "category_3", "category_4"].into_iter().enumerate()
        {
            assert_eq!(product.text(column), names.get(level).copied().unwrap_or(""), "{id}");
        }
    }
}

#[test]
fn bestbuy_stores_from_gzipped_json() {
    let Some(data) = real_data("bestbuy") else { return };
    let path = data.join("stores.json.gz");
    let fleet = Fleet::new();
    fleet.pipe(
        "bestbuy",
        &format!(
            "[source]\nurl = \"{}\"\nformat = \"json\"\n[map]\nid = \"id\"\ntitle = \"name\"\n\
             search_tag = \"services\"\n",
            path.display()
        ),
    );
    let report = fleet.run_pipe("bestbuy");
    assert_eq!(report["source"]["compression"], "gzip", "{report:#}");
    let list: Value = serde_json::from_reader(GzDecoder::new(File::open(&path).unwrap())).unwrap();
    let stores = json_by_id(&list);
    let products = by_id(fleet.products("bestbuy"));
    assert!(products.keys().eq(stores.keys()));
    for (id, store) in stores {
        let product = &products[&id];
        assert_eq!(product.title(), trimmed(&store["name"]), "{id}");
        let services: Vec<&str> =
            store["services"].as_array().into_iter().flatten().map(trimmed).collect();
        let found: Vec<&str> =
            product.lists.get("search_tag").into_iter().flatten().map(String::as_str).collect();
        assert_eq!(found, services, "{id}");
        assert_eq!(product.extra["location.lat"], store["location"]["lat"].to_string(), "{id}");
    }
}

#[test]
fn csv_spectrum() {
    let Some(data) = real_data("csv-spectrum") else { return };
    let fleet = Fleet::new();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(data.join("csvs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let pipe = name.replace('_', "-");
        let text = fs::read_to_string(&path).unwrap();
        let key = text.lines().next().unwrap().split(',').next().unwrap();
        let source = format!("[source]\nurl = \"{}\"\nformat = \"csv\"\n", path.display());
        fleet.pipe(&pipe, &format!("{source}[map]\nid = \"{key}\"\n"));
        let preview = fleet.run(&["pipes", "preview", &pipe, "-n", "100", "--json"]).ok().json();
        let found: Vec<Record> = preview["rows"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| as_record(row, key))
            .collect();

        let answer = fs::read(data.join("json").join(format!("{name}.json"))).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let answer = if answer.is_array() { answer } else { json!([answer]) };
        let mut expected: Vec<Record> =
            answer.as_array().into_iter().flatten().map(expected_record).collect();
        if name == "location_coordinates" {
            // The answer has another telephone number than the file.
            expected[0].insert(key.to_owned(), found[0][key].clone());
        }
        assert_eq!(found, expected, "{name}");
        seen.insert(name);
    }
    assert!(seen.len() >= 12, "{seen:?}");
}

/// A previewed row as the file's record.
fn as_record(row: &Value, key: &str) -> Record {
    let extra = row["extra"].as_object().into_iter().flatten();
    let mut record: Record = extra.map(|(name, cell)| (name.clone(), one_line_end(cell))).collect();
    record.insert(key.to_owned(), one_line_end(&row["id"]));
    record
}

/// An answer's record; empty cells are no values to Feedfleet.
fn expected_record(answer: &Value) -> Record {
    let cells = answer.as_object().into_iter().flatten();
    let cells = cells.map(|(name, cell)| (name.clone(), one_line_end(cell)));
    cells.filter(|(_, cell)| !cell.is_empty()).collect()
}

fn one_line_end(cell: &Value) -> String {
    cell.as_str().unwrap_or_default().replace("\r\n", "\n")
}
