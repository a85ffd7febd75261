//! What the commands work with, opened from the configuration.

use crate::cloud::Cloud;
use anyhow::{Context as _, Result, bail};
use feedfleet_catalog::{Catalog, Location};
use feedfleet_config::{
    Config, ConfigError, ConfigErrors, Environment, FleetBackend, Place, ProcessEnvironment,
    QueueBackend,
};
use feedfleet_fleet::{Fleet, Instance};
use feedfleet_http::{Client, ClientOptions, GuardPolicy, HostGate};
use feedfleet_model::{Clock, PipeName, SystemClock};
use feedfleet_objects::{FolderObjects, Objects, Reports, make_folder};
use feedfleet_queue::{Queue, SqliteQueue, SqliteQueueOptions};
use feedfleet_remote::Remote;
use feedfleet_scheduler::Meters;
use feedfleet_worker::Queues;
use feedfleet_worker::executor::RECEIVE_SLACK;
use feedfleet_worker::jobs::image::Draw;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// Everything that a command may need.
pub struct Context {
    /// The configuration; pipes with mistakes are not in it.
    pub config: Config,
    /// The mistakes.
    pub mistakes: ConfigErrors,
    /// What `${NAME}` stands for.
    pub environment: Arc<dyn Environment + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// AWS, where the configuration names it.
    pub cloud: Cloud,
}

impl Context {
    /// Loads the configuration.
    pub fn load(folder: &Path) -> Result<Self> {
        let environment: Arc<dyn Environment + Send + Sync> = Arc::new(ProcessEnvironment);
        let (config, mistakes) = feedfleet_config::load_lenient(folder, environment.as_ref())?;
        let cloud = Cloud::new(config.fleet.aws.region.clone());
        Ok(Self { config, mistakes, environment, clock: Arc::new(SystemClock), cloud })
    }

    /// As [`Context::load`], for commands that make no sense where nothing is configured.
    pub fn load_existing(folder: &Path) -> Result<Self> {
        let context = Self::load(folder)?;
        let config = &context.config;
        if config.fleet_file.is_none() && config.pipes.is_empty() && context.mistakes.is_empty() {
            bail!(
                "there is neither a fleet.toml nor a pipe in {}; go to the folder that has them, name it \
                 with --config, or begin with a pipes/NAME.toml (docs/configuration.md)",
                config.folder.display()
            );
        }
        Ok(context)
    }

    /// The mistakes in the file of a pipe, or of a supplement's pipe.
    pub fn mistakes_of(&self, name: &PipeName) -> impl Iterator<Item = &ConfigError> {
        let pipe = name.pipe();
        let is_its = move |file: &Path| file.file_stem().is_some_and(|stem| stem == pipe.as_str());
        self.mistakes.iter().filter(move |mistake| is_its(&mistake.file))
    }

    /// The pipes whose files lack nothing but variables. The fleet may have those: secrets need not be where its
    /// operator is.
    pub fn lacking_variables(&self) -> Vec<PipeName> {
        let mut files: BTreeMap<&Path, bool> = BTreeMap::new();
        for mistake in self.mistakes.iter() {
            *files.entry(mistake.file.as_path()).or_insert(true) &= mistake.unset.is_some();
        }
        let lacking = files.into_iter().filter(|(_, lacks_only_variables)| *lacks_only_variables);
        lacking.filter_map(|(file, _)| file.file_stem()?.to_str()?.parse().ok()).collect()
    }

    /// Whether a mistake is a variable that workers on other machines may have.
    pub fn may_be_set_elsewhere(&self, mistake: &ConfigError) -> bool {
        mistake.unset.is_some() && self.config.fleet.fleet != FleetBackend::Processes
    }

    /// The objects.
    pub fn objects(&self) -> Result<Arc<dyn Objects>> {
        match &self.config.fleet.objects.place {
            Place::Folder(folder) => Ok(Arc::new(FolderObjects::open(folder)?)),
            Place::S3 { bucket, prefix } => self.cloud.objects(bucket, prefix),
        }
    }

    /// The run reports.
    pub fn reports(&self) -> Result<Reports> {
        Ok(Reports::new(self.objects()?))
    }

    /// The tables.
    pub fn catalog(&self) -> Result<Catalog> {
        let location = match &self.config.fleet.catalog.place {
            Place::Folder(folder) => Location::from(folder),
            Place::S3 { bucket, prefix } => self.cloud.location(bucket, prefix)?,
        };
        Ok(Catalog::open(location)?)
    }

