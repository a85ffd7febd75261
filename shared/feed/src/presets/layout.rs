//! What a format's text looks like, down to where its records are.

use feedfleet_config::TextKind;

/// What a format's text looks like.
#[derive(Debug, Clone, Copy)]
pub enum Layout {
    /// Cells between delimiters.
    Delimited {
        /// The bytes that may stand between cells, the usual one first; where there are several, the first
        /// line says which it is.
        delimiters: &'static [u8],
        /// Whether `"` at a cell's start quotes it, a `"` within being doubled; between commas it does in any case,
        /// unless there is a frame.
        quoting: bool,
        /// For text without a header of names.
        frame: Option<&'static Frame>,
        /// For rows that belong together.
        group: Option<&'static RowGroup>,
        /// Columns whose cells may hold JSON, which is read as if each of its values had a column:
        /// `image[0].url`.
        json_cells: &'static [&'static str],
    },
    /// XML.
    Xml {
        /// Local names of the elements that are one product.
        items: &'static [&'static str],
        /// Roots that a document without products may have.
        roots: &'static [&'static str],
        /// Elements whose parts become one text.
        compounds: &'static [Compound],
    },
    /// JSON documents.
    Json {
        /// Where the array of products is, as a JSON pointer.
        items: &'static str,
        /// Lists within a product.
        lists: &'static Lists,
        /// How the pages of the whole are asked for; the documents stand one after the other.
        paging: Option<&'static Paging>,
    },
    /// A JSON object a line.
    JsonLines,
    /// A tagged field a line.
    Tagged(&'static Tags),
}

impl Layout {
    /// What kind of text it is.
    pub const fn kind(&self) -> TextKind {
        match self {
            Self::Delimited { .. } => TextKind::Delimited,
            Self::Xml { .. } => TextKind::Xml,
            Self::Json { .. } => TextKind::Json,
            Self::JsonLines => TextKind::JsonLines,
            Self::Tagged(_) => TextKind::Tagged,
        }
    }
}

/// Delimited text of one kind, with nothing special about it.
pub(super) const fn delimited(delimiters: &'static [u8], quoting: bool) -> Layout {
    Layout::Delimited { delimiters, quoting, frame: None, group: None, json_cells: &[] }
}

/// Delimited text that names its columns nowhere: a first line that says what it is, cells by place, and a
/// last line with the number of records, which proves that all came.
#[derive(Debug)]
pub struct Frame {
    /// The first cell of the first line.
    pub head: &'static str,
    /// The first cell of the last line, whose second is the number of records.
    pub trailer: &'static str,
    /// The columns' names. A feed of changes has the last of them in the last cell, wherever that is.
    pub columns: &'static [&'static str],
}

/// Rows of delimited text that belong together. A name that ends in `*` means all that begin like it.
#[derive(Debug)]
pub struct RowGroup {
    /// The names of the field that names the group.
    pub by: &'static [&'static str],
    /// Fields of which a row has one if it is a product; a group's first row is one in any case. Other rows
    /// only add to their group.
    pub member: &'static [&'static str],
    /// Fields whose values on all rows belong to each product of the group.
    pub shared: &'static [&'static str],
    /// Fields that say something of their own row only; the others are taken from the group's first row
    /// where a row leaves them empty.
    pub own: &'static [&'static str],
}

/// Lists of objects within a JSON object.
#[derive(Debug)]
pub struct Lists {
    /// The list whose objects are products each, with all that stands around the list. Its fields are named
    /// `list.field`.
    pub members: &'static str,
    /// Lists whose objects are no products; the values of a field are one field's, `list.field`.
    pub merged: &'static [&'static str],
}

/// How a source of pages is asked for all of them: page after page from 1 on, until one has no products
/// ([`Paging::products`]) or the last that is given was reached. The bodies, one after the other, are the
/// feed. Reading takes them for whole only if a page without products, or one shorter than the page before,
/// ends them.
#[derive(Debug)]
pub struct Paging {
    /// The parameter of an address that is the page's number.
    pub page: &'static str,
    /// The parameter that is the number of products on a page.
    pub size: &'static str,
    /// The greatest number of products on a page.
    pub per_page: u32,
    /// Products that the source gives at most, however many it has; what is beyond is refused.
    pub max_items: u32,
}

impl Paging {
    /// The last page that the source gives.
    pub const fn last_page(&self) -> u32 {
        self.max_items / self.per_page
    }

    /// The parameters of a page's address, as in `limit=250&page=1`; none for one that the source does not
    /// give.
    pub fn query(&self, page: u32) -> Option<String> {
        let is_given = (1..=self.last_page()).contains(&page);
        is_given.then(|| format!("{}={}&{}={page}", self.size, self.per_page, self.page))
    }

    /// The products of a page's body, as the text between the brackets of their list: empty where the page ends
    /// the whole. None: the body is no page, such as a web page with which a shop hides its list, or one that
    /// came in part.
    pub fn products<'b>(&self, body: &'b [u8]) -> Option<&'b str> {
        let page: Page<'b> = serde_json::from_slice(body).ok()?;
        let list = page.products.get().strip_prefix('[')?.strip_suffix(']')?;
        Some(list.trim_ascii())
    }
}

/// A page of Shopify's `products.json`, unread but for its one member.
#[derive(serde::Deserialize)]
struct Page<'b> {
    #[serde(borrow)]
    products: &'b serde_json::value::RawValue,
}

/// Text of a tagged field a line, as in `<<<pname>>>A chair`. Other lines go on with the field above.
#[derive(Debug)]
pub struct Tags {
    /// What stands before a tag's name.
    pub open: &'static str,
    /// What stands behind it.
    pub close: &'static str,
    /// The tag that begins a product.
    pub begin: &'static str,
    /// The tags that end it. Where no product is open, one of them ends the text.
    pub ends: &'static [&'static str],
    /// The tags that are a product's id: a second one in a product begins another.
    pub id: &'static [&'static str],
    /// The tag that is the number of products in the text.
    pub count: &'static str,
}

/// An XML element whose parts become one text, joined by `:` in this order, as the text formats write it.
#[derive(Debug)]
pub struct Compound {
    /// The element's name, without prefix.
    pub name: &'static str,
    /// Its parts' names, likewise.
    pub parts: &'static [&'static str],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_with_an_empty_one() {
        let paging = Paging { page: "page", size: "limit", per_page: 250, max_items: 25_000 };
        assert_eq!(paging.query(1).as_deref(), Some("limit=250&page=1"));
        assert_eq!(paging.query(100).as_deref(), Some("limit=250&page=100"));
        assert_eq!((paging.query(0), paging.query(101)), (None, None));
        assert_eq!(paging.products(br#"{"products": [ {"id":1}]}"#), Some(r#"{"id":1}"#));
        assert_eq!(paging.products(b"{\"products\": [ \n]}"), Some(""));
        let cut = r#"{"products":[{"#;
        for body in ["<!doctype html>", cut, r#"{"products":null}"#, r#"{"errors":1}"#, ""] {
            assert_eq!(paging.products(body.as_bytes()), None);
        }
    }
}
