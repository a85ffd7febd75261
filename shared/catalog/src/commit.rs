//! Commits: one transaction that adds files, marks rows dead, takes files out, and carries the fence.

use crate::durable;
use crate::error::{CatalogError, Cause, Context};
use crate::rollback_app_id;
use crate::schema::PARTITION;
use crate::table::{DataFile, ENGINE_INFO, FileIdentity, Snapshot, Table};
use crate::writer::NewFile;
use delta_kernel::FileMeta;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::actions::deletion_vector_writer::{
    KernelDeletionVector, StreamingDeletionVectorWriter,
};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::transaction::{
    BoundWriteContext, CommitResult, Transaction, UpdateTableOperation,
};
use delta_kernel_default_engine::build_add_file_metadata;
use delta_kernel_default_engine::parquet::DataFileMetadata;
use feedfleet_model::PipeName;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::BufWriter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What one commit does to one pipe's part of a table.
#[derive(Debug)]
pub struct Change {
    /// The pipe.
    pub pipe: PipeName,
    /// The files that the pipe consisted of when the change was worked out. If they, or their dead rows,
    /// are others by now, the change is void: row positions have gone stale.
    pub base: Vec<DataFile>,
    /// Files to add. They go with the change, unless it was committed or may have been.
    pub adds: Vec<NewFile>,
    /// Rows to mark dead, by the path of a file in `base`; those dead already need not be named.
    pub dead: BTreeMap<String, Vec<u64>>,
    /// Paths in `base` to take out whole.
    pub drops: BTreeSet<String>,
    /// The fence: an application and its run.
    pub fence: Fence,
    /// Figures for the table's history, by name: [`Table::commit_of`] finds them again.
    pub metrics: Vec<(&'static str, u64)>,
    /// Whether readers see other rows afterwards; a compaction says no.
    pub data_change: bool,
}

/// Who commits, and how far it has come: a run passes only if it is newer than the application's last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The application: a writer of one pipe.
    pub app_id: String,
    /// Its run.
    pub run: i64,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is in, durably, at this version.
    Committed {
        /// The version.
        version: u64,
        /// Bytes of deletion vectors written.
        vector_bytes: u64,
    },
    /// This run was in already: a lost reply, or another worker with the same message.
    AlreadyIn,
    /// A newer run is in.
    Superseded {
        /// That run.
        by: i64,
    },
    /// The pipe is not as it was when the change was worked out: work it out again.
    Moved,
}

/// Conflicts with other pipes' commits are settled in milliseconds; this many in a row are a fault.
const MAX_CONFLICTS: u32 = 200;

impl Table {
    /// Commits a change, or says why it must not be. On any error the caller reads the fence again before
    /// it decides anything: the entry may have been written.
    pub fn commit(&self, change: &Change) -> Result<CommitOutcome, CatalogError> {
        self.commit_if(change, |_| Ok(true))
    }

    /// As [`commit`](Self::commit), for a run of a pipe's feed, which is void ([`CommitOutcome::Moved`]) also where
    /// the pipe was rolled back since. A rollback need not change a file, and whoever asked for it counts on what
    /// it found. `rollback`: the fence of the pipe's rollbacks ([`rollback_app_id`]) in the snapshot that the run was
    /// worked out from.
    pub fn commit_run(
        &self,
        change: &Change,
        rollback: Option<i64>,
    ) -> Result<CommitOutcome, CatalogError> {
        let app_id = rollback_app_id(&change.pipe);
        self.commit_if(change, |now| Ok(now.fence(&app_id)? == rollback))
    }

    /// As [`commit`](Self::commit), for a change that rests on more than its fence and its files: it is
    /// void ([`CommitOutcome::Moved`]) where `holds` says no of the version that it would follow.
    pub(crate) fn commit_if(
        &self,
        change: &Change,
        holds: impl Fn(&Snapshot) -> Result<bool, CatalogError>,
    ) -> Result<CommitOutcome, CatalogError> {
        for round in 0..MAX_CONFLICTS {
            let snapshot = self.ensure()?;
            match snapshot.fence(&change.fence.app_id)? {
                Some(run) if run == change.fence.run => return Ok(CommitOutcome::AlreadyIn),
                Some(run) if run > change.fence.run => {
                    return Ok(CommitOutcome::Superseded { by: run });
                }
                _ => {}
            }
            if identities(&snapshot.files(Some(&change.pipe))?) != identities(&change.base)
                || !holds(&snapshot)?
            {
                // The fence says so, and not what came of an attempt: the change is not in.
                change.adds.iter().for_each(NewFile::release);
                return Ok(CommitOutcome::Moved);
            }
            if let Some(outcome) = self.try_commit(&snapshot, change)? {
                return Ok(outcome);
            }
            std::thread::sleep(conflict_pause(round));
        }
        Err(CatalogError {
            action: "commit to table",
            subject: self.url().to_string(),
            source: Cause::Contended(format!(
                "{MAX_CONFLICTS} other commits came first, one after another"
            )),
        })
    }

