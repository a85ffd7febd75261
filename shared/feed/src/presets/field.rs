//! One field of a format: the names it comes under, the column it fills, and what the format allows in it.

use crate::header::plain;
use chrono_tz::Tz;
use feedfleet_config::{From as MapFrom, Lookup, MapEntry, Piece, Target, Transform};
use feedfleet_model::ColumnId;

/// A field, or several that fill one column.
#[derive(Debug, Clone, Copy)]
pub struct PresetField {
    /// The names it comes under, in the order in which they are asked; the first is its own.
    pub names: &'static [&'static str],
    /// The column's name, or `category` for the levels of a path.
    pub target: &'static str,
    /// Which value of the fields is taken.
    pub take: Take,
    /// What is done to it.
    pub fill: Fill,
    /// The format's words, and the column's for them.
    pub words: &'static [(&'static str, &'static str)],
    /// The longest value that the format allows, in characters; of a list, the longest item.
    pub max_chars: Option<u32>,
    /// The values that the format allows, as the column has them; none: all.
    pub allowed: &'static [&'static str],
    /// The most items that the format allows in a list.
    pub max_items: Option<u32>,
}

/// Which value of several fields is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The first that is not empty.
    First,
    /// The first item of the list in the first that is not empty; this stands between items.
    FirstItem(&'static str),
    /// All, for a list.
    All,
    /// All, as one text with this between them.
    Join(&'static str),
    /// This text, with values for names in braces; `{origin}` is where the source is, as in
    /// `https://shop.example`.
    Template(&'static str),
}

/// What is done to a field's value.
#[derive(Debug, Clone, Copy)]
pub enum Fill {
    /// What the column's type asks for.
    Column,
    /// An amount with a point, in the pipe's currency unless it names another.
    Money,
    /// An amount in this currency unless it names another.
    MoneyIn(&'static str),
    /// A list, cut at this.
    Split(&'static str),
    /// A list, cut at this in text, which has a field once only; in XML each element is an item.
    SplitText(&'static str),
    /// A category path, cut at this.
    Category(&'static str),
    /// A time in this zone unless it names another.
    Time(Tz),
}

/// A field that no column is for.
#[derive(Debug, Clone, Copy)]
pub struct OtherField {
    /// Its name. With `*` at its end it means all that begin like it.
    pub name: &'static str,
    /// The values that the format allows, as it writes them; none: all.
    pub allowed: &'static [&'static str],
}

pub(super) const fn other(name: &'static str) -> OtherField {
    OtherField { name, allowed: &[] }
}

impl OtherField {
    /// With all values that it may have.
    pub(super) const fn one_of(mut self, allowed: &'static [&'static str]) -> Self {
        self.allowed = allowed;
        self
    }

    /// Whether the field comes under this name, compared without regard to case and word separators.
    pub fn has_name(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => plain(name).starts_with(plain(start).as_str()),
            None => is_same_name(self.name, name),
        }
    }
}

/// A field that fills the column of its own name.
pub(super) const fn same(names: &'static [&'static str]) -> PresetField {
    field(names, names[0], Fill::Column)
}

pub(super) const fn field(
    names: &'static [&'static str],
    target: &'static str,
    fill: Fill,
) -> PresetField {
    PresetField {
        names,
        target,
        take: Take::First,
        fill,
        words: &[],
        max_chars: None,
        allowed: &[],
        max_items: None,
    }
}

impl PresetField {
    pub(super) const fn take(mut self, take: Take) -> Self {
        self.take = take;
        self
    }

    pub(super) const fn words(mut self, words: &'static [(&'static str, &'static str)]) -> Self {
        self.words = words;
        self
    }

    /// With a longest value, in characters.
    pub(super) const fn chars(mut self, max: u32) -> Self {
        self.max_chars = Some(max);
        self
    }

    /// With a greatest number of items.
    pub(super) const fn items(mut self, max: u32) -> Self {
        self.max_items = Some(max);
        self
    }

    /// With all values that it may have.
    pub(super) const fn one_of(mut self, allowed: &'static [&'static str]) -> Self {
        self.allowed = allowed;
        self
    }

    /// The field as text has it.
    pub(super) const fn in_text(mut self) -> Self {
        if let Fill::SplitText(separator) = self.fill {
            self.fill = Fill::Split(separator);
        }
        self
    }

    /// Whether the field comes under this name, compared without regard to case and word separators.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|own| is_same_name(own, name))
    }

    /// The column that it fills; none for a category's path, which fills several.
    pub fn column(&self) -> Option<ColumnId> {
        ColumnId::by_name(self.target)
    }

    /// The field as a line of `[map]`. `origin` is the address that `{origin}` stands for. None when the
    /// field is made with an origin that is not known, or names no column, which a test rules out.
    pub fn entry(&self, origin: Option<&str>) -> Option<MapEntry> {
        let target = match self.target {
            "category" => Target::Category,
            name => Target::Column(ColumnId::by_name(name)?),
        };
        let names = || self.names.iter().map(|name| (*name).to_owned()).collect();
        let from = match (self.take, self.names) {
            (Take::First, [name]) => MapFrom::Field((*name).to_owned()),
            (Take::First, _) => MapFrom::FirstOf(names()),
            (Take::FirstItem(separator), _) => {
                MapFrom::FirstItem { names: names(), separator: separator.to_owned() }
            }
            (Take::All, _) => MapFrom::AllOf(names()),
            (Take::Join(join), _) => MapFrom::Fields { names: names(), join: join.to_owned() },
            (Take::Template(text), _) => MapFrom::Template(pieces(text, origin)?),
        };
        let money = |currency: Option<&str>| Transform::Money {
            currency: currency.map(str::to_owned),
            decimal: Some('.'),
            minor_units: 0,
        };
        let transform = match self.fill {
            Fill::Column | Fill::SplitText(_) => Transform::ByColumn,
            Fill::Money => money(None),
            Fill::MoneyIn(currency) => money(Some(currency)),
            Fill::Split(separator) => Transform::Split { separator: separator.to_owned() },
            Fill::Category(separator) => Transform::Category { separator: separator.to_owned() },
            Fill::Time(timezone) => Transform::Date { format: None, timezone },
        };
        let pairs = self.words.iter().map(|(own, ours)| ((*own).to_owned(), (*ours).to_owned()));
        let lookup = Lookup { values: pairs.collect(), default: None };
        let lookup = Some(lookup).filter(|lookup| !lookup.values.is_empty());
        Some(MapEntry { target, from, transform, lookup, line: 0 })
    }
}

