//! The `runs` table: one row a run report. The reports are read when a query asks for the table.

use crate::{complain, external};
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use feedfleet_model::RunReport;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::Trigger;
use feedfleet_objects::{ObjectError, Objects, READS_AT_ONCE, get_all};
use futures::StreamExt;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the run reports are.
#[derive(Clone)]
pub enum ReportsPlace {
    /// In a folder of objects, which need not exist yet. Nothing is made in it.
    Folder(PathBuf),
    /// In a store of objects.
    Store(Arc<dyn Objects>),
}

/// The run reports as a table.
#[derive(Debug)]
pub struct RunsTable {
    place: ReportsPlace,
    schema: SchemaRef,
}

/// A column of whole numbers and where a report has it.
type Figure = (&'static str, fn(&RunReport) -> u64);

const FIGURES: [Figure; 14] = [
    ("seen", |r| r.counts.seen),
    ("new", |r| r.counts.new),
    ("changed", |r| r.counts.changed),
    ("unchanged", |r| r.counts.unchanged),
    ("removed", |r| r.counts.removed),
    ("held", |r| r.counts.held),
    ("refused", |r| r.counts.refused),
    ("duplicates", |r| r.counts.duplicates),
    ("live", |r| r.counts.live),
    ("images_queued", |r| r.counts.images_queued),
    ("bytes_fetched", |r| r.bytes.fetched),
    ("bytes_decoded", |r| r.bytes.decoded),
    ("bytes_written", |r| r.bytes.written),
    ("attempts", |r| r.attempts.len() as u64),
];

impl RunsTable {
    /// The reports in this place.
    pub fn new(place: ReportsPlace) -> Result<Self> {
        Ok(Self { place, schema: batch_of(&[])?.schema() })
    }
}

#[async_trait]
impl TableProvider for RunsTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let reports = match self.place.clone() {
            ReportsPlace::Folder(folder) => {
                let read = move || reports_below(&folder);
                tokio::task::spawn_blocking(read).await.map_err(external)??
            }
            ReportsPlace::Store(store) => reports_in(&store).await.map_err(external)?,
        };
        let table = MemTable::try_new(self.schema(), vec![vec![batch_of(&reports)?]])?;
        table.scan(state, projection, filters, limit).await
    }
}

impl From<&Path> for ReportsPlace {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&PathBuf> for ReportsPlace {
    fn from(folder: &PathBuf) -> Self {
        Self::Folder(folder.clone())
    }
}

impl fmt::Debug for ReportsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            Self::Store(store) => f.debug_tuple("Store").field(&store.location()).finish(),
        }
    }
}

/// As [`reports_below`], of a store.
async fn reports_in(store: &Arc<dyn Objects>) -> Result<Vec<RunReport>, ObjectError> {
    let listed = store.list(&format!("{}/", keys::REPORTS), None, usize::MAX).await?;
    let mut keys: Vec<ObjectKey> = listed.into_iter().map(|listed| listed.key).collect();
    keys.retain(|key| keys::run_of_report(key).is_some());
    let mut reads = get_all(store, keys, READS_AT_ONCE);
    let mut reports = Vec::new();
    while let Some((key, object)) = reads.next().await {
        // One that expired meanwhile is no report any more.
        let Some(object) = object? else { continue };
        match serde_json::from_slice(&object.bytes) {
            Ok(report) => reports.push(report),
            Err(e) => complain(&format!("left out run report {key}, unreadable: {e}")),
        }
    }
    Ok(reports)
}

/// The reports that can be read, by pipe and time; of each other one the user is told.
fn reports_below(objects: &Path) -> io::Result<Vec<RunReport>> {
    let mut reports = Vec::new();
    for (pipe, folder) in entries(&objects.join(keys::REPORTS))? {
        if !folder.is_dir() {
            continue;
        }
        for (name, file) in entries(&folder)? {
            let key = ObjectKey::parse(&format!("{}/{pipe}/{name}", keys::REPORTS));
            if key.and_then(|key| keys::run_of_report(&key)).is_none() {
                continue;
            }
            match read_report(&file) {
                Ok(report) => reports.push(report),
                Err(e) => {
                    complain(&format!("left out run report {}, unreadable: {e}", file.display()));
                }
            }
        }
    }
    Ok(reports)
}

