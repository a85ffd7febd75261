//! What a sample's fields are like: how many records have a value, and what their values look like.

use crate::currency;
use crate::digits;
use crate::fields::{Names, Record};
use crate::gtin;
use crate::links::is_http;
use crate::money::parse_money;
use feedfleet_model::hash::bytes_hash;
use std::collections::HashSet;

/// Fields that are looked at.
const MAX_FIELDS: usize = 300;
/// Values of one field whose differences are counted.
const MAX_DISTINCT: usize = 50_000;
/// Different words of one field that are kept.
const MAX_WORDS: usize = 8;
/// Ends of pictures' addresses.
const PICTURES: [&str; 7] = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".jfif"];

/// One field of a sample.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) name: String,
    /// Records with a value.
    pub(super) filled: u64,
    /// Values that have been seen for the first time.
    pub(super) distinct: u64,
    pub(super) links: u64,
    pub(super) pictures: u64,
    pub(super) amounts: u64,
    /// Amounts that name a currency.
    pub(super) currencies: u64,
    /// Amounts with a point or a comma in the number.
    pub(super) marked: u64,
    /// Of these, those whose decimal mark can be nothing but a comma.
    pub(super) commas: u64,
    /// Of these, those whose decimal mark can be nothing but a point.
    pub(super) points: u64,
    /// Of these, those with three digits behind their only mark, a point, unless their currency has three.
    pub(super) open_points: u64,
    /// Of these, those with three digits behind their only mark, a comma, unless their currency has none.
    pub(super) open_commas: u64,
    pub(super) whole_numbers: u64,
    pub(super) gtins: u64,
    /// Values with white space inside of an address.
    pub(super) spaced_links: u64,
    /// Values that hold several addresses, by what is between them.
    pub(super) lists: [u64; 4],
    /// Values with a path in them, by what is between its steps.
    pub(super) paths: [u64; 4],
    /// Bytes of all values.
    pub(super) bytes: u64,
    /// The first different values; none once there are too many.
    pub(super) words: Option<Vec<String>>,
    seen: HashSet<u64>,
}

/// What may stand between addresses.
pub(super) const LISTS: [&str; 4] = [",", "|", ";", " "];
/// What may stand between the steps of a path.
pub(super) const PATHS: [&str; 4] = [">", " / ", "|", "/"];

impl Field {
    fn add(&mut self, value: &str) {
        self.filled += 1;
        self.bytes += value.len() as u64;
        if self.seen.len() < MAX_DISTINCT && self.seen.insert(bytes_hash(value.as_bytes()) as u64) {
            self.distinct += 1;
            if let Some(words) = &mut self.words {
                if words.len() < MAX_WORDS && value.len() <= 100 {
                    words.push(value.to_owned());
                } else {
                    self.words = None;
                }
            }
        }
        if is_http(value) {
            self.add_link(value);
            return;
        }
        if value.bytes().any(|byte| byte.is_ascii_digit()) && value.len() < 40 {
            if let Ok(money) = parse_money(value, None) {
                self.amounts += 1;
                self.currencies += u64::from(money.currency.is_some());
                let number = number(value);
                let mark = sure_mark(number);
                self.marked += u64::from(number.contains(['.', ',']));
                self.commas += u64::from(mark == Some(','));
                self.points += u64::from(mark == Some('.'));
                let is_of = |has: fn(&str) -> bool| money.currency.is_some_and(has);
                let is_open = |of: char| mark.is_none() && number.contains(of);
                let is_point = is_open('.') && !is_of(currency::has_three_decimals);
                let is_comma = is_open(',') && !is_of(currency::has_no_decimals);
                self.open_points += u64::from(is_point);
                self.open_commas += u64::from(is_comma);
            }
            let whole = value.strip_suffix(".0").unwrap_or(value);
            self.whole_numbers += u64::from(whole.parse::<i64>().is_ok());
            self.gtins += u64::from(gtin::has_check_digit(whole));
        }
        for (count, between) in self.paths.iter_mut().zip(PATHS) {
            *count += u64::from(value.contains(between));
        }
    }

