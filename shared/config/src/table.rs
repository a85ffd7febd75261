//! A TOML table, read field by field. What was asked for is what is known: the rest is refused, and
//! the list of known fields in the message is never out of date.

use crate::document::{Document, Span};
use crate::suggest::one_of;
use crate::value::Value;
use toml::de::DeTable;

/// A table being read.
pub struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    span: Span,
    items: DeTable<'d>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    /// The table at a path such as `source.limits`; the file itself has an empty path.
    pub(crate) fn new(
        document: &'d Document<'d>,
        path: String,
        span: Span,
        items: DeTable<'d>,
    ) -> Self {
        Self { document, path, span, items, known: Vec::new() }
    }

    /// Whether a field is there that was not taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.items.contains_key(key)
    }

    /// Takes a field.
    pub fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (name, value) = self.items.remove_entry(key)?;
        Some(Value::new(self.document, &self.path, key, name.span(), value))
    }

    /// Takes a field that must be there; `expected` says what belongs there.
    pub fn required(&mut self, key: &'static str, expected: &str) -> Option<Value<'d>> {
        let value = self.take(key);
        if value.is_none() {
            self.mistake(format!("{} has no {key}", self.name()), expected);
        }
        value
    }

    /// Takes and reads a field; `default` where it is absent or was refused.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value<'d>) -> Option<T>,
    ) -> T {
        self.take(key).and_then(|value| read(&value)).unwrap_or(default)
    }

    /// Takes and reads a table within this one, unknown fields refused; `default` where it is
    /// absent.
    pub fn section<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&mut Table<'d>, T) -> T,
    ) -> T {
        match self.take(key).and_then(|value| value.table()) {
            Some(mut table) => {
                let section = read(&mut table, default);
                table.finish();
                section
            }
            None => default,
        }
    }

    /// Takes everything that is left, in the file's order.
    pub fn entries(&mut self) -> Vec<Value<'d>> {
        let items = std::mem::take(&mut self.items);
        let mut entries: Vec<_> = items
            .into_iter()
            .map(|(name, value)| {
                let span = name.span();
                Value::new(self.document, &self.path, &name.into_inner(), span, value)
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_span().start);
        entries
    }

    /// Notes a mistake that concerns the table.
    pub fn mistake(&self, message: impl Into<String>, expected: impl Into<String>) {
        self.document.mistake(self.span.start, message, expected);
    }

    /// The table's name in messages.
    pub fn name(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("[{}]", self.path) }
    }

    /// Refuses the fields that nobody asked for.
    pub fn finish(&mut self) {
        for entry in self.entries() {
            let expected = one_of(Some(entry.key()), &self.known);
            entry
                .refuse_key(format!("unknown field '{}'{}", entry.key(), entry.within()), expected);
        }
    }
}
