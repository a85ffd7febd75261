//! Google product data, as XML and as text. CJ's feeds have the same fields.

use super::field::Fill::{Category, Column, Money, Split, SplitText};
use super::field::{PresetField, field, same};
use super::layout::{Compound, Layout, delimited};
use super::{BASE, Preset};
use feedfleet_config::Format;

pub(super) static XML: Preset = Preset {
    format: Format::GoogleXml,
    layout: Layout::Xml {
        items: &["item", "entry"],
        roots: &["rss", "feed", "rdf", "channel", "products"],
        compounds: COMPOUNDS,
    },
    fields: FIELDS,
    ..TSV_BASE
};

pub(super) static TSV: Preset = TSV_BASE;

pub(super) static CSV: Preset =
    Preset { format: Format::GoogleCsv, layout: delimited(b",;\t", true), ..TSV_BASE };

const TSV_BASE: Preset = Preset {
    format: Format::GoogleTsv,
    layout: delimited(b"\t", true),
    fields: &TEXT_FIELDS,
    required: &[
        &["id"],
        &["title"],
        &["description"],
        &["link"],
        &["image_link"],
        &["availability"],
        &["price"],
    ],
    compressions: &["gz", "zip"],
    ..BASE
};

/// What `availability` may say.
pub(super) const AVAILABILITY: &[&str] = &["in_stock", "out_of_stock", "preorder", "backorder"];
/// What `condition` may say.
pub(super) const CONDITION: &[&str] = &["new", "refurbished", "used"];
const ENERGY: &[&str] = &["A+++", "A++", "A+", "A", "B", "C", "D", "E", "F", "G"];
const SIZE_TYPES: &[&str] = &["regular", "petite", "maternity", "big", "tall", "plus"];
const SIZE_SYSTEMS: &[&str] = &["AU", "BR", "CN", "DE", "EU", "FR", "IT", "JP", "MEX", "UK", "US"];
/// Characters of an address.
pub(super) const LINK_CHARS: u32 = 2_000;

/// The fields as text has them.
pub(super) static TEXT_FIELDS: [PresetField; FIELDS.len()] = {
    let mut fields = [FIELDS[0]; FIELDS.len()];
    let mut place = 0;
    while place < FIELDS.len() {
        fields[place] = FIELDS[place].in_text();
        place += 1;
    }
    fields
};