    fn add_link(&mut self, value: &str) {
        self.links += 1;
        let path = value.split(['?', '#']).next().unwrap_or(value).to_ascii_lowercase();
        self.pictures += u64::from(PICTURES.iter().any(|end| path.ends_with(end)));
        let place = LISTS.iter().position(|between| {
            value.split(between).skip(1).any(|rest| is_http(rest.trim_start()))
        });
        match place {
            Some(place) => self.lists[place] += 1,
            None => self.spaced_links += u64::from(value.contains(char::is_whitespace)),
        }
    }

    /// The share of the values that are so.
    pub(super) fn share(&self, of: u64) -> f64 {
        if self.filled == 0 { 0.0 } else { of as f64 / self.filled as f64 }
    }

    /// What stands between most of the values' parts, if they have some.
    pub(super) fn separator(
        &self,
        counts: &[u64; 4],
        between: &[&'static str; 4],
    ) -> Option<&'static str> {
        let most = (0..counts.len()).rev().max_by_key(|place| counts[*place])?;
        (self.share(counts[most]) > 0.1).then_some(between[most])
    }
}

/// The number in an amount, as [`parse_money`] finds it, without a mark at its end: the point of `Rs.500` and of `12,90 kr.`
/// is none of it.
fn number(amount: &str) -> &str {
    let first = amount.find(|c: char| c.is_ascii_digit()).unwrap_or(amount.len());
    let (name, _) = amount.split_at(first);
    let is_marked = match name.strip_suffix('.') {
        Some(name) => !name.ends_with(char::is_alphabetic),
        None => name.ends_with(','),
    };
    let rest = &amount[first - usize::from(is_marked)..];
    let number = &rest[..digits::span(rest)];
    number.strip_suffix(['.', ',']).unwrap_or(number)
}

/// The decimal mark of a number, where it can be no other: the last one behind another, or not between a digit to three of
/// them and three more; or the one that is not there, where one is there several times.
fn sure_mark(number: &str) -> Option<char> {
    let at = number.rfind(['.', ','])?;
    let (mark, other) = if number[at..].starts_with('.') { ('.', ',') } else { (',', '.') };
    let before = &number[..at];
    if before.contains(other) {
        return Some(mark);
    }
    if before.contains(mark) {
        return Some(other);
    }
    // Thousands that are separated by something else have more before the mark.
    let may_be_thousands =
        number.len() - at == 4 && (1..=3).contains(&at) && !before.starts_with('0');
    (!may_be_thousands).then_some(mark)
}

/// The fields of all records that were added.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) list: Vec<Field>,
    pub(super) records: u64,
}

impl Fields {
    pub(super) fn add(&mut self, record: &Record, names: &Names) {
        self.records += 1;
        while self.list.len() < names.len().min(MAX_FIELDS) {
            let name = names.name(self.list.len() as u32).to_owned();
            self.list.push(Field { name, words: Some(Vec::new()), ..Field::default() });
        }
        for (place, field) in self.list.iter_mut().enumerate() {
            if let Some(value) = record.first(place as u32) {
                field.add(value);
            }
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<&Field> {
        self.list.iter().find(|field| field.name == name)
    }

    /// The share of the records with a value of a field, from 0 to 1.
    pub(super) fn coverage(&self, field: &Field) -> f64 {
        if self.records == 0 { 0.0 } else { field.filled as f64 / self.records as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_can_be_no_other() {
        for (amount, mark) in [
            ("1.201,01 EUR", Some(',')),
            ("1,201.01", Some('.')),
            ("12,90 €", Some(',')),
            ("12.9", Some('.')),
            ("1.234.567", Some(',')),
            ("12,90 kr.", Some(',')),
            ("kr. 12,90", Some(',')),
            ("Rs. 500.00", Some('.')),
            ("Rs.500.00", Some('.')),
            ("Rs.1,25,000", Some('.')),
            ("$.75", Some('.')),
            ("1 234,500", Some(',')),
            ("1'234,500", Some(',')),
            ("0,750", Some(',')),
            ("1.201", None),
            ("12,000", None),
            ("Rs.1,500", None),
            ("Rs. 1.500", None),
            ("Rs.500", None),
            ("1.250 kr.", None),
            ("12 kr.", None),
            ("1 195,- kr", None),
            ("12", None),
        ] {
            assert!(parse_money(amount, None).is_ok(), "{amount}");
            assert_eq!(sure_mark(number(amount)), mark, "{amount}");
        }
    }
}
