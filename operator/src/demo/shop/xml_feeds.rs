//! The sample shop's XML feeds: Google's two, and one of a partner's own shape.

use super::catalogue::{Availability, Product};

/// RSS 2.0 in Google's namespace, with a nested `g:shipping`.
pub fn rss(products: &[Product], base: &str) -> String {
    let items: String = products
        .iter()
        .map(|p| {
            let sale = p.sale_price_minor.map(|minor| p.money(minor)).unwrap_or_default();
            let detail = p.detail_path.as_ref().map(|path| format!("{base}{path}"));
            let fields = elements(&[
                ("g:id", &p.id),
                ("title", &p.title),
                ("description", &p.description),
                ("link", &format!("{base}{}", p.page_path)),
                ("g:image_link", &format!("{base}{}", p.image_path)),
                ("g:additional_image_link", &detail.unwrap_or_default()),
                ("g:price", &p.money(p.price_minor)),
                ("g:sale_price", &sale),
                ("g:availability", google_availability(p)),
                ("g:brand", p.brand),
                ("g:gtin", &p.gtin),
                ("g:item_group_id", &p.group),
                ("g:product_type", &p.category.join(" > ")),
                ("g:condition", "new"),
                ("g:color", p.color),
                ("g:size", p.size),
                ("g:material", p.material),
            ]);
            let shipping = "<g:shipping><g:country>US</g:country><g:service>Standard</g:service>\
                            <g:price>4.90 USD</g:price></g:shipping>";
            format!("<item>\n{fields}{shipping}\n</item>\n")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <rss version=\"2.0\" xmlns:g=\"http://base.google.com/ns/1.0\">\n<channel>\n\
         <title>Northwind Outdoor</title>\n<link>{base}</link>\n\
         <description>All products</description>\n{items}</channel>\n</rss>\n"
    )
}

/// Atom in Google's namespace.
pub fn atom(products: &[Product], base: &str) -> String {
    let entries: String = products
        .iter()
        .map(|p| {
            let fields = elements(&[
                ("g:id", &p.id),
                ("g:title", &p.title),
                ("g:description", &p.description),
                ("g:link", &format!("{base}{}", p.page_path)),
                ("g:image_link", &format!("{base}{}", p.image_path)),
                ("g:price", &p.money(p.price_minor)),
                ("g:availability", google_availability(p)),
                ("g:brand", p.brand),
                ("g:gtin", &p.gtin),
                ("g:product_type", &p.category.join(" > ")),
                ("g:condition", "new"),
                ("g:color", p.color),
                ("g:size", p.size),
                ("g:material", p.material),
            ]);
            format!("<entry>\n{fields}</entry>\n")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:g=\"http://base.google.com/ns/1.0\">\n\
         <title>Atelier Press</title>\n<link rel=\"self\" href=\"{base}\"/>\n\
         <updated>2026-01-05T16:00:00Z</updated>\n{entries}</feed>\n"
    )
}

/// A bookshop's own XML: a `catalogue` of `book` elements.
pub fn books(products: &[Product], base: &str) -> String {
    let books: String = products
        .iter()
        .map(|p| {
            let available = match p.availability {
                Availability::InStock => "yes",
                Availability::OutOfStock => "no",
                Availability::Preorder => "soon",
            };
            let fields = elements(&[
                ("number", &p.id),
                ("isbn", &p.gtin),
                ("name", &p.title),
                ("author", p.maker),
                ("publisher", p.brand),
                ("blurb", &p.description),
                ("subject", &p.category.join(" > ")),
                ("binding", p.size),
                ("price", &p.amount(p.price_minor)),
                ("available", available),
                ("page", &format!("{base}{}", p.page_path)),
                ("cover", &format!("{base}{}", p.image_path)),
            ]);
            format!("<book>\n{fields}</book>\n")
        })
        .collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<catalogue>\n{books}</catalogue>\n")
}

/// One line an element; those without a value are left out.
fn elements(fields: &[(&str, &str)]) -> String {
    fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("<{name}>{}</{name}>\n", escaped(value)))
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn google_availability(product: &Product) -> &'static str {
    match product.availability {
        Availability::InStock => "in_stock",
        Availability::OutOfStock => "out_of_stock",
        Availability::Preorder => "preorder",
    }
}
