//! Reads a data file out of an object store: the columns that are asked for, by a few large requests a row group.
//! While the rows of one group are decoded, the next group is on its way; not where all columns are read, since who
//! does that writes them again, and has a group of its own in memory.

use super::store::Store;
use super::{BATCH_ROWS, Visit};
use crate::error::{CatalogError, Context};
use bytes::Bytes;
use delta_kernel::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader};
use delta_kernel::parquet::arrow::async_reader::{
    AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use std::ops::Range;
use std::sync::Arc;

/// How much of a file's end is read first: most often the whole description of its rows.
const FOOTER_BYTES: usize = 128 * 1024;

pub(super) fn for_each_batch(
    store: &Store,
    path: &ObjectPath,
    bytes: u64,
    columns: Option<&[&str]>,
    visit: &mut Visit<'_>,
) -> Result<(), CatalogError> {
    let subject = path.as_ref();
    let reads_ahead = columns.is_some();
    let object = Object { objects: store.objects(), path: path.clone(), bytes };
    let columns: Option<Vec<String>> =
        columns.map(|columns| columns.iter().map(|&column| column.to_owned()).collect());
    let groups = store.wait(open(object, columns)).context("read", subject)?;

    let mut coming = store.begin(next_group(groups));
    loop {
        let (rows, groups) = coming.wait(store).context("read", subject)?;
        let Some(rows) = rows.context("read", subject)? else { return Ok(()) };
        let go_on = || store.begin(next_group(groups));
        if reads_ahead {
            coming = go_on();
            visit_each(rows, subject, visit)?;
        } else {
            visit_each(rows, subject, visit)?;
            coming = go_on();
        }
    }
}

fn visit_each(
    rows: ParquetRecordBatchReader,
    subject: &str,
    visit: &mut Visit<'_>,
) -> Result<(), CatalogError> {
    for batch in rows {
        visit(batch.context("read", subject)?)?;
    }
    Ok(())
}

type Groups = ParquetRecordBatchStream<Object>;

async fn open(object: Object, columns: Option<Vec<String>>) -> ParquetResult<Groups> {
    let mut builder =
        ParquetRecordBatchStreamBuilder::new(object).await?.with_batch_size(BATCH_ROWS);
    if let Some(columns) = columns {
        let columns = columns.iter().map(String::as_str);
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        builder = builder.with_projection(mask);
    }
    builder.build()
}

/// Fetches the next group of rows; none after the last.
async fn next_group(
    mut groups: Groups,
) -> (ParquetResult<Option<ParquetRecordBatchReader>>, Groups) {
    let rows = groups.next_row_group().await;
    (rows, groups)
}

/// A data file in a store.
struct Object {
    objects: Arc<dyn ObjectStore>,
    path: ObjectPath,
    bytes: u64,
}

impl AsyncFileReader for Object {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            let data = self.objects.get_range(&self.path, range.clone()).await;
            whole(data.map_err(external)?, &range)
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move {
            let data = self.objects.get_ranges(&self.path, &ranges).await.map_err(external)?;
            data.into_iter().zip(&ranges).map(|(data, range)| whole(data, range)).collect()
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER_BYTES));
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

fn external(e: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(e))
}

/// Refuses data that was cut off.
fn whole(data: Bytes, range: &Range<u64>) -> ParquetResult<Bytes> {
    let expected = range.end - range.start;
    if data.len() as u64 == expected {
        return Ok(data);
    }
    Err(ParquetError::EOF(format!("{} of {expected} bytes came", data.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_was_cut_off_is_refused() {
        assert!(whole(Bytes::from_static(b"abc"), &(5..8)).is_ok());
        for short in [&b""[..], b"ab", b"abcd"] {
            assert!(whole(Bytes::copy_from_slice(short), &(5..8)).is_err());
        }
    }
}
