//! One Delta table: where it is, how it comes to be, and how its log is read. The only place, with
//! [`crate::snapshot`] and [`crate::commit`], that speaks to the Delta kernel.

use crate::committer::LogCommitter;
use crate::durable;
use crate::error::{CatalogError, Cause, Context};
use crate::files::{FilePlace, Files, Found, Store};
use crate::location::Location;
use crate::log_files::{entry_place, is_entry, is_of_log};
use crate::runtime;
use crate::schema::{PARTITION, TableSpec};
use crate::snapshot::Snapshot;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::committer::Committer;
use delta_kernel::transaction::CommitResult;
use delta_kernel::transaction::UpdateTableOperation;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::{Engine, KernelError, KernelResult};
use delta_kernel_default_engine::DefaultEngine;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::{Position, Url};

/// Written into every commit.
pub(crate) const ENGINE_INFO: &str = concat!("feedfleet/", env!("CARGO_PKG_VERSION"));

/// A Delta table. Cheap to clone.
#[derive(Clone)]
pub struct Table {
    inner: Arc<Inner>,
}

struct Inner {
    spec: TableSpec,
    /// Its folder, where it is on this machine.
    folder: Option<PathBuf>,
    url: Url,
    files: Files,
    engine: Arc<dyn Engine>,
}

/// What the tables of one catalog have in common.
pub(crate) struct Root {
    folder: Option<PathBuf>,
    url: Url,
    files: Files,
    engine: Arc<dyn Engine>,
}

/// Times a log on this machine is read before it is taken to be damaged. The listing of a folder that is being written to
/// may lack an entry and have the next.
pub(crate) const READS: u32 = 5;

/// Entries of a log that are fetched at once from a store.
const FETCHED_AT_ONCE: NonZero<usize> = NonZero::new(32).expect("32 is not zero");

impl Root {
    pub fn new(location: &Location) -> Result<Self, CatalogError> {
        let url = location.address()?;
        let (folder, files) = match location {
            Location::Folder(folder) => {
                (Some(std::path::absolute(folder).at("find", folder)?), Files::Folder)
            }
            Location::Store { store, .. } => (None, Files::Store(Store::new(store.clone())?)),
        };
        let objects: Arc<dyn ObjectStore> = match &files {
            Files::Folder => Arc::new(LocalFileSystem::new()),
            Files::Store(store) => store.objects(),
        };
        let mut engine = DefaultEngine::builder(objects).with_task_executor(runtime::executor()?);
        if folder.is_none() {
            engine = engine.with_buffer_size(FETCHED_AT_ONCE);
        }
        Ok(Self { folder, url, files, engine: Arc::new(engine.build()) })
    }
}

/// Where the log is, below a table.
pub(crate) const LOG: &str = "_delta_log/";

impl Table {
    pub(crate) fn new(root: &Root, spec: TableSpec) -> Result<Self, CatalogError> {
        let name = spec.name;
        let url = root.url.join(&format!("{name}/")).map_err(|e| CatalogError {
            action: "name the table",
            subject: name.to_owned(),
            source: Cause::Unusable(e.to_string()),
        })?;
        let folder = root.folder.as_ref().map(|folder| folder.join(name));
        let (files, engine) = (root.files.clone(), root.engine.clone());
        Ok(Self { inner: Arc::new(Inner { spec, folder, url, files, engine }) })
    }

    /// What the table looks like.
    pub fn spec(&self) -> &TableSpec {
        &self.inner.spec
    }

    /// The table's folder; none where it is in an object store.
    pub fn folder(&self) -> Option<&Path> {
        self.inner.folder.as_deref()
    }

    /// The table's address; it ends with a slash.
    pub fn url(&self) -> &Url {
        &self.inner.url
    }

    /// Where the table is, for people.
    pub fn address(&self) -> String {
        self.folder().map_or_else(|| self.url().to_string(), |folder| folder.display().to_string())
    }

    /// The object store that the table is in, and its address, such as `s3://bucket`; none where the table is on
    /// this machine.
    pub fn store(&self) -> Option<(&str, Arc<dyn ObjectStore>)> {
        match self.files() {
            Files::Store(store) => Some((&self.url()[..Position::BeforePath], store.objects())),
            Files::Folder => None,
        }
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.inner.engine.as_ref()
    }

    pub(crate) fn files(&self) -> &Files {
        &self.inner.files
    }

