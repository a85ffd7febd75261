//! Where new and changed rows wait for the commit: data files written by a thread of their own, so that
//! reading the source and encoding for the table each have a core. A stage that is not finished leaves nothing behind.

use crate::error::{CatalogError, Cause, Context};
use crate::files::Draft;
use crate::table::Table;
use crate::writer::{NewFile, PartWriter};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use feedfleet_model::{PipeName, RunKey};
use std::collections::BTreeSet;
use std::sync::mpsc::{RecvError, SyncSender, sync_channel};
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
    /// A file is closed at this size.
    file_bytes: u64,
    dropped: BTreeSet<u64>,
    writer: Option<Writer>,
}

struct Writer {
    /// None is the end: a stage that is given up does not come to it.
    batches: SyncSender<Option<RecordBatch>>,
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
            file_bytes: FILE_BYTES,
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
        let sent = self.writer.as_ref().map(|w| w.batches.send(Some(batch)));
        match sent {
            Some(Ok(())) => Ok(()),
            // The thread is gone: its own error says why.
            _ => self.join().map(|_| ()),
        }
    }

    fn start(&self) -> Writer {
        let (batches, incoming) = sync_channel::<Option<RecordBatch>>(BATCHES_AHEAD);
        let (table, pipe, label) = (self.table.clone(), self.pipe.clone(), self.label.clone());
        let (schema, file_bytes) = (self.schema.clone(), self.file_bytes);
        let thread = std::thread::spawn(move || -> Result<Vec<NewFile>, CatalogError> {
            let mut parts = Parts { file_bytes, ..Parts::new(&table, &pipe, label, schema) };
            loop {
                match incoming.recv() {
                    Ok(Some(batch)) => parts.write(&batch)?,
                    Ok(None) => return parts.finish(),
                    // The stage was given up: what was written goes with `parts`.
                    Err(RecvError) => return Ok(Vec::new()),
                }
            }
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
        if let Some(writer) = &self.writer {
            // If the thread is gone, its own error says why.
            writer.batches.send(None).ok();
        }
        let files = self.join()?;
        if self.dropped.is_empty() {
            return Ok(Staged { files });
        }
        let mut kept = Vec::new();
        let mut first = 0;
        for file in files {
            let end = first + file.rows;
            if self.dropped.range(first..end).next().is_some() {
                kept.extend(self.rewrite(file, first)?);
            } else {
                kept.push(file);
            }
            first = end;
        }
        Ok(Staged { files: kept })
    }

    fn rewrite(&self, file: NewFile, first: u64) -> Result<Vec<NewFile>, CatalogError> {
        let place = self.table.place(&file.path)?;
        let (label, schema) = (self.label.clone(), self.schema.clone());
        let mut parts = Parts {
            file_bytes: self.file_bytes,
            ..Parts::new(&self.table, &self.pipe, label, schema)
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
        // The first version goes.
        drop(file);
        parts.finish()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Once its thread has ended, a stage that was not finished has left no file. Nobody asks how it ended.
        self.join().ok();
    }
}

/// A sequence of data files. They go with it, unless it is finished.
pub(crate) struct Parts {
    table: Table,
    pipe: PipeName,
    label: String,
    schema: SchemaRef,
    draft: Draft,
    file_bytes: u64,
    current: Option<PartWriter>,
    files: Vec<NewFile>,
}

impl Parts {
    pub fn new(table: &Table, pipe: &PipeName, label: String, schema: SchemaRef) -> Self {
        Self {
            table: table.clone(),
            pipe: pipe.clone(),
            label,
            schema,
            draft: Draft::Listed,
            file_bytes: FILE_BYTES,
            current: None,
            files: Vec::new(),
        }
    }

    /// Nobody finds the files before they are whole. Their rows must be in other files of the table too.
    pub fn unlisted(self) -> Self {
        Self { draft: Draft::Unlisted, ..self }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), CatalogError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut writer = match self.current.take() {
            Some(writer) => writer,
            None => {
                let (table, schema) = (&self.table, self.schema.clone());
                PartWriter::begin(table, &self.pipe, &self.label, schema, self.draft)?
            }
        };
        writer.write(batch)?;
        if writer.bytes() >= self.file_bytes {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;
    use crate::pictures::for_each_named;
    use crate::read;
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use feedfleet_model::RunId;
    use std::sync::Arc;
    use tempfile::TempDir;

    /// A stage that begins a file for each batch.
    fn stage() -> (TempDir, Stage) {
        let folder = tempfile::tempdir().unwrap();
        let table = Catalog::open(folder.path()).unwrap().products().clone();
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
        let schema = table.spec().file_schema().unwrap();
        let mut stage = Stage::new(table, &run, schema);
        stage.file_bytes = 1;
        (folder, stage)
    }

    /// Stages a batch of one row.
    fn write(stage: &mut Stage, id: usize) {
        let ids: ArrayRef = Arc::new(StringArray::from(vec![id.to_string()]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let batch = read::conform(&batch, &stage.schema).unwrap();
        stage.next_ordinal();
        stage.write(batch).unwrap();
    }

    fn files_on_disk(table: &Table) -> usize {
        std::fs::read_dir(table.folder().unwrap().join("pipe=acme")).unwrap().count()
    }

    /// What was staged for nothing does not wait for vacuum: the next attempt needs its room.
    #[test]
    fn a_stage_that_is_given_up_leaves_no_file() {
        let (_folder, mut stage) = stage();
        let table = stage.table.clone();
        // So many wait, or are being written; the two before them are in files.
        for id in 0..BATCHES_AHEAD + 1 + 2 {
            write(&mut stage, id);
        }
        assert!(files_on_disk(&table) >= 2);
        drop(stage);
        assert_eq!(files_on_disk(&table), 0);
    }

    #[test]
    fn a_stage_that_cannot_write_leaves_no_file() {
        let (_folder, mut stage) = stage();
        let table = stage.table.clone();
        write(&mut stage, 0);
        write(&mut stage, 1);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![2]));
        stage.next_ordinal();
        stage.write(RecordBatch::try_from_iter([("id", numbers)]).unwrap()).unwrap();
        assert!(stage.finish().is_err(), "an id is a text");
        assert_eq!(files_on_disk(&table), 0);
    }

    /// A sweep of pictures stops at a file that is being written, unless it has the same rows in others.
    #[test]
    fn unlisted_files_are_in_nobodys_way_before_they_are_whole() {
        let (_folder, stage) = stage();
        let (table, pipe) = (stage.table.clone(), stage.pipe.clone());
        table.ensure().unwrap();
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let rows = read::conform(&rows, &stage.schema).unwrap();
        let is_swept = || for_each_named(&table, &pipe, &mut |_| ()).is_ok();
        let parts = || Parts::new(&table, &pipe, "label".to_owned(), stage.schema.clone());

        let mut listed = parts();
        listed.write(&rows).unwrap();
        assert!(!is_swept());
        drop(listed);

        let mut unlisted = parts().unlisted();
        unlisted.write(&rows).unwrap();
        assert!(is_swept() && files_on_disk(&table) == 1);
        drop(unlisted);
        assert_eq!(files_on_disk(&table), 0);

        let mut unlisted = parts().unlisted();
        unlisted.write(&rows).unwrap();
        let files = unlisted.finish().unwrap();
        assert!(is_swept() && files_on_disk(&table) == 1);
        let place = table.place(&files[0].path).unwrap();
        assert_eq!(table.files().size(&place).unwrap(), Some(files[0].size_bytes));
    }

    #[test]
    fn files_of_a_stage_go_with_those_who_have_no_use_for_them() {
        let (_folder, mut stage) = stage();
        let table = stage.table.clone();
        for id in 0..3 {
            write(&mut stage, id);
        }
        stage.drop_row(1);
        let mut staged = stage.finish().unwrap();
        assert_eq!((staged.files.len(), files_on_disk(&table)), (2, 2));
        staged.files.pop();
        assert_eq!(files_on_disk(&table), 1);
        drop(staged);
        assert_eq!(files_on_disk(&table), 0);
    }
}
