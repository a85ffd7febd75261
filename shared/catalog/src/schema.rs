//! The schemas of the catalog's tables, in Delta's and in Arrow's words.

use crate::error::{CatalogError, Context};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::schema::{ArrayType, DataType, MapType, PrimitiveType, StructField, StructType};
use feedfleet_model::columns::{COLUMNS, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE};
use std::sync::Arc;

/// The column that every table is partitioned by.
pub const PARTITION: &str = "pipe";

/// What a table looks like.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Its name, and its folder below the catalog's.
    pub name: &'static str,
    /// Its columns, the partition first.
    pub schema: Arc<StructType>,
    /// Columns whose smallest and greatest values the log keeps a file.
    pub stats_columns: &'static [&'static str],
}

impl TableSpec {
    /// The product table; its columns are [`COLUMNS`].
    pub fn products() -> Result<Self, CatalogError> {
        let fields = COLUMNS.iter().map(|c| {
            let kind = data_type(c.kind).context("describe the column", c.name)?;
            Ok(StructField::nullable(c.name, kind))
        });
        let fields = fields.collect::<Result<Vec<_>, CatalogError>>()?;
        Ok(Self {
            name: "products",
            schema: Arc::new(
                StructType::try_new(fields).context("describe the table", "products")?,
            ),
            stats_columns: &[
                "id",
                "price",
                "brand",
                "availability",
                "first_seen",
                "last_changed",
                "run",
            ],
        })
    }

    /// The table of mirrored pictures; see [`feedfleet_model::image::ImageEntry`].
    pub fn images() -> Result<Self, CatalogError> {
        let text = |name| StructField::nullable(name, DataType::STRING);
        let fields = [
            text(PARTITION),
            text("key"),
            text("url"),
            StructField::nullable("run", DataType::LONG),
            text("status"),
            text("error"),
            StructField::nullable("retry", DataType::BOOLEAN),
            text("etag"),
            text("last_modified"),
            text("hash"),
            StructField::nullable("size_bytes", DataType::LONG),
            text("format"),
            StructField::nullable("width", DataType::INTEGER),
            StructField::nullable("height", DataType::INTEGER),
            StructField::nullable("renditions", ArrayType::new(DataType::STRING, true)),
            StructField::nullable("checked_at", DataType::TIMESTAMP),
        ];
        Ok(Self {
            name: "images",
            schema: Arc::new(StructType::try_new(fields).context("describe the table", "images")?),
            stats_columns: &["key", "status", "checked_at"],
        })
    }

    /// The Arrow schema of the data files: every column but the partition.
    pub fn file_schema(&self) -> Result<ArrowSchemaRef, CatalogError> {
        let fields = self.schema.fields().filter(|f| f.name() != PARTITION).cloned();
        let schema = StructType::try_new(fields).context("describe the files of", self.name)?;
        let arrow: ArrowSchema =
            (&schema).try_into_arrow().context("describe the files of", self.name)?;
        Ok(Arc::new(arrow))
    }

    /// The Arrow schema of the table: the partition first.
    pub fn arrow_schema(&self) -> Result<ArrowSchemaRef, CatalogError> {
        let arrow: ArrowSchema =
            self.schema.as_ref().try_into_arrow().context("describe the table", self.name)?;
        Ok(Arc::new(arrow))
    }
}

fn data_type(kind: ColumnType) -> Result<DataType, delta_kernel::KernelError> {
    Ok(match kind {
        ColumnType::Text => DataType::STRING,
        ColumnType::TextList => ArrayType::new(DataType::STRING, true).into(),
        ColumnType::Integer => DataType::LONG,
        ColumnType::Decimal => {
            PrimitiveType::decimal(DECIMAL_PRECISION, DECIMAL_SCALE.unsigned_abs())?.into()
        }
        ColumnType::Boolean => DataType::BOOLEAN,
        ColumnType::Timestamp => DataType::TIMESTAMP,
        ColumnType::Binary => DataType::BINARY,
        ColumnType::TextMap => MapType::new(DataType::STRING, DataType::STRING, true).into(),
    })
}
