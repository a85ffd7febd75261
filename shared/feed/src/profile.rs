//! What a source's products are like as a whole: coverage of each column, and what is wrong with values that could be
//! read. Some counters a product; nothing of it refuses one.

use crate::gtin;
use crate::presets::{Checks, Fault, Finding, preset};
use feedfleet_config::Format;
use feedfleet_model::columns::{self, COLUMNS, ColumnType};
use feedfleet_model::report::{Diagnostics, Problem, ProblemSample};
use feedfleet_model::{ColumnId, Row, ValueRef};
use std::collections::{BTreeMap, HashMap};

/// Samples kept of one problem.
const SAMPLES: usize = 3;
/// Characters of a value that a sample shows.
const SHOWN_CHARS: usize = 100;
/// Currencies that are counted each for itself.
const CURRENCIES: usize = 20;
/// What the others are counted under.
const OTHER: &str = "other";
/// What every product should have, whatever its format requires.
const WANTED: [ColumnId; 4] = [columns::TITLE, columns::LINK, columns::IMAGE_LINK, columns::PRICE];

/// Counts what products have.
#[derive(Debug)]
pub struct Profile {
    checks: Option<Checks>,
    /// Of [`WANTED`], those that the format does not ask for itself.
    wanted: Vec<ColumnId>,
    rows: u64,
    /// By column.
    filled: Vec<u64>,
    currencies: BTreeMap<String, Seen>,
    problems: HashMap<Kind, Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    column: ColumnId,
    name: &'static str,
    limit: Option<u32>,
}

impl Kind {
    fn of(finding: Finding) -> Self {
        let limit = match finding.fault {
            Fault::TooLong { max_chars } => Some(max_chars),
            Fault::TooMany { max_items } => Some(max_items),
            Fault::Missing | Fault::NotAllowed => None,
        };
        Self { column: finding.column, name: finding.fault.name(), limit }
    }
}

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    samples: Vec<ProblemSample>,
}

impl Seen {
    fn add(&mut self, row: &Row, column: ColumnId) {
        self.count += 1;
        if self.samples.len() < SAMPLES {
            let id = row.id().chars().take(SHOWN_CHARS).collect();
            self.samples.push(ProblemSample { id, value: shown(row, column) });
        }
    }
}

impl Profile {
    /// Nothing counted yet, of a source in this format.
    pub fn of(format: Format) -> Self {
        let checks = preset(format).map(Checks::of);
        let is_asked =
            |column: &ColumnId| checks.as_ref().is_some_and(|checks| checks.requires(*column));
        Self {
            wanted: WANTED.into_iter().filter(|column| !is_asked(column)).collect(),
            checks,
            rows: 0,
            filled: vec![0; COLUMNS.len()],
            currencies: BTreeMap::new(),
            problems: HashMap::new(),
        }
    }

    /// Counts a product, as the source has it.
    pub fn add(&mut self, row: &Row) {
        self.rows += 1;
        for (place, filled) in self.filled.iter_mut().enumerate() {
            *filled += u64::from(row.get(ColumnId(place as u16)) != ValueRef::Null);
        }
        if let Some(currency) = row.text(columns::PRICE_CURRENCY) {
            let is_new = !self.currencies.contains_key(currency);
            let name = if is_new && self.currencies.len() >= CURRENCIES { OTHER } else { currency };
            match self.currencies.get_mut(name) {
                Some(seen) => seen.add(row, columns::PRICE_CURRENCY),
                None => {
                    let seen = self.currencies.entry(name.to_owned()).or_default();
                    seen.add(row, columns::PRICE_CURRENCY);
                }
            }
        }
        let problems = &mut self.problems;
        let mut tell = |kind: Kind| problems.entry(kind).or_default().add(row, kind.column);
        if let Some(checks) = &self.checks {
            checks.check(row, |finding| tell(Kind::of(finding)));
        }
        for &column in self.wanted.iter().filter(|column| row.get(**column) == ValueRef::Null) {
            tell(Kind { column, name: Fault::Missing.name(), limit: None });
        }
        for (column, name) in out_of_range(row).into_iter().flatten() {
            tell(Kind { column, name, limit: None });
        }
    }

    /// Products counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What was counted. Prices in another currency than `currency`, or than most are in, are a problem.
    pub fn finish(self, currency: Option<&str>) -> Diagnostics {
        let named = self.filled.iter().zip(COLUMNS).filter(|(filled, _)| **filled > 0);
        let columns = named.map(|(filled, column)| (column.name.to_owned(), *filled)).collect();
        let most = self.currencies.iter().max_by_key(|(_, seen)| seen.count);
        let usual = currency.or(most.map(|(name, _)| name.as_str())).map(str::to_owned);
        let mut problems: Vec<Problem> = Vec::new();
        let mut currencies = BTreeMap::new();
        for (name, seen) in self.currencies {
            currencies.insert(name.clone(), seen.count);
            if usual.as_ref().is_some_and(|usual| *usual != name) {
                problems.push(Problem {
                    column: columns::PRICE_CURRENCY.column().name.to_owned(),
                    kind: "other-currency".to_owned(),
                    limit: None,
                    count: seen.count,
                    samples: seen.samples,
                });
            }
        }
        problems.extend(self.problems.into_iter().map(|(kind, seen)| Problem {
            column: kind.column.column().name.to_owned(),
            kind: kind.name.to_owned(),
            limit: kind.limit,
            count: seen.count,
            samples: seen.samples,
        }));
        problems.sort_by(|a, b| {
            (b.count, &a.column, &a.kind, a.limit).cmp(&(a.count, &b.column, &b.kind, b.limit))
        });
        Diagnostics {
            looked_at: self.rows,
            columns,
            currencies,
            problems,
            mended: Vec::new(),
            key: None,
        }
    }
}

