//! Products that are not records by themselves: rows of a group that are read as a whole, since pictures of a
//! product stand on rows of their own behind it; and objects in a list within a record, which are products
//! each.

use crate::diagnostics::Position;
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::header::plain;
use crate::presets::RowGroup;
use crate::records::{Read, Records};
use crate::settings::Shape;
use std::mem::swap;
use std::ops::Range;

/// Makes records of products out of a reader's records.
pub(crate) enum Gather {
    Rows(Box<Rows>),
    Members(Members),
}

impl Gather {
    /// None: records are products. A group takes no more than `max_bytes`, but for its last row.
    pub(crate) fn of(shape: &Shape, max_bytes: usize) -> Option<Self> {
        match shape {
            Shape::Delimited(shape) => {
                Some(Self::Rows(Box::new(Rows::new(shape.group?, max_bytes))))
            }
            Shape::Json(shape) => shape.lists.map(|_| Self::Members(Members::default())),
            Shape::JsonLines | Shape::Xml(_) | Shape::Tagged(_) => None,
        }
    }

    /// Fills `record`, which is empty, with the next product.
    pub(crate) fn next(
        &mut self,
        record: &mut Record,
        records: &mut Records,
        names: &mut Names,
    ) -> Result<Read, FeedError> {
        match self {
            Self::Rows(rows) => rows.next(record, records, names),
            Self::Members(members) => members.next(record, records, names),
        }
    }
}

/// A record with several products in it.
#[derive(Default)]
pub(crate) struct Members {
    whole: Record,
    at: Position,
    ranges: Vec<Range<usize>>,
    given: usize,
}

impl Members {
    fn next(
        &mut self,
        record: &mut Record,
        records: &mut Records,
        names: &mut Names,
    ) -> Result<Read, FeedError> {
        if self.given >= self.ranges.len() {
            self.whole.clear();
            self.ranges.clear();
            self.given = 0;
            let read = records.read(&mut self.whole, names, None)?;
            if let Read::Record(at) = &read {
                self.at = *at;
                self.ranges.extend_from_slice(records.members());
            }
            if self.ranges.is_empty() {
                swap(record, &mut self.whole);
                return Ok(read);
            }
        }
        record.copy_member(&self.whole, &self.ranges, self.given);
        self.given += 1;
        Ok(Read::Record(self.at))
    }
}

/// A group of rows.
pub(crate) struct Rows {
    roles: Roles,
    max_bytes: usize,
    rows: Vec<(Record, Position)>,
    given: usize,
    /// The first row of the group.
    leader: Record,
    /// Whether `rows` begins with it; what is behind a row that can't be read, or behind the limit, does not.
    begins_with_leader: bool,
    /// The first row of the next group.
    waiting: Option<(Record, Position)>,
    /// What came behind the group that is no row.
    after: Option<(Record, Read)>,
    spare: Vec<Record>,
}

impl Rows {
    fn new(group: &'static RowGroup, max_bytes: usize) -> Self {
        Self {
            roles: Roles { group, by: Vec::new(), of: Vec::new() },
            max_bytes,
            rows: Vec::new(),
            given: 0,
            leader: Record::default(),
            begins_with_leader: false,
            waiting: None,
            after: None,
            spare: Vec::new(),
        }
    }

    fn next(
        &mut self,
        record: &mut Record,
        records: &mut Records,
        names: &mut Names,
    ) -> Result<Read, FeedError> {
        loop {
            if let Some(at) = self.give(record) {
                return Ok(Read::Record(at));
            }
            if let Some((mut row, read)) = self.after.take() {
                swap(record, &mut row);
                self.spare.push(row);
                return Ok(read);
            }
            self.collect(records, names)?;
        }
    }

    /// Reads the rows of the next group, or as many as there is room for.
    fn collect(&mut self, records: &mut Records, names: &mut Names) -> Result<(), FeedError> {
        self.spare.extend(self.rows.drain(..).map(|(row, _)| row));
        self.given = 0;
        let mut bytes = 0;
        loop {
            let (row, at) = match self.waiting.take() {
                Some(waiting) => waiting,
                None => {
                    let mut row = self.spare.pop().unwrap_or_default();
                    row.clear();
                    match records.read(&mut row, names, None)? {
                        Read::Record(at) => (row, at),
                        other => {
                            self.after = Some((row, other));
                            return Ok(());
                        }
                    }
                }
            };
            self.roles.grow(names);
            let group = self.roles.group_of(&row);
            let goes_on = group.is_some() && group == self.roles.group_of(&self.leader);
            if self.rows.is_empty() {
                self.begins_with_leader = !goes_on;
                if !goes_on {
                    self.leader.clone_from(&row);
                }
            } else if !goes_on || bytes >= self.max_bytes {
                self.waiting = Some((row, at));
                return Ok(());
            }
            bytes += row.bytes();
            self.rows.push((row, at));
        }
    }

    /// Fills `record` with the group's next product.
    fn give(&mut self, record: &mut Record) -> Option<Position> {
        while let Some((row, at)) = self.rows.get(self.given) {
            let is_leader = self.given == 0 && self.begins_with_leader;
            self.given += 1;
            let roles = &self.roles;
            if !is_leader && !row.all().any(|(field, _)| roles.of(field).is_member) {
                continue;
            }
            for (field, value) in row.all().filter(|(field, _)| !roles.of(*field).is_shared) {
                record.push(field, value);
            }
            record.take_mends(row);
            let own = record.len();
            for (field, value) in self.leader.all() {
                let role = roles.of(field);
                if !role.is_shared && !role.is_own && !record.had(field, own) {
                    record.push(field, value);
                }
            }
            for (field, value) in self.rows.iter().flat_map(|(row, _)| row.all()) {
                if roles.of(field).is_shared {
                    record.push(field, value);
                }
            }
            return Some(*at);
        }
        None
    }
}

/// What fields mean to a group.
struct Roles {
    group: &'static RowGroup,
    /// The fields that name it.
    by: Vec<u32>,
    of: Vec<Role>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Role {
    is_member: bool,
    is_shared: bool,
    is_own: bool,
}

impl Roles {
    fn grow(&mut self, names: &Names) {
        for field in self.of.len()..names.len() {
            let field = field as u32;
            let name = plain(names.name(field));
            if is_in(self.group.by, &name) {
                self.by.push(field);
            }
            self.of.push(Role {
                is_member: is_in(self.group.member, &name),
                is_shared: is_in(self.group.shared, &name),
                is_own: is_in(self.group.own, &name),
            });
        }
    }

    fn of(&self, field: u32) -> Role {
        self.of.get(field as usize).copied().unwrap_or_default()
    }

    fn group_of<'r>(&self, row: &'r Record) -> Option<&'r str> {
        self.by.iter().find_map(|field| row.first(*field))
    }
}

/// Whether the list has the name, which is in the form in which names are compared.
fn is_in(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(start) => name.starts_with(&plain(start)),
        None => name == plain(entry),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_stand_for_many() {
        let list = ["Variant *", "Price / *", "SKU"];
        for (name, expected) in [
            ("Variant SKU", true),
            ("price / EU", true),
            ("Price", false),
            ("sku", true),
            ("Title", false),
        ] {
            assert_eq!(is_in(&list, &plain(name)), expected, "{name}");
        }
    }
}
