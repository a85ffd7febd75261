//! The newest state of a table, for duties that look at it again and again. Its log is read when there is a newer
//! version, and not otherwise: a log is dozens of requests of a store, each paid for, and the question is two.

use feedfleet_catalog::{CatalogError, DataFile, Snapshot, Table};
use feedfleet_model::PipeName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A table, and what it was when it was last looked at. Cheap to clone; what one clone has read, the others know.
#[derive(Clone)]
pub(crate) struct Newest {
    table: Table,
    last: Arc<Mutex<Option<Arc<State>>>>,
}

/// A table at one version.
pub(crate) struct State {
    /// The version.
    pub(crate) snapshot: Snapshot,
    /// Its files, by the pipe whose rows they hold, each pipe's in the order of their paths.
    pub(crate) files: BTreeMap<PipeName, Vec<DataFile>>,
}

impl Newest {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, last: Arc::default() }
    }

    /// The table.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// The newest state; none while the table has not been created. Blocks.
    pub(crate) fn look(&self) -> Result<Option<Arc<State>>, CatalogError> {
        let last = self.last().clone();
        if let Some(last) = last
            && self.table.is_newest(last.snapshot.version())?
        {
            return Ok(Some(last));
        }
        let Some(snapshot) = self.table.snapshot()? else { return Ok(None) };
        let mut files: BTreeMap<PipeName, Vec<DataFile>> = BTreeMap::new();
        for file in snapshot.files(None)? {
            if let Ok(pipe) = file.pipe.parse() {
                files.entry(pipe).or_default().push(file);
            }
        }
        let state = Arc::new(State { snapshot, files });
        *self.last() = Some(state.clone());
        Ok(Some(state))
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<State>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The files of one pipe.
    pub(crate) fn files_of(&self, pipe: &PipeName) -> &[DataFile] {
        self.files.get(pipe).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, acme};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_is_read_when_there_is_a_newer_version_and_not_otherwise() {
        let world = World::new();
        let newest = Newest::new(world.deps.catalog.products().clone());
        assert!(newest.look().unwrap().is_none(), "there is no table");
        world.add_rows(1, &["a"]);
        let first = newest.look().unwrap().unwrap();
        assert_eq!(first.files_of(&acme()).len(), 1);
        let again = newest.clone().look().unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again), "nothing was read");

        world.add_rows(2, &["b"]);
        let second = newest.look().unwrap().unwrap();
        assert_eq!(second.files_of(&acme()).len(), 2);
        // A version that had a successor, of which nothing is left.
        world.add_rows(3, &["c"]);
        world.add_rows(4, &["d"]);
        let entry = |version: u64| world.table_path(&format!("_delta_log/{version:020}.json"));
        let version = second.snapshot.version();
        newest.table().snapshot().unwrap().unwrap().checkpoint().unwrap();
        for gone in [version, version + 1] {
            std::fs::remove_file(entry(gone)).unwrap();
        }
        assert_eq!(newest.look().unwrap().unwrap().files_of(&acme()).len(), 4);
    }
}
