//! What the scheduler works with.

use crate::metrics::Meters;
use feedfleet_catalog::{Catalog, CatalogError, RunCommit, feed_app_id};
use feedfleet_config::{Environment, Fleet};
use feedfleet_model::{Clock, RunKey};
use feedfleet_objects::{ObjectError, Objects, Reports};
use feedfleet_queue::Queue;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::{JoinError, spawn_blocking};

/// Everything the scheduler works with. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    /// Where `fleet.toml` and `pipes/` are; read anew at every tick.
    pub config_folder: PathBuf,
    /// What `${NAME}` in the configuration stands for.
    pub environment: Arc<dyn Environment + Send + Sync>,
    /// The fleet's settings, as they were when the scheduler began.
    pub fleet: Arc<Fleet>,
    /// Crawl jobs.
    pub crawl: Arc<dyn Queue>,
    /// Image jobs.
    pub image: Arc<dyn Queue>,
    /// Everything that is not the table.
    pub objects: Arc<dyn Objects>,
    /// The tables.
    pub catalog: Catalog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether to issue the runs that pipes' schedules ask for; a demonstration issues its own.
    pub issue_due_runs: bool,
    /// Where figures go; none where nobody wants them.
    pub meters: Option<Meters>,
    /// Complaints made already.
    pub complaints: Arc<Mutex<HashSet<String>>>,
}

impl Deps {
    /// The run reports.
    pub fn reports(&self) -> Reports {
        Reports::new(self.objects.clone())
    }

    /// A fence of the product table, as it is now.
    pub(crate) async fn fence(
        &self,
        app_id: String,
    ) -> Result<Result<Option<i64>, CatalogError>, JoinError> {
        let table = self.catalog.products().clone();
        let read = move || match table.snapshot()? {
            Some(snapshot) => snapshot.fence(&app_id),
            None => Ok(None),
        };
        spawn_blocking(read).await
    }

    /// What the product table's log knows of a run's commit.
    pub(crate) async fn commit_of(
        &self,
        run: &RunKey,
    ) -> Result<Result<Option<RunCommit>, CatalogError>, JoinError> {
        let (products, run) = (self.catalog.products().clone(), run.clone());
        spawn_blocking(move || products.commit_of(&feed_app_id(&run.pipe), run.run.0)).await
    }

    /// Deletes the objects whose key begins so.
    pub(crate) async fn delete_all(&self, prefix: &str) -> Result<(), ObjectError> {
        for found in self.objects.list(prefix, None, usize::MAX).await? {
            self.objects.delete(&found.key).await?;
        }
        Ok(())
    }

    /// Logs a mistake in the configuration, once and not at every tick.
    pub(crate) fn complain(&self, text: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.insert(text.to_owned()) {
            tracing::error!("{text}");
        }
    }
}
