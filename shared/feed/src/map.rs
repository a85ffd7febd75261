//! Records as rows: applies the plan's rules to one record after the other.

use crate::combine::{looked_up, value};
use crate::convert::{known_word, parse_boolean};
use crate::currency;
use crate::dates::{LastForm, parse_date};
use crate::diagnostics::{Position, Refusal, RefusalReason, Warnings};
use crate::fields::{Lone, Names, Record};
use crate::links::{has_space, is_http, push_link, split_links};
use crate::money::{MoneyError, parse_money};
use crate::number::{parse_integer, parse_number, without_point_zero, without_text_mark};
use crate::plan::{Bound, Plan, Slot};
use crate::presets::ChangeField;
use crate::reader::Change;
use crate::rule::{Action, Combine, MoneyRule, Rule};
use crate::separator::split_items;
use feedfleet_model::image_jobs::MAX_LINK_BYTES;
use feedfleet_model::{ColumnId, Row, ValueRef, columns};

/// Bytes of a product's id.
const MAX_ID_BYTES: usize = 255;
/// "Paid on delivery", as Naver writes it.
const ON_DELIVERY: [&str; 2] = ["-1", "-1.0"];

/// Working memory of the mapping.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    joined: String,
    converted: String,
    last_form: LastForm,
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
    // Within its callers, the compiler would run out of registers for the loop.
    #[inline(never)]
    pub(crate) fn run(&mut self, scratch: &mut Scratch) -> Result<Change, Refusal> {
        self.row.clear();
        let mut change = Change::Upsert;
        let mut has_id = false;
        let (plan, record) = (self.plan, self.record);
        let cells = record.cells();
        if !cells.is_empty() {
            // Most columns take a cell as it is: all are copied at once.
            self.row.adopt(record.text());
        }
        for &step in plan.steps() {
            if let Some(field) = step.single {
                if has_id && !cells.is_empty() {
                    let Some(&cell) = cells.get(field as usize) else { continue };
                    match step.text {
                        _ if cell.is_empty() => {}
                        Some(column) => self.row.set_adopted(column, cell.start, cell.end),
                        None => {
                            self.convert(plan.rule(step), record.cell_text(cell), scratch)?;
                        }
                    }
                    continue;
                }
                match self.record.lone(field) {
                    Lone::None => continue,
                    Lone::One(value) if has_id => {
                        match step.text {
                            Some(column) => self.row.set_text(column, value),
                            None => self.convert(plan.rule(step), value, scratch)?,
                        }
                        continue;
                    }
                    _ => {}
                }
            }
            let bound = plan.bound(step);
            let Bound { rule, slots, simple } = bound;
            if simple.is_some_and(|field| !self.record.has(field)) {
                continue;
            }
            match &rule.action {
                Action::Change(field) => {
                    if self.change(rule, field, slots, scratch)? == Change::Delete {
                        change = Change::Delete;
                    }
                }
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
                _ => self.single(bound, scratch)?,
            }
        }
        if !has_id {
            return Err(self.missing_id("id"));
        }
        if !plan.is_all_taken() {
            for (field, value) in self.record.all_of(|field| !plan.is_taken(field)) {
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
        field: &ChangeField,
        slots: &[Slot],
        scratch: &mut Scratch,
    ) -> Result<Change, Refusal> {
        let Some(word) = value(self.record, rule, slots, &mut scratch.joined) else {
            return Ok(Change::Upsert);
        };
        let is_one = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        if is_one(field.deletes) {
            return Ok(Change::Delete);
        }
        if field.upserts.is_empty() || is_one(field.upserts) {
            return Ok(Change::Upsert);
        }
        let words = [field.upserts, field.deletes].concat().join(", ");
        let message = format!("the kind of change is none of {words}");
        let refusal = Refusal::new(RefusalReason::BadClass, self.at, message);
        Err(refusal.in_field(field.names[0], word))
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
        if slots.len() > 1 {
            self.keep_others(rule, slots);
        }
        Ok(())
    }

    fn missing_id(&self, field: &str) -> Refusal {
        let message = "the product has no id";
        Refusal::new(RefusalReason::MissingId, self.at, message).in_field(field, "")
    }

    /// Applies a rule that gives one value.
    fn single(&mut self, bound: Bound<'_>, scratch: &mut Scratch) -> Result<(), Refusal> {
        let Bound { rule, slots, simple } = bound;
        let mut joined = std::mem::take(&mut scratch.joined);
        let found = match simple {
            Some(field) => self.record.first(field),
            None => value(self.record, rule, slots, &mut joined),
        };
        let converted = found.map_or(Ok(()), |value| self.convert(rule, value, scratch));
        let has_value = found.is_some();
        scratch.joined = joined;
        converted?;
        if has_value && simple.is_none_or(|field| !self.record.is_single(field)) {
            self.keep_others(rule, slots);
        }
        Ok(())
    }

    /// Fills the rule's column with what the value says.
    fn convert(&mut self, rule: &Rule, value: &str, scratch: &mut Scratch) -> Result<(), Refusal> {
        let Scratch { converted, last_form, .. } = scratch;
        match &rule.action {
            Action::Text(column) => self.row.set_text(*column, value),
            Action::Code(column) => {
                let pointed =
                    without_point_zero(value).map(|code| (code, RefusalReason::PointZero));
                let marked =
                    || without_text_mark(value).map(|code| (code, RefusalReason::TextMark));
                match pointed.or_else(marked) {
                    None => self.row.set_text(*column, value),
                    Some((code, reason)) => {
                        self.row.set_text(*column, code);
                        self.mended(reason, *column, value);
                    }
                }
            }
            Action::Word(column) => {
                let word = known_word(*column, value, converted);
                self.row.set_text(*column, word);
            }
            Action::Link(column) => {
                converted.clear();
                if is_http(value) && !has_space(value) {
                    self.row.set_text(*column, value);
                    self.check_picture(*column, value);
                } else if push_link(value, converted) {
                    self.row.set_text(*column, converted);
                    self.mended(RefusalReason::LinkWithSpaces, *column, value);
                    self.check_picture(*column, converted);
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
                    Some(number) => {
                        self.row.set_integer(*column, number);
                        if without_point_zero(value).is_some() {
                            self.mended(RefusalReason::PointZero, *column, value);
                        }
                    }
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
            // Amounts have been read before.
            Action::Currency { of: Some(amount), .. }
                if self.row.get(*amount) == ValueRef::Null => {}
            Action::Currency { column, .. } => match currency::find(value) {
                Some(named) => {
                    if let Some(code) = named.code {
                        self.row.set_text(*column, code);
                    }
                }
                None => self.warn(RefusalReason::BadCurrency, *column, value, "no ISO 4217 code"),
            },
            Action::Time { column, format, zone } => {
                match parse_date(value, format.as_deref(), *zone, last_form) {
                    Some(micros) => self.row.set_timestamp(*column, micros),
                    None => self.warn(RefusalReason::BadDate, *column, value, NO_DATE),
                }
            }
            Action::Category { separator } => self.category(value, separator),
            Action::Ignore | Action::Change(_) | Action::Id | Action::List { .. } => {}
        }
        Ok(())
    }

    /// What the record has beyond the one value that the column takes is kept beside it.
    fn keep_others(&mut self, rule: &Rule, slots: &[Slot]) {
        match &rule.combine {
            Combine::First => {}
            Combine::FirstItem(separator) => return self.keep_list(separator, slots),
            _ => return,
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

    /// A list of which only the first item is taken is kept as a whole.
    fn keep_list(&mut self, separator: &str, slots: &[Slot]) {
        let found = slots.iter().find(|slot| slot.value(self.record).is_some());
        let Some(field) = found.and_then(Slot::whole_field).filter(|f| !self.plan.is_shared(*f))
        else {
            return;
        };
        for list in self.record.values(field).filter(|list| list.contains(separator)) {
            self.row.push_extra(self.names.name(field), list);
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
            Err(error) => {
                let message = amount_message(error, rule, value);
                if column == columns::PRICE {
                    return Err(self.bad_price(value, &message));
                }
                self.warn(RefusalReason::UnparsablePrice, column, value, &message);
                return Ok(());
            }
        };
        let amount = match rule.minor_units {
            0 => money.ten_thousandths,
            digits => {
                let divisor = 10_i64.pow(u32::from(digits));
                (money.ten_thousandths + divisor / 2) / divisor
            }
        };
        self.row.set_decimal(column, amount);
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
        let steps = split_items(path, separator).filter(|step| !step.is_empty());
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
        let Scratch { joined, converted, .. } = scratch;
        if matches!(rule.combine, Combine::All) {
            let fields = slots.iter().filter_map(Slot::whole_field);
            let values = fields.flat_map(move |field| record.values(field));
            let values = values.map(|value| looked_up(rule, value));
            return self.set_list(column, separator, is_links, true, values, converted);
        }
        let all = match rule.combine {
            Combine::First => {
                slots.iter().find(|slot| slot.value(record).is_some()).and_then(Slot::whole_field)
            }
            _ => None,
        };
        let Some(field) = all else {
            if let Some(value) = value(record, rule, slots, joined) {
                let values = [value].into_iter();
                self.set_list(column, separator, is_links, false, values, converted);
            }
            return;
        };
        let values = record.values(field).map(|value| looked_up(rule, value));
        self.set_list(column, separator, is_links, false, values, converted);
    }

    /// `is_union`: the values are all that the record has; what the main picture's column has of them is no
    /// further picture.
    fn set_list<'v>(
        &mut self,
        column: ColumnId,
        separator: Option<&'v str>,
        is_links: bool,
        is_union: bool,
        values: impl Iterator<Item = &'v str>,
        converted: &mut String,
    ) {
        match separator {
            None if is_links => self.set_links(column, is_union, values, converted),
            None => self.row.set_list(column, values),
            Some(separator) if is_links => {
                let links = values.flat_map(|value| split_links(value, separator));
                self.set_links(column, is_union, links, converted);
            }
            Some(separator) => {
                let items = values.flat_map(|value| split_items(value, separator));
                self.row.set_list(column, items);
            }
        }
    }

    fn set_links<'v>(
        &mut self,
        column: ColumnId,
        is_union: bool,
        links: impl Iterator<Item = &'v str>,
        converted: &mut String,
    ) {
        self.row.set_list(column, []);
        for written in links.filter(|link| !link.is_empty()) {
            if !is_http(written) {
                self.warn(RefusalReason::BadLink, column, written, NO_LINK);
                continue;
            }
            let mut link = written;
            if has_space(written) {
                self.mended(RefusalReason::LinkWithSpaces, column, written);
                converted.clear();
                push_link(written, converted);
                link = converted.as_str();
            }
            if !is_union || self.row.text(columns::IMAGE_LINK) != Some(link) {
                self.row.push_item(column, link);
                self.check_picture(column, link);
            }
        }
    }

    /// Tells of a picture that nobody will fetch.
    fn check_picture(&mut self, column: ColumnId, link: &str) {
        let is_picture = matches!(column, columns::IMAGE_LINK | columns::ADDITIONAL_IMAGE_LINKS);
        if link.len() > MAX_LINK_BYTES && is_picture {
            let bytes = link.len();
            let message = format!(
                "an address of {bytes} bytes; a picture is fetched from one of {MAX_LINK_BYTES} at most"
            );
            self.warn(RefusalReason::LongLink, column, link, &message);
        }
    }

    fn mended(&mut self, reason: RefusalReason, column: ColumnId, value: &str) {
        self.warn(reason, column, value, reason.remedy());
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

/// Why an amount can't be read, and the setting that reads it, if there is one.
#[cold]
fn amount_message(error: MoneyError, rule: &MoneyRule, value: &str) -> String {
    let other = match (error, rule.decimal) {
        (MoneyError::Marks, Some('.')) => ',',
        (MoneyError::Marks, Some(_)) => '.',
        _ => return error.to_string(),
    };
    if parse_money(value, Some(other)).is_err() {
        return error.to_string();
    }
    let name = rule.column.column().name;
    format!("{error}; if it is '{other}': decimal = \"{other}\" for {name} under [map]")
}
