//! Commits: one transaction that adds files, marks rows dead, takes files out, and carries the fence.

use crate::error::{CatalogError, Cause, Context};
use crate::files::Draft;
use crate::pause::random_pause;
use crate::schema::PARTITION;
use crate::snapshot::{DataFile, FileIdentity, Snapshot};
use crate::table::{ENGINE_INFO, Table};
use crate::writer::NewFile;
use delta_kernel::FileMeta;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::actions::deletion_vector_writer::{
    KernelDeletionVector, StreamingDeletionVectorWriter,
};
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
use std::io::{self, BufWriter};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// The newest run of an application, as a change that rests on it found it; see [`Table::commit_run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The application.
    pub app_id: String,
    /// Its newest run in the table; none where there was none.
    pub run: Option<i64>,
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

/// On this machine conflicts with other pipes' commits are settled in milliseconds; this many in a row are a fault.
const MAX_CONFLICTS: u32 = 200;
/// In a store an attempt takes a good part of a second, and of those that meet one gets in: a hundred runs that end
/// together need minutes, however they are spread.
const STORE_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The longest pause after the first conflict in a store, and after any.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long what one attempt prepared serves the next; far shorter than vacuum's grace.
const PREPARED_LASTS: Duration = Duration::from_secs(60 * 60);

impl Table {
    /// Commits a change, or says why it must not be. On any error the caller reads the fence again before
    /// it decides anything: the entry may have been written.
    pub fn commit(&self, change: &Change) -> Result<CommitOutcome, CatalogError> {
        self.commit_if(change, &[], |_| Ok(true))
    }

