//! Rows that belong together, with their common fields on the first one only.

use crate::fields::{Names, Record};

/// Fills the empty fields of a group's further rows.
pub(crate) struct Group {
    /// The field that names the group.
    name: String,
    field: Option<u32>,
    leader: Record,
    value: String,
}

impl Group {
    pub(crate) fn new(name: String) -> Self {
        Self { name, field: None, leader: Record::default(), value: String::new() }
    }

    /// Copies what `record` lacks from the first row of its group. Fields of the id are never copied: rows
    /// without one of their own are no products.
    pub(crate) fn fill(
        &mut self,
        record: &mut Record,
        names: &Names,
        is_identity: impl Fn(u32) -> bool,
    ) {
        self.field = self.field.or_else(|| names.find(&self.name));
        let Some(value) = self.field.and_then(|field| record.first(field)) else {
            self.value.clear();
            return;
        };
        if value != self.value {
            self.value.clear();
            self.value.push_str(value);
            self.leader.clone_from(record);
            return;
        }
        let own = record.len();
        for (field, value) in self.leader.all() {
            if !record.had(field, own) && !is_identity(field) {
                record.push(field, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_rows_take_what_they_lack() {
        let mut names = Names::default();
        for name in ["handle", "title", "sku", "color"] {
            names.intern(name);
        }
        let mut group = Group::new("handle".to_owned());
        let mut row = |values: [&str; 4]| {
            let mut record = Record::default();
            (0..).zip(values).for_each(|(field, value)| record.push(field, value));
            group.fill(&mut record, &names, |field| field == 2);
            (0..4).map(|field| record.first(field).unwrap_or("-").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(row(["shirt", "A shirt", "s1", "red"]), ["shirt", "A shirt", "s1", "red"]);
        assert_eq!(row(["shirt", "", "s2", "blue"]), ["shirt", "A shirt", "s2", "blue"]);
        assert_eq!(row(["shirt", "", "", ""]), ["shirt", "A shirt", "-", "red"]);
        assert_eq!(row(["", "", "x", ""]), ["-", "-", "x", "-"]);
        assert_eq!(row(["hat", "", "h1", ""]), ["hat", "-", "h1", "-"]);
    }
}