    /// None when another commit took the version.
    fn try_commit(
        &self,
        snapshot: &Snapshot,
        change: &Change,
    ) -> Result<Option<CommitOutcome>, CatalogError> {
        let subject = self.url().as_str();
        let operation = if change.data_change {
            UpdateTableOperation::Merge
        } else {
            UpdateTableOperation::Optimize
        };
        let metrics = change.metrics.iter().map(|(name, n)| (*name, Some(n.to_string())));
        let mut transaction = snapshot
            .inner
            .clone()
            .update_table(operation, ENGINE_INFO, change.data_change)
            .build(self.engine(), Box::new(FileSystemCommitter::new()))
            .context("begin a commit to table", subject)?
            .with_transaction_id(change.fence.app_id.clone(), change.fence.run)
            .with_operation_metrics(metrics);
        let context = write_context(&transaction, &change.pipe)
            .context("begin a commit to table", subject)?;

        for file in &change.adds {
            // A writer that stood still for longer than vacuum's grace must not name files that are gone.
            let path = self.folder().join(&file.path);
            std::fs::metadata(&path).at("find the new file", &path)?;
            let metadata = add_metadata(self, file, &context)?;
            transaction.add_files(metadata);
        }
        let vector_bytes = self.mark_dead(snapshot, change, &context, &mut transaction)?;
        for batch in select(snapshot.scan_files(None)?, &change.drops)
            .context("list the files of table", subject)?
        {
            transaction.remove_files(batch);
        }

        // From here on the entry may be written, also where that seems to fail.
        change.adds.iter().for_each(NewFile::keep);
        match transaction.commit(self.engine()).context("commit to table", subject)? {
            CommitResult::Committed(done) => {
                let version = done.commit_version();
                durable::sync_commit(self.folder(), version)?;
                Ok(Some(CommitOutcome::Committed { version, vector_bytes }))
            }
            CommitResult::Conflicted(_) => Ok(None),
            CommitResult::Retryable(failed) => {
                Err(failed.error).context("commit to table", subject)
            }
        }
    }

    /// Writes one file with all deletion vectors of the change; its size in bytes.
    fn mark_dead(
        &self,
        snapshot: &Snapshot,
        change: &Change,
        context: &BoundWriteContext,
        transaction: &mut Transaction,
    ) -> Result<u64, CatalogError> {
        if change.dead.is_empty() {
            return Ok(0);
        }
        let subject = self.url().as_str();
        let place = context.new_deletion_vector_path(String::new());
        let url = place.absolute_path().context("name a deletion vector of", subject)?;
        let path = url.to_file_path().map_err(|()| CatalogError {
            action: "name a deletion vector of",
            subject: url.to_string(),
            source: Cause::Unusable("it is not on this machine".into()),
        })?;
        let mut file = BufWriter::new(File::create_new(&path).at("create", &path)?);
        let mut writer = StreamingDeletionVectorWriter::new(&mut file);
        let mut descriptors: HashMap<String, DeletionVectorDescriptor> = HashMap::new();
        for old in &change.base {
            let Some(rows) = change.dead.get(&old.path) else { continue };
            let mut vector = KernelDeletionVector::new();
            vector.add_deleted_row_indexes(snapshot.dead_rows(old)?);
            vector.add_deleted_row_indexes(rows);
            let written = writer.write_deletion_vector(vector).at("write", &path)?;
            descriptors.insert(old.path.clone(), written.to_descriptor(&place));
        }
        writer.finalize().at("write", &path)?;
        let file =
            file.into_inner().map_err(std::io::IntoInnerError::into_error).at("write", &path)?;
        file.sync_all().at("sync", &path)?;
        durable::sync_folder(self.folder())?;
        // A listing with a predicate has columns that the transaction does not expect.
        let files = snapshot.scan_files(None)?.into_iter().map(Ok);
        transaction
            .update_deletion_vectors(descriptors, files)
            .context("mark rows dead in table", subject)?;
        Ok(file.metadata().at("measure", &path)?.len())
    }
}

fn identities(files: &[DataFile]) -> BTreeSet<FileIdentity> {
    files.iter().map(DataFile::identity).collect()
}

/// Grows to about 50 ms, and differs between processes.
fn conflict_pause(round: u32) -> Duration {
    let jitter = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos() % 8);
    Duration::from_millis(u64::from((round * 2).min(40) + jitter))
}

fn write_context(
    transaction: &Transaction,
    pipe: &PipeName,
) -> Result<BoundWriteContext, delta_kernel::KernelError> {
    let partition = HashMap::from([(PARTITION.to_owned(), Scalar::from(pipe.as_str().to_owned()))]);
    transaction.write_state()?.write_context_builder().with_partition_values(partition).build()
}

fn add_metadata(
    table: &Table,
    file: &NewFile,
    context: &BoundWriteContext,
) -> Result<Box<dyn delta_kernel::EngineData>, CatalogError> {
    let location = table.url().join(&file.path).map_err(|e| CatalogError {
        action: "name the file",
        subject: file.path.clone(),
        source: Cause::Unusable(e.to_string()),
    })?;
    let meta = FileMeta::new(location, file.modified_ms, file.size_bytes);
    build_add_file_metadata(DataFileMetadata::new(meta, file.stats.clone()), context)
        .context("describe the file", &file.path)
}

/// The batches with only those rows selected whose path is in `paths`.
fn select(
    batches: Vec<FilteredEngineData>,
    paths: &BTreeSet<String>,
) -> Result<Vec<FilteredEngineData>, delta_kernel::KernelError> {
    use arrow::array::{AsArray, StringArray};
    let mut selected = Vec::new();
    if paths.is_empty() {
        return Ok(selected);
    }
    for batch in batches {
        let (data, before) = batch.into_parts();
        let data = ArrowEngineData::try_from_engine_data(data)?;
        let names: Option<&StringArray> =
            data.record_batch().column_by_name("path").and_then(|c| c.as_string_opt());
        let chosen = |row: usize| {
            before.get(row).copied().unwrap_or(true)
                && names.is_some_and(|names| paths.contains(names.value(row)))
        };
        let selection: Vec<bool> = (0..data.record_batch().num_rows()).map(chosen).collect();
        if selection.contains(&true) {
            selected.push(FilteredEngineData::try_new(data, selection)?);
        }
    }
    Ok(selected)
}