/// Values that can't be right, whatever the format.
fn out_of_range(row: &Row) -> [Option<(ColumnId, &'static str)>; 3] {
    let amount = |column| match row.get(column) {
        ValueRef::Integer(amount) => Some(amount),
        _ => None,
    };
    let price = amount(columns::PRICE);
    let is_dearer = || {
        let same = row.text(columns::SALE_PRICE_CURRENCY) == row.text(columns::PRICE_CURRENCY);
        same && amount(columns::SALE_PRICE).zip(price).is_some_and(|(sale, price)| sale > price)
    };
    let gtin = row.text(columns::GTIN);
    [
        (price == Some(0)).then_some((columns::PRICE, "zero")),
        is_dearer().then_some((columns::SALE_PRICE, "above-price")),
        gtin.filter(|gtin| !gtin::has_check_digit(gtin) && !is_short_isbn(gtin))
            .map(|_| (columns::GTIN, "bad-check-digit")),
    ]
}

/// Whether a code is an ISBN of ten digits: no GTIN, but what publishers had before 2007, and right all the same.
fn is_short_isbn(code: &str) -> bool {
    let digit = |(place, byte): (usize, u8)| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'X' | b'x' if place == 9 => Some(10),
        _ => None,
    };
    let digits: Option<Vec<u32>> = code.bytes().enumerate().map(digit).collect();
    digits.is_some_and(|digits| {
        let weighted = digits.iter().zip((1..=10).rev()).map(|(digit, weight)| digit * weight);
        digits.len() == 10 && weighted.sum::<u32>() % 11 == 0
    })
}

/// A column's value for people.
fn shown(row: &Row, column: ColumnId) -> Option<String> {
    let cut = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
    match row.get(column) {
        ValueRef::Null => None,
        ValueRef::Text(text) => Some(cut(text)),
        ValueRef::List(_) => row.list(column).max_by_key(|item| item.len()).map(cut),
        ValueRef::Boolean(value) => Some(value.to_string()),
        ValueRef::Integer(value) if column.column().kind == ColumnType::Decimal => {
            let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
            let text = format!("{sign}{}.{:04}", value / 10_000, value % 10_000);
            Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
        }
        ValueRef::Integer(value) => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, currency: &str, price: i64) -> Row {
        let mut row = Row::new();
        row.set_text(columns::ID, id);
        row.set_text(columns::TITLE, "A");
        row.set_text(columns::LINK, "https://a.example/");
        row.set_decimal(columns::PRICE, price);
        row.set_text(columns::PRICE_CURRENCY, currency);
        row
    }

    fn told(diagnostics: &Diagnostics) -> Vec<(&str, &str, u64)> {
        let problems = diagnostics.problems.iter();
        problems.map(|p| (p.column.as_str(), p.kind.as_str(), p.count)).collect()
    }

    #[test]
    fn coverage_and_problems_are_counted() {
        let mut profile = Profile::of(Format::Csv);
        profile.add(&row("1", "EUR", 10_000));
        profile.add(&row("2", "EUR", 0));
        let mut wrong = row("3", "USD", 20_000);
        wrong.set_decimal(columns::SALE_PRICE, 30_000);
        wrong.set_text(columns::SALE_PRICE_CURRENCY, "USD");
        wrong.set_text(columns::GTIN, "4006381333932");
        wrong.set_text(columns::IMAGE_LINK, "https://a.example/1.jpg");
        profile.add(&wrong);
        let found = profile.finish(None);
        assert_eq!((found.looked_at, found.columns["title"], found.columns["gtin"]), (3, 3, 1));
        assert_eq!(found.coverage("brand"), Some(0.0));
        assert_eq!((found.currencies["EUR"], found.currencies["USD"]), (2, 1));
        let expected = [
            ("image_link", "missing", 2),
            ("gtin", "bad-check-digit", 1),
            ("price", "zero", 1),
            ("price_currency", "other-currency", 1),
            ("sale_price", "above-price", 1),
        ];
        assert_eq!(told(&found), expected);
        assert_eq!(found.problems[4].samples[0].value.as_deref(), Some("3"));
        assert_eq!(found.problems[0].samples[0].id, "1");
    }

    #[test]
    fn an_isbn_of_ten_digits_has_a_check_digit_of_its_own() {
        for (code, is_one) in [
            ("0306406152", true),
            ("080442957X", true),
            ("0306406153", false),
            ("08044X9570", false),
            ("030640615", false),
            ("4006381333931", false),
        ] {
            assert_eq!(is_short_isbn(code), is_one, "{code}");
        }
        let mut book = row("1", "EUR", 1);
        book.set_text(columns::GTIN, "0306406152");
        assert_eq!(out_of_range(&book), [None; 3]);
    }

    #[test]
    fn the_pipes_currency_is_the_right_one() {
        let mut profile = Profile::of(Format::Csv);
        for id in 0..30 {
            profile.add(&row(&id.to_string(), &format!("A{}", char::from(b'A' + id)), 1));
        }
        let found = profile.finish(Some("AAA"));
        assert_eq!((found.currencies.len(), found.currencies["other"]), (21, 10));
        let wrong = found.problems.iter().filter(|p| p.kind == "other-currency");
        assert_eq!(wrong.map(|p| p.count).sum::<u64>(), 30);
    }

    #[test]
    fn what_the_format_asks_for_is_told_once() {
        let mut profile = Profile::of(Format::GoogleCsv);
        let mut bare = Row::new();
        bare.set_text(columns::ID, "1");
        profile.add(&bare);
        let found = profile.finish(None);
        let missing = found.problems.iter().filter(|p| p.column == "image_link").count();
        assert_eq!(missing, 1, "{found:?}");
    }
}
