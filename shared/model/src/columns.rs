//! The product table's columns. This list is the schema: the table, the reader of feeds and the
//! documentation are made from it. To add a column, append it to its section; tables in use evolve at the
//! next run. To rename or remove one, don't.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A list of texts, in the partner's order.
    TextList,
    /// A whole number of 64 bits.
    Integer,
    /// A decimal number of 18 digits, four of them after the point.
    Decimal,
    /// True or false.
    Boolean,
    /// An instant, in microseconds, UTC.
    Timestamp,
    /// Bytes.
    Binary,
    /// Text by name.
    TextMap,
}

/// Digits of a decimal column in all.
pub const DECIMAL_PRECISION: u8 = 18;
/// Digits of a decimal column after the point.
pub const DECIMAL_SCALE: i8 = 4;

/// Who fills a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// The partner's data, through the pipe's mapping. Part of the content hash.
    BySource,
    /// Feedfleet, from the row's other columns or from the run.
    ByFleet,
}

/// One column of the product table.
#[derive(Debug)]
pub struct Column {
    /// Its name in the table, in `[map]` and in SQL.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
    /// Who fills it.
    pub filled: Filled,
    /// What it means.
    pub doc: &'static str,
}

/// A column by its place in [`COLUMNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

impl ColumnId {
    /// The column's description.
    pub fn column(self) -> &'static Column {
        &COLUMNS[usize::from(self.0)]
    }

    /// The column of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        COLUMNS.iter().position(|c| c.name == name).map(|i| ColumnId(i as u16))
    }

    /// Whether a supplement may fill it: no list, no picture, and neither the id nor the page by which products are known
    /// again.
    pub fn can_be_supplemented(self) -> bool {
        let Column { kind, filled, .. } = self.column();
        let is_plain =
            !matches!(kind, ColumnType::TextList | ColumnType::TextMap | ColumnType::Binary);
        *filled == Filled::BySource && is_plain && ![ID, LINK, IMAGE_LINK].contains(&self)
    }

    /// Every column that a pipe's mapping may fill, in table order.
    pub fn from_source() -> impl Iterator<Item = Self> {
        (0..COLUMNS.len() as u16).map(ColumnId).filter(|c| c.column().filled == Filled::BySource)
    }
}

macro_rules! columns {
    ($($filled:ident { $($id:ident $name:literal $kind:ident $doc:literal;)* })*) => {
        /// Every column of the product table, in table order.
        pub const COLUMNS: &[Column] = &[$($(
            Column { name: $name, kind: ColumnType::$kind, filled: Filled::$filled, doc: $doc },
        )*)*];

        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "numbers the columns")]
        enum Place { $($($id,)*)* }

        $($(
            #[doc = $doc]
            pub const $id: ColumnId = ColumnId(Place::$id as u16);
        )*)*
    };
}

