//! A pipe's own CSS selectors: where on a shop's pages a field stands, said by who knows the shop.

use crate::document::Document;
use crate::dom::filled_attribute;
use crate::extract::{Field, Origin, Product, normal};
use crate::text::{resolve, text_of};
use scraper::{ElementRef, Selector};

/// Most elements that one selector may give.
const MAX_VALUES: usize = 50;

/// The selectors of a pipe, ready for use.
#[derive(Debug, Clone, Default)]
pub struct Selectors {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    field: Field,
    selector: Selector,
    attribute: Option<String>,
}

/// A selector that can't be used. Trying again does not help: the pipe's configuration has to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// There is no field of that name.
    #[error("selector {position}: there is no field {field:?}")]
    UnknownField {
        /// The selector's place in the list, from 1.
        position: usize,
        /// The name as given.
        field: String,
    },
    /// It is no CSS selector. Why, the configuration says, which is read first.
    #[error("selector {position}, of {field}: {selector:?} is no CSS selector")]
    NotCss {
        /// The selector's place in the list, from 1.
        position: usize,
        /// The field that it is for.
        field: Field,
        /// The selector as given.
        selector: String,
    },
}

impl Selectors {
    /// Compiles the selectors of a pipe: the name of a field, a CSS selector, and the attribute that holds the
    /// value if it is not the element's text. A field may come several times: the first that finds something
    /// counts.
    ///
    /// # Errors
    ///
    /// A [`SelectorError`] for the first selector that can't be used.
    pub fn compile(rules: &[(&str, &str, Option<&str>)]) -> Result<Self, SelectorError> {
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, (name, css, attribute)) in rules.iter().enumerate() {
            let position = index + 1;
            let field = Field::by_name(name).ok_or_else(|| SelectorError::UnknownField {
                position,
                field: (*name).to_owned(),
            })?;
            let selector = Selector::parse(css).map_err(|_| SelectorError::NotCss {
                position,
                field,
                selector: (*css).to_owned(),
            })?;
            // The parser knows names of attributes in lower case.
            let attribute = attribute.map(str::to_ascii_lowercase);
            compiled.push(Rule { field, selector, attribute });
        }
        Ok(Self { rules: compiled })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What they find on a page. A price may bring its currency along.
    pub(crate) fn read(&self, document: &Document) -> Product {
        let mut product = Product::default();
        for rule in &self.rules {
            if !product.lacks(rule.field) {
                continue;
            }
            let mut values = document
                .html
                .select(&rule.selector)
                .filter_map(|element| rule.value(element, document))
                .take(MAX_VALUES);
            if rule.field == Field::AdditionalImageLinks {
                let all = values.collect::<Vec<_>>().join("\n");
                product.set(rule.field, all, Origin::Selector);
            } else if let Some(value) = values.find_map(|value| rule.normal(&value, &mut product)) {
                product.set(rule.field, value, Origin::Selector);
            }
        }
        product
    }
}

impl Rule {
    /// The text, the named attribute, or what an element is there for: a picture's source, a link's target.
    fn value(&self, element: ElementRef<'_>, document: &Document) -> Option<String> {
        let is_url =
            matches!(self.field, Field::Link | Field::ImageLink | Field::AdditionalImageLinks);
        let written = match &self.attribute {
            Some(name) => filled_attribute(element, name).map(str::to_owned),
            None if is_url => ["href", "src", "content"]
                .iter()
                .find_map(|name| filled_attribute(element, name))
                .map(str::to_owned),
            None if element.value().name() == "meta" => {
                filled_attribute(element, "content").map(str::to_owned)
            }
            None => Some(text_of(element)).filter(|text| !text.is_empty()),
        }?;
        if is_url { resolve(document.base(), &written).map(String::from) } else { Some(written) }
    }

    /// The value in the field's form; none if it is not of the field's kind.
    fn normal(&self, written: &str, product: &mut Product) -> Option<String> {
        match self.field {
            Field::Price | Field::NormalPrice => {
                let money = normal::price(written, product.get(Field::Currency))?;
                product.fill(Field::Currency, money.currency, Origin::Selector);
                Some(normal::amount_text(money.ten_thousandths))
            }
            Field::Currency => normal::currency(written).map(str::to_owned),
            Field::Availability => normal::availability(written)
                .or_else(|| crate::heuristics::availability_in(written))
                .map(str::to_owned),
            Field::Gtin => normal::gtin(written),
            Field::Condition => Some(normal::condition(written).unwrap_or(written).to_owned()),
            _ => Some(written.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    const PAGE: &str = "<h1>Iron <b>pan</b></h1><p class=p>now 1.299,00 €</p><p class=p>9,00 €</p>\
        <img class=i src=/1.jpg><img class=i src=/2.jpg><i data-Stock='sold out'>?</i><u>EAN: 1</u>";

    fn read(rules: &[(&str, &str, Option<&str>)]) -> Product {
        let document = Document::parse(PAGE, &Url::parse("https://shop.example/a/").unwrap());
        Selectors::compile(rules).unwrap().read(&document)
    }

    #[test]
    fn values_come_in_their_fields_form() {
        let product = read(&[
            ("title", "h2", None),
            ("title", "h1", None),
            ("price", ".p", None),
            ("image_link", "img.i", None),
            ("additional_image_links", "img.i", Some("SRC")),
            ("availability", "i", Some("data-stock")),
            ("gtin", "u", None),
        ]);
        for (field, expected) in [
            (Field::Title, Some("Iron pan")),
            (Field::Price, Some("1299")),
            (Field::Currency, Some("EUR")),
            (Field::ImageLink, Some("https://shop.example/1.jpg")),
            (
                Field::AdditionalImageLinks,
                Some("https://shop.example/1.jpg\nhttps://shop.example/2.jpg"),
            ),
            (Field::Availability, Some("out_of_stock")),
            (Field::Gtin, None),
        ] {
            assert_eq!(product.get(field), expected, "{field}");
        }
        assert!(product.fields.values().all(|value| value.origin == Origin::Selector));
    }

    #[test]
    fn errors_name_the_selector_and_its_place() {
        let error =
            Selectors::compile(&[("title", "h1", None), ("price", "p[", None)]).unwrap_err();
        assert_eq!(error.to_string(), r#"selector 2, of price: "p[" is no CSS selector"#);
        let error = Selectors::compile(&[("colour", "h1", None)]).unwrap_err();
        assert_eq!(error.to_string(), r#"selector 1: there is no field "colour""#);
        assert!(Selectors::compile(&[]).unwrap().is_empty());
    }
}
