//! Naver Shopping EP 3.0: the full catalogue, and the summary that names changes only.

use super::Fill::{Column, MoneyIn, Split, Time};
use super::{Preset, PresetField, field, same};
use chrono_tz::Asia::Seoul;

pub(super) static EP: Preset = Preset {
    fields: FIELDS,
    required: &["id", "title", "price_pc", "link", "image_link", "category_name1", "shipping"],
    change_field: None,
    compounds: &[],
    top_level_domain: Some(b"kr"),
};

pub(super) static SUMMARY: Preset = Preset {
    fields: FIELDS,
    required: &[
        "id",
        "title",
        "price_pc",
        "link",
        "image_link",
        "category_name1",
        "shipping",
        "class",
        "update_time",
    ],
    change_field: Some("class"),
    compounds: &[],
    top_level_domain: Some(b"kr"),
};

const WON: super::Fill = MoneyIn("KRW");

const FIELDS: &[PresetField] = &[
    same(&["id"]),
    same(&["title"]),
    field(&["price_pc"], "price", WON),
    field(&["price_mobile"], "mobile_price", WON),
    same_won(&["normal_price"]),
    same(&["link"]),
    same(&["mobile_link"]),
    same(&["image_link"]),
    field(&["add_image_link"], "additional_image_links", Split("|")),
    field(&["category_name1", "category_name_1"], "category_1", Column),
    field(&["category_name2", "category_name_2"], "category_2", Column),
    field(&["category_name3", "category_name_3"], "category_3", Column),
    field(&["category_name4", "category_name_4"], "category_4", Column),
    same(&["naver_category"]),
    same(&["naver_product_id"]),
    same(&["condition"]),
    same(&["import_flag"]),
    same(&["parallel_import"]),
    same(&["order_made"]),
    same(&["product_flag"]),
    same(&["adult"]),
    same(&["goods_type"]),
    field(&["barcode"], "gtin", Column),
    field(&["manufacture_define_number"], "mpn", Column),
    same(&["model_number"]),
    same(&["brand"]),
    same(&["maker"]),
    same(&["origin"]),
    same(&["card_event"]),
    same(&["event_words"]),
    same(&["coupon"]),
    same(&["partner_coupon_download"]),
    same(&["interest_free_event"]),
    field(&["point"], "point", Split("|")),
    same(&["installation_costs"]),
    same(&["pre_match_code"]),
    field(&["search_tag"], "search_tag", Split("|")),
    field(&["group_id"], "item_group_id", Column),
    same(&["vendor_id"]),
    same(&["coordi_id"]),
    same(&["minimum_purchase_quantity"]),
    same(&["review_count"]),
    field(&["shipping"], "shipping_cost", WON),
    same(&["delivery_grade"]),
    same(&["delivery_detail"]),
    field(&["attribute"], "attribute", Split("|")),
    field(&["option_detail"], "option_detail", Split("|")),
    same(&["seller_id"]),
    same(&["age_group"]),
    same(&["gender"]),
    field(&["update_time"], "source_updated_at", Time(Seoul)),
];

const fn same_won(names: &'static [&'static str]) -> PresetField {
    field(names, names[0], WON)
}
