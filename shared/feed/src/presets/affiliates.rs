//! Affiliate networks whose feeds are CSV or Google's XML: Awin and CJ.

use super::field::Fill::{Category, Column, Money, Split};
use super::field::{OtherField, PresetField, Take, field, other, same};
use super::google::{AVAILABILITY, COMPOUNDS, FIELDS as GOOGLE_FIELDS, TEXT_FIELDS};
use super::layout::{Layout, delimited};
use super::{BASE, Preset, Signs};
use feedfleet_config::Format;

pub(super) static AWIN: Preset = Preset {
    format: Format::Awin,
    layout: delimited(b",|;\t", true),
    fields: AWIN_FIELDS,
    others: AWIN_OTHERS,
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
    fields: GOOGLE_FIELDS,
    ..CJ_BASE
};

pub(super) static CJ_CSV: Preset = CJ_BASE;

const CJ_BASE: Preset = Preset {
    format: Format::CjCsv,
    layout: delimited(b",\t|", true),
    fields: &TEXT_FIELDS,
    others: CJ_OTHERS,
    signs: Some(&Signs { fields: CJ_NAMES, common_fields: &[], values: &[], hints: &[] }),
    required: &[&["id"], &["title"], &["description"], &["link"], &["price"]],
    compressions: &["zip", "gz"],
    ..BASE
};

/// What CJ adds to Google's fields.
const CJ_NAMES: &[&str] = &[
    "program_name",
    "program_url",
    "catalog_name",
    "impression_url",
    "advertiser_id",
    "advertiser_name",
];

const CJ_OTHERS: &[OtherField] = &[
    other("program_name"),
    other("program_url"),
    other("catalog_name"),
    other("impression_url"),
    other("advertiser_id"),
    other("advertiser_name"),
    other("last_updated"),
];

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
    field(&["currency"], "normal_price_currency", Column),
    field(&["delivery_cost"], "shipping_cost", Money),
    field(&["currency"], "shipping_cost_currency", Column),
    field(&["in_stock", "stock_status"], "availability", Column)
        .words(&[
            ("1", "in_stock"),
            ("yes", "in_stock"),
            ("Yes", "in_stock"),
            ("true", "in_stock"),
            ("0", "out_of_stock"),
            ("no", "out_of_stock"),
            ("No", "out_of_stock"),
            ("false", "out_of_stock"),
        ])
        .one_of(AVAILABILITY),
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

/// What partners may add, and what is said of the merchant, the program and the class of the product. A name with a
/// colon is that of one class.
const AWIN_OTHERS: &[OtherField] = &[
    other("aw_thumb_url"),
    other("merchant_thumb_url"),
    other("basket_link"),
    other("merchant_name"),
    other("merchant_product_second_category"),
    other("merchant_product_third_category"),
    other("category_id"),
    other("brand_id"),
    other("data_feed_id"),
    other("language"),
    other("product_type"),
    other("product_price_old"),
    other("store_price"),
    other("display_price"),
    other("base_price"),
    other("base_price_amount"),
    other("base_price_text"),
    other("saving"),
    other("savings_percent"),
    other("delivery_restrictions"),
    other("delivery_time"),
    other("delivery_weight"),
    other("warranty"),
    other("terms_of_contract"),
    other("dimensions"),
    other("specifications"),
    other("commission_group"),
    other("commission_amount"),
    other("is_for_sale").one_of(YES_OR_NO),
    other("web_offer").one_of(YES_OR_NO),
    other("pre_order").one_of(YES_OR_NO),
    other("hotpick").one_of(YES_OR_NO),
    other("valid_from"),
    other("valid_to"),
    other("size_stock_status"),
    other("size_stock_amount"),
    other("average_rating"),
    other("rating"),
    other("number_sold"),
    other("custom_*"),
    other("Fashion:*"),
    other("Telcos:*"),
    other("Travel:*"),
    other("Tickets:*"),
    other("Groupon:*"),
    other("Insurance:*"),
];

/// Awin's way to say yes and no.
const YES_OR_NO: &[&str] = &["0", "1"];
