//! The formats of feeds by name, and what kind of text each is. What their fields mean is known where feeds
//! are read.

/// Formats, presets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Google product data in RSS 2.0 or Atom 1.0.
    GoogleXml,
    /// Google product data, tab-separated.
    GoogleTsv,
    /// Google product data, comma-separated.
    GoogleCsv,
    /// Naver Shopping EP 3.0, the full catalogue.
    NaverEp,
    /// Naver Shopping EP 3.0, changes only: `class` says I, U or D.
    NaverEpSummary,
    /// Naver's tagged text from before EP 3.0: `<<<begin>>>`, a line a field, `<<<ftend>>>`.
    NaverEpLegacy,
    /// Meta's catalogue in RSS 2.0 or Atom 1.0.
    MetaXml,
    /// Meta's catalogue, comma-separated.
    MetaCsv,
    /// Meta's catalogue, tab-separated.
    MetaTsv,
    /// Shopify's export of products, with headers of either generation.
    ShopifyCsv,
    /// A Shopify shop's `/products.json`, its pages one after the other.
    ShopifyJson,
    /// WooCommerce's export of products.
    WooCommerceCsv,
    /// Awin's product feed.
    Awin,
    /// CJ's product feed in XML.
    CjXml,
    /// CJ's product feed as text.
    CjCsv,
    /// Rakuten Advertising's product feed, cells between `|`, without a header of names.
    Rakuten,
    /// Products of pages, as a crawl of a site reads them from schema.org's terms and the like.
    SchemaOrg,
    /// Comma-separated (or by `delimiter`), with `[map]`.
    Csv,
    /// Tab-separated, with `[map]`.
    Tsv,
    /// One JSON document, with `[map]`.
    Json,
    /// One JSON object a line, with `[map]`.
    JsonLines,
    /// XML, with `item` and `[map]`.
    Xml,
}

/// What kind of text a format is: which settings have a use with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// Cells between delimiters, a record a line or more.
    Delimited,
    /// XML.
    Xml,
    /// One JSON document, or several.
    Json,
    /// One JSON object a line.
    JsonLines,
    /// A tagged field a line.
    Tagged,
}

impl Format {
    /// Every format, in the order in which messages list them.
    pub const ALL: [Format; 22] = [
        Format::GoogleXml,
        Format::GoogleTsv,
        Format::GoogleCsv,
        Format::NaverEp,
        Format::NaverEpSummary,
        Format::NaverEpLegacy,
        Format::MetaXml,
        Format::MetaCsv,
        Format::MetaTsv,
        Format::ShopifyCsv,
        Format::ShopifyJson,
        Format::WooCommerceCsv,
        Format::Awin,
        Format::CjXml,
        Format::CjCsv,
        Format::Rakuten,
        Format::SchemaOrg,
        Format::Csv,
        Format::Tsv,
        Format::Json,
        Format::JsonLines,
        Format::Xml,
    ];

    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Format::GoogleXml => "google-xml",
            Format::GoogleTsv => "google-tsv",
            Format::GoogleCsv => "google-csv",
            Format::NaverEp => "naver-ep",
            Format::NaverEpSummary => "naver-ep-summary",
            Format::NaverEpLegacy => "naver-ep-legacy",
            Format::MetaXml => "meta-xml",
            Format::MetaCsv => "meta-csv",
            Format::MetaTsv => "meta-tsv",
            Format::ShopifyCsv => "shopify-csv",
            Format::ShopifyJson => "shopify-json",
            Format::WooCommerceCsv => "woocommerce-csv",
            Format::Awin => "awin",
            Format::CjXml => "cj-xml",
            Format::CjCsv => "cj-csv",
            Format::Rakuten => "rakuten",
            Format::SchemaOrg => "schema-org",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Json => "json",
            Format::JsonLines => "jsonl",
            Format::Xml => "xml",
        }
    }

    /// What kind of text it is.
    pub const fn text_kind(self) -> TextKind {
        match self {
            Format::GoogleTsv
            | Format::GoogleCsv
            | Format::NaverEp
            | Format::NaverEpSummary
            | Format::MetaCsv
            | Format::MetaTsv
            | Format::ShopifyCsv
            | Format::WooCommerceCsv
            | Format::Awin
            | Format::CjCsv
            | Format::Rakuten
            | Format::Csv
            | Format::Tsv => TextKind::Delimited,
            Format::GoogleXml | Format::MetaXml | Format::CjXml | Format::Xml => TextKind::Xml,
            Format::ShopifyJson | Format::Json => TextKind::Json,
            Format::SchemaOrg | Format::JsonLines => TextKind::JsonLines,
            Format::NaverEpLegacy => TextKind::Tagged,
        }
    }

    /// Whether it maps its fields by itself; the others need `[map]`.
    pub const fn is_preset(self) -> bool {
        !matches!(self, Format::Csv | Format::Tsv | Format::Json | Format::JsonLines | Format::Xml)
    }

    /// Whether a feed can have it; what a crawl of a site reads comes from no feed.
    pub const fn is_of_feeds(self) -> bool {
        !matches!(self, Format::SchemaOrg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_format_is_listed_once() {
        let names: BTreeSet<_> = Format::ALL.iter().map(|format| format.name()).collect();
        assert_eq!(names.len(), Format::ALL.len());
        // The last of the enum: a format that is added behind it has to be listed as well.
        assert_eq!(Format::Xml as usize + 1, Format::ALL.len());
    }
}
