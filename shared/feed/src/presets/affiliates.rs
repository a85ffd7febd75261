//! Affiliate networks whose feeds are CSV or Google's XML: Awin and CJ.

use super::field::Fill::{Category, Column, Money, Split};
use super::field::{PresetField, Take, field, same};
use super::google::{COMPOUNDS, FIELDS as GOOGLE_FIELDS};
use super::layout::{Layout, delimited};
use super::{BASE, Preset};
use feedfleet_config::Format;

pub(super) static AWIN: Preset = Preset {
    format: Format::Awin,
    layout: delimited(b",|;\t", true),
    fields: AWIN_FIELDS,
    required: &[&["aw_product_id"], &["product_name"], &["aw_deep_link"], &["search_price"]],
    compressions: &["gz", "zip"],
    ..BASE
};

pub(super) static CJ_XML: Preset = Preset {
    format: Format::CjXml,
    layout: Layout::Xml {
        items: &["item", "entry", "product"],
        roots: &["rss", "feed", "channel", "catalog", "products", "product_catalog_data"],
        compounds: COMPOUNDS,
    },
    ..CJ_BASE
};

pub(super) static CJ_CSV: Preset = CJ_BASE;

const CJ_BASE: Preset = Preset {
    format: Format::CjCsv,
    layout: delimited(b",\t|", true),
    fields: GOOGLE_FIELDS,
    required: &[&["id"], &["title"], &["description"], &["link"], &["price"]],
    compressions: &["zip", "gz"],
    ..BASE
};

const AWIN_FIELDS: &[PresetField] = &[
    field(&["aw_product_id", "merchant_product_id", "product_id"], "id", Column),
    field(&["product_name"], "title", Column),
    field(&["description", "product_short_description"], "description", Column),
    field(&["aw_deep_link", "merchant_deep_link", "deep_link"], "link", Column),
    field(
        &["merchant_image_url", "image_url", "large_image", "aw_image_url"],
        "image_link",
        Column,
    ),
    field(
        &[
            "large_image",
            "alternate_image",
            "alternate_image_two",
            "alternate_image_three",
            "alternate_image_four",
        ],
        "additional_image_links",
        Column,
    )
    .take(Take::All),
    field(&["search_price", "price"], "price", Money),
    field(&["currency"], "price_currency", Column),
    field(&["rrp_price"], "normal_price", Money),
    field(&["delivery_cost"], "shipping_cost", Money),
    field(&["in_stock", "stock_status"], "availability", Column).words(&[
        ("1", "in_stock"),
        ("yes", "in_stock"),
        ("Yes", "in_stock"),
        ("true", "in_stock"),
        ("0", "out_of_stock"),
        ("no", "out_of_stock"),
        ("No", "out_of_stock"),
        ("false", "out_of_stock"),
    ]),
    field(&["stock_quantity", "number_available"], "stock_quantity", Column),
    field(&["brand_name"], "brand", Column),
    field(&["ean", "product_gtin", "upc", "isbn"], "gtin", Column),
    same(&["mpn"]),
    field(&["model_number", "product_model"], "model_number", Column),
    field(&["parent_product_id"], "item_group_id", Column),
    field(&["merchant_id"], "seller_id", Column),
    field(
        &["merchant_product_category_path", "merchant_category", "category_name"],
        "category",
        Category(">"),
    ),
    same(&["condition"]),
    field(&["colour"], "color", Column),
    field(&["Fashion:size"], "size", Column),
    field(&["Fashion:material"], "material", Column),
    field(&["Fashion:pattern"], "pattern", Column),
    field(&["Fashion:suitable_for"], "gender", Column),
    field(&["keywords"], "search_tag", Split(",")),
    field(&["promotional_text"], "event_words", Column),
    field(&["reviews"], "review_count", Column),
    field(&["last_updated"], "source_updated_at", Column),
];
