//! Shopify: its export of products, with the headers of either generation, and the list that a shop itself
//! serves as `/products.json`. Both have products with variants in them, and a variant is what is sold.

use super::field::Fill::{Category, Column, Money, Split};
use super::field::{OtherField, PresetField, Take, field, other, same};
use super::google::CONDITION;
use super::layout::{Layout, Lists, Paging, RowGroup};
use super::{BASE, ChangeField, KeyPart, Preset};
use feedfleet_config::Format;

pub(super) static CSV: Preset = Preset {
    format: Format::ShopifyCsv,
    layout: Layout::Delimited {
        delimiters: b",;\t",
        quoting: true,
        frame: None,
        group: Some(&RowGroup { by: HANDLE, member: MEMBER, shared: IMAGES, own: OWN }),
        json_cells: &[],
    },
    fields: CSV_FIELDS,
    others: CSV_OTHERS,
    required: &[&["Handle"], &["Title"], &["Variant Price"]],
    // SKUs are often absent, and often not unique; Shopify itself knows a variant by its options.
    key: &[
        KeyPart { names: HANDLE, is_needed: true },
        KeyPart { names: &["Option1 Value"], is_needed: false },
        KeyPart { names: &["Option2 Value"], is_needed: false },
        KeyPart { names: &["Option3 Value"], is_needed: false },
    ],
    changes: &[
        ChangeField { names: &["Status"], upserts: &[], deletes: &["draft", "archived"] },
        ChangeField {
            names: &["Published", "Published on online store"],
            upserts: &[],
            deletes: &["false"],
        },
    ],
    compressions: &["zip"],
    ..BASE
};

pub(super) static JSON: Preset = Preset {
    format: Format::ShopifyJson,
    layout: Layout::Json {
        items: "/products",
        lists: &Lists { members: "variants", merged: &["images", "options"] },
        paging: Some(&Paging { page: "page", size: "limit", per_page: 250, max_items: 25_000 }),
    },
    fields: JSON_FIELDS,
    required: &[&["variants.id"], &["title"], &["handle"], &["variants.price"]],
    ..BASE
};

const HANDLE: &[&str] = &["Handle", "URL handle"];
const IMAGES: &[&str] = &["Image Src", "Product image URL"];
/// What a row has that is a variant; the others are pictures.
const MEMBER: &[&str] = &["Option1 Value", "Variant Price", "Variant SKU", "SKU", "Price"];
/// What belongs to a variant, or to a row's picture.
const OWN: &[&str] = &[
    "Variant *",
    "Option1 Value",
    "Option2 Value",
    "Option3 Value",
    "SKU",
    "Barcode",
    "Price",
    "Price / *",
    "Compare-at price",
    "Compare-at price / *",
    "Cost per item",
    "Charge tax",
    "Tax code",
    "Unit price *",
    "Inventory *",
    "Continue selling when out of stock",
    "Weight value (grams)",
    "Weight unit for display",
    "Requires shipping",
    "Fulfillment service",
    "Image Position",
    "Image Alt Text",
];

const CSV_OTHERS: &[OtherField] = &[
    other("Status").one_of(&["active", "draft", "archived"]),
    other("Published").one_of(TRUE_OR_FALSE),
    other("Published on online store").one_of(TRUE_OR_FALSE),
    other("Gift Card").one_of(TRUE_OR_FALSE),
    other("Variant Inventory Policy").one_of(&["deny", "continue"]),
    other("Continue selling when out of stock").one_of(&["deny", "continue"]),
    other("Variant Requires Shipping").one_of(TRUE_OR_FALSE),
    other("Variant Taxable").one_of(TRUE_OR_FALSE),
    other("Variant Weight Unit").one_of(WEIGHT_UNITS),
    other("Weight unit for display").one_of(WEIGHT_UNITS),
    other("Option1 Name"),
    other("Option2 Name"),
    other("Option3 Name"),
    other("Option1 Linked To"),
    other("Option2 Linked To"),
    other("Option3 Linked To"),
    other("Variant Grams"),
    other("Variant Inventory Tracker"),
    other("Variant Fulfillment Service"),
    other("Variant Tax Code"),
    other("Unit Price *"),
    other("Inventory tracker"),
    other("Weight value (grams)"),
    other("Requires shipping"),
    other("Fulfillment service"),
    other("Charge tax"),
    other("Tax code"),
    other("Image Position"),
    other("Image Alt Text"),
    other("SEO *"),
    other("Google Shopping / AdWords *"),
    other("Google Shopping / Custom Product"),
    other("Google Shopping / Ad group name"),
    other("Google Shopping / Ads labels"),
    // A market's, and metafields.
    other("Included / *"),
    other("Price / *"),
    other("Compare At Price / *"),
];

