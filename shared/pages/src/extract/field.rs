//! What an extraction gives: a product's fields by name, each with the place on the page that it comes from.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! fields {
    ($($id:ident $name:literal $doc:literal;)*) => {
        /// A field of a product. Its name is that of the product table's column where there is one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = $doc] $id,)*
        }

        impl Field {
            /// Every field, in the order in which they are shown.
            pub const ALL: &[Field] = &[$(Field::$id,)*];

            /// The name that a `[map]` refers to.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Field::$id => $name,)*
                }
            }
        }
    };
}

fields! {
    Id "id" "The shop's id of the product: its SKU where there is one.";
    Title "title" "Name of the product.";
    Description "description" "What the product is.";
    Link "link" "The product's page.";
    ImageLink "image_link" "Address of the main picture.";
    AdditionalImageLinks "additional_image_links" "Addresses of further pictures, a line each.";
    Price "price" "What the buyer pays now, such as `24.99`, in `currency`.";
    NormalPrice "normal_price" "The price before the reduction, where the page gives one, in `currency`.";
    Currency "currency" "ISO 4217 code of the prices.";
    Availability "availability" "`in_stock`, `out_of_stock`, `preorder` or `backorder`.";
    Brand "brand" "Name of the brand.";
    Gtin "gtin" "GTIN, EAN, UPC or ISBN: digits with a right check digit.";
    Mpn "mpn" "The manufacturer's part number.";
    Sku "sku" "The shop's number of the product.";
    GroupId "item_group_id" "Shared by the variants of one product.";
    Condition "condition" "`new`, `refurbished` or `used`.";
    Category "product_type" "The shop's category, as written.";
    Color "color" "Colour.";
    Size "size" "Size.";
    Material "material" "Material.";
    Pattern "pattern" "Pattern.";
    ReviewCount "review_count" "Number of reviews.";
}

impl Field {
    /// The field of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Whether all variants on a page share it as a rule.
    pub(crate) fn is_shared(self) -> bool {
        matches!(
            self,
            Self::Title
                | Self::Description
                | Self::Link
                | Self::ImageLink
                | Self::AdditionalImageLinks
                | Self::Brand
                | Self::Category
                | Self::Material
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where on the page a field comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A CSS selector of the pipe.
    Selector,
    /// A JSON-LD script.
    JsonLd,
    /// Microdata.
    Microdata,
    /// RDFa.
    Rdfa,
    /// Open Graph and its like, and the page's title and other `<meta>` elements.
    OpenGraph,
    /// What the page shows, read by rules of thumb; and the address it calls canonical, or its own.
    Heuristic,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Selector => "selector",
            Self::JsonLd => "json-ld",
            Self::Microdata => "microdata",
            Self::Rdfa => "rdfa",
            Self::OpenGraph => "opengraph",
            Self::Heuristic => "heuristic",
        })
    }
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// The value, never blank. Several values, as further pictures have, stand a line each.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A product as a page describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Product {
    /// Its fields; what the page does not say is left out.
    pub fields: BTreeMap<Field, FieldValue>,
}

impl Product {
    /// The text of a field.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.fields.get(&field).map(|value| value.text.as_str())
    }

    /// Whether the page says nothing of a field.
    pub fn lacks(&self, field: Field) -> bool {
        !self.fields.contains_key(&field)
    }

    /// Sets a field to a text that is not blank.
    pub(crate) fn set(&mut self, field: Field, text: impl Into<String>, origin: Origin) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.fields.insert(field, FieldValue { text, origin });
        }
    }

    /// Sets a field that has no value yet.
    pub(crate) fn fill(&mut self, field: Field, text: Option<impl Into<String>>, origin: Origin) {
        if let Some(text) = text
            && self.lacks(field)
        {
            self.set(field, text, origin);
        }
    }

    /// Takes from another description of the same product what this one lacks. Amounts and their currency stay
    /// together: they are taken as one, or not at all.
    pub(crate) fn fill_from(&mut self, other: &Product) {
        let has_price = !self.lacks(Field::Price);
        let currencies_agree = match (self.get(Field::Currency), other.get(Field::Currency)) {
            (Some(own), Some(others)) => own == others,
            _ => true,
        };
        for (field, value) in &other.fields {
            let is_amount = matches!(field, Field::Price | Field::NormalPrice);
            let is_of_other_price = *field == Field::NormalPrice && has_price;
            if self.lacks(*field) && !is_of_other_price && (currencies_agree || !is_amount) {
                self.fields.insert(*field, value.clone());
            }
        }
    }

    /// The same for what the variants on a page have in common.
    pub(crate) fn fill_shared_from(&mut self, other: &Product) {
        for (field, value) in other.fields.iter().filter(|(field, _)| field.is_shared()) {
            self.fields.entry(*field).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        for field in Field::ALL {
            assert_eq!(Field::by_name(field.name()), Some(*field));
        }
        assert_eq!(Field::by_name("nonsense"), None);
    }

    #[test]
    fn what_is_there_stays_and_an_amount_keeps_its_currency() {
        let mut own = Product::default();
        own.set(Field::Currency, "EUR", Origin::JsonLd);
        own.set(Field::Title, " ", Origin::JsonLd);
        let mut other = Product::default();
        other.set(Field::Price, "12", Origin::Microdata);
        other.set(Field::Currency, "USD", Origin::Microdata);
        other.set(Field::Title, "Pan", Origin::Microdata);
        own.fill_from(&other);
        assert_eq!((own.get(Field::Price), own.get(Field::Currency)), (None, Some("EUR")));
        assert_eq!(own.get(Field::Title), Some("Pan"));
        own.fill(Field::Title, Some("Pot"), Origin::Heuristic);
        assert_eq!(own.fields[&Field::Title].origin, Origin::Microdata);
    }
}
