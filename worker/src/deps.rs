//! What a worker works with.

use crate::isolate::Program;
use crate::jobs::image::{Decoders, Draw};
use crate::room::Room;
use feedfleet_catalog::Catalog;
use feedfleet_config::{Environment, Fleet, HostShares, Pipe, Workers};
use feedfleet_fleet::Instance;
use feedfleet_http::{Client, HostGate};
use feedfleet_model::{Clock, PipeName};
use feedfleet_objects::{DeadLetters, Objects, Reports};
use feedfleet_queue::Queue;
use feedfleet_remote::Remote;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a worker's own process holds besides pictures.
const OWN_BASE_BYTES: u64 = 48 << 20;

/// Both queues.
#[derive(Clone)]
pub struct Queues {
    /// One group a pipe.
    pub crawl: Arc<dyn Queue>,
    /// One group a shard of a host.
    pub image: Arc<dyn Queue>,
}

/// Everything a worker works with. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    /// This worker's name: machine and process.
    pub worker: String,
    /// Where `fleet.toml` and `pipes/` are. Pipes are read anew for every job: an edit holds from the next
    /// run on.
    pub config_folder: PathBuf,
    /// What `${NAME}` in a pipe stands for.
    pub environment: Arc<dyn Environment + Send + Sync>,
    /// The fleet's settings.
    pub fleet: Arc<Fleet>,
    /// Both queues.
    pub queues: Queues,
    /// Everything that is not the table.
    pub objects: Arc<dyn Objects>,
    /// The tables.
    pub catalog: Catalog,
    /// The HTTP client, behind the guard.
    pub http: Client,
    /// The client for sources that are not on the web, behind the same guard.
    pub remote: Remote,
    /// Requests at once to one host.
    pub gate: Arc<HostGate>,
    /// Bytes of pictures in this process, on their way from the source to the objects; see [`transfers`].
    pub transfers: Room,
    /// How pictures are decoded.
    pub draw: Draw,
    /// How to start this program again, for each crawl; none: crawls are done in this process.
    pub program: Option<Arc<Program>>,
    /// The machine, where it may be taken away; none where it stays, and in children.
    pub instance: Option<Arc<dyn Instance>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// So long after a file was saved somebody may save it again: an editor that truncates first, or one who sees a mistake.
const JUST_SAVED: Duration = Duration::from_secs(60);

/// What pictures in transfer may take of a worker's memory.
pub fn transfers(workers: &Workers) -> Room {
    Room::new(workers.memory_shares().own_bytes.saturating_sub(OWN_BASE_BYTES))
}

impl Deps {
    /// Lets crawls and decoders run in children: copies of `program`.
    #[must_use]
    pub fn apart(self, program: Program) -> Self {
        let decoders = Decoders::of_worker(program.clone(), &self.fleet.workers);
        Self { draw: Draw::Apart(Arc::new(decoders)), program: Some(Arc::new(program)), ..self }
    }

    /// The run reports.
    pub fn reports(&self) -> Reports {
        Reports::new(self.objects.clone())
    }

    /// The dead letters.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.objects.clone())
    }

    /// How hosts' allowances are dealt out between crawls of sites and pictures, by all pipes as they are now; or what
    /// is wrong with `fleet.toml`.
    pub fn host_shares(&self) -> Result<HostShares, String> {
        let environment = self.environment.as_ref();
        let (config, _) = feedfleet_config::load_lenient(&self.config_folder, environment)
            .map_err(|errors| errors.one_line())?;
        Ok(HostShares::of(self.fleet.hosts.concurrency, &config.pipes))
    }

    /// A pipe's configuration as it is now, or what is wrong with it, on one line.
    pub fn pipe(&self, name: &PipeName) -> Result<Pipe, String> {
        feedfleet_config::load_pipe(&self.config_folder, name, self.environment.as_ref())
            .map_err(|errors| errors.one_line())
    }

    /// Whether a pipe's file is so new that somebody may be at it yet.
    pub(crate) fn was_just_saved(&self, name: &PipeName) -> bool {
        is_new(&self.config_folder.join(feedfleet_config::pipe_file(name)))
    }
}

fn is_new(file: &Path) -> bool {
    let Ok(modified) = file.metadata().and_then(|file| file.modified()) else { return false };
    // A file of the future is no new one for long.
    modified.elapsed().is_ok_and(|age| age < JUST_SAVED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::SystemTime;

    #[test]
    fn a_file_is_new_for_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.toml");
        assert!(!is_new(&path), "it is not there");
        let file = File::create(&path).unwrap();
        assert!(is_new(&path));
        file.set_modified(SystemTime::now() - JUST_SAVED).unwrap();
        assert!(!is_new(&path));
        file.set_modified(SystemTime::now() + JUST_SAVED).unwrap();
        assert!(!is_new(&path));
    }
}