fn read_report(file: &Path) -> io::Result<RunReport> {
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

/// What is in a folder, by name; nothing where there is no folder.
fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in listing {
        let entry = entry?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    found.sort();
    Ok(found)
}

fn batch_of(reports: &[RunReport]) -> Result<RecordBatch, ArrowError> {
    let texts = |of: fn(&RunReport) -> Option<String>| -> ArrayRef {
        Arc::new(reports.iter().map(of).collect::<StringArray>())
    };
    let integers = |of: &dyn Fn(&RunReport) -> Option<i64>| -> ArrayRef {
        Arc::new(reports.iter().map(of).collect::<Int64Array>())
    };
    let moments = |of: fn(&RunReport) -> Option<i64>| -> ArrayRef {
        let micros = reports.iter().map(of).collect::<TimestampMicrosecondArray>();
        Arc::new(micros.with_timezone("UTC"))
    };
    let mut columns = vec![
        ("pipe", texts(|r| Some(r.key.pipe.to_string()))),
        ("run", integers(&|r| Some(r.key.run.0))),
        ("scheduled_at", moments(|r| Some(r.scheduled_at().timestamp_micros()))),
        ("state", texts(|r| Some(r.state.word().to_owned()))),
        ("trigger", texts(|r| Some(trigger_word(r.trigger).to_owned()))),
        ("created_at", moments(|r| Some(r.created_at.timestamp_micros()))),
        ("finished_at", moments(|r| r.finished_at.map(|at| at.timestamp_micros()))),
    ];
    for (name, figure) in FIGURES {
        columns.push((name, integers(&|r| Some(signed(figure(r))))));
    }
    let seconds = Float64Array::from_iter_values(reports.iter().map(RunReport::total_seconds));
    columns.extend([
        ("seconds", Arc::new(seconds) as ArrayRef),
        ("peak_memory_bytes", integers(&|r| Some(signed(r.peak_memory_bytes)))),
        ("table_version", integers(&|r| r.table_version.map(signed))),
        ("reason_class", texts(|r| r.reason.as_ref().map(|reason| reason.class.to_string()))),
        ("reason", texts(|r| r.reason.as_ref().map(|reason| reason.message.clone()))),
    ]);
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true)))
}

/// SQL's whole numbers are signed: differences of counts then come out right.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn trigger_word(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "schedule",
        Trigger::Operator => "operator",
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use feedfleet_model::report::{RunState, Trigger};
    use feedfleet_model::{
        Clock, Reason, ReasonClass, RunId, RunKey, RunReport, SystemClock, keys,
    };

    fn write(fixture: &Fixture, pipe: &str, run: i64, edit: impl FnOnce(&mut RunReport)) {
        let key = RunKey { pipe: pipe.parse().unwrap(), run: RunId(run) };
        let path = fixture.objects().join(keys::report(&key).as_str());
        let mut report = RunReport::new(key, Trigger::Schedule, SystemClock.now());
        edit(&mut report);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, serde_json::to_vec(&report).unwrap()).unwrap();
    }

    #[test]
    fn reports_become_rows_and_broken_ones_are_left_out() {
        let fixture = Fixture::new();
        write(&fixture, "acme", 0, |r| {
            r.state = RunState::Done;
            r.counts.seen = 10;
            r.counts.removed = 3;
            r.bytes.fetched = 1 << 40;
            r.table_version = Some(4);
            r.seconds.insert("read".into(), 1.5);
            r.seconds.insert("write".into(), 0.5);
        });
        write(&fixture, "bolt", 60, |r| {
            r.state = RunState::Dead;
            r.reason = Some(Reason::new(ReasonClass::NotAFeed, "a web page"));
        });
        let reports = fixture.objects().join("reports");
        std::fs::write(reports.join("acme/000000000009.json"), "{").unwrap();
        std::fs::write(reports.join("acme/notes.txt"), "no report").unwrap();
        std::fs::write(reports.join("stray"), "no folder").unwrap();

        let sql = "SELECT pipe, run, scheduled_at, state, trigger, seen - removed AS kept,
                   bytes_fetched, seconds, table_version, reason_class, reason
                   FROM runs ORDER BY pipe";
        let rows = fixture.csv(&fixture.engine(), sql).unwrap();
        let rows: Vec<&str> = rows.lines().skip(1).collect();
        assert_eq!(
            rows,
            [
                "acme,0,1970-01-01T00:00:00Z,done,schedule,7,1099511627776,2.0,4,,",
                "bolt,60,1970-01-01T00:01:00Z,dead,schedule,0,0,0.0,,not-a-feed,a web page",
            ]
        );
        let sql = "SELECT count(*) AS n FROM runs WHERE finished_at IS NULL";
        assert_eq!(fixture.csv(&fixture.engine(), sql).unwrap(), "n\n2\n");
    }
}
