//! A TOML value, read as what a setting needs. Every reading function notes a mistake where it
//! gives none.

use crate::document::{Document, Span};
use crate::suggest::one_of;
use crate::table::Table;
use crate::units;
use feedfleet_model::text::{printable, shorten};
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A field's value, or an item of a list.
pub struct Value<'d> {
    document: &'d Document<'d>,
    parent: String,
    key: String,
    key_span: Span,
    span: Span,
    value: DeValue<'d>,
}

impl<'d> Value<'d> {
    /// The value of `key` in the table at the path `parent`.
    pub(crate) fn new(
        document: &'d Document<'d>,
        parent: &str,
        key: &str,
        key_span: Span,
        value: Spanned<DeValue<'d>>,
    ) -> Self {
        Self {
            document,
            parent: parent.to_owned(),
            key: key.to_owned(),
            key_span,
            span: value.span(),
            value: value.into_inner(),
        }
    }

    /// The file it is in.
    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// The field's name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the field's name stands.
    pub fn key_span(&self) -> &Span {
        &self.key_span
    }

    /// Where the value stands.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The line on which the field begins, from 1.
    pub fn line(&self) -> usize {
        self.document.line(self.key_span.start)
    }

    /// Its place in messages: ` in [source]`, or nothing for the file's own fields.
    pub fn within(&self) -> String {
        if self.parent.is_empty() { String::new() } else { format!(" in [{}]", self.parent) }
    }

    /// Its name in messages: `url in [source]`.
    pub fn name(&self) -> String {
        format!("{}{}", self.key, self.within())
    }

    /// Notes a mistake in the value.
    pub fn refuse(&self, message: impl Into<String>, expected: impl Into<String>) {
        self.document.mistake(self.span.start, message, expected);
    }

    /// Notes a mistake in the field's name.
    pub fn refuse_key(&self, message: impl Into<String>, expected: impl Into<String>) {
        self.document.mistake(self.key_span.start, message, expected);
    }