/// The fields as XML has them.
pub(super) const FIELDS: &[PresetField] = &[
    same(&["id"]).chars(50),
    same(&["title"]).chars(150),
    same(&["short_title"]).chars(150),
    same(&["structured_title"]),
    field(&["description", "summary", "content"], "description", Column).chars(5_000),
    same(&["structured_description"]),
    same(&["link"]).chars(LINK_CHARS),
    same(&["mobile_link"]).chars(LINK_CHARS),
    same(&["ads_redirect"]).chars(LINK_CHARS),
    same(&["image_link"]).chars(LINK_CHARS),
    field(&["additional_image_link"], "additional_image_links", Split(","))
        .chars(LINK_CHARS)
        .items(10),
    field(&["lifestyle_image_link"], "lifestyle_image_links", Split(","))
        .chars(LINK_CHARS)
        .items(10),
    same(&["virtual_model_link"]).chars(LINK_CHARS),
    same(&["availability"]).one_of(AVAILABILITY),
    same(&["availability_date"]),
    same(&["expiration_date"]),
    field(
        &["quantity_to_sell_on_facebook", "sell_on_google_quantity", "inventory", "quantity"],
        "stock_quantity",
        Column,
    ),
    field(&["price"], "price", Money),
    field(&["sale_price"], "sale_price", Money),
    same(&["sale_price_effective_date"]),
    field(&["cost_of_goods_sold"], "cost_of_goods_sold", Money),
    field(&["auto_pricing_min_price"], "auto_pricing_min_price", Money),
    field(&["maximum_retail_price"], "maximum_retail_price", Money),
    same(&["unit_pricing_measure"]),
    same(&["unit_pricing_base_measure"]),
    same(&["installment"]),
    same(&["subscription_cost"]),
    field(&["loyalty_program"], "loyalty_program", SplitText(",")),
    same(&["brand"]).chars(70),
    same(&["gtin"]).chars(50),
    same(&["mpn"]).chars(70),
    same(&["identifier_exists"]),
    same(&["item_group_id"]).chars(50),
    field(&["external_seller_id"], "seller_id", Column),
    field(&["product_type"], "category", Category(">")).chars(750),
    same(&["google_product_category"]).chars(750),
    same(&["condition"]).one_of(CONDITION),
    same(&["adult"]),
    same(&["multipack"]),
    same(&["is_bundle"]),
    field(&["certification"], "certification", SplitText(",")),
    same(&["energy_efficiency_class"]).one_of(ENERGY),
    same(&["min_energy_efficiency_class"]).one_of(ENERGY),
    same(&["max_energy_efficiency_class"]).one_of(ENERGY),
    same(&["age_group"]).one_of(&["newborn", "infant", "toddler", "kids", "adult"]),
    same(&["color"]).chars(100),
    same(&["gender"]).one_of(&["male", "female", "unisex"]),
    same(&["material"]).chars(200),
    same(&["pattern"]).chars(100),
    same(&["size"]).chars(100),
    same(&["size_type"]).one_of(SIZE_TYPES),
    same(&["size_system"]).one_of(SIZE_SYSTEMS),
    same(&["product_length"]),
    same(&["product_width"]),
    same(&["product_height"]),
    same(&["product_weight"]),
    field(&["product_detail"], "product_detail", SplitText(",")).chars(1_000).items(1_000),
    field(&["product_highlight"], "product_highlight", SplitText(",")).chars(150).items(100),
    same(&["custom_label_0"]).chars(100),
    same(&["custom_label_1"]).chars(100),
    same(&["custom_label_2"]).chars(100),
    same(&["custom_label_3"]).chars(100),
    same(&["custom_label_4"]).chars(100),
    field(&["promotion_id"], "promotion_id", Split(",")).chars(50).items(10),
    field(&["included_destination"], "included_destination", Split(",")),
    field(&["excluded_destination"], "excluded_destination", Split(",")),
    field(&["shopping_ads_excluded_country"], "shopping_ads_excluded_country", Split(",")),
    same(&["pause"]),
    field(&["shipping"], "shipping", Split(",")),
    field(&["carrier_shipping"], "carrier_shipping", SplitText(",")),
    same(&["shipping_label"]).chars(100),
    same(&["shipping_weight"]),
    same(&["shipping_length"]),
    same(&["shipping_width"]),
    same(&["shipping_height"]),
    same(&["ships_from_country"]),
    same(&["min_handling_time"]),
    same(&["max_handling_time"]),
    same(&["shipping_transit_business_days"]),
    same(&["shipping_handling_business_days"]),
    field(&["tax"], "tax", Split(",")),
];

pub(super) const COMPOUNDS: &[Compound] = &[
    Compound { name: "shipping", parts: &["country", "region", "service", "price"] },
    Compound { name: "tax", parts: &["country", "region", "rate", "tax_ship"] },
    Compound {
        name: "product_detail",
        parts: &["section_name", "attribute_name", "attribute_value"],
    },
    Compound { name: "structured_title", parts: &["digital_source_type", "content"] },
    Compound { name: "structured_description", parts: &["digital_source_type", "content"] },
    Compound { name: "installment", parts: &["months", "amount", "downpayment", "credit_type"] },
    Compound { name: "subscription_cost", parts: &["period", "period_length", "amount"] },
    Compound {
        name: "loyalty_program",
        parts: &[
            "program_label",
            "tier_label",
            "price",
            "cashback_for_future_use",
            "loyalty_points",
        ],
    },
    Compound {
        name: "certification",
        parts: &["certification_authority", "certification_name", "certification_code"],
    },
    Compound {
        name: "carrier_shipping",
        parts: &["carrier_price", "country", "region", "postal_code", "origin_postal_code"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The limits of Google's product data specification, in characters, and in items of a list.
    #[test]
    fn limits_are_googles() {
        for (name, max_chars, max_items) in [
            ("id", Some(50), None),
            ("title", Some(150), None),
            ("description", Some(5_000), None),
            ("link", Some(2_000), None),
            ("image_link", Some(2_000), None),
            ("additional_image_link", Some(2_000), Some(10)),
            ("brand", Some(70), None),
            ("gtin", Some(50), None),
            ("mpn", Some(70), None),
            ("product_type", Some(750), None),
            ("item_group_id", Some(50), None),
            ("color", Some(100), None),
            ("size", Some(100), None),
            ("material", Some(200), None),
            ("product_highlight", Some(150), Some(100)),
        ] {
            for preset in [&XML, &TSV, &CSV] {
                let field = preset.field(name).unwrap();
                assert_eq!((field.max_chars, field.max_items), (max_chars, max_items), "{name}");
            }
        }
    }
}
