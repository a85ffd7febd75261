//! Which field fills which column, where no preset says so: by what fields are called, and by what their values look
//! like.

use super::fields::{Field, Fields, LISTS, PATHS};
use super::synonyms::{LANGUAGES, NAMES};
use super::toml::quoted;
use crate::convert::parse_boolean;
use crate::currency;
use crate::header::plain;
use feedfleet_model::{ColumnId, ColumnType};

/// Weight of a field that no column's names have, and whose values can be nothing else.
const BY_SHAPE: f64 = 30.0;

/// The columns of a category's levels.
const LEVELS: [&str; 4] = ["category_1", "category_2", "category_3", "category_4"];

/// The column that a price's currency fills.
const PRICE_CURRENCY: &str = "price_currency";

/// Amounts, and the column that the currency of each fills.
pub(super) const AMOUNTS: [(&str, &str); 4] = [
    ("price", PRICE_CURRENCY),
    ("sale_price", "sale_price_currency"),
    ("normal_price", "normal_price_currency"),
    ("mobile_price", "mobile_price_currency"),
];

/// A proposed line of `[map]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The column, or `category`.
    pub(super) column: &'static str,
    /// The field that fills it.
    pub(super) field: String,
    /// The line's value, as TOML.
    pub(super) value: String,
}

