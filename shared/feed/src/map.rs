//! Records as rows: applies the plan's rules to one record after the other.

use crate::convert::{known_word, parse_boolean};
use crate::currency;
use crate::dates::parse_date;
use crate::diagnostics::{Position, Refusal, RefusalReason, Warnings};
use crate::fields::{Names, Record};
use crate::links::{is_http, push_link, split_links};
use crate::money::parse_money;
use crate::number::{parse_integer, parse_number};
use crate::plan::{Plan, Slot};
use crate::reader::Change;
use crate::rule::{Action, Combine, MoneyRule, Rule};
use feedfleet_model::{ColumnId, Row, columns};

/// Bytes of a product's id.
const MAX_ID_BYTES: usize = 255;
/// "Paid on delivery", as Naver writes it.
const ON_DELIVERY: [&str; 2] = ["-1", "-1.0"];

/// Working memory of the mapping.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    joined: String,
    converted: String,
}

/// One record on its way into a row.
pub(crate) struct Mapping<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) record: &'a Record,
    pub(crate) names: &'a Names,
    pub(crate) at: Position,
    pub(crate) row: &'a mut Row,
    pub(crate) warnings: &'a mut Warnings,
}

impl Mapping<'_> {
    /// Fills the row, which is cleared before.
    pub(crate) fn run(&mut self, scratch: &mut Scratch) -> Result<Change, Refusal> {
        self.row.clear();
        let mut change = Change::Upsert;
        let mut has_id = false;
        let plan = self.plan;
        for (rule, slots) in plan.active() {
            match &rule.action {
                Action::Change => change = self.change(rule, slots, scratch)?,
                Action::Id => {
                    self.id(rule, slots, scratch)?;
                    has_id = true;
                    if change == Change::Delete {
                        // A removed product's other fields are nobody's business.
                        return Ok(change);
                    }
                }
                _ if !has_id => return Err(self.missing_id("id")),
                Action::List { column, separator, is_links } => {
                    self.list(rule, slots, *column, separator.as_deref(), *is_links, scratch);
                }
                _ => self.single(rule, slots, scratch)?,
            }
        }
        if !has_id {
            return Err(self.missing_id("id"));
        }
        for (field, value) in self.record.all() {
            if !plan.is_taken(field) {
                self.row.push_extra(self.names.name(field), value);
            }
        }
        self.row.settle_extra();
        Ok(change)
    }

    /// Fills the row, which is cleared before, with the id alone, as far as it can be read: of a record that
    /// is no use otherwise.
    pub(crate) fn identity(&mut self, scratch: &mut Scratch) {
        self.row.clear();
        let plan = self.plan;
        for (rule, slots) in plan.active().filter(|(rule, _)| matches!(rule.action, Action::Id)) {
            // The record is refused already; that its id can't be read is no second refusal.
            self.id(rule, slots, scratch).ok();
        }
    }

    fn change(
        &mut self,
        rule: &Rule,
        slots: &[Slot],
        scratch: &mut Scratch,
    ) -> Result<Change, Refusal> {
        match value(self.record, rule, slots, &mut scratch.joined) {
            None | Some("I" | "i" | "U" | "u") => Ok(Change::Upsert),
            Some("D" | "d") => Ok(Change::Delete),
            Some(other) => {
                let message = "the kind of change is not I, U or D";
                let name = rule.sources.first().map_or("class", String::as_str);
                let refusal = Refusal::new(RefusalReason::BadClass, self.at, message);
                Err(refusal.in_field(name, other))
            }
        }
    }

    fn id(&mut self, rule: &Rule, slots: &[Slot], scratch: &mut Scratch) -> Result<(), Refusal> {
        let record = self.record;
        let Some(id) = value(record, rule, slots, &mut scratch.joined) else {
            let mut sources = rule.sources.iter().zip(slots);
            let absent = sources.find(|(_, slot)| slot.value(record).is_none());
            return Err(self.missing_id(absent.map_or("id", |(name, _)| name.as_str())));
        };
        if id.len() > MAX_ID_BYTES {
            let message = format!("the id has {} bytes; {MAX_ID_BYTES} are allowed", id.len());
            let refusal = Refusal::new(RefusalReason::IdTooLong, self.at, message);
            return Err(refusal.in_field("id", id));
        }
        self.row.set_text(columns::ID, id);
        Ok(())
    }

    fn missing_id(&self, field: &str) -> Refusal {
        let message = "the product has no id";
        Refusal::new(RefusalReason::MissingId, self.at, message).in_field(field, "")
    }

    /// Applies a rule that gives one value.
    fn single(
        &mut self,
        rule: &Rule,
        slots: &[Slot],
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let Scratch { joined, converted } = scratch;
        let Some(value) = value(self.record, rule, slots, joined) else {
            return Ok(());
        };
        match &rule.action {
            Action::Text(column) => self.row.set_text(*column, value),
            Action::Word(column) => {
                let word = known_word(*column, value, converted);
                self.row.set_text(*column, word);
            }
            Action::Link(column) => {
                converted.clear();
                if push_link(value, converted) {
                    self.row.set_text(*column, converted);
                } else {
                    self.warn(RefusalReason::BadLink, *column, value, NO_LINK);
                }
            }
            Action::Boolean(column) => match parse_boolean(value) {
                Some(flag) => self.row.set_boolean(*column, flag),
                None => self.warn(RefusalReason::BadBoolean, *column, value, "neither yes nor no"),
            },
            Action::Integer { column, decimal, has_unit } => {
                match parse_integer(value, *decimal, *has_unit) {
                    Some(number) => self.row.set_integer(*column, number),
                    None => self.warn(RefusalReason::BadNumber, *column, value, "no whole number"),
                }
            }
            Action::Decimal { column, decimal } => match parse_number(value, *decimal, true) {
                Some(number) if *column == columns::PRICE && number < 0 => {
                    return Err(self.bad_price(value, "it is negative"));
                }
                Some(number) => self.row.set_decimal(*column, number),
                None if *column == columns::PRICE => return Err(self.bad_price(value, "no number")),
                None => self.warn(RefusalReason::BadNumber, *column, value, "no number"),
            },
            Action::Money(money) => self.money(money, value)?,
            Action::Currency(column) => match currency::find(value) {
                Some(named) => {
                    if let Some(code) = named.code {
                        self.row.set_text(*column, code);
                    }
                }
                None => self.warn(RefusalReason::BadCurrency, *column, value, "no ISO 4217 code"),
            },
            Action::Time { column, format, zone } => {
                match parse_date(value, format.as_deref(), *zone) {
                    Some(micros) => self.row.set_timestamp(*column, micros),
                    None => self.warn(RefusalReason::BadDate, *column, value, NO_DATE),
                }
            }
            Action::Category { separator } => self.category(value, separator),
            Action::Ignore | Action::Change | Action::Id | Action::List { .. } => {}
        }
        self.keep_others(rule, slots);
        Ok(())
    }

    /// What the record has beyond the one value that the column takes is kept beside it.
    fn keep_others(&mut self, rule: &Rule, slots: &[Slot]) {
        if !matches!(rule.combine, Combine::First) {
            return;
        }
        let mut used = None;
        for field in slots.iter().filter_map(Slot::whole_field) {
            for value in self.record.values(field) {
                match used {
                    None => used = Some((field, value)),
                    Some((_, used)) if used == value => {}
                    // A field that lost to another one here may be what another rule uses.
                    Some((winner, _)) if winner != field && self.plan.is_shared(field) => {}
                    Some(_) => self.row.push_extra(self.names.name(field), value),
                }
            }
        }
    }

    fn money(&mut self, rule: &MoneyRule, value: &str) -> Result<(), Refusal> {
        let column = rule.column;
        if column == columns::SHIPPING_COST && ON_DELIVERY.contains(&value) {
            self.row.set_decimal(column, -crate::digits::UNIT);
            return Ok(());
        }
        let money = match parse_money(value, rule.decimal) {
            Ok(money) => money,
            Err(error) if column == columns::PRICE => {
                return Err(self.bad_price(value, &error.to_string()));
            }
            Err(error) => {
                self.warn(RefusalReason::UnparsablePrice, column, value, &error.to_string());
                return Ok(());
            }
        };
        let divisor = 10_i64.pow(u32::from(rule.minor_units));
        self.row.set_decimal(column, (money.ten_thousandths + divisor / 2) / divisor);
        let code = money.currency.or(rule.currency.as_deref());
        if let (Some(column), Some(code)) = (rule.currency_column, code) {
            self.row.set_text(column, code);
        }
        Ok(())
    }

    fn bad_price(&self, value: &str, message: &str) -> Refusal {
        let message = format!("the price can't be read: {message}");
        let refusal = Refusal::new(RefusalReason::BadPrice, self.at, message);
        refusal.in_field(columns::PRICE.column().name, value)
    }

    fn category(&mut self, path: &str, separator: &str) {
        let levels =
            [columns::CATEGORY_1, columns::CATEGORY_2, columns::CATEGORY_3, columns::CATEGORY_4];
        let steps = path.split(separator).map(str::trim).filter(|step| !step.is_empty());
        for (level, step) in levels.into_iter().zip(steps) {
            self.row.set_text(level, step);
        }
        self.row.set_text(columns::PRODUCT_TYPE, path);
    }

    /// Applies a rule that gives a list.
    fn list(
        &mut self,
        rule: &Rule,
        slots: &[Slot],
        column: ColumnId,
        separator: Option<&str>,
        is_links: bool,
        scratch: &mut Scratch,
    ) {
        let record = self.record;
        let all = match rule.combine {
            Combine::First => {
                slots.iter().find(|slot| slot.value(record).is_some()).and_then(Slot::whole_field)
            }
            _ => None,
        };
        let Some(field) = all else {
            if let Some(value) = value(record, rule, slots, &mut scratch.joined) {
                self.set_list(column, separator, is_links, [value].into_iter());
            }
            return;
        };
        let values = record.values(field).map(|value| looked_up(rule, value));
        self.set_list(column, separator, is_links, values);
    }

    fn set_list<'v>(
        &mut self,
        column: ColumnId,
        separator: Option<&'v str>,
        is_links: bool,
        values: impl Iterator<Item = &'v str>,
    ) {
        let Some(separator) = separator else {
            return self.set_items(column, is_links, values);
        };
        if is_links {
            let links = values.flat_map(|value| split_links(value, separator));
            self.set_items(column, is_links, links);
        } else {
            let items = values.flat_map(|value| value.split(separator).map(str::trim));
            self.set_items(column, is_links, items);
        }
    }

    fn set_items<'v>(
        &mut self,
        column: ColumnId,
        is_links: bool,
        items: impl Iterator<Item = &'v str>,
    ) {
        if !is_links {
            self.row.set_list(column, items);
            return;
        }
        let mut links: Vec<&str> = Vec::new();
        let mut encoded: Vec<String> = Vec::new();
        for item in items.filter(|item| !item.is_empty()) {
            if !is_http(item) {
                self.warn(RefusalReason::BadLink, column, item, NO_LINK);
            } else if item.contains(' ') || !encoded.is_empty() {
                let mut link = String::new();
                push_link(item, &mut link);
                encoded.push(link);
            } else {
                links.push(item);
            }
        }
        // Once one address had to be written anew, those after it are in `encoded` too: the order stays.
        self.row.set_list(column, links.into_iter().chain(encoded.iter().map(String::as_str)));
    }

    fn warn(&mut self, reason: RefusalReason, column: ColumnId, value: &str, message: &str) {
        let at = self.at;
        self.warnings.note(reason, || {
            Refusal::new(reason, at, message).in_field(column.column().name, value)
        });
    }
}