    /// Both queues.
    pub fn queues(&self) -> Result<Queues> {
        let receives = self.receives();
        match &self.config.fleet.queue.backend {
            QueueBackend::Sqlite { path } => sqlite(path, receives),
            QueueBackend::Sqs { crawl_url, image_url, crawl_dead_url, image_dead_url } => {
                Ok(Queues {
                    crawl: self.cloud.crawl_queue(crawl_url, crawl_dead_url, receives)?,
                    image: self.cloud.image_queue(image_url, image_dead_url, receives)?,
                })
            }
        }
    }

    /// Receives after which the queue gives a message up by itself: long after the worker, whose dead letters carry a
    /// reason.
    pub fn receives(&self) -> u32 {
        self.config.fleet.leases.max_receives.saturating_add(2 * RECEIVE_SLACK)
    }

    /// The workers, where they are on machines of their own; none where they are processes of this one.
    pub fn group(&self) -> Result<Option<Box<dyn Fleet>>> {
        match &self.config.fleet.fleet {
            FleetBackend::Processes => Ok(None),
            FleetBackend::AutoScaling { group } => {
                self.cloud.group(group, self.clock.clone()).map(Some)
            }
        }
    }

    /// This machine, where the fleet may take it away; none where it stays.
    pub async fn instance(&self) -> Result<Option<Arc<dyn Instance>>> {
        match &self.config.fleet.fleet {
            FleetBackend::Processes => Ok(None),
            FleetBackend::AutoScaling { group } => self.cloud.instance(group).await.map(Some),
        }
    }

    /// Where figures go; none where nobody wants them.
    fn meters(&self) -> Result<Option<Meters>> {
        let metrics = &self.config.fleet.metrics;
        let Some(namespace) = &metrics.cloudwatch else { return Ok(None) };
        let sink = self.cloud.metrics(namespace)?;
        Ok(Some(Meters::new(sink, metrics.worker_hour, self.clock.now())))
    }

    /// The HTTP client, behind the guard.
    pub fn http(&self) -> Result<Client> {
        let mut options = ClientOptions::new(self.config.fleet.http.user_agent.clone());
        options.policy = self.policy();
        // A site's crawl asks so many times at once, again and again: what is kept is not connected anew.
        options.max_idle_per_host = self.config.fleet.hosts.concurrency;
        Ok(Client::new(options)?)
    }

    /// The client for sources that are not on the web, behind the same guard.
    pub fn remote(&self) -> Remote {
        Remote::new(self.policy()).with_buckets(self.cloud.buckets())
    }

    fn policy(&self) -> GuardPolicy {
        let allow_private = self.config.fleet.http.allow_private.clone();
        GuardPolicy { allow_private, ..GuardPolicy::default() }
    }

    /// What a worker works with; it does everything in this process.
    pub fn worker(&self) -> Result<feedfleet_worker::Deps> {
        let fleet = self.config.fleet.clone();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let concurrency = NonZeroUsize::new(fleet.hosts.concurrency).unwrap_or(NonZeroUsize::MIN);
        Ok(feedfleet_worker::Deps {
            worker: format!("{host}/{}", std::process::id()),
            config_folder: self.config.folder.clone(),
            environment: self.environment.clone(),
            queues: self.queues()?,
            objects: self.objects()?,
            catalog: self.catalog()?,
            http: self.http()?,
            remote: self.remote(),
            gate: Arc::new(HostGate::new(concurrency)),
            transfers: feedfleet_worker::transfers(&fleet.workers),
            draw: Draw::Here,
            program: None,
            instance: None,
            clock: self.clock.clone(),
            fleet: Arc::new(fleet),
        })
    }

    /// What a scheduler works with.
    pub fn scheduler(&self) -> Result<feedfleet_scheduler::Deps> {
        let queues = self.queues()?;
        Ok(feedfleet_scheduler::Deps {
            config_folder: self.config.folder.clone(),
            environment: self.environment.clone(),
            fleet: Arc::new(self.config.fleet.clone()),
            crawl: queues.crawl,
            image: queues.image,
            objects: self.objects()?,
            catalog: self.catalog()?,
            clock: self.clock.clone(),
            issue_due_runs: true,
            meters: self.meters()?,
            complaints: Arc::default(),
        })
    }
}

/// Both queues in one file.
fn sqlite(path: &Path, receives: u32) -> Result<Queues> {
    if let Some(folder) = path.parent() {
        make_folder(folder)
            .with_context(|| format!("could not create the queue's folder {}", folder.display()))?;
    }
    let open = |name: &str| -> Result<Arc<dyn Queue>> {
        let options = SqliteQueueOptions::new(receives);
        Ok(Arc::new(SqliteQueue::open(path, name, options)?))
    };
    Ok(Queues { crawl: open("crawl")?, image: open("image")? })
}