    /// Whether it is a text.
    pub fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// A text as it stands in the file.
    pub fn written(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// A text, with its variables replaced.
    pub fn text(&self) -> Option<Text<'_, 'd>> {
        let Some(written) = self.value.as_str() else {
            return self.wrong_type("a text");
        };
        let expanded = self.document.expand(&self.span, written)?;
        let (value, variable) = (expanded.text, expanded.variable);
        Some(Text { place: self, written: written.to_owned(), value, variable })
    }

    /// A text that is kept, and printed, as it is: variables are refused in it.
    pub fn plain(&self) -> Option<String> {
        let text = self.text()?;
        if text.variable {
            let message = format!("{} can't hold a variable", self.name());
            self.refuse(message, "expected a text that may be printed");
            return None;
        }
        Some(text.value)
    }

    /// A plain text that is not empty.
    pub fn word(&self) -> Option<String> {
        let word = self.plain()?;
        if word.trim().is_empty() {
            self.refuse(format!("{} is empty", self.name()), "expected a text");
            return None;
        }
        Some(word)
    }

    /// A plain text, or a number or a boolean as one.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            _ => self.plain(),
        }
    }

    /// A boolean.
    pub fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("true or false"))
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&self, min: u64, max: u64) -> Option<u64> {
        let Some(number) = self.value.as_integer() else {
            return self.wrong_type("a whole number");
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = parsed.filter(|n| (min..=max).contains(n));
        if fits.is_none() {
            let message = format!("{} is {}", self.name(), number.as_str());
            self.refuse(message, format!("expected {min} to {max}"));
        }
        fits
    }

    /// A whole number from `min` to `max`, of 32 bits.
    pub fn count(&self, min: u32, max: u32) -> Option<u32> {
        self.integer(min.into(), max.into()).and_then(|n| n.try_into().ok())
    }

    /// A number from 0 to `max`, whole or not.
    pub fn amount(&self, max: f64) -> Option<f64> {
        let written = match &self.value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return self.wrong_type("a number"),
        };
        let amount = written.parse::<f64>().ok().filter(|amount| (0.0..=max).contains(amount));
        if amount.is_none() {
            self.refuse(format!("{} is {written}", self.name()), format!("expected 0 to {max}"));
        }
        amount
    }

    /// How many of something may go on at once: from 1 to `max`.
    pub fn slots(&self, max: u32) -> Option<usize> {
        self.count(1, max).map(|n| n as usize)
    }

    /// A duration from `min` to `max`.
    pub fn duration(&self, min: Duration, max: Duration) -> Option<Duration> {
        let text = self.text()?;
        let Some(duration) = units::duration(&text.value) else {
            let expected = "expected a whole number with ms, s, m, h or d, such as '90s'";
            return text.refuse("a duration", expected);
        };
        if duration < min || duration > max {
            let message = format!("{} is {}", self.name(), text.quoted());
            let (min, max) = (units::duration_text(min), units::duration_text(max));
            self.refuse(message, format!("expected {min} to {max}"));
            return None;
        }
        Some(duration)
    }

    /// A number of bytes, `min` or more.
    pub fn size(&self, min: u64) -> Option<u64> {
        let text = self.text()?;
        let Some(bytes) = units::size(&text.value) else {
            let expected =
                "expected a whole number with B, KB, MB, GB, KiB, MiB or GiB, such as '2GiB'";
            return text.refuse("a size", expected);
        };
        if bytes < min {
            let message = format!("{} is {}", self.name(), text.quoted());
            self.refuse(message, format!("expected at least {}", units::size_text(min)));
            return None;
        }
        Some(bytes)
    }

    /// A percentage, as a share from 0 to 1.
    pub fn share(&self) -> Option<f64> {
        let text = self.text()?;
        let share = units::share(&text.value);
        share.or_else(|| text.refuse("a percentage", "expected '0%' to '100%'"))
    }

    /// A list's items.
    pub fn items(&self) -> Option<Vec<Value<'d>>> {
        let Some(list) = self.value.as_array() else {
            return self.wrong_type("a list");
        };
        let item = |item: &Spanned<DeValue<'d>>| {
            Value::new(self.document, &self.parent, &self.key, self.key_span.clone(), item.clone())
        };
        Some(list.iter().map(item).collect())
    }

    /// A list of plain texts, or one alone.
    pub fn words(&self) -> Option<Vec<String>> {
        if self.is_text() {
            return Some(vec![self.word()?]);
        }
        if !self.value.is_array() {
            return self.wrong_type("a text or a list of texts");
        }
        self.items()?.iter().map(|item| item.word()).collect()
    }

    /// A table.
    pub fn table(&self) -> Option<Table<'d>> {
        self.table_or("a table")
    }

    /// A table, where `expected` names what else is allowed.
    pub fn table_or(&self, expected: &str) -> Option<Table<'d>> {
        let Some(items) = self.value.as_table() else {
            return self.wrong_type(expected);
        };
        let dot = if self.parent.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{}", self.parent, self.key);
        Some(Table::new(self.document, path, self.span.clone(), items.clone()))
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.refuse(format!("{} is {found}", self.name()), format!("expected {expected}"));
        None
    }
}

/// A text with its variables replaced. Messages show it as it was written, never the value.
pub struct Text<'v, 'd> {
    place: &'v Value<'d>,
    /// The text in the file.
    pub written: String,
    /// The text to use.
    pub value: String,
    /// Whether a variable went into it.
    pub variable: bool,
}

impl Text<'_, '_> {
    /// The text as it was written, in quotes.
    pub fn quoted(&self) -> String {
        format!("'{}'", printable(&shorten(&self.written, 80)))
    }

    /// Notes that the text is not `what`, and gives none.
    pub fn refuse<T>(&self, what: &str, expected: &str) -> Option<T> {
        self.place.refuse(format!("{} is not {what}", self.quoted()), expected);
        None
    }

    /// The option of this name. A suggestion is made only of what the file itself shows.
    pub fn choose<T: Copy>(&self, what: &str, options: &[(&str, T)]) -> Option<T> {
        if let Some((_, option)) = options.iter().find(|(name, _)| *name == self.value) {
            return Some(*option);
        }
        let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
        let word = Some(self.value.as_str()).filter(|_| !self.variable);
        self.refuse(what, &one_of(word, &names))
    }
}
