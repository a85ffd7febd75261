//! Rakuten Advertising's product catalogue, as text: cells by place between `|`, a first line that begins with
//! `HDR` and a last one that begins with `TRL` and has the number of products. Files of changes have a cell
//! more at the end of each line, that says I, U or D: pipes with `changes_only`.

use super::field::Fill::{Column, Money, Split};
use super::field::{OtherField, PresetField, Take, field, other};
use super::google::AVAILABILITY;
use super::layout::{Frame, Layout};
use super::{BASE, ChangeField, Preset};
use feedfleet_config::Format;

pub(super) static RAKUTEN: Preset = Preset {
    format: Format::Rakuten,
    layout: Layout::Delimited {
        delimiters: b"|",
        quoting: false,
        frame: Some(&Frame { head: "HDR", trailer: "TRL", columns: COLUMNS }),
        group: None,
        json_cells: &[],
    },
    fields: FIELDS,
    others: OTHERS,
    required: &[
        &["product_id"],
        &["product_name"],
        &["sku_number"],
        &["primary_category"],
        &["product_url"],
        &["product_image_url"],
        &["short_description"],
        &["retail_price"],
    ],
    changes: &[ChangeField { names: &["modification"], upserts: &["I", "U"], deletes: &["D"] }],
    compressions: &["gz"],
    ..BASE
};

/// The cells in their order: 28 that every product has, the attributes of its class, and the kind of change.
const COLUMNS: &[&str] = &[
    "product_id",
    "product_name",
    "sku_number",
    "primary_category",
    "secondary_categories",
    "product_url",
    "product_image_url",
    "buy_url",
    "short_description",
    "long_description",
    "discount",
    "discount_type",
    "sale_price",
    "retail_price",
    "begin_date",
    "end_date",
    "brand",
    "shipping",
    "keywords",
    "manufacturer_part_number",
    "manufacturer_name",
    "shipping_information",
    "availability",
    "universal_product_code",
    "class_id",
    "currency",
    "m1",
    "pixel",
    "attribute_1",
    "attribute_2",
    "attribute_3",
    "attribute_4",
    "attribute_5",
    "attribute_6",
    "attribute_7",
    "attribute_8",
    "attribute_9",
    "attribute_10",
    "attribute_11",
    "attribute_12",
    "attribute_13",
    "attribute_14",
    "attribute_15",
    "attribute_16",
    "attribute_17",
    "attribute_18",
    "attribute_19",
    "attribute_20",
    "modification",
];

const OTHERS: &[OtherField] = &[
    other("buy_url"),
    other("discount"),
    other("discount_type").one_of(&["amount", "percentage"]),
    other("begin_date"),
    other("end_date"),
    other("shipping_information"),
    other("class_id"),
    other("m1"),
    other("pixel"),
    other("attribute_*"),
];

const FIELDS: &[PresetField] = &[
    field(&["product_id"], "id", Column).chars(30),
    field(&["product_name"], "title", Column).chars(255),
    field(&["long_description", "short_description"], "description", Column),
    field(&["product_url"], "link", Column).chars(2_000),
    field(&["product_image_url"], "image_link", Column).chars(2_000),
    field(&["retail_price"], "price", Money),
    field(&["currency"], "price_currency", Column),
    field(&["sale_price"], "sale_price", Money),
    field(&["currency"], "sale_price_currency", Column),
    field(&["shipping"], "shipping_cost", Money),
    field(&["currency"], "shipping_cost_currency", Column),
    field(&["availability"], "availability", Column)
        .words(&[
            ("IN", "in_stock"),
            ("Y", "in_stock"),
            ("OUT", "out_of_stock"),
            ("N", "out_of_stock"),
        ])
        .one_of(AVAILABILITY),
    field(&["brand"], "brand", Column).chars(128),
    field(&["manufacturer_name"], "maker", Column),
    field(&["manufacturer_part_number"], "mpn", Column).chars(50),
    field(&["universal_product_code"], "gtin", Column).chars(15),
    field(&["sku_number"], "model_number", Column).chars(64),
    field(&["primary_category"], "category_1", Column),
    field(&["secondary_categories"], "category_2", Column).take(Take::FirstItem("~~")),
    field(&["keywords"], "search_tag", Split("~~")),
];