    /// What writes entries of the log.
    pub(crate) fn committer(&self) -> Box<dyn Committer> {
        Box::new(LogCommitter { files: self.files().clone() })
    }

    /// Makes the names of the log's entries durable, also of those whose writers have not come to that: before somebody
    /// acknowledges what he found there.
    pub fn sync_log(&self) -> Result<(), CatalogError> {
        self.folder().map_or(Ok(()), |folder| durable::sync_folder(&folder.join(LOG)))
    }

    /// Where a path is; `path` as the log writes it, that is, as a relative URL.
    pub(crate) fn place(&self, path: &str) -> Result<FilePlace, CatalogError> {
        self.place_of(self.url().join(path).ok().as_ref(), path)
    }

    /// Where a deletion vector is; none if the log itself holds it.
    pub(crate) fn vector_place(
        &self,
        vector: &DeletionVectorDescriptor,
    ) -> Result<Option<FilePlace>, CatalogError> {
        let subject = vector.path_or_inline_dv.as_str();
        let url = vector.absolute_path(self.url()).context("find the deletion vector", subject)?;
        url.map(|url| self.place_of(Some(&url), subject)).transpose()
    }

    /// Where the file with this address is.
    pub(crate) fn place_of(
        &self,
        url: Option<&Url>,
        subject: &str,
    ) -> Result<FilePlace, CatalogError> {
        let place = url.and_then(|url| self.files().place(url, self.url()));
        place.ok_or_else(|| CatalogError {
            action: "find the file",
            subject: subject.to_owned(),
            source: Cause::Unusable("it is not where the catalog is".into()),
        })
    }