/// Proposes lines, in the order of the table of names.
pub(super) fn propose(fields: &Fields) -> Vec<Line> {
    let mut scored = Vec::new();
    for (rank, (column, names)) in NAMES.iter().enumerate() {
        for (place, field) in fields.list.iter().enumerate() {
            let score = score(column, names, field) * (0.5 + 0.5 * fields.coverage(field));
            if score > 0.0 {
                scored.push((score, rank, place));
            }
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut by_column: Vec<Option<usize>> = vec![None; NAMES.len()];
    let mut is_taken = vec![false; fields.list.len()];
    for (_, rank, place) in scored {
        if by_column[rank].is_none() && !is_taken[place] {
            by_column[rank] = Some(place);
            is_taken[place] = true;
        }
    }
    let mut lines = Vec::new();
    for ((column, _), place) in NAMES.iter().zip(&by_column) {
        if let Some(field) = place.and_then(|place| fields.list.get(place)) {
            lines.push(line(column, field));
        }
    }
    if lines.iter().any(|line| line.column == "category") {
        // A path fills the levels, too.
        lines.retain(|line| !LEVELS.contains(&line.column));
    }
    further_pictures(fields, &mut lines);
    currency_of_price(fields, &mut lines);
    currencies_of_others(fields, &mut lines);
    lines
}

/// The field that says in what currency a price is whose amounts name none: a part or an attribute of the price, such as
/// `price/@currency`, or a field beside it, or beside what it is in; the nearest.
pub(super) fn currency_beside(fields: &Fields, price: &Field) -> Option<Line> {
    if price.currencies > 0 {
        return None;
    }
    let (_, names) = NAMES.iter().find(|(column, _)| *column == PRICE_CURRENCY)?;
    let suits = |field: &Field| {
        let (around, step) = last_step(&field.name);
        let is_usual = field.filled * 2 > price.filled;
        let score =
            by_name(names, step.trim_start_matches('@')) * (0.5 + 0.5 * fields.coverage(field));
        let is_one =
            is_around(around, price) && is_usual && score > 0.0 && fits(PRICE_CURRENCY, field);
        is_one.then_some((around.len(), score))
    };
    // The first of equals.
    let found = fields.list.iter().rev().filter_map(|field| Some((suits(field)?, field)));
    let best = found
        .max_by(|((a_depth, a), _), ((b_depth, b), _)| a_depth.cmp(b_depth).then(a.total_cmp(b)));
    best.map(|(_, field)| line(PRICE_CURRENCY, field))
}

/// What a field is in, and its own name there.
fn last_step(name: &str) -> (&str, &str) {
    name.rfind(['/', '.']).map_or(("", name), |at| (&name[..at], &name[at + 1..]))
}

/// Whether this is the price, or something that it is in.
fn is_around(name: &str, price: &Field) -> bool {
    let rest = price.name.strip_prefix(name);
    name.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
}

/// How well a field suits a column; 0 when it does not.
fn score(column: &str, names: &str, field: &Field) -> f64 {
    // A field of JSON may have no name; no pipe can speak of it.
    if field.name.trim().is_empty() || (field.filled > 0 && !fits(column, field)) {
        return 0.0;
    }
    let by_name = by_name(names, &field.name);
    if by_name == 0.0 {
        return if field.filled > 0 && suggests(column, field) { BY_SHAPE } else { 0.0 };
    }
    // What may be either is the first of them.
    match column {
        "id" => by_name + 5.0,
        "additional_image_links" => by_name - 20.0,
        _ => by_name,
    }
}

/// How much a field's name says for a column with these names.
fn by_name(names: &str, name: &str) -> f64 {
    let whole = plain(name);
    let step = whole.rsplit(['/', '.']).next().unwrap_or(&whole);
    let step = step.split('[').next().unwrap_or(step);
    let without_language = LANGUAGES.iter().find_map(|language| {
        let rest = whole.strip_suffix(language)?;
        rest.strip_suffix(['.', '_', '-'])
    });
    let forms = [(Some(whole.as_str()), 100.0), (without_language, 90.0), (Some(step), 70.0)];
    let mut best: f64 = 0.0;
    for (form, weight) in forms {
        let Some(form) = form else { continue };
        if let Some(place) =
            names.split_whitespace().position(|known| compact(known) == compact(form))
        {
            best = best.max(weight - (place as f64).min(40.0) / 2.0);
        }
    }
    best
}

/// A name without what stands between its words.
fn compact(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect()
}

/// Whether a field's values are such as a column has.
fn fits(column: &str, field: &Field) -> bool {
    let is = |of: u64, least: f64| field.share(of) >= least;
    match column {
        "link" | "mobile_link" => is(field.links, 0.5) && !is(field.pictures, 0.5),
        "image_link" | "additional_image_links" => is(field.links, 0.5),
        "price" | "mobile_price" | "sale_price" | "normal_price" | "shipping_cost" => {
            is(field.amounts, 0.6)
        }
        "stock_quantity" | "review_count" => is(field.whole_numbers, 0.6),
        "gtin" => is(field.gtins, 0.5),
        "price_currency" => {
            let words = field.words.as_deref().unwrap_or_default();
            !words.is_empty() && words.iter().all(|word| currency::find(word).is_some())
        }
        // An amount or an address is no name, and no word.
        "title" | "description" | "brand" | "maker" | "color" | "material" | "category" => {
            !is(field.links, 0.5) && (!is(field.amounts, 0.9) || field.currencies == 0)
        }
        _ => !is(field.links, 0.5) || column == "id",
    }
}

/// Whether a field's values are such as only this column has.
fn suggests(column: &str, field: &Field) -> bool {
    let is = |of: u64, least: f64| field.share(of) >= least;
    match column {
        "image_link" => is(field.pictures, 0.8),
        "link" => is(field.links, 0.9) && is(field.distinct, 0.5),
        "gtin" => field.filled > 10 && is(field.gtins, 0.95) && is(field.distinct, 0.5),
        "price" => is(field.currencies, 0.9),
        _ => false,
    }
}

fn line(column: &'static str, field: &Field) -> Line {
    let name = quoted(&field.name);
    let value = match column {
        "category" => match field.separator(&field.paths, &PATHS) {
            None | Some(">") => name,
            Some(between) => {
                format!("{{ field = {name}, separator = {} }}", quoted(between.trim()))
            }
        },
        "image_link" => match field.separator(&field.lists, &LISTS) {
            None => name,
            Some(between) => format!("{{ field = {name}, first = {} }}", quoted(between)),
        },
        "availability" => match yes_and_no(field) {
            None => name,
            Some(lookup) => format!("{{ field = {name}, lookup = {{ {lookup} }} }}"),
        },
        _ if is_list(column) => {
            let between = field.separator(&field.lists, &LISTS).unwrap_or(",");
            format!("{{ field = {name}, split = {} }}", quoted(between))
        }
        _ => name,
    };
    Line { column, field: field.name.clone(), value }
}

fn is_list(column: &str) -> bool {
    let column = ColumnId::by_name(column);
    column.is_some_and(|column| column.column().kind == ColumnType::TextList)
}

/// A table for a field that says yes or no.
fn yes_and_no(field: &Field) -> Option<String> {
    let words = field.words.as_deref().filter(|words| !words.is_empty())?;
    let mut pairs = Vec::new();
    for word in words {
        let is_there = match word.to_lowercase().as_str() {
            "ja" | "oui" | "si" | "sí" | "sim" | "tak" => true,
            "nein" | "non" | "nie" => false,
            _ => parse_boolean(word)?,
        };
        let meaning = if is_there { "in_stock" } else { "out_of_stock" };
        pairs.push(format!("{} = {}", quoted(word), quoted(meaning)));
    }
    Some(pairs.join(", "))
}

/// A field with several pictures fills the column of further ones too, unless another one does.
fn further_pictures(fields: &Fields, lines: &mut Vec<Line>) {
    const FURTHER: &str = "additional_image_links";
    if lines.iter().any(|line| line.column == FURTHER) {
        return;
    }
    let Some(place) = lines.iter().position(|line| line.column == "image_link") else { return };
    let field = fields.named(&lines[place].field);
    if let Some(field) = field
        && field.separator(&field.lists, &LISTS).is_some()
    {
        lines.insert(place + 1, line(FURTHER, field));
    }
}

/// An attribute of the price may say its currency, and the names above are those of fields; what a field such as
/// `shipping/currency` says is the currency of something else.
fn currency_of_price(fields: &Fields, lines: &mut Vec<Line>) {
    let Some(place) = lines.iter().position(|line| line.column == "price") else { return };
    let Some(price) = fields.named(&lines[place].field) else { return };
    let told = lines.iter().position(|line| line.column == PRICE_CURRENCY);
    match (currency_beside(fields, price), told) {
        (Some(line), Some(told)) => lines[told] = line,
        (Some(line), None) => lines.insert(place + 1, line),
        (None, Some(told)) => {
            let (around, _) = last_step(&lines[told].field);
            if !is_around(around, price) {
                lines.remove(told);
            }
        }
        (None, None) => {}
    }
}

/// The currency of amounts beside the price that name none.
fn currencies_of_others(fields: &Fields, lines: &mut Vec<Line>) {
    for (amount, column) in &AMOUNTS[1..] {
        let Some(place) = lines.iter().position(|line| line.column == *amount) else { continue };
        let field = fields.named(&lines[place].field).filter(|field| field.filled > 0);
        let line = field.and_then(|field| currency_beside(fields, field));
        lines.splice(place + 1..place + 1, line.map(|line| Line { column, ..line }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{Names, Record};

    fn proposed(header: &[&str], rows: &[&[&str]]) -> Vec<(&'static str, String)> {
        let (mut names, mut record, mut fields) =
            (Names::default(), Record::default(), Fields::default());
        for row in rows {
            record.clear();
            for (name, value) in header.iter().zip(*row) {
                let field = names.intern(name).unwrap();
                record.push(field, value);
            }
            fields.add(&record, &names);
        }
        propose(&fields).into_iter().map(|line| (line.column, line.value)).collect()
    }

    fn expected(lines: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        lines.iter().map(|(column, value)| (*column, (*value).to_owned())).collect()
    }

    #[test]
    fn fields_are_known_by_their_names_in_many_languages() {
        let header =
            ["Artikelnummer", "Bezeichnung", "Preis", "Bild-URL", "Lagerbestand", "Marke", "Link"];
        let row = [
            "a-1",
            "Tasse",
            "12,50 €",
            "https://i.example/1.jpg",
            "4",
            "Acme",
            "https://s.example/1",
        ];
        let lines = [
            ("id", "\"Artikelnummer\""),
            ("title", "\"Bezeichnung\""),
            ("link", "\"Link\""),
            ("image_link", "\"Bild-URL\""),
            ("price", "\"Preis\""),
            ("stock_quantity", "\"Lagerbestand\""),
            ("brand", "\"Marke\""),
        ];
        assert_eq!(proposed(&header, &[&row]), expected(&lines));
        let header = ["상품코드", "상품명", "가격"];
        let lines = [("id", "\"상품코드\""), ("title", "\"상품명\""), ("price", "\"가격\"")];
        assert_eq!(proposed(&header, &[&["1", "의자", "12,000원"]]), expected(&lines));
    }

    #[test]
    fn values_outvote_names() {
        let header = ["id", "price", "x", "name.en", "available"];
        let rows: [&[&str]; 2] = [
            &["1", "https://s.example/1", "5 EUR", "Cup", "1"],
            &["2", "https://s.example/2", "6 EUR", "Pot", "0"],
        ];
        let lines = [
            ("id", "\"id\""),
            ("title", "\"name.en\""),
            ("link", "\"price\""),
            ("price", "\"x\""),
            (
                "availability",
                "{ field = \"available\", lookup = { \"1\" = \"in_stock\", \"0\" = \"out_of_stock\" } }",
            ),
        ];
        assert_eq!(proposed(&header, &rows), expected(&lines));
    }

    #[test]
    fn a_price_has_its_currency_in_an_attribute_or_beside_it() {
        let header = ["@id", "price", "price/@type", "price/@cur", "shipping/@currency"];
        let rows: [&[&str]; 2] =
            [&["1", "5", "all", "EUR", "PLN"], &["2", "6", "all", "USD", "PLN"]];
        let lines =
            [("id", "\"@id\""), ("price", "\"price\""), ("price_currency", "\"price/@cur\"")];
        assert_eq!(proposed(&header, &rows), expected(&lines));
        // Nothing says that of an amount that names one, or of another amount.
        assert_eq!(
            proposed(&header, &[&["1", "5 EUR", "all", "EUR", "PLN"]]),
            expected(&lines[..2])
        );
        let other = ["@id", "price", "shipping/@currency"];
        assert_eq!(proposed(&other, &[&["1", "5", "PLN"]]), expected(&lines[..2]));
        let header = ["@id", "price", "cur"];
        let lines = [("id", "\"@id\""), ("price", "\"price\""), ("price_currency", "\"cur\"")];
        assert_eq!(proposed(&header, &[&["1", "5", "eur"]]), expected(&lines));
        let header = ["@id", "price", "cur", "sale_price"];
        let sale = [("sale_price", "\"sale_price\""), ("sale_price_currency", "\"cur\"")];
        let both = [&lines[..], &sale].concat();
        assert_eq!(proposed(&header, &[&["1", "5", "eur", "4"]]), expected(&both));
        let named = proposed(&header, &[&["1", "5", "eur", "4 EUR"]]);
        assert_eq!(named, expected(&both[..4]), "it says so itself");
    }

    #[test]
    fn the_currency_of_something_else_is_not_the_prices() {
        let header = ["@id", "price", "price/@currency", "shipping/currency"];
        let lines =
            [("id", "\"@id\""), ("price", "\"price\""), ("price_currency", "\"price/@currency\"")];
        assert_eq!(proposed(&header, &[&["1", "5", "USD", "EUR"]]), expected(&lines));
        for price in ["5", "5 USD"] {
            let header = ["@id", "price", "shipping/currency"];
            assert_eq!(proposed(&header, &[&["1", price, "EUR"]]), expected(&lines[..2]));
        }
        // Beside it, or beside what it is in; the nearest of them.
        let header = ["@id", "currency", "offer/currency", "offer/price/amount"];
        let row: [&str; 4] = ["1", "USD", "EUR", "5"];
        let lines = |currency| {
            let price = "\"offer/price/amount\"";
            expected(&[("id", "\"@id\""), ("price", price), ("price_currency", currency)])
        };
        assert_eq!(proposed(&header, &[&row]), lines("\"offer/currency\""));
        // An amount's own currency is the one that counts; what is beside it stays.
        let row: [&str; 4] = ["1", "USD", "", "5 USD"];
        assert_eq!(proposed(&header, &[&row]), lines("\"currency\""));
    }

    #[test]
    fn lists_and_paths_are_cut() {
        let header = ["sku", "images", "category"];
        let row = ["1", "https://i.example/1.jpg|https://i.example/2.jpg", "Home/Cups"];
        let lines = [
            ("id", "\"sku\""),
            ("image_link", "{ field = \"images\", first = \"|\" }"),
            ("additional_image_links", "{ field = \"images\", split = \"|\" }"),
            ("category", "{ field = \"category\", separator = \"/\" }"),
        ];
        assert_eq!(proposed(&header, &[&row]), expected(&lines));
    }
}