columns! {
    ByFleet {
        PIPE "pipe" Text "The partner's pipe; the table is partitioned by it.";
    }
    BySource {
        ID "id" Text "The partner's id of the product; unique within its pipe.";
        TITLE "title" Text "Name of the product.";
        SHORT_TITLE "short_title" Text "A shorter name.";
        STRUCTURED_TITLE "structured_title" Text "Name with its provenance (Google).";
        DESCRIPTION "description" Text "What the product is.";
        STRUCTURED_DESCRIPTION "structured_description" Text "Description with its provenance (Google).";
        LINK "link" Text "The product's page.";
        MOBILE_LINK "mobile_link" Text "The product's page for small screens.";
        ADS_REDIRECT "ads_redirect" Text "A page that counts clicks and leads to `link`.";
        IMAGE_LINK "image_link" Text "The main picture's address at the partner.";
        ADDITIONAL_IMAGE_LINKS "additional_image_links" TextList "Addresses of further pictures.";
        LIFESTYLE_IMAGE_LINKS "lifestyle_image_links" TextList "Pictures of the product in use.";
        VIRTUAL_MODEL_LINK "virtual_model_link" Text "A three-dimensional model.";
        AVAILABILITY "availability" Text "`in_stock`, `out_of_stock`, `preorder` or `backorder`.";
        AVAILABILITY_DATE "availability_date" Timestamp "When a preordered product ships.";
        EXPIRATION_DATE "expiration_date" Timestamp "When the offer ends.";
        STOCK_QUANTITY "stock_quantity" Integer "Pieces in stock.";
        PRICE "price" Decimal "The price, in `price_currency`.";
        PRICE_CURRENCY "price_currency" Text "ISO 4217 code of `price`.";
        SALE_PRICE "sale_price" Decimal "The reduced price, in `sale_price_currency`.";
        SALE_PRICE_CURRENCY "sale_price_currency" Text "ISO 4217 code of `sale_price`.";
        SALE_PRICE_EFFECTIVE_DATE "sale_price_effective_date" Text "From when until when the reduced price holds.";
        MOBILE_PRICE "mobile_price" Decimal "The price on small screens (Naver).";
        MOBILE_PRICE_CURRENCY "mobile_price_currency" Text "ISO 4217 code of `mobile_price`.";
        NORMAL_PRICE "normal_price" Decimal "The list price (Naver).";
        NORMAL_PRICE_CURRENCY "normal_price_currency" Text "ISO 4217 code of `normal_price`.";
        COST_OF_GOODS_SOLD "cost_of_goods_sold" Decimal "What the merchant paid.";
        COST_OF_GOODS_SOLD_CURRENCY "cost_of_goods_sold_currency" Text "ISO 4217 code of `cost_of_goods_sold`.";
        AUTO_PRICING_MIN_PRICE "auto_pricing_min_price" Decimal "Lowest price that automatic pricing may set.";
        AUTO_PRICING_MIN_PRICE_CURRENCY "auto_pricing_min_price_currency" Text "ISO 4217 code of `auto_pricing_min_price`.";
        MAXIMUM_RETAIL_PRICE "maximum_retail_price" Decimal "Highest price the law allows.";
        MAXIMUM_RETAIL_PRICE_CURRENCY "maximum_retail_price_currency" Text "ISO 4217 code of `maximum_retail_price`.";
        UNIT_PRICING_MEASURE "unit_pricing_measure" Text "Quantity that `price` buys, such as `1.5 kg`.";
        UNIT_PRICING_BASE_MEASURE "unit_pricing_base_measure" Text "Quantity that a unit price is quoted for.";
        INSTALLMENT "installment" Text "Payment by instalments.";
        SUBSCRIPTION_COST "subscription_cost" Text "Cost of the contract sold with the product.";
        LOYALTY_PROGRAM "loyalty_program" TextList "Prices and points for members.";
        MINIMUM_PURCHASE_QUANTITY "minimum_purchase_quantity" Integer "Fewest pieces that are sold.";
        BRAND "brand" Text "Brand.";
        MAKER "maker" Text "Manufacturer.";
        GTIN "gtin" Text "GTIN, EAN, UPC or ISBN.";
        MPN "mpn" Text "The manufacturer's part number.";
        MODEL_NUMBER "model_number" Text "Model number.";
        IDENTIFIER_EXISTS "identifier_exists" Boolean "Whether brand, GTIN or MPN exist at all.";
        ITEM_GROUP_ID "item_group_id" Text "Shared by the variants of one product.";
        SELLER_ID "seller_id" Text "The seller, on a market place.";
        VENDOR_ID "vendor_id" Text "The vendor (Naver).";
        COORDI_ID "coordi_id" Text "Products shown together (Naver).";
        NAVER_PRODUCT_ID "naver_product_id" Text "Id of the product in Naver Shopping.";
        PRE_MATCH_CODE "pre_match_code" Text "Code for matching with the market's catalogue (Naver).";
        CATEGORY_1 "category_1" Text "First level of the partner's category.";
        CATEGORY_2 "category_2" Text "Second level.";
        CATEGORY_3 "category_3" Text "Third level.";
        CATEGORY_4 "category_4" Text "Fourth level.";
        PRODUCT_TYPE "product_type" Text "The partner's category path as written.";
        GOOGLE_PRODUCT_CATEGORY "google_product_category" Text "Category in Google's taxonomy, number or path.";
        NAVER_CATEGORY "naver_category" Text "Category in Naver's taxonomy.";
        CONDITION "condition" Text "`new`, `refurbished` or `used`.";
        ADULT "adult" Boolean "For adults only.";
        MULTIPACK "multipack" Integer "Identical pieces in the pack.";
        IS_BUNDLE "is_bundle" Boolean "Different products sold as one.";
        CERTIFICATION "certification" TextList "Certificates.";
        ENERGY_EFFICIENCY_CLASS "energy_efficiency_class" Text "EU energy label.";
        MIN_ENERGY_EFFICIENCY_CLASS "min_energy_efficiency_class" Text "Lowest class of the label's scale.";
        MAX_ENERGY_EFFICIENCY_CLASS "max_energy_efficiency_class" Text "Highest class of the label's scale.";
        AGE_GROUP "age_group" Text "`newborn`, `infant`, `toddler`, `kids` or `adult`.";
        COLOR "color" Text "Colour.";
        GENDER "gender" Text "`male`, `female` or `unisex`.";
        MATERIAL "material" Text "Material.";
        PATTERN "pattern" Text "Pattern.";
        SIZE "size" Text "Size.";
        SIZE_TYPE "size_type" Text "Cut, such as `petite` or `maternity`.";
        SIZE_SYSTEM "size_system" Text "Country of the size system.";
        PRODUCT_LENGTH "product_length" Text "Length with its unit.";
        PRODUCT_WIDTH "product_width" Text "Width with its unit.";
        PRODUCT_HEIGHT "product_height" Text "Height with its unit.";
        PRODUCT_WEIGHT "product_weight" Text "Weight with its unit.";
        PRODUCT_DETAIL "product_detail" TextList "Technical details, `section:name:value`.";
        PRODUCT_HIGHLIGHT "product_highlight" TextList "Short selling points.";
        ORIGIN "origin" Text "Country of origin.";
        IMPORT_FLAG "import_flag" Boolean "Bought abroad for the customer (Naver).";
        PARALLEL_IMPORT "parallel_import" Boolean "Imported beside the brand's own channel (Naver).";
        ORDER_MADE "order_made" Boolean "Made to order (Naver).";
        PRODUCT_FLAG "product_flag" Text "Way of sale, such as rental or wholesale (Naver).";
        GOODS_TYPE "goods_type" Text "Kind of goods (Naver).";
        ATTRIBUTE "attribute" TextList "Attributes, `name^value` (Naver).";
        OPTION_DETAIL "option_detail" TextList "Options and their prices, `name^price` (Naver).";
        SEARCH_TAG "search_tag" TextList "Words to be found by (Naver).";
        REVIEW_COUNT "review_count" Integer "Number of reviews.";
        CUSTOM_LABEL_0 "custom_label_0" Text "A label of the partner's own.";
        CUSTOM_LABEL_1 "custom_label_1" Text "A label of the partner's own.";
        CUSTOM_LABEL_2 "custom_label_2" Text "A label of the partner's own.";
        CUSTOM_LABEL_3 "custom_label_3" Text "A label of the partner's own.";
        CUSTOM_LABEL_4 "custom_label_4" Text "A label of the partner's own.";
        PROMOTION_ID "promotion_id" TextList "Promotions the product takes part in.";
        EVENT_WORDS "event_words" Text "The promotion's text (Naver).";
        CARD_EVENT "card_event" Text "Discounts by card (Naver).";
        COUPON "coupon" Text "Coupon.";
        PARTNER_COUPON_DOWNLOAD "partner_coupon_download" Boolean "Whether the coupon must be fetched first (Naver).";
        INTEREST_FREE_EVENT "interest_free_event" Text "Interest-free instalments (Naver).";
        POINT "point" TextList "Points, `name^amount` (Naver).";
        INSTALLATION_COSTS "installation_costs" Boolean "Whether installing costs extra (Naver).";
        INCLUDED_DESTINATION "included_destination" TextList "Where the product may be advertised.";
        EXCLUDED_DESTINATION "excluded_destination" TextList "Where it may not.";
        SHOPPING_ADS_EXCLUDED_COUNTRY "shopping_ads_excluded_country" TextList "Countries where it may not be advertised.";
        PAUSE "pause" Text "Stops advertising for a time.";
        SHIPPING "shipping" TextList "Delivery prices, `country:region:service:price`.";
        CARRIER_SHIPPING "carrier_shipping" TextList "Delivery prices computed by a carrier.";
        SHIPPING_COST "shipping_cost" Decimal "Delivery price, in `shipping_cost_currency`; -1 is paid on delivery.";
        SHIPPING_COST_CURRENCY "shipping_cost_currency" Text "ISO 4217 code of `shipping_cost`.";
        SHIPPING_LABEL "shipping_label" Text "Names a delivery rule.";
        SHIPPING_WEIGHT "shipping_weight" Text "Weight of the parcel with its unit.";
        SHIPPING_LENGTH "shipping_length" Text "Length of the parcel with its unit.";
        SHIPPING_WIDTH "shipping_width" Text "Width of the parcel with its unit.";
        SHIPPING_HEIGHT "shipping_height" Text "Height of the parcel with its unit.";
        SHIPS_FROM_COUNTRY "ships_from_country" Text "Country the parcel leaves from.";
        MIN_HANDLING_TIME "min_handling_time" Integer "Fewest days before it leaves.";
        MAX_HANDLING_TIME "max_handling_time" Integer "Most days before it leaves.";
        SHIPPING_TRANSIT_BUSINESS_DAYS "shipping_transit_business_days" Text "Days on which the carrier works.";
        SHIPPING_HANDLING_BUSINESS_DAYS "shipping_handling_business_days" Text "Days on which the merchant works.";
        DELIVERY_GRADE "delivery_grade" Text "Delivery by the shop itself (Naver).";
        DELIVERY_DETAIL "delivery_detail" Text "Conditions of delivery (Naver).";
        TAX "tax" TextList "Taxes, `country:region:rate:on shipping`.";
        SOURCE_UPDATED_AT "source_updated_at" Timestamp "When the partner last changed the product, by its own word.";
        EXTRA "extra" TextMap "Every field the partner sends beyond these columns.";
    }
    ByFleet {
        IMAGE_KEY "image_key" Text "Object key of the mirrored main picture.";
        ADDITIONAL_IMAGE_KEYS "additional_image_keys" TextList "Object keys of the further pictures, in their order.";
        IMAGES_HASH "images_hash" Integer "Fingerprint of the picture addresses; 0 is none.";
        IMAGES_RUN "images_run" Integer "Id of the run that last changed the picture addresses.";
        FIRST_SEEN "first_seen" Timestamp "Scheduled time of the run that first saw the product.";
        LAST_CHANGED "last_changed" Timestamp "Scheduled time of the run that last changed it.";
        RUN "run" Integer "Id of that run, which may be one of a supplement.";
        CONTENT_HASH "content_hash" Binary "128-bit hash of all columns that the source fills.";
        SOURCE_HASH "source_hash" Binary "128-bit hash of the record that the row was made of, and of its mapping; a record with the same hash is not mapped again. Null where a field of the record could not be read.";
        SOURCE_VALUES "source_values" TextMap "What the pipe's own source says of columns in which a supplement says otherwise, by column. Amounts are as in their own columns, `11.5000`; times are microseconds since 1970; empty text stands for nothing.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_constants_point_at_them() {
        let mut names: Vec<_> = COLUMNS.iter().map(|c| c.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
        assert_eq!(CONTENT_HASH.column().name, "content_hash");
        assert_eq!(ColumnId::by_name("price"), Some(PRICE));
        assert_eq!(ColumnId::by_name("nonsense"), None);
    }

    #[test]
    fn ids_links_and_lists_are_no_business_of_supplements() {
        for column in [PRICE, PRICE_CURRENCY, STOCK_QUANTITY, AVAILABILITY, ADULT, EXPIRATION_DATE]
        {
            assert!(column.can_be_supplemented(), "{}", column.column().name);
        }
        for column in [ID, LINK, IMAGE_LINK, ADDITIONAL_IMAGE_LINKS, EXTRA, PIPE, CONTENT_HASH] {
            assert!(!column.can_be_supplemented(), "{}", column.column().name);
        }
    }

    #[test]
    fn every_amount_has_its_currency() {
        for column in COLUMNS.iter().filter(|c| c.kind == ColumnType::Decimal) {
            assert!(
                ColumnId::by_name(&format!("{}_currency", column.name)).is_some(),
                "{}",
                column.name
            );
        }
    }
}
