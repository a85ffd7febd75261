//! A scheduler's world in a temporary folder, for the tests of its duties: real objects, tables and queues, and
//! a clock that moves when it is told to. Its one pipe is `acme`.

use crate::deps::Deps;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_catalog::writer::PartWriter;
use feedfleet_catalog::{
    Catalog, Change, CommitOutcome, Fence, Snapshot, feed_app_id, images, read,
};
use feedfleet_config::{Fleet, Place};
use feedfleet_model::clock::ManualClock;
use feedfleet_model::image::{ImageEntry, ImageStatus};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::{RunState, Trigger};
use feedfleet_model::{Clock, ImageJob, Job, PipeName, RunId, RunKey, RunReport};
use feedfleet_objects::FolderObjects;
use feedfleet_queue::{NewMessage, Queue, Receive, SqliteQueue, SqliteQueueOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// The folder of the objects, below the world's.
const OBJECTS: &str = "objects";

/// The world. It ends with the value.
pub(crate) struct World {
    pub(crate) deps: Deps,
    pub(crate) clock: Arc<ManualClock>,
    folder: TempDir,
}

pub(crate) fn acme() -> PipeName {
    "acme".parse().unwrap()
}

pub(crate) fn run(run: i64) -> RunKey {
    RunKey { pipe: acme(), run: RunId(run) }
}

/// The address of a picture.
pub(crate) fn link(name: &str) -> String {
    format!("http://pictures.example/{name}.jpg")
}

/// What a look at a picture said.
pub(crate) fn entry(
    name: &str,
    run: i64,
    status: ImageStatus,
    checked_at: DateTime<Utc>,
) -> ImageEntry {
    ImageEntry {
        key: keys::image_key(&acme(), &link(name)).to_string(),
        url: link(name),
        pipe: acme(),
        run: RunId(run),
        status,
        error: None,
        retry: status == ImageStatus::Failed,
        etag: None,
        last_modified: None,
        hash: None,
        size_bytes: None,
        format: None,
        width: None,
        height: None,
        renditions: Vec::new(),
        checked_at,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fleet = Fleet::defaults(folder.path());
        let queue = |name: &str| -> Arc<dyn Queue> {
            let path = folder.path().join("queue.db");
            Arc::new(SqliteQueue::open(&path, name, SqliteQueueOptions::new(20)).unwrap())
        };
        let clock = Arc::new(ManualClock::new(Utc::now()));
        let pipes = folder.path().join("pipes");
        std::fs::create_dir_all(&pipes).unwrap();
        let pipe = "[source]\nurl = \"http://shop.example/feed.xml\"\nformat = \"google-xml\"\n";
        std::fs::write(pipes.join("acme.toml"), pipe).unwrap();
        let deps = Deps {
            config_folder: folder.path().to_owned(),
            environment: Arc::new(BTreeMap::<String, String>::new()),
            crawl: queue("crawl"),
            image: queue("image"),
            objects: Arc::new(FolderObjects::open(folder.path().join(OBJECTS)).unwrap()),
            catalog: Catalog::open(folder.path().join("catalog")).unwrap(),
            clock: clock.clone(),
            issue_due_runs: false,
            meters: None,
            complaints: Arc::default(),
            fleet: Arc::new(fleet),
        };
        Self { deps, clock, folder }
    }

    /// Has the duties take the objects' folder for a bucket.
    pub(crate) fn as_in_a_bucket(&mut self) {
        let place = Place::S3 { bucket: "bucket".into(), prefix: String::new() };
        Arc::make_mut(&mut self.deps.fleet).objects.place = place;
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Writes a report of the run in this state, changed by `change`.
    pub(crate) async fn report(
        &self,
        number: i64,
        state: RunState,
        change: impl FnOnce(&mut RunReport),
    ) {
        let mut report = RunReport::new(run(number), Trigger::Schedule, self.now());
        report.state = state;
        report.finished_at = state.is_final().then(|| self.now());
        change(&mut report);
        assert!(self.deps.reports().create(&report).await.unwrap());
    }

    /// Commits a run that adds a row for each of these pictures. Its file, below the table's folder.
    pub(crate) fn add_rows(&self, number: i64, pictures: &[&str]) -> String {
        self.add_rows_with(number, pictures, Vec::new())
    }

    /// As [`World::add_rows`], by a commit with these figures.
    pub(crate) fn add_rows_with(
        &self,
        number: i64,
        pictures: &[&str],
        metrics: Vec<(&'static str, u64)>,
    ) -> String {
        let table = self.deps.catalog.products();
        let schema = table.spec().file_schema().unwrap();
        let links: Vec<String> = pictures.iter().map(|name| link(name)).collect();
        let names: Vec<String> =
            links.iter().map(|link| keys::image_key(&acme(), link).to_string()).collect();
        let texts = |values: &[String]| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(values.iter()))
        };
        let runs: ArrayRef = Arc::new(Int64Array::from(vec![number; links.len()]));
        let columns = [
            ("id", texts(&links)),
            ("image_link", texts(&links)),
            ("image_key", texts(&names)),
            ("images_run", runs),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let batch = read::conform(&batch, &schema).unwrap();
        let mut writer = PartWriter::create(table, &acme(), "test", schema).unwrap();
        writer.write(&batch).unwrap();
        let file = writer.finish().unwrap().unwrap();
        let path = file.path.clone();
        let snapshot = table.ensure().unwrap();
        let change = Change { adds: vec![file], metrics, ..self.change(&snapshot, number) };
        self.commit(&change);
        path
    }

    /// Commits a run that takes all rows of a file out.
    pub(crate) fn drop_rows(&self, number: i64, path: &str) {
        let snapshot = self.deps.catalog.products().ensure().unwrap();
        let drops = BTreeSet::from([path.to_owned()]);
        self.commit(&Change { drops, ..self.change(&snapshot, number) });
    }

    fn change(&self, snapshot: &Snapshot, number: i64) -> Change {
        Change {
            pipe: acme(),
            base: snapshot.files(Some(&acme())).unwrap(),
            adds: Vec::new(),
            dead: BTreeMap::new(),
            drops: BTreeSet::new(),
            fence: Fence { app_id: feed_app_id(&acme()), run: number },
            metrics: Vec::new(),
            data_change: true,
        }
    }

    fn commit(&self, change: &Change) {
        let outcome = self.deps.catalog.products().commit(change).unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    }

    /// A path below the product table's folder.
    pub(crate) fn table_path(&self, path: &str) -> PathBuf {
        self.deps.catalog.products().folder().unwrap().join(path)
    }

    /// The file of an object.
    pub(crate) fn object_path(&self, key: &ObjectKey) -> PathBuf {
        self.folder.path().join(OBJECTS).join(key.as_str())
    }

    /// Folds entries into the `images` table.
    pub(crate) fn fold(&self, entries: &[ImageEntry]) {
        images::fold(self.deps.catalog.images(), &acme(), entries).unwrap();
    }

    /// Keys in the `images` table.
    pub(crate) fn entries(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let snapshot = self.deps.catalog.images().snapshot().unwrap().unwrap();
        images::for_each_entry(&snapshot, &acme(), |known| {
            found.insert(known.key.to_owned());
        })
        .unwrap();
        found
    }

    /// Writes objects; what is in them does not matter.
    pub(crate) async fn put(&self, keys: &[ObjectKey]) {
        for key in keys {
            self.deps.objects.put(key, "x".into()).await.unwrap();
        }
    }

    /// Makes an object look as if it had been written so many days before now.
    pub(crate) fn age(&self, key: &ObjectKey, days: u64) {
        let path = self.object_path(key);
        let written = SystemTime::from(self.now()) - Duration::from_secs(days * 86_400);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    pub(crate) async fn is_there(&self, key: &ObjectKey) -> bool {
        self.deps.objects.get(key).await.unwrap().is_some()
    }

    /// Puts a message for each of these pipes on the queue of crawls.
    pub(crate) async fn send_crawls(&self, pipes: &[&str]) {
        let message = |pipe: &&str| NewMessage {
            group: (*pipe).to_owned(),
            dedup_id: (*pipe).to_owned(),
            body: "{}".to_owned(),
        };
        let messages: Vec<NewMessage> = pipes.iter().map(message).collect();
        self.deps.crawl.send(&messages).await.unwrap();
    }

    /// Takes all image jobs from their queue.
    pub(crate) async fn image_jobs(&self) -> Vec<ImageJob> {
        let receive =
            Receive { max: 10, visibility: Duration::from_secs(30), wait: Duration::ZERO };
        let mut jobs = Vec::new();
        loop {
            let received = self.deps.image.receive(receive).await.unwrap();
            if received.is_empty() {
                return jobs;
            }
            for message in received {
                match Job::from_body(&message.body).unwrap() {
                    Job::Image(job) => jobs.push(job),
                    Job::Crawl(job) => panic!("{job:?}"),
                }
                self.deps.image.delete(&message.receipt).await.unwrap();
            }
        }
    }
}