    /// As [`commit`](Self::commit), for a run of a pipe or of a supplement, which is void
    /// ([`CommitOutcome::Moved`]) also where one of these fences is not what it was in the snapshot that the run was
    /// worked out from. One is that of the pipe's rollbacks ([`rollback_app_id`](crate::rollback_app_id)): a rollback
    /// need not change a file, and whoever asked for it counts on what it found. Of a pipe, those of its supplements
    /// are others: its rows are made with what they said.
    pub fn commit_run(
        &self,
        change: &Change,
        grounds: &[Ground],
    ) -> Result<CommitOutcome, CatalogError> {
        self.commit_if(change, &[], |now| {
            for Ground { app_id, run } in grounds {
                if now.fence(app_id)? != *run {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// As [`commit`](Self::commit), for a change that rests on more than its fence and its files: it is
    /// void ([`CommitOutcome::Moved`]) where `holds` says no of the version that it would follow. `said` stands in the
    /// table's history, by name.
    pub(crate) fn commit_if(
        &self,
        change: &Change,
        said: &[(&'static str, String)],
        holds: impl Fn(&Snapshot) -> Result<bool, CatalogError>,
    ) -> Result<CommitOutcome, CatalogError> {
        let begun = Instant::now();
        let mut prepared = None;
        let mut conflicts = 0;
        loop {
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
            if let Some(outcome) = self.try_commit(&snapshot, change, said, &mut prepared)? {
                return Ok(outcome);
            }
            conflicts += 1;
            let is_local = self.folder().is_some();
            let Some(pause) = pause_after(conflicts, begun.elapsed(), is_local) else {
                return Err(CatalogError {
                    action: "commit to table",
                    subject: self.url().to_string(),
                    source: Cause::Contended(format!(
                        "{conflicts} other commits came first, one after another"
                    )),
                });
            };
            std::thread::sleep(pause);
        }
    }

    /// None when another commit took the version.
    fn try_commit(
        &self,
        snapshot: &Snapshot,
        change: &Change,
        said: &[(&'static str, String)],
        kept: &mut Option<Prepared>,
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
            .with_operation_parameters(said.iter().map(|(name, text)| (*name, Some(text.as_str()))))
            .build(self.engine(), self.committer())
            .context("begin a commit to table", subject)?
            .with_transaction_id(change.fence.app_id.clone(), change.fence.run)
            .with_operation_metrics(metrics);
        let context = write_context(&transaction, &change.pipe)
            .context("begin a commit to table", subject)?;

        let prepared = match kept.take().filter(Prepared::is_fresh) {
            Some(prepared) => prepared,
            None => self.prepare(snapshot, change, &context)?,
        };
        let prepared = kept.insert(prepared);
        for file in &change.adds {
            transaction.add_files(add_metadata(self, file, &context)?);
        }
        // Each listing of all files is a reading of the log. One with a predicate has columns that the transaction
        // does not expect.
        if !prepared.vectors.is_empty() {
            let files = snapshot.scan_files(None)?.into_iter().map(Ok);
            transaction
                .update_deletion_vectors(prepared.vectors.clone(), files)
                .context("mark rows dead in table", subject)?;
        }
        if !change.drops.is_empty() {
            for batch in select(snapshot.scan_files(None)?, &change.drops)
                .context("list the files of table", subject)?
            {
                transaction.remove_files(batch);
            }
        }

        // From here on the entry may be written, also where that seems to fail.
        change.adds.iter().for_each(NewFile::keep);
        match transaction.commit(self.engine()).context("commit to table", subject)? {
            CommitResult::Committed(done) => {
                let version = done.commit_version();
                let vector_bytes = prepared.vector_bytes;
                Ok(Some(CommitOutcome::Committed { version, vector_bytes }))
            }
            CommitResult::Conflicted(_) => Ok(None),
            CommitResult::Retryable(failed) => {
                Err(failed.error).context("commit to table", subject)
            }
        }
    }

    /// A writer that stood still for longer than vacuum's grace must not name files that are gone.
    fn find(&self, file: &NewFile) -> Result<(), CatalogError> {
        let place = self.place(&file.path)?;
        let said = match self.files().size(&place)? {
            Some(bytes) if bytes == file.size_bytes => return Ok(()),
            Some(bytes) => format!("it has {bytes} bytes of {}", file.size_bytes),
            None => "it is gone".to_owned(),
        };
        Err(io::Error::new(io::ErrorKind::NotFound, said)).with("find the new file", &place)
    }

    /// Looks for the change's files, and writes one file with all its deletion vectors.
    fn prepare(
        &self,
        snapshot: &Snapshot,
        change: &Change,
        context: &BoundWriteContext,
    ) -> Result<Prepared, CatalogError> {
        let at = SystemTime::now();
        for file in &change.adds {
            self.find(file)?;
        }
        let mut vectors = HashMap::new();
        let mut vector_bytes = 0;
        if !change.dead.is_empty() {
            vector_bytes = self.write_vectors(snapshot, change, context, &mut vectors)?;
        }
        Ok(Prepared { at, vectors, vector_bytes })
    }

    /// The size of the file in bytes.
    fn write_vectors(
        &self,
        snapshot: &Snapshot,
        change: &Change,
        context: &BoundWriteContext,
        vectors: &mut HashMap<String, DeletionVectorDescriptor>,
    ) -> Result<u64, CatalogError> {
        let subject = self.url().as_str();
        let place = context.new_deletion_vector_path(String::new());
        let url = place.absolute_path().context("name a deletion vector of", subject)?;
        let target = self.place_of(Some(&url), url.as_str())?;
        let mut file = BufWriter::new(self.files().create(&target, Draft::Unlisted)?);
        let mut writer = StreamingDeletionVectorWriter::new(&mut file);
        for old in &change.base {
            let Some(rows) = change.dead.get(&old.path) else { continue };
            let mut vector = KernelDeletionVector::new();
            vector.add_deleted_row_indexes(snapshot.dead_rows(old)?);
            vector.add_deleted_row_indexes(rows);
            let written = writer.write_deletion_vector(vector).with("write", &target)?;
            vectors.insert(old.path.clone(), written.to_descriptor(&place));
        }
        writer.finalize().with("write", &target)?;
        let file =
            file.into_inner().map_err(io::IntoInnerError::into_error).with("write", &target)?;
        file.finish()
    }
}

/// What one attempt at a commit leaves to the next. It serves as long as the pipe is as the change found it, and each
/// attempt begins with a look at that.
struct Prepared {
    /// When the change's files were seen in their places.
    at: SystemTime,
    /// The new deletion vectors, which are written, by the paths of their files.
    vectors: HashMap<String, DeletionVectorDescriptor>,
    /// Bytes that were written.
    vector_bytes: u64,
}

impl Prepared {
    fn is_fresh(&self) -> bool {
        self.at.elapsed().is_ok_and(|age| age < PREPARED_LASTS)
    }
}

fn identities(files: &[DataFile]) -> BTreeSet<FileIdentity> {
    files.iter().map(DataFile::identity).collect()
}

/// The pause after so many conflicts in so long a time; none when it is enough.
fn pause_after(conflicts: u32, so_long: Duration, is_local: bool) -> Option<Duration> {
    if is_local {
        return (conflicts < MAX_CONFLICTS).then(|| local_pause(conflicts));
    }
    (so_long < STORE_PATIENCE).then(|| random_pause(conflicts, FIRST_PAUSE, LONGEST_PAUSE))
}

/// Grows to about 50 ms, and differs between processes.
fn local_pause(conflicts: u32) -> Duration {
    let jitter = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos() % 8);
    Duration::from_millis(u64::from((conflicts * 2).min(40) + jitter))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_counted_on_this_machine_and_timed_in_a_store() {
        let (soon, late) = (Duration::from_secs(60), Duration::from_secs(600));
        assert!(pause_after(MAX_CONFLICTS - 1, late, true).is_some());
        assert_eq!(pause_after(MAX_CONFLICTS, soon, true), None);
        assert!(pause_after(10 * MAX_CONFLICTS, soon, false).is_some());
        assert_eq!(pause_after(1, late, false), None);
    }
}