    /// The newest state; none while the table has not been created.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, CatalogError> {
        // A store is asked by the listing that loading begins with.
        if self.folder().is_some_and(|folder| !folder.join(LOG).is_dir()) {
            return Ok(None);
        }
        let refused = |loaded: &Result<Snapshot, CatalogError>| {
            let failed = loaded.as_ref().is_err_and(CatalogError::is_failure_of_store);
            failed && self.folder().is_none()
        };
        let mut loaded = self.load(None);
        if refused(&loaded) {
            // The store has repeated the request, but not one whose answer broke off.
            loaded = self.load(None);
        }
        match loaded {
            Ok(snapshot) => Ok(Some(snapshot)),
            // To list the whole log would not help.
            failed if refused(&failed) => failed.map(Some),
            // The log's folder is made a moment before the first entry.
            Err(_) if !self.has_log_entry()? => Ok(None),
            // The first entry, or a clean-up of the log, came while it was read, or an entry while it was listed.
            Err(_) => self.load_again().map(Some),
        }
    }

    fn load_again(&self) -> Result<Snapshot, CatalogError> {
        let mut loaded = self.load(None);
        for _ in 2..READS {
            if loaded.is_ok() || self.folder().is_none() {
                break;
            }
            loaded = self.load(None);
        }
        loaded
    }

    /// The state at a version.
    pub fn snapshot_at(&self, version: u64) -> Result<Option<Snapshot>, CatalogError> {
        self.load(Some(version)).map(Some)
    }

    /// Whether no version is newer than this one, which was the newest once. That is two small requests of a store,
    /// where reading a log is dozens.
    pub fn is_newest(&self, version: u64) -> Result<bool, CatalogError> {
        let has_entry = |version: u64| -> Result<bool, CatalogError> {
            Ok(self.files().size(&entry_place(self, version)?)?.is_some())
        };
        // Where the next version came and went, with the log before a checkpoint, this one has gone too.
        Ok(!has_entry(version + 1)? && has_entry(version)?)
    }

    fn load(&self, version: Option<u64>) -> Result<Snapshot, CatalogError> {
        let mut builder = delta_kernel::Snapshot::builder_for(self.url());
        if let Some(version) = version {
            builder = builder.at_version(version);
        }
        let inner =
            builder.build(self.engine()).context("read the log of table", self.url().as_str())?;
        Ok(Snapshot::new(self.clone(), inner))
    }

    pub(crate) fn has_log_entry(&self) -> Result<bool, CatalogError> {
        Ok(has_entry(&self.list_log()?))
    }

    /// A file in the log of a table that has nothing of a table. It keeps the table from being made: the kernel takes any
    /// for one.
    pub fn in_the_way(&self) -> Result<Option<String>, CatalogError> {
        if self.folder().is_some_and(|folder| !folder.join(LOG).is_dir()) {
            return Ok(None);
        }
        let log = self.list_log()?;
        Ok(foreign(&log).map(|found| found.place.to_string()))
    }

    pub(crate) fn list_log(&self) -> Result<Vec<Found>, CatalogError> {
        self.files().list(&self.place(LOG)?)
    }

    /// The newest state of a table that exists and has every column of this build: created, or given the
    /// columns it lacks, if need be. Safe beside others doing the same.
    pub fn ensure(&self) -> Result<Snapshot, CatalogError> {
        loop {
            let created = match self.snapshot()? {
                None => self.create()?,
                Some(snapshot) => {
                    let missing = self.missing_columns(&snapshot)?;
                    if missing.is_empty() {
                        return Ok(snapshot);
                    }
                    self.evolve(&snapshot, &missing)?
                }
            };
            if created {
                tracing::info!(
                    table = self.spec().name,
                    "the table has all columns of this release"
                );
            }
        }
    }

    fn create(&self) -> Result<bool, CatalogError> {
        self.folder().map_or(Ok(()), durable::sync_log_folder)?;
        let made =
            create_table(self.url().as_str(), self.spec().schema.clone(), ENGINE_INFO, false)
                .with_table_properties([
                    ("delta.enableDeletionVectors", "true".to_owned()),
                    ("delta.dataSkippingStatsColumns", self.spec().stats_columns.join(",")),
                ])
                .with_data_layout(DataLayout::partitioned([PARTITION]))
                .build(self.engine(), self.committer())
                .and_then(|transaction| transaction.commit(self.engine()))
                .and_then(is_ours);
        let error = match made {
            Ok(is_ours) => return Ok(is_ours),
            Err(e) => e,
        };
        let log = self.list_log()?;
        // Somebody else created it meanwhile.
        if has_entry(&log) {
            return Ok(false);
        }
        let was_taken_for_one =
            matches!(error.without_backtrace(), KernelError::TableAlreadyExistsAtPath(_));
        let cause = match foreign(&log).filter(|_| was_taken_for_one) {
            Some(other) => Cause::Contended(format!(
                "its log has no entry, but another file, '{}': move that out of there",
                other.place
            )),
            None => error.into(),
        };
        Err(cause).context("create table", self.url().as_str())
    }

    pub(crate) fn missing_columns(&self, snapshot: &Snapshot) -> Result<Vec<String>, CatalogError> {
        let present = snapshot.inner.schema();
        let mut missing = Vec::new();
        for field in self.spec().schema.fields() {
            match present.field(field.name()) {
                None => missing.push(field.name().to_owned()),
                Some(found) if found.data_type() != field.data_type() => {
                    return Err(CatalogError {
                        action: "use table",
                        subject: self.url().to_string(),
                        source: Cause::Unusable(format!(
                            "column '{}' is {}, this release needs {}",
                            field.name(),
                            found.data_type(),
                            field.data_type()
                        )),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(missing)
    }

    fn evolve(&self, snapshot: &Snapshot, missing: &[String]) -> Result<bool, CatalogError> {
        let mut builder = snapshot.inner.clone().update_table(
            UpdateTableOperation::AlterTable,
            ENGINE_INFO,
            false,
        );
        for field in self.spec().schema.fields().filter(|f| missing.contains(f.name())) {
            builder = builder.add_column(field.clone());
        }
        builder
            .build(self.engine(), self.committer())
            .and_then(|transaction| transaction.commit(self.engine()))
            .and_then(is_ours)
            .context("add columns to table", self.url().as_str())
    }
}

/// A file in a log where nothing is left of a table: what is, is not to be moved away.
fn foreign(log: &[Found]) -> Option<&Found> {
    let is_of_table =
        |name: &str| is_of_log(name) || name.contains(".checkpoint.") || name == "_last_checkpoint";
    let is_left = log.iter().any(|found| found.place.name().is_some_and(is_of_table));
    log.first().filter(|_| !is_left)
}

fn has_entry(log: &[Found]) -> bool {
    log.iter().any(|found| found.place.name().is_some_and(is_entry))
}

/// Whether the commit is in; not, if somebody else took the version.
fn is_ours<S>(result: CommitResult<S>) -> KernelResult<bool> {
    match result {
        CommitResult::Committed(_) => Ok(true),
        CommitResult::Conflicted(_) => Ok(false),
        CommitResult::Retryable(failed) => Err(failed.error),
    }
}
