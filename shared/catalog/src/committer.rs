//! How an entry gets into the log of a table. A version has one entry: it is written under its name only if there
//! is none, and what was written is not doubted because its answer was lost.

use crate::durable;
use crate::files::Files;
use crate::pause::random_pause;
use bytes::Bytes;
use delta_kernel::committer::{CommitMetadata, CommitResponse, Committer, PublishMetadata};
use delta_kernel::engine::to_json_bytes;
use delta_kernel::{
    Engine, FileMeta, FilteredEngineData, KernelError, KernelResult, KernelResultIterator,
};
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Commits to a table. The library's own committer is not used: in a folder it names an entry before that is on the disk,
/// and a power cut would leave an empty one, which readers take for a commit of nothing.
pub(crate) struct LogCommitter {
    pub files: Files,
}

impl Committer for LogCommitter {
    fn commit(
        &self,
        _: &dyn Engine,
        actions: KernelResultIterator<'_, FilteredEngineData>,
        metadata: CommitMetadata,
    ) -> KernelResult<CommitResponse> {
        let location = metadata.published_commit_path()?;
        let entry = Bytes::from(to_json_bytes(actions)?);
        let bytes = entry.len() as u64;
        let is_ours = match &self.files {
            Files::Folder => durable::put_entry(&file(&location)?, &entry)?,
            Files::Store(store) => {
                let path = ObjectPath::from_url_path(location.path())?;
                store.wait(place(store.objects(), path, entry))?
            }
        };
        if !is_ours {
            return Ok(CommitResponse::Conflict { version: metadata.version() });
        }
        let file_meta = FileMeta::new(location, metadata.in_commit_timestamp(), bytes);
        Ok(CommitResponse::Committed { file_meta })
    }

    fn is_catalog_committer(&self) -> bool {
        false
    }

    fn publish(&self, _: &dyn Engine, publish: PublishMetadata) -> KernelResult<()> {
        match publish.commits_to_publish() {
            [] => Ok(()),
            _ => Err(KernelError::generic("no catalog keeps commits for this table")),
        }
    }
}

fn file(location: &Url) -> KernelResult<PathBuf> {
    location.to_file_path().map_err(|()| KernelError::invalid_table_location(location))
}

/// Rounds of writing and, if that was not confirmed, looking. In each the store itself repeats what fails in
/// passing.
const ROUNDS: u32 = 6;
/// Between rounds: the longest pause after the first, and after any.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Writes the entry if there is none of this name; whether the entry of this name is ours.
///
/// Whatever a write is answered with, only the log says what became of it. A "there is one already" may be
/// about our own entry: the write was carried out, its answer was lost, and it was repeated. A failure may have come
/// after the write was carried out. So we look, and compare: each entry holds a random id of its transaction,
/// and no two are the same. Where there is none, writing again is safe, even beside a write of ours that is
/// still on its way: the later of them is refused, and looks.
///
/// # Errors
///
/// It could not be found out. The entry may be there, or get there yet.
async fn place(
    objects: Arc<dyn ObjectStore>,
    path: ObjectPath,
    entry: Bytes,
) -> Result<bool, Error> {
    let mut round = 1;
    loop {
        let written = objects.put_opts(&path, entry.clone().into(), PutMode::Create.into()).await;
        let Err(failure) = written else { return Ok(true) };
        match look(&objects, &path).await {
            Ok(Some(found)) if found == entry => {
                tracing::info!(%path, %failure, "the commit is in the log, though its answer said otherwise");
                return Ok(true);
            }
            Ok(Some(_)) => return Ok(false),
            _ if round >= ROUNDS || !may_pass(&failure) => return Err(failure),
            _ => {}
        }
        tokio::time::sleep(random_pause(round, FIRST_PAUSE, LONGEST_PAUSE)).await;
        round += 1;
    }
}

async fn look(objects: &Arc<dyn ObjectStore>, path: &ObjectPath) -> Result<Option<Bytes>, Error> {
    match objects.get(path).await {
        Ok(found) => Ok(Some(found.bytes().await?)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

fn may_pass(failure: &Error) -> bool {
    !matches!(
        failure,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::NotFound { .. }
            | Error::InvalidPath { .. }
    )
}
