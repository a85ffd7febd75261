//! Naver's tagged text from before EP 3.0, which other Korean price comparisons took over, and of which the
//! shops' software has many dialects. `<<<ftend>>>` ends each product there, though some write `<<<end>>>`
//! for that, and `<<<ftend>>>` once, at the end of the text.

use super::field::Fill::{Column, Split, Time};
use super::field::{PresetField, field, same};
use super::layout::{Layout, Tags};
use super::naver::{CLASS, KOREAN, WON};
use super::{BASE, Preset};
use chrono_tz::Asia::Seoul;
use feedfleet_config::Format;

pub(super) static LEGACY: Preset = Preset {
    format: Format::NaverEpLegacy,
    layout: Layout::Tagged(&Tags {
        open: "<<<",
        close: ">>>",
        begin: "begin",
        ends: &["end", "ftend"],
        id: &["mapid", "pid"],
        count: "tocnt",
    }),
    fields: FIELDS,
    required: &[&["mapid"], &["pname"], &["price"], &["pgurl"], &["igurl"], &["cate1"], &["deliv"]],
    changes: &[CLASS],
    encodings: KOREAN,
    top_level_domain: Some(b"kr"),
    ..BASE
};

const FIELDS: &[PresetField] = &[
    field(&["mapid", "pid"], "id", Column).chars(50),
    field(&["pname"], "title", Column).chars(100),
    field(&["price"], "price", WON),
    field(&["mpric", "mprice"], "mobile_price", WON),
    field(&["lprice"], "normal_price", WON),
    field(&["pgurl"], "link", Column).chars(255),
    field(&["mourl"], "mobile_link", Column).chars(255),
    field(&["igurl"], "image_link", Column).chars(255),
    field(&["cate1"], "category_1", Column).chars(50),
    field(&["cate2"], "category_2", Column).chars(50),
    field(&["cate3"], "category_3", Column).chars(50),
    field(&["cate4"], "category_4", Column).chars(50),
    field(&["model"], "model_number", Column),
    same(&["brand"]).chars(60),
    same(&["maker"]).chars(60),
    field(&["origi"], "origin", Column).chars(30),
    field(&["barcode"], "gtin", Column),
    field(&["event"], "event_words", Column).chars(100),
    field(&["coupo"], "coupon", Column),
    field(&["pcpdn"], "partner_coupon_download", Column),
    field(&["pcard"], "interest_free_event", Column),
    field(&["point"], "point", Split("|")),
    field(&["revct"], "review_count", Column),
    field(&["selid"], "seller_id", Column).chars(50),
    field(&["deliv"], "shipping_cost", WON),
    field(&["dlvga"], "delivery_grade", Column),
    field(&["dlvdt"], "delivery_detail", Column).chars(100),
    field(&["insco"], "installation_costs", Column),
    field(&["utime"], "source_updated_at", Time(Seoul)),
];
