//! Reads prices.

use super::super::prices::{InstancePrice, Prices};
use super::{DEAREST, items};
use feedfleet_config::ConfigError;
use feedfleet_config::reading::{Document, Table};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// An hour of an instance, a million requests: none costs more, in US dollars.
const DEAR: f64 = 1_000.0;
const AN_HOUR: &str = "expected US dollars an hour";

/// `prices`: a table, or the name of a file that has one. The mistakes of such a file go to `elsewhere`.
pub(super) fn prices(
    root: &mut Table<'_>,
    file: &Path,
    open: &dyn Fn(&str) -> io::Result<String>,
    elsewhere: &mut Vec<ConfigError>,
) -> Option<Prices> {
    let value = root.required("prices", "expected a file of prices, or a table [prices]")?;
    if !value.is_text() {
        let mut table = value.table_or("a file of prices or a table")?;
        let prices = price_list(&mut table);
        table.finish();
        return prices;
    }
    let name = value.word()?;
    let text = match open(&name) {
        Ok(text) => text,
        Err(e) => {
            let expected = "expected a file of prices, as seen from this file's folder";
            value.refuse(format!("the file of prices can't be read: {e}"), expected);
            return None;
        }
    };
    let environment = BTreeMap::<String, String>::new();
    let path = file.parent().unwrap_or(Path::new("")).join(name);
    let document = Document::new(&path, &text, Path::new(""), &environment);
    let prices = document.root().and_then(|mut root| {
        let prices = price_list(&mut root);
        root.finish();
        prices
    });
    elsewhere.extend(document.finish());
    prices
}

fn price_list(table: &mut Table<'_>) -> Option<Prices> {
    let source = table.required("source", "expected whose prices these are, and of which day");
    let source = source.and_then(|value| value.word());
    let instances = instances(table);
    let (mut sqs, mut put, mut get) = (None, None, None);
    let requests = table.required("requests", "expected a table [requests]");
    if let Some(mut requests) = requests.and_then(|value| value.table()) {
        let mut price = |key: &'static str| {
            let value = requests.required(key, "expected US dollars");
            value.and_then(|value| value.amount(DEAR))
        };
        sqs = price("sqs_million");
        put = price("s3_put_thousand");
        get = price("s3_get_thousand");
        requests.finish();
    }
    let (hour, month) = (items(table, "hour"), items(table, "month"));
    if instances.is_empty() {
        return None;
    }
    Some(Prices {
        source: source?,
        instances,
        hour,
        sqs_million: sqs?,
        s3_put_thousand: put?,
        s3_get_thousand: get?,
        month,
    })
}

/// `[instances."TYPE"]`, in the file's order.
fn instances(table: &mut Table<'_>) -> Vec<InstancePrice> {
    let expected = "expected a table [instances.\"TYPE\"] for each type";
    let Some(value) = table.required("instances", expected) else { return Vec::new() };
    let Some(mut types) = value.table() else { return Vec::new() };
    let entries = types.entries();
    if entries.is_empty() {
        value.refuse("[instances] is empty", expected);
    }
    let mut found = Vec::new();
    for entry in &entries {
        let Some(mut table) = entry.table() else { continue };
        let spot = table.required("spot", AN_HOUR).and_then(|v| v.amount(DEAR));
        let on_demand = table.required("on_demand", AN_HOUR).and_then(|v| v.amount(DEAR));
        let cores = table.read("cores", 2, |v| v.count(1, 1_024));
        let speed = table.read("speed", 1.0, |v| {
            let speed = v.amount(DEAREST)?;
            if speed > 0.0 {
                return Some(speed);
            }
            v.refuse(format!("{} is 0", v.name()), "expected more than 0: 1 is as measured");
            None
        });
        table.finish();
        if let (Some(spot), Some(on_demand)) = (spot, on_demand) {
            let name = entry.key().to_owned();
            found.push(InstancePrice { name, spot, on_demand, cores, speed });
        }
    }
    found
}
