//! Rows to columns: builders that are filled a row at a time.

use crate::error::{CatalogError, Context};
use crate::source_values::to_table;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Int64Builder, ListBuilder,
    MapBuilder, MapFieldNames, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use feedfleet_model::columns::{self, COLUMNS, ColumnId, ColumnType};
use feedfleet_model::columns::{DECIMAL_PRECISION, DECIMAL_SCALE};
use feedfleet_model::{PipeName, Row, ValueRef, keys};
use std::sync::Arc;

/// What the fleet knows of a row beside what the source said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// Scheduled time of the run that first saw it, in epoch seconds.
    pub first_seen: i64,
    /// The run that writes it; its id is its scheduled time.
    pub run: i64,
    /// The run that last changed its pictures.
    pub images_run: i64,
    /// Fingerprint of its picture addresses.
    pub images_hash: i32,
    /// Hash of what the source filled.
    pub content_hash: u128,
    /// Hash of the record it was made of; see [`columns::SOURCE_HASH`].
    pub source_hash: Option<u128>,
}

/// Product rows on their way into a file. The partition column is not among them.
pub struct RowBatch {
    schema: SchemaRef,
    pipe: PipeName,
    builders: Vec<(ColumnId, Builder)>,
    rows: usize,
    bytes: usize,
}

enum Builder {
    Text(StringBuilder),
    List(ListBuilder<StringBuilder>),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Binary(BinaryBuilder),
    Map(MapBuilder<StringBuilder, StringBuilder>),
}

impl RowBatch {
    /// An empty batch of the product table's file schema.
    pub fn new(schema: SchemaRef, pipe: PipeName) -> Self {
        let builders = (0..COLUMNS.len() as u16)
            .map(ColumnId)
            .filter(|&id| id != columns::PIPE)
            .map(|id| (id, Builder::of(id.column().kind)))
            .collect();
        Self { schema, pipe, builders, rows: 0, bytes: 0 }
    }

    /// Rows in the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how much memory its values take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row, lineage: &Lineage) {
        const MICROS: i64 = 1_000_000;
        for (id, builder) in &mut self.builders {
            match *id {
                columns::EXTRA => builder.push_map(row.extras()),
                columns::SOURCE_VALUES => {
                    let kept = row.source_values();
                    builder.push_map(kept.map(|(name, own)| (name, to_table(name, own))));
                }
                columns::IMAGE_KEY => {
                    let url = row.text(columns::IMAGE_LINK);
                    let key = url.map(|url| keys::image_key(&self.pipe, url));
                    builder.push_text(key.as_ref().map(keys::ObjectKey::as_str));
                }
                columns::ADDITIONAL_IMAGE_KEYS => {
                    let urls = row.list(columns::ADDITIONAL_IMAGE_LINKS);
                    builder.push_list(urls.map(|url| keys::image_key(&self.pipe, url)));
                }
                columns::FIRST_SEEN => builder.push_integer(lineage.first_seen * MICROS),
                columns::LAST_CHANGED => builder.push_integer(lineage.run * MICROS),
                columns::RUN => builder.push_integer(lineage.run),
                columns::IMAGES_RUN => builder.push_integer(lineage.images_run),
                columns::IMAGES_HASH => builder.push_integer(i64::from(lineage.images_hash)),
                columns::SOURCE_HASH => match lineage.source_hash {
                    Some(hash) => builder.push_binary(&hash.to_be_bytes()),
                    None => builder.push_null(),
                },
                columns::CONTENT_HASH => builder.push_binary(&lineage.content_hash.to_be_bytes()),
                id => match row.get(id) {
                    ValueRef::Null => builder.push_null(),
                    ValueRef::Text(text) => {
                        self.bytes += text.len();
                        builder.push_text(Some(text));
                    }
                    ValueRef::Integer(value) => builder.push_integer(value),
                    ValueRef::Boolean(value) => builder.push_boolean(value),
                    ValueRef::List(_) => builder.push_list(row.list(id)),
                },
            }
        }
        self.rows += 1;
        self.bytes += 8 * self.builders.len();
    }

    /// The rows as columns; the batch is empty afterwards.
    pub fn take(&mut self) -> Result<RecordBatch, CatalogError> {
        let columns = self.builders.iter_mut().map(|(_, b)| b.finish()).collect();
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.schema.clone(), columns)
            .context("encode rows of", self.pipe.as_str())
    }
}

