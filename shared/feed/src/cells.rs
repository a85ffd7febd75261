//! Cells of delimited text that hold JSON: their values become fields of their own, as if each had a column.

use crate::fields::{Names, Record};
use crate::flatten::flatten_cell;
use crate::header::plain;
use crate::settings::Shape;

/// Takes JSON out of cells.
pub(crate) struct JsonCells {
    /// The columns that may hold it.
    columns: &'static [&'static str],
    /// By field: whether it is one of them.
    is_json: Vec<bool>,
    /// The record as it becomes.
    spare: Record,
    path: String,
}

impl JsonCells {
    /// None: the format has no such cells.
    pub(crate) fn of(shape: &Shape) -> Option<Self> {
        let Shape::Delimited(shape) = shape else {
            return None;
        };
        let columns = Some(shape.json_cells).filter(|columns| !columns.is_empty())?;
        Some(Self { columns, is_json: Vec::new(), spare: Record::default(), path: String::new() })
    }

    /// Replaces values that are JSON lists or objects by what is in them.
    pub(crate) fn expand(&mut self, record: &mut Record, names: &mut Names) {
        for field in self.is_json.len()..names.len() {
            let name = plain(names.name(field as u32));
            self.is_json.push(self.columns.contains(&name.as_str()));
        }
        let is_json = |field: u32, value: &str| {
            value.starts_with(['[', '{']) && self.is_json.get(field as usize) == Some(&true)
        };
        if !record.all().any(|(field, value)| is_json(field, value)) {
            return;
        }
        self.spare.clear();
        for (field, value) in record.all() {
            let is_taken = is_json(field, value) && {
                let name = names.name(field).to_owned();
                flatten_cell(value, &name, &mut self.spare, names, &mut self.path)
            };
            if !is_taken {
                self.spare.push(field, value);
            }
        }
        self.spare.take_mends(record);
        std::mem::swap(record, &mut self.spare);
    }
}
