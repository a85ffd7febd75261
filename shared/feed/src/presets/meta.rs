//! Meta's catalogue: Google's names for the most part, with words of its own. What has parts stands as JSON in
//! one cell or has a column a part, such as `image[0].url`.

use super::field::Fill::{Category, Column, Money, Split};
use super::field::{OtherField, PresetField, Take, field, other, same};
use super::google::{COMPOUNDS, LINK_CHARS};
use super::layout::Layout;
use super::{BASE, Hint, Preset, Signs};
use feedfleet_config::Format;

pub(super) static XML: Preset = Preset {
    format: Format::MetaXml,
    layout: Layout::Xml {
        items: &["item", "entry"],
        roots: &["rss", "feed", "rdf", "channel", "listings"],
        compounds: COMPOUNDS,
    },
    ..CSV_BASE
};

pub(super) static CSV: Preset = CSV_BASE;

pub(super) static TSV: Preset = Preset { format: Format::MetaTsv, layout: text(b"\t"), ..CSV_BASE };

const CSV_BASE: Preset = Preset {
    format: Format::MetaCsv,
    layout: text(b",;\t"),
    fields: FIELDS,
    others: OTHERS,
    signs: Some(&SIGNS),
    required: &[
        &["id"],
        &["title"],
        &["description"],
        &["availability"],
        &["condition"],
        &["price"],
        &["link"],
        &["image_link"],
        &["brand", "mpn", "gtin"],
    ],
    compressions: &["gz", "zip"],
    ..BASE
};

const fn text(delimiters: &'static [u8]) -> Layout {
    Layout::Delimited {
        delimiters,
        quoting: true,
        frame: None,
        group: None,
        json_cells: &["image", "additional_image_link", "video", "product_tags"],
    }
}

/// Further pictures, in Google's way and in Meta's own; the main one may be among them.
const IMAGES: &[&str] = &[
    "additional_image_link",
    "additional_image_url",
    "image[0].url",
    "image[1].url",
    "image[2].url",
    "image[3].url",
    "image[4].url",
    "image[5].url",
    "image[6].url",
    "image[7].url",
    "image[8].url",
    "image[9].url",
    "image[10].url",
    "image[11].url",
    "image[12].url",
    "image[13].url",
    "image[14].url",
    "image[15].url",
    "image[16].url",
    "image[17].url",
    "image[18].url",
    "image[19].url",
    "image[20].url",
];

/// What Google's data does not have. Older ones of it have spaces in `availability`, too, so that is a hint only, and
/// counts where the fields alone decide nothing.
const SIGNS: Signs = Signs {
    fields: &[
        "image[0].url",
        "quantity_to_sell_on_facebook",
        "fb_product_category",
        "commerce_tax_category",
    ],
    common_fields: &[
        "image",
        "image/url",
        "additional_image_url",
        "video[0].url",
        "rich_text_description",
        "origin_country",
        "manufacturer_info",
        "product_tags[0]",
    ],
    values: &[
        ("availability", &["discontinued", "mark_as_sold"]),
        ("condition", &["cpo", "open_box_new", "used_like_new", "used_good", "used_fair"]),
    ],
    hints: &[Hint {
        field: "availability",
        words: &["in stock", "out of stock", "available for order"],
        others: &["in_stock", "out_of_stock"],
    }],
};

const OTHERS: &[OtherField] = &[
    other("image[*"),
    other("video[*"),
    other("product_tags[*"),
    other("fb_product_category"),
    other("commerce_tax_category"),
    other("short_description"),
    other("importer_name"),
    other("importer_address*"),
    other("return_policy_info"),
    other("internal_label*"),
    other("disabled_capabilities*"),
    other("status").one_of(&["active", "archived"]),
];

const FIELDS: &[PresetField] = &[
    same(&["id"]).chars(100),
    same(&["title"]).chars(200),
    field(&["description", "rich_text_description", "summary", "content"], "description", Column)
        .chars(9_999),
    same(&["link"]).chars(LINK_CHARS),
    field(&["image_link", "image[0].url", "image_url", "image/url"], "image_link", Column)
        .chars(LINK_CHARS),
    field(IMAGES, "additional_image_links", Split(",")).take(Take::All).chars(LINK_CHARS).items(20),
    same(&["availability"])
        .words(&[
            ("in stock", "in_stock"),
            ("out of stock", "out_of_stock"),
            ("preorder", "preorder"),
            ("available for order", "backorder"),
            ("discontinued", "out_of_stock"),
            ("mark_as_sold", "out_of_stock"),
        ])
        .one_of(&["in_stock", "out_of_stock", "preorder", "backorder"]),
    field(&["quantity_to_sell_on_facebook", "inventory", "quantity"], "stock_quantity", Column),
    same(&["condition"])
        .words(&[
            ("new", "new"),
            ("refurbished", "refurbished"),
            ("used", "used"),
            ("cpo", "refurbished"),
            ("open_box_new", "new"),
            ("used_like_new", "used"),
            ("used_good", "used"),
            ("used_fair", "used"),
        ])
        .one_of(&["new", "refurbished", "used"]),
    field(&["price"], "price", Money),
    field(&["sale_price"], "sale_price", Money),
    same(&["sale_price_effective_date"]),
    same(&["brand"]).chars(100),
    same(&["gtin"]).chars(100),
    same(&["mpn"]).chars(100),
    same(&["item_group_id"]).chars(100),
    field(&["product_type"], "category", Category(">")).chars(750),
    same(&["google_product_category"]).chars(250),
    same(&["color"]).chars(200),
    same(&["size"]).chars(200),
    same(&["material"]).chars(200),
    same(&["pattern"]).chars(100),
    same(&["gender"]).one_of(&["female", "male", "unisex"]),
    same(&["age_group"])
        .one_of(&["adult", "all ages", "teen", "kids", "toddler", "infant", "newborn"]),
    field(&["shipping"], "shipping", Split(",")),
    same(&["shipping_weight"]),
    field(&["tax"], "tax", Split(",")),
    field(&["manufacturer", "manufacturer_info"], "maker", Column),
    field(&["origin_country"], "origin", Column),
    same(&["expiration_date"]),
    same(&["multipack"]),
    same(&["is_bundle"]),
    same(&["custom_label_0"]).chars(100),
    same(&["custom_label_1"]).chars(100),
    same(&["custom_label_2"]).chars(100),
    same(&["custom_label_3"]).chars(100),
    same(&["custom_label_4"]).chars(100),
    field(&["product_tags"], "search_tag", Column).chars(110),
];
