//! Naver Shopping EP 3.0: the full catalogue, and the summary that names changes only. The full one may say of each
//! product what the summary says; that it removes one only the summary does.

use super::field::Fill::{self, Column, MoneyIn, Split, Time};
use super::field::{PresetField, field, same};
use super::layout::delimited;
use super::{BASE, ChangeField, Preset, Signs};
use chrono_tz::Asia::Seoul;
use feedfleet_config::Format;

pub(super) static EP: Preset = EP_BASE;

pub(super) static SUMMARY: Preset = Preset {
    format: Format::NaverEpSummary,
    signs: Some(&Signs {
        fields: &[],
        common_fields: &[],
        values: &[("class", &["U", "D"])],
        hints: &[],
    }),
    required: &[
        &["id"],
        &["title"],
        &["price_pc"],
        &["link"],
        &["image_link"],
        &["category_name1"],
        &["shipping"],
        &["class"],
        &["update_time"],
    ],
    changes: &[CLASS],
    ..EP_BASE
};

const EP_BASE: Preset = Preset {
    format: Format::NaverEp,
    // Values are never quoted there, and often have quotes in them. Some write commas in place of the tabs: between
    // those, quotes quote.
    layout: delimited(b"\t,", false),
    fields: FIELDS,
    required: &[
        &["id"],
        &["title"],
        &["price_pc"],
        &["link"],
        &["image_link"],
        &["category_name1"],
        &["shipping"],
    ],
    encodings: KOREAN,
    top_level_domain: Some(b"kr"),
    ..BASE
};

/// The field that says what a record of changes is.
pub(super) const CLASS: ChangeField =
    ChangeField { names: &["class"], upserts: &["I", "U"], deletes: &["D"] };
/// Its encodings.
pub(super) const KOREAN: &[&str] = &["utf-8", "euc-kr"];
/// Amounts.
pub(super) const WON: Fill = MoneyIn("KRW");
const LINK_CHARS: u32 = 255;

const FIELDS: &[PresetField] = &[
    same(&["id"]).chars(50),
    same(&["title"]).chars(100),
    field(&["price_pc"], "price", WON),
    field(&["price_mobile"], "mobile_price", WON),
    same_won(&["normal_price"]),
    same(&["link"]).chars(LINK_CHARS),
    same(&["mobile_link"]).chars(LINK_CHARS),
    same(&["image_link"]).chars(LINK_CHARS),
    field(&["add_image_link"], "additional_image_links", Split("|")).items(10),
    field(&["category_name1", "category_name_1"], "category_1", Column).chars(50),
    field(&["category_name2", "category_name_2"], "category_2", Column).chars(50),
    field(&["category_name3", "category_name_3"], "category_3", Column).chars(50),
    field(&["category_name4", "category_name_4"], "category_4", Column).chars(50),
    same(&["naver_category"]).chars(8),
    same(&["naver_product_id"]).chars(50),
    // Shown, returned and scratched ones stay as they are written: the column has no word for them.
    same(&["condition"]).one_of(&["new", "used", "refurbished", "전시", "반품", "스크래치"]),
    same(&["import_flag"]),
    same(&["parallel_import"]),
    same(&["order_made"]),
    // Wholesale, rental, lease, instalments, reservation, bought abroad by an agent.
    same(&["product_flag"]).one_of(&["도매", "렌탈", "대여", "할부", "예약판매", "구매대행"]),
    same(&["adult"]),
    same(&["goods_type"]),
    field(&["barcode"], "gtin", Column),
    field(&["manufacture_define_number"], "mpn", Column),
    same(&["model_number"]),
    same(&["brand"]).chars(60),
    same(&["maker"]).chars(60),
    same(&["origin"]).chars(30),
    same(&["card_event"]),
    same(&["event_words"]).chars(100),
    same(&["coupon"]),
    same(&["partner_coupon_download"]),
    same(&["interest_free_event"]),
    field(&["point"], "point", Split("|")),
    same(&["installation_costs"]),
    same(&["pre_match_code"]),
    field(&["search_tag"], "search_tag", Split("|")).items(10),
    field(&["group_id"], "item_group_id", Column).chars(50),
    same(&["vendor_id"]).chars(500),
    same(&["coordi_id"]),
    same(&["minimum_purchase_quantity"]),
    same(&["review_count"]),
    field(&["shipping"], "shipping_cost", WON),
    same(&["delivery_grade"]),
    same(&["delivery_detail"]).chars(100),
    field(&["attribute"], "attribute", Split("|")),
    field(&["option_detail"], "option_detail", Split("|")),
    same(&["seller_id"]).chars(50),
    // As Google has it, adults are those above 13.
    same(&["age_group"])
        .words(&[("유아", "toddler"), ("아동", "kids"), ("청소년", "adult"), ("성인", "adult")])
        .one_of(&["toddler", "kids", "adult"]),
    same(&["gender"])
        .words(&[("남성", "male"), ("여성", "female"), ("남녀공용", "unisex")])
        .one_of(&["male", "female", "unisex"]),
    field(&["update_time"], "source_updated_at", Time(Seoul)),
];

const fn same_won(names: &'static [&'static str]) -> PresetField {
    field(names, names[0], WON)
}
