//! Columns to rows: what the table has of a product, as the mapping once made it.

use crate::error::{CatalogError, Cause};
use crate::snapshot::DataFile;
use crate::source_values::from_table;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Int64Array, ListArray,
    MapArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use feedfleet_model::columns::ColumnType;
use feedfleet_model::{ColumnId, Row, columns};

/// Those columns of a batch that sources and supplements fill.
pub(crate) struct RowColumns<'a> {
    columns: Vec<(ColumnId, Values<'a>)>,
    /// Not in files of the first releases.
    source_values: Option<&'a MapArray>,
}

enum Values<'a> {
    Text(&'a StringArray),
    List(&'a ListArray),
    Integer(&'a Int64Array),
    Decimal(&'a Decimal128Array),
    Boolean(&'a BooleanArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Extra(&'a MapArray),
}

impl<'a> Values<'a> {
    /// None: the column is of another type.
    fn of(kind: ColumnType, array: &'a ArrayRef) -> Option<Self> {
        Some(match kind {
            ColumnType::Text => Self::Text(array.as_string_opt()?),
            ColumnType::TextList => Self::List(array.as_list_opt()?),
            ColumnType::Integer => Self::Integer(array.as_primitive_opt()?),
            ColumnType::Decimal => Self::Decimal(array.as_primitive_opt()?),
            ColumnType::Boolean => Self::Boolean(array.as_boolean_opt()?),
            ColumnType::Timestamp => Self::Timestamp(array.as_primitive_opt()?),
            ColumnType::TextMap => Self::Extra(array.as_map_opt()?),
            // None that a source fills.
            ColumnType::Binary => return None,
        })
    }

    fn read(&self, at: usize, column: ColumnId, row: &mut Row) {
        match self {
            Self::Text(texts) if texts.is_valid(at) => row.set_text(column, texts.value(at)),
            Self::List(lists) if lists.is_valid(at) => {
                let items = lists.value(at);
                if let Some(items) = items.as_string_opt::<i32>() {
                    row.set_list(column, items.iter().flatten());
                }
            }
            Self::Integer(numbers) if numbers.is_valid(at) => {
                row.set_integer(column, numbers.value(at));
            }
            Self::Decimal(amounts) if amounts.is_valid(at) => {
                // Eighteen digits.
                if let Ok(amount) = i64::try_from(amounts.value(at)) {
                    row.set_decimal(column, amount);
                }
            }
            Self::Boolean(flags) if flags.is_valid(at) => row.set_boolean(column, flags.value(at)),
            Self::Timestamp(times) if times.is_valid(at) => {
                row.set_timestamp(column, times.value(at));
            }
            Self::Extra(maps) => for_each_pair(maps, at, |name, value| row.push_extra(name, value)),
            _ => {}
        }
    }
}

fn for_each_pair(maps: &MapArray, at: usize, mut visit: impl FnMut(&str, &str)) {
    if maps.is_null(at) {
        return;
    }
    let entries = maps.value(at);
    let names = entries.column(0).as_string_opt::<i32>();
    let values = entries.column(1).as_string_opt::<i32>();
    let (Some(names), Some(values)) = (names, values) else { return };
    for (name, value) in names.iter().zip(values) {
        if let Some(name) = name {
            visit(name, value.unwrap_or_default());
        }
    }
}

impl<'a> RowColumns<'a> {
    /// The columns that a batch of this file has.
    pub fn of(batch: &'a RecordBatch, file: &DataFile) -> Result<Self, CatalogError> {
        let mut columns = Vec::new();
        for id in ColumnId::from_source() {
            let column = id.column();
            if let Some(array) = batch.column_by_name(column.name) {
                let values = Values::of(column.kind, array);
                columns.push((id, values.ok_or_else(|| unusable(file))?));
            }
        }
        let source_values = batch.column_by_name(columns::SOURCE_VALUES.column().name);
        let source_values = source_values.and_then(|array| array.as_map_opt());
        Ok(Self { columns, source_values })
    }

    /// Fills `row` with what the batch has of one of its rows.
    pub fn read(&self, at: usize, row: &mut Row) {
        row.clear();
        for (column, values) in &self.columns {
            values.read(at, *column, row);
        }
        row.settle_extra();
        if let Some(maps) = self.source_values {
            for_each_pair(maps, at, |name, own| {
                if let Some(column) = ColumnId::by_name(name) {
                    row.keep_source_value(column, &from_table(column, own));
                }
            });
        }
    }
}

/// Those columns of a batch that a row keeps when it is written anew.
pub(crate) struct LineageColumns<'a> {
    pub first_seen: &'a TimestampMicrosecondArray,
    pub images_run: &'a Int64Array,
    pub images_hash: &'a Int64Array,
    /// Not in files of the first releases.
    source_hash: Option<&'a BinaryArray>,
}

impl<'a> LineageColumns<'a> {
    pub fn of(batch: &'a RecordBatch, file: &DataFile) -> Result<Self, CatalogError> {
        Self::find(batch).ok_or_else(|| unusable(file))
    }

    fn find(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            first_seen: batch.column_by_name("first_seen")?.as_primitive_opt()?,
            images_run: batch.column_by_name("images_run")?.as_primitive_opt()?,
            images_hash: batch.column_by_name("images_hash")?.as_primitive_opt()?,
            source_hash: batch.column_by_name("source_hash").and_then(|c| c.as_binary_opt()),
        })
    }

    /// The hash of the record that a row was made of, where it is known.
    pub fn source_hash(&self, at: usize) -> Option<u128> {
        let hashes = self.source_hash.filter(|hashes| hashes.is_valid(at))?;
        Some(u128::from_be_bytes(hashes.value(at).try_into().ok()?))
    }
}

