//! Where new and changed rows wait for the commit: data files written by a thread of their own, so that
//! reading the source and encoding for the table each have a core.

use crate::error::{CatalogError, Cause, Context};
use crate::table::Table;
use crate::writer::{NewFile, PartWriter};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use feedfleet_model::{PipeName, RunKey};
use std::collections::BTreeSet;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A data file is closed and the next one begun at this size.
const FILE_BYTES: u64 = 512 * 1024 * 1024;
/// Batches on their way to the writing thread.
const BATCHES_AHEAD: usize = 2;

pub(crate) struct Stage {
    table: Table,
    pipe: PipeName,
    label: String,
    schema: SchemaRef,
    rows: u64,
    written: u64,
    dropped: BTreeSet<u64>,
    writer: Option<Writer>,
}

struct Writer {
    batches: SyncSender<RecordBatch>,
    thread: JoinHandle<Result<Vec<NewFile>, CatalogError>>,
}

/// The files of a finished stage.
pub(crate) struct Staged {
    pub files: Vec<NewFile>,
}

impl Stage {
    pub fn new(table: Table, run: &RunKey, schema: SchemaRef) -> Self {
        Self {
            table,
            pipe: run.pipe.clone(),
            label: format!("run-{}", run.run),
            schema,
            rows: 0,
            written: 0,
            dropped: BTreeSet::new(),
            writer: None,
        }
    }

    /// The ordinal of the next row: rows are numbered from 0 in the order in which they are staged.
    pub fn next_ordinal(&mut self) -> u64 {
        let ordinal = self.rows;
        self.rows += 1;
        ordinal
    }

    /// The row with this ordinal shall not reach the table.
    pub fn drop_row(&mut self, ordinal: u64) {
        self.dropped.insert(ordinal);
    }

    /// Hands rows to the writing thread. Waits while it is behind.
    pub fn write(&mut self, batch: RecordBatch) -> Result<(), CatalogError> {
        self.written += batch.num_rows() as u64;
        if self.writer.is_none() {
            self.writer = Some(self.start());
        }
        let sent = self.writer.as_ref().map(|w| w.batches.send(batch));
        match sent {
            Some(Ok(())) => Ok(()),
            // The thread is gone: its own error says why.
            _ => self.join().map(|_| ()),
        }
    }

    fn start(&self) -> Writer {
        let (batches, incoming) = sync_channel::<RecordBatch>(BATCHES_AHEAD);
        let (table, pipe, label) = (self.table.clone(), self.pipe.clone(), self.label.clone());
        let schema = self.schema.clone();
        let thread = std::thread::spawn(move || {
            let mut parts = Parts { table, pipe, label, schema, current: None, files: Vec::new() };
            for batch in incoming {
                parts.write(&batch)?;
            }
            parts.finish()
        });
        Writer { batches, thread }
    }

    fn join(&mut self) -> Result<Vec<NewFile>, CatalogError> {
        let Some(Writer { batches, thread }) = self.writer.take() else { return Ok(Vec::new()) };
        drop(batches);
        thread.join().unwrap_or_else(|_| {
            Err(CatalogError {
                action: "write rows of",
                subject: self.pipe.to_string(),
                source: Cause::Unusable("the writing thread panicked".into()),
            })
        })
    }

    /// Ends the stage. Files that hold dropped rows are written again without them.
    pub fn finish(mut self) -> Result<Staged, CatalogError> {
        debug_assert_eq!(self.rows, self.written, "every ordinal given has been written");
        let files = self.join()?;
        if self.dropped.is_empty() {
            return Ok(Staged { files });
        }
        let mut kept = Vec::new();
        let mut first = 0;
        for file in files {
            let end = first + file.rows;
            if self.dropped.range(first..end).next().is_some() {
                kept.extend(self.rewrite(&file, first)?);
            } else {
                kept.push(file);
            }
            first = end;
        }
        Ok(Staged { files: kept })
    }

    fn rewrite(&self, file: &NewFile, first: u64) -> Result<Vec<NewFile>, CatalogError> {
        let place = self.table.place(&file.path)?;
        let mut parts = Parts {
            table: self.table.clone(),
            pipe: self.pipe.clone(),
            label: self.label.clone(),
            schema: self.schema.clone(),
            current: None,
            files: Vec::new(),
        };
        let mut next = first;
        self.table.files().for_each_batch(&place, file.size_bytes, None, &mut |batch| {
            let keep: Vec<bool> =
                (0..batch.num_rows() as u64).map(|i| !self.dropped.contains(&(next + i))).collect();
            next += batch.num_rows() as u64;
            let batch =
                filter_record_batch(&batch, &BooleanArray::from(keep)).with("read", &place)?;
            parts.write(&batch)
        })?;
        self.table.files().discard(&place);
        parts.finish()
    }
}

/// A sequence of data files.
pub(crate) struct Parts {
    pub table: Table,
    pub pipe: PipeName,
    pub label: String,
    pub schema: SchemaRef,
    pub current: Option<PartWriter>,
    pub files: Vec<NewFile>,
}

impl Parts {
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), CatalogError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut writer = match self.current.take() {
            Some(writer) => writer,
            None => PartWriter::create(&self.table, &self.pipe, &self.label, self.schema.clone())?,
        };
        writer.write(batch)?;
        if writer.bytes() >= FILE_BYTES {
            self.files.extend(writer.finish()?);
        } else {
            self.current = Some(writer);
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Vec<NewFile>, CatalogError> {
        if let Some(writer) = self.current.take() {
            self.files.extend(writer.finish()?);
        }
        Ok(self.files)
    }
}
