//! WooCommerce's export of products. Variations are rows of their own, which name their product under `Parent`.

use super::field::Fill::{Category, Column, Money, Split};
use super::field::{OtherField, PresetField, Take, field, other};
use super::google::AVAILABILITY;
use super::layout::delimited;
use super::{BASE, ChangeField, Preset};
use feedfleet_config::Format;

pub(super) static CSV: Preset = Preset {
    format: Format::WooCommerceCsv,
    layout: delimited(b",;\t", true),
    fields: FIELDS,
    others: OTHERS,
    required: &[&["ID"], &["Name"], &["Regular price"]],
    // 0 is private, -1 a draft.
    changes: &[ChangeField { names: &["Published"], upserts: &[], deletes: &["0", "-1"] }],
    ..BASE
};

const FIELDS: &[PresetField] = &[
    field(&["ID", "SKU"], "id", Column),
    field(&["Name"], "title", Column),
    field(&["Description", "Short description"], "description", Column),
    field(&["External URL"], "link", Column),
    field(&["Images"], "image_link", Column).take(Take::FirstItem(",")),
    field(&["Images"], "additional_image_links", Split(",")).take(Take::All),
    field(&["Regular price"], "price", Money),
    field(&["Sale price"], "sale_price", Money),
    field(&["Date sale price starts", "Date sale price ends"], "sale_price_effective_date", Column)
        .take(Take::Join("/")),
    field(&["In stock?"], "availability", Column)
        .words(&[("1", "in_stock"), ("0", "out_of_stock"), ("backorder", "backorder")])
        .one_of(AVAILABILITY),
    // A variation may write `parent` there.
    field(&["Stock"], "stock_quantity", Column).words(&[("parent", "")]),
    field(&["Brands", "Brand"], "brand", Column).take(Take::FirstItem(",")),
    field(&["GTIN, UPC, EAN, or ISBN"], "gtin", Column),
    field(&["SKU"], "model_number", Column),
    field(&["Parent"], "item_group_id", Column),
    field(&["Categories"], "category", Category(">")).take(Take::FirstItem(",")),
    field(&["Tags"], "search_tag", Split(",")),
    field(&["Shipping class"], "shipping_label", Column),
];

const OTHERS: &[OtherField] = &[
    // One kind of product, with one or both of the last two.
    other("Type").one_of(&[
        "simple",
        "variable",
        "variation",
        "grouped",
        "external",
        "virtual",
        "downloadable",
    ]),
    other("Published").one_of(&["1", "0", "-1"]),
    other("Is featured?").one_of(YES_OR_NO),
    other("Visibility in catalog").one_of(&["visible", "catalog", "search", "hidden"]),
    other("Tax status").one_of(&["taxable", "shipping", "none"]),
    other("Tax class"),
    other("Backorders allowed?").one_of(&["1", "0", "notify"]),
    other("Low stock amount"),
    other("Sold individually?").one_of(YES_OR_NO),
    // The unit is that of the shop: `Weight (kg)`.
    other("Weight (*"),
    other("Length (*"),
    other("Width (*"),
    other("Height (*"),
    other("Allow customer reviews?").one_of(YES_OR_NO),
    other("Purchase note"),
    other("Download *"),
    other("Grouped products"),
    other("Upsells"),
    other("Cross-sells"),
    other("Button text"),
    other("Position"),
    other("Swatches Attributes"),
    other("Attribute *"),
    other("Meta: *"),
];

const YES_OR_NO: &[&str] = &["1", "0"];