const NO_LINK: &str = "no http:// or https:// address";
const NO_DATE: &str = "no date of the years 1900 to 2200";

/// A rule's value in a record, never empty.
fn value<'v>(
    record: &'v Record,
    rule: &'v Rule,
    slots: &[Slot],
    joined: &'v mut String,
) -> Option<&'v str> {
    let value = match &rule.combine {
        Combine::First => slots.iter().find_map(|slot| slot.value(record))?,
        Combine::Constant(text) => text.as_str(),
        Combine::Join(separator) => {
            join(slots, record, separator, joined);
            joined.as_str()
        }
        Combine::Key => {
            if slots.iter().any(|slot| slot.value(record).is_none()) {
                return None;
            }
            join(slots, record, ":", joined);
            joined.as_str()
        }
    };
    Some(looked_up(rule, value)).filter(|value| !value.is_empty())
}

/// The values that are there, with the separator between them.
fn join(slots: &[Slot], record: &Record, separator: &str, joined: &mut String) {
    joined.clear();
    for value in slots.iter().filter_map(|slot| slot.value(record)) {
        if !joined.is_empty() {
            joined.push_str(separator);
        }
        joined.push_str(value);
    }
}

/// What the rule's table has for the value.
fn looked_up<'v>(rule: &'v Rule, value: &'v str) -> &'v str {
    match &rule.lookup {
        None => value,
        Some(lookup) => {
            let found = lookup.values.get(value).or(lookup.default.as_ref());
            found.map_or(value, String::as_str)
        }
    }
}
