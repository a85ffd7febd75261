//! Values of columns as text: numbers and times as SQL writes them, bytes in hexadecimal, lists and maps as
//! JSON.

use arrow::array::{Array, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The values of one column of a batch.
pub(super) struct Cells<'a> {
    /// Whether they are text: from outside, and shaped as outsiders like.
    pub is_text: bool,
    nulls: Option<NullBuffer>,
    form: Form<'a>,
}

enum Form<'a> {
    Plain(ArrayFormatter<'a>),
    Json(NullableEncoder<'a>),
}

/// How nested values are written.
pub(super) fn options() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true)
}

impl<'a> Cells<'a> {
    /// The columns of a batch.
    pub fn of(
        batch: &'a RecordBatch,
        options: &'a EncoderOptions,
    ) -> Result<Vec<Self>, ArrowError> {
        let fields = batch.schema_ref().fields().iter();
        let columns = fields.zip(batch.columns());
        columns.map(|(field, array)| Self::column(field, array.as_ref(), options)).collect()
    }

    fn column(
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Self, ArrowError> {
        let nested = match array.data_type().is_nested() {
            // What JSON has no form for, such as a map with numbers for keys, is left to Arrow.
            true => make_encoder(field, array, options).ok().map(Form::Json),
            false => None,
        };
        let form = match nested {
            Some(form) => form,
            None => Form::Plain(ArrayFormatter::try_new(array, &FormatOptions::new())?),
        };
        Ok(Self { is_text: is_text(array.data_type()), nulls: array.logical_nulls(), form })
    }

    /// The value in a row; none where it is null.
    pub fn value(&mut self, row: usize) -> Result<Option<String>, ArrowError> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        match &mut self.form {
            Form::Plain(values) => values.value(row).try_to_string().map(Some),
            Form::Json(values) => {
                let mut json = Vec::new();
                values.encode(row, &mut json);
                Ok(Some(String::from_utf8_lossy(&json).into_owned()))
            }
        }
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