/// Whether two names are one, without regard to case and word separators.
pub(super) fn is_same_name(a: &str, b: &str) -> bool {
    a == b || plain(a) == plain(b)
}

/// The pieces of a template; none without the origin that it wants. Its braces are known to be in pairs.
fn pieces(text: &str, origin: Option<&str>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    for part in text.split_inclusive('}') {
        let (before, name) = part.split_once('{').unwrap_or((part, ""));
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        match name.trim_end_matches('}') {
            "" => {}
            "origin" => pieces.push(Piece::Text(origin?.to_owned())),
            name => pieces.push(Piece::Field(name.to_owned())),
        }
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_cut_into_pieces() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let name = |name: &str| Piece::Field(name.to_owned());
        let found = pieces("{origin}/products/{handle}?v={v.id}", Some("https://a.example"));
        let expected = [
            text("https://a.example"),
            text("/products/"),
            name("handle"),
            text("?v="),
            name("v.id"),
        ];
        assert_eq!(found.as_deref(), Some(&expected[..]));
        assert_eq!(pieces("{origin}/x", None), None);
        assert_eq!(pieces("{a} g", None), Some(vec![name("a"), text(" g")]));
    }

    #[test]
    fn words_become_a_table() {
        let field = same(&["availability", "stock"]).words(&[("1", "in_stock")]).chars(9);
        let entry = field.entry(None).unwrap();
        assert_eq!(entry.lookup.unwrap().values["1"], "in_stock");
        assert_eq!(entry.from, MapFrom::FirstOf(vec!["availability".into(), "stock".into()]));
        assert!(field.has_name("Stock") && !field.has_name("stocks"));
    }
}