fn unusable(file: &DataFile) -> CatalogError {
    CatalogError {
        action: "read the rows of",
        subject: file.path.clone(),
        source: Cause::Unusable("it lacks the columns that Feedfleet writes".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TableSpec;
    use crate::encode::{Lineage, RowBatch};
    use feedfleet_model::ValueRef;

    /// Every kind of column, and a value that a supplement has covered.
    fn row() -> Row {
        let mut row = Row::new();
        row.set_text(columns::ID, "1");
        row.set_list(columns::SEARCH_TAG, ["a", "b"]);
        row.set_integer(columns::STOCK_QUANTITY, -3);
        row.set_decimal(columns::PRICE, 150_000);
        row.set_boolean(columns::ADULT, true);
        row.set_timestamp(columns::EXPIRATION_DATE, 1_700_000_000_000_000);
        row.push_extra("size", "7");
        row.push_extra("colour", "red\nblue");
        row.settle_extra();
        row.supplement(columns::PRICE, ValueRef::Integer(90_000));
        row.supplement(columns::BRAND, ValueRef::Text("Acme"));
        row
    }

    #[test]
    fn a_row_of_the_table_has_the_hash_that_it_was_written_with() {
        let schema = TableSpec::products().unwrap().file_schema().unwrap();
        let mut batch = RowBatch::new(schema, "acme".parse().unwrap());
        let source_hash = Some(u128::MAX - 7);
        let lineage = Lineage {
            first_seen: 5,
            run: 9,
            images_run: 6,
            images_hash: 77,
            content_hash: 1,
            source_hash,
        };
        batch.push(&row(), &lineage);
        batch.push(&Row::new(), &Lineage { source_hash: None, ..lineage });
        let batch = batch.take().unwrap();
        // Whoever reads the table sees an amount.
        let mut shown = Vec::new();
        let maps = batch.column_by_name("source_values").and_then(|c| c.as_map_opt()).unwrap();
        for_each_pair(maps, 0, |name, own| shown.push((name.to_owned(), own.to_owned())));
        assert!(shown.contains(&("price".to_owned(), "15.0000".to_owned())), "{shown:?}");
        let file =
            DataFile { path: "f".into(), size_bytes: 1, rows: 2, pipe: "acme".into(), dead: None };
        let (mut read, mut scratch) = (Row::new(), Vec::new());
        let columns = RowColumns::of(&batch, &file).unwrap();
        for (at, expected) in [(0, row()), (1, Row::new()), (0, row())] {
            columns.read(at, &mut read);
            assert_eq!(read.content_hash(&mut scratch), expected.content_hash(&mut scratch));
        }
        read.restore_source_value(columns::PRICE);
        assert_eq!(read.get(columns::PRICE), ValueRef::Integer(150_000));

        let kept = LineageColumns::of(&batch, &file).unwrap();
        assert_eq!(kept.first_seen.value(0), 5_000_000);
        assert_eq!((kept.images_run.value(0), kept.images_hash.value(0)), (6, 77));
        assert_eq!((kept.source_hash(0), kept.source_hash(1)), (source_hash, None));
    }

    #[test]
    fn a_batch_of_some_columns_makes_rows_of_these() {
        let ids: ArrayRef = std::sync::Arc::new(StringArray::from(vec!["1"]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let file =
            DataFile { path: "f".into(), size_bytes: 1, rows: 1, pipe: "acme".into(), dead: None };
        let mut read = Row::new();
        RowColumns::of(&batch, &file).unwrap().read(0, &mut read);
        assert_eq!(read.id(), "1");
        let told = LineageColumns::of(&batch, &file).err().unwrap().to_string();
        assert!(told.contains("lacks the columns"), "{told}");
    }
}