/// Delta's name for a list's items.
pub(crate) fn list_builder() -> ListBuilder<StringBuilder> {
    let item = Field::new("element", DataType::Utf8, true);
    ListBuilder::new(StringBuilder::new()).with_field(Arc::new(item))
}

impl Builder {
    fn of(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text => Builder::Text(StringBuilder::new()),
            ColumnType::TextList => Builder::List(list_builder()),
            ColumnType::Integer => Builder::Integer(Int64Builder::new()),
            ColumnType::Decimal => Builder::Decimal(
                Decimal128Builder::new()
                    .with_data_type(DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE)),
            ),
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            ColumnType::Timestamp => {
                Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            ColumnType::Binary => Builder::Binary(BinaryBuilder::new()),
            ColumnType::TextMap => {
                let names = MapFieldNames {
                    entry: "key_value".into(),
                    key: "key".into(),
                    value: "value".into(),
                };
                Builder::Map(MapBuilder::new(
                    Some(names),
                    StringBuilder::new(),
                    StringBuilder::new(),
                ))
            }
        }
    }

    fn push_null(&mut self) {
        match self {
            Builder::Text(b) => b.append_null(),
            Builder::List(b) => b.append(false),
            Builder::Integer(b) => b.append_null(),
            Builder::Decimal(b) => b.append_null(),
            Builder::Boolean(b) => b.append_null(),
            Builder::Timestamp(b) => b.append_null(),
            Builder::Binary(b) => b.append_null(),
            Builder::Map(b) => b.append(false).expect("no key was begun"),
        }
    }

    fn push_text(&mut self, text: Option<&str>) {
        match (self, text) {
            (Builder::Text(b), Some(text)) => b.append_value(text),
            (other, _) => other.push_null(),
        }
    }

    fn push_integer(&mut self, value: i64) {
        match self {
            Builder::Integer(b) => b.append_value(value),
            Builder::Decimal(b) => b.append_value(i128::from(value)),
            Builder::Timestamp(b) => b.append_value(value),
            other => other.push_null(),
        }
    }

    fn push_boolean(&mut self, value: bool) {
        match self {
            Builder::Boolean(b) => b.append_value(value),
            other => other.push_null(),
        }
    }

    fn push_binary(&mut self, value: &[u8]) {
        match self {
            Builder::Binary(b) => b.append_value(value),
            other => other.push_null(),
        }
    }

    fn push_list<T: AsItem>(&mut self, items: impl Iterator<Item = T>) {
        let Builder::List(b) = self else { return self.push_null() };
        let mut any = false;
        for item in items {
            b.values().append_value(item.item());
            any = true;
        }
        b.append(any);
    }

    fn push_map<'r, V: AsRef<str>>(&mut self, pairs: impl Iterator<Item = (&'r str, V)>) {
        let Builder::Map(b) = self else { return self.push_null() };
        let mut any = false;
        for (name, value) in pairs {
            b.keys().append_value(name);
            b.values().append_value(value);
            any = true;
        }
        b.append(any).expect("a key and a value were appended together");
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::List(b) => Arc::new(b.finish()),
            Builder::Integer(b) => Arc::new(b.finish()),
            Builder::Decimal(b) => Arc::new(b.finish()),
            Builder::Boolean(b) => Arc::new(b.finish()),
            Builder::Timestamp(b) => Arc::new(b.finish()),
            Builder::Binary(b) => Arc::new(b.finish()),
            Builder::Map(b) => Arc::new(b.finish()),
        }
    }
}

trait AsItem {
    fn item(&self) -> &str;
}

impl AsItem for &str {
    fn item(&self) -> &str {
        self
    }
}

impl AsItem for keys::ObjectKey {
    fn item(&self) -> &str {
        self.as_str()
    }
}
