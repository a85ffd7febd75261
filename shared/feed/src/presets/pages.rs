//! Products of pages, as a crawl of a site hands them on: an object a line, with the names that the reading of
//! pages gives to schema.org's terms, OpenGraph's and what it finds by itself.

use super::field::Fill::{Category, Column, Money, Split};
use super::field::{PresetField, field, same};
use super::google::{AVAILABILITY, CONDITION};
use super::layout::Layout;
use super::{BASE, Preset};
use feedfleet_config::Format;

pub(super) static SCHEMA_ORG: Preset = Preset {
    format: Format::SchemaOrg,
    layout: Layout::JsonLines,
    fields: FIELDS,
    required: &[&["id"], &["title"], &["link"], &["price"]],
    ..BASE
};

const FIELDS: &[PresetField] = &[
    field(&["id", "sku", "link"], "id", Column),
    same(&["title"]),
    same(&["description"]),
    same(&["link"]),
    same(&["image_link"]),
    field(&["additional_image_links"], "additional_image_links", Split("\n")),
    field(&["price"], "price", Money),
    field(&["currency"], "price_currency", Column),
    field(&["normal_price"], "normal_price", Money),
    field(&["currency"], "normal_price_currency", Column),
    same(&["availability"]).one_of(AVAILABILITY),
    same(&["brand"]),
    same(&["gtin"]),
    same(&["mpn"]),
    field(&["sku"], "model_number", Column),
    same(&["item_group_id"]),
    same(&["condition"]).one_of(CONDITION),
    field(&["product_type"], "category", Category(">")),
    same(&["color"]),
    same(&["size"]),
    same(&["material"]),
    same(&["pattern"]),
    same(&["review_count"]),
];
