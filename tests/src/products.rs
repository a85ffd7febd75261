//! Reads the product table the way any reader of Delta Lake would.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use feedfleet_catalog::{Catalog, Location, read};
use feedfleet_model::columns::COLUMNS;
use std::collections::BTreeMap;

/// One live product. Columns that are null are absent from the maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The partner's id.
    pub id: String,
    /// `price` in ten-thousandths.
    pub price: Option<i64>,
    /// The run that last changed it.
    pub run: i64,
    /// Text columns by name.
    pub texts: BTreeMap<&'static str, String>,
    /// List columns by name.
    pub lists: BTreeMap<&'static str, Vec<String>>,
    /// Integer columns by name.
    pub integers: BTreeMap<&'static str, i64>,
    /// Decimal columns by name, in ten-thousandths.
    pub decimals: BTreeMap<&'static str, i64>,
    /// Boolean columns by name.
    pub booleans: BTreeMap<&'static str, bool>,
    /// The column `extra`.
    pub extra: BTreeMap<String, String>,
    /// The column `source_values`.
    pub source_values: BTreeMap<String, String>,
}

impl Product {
    /// A text column; empty when it is null.
    pub fn text(&self, column: &str) -> &str {
        self.texts.get(column).map_or("", String::as_str)
    }

    /// Its title; empty when it is null.
    pub fn title(&self) -> &str {
        self.text("title")
    }

    /// Id, title and price in ten-thousandths (0 when null): what most tests compare.
    pub fn brief(&self) -> (&str, &str, i64) {
        (&self.id, self.title(), self.price.unwrap_or(0))
    }
}

/// The live products of a pipe, by id.
///
/// # Panics
///
/// When the table cannot be read, or an id is alive twice.
pub fn products(catalog: impl Into<Location>, pipe: &str) -> Vec<Product> {
    let catalog = Catalog::open(catalog).expect("the catalog can be opened");
    let snapshot = catalog.products().snapshot().expect("the table's log can be read");
    let Some(snapshot) = snapshot else { return Vec::new() };
    let name = pipe.parse().expect("a pipe's name");
    let mut found = Vec::new();
    for file in snapshot.files(Some(&name)).expect("the table's log can be read") {
        read::for_each_batch(&snapshot, &file, None, |rows| {
            let batch = rows.live_batch().expect("live rows can be told");
            found.extend((0..batch.num_rows()).map(|row| product(&batch, row)));
            Ok(())
        })
        .expect("a data file can be read");
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    for pair in found.windows(2) {
        assert_ne!(pair[0].id, pair[1].id, "an id is alive twice in {pipe}");
    }
    found
}

fn product(batch: &RecordBatch, row: usize) -> Product {
    let mut product = Product {
        id: String::new(),
        price: None,
        run: 0,
        texts: BTreeMap::new(),
        lists: BTreeMap::new(),
        integers: BTreeMap::new(),
        decimals: BTreeMap::new(),
        booleans: BTreeMap::new(),
        extra: BTreeMap::new(),
        source_values: BTreeMap::new(),
    };
    for column in COLUMNS {
        let Some(values) = batch.column_by_name(column.name) else { continue };
        if values.is_null(row) {
            continue;
        }
        let name = column.name;
        match values.data_type() {
            DataType::Utf8 => {
                product.texts.insert(name, values.as_string::<i32>().value(row).to_owned());
            }
            DataType::Int64 => {
                product.integers.insert(name, values.as_primitive::<Int64Type>().value(row));
            }
            DataType::Decimal128(_, _) => {
                let value = values.as_primitive::<Decimal128Type>().value(row);
                product.decimals.insert(name, i64::try_from(value).expect("18 digits fit"));
            }
            DataType::Boolean => {
                product.booleans.insert(name, values.as_boolean().value(row));
            }
            DataType::List(_) => {
                product.lists.insert(name, texts(values.as_list::<i32>().value(row).as_ref()));
            }
            DataType::Map(_, _) => {
                let entries = values.as_map().value(row);
                let names = texts(entries.column(0).as_ref());
                let pairs = names.into_iter().zip(texts(entries.column(1).as_ref())).collect();
                match name {
                    "source_values" => product.source_values = pairs,
                    _ => product.extra = pairs,
                }
            }
            _ => {}
        }
    }
    product.id = product.text("id").to_owned();
    product.price = product.decimals.get("price").copied();
    product.run = product.integers.get("run").copied().unwrap_or(0);
    product
}

fn texts(array: &dyn Array) -> Vec<String> {
    array.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}
