//! The place of a run's snapshot in a temporary folder, for the tests of what writes and reads there.

use super::{Place, RawFacts, RawSnapshot, RawWriter};
use feedfleet_model::{RunId, RunKey, keys};
use feedfleet_objects::FolderObjects;
use std::io::Read;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The place. It ends with the value.
pub(crate) struct Archive {
    pub(crate) runtime: Runtime,
    pub(crate) place: Place,
    _folder: TempDir,
}

impl Archive {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(FolderObjects::open(folder.path()).unwrap());
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
        let runtime = Runtime::new().unwrap();
        let place = runtime.block_on(async { Place::new(objects, run) });
        Self { runtime, place, _folder: folder }
    }

    pub(crate) fn look(&self) -> RawSnapshot {
        self.runtime.block_on(self.place.look()).unwrap()
    }

    /// Begins the snapshot anew.
    pub(crate) fn begin(&self) -> RawWriter {
        let facts = RawFacts { location: "here".to_owned(), ..RawFacts::default() };
        self.runtime.block_on(RawWriter::begin(&self.look(), facts)).unwrap()
    }

    /// Goes on where the last writer stopped.
    pub(crate) fn resume(&self) -> RawWriter {
        let found = self.look();
        let facts = found.facts.clone().unwrap();
        self.runtime.block_on(RawWriter::resume(&found, facts)).unwrap()
    }

    pub(crate) fn read(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.place.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// The last segments of the keys of all objects that make it up.
    pub(crate) fn keys(&self) -> Vec<String> {
        let prefix = keys::raw_prefix(self.place.run());
        let list = self.place.objects.list(&prefix, None, usize::MAX);
        let listed = self.runtime.block_on(list).unwrap();
        listed.iter().map(|object| object.key.name().to_owned()).collect()
    }
}