/// In either case.
const TRUE_OR_FALSE: &[&str] = &["true", "false"];
const WEIGHT_UNITS: &[&str] = &["g", "kg", "lb", "oz"];

const CSV_FIELDS: &[PresetField] = &[
    field(&["Title"], "title", Column).chars(255),
    field(&["Body (HTML)", "Description"], "description", Column),
    field(
        &["Variant Image", "Variant image URL", "Image Src", "Product image URL"],
        "image_link",
        Column,
    )
    .take(Take::FirstItem(",")),
    field(IMAGES, "additional_image_links", Column).take(Take::All).items(250),
    field(&["Variant Price", "Price"], "price", Money),
    field(&["Variant Compare At Price", "Compare-at price"], "normal_price", Money),
    field(&["Cost per item"], "cost_of_goods_sold", Money),
    field(&["Variant Inventory Qty", "Inventory quantity"], "stock_quantity", Column),
    field(&["Vendor"], "brand", Column).chars(255),
    field(&["Variant Barcode", "Barcode"], "gtin", Column),
    field(&["Google Shopping / MPN"], "mpn", Column),
    field(&["Variant SKU", "SKU"], "model_number", Column).chars(255),
    field(HANDLE, "item_group_id", Column).chars(255),
    field(&["Product Category", "Type"], "category", Category(">")),
    field(&["Google Shopping / Google Product Category"], "google_product_category", Column),
    field(&["Google Shopping / Condition"], "condition", Column).one_of(CONDITION),
    field(&["Google Shopping / Gender"], "gender", Column).one_of(&["male", "female", "unisex"]),
    field(&["Google Shopping / Age Group"], "age_group", Column)
        .one_of(&["newborn", "infant", "toddler", "kids", "adult"]),
    field(&["Google Shopping / Custom Label 0"], "custom_label_0", Column),
    field(&["Google Shopping / Custom Label 1"], "custom_label_1", Column),
    field(&["Google Shopping / Custom Label 2"], "custom_label_2", Column),
    field(&["Google Shopping / Custom Label 3"], "custom_label_3", Column),
    field(&["Google Shopping / Custom Label 4"], "custom_label_4", Column),
    field(&["Tags"], "search_tag", Split(",")).chars(255).items(250),
];

const JSON_FIELDS: &[PresetField] = &[
    field(&["variants.id", "id"], "id", Column),
    same(&["title"]),
    field(&["body_html"], "description", Column),
    field(&["handle", "variants.id"], "link", Column)
        .take(Take::Template("{origin}/products/{handle}?variant={variants.id}")),
    field(&["variants.featured_image.src", "images.src"], "image_link", Column)
        .take(Take::FirstItem(",")),
    field(&["images.src"], "additional_image_links", Column).take(Take::All),
    field(&["variants.price"], "price", Money),
    field(&["variants.compare_at_price"], "normal_price", Money),
    field(&["variants.available"], "availability", Column)
        .words(&[("true", "in_stock"), ("false", "out_of_stock")]),
    field(&["variants.inventory_quantity"], "stock_quantity", Column),
    field(&["vendor"], "brand", Column),
    field(&["variants.barcode"], "gtin", Column),
    field(&["variants.sku"], "model_number", Column),
    field(&["id"], "item_group_id", Column),
    field(&["product_type"], "category", Category(">")),
    field(&["tags"], "search_tag", Split(",")),
    field(&["variants.updated_at", "updated_at"], "source_updated_at", Column),
];
