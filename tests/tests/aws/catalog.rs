//! The tables on S3: many writers at once, what networks and services do to a commit, and upkeep.

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use feedfleet_aws::{Aws, table_store};
use feedfleet_catalog::compact::{CompactionLimits, compact};
use feedfleet_catalog::diff::{Absent, Diff, PushError};
use feedfleet_catalog::restore::restore;
use feedfleet_catalog::vacuum::{VacuumLimits, Vacuumed, vacuum};
use feedfleet_catalog::writer::PartWriter;
use feedfleet_catalog::{
    Catalog, CatalogError, Change, CommitOutcome, Fence, FileIdentity, Location, Snapshot,
    feed_app_id, read,
};
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::{PipeName, Row, RunId, RunKey, columns};
use feedfleet_tests::aws::{Fault, Proxy, Request, Rule, Weed, aws_at};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

const BUCKET: &str = "tables";
const ROWS: i64 = 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ids and prices of a pipe's rows.
type Rows = BTreeMap<String, i64>;

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be started").block_on(work)
}

/// A server with a bucket. None where it is not installed, which was said.
fn server() -> Option<Weed> {
    let weed = Weed::start()?;
    wait(weed.bucket(BUCKET));
    Some(weed)
}

/// A worker's view of the catalog: a client of its own.
fn catalog(url: &str, prefix: &str) -> Catalog {
    let aws: Aws = wait(aws_at(url));
    let store = table_store(&aws, BUCKET).expect("a store needs no answer to be opened");
    let location = Location::s3(BUCKET, prefix, store).expect("the prefix is sound");
    Catalog::open(location).expect("a catalog needs no answer to be opened")
}

fn pipe(number: usize) -> PipeName {
    format!("pipe-{number:02}").parse().expect("a pipe's name")
}

/// What a pipe holds after a run: of its rows a half changes in each run, others in each third.
fn state(run: i64) -> Rows {
    let price = |n: i64| if n % 2 == 0 { run } else { run / 3 };
    (0..ROWS).map(|n| (format!("p{n:02}"), price(n))).collect()
}

/// Works out a run, up to but without its commit. None: it is in already.
fn prepare(
    catalog: &Catalog,
    pipe: &PipeName,
    run: i64,
    rows: &Rows,
) -> Result<Option<Change>, CatalogError> {
    let table = catalog.products();
    let snapshot = table.snapshot()?;
    let app_id = feed_app_id(pipe);
    if let Some(snapshot) = &snapshot
        && snapshot.fence(&app_id)? >= Some(run)
    {
        return Ok(None);
    }
    let key = RunKey { pipe: pipe.clone(), run: RunId(run) };
    let mut diff = Diff::begin(table, snapshot.as_ref(), &key, 64 << 20, 1)?;
    for (id, price) in rows {
        let mut row = Row::new();
        row.set_text(columns::ID, id);
        row.set_decimal(columns::PRICE, *price);
        row.settle_extra();
        diff.push(&row).expect("an index of few rows fits its budget");
    }
    match diff.end_pass(snapshot.as_ref()) {
        Ok(_) => {}
        Err(PushError::Catalog(e)) => return Err(e),
        Err(e) => panic!("an index of few rows fits its budget: {e}"),
    }
    Ok(Some(diff.finish(&app_id, Absent::Remove)?.0))
}

/// Does a run as a worker does: whatever goes wrong, it looks again. Whether this call committed it.
fn run(catalog: &Catalog, pipe: &PipeName, run: i64) -> bool {
    const TRIES: usize = 60;
    let mut last = String::new();
    for _ in 0..TRIES {
        let outcome = prepare(catalog, pipe, run, &state(run)).and_then(|change| match change {
            None => Ok(CommitOutcome::AlreadyIn),
            Some(change) => catalog.products().commit(&change),
        });
        match outcome {
            Ok(CommitOutcome::Committed { .. }) => return true,
            Ok(CommitOutcome::AlreadyIn | CommitOutcome::Superseded { .. }) => return false,
            Ok(CommitOutcome::Moved) => last = "the pipe moved".to_owned(),
            Err(e) => last = e.to_string(),
        }
    }
    panic!("run {run} of {pipe} is not in after {TRIES} tries: {last}");
}

fn newest(catalog: &Catalog) -> Snapshot {
    let snapshot = catalog.products().snapshot().expect("the log can be read");
    snapshot.expect("the table is there")
}

/// The live rows of a pipe.
fn rows_of(snapshot: &Snapshot, pipe: &PipeName) -> Rows {
    let mut rows = Rows::new();
    for file in snapshot.files(Some(pipe)).expect("the log can be read") {
        read::for_each_batch(snapshot, &file, Some(&["id", "price"]), |found| {
            let batch = found.live_batch().expect("live rows can be told");
            let ids: &StringArray = column(&batch, "id").as_string();
            let prices = column(&batch, "price").as_primitive::<Decimal128Type>();
            for row in 0..batch.num_rows() {
                let price = i64::try_from(prices.value(row)).expect("prices are small");
                let before = rows.insert(ids.value(row).to_owned(), price);
                assert!(before.is_none(), "an id is alive twice in {pipe}");
            }
            Ok(())
        })
        .expect("a data file can be read");
    }
    rows
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).expect("files have the columns of the table")
}

fn fence(snapshot: &Snapshot, pipe: &PipeName) -> Option<i64> {
    snapshot.fence(&feed_app_id(pipe)).expect("the log can be read")
}

/// The files that each pipe consists of at a version.
fn files_by_pipe(snapshot: &Snapshot) -> BTreeMap<String, BTreeSet<FileIdentity>> {
    let mut files: BTreeMap<String, BTreeSet<FileIdentity>> = BTreeMap::new();
    for file in snapshot.files(None).expect("the log can be read") {
        files.entry(file.pipe.clone()).or_default().insert(file.identity());
    }
    files
}

/// Promises 3 and 5: ten workers, some with the same message, commit to one table at once. Every run is in, none
/// twice, and at every version each pipe is as one run left it.
#[test]
fn ten_workers_commit_two_hundred_runs_to_one_table() {
    const WORKERS: usize = 10;
    const PIPES: usize = 2 * WORKERS;
    const RUNS: i64 = 10;
    const COMMITS_PER_CHECKPOINT: u64 = 10;
    let Some(weed) = server() else { return };
    let url = weed.url();
    let (over, committed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (finished, rounds) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (url, committed, finished) = (url.as_str(), &committed, finished.clone());
                scope.spawn(move || {
                    let catalog = catalog(url, "many/tables");
                    for number in 1..=RUNS {
                        for own in [2 * worker, 2 * worker + 1] {
                            let done = run(&catalog, &pipe(own), number);
                            committed.fetch_add(usize::from(done), Ordering::SeqCst);
                        }
                        // The message that the next worker has, delivered here as well.
                        let other = pipe(2 * ((worker + 1) % WORKERS));
                        let due = fence(&newest(&catalog), &other).map_or(1, |last| last + 1);
                        if due <= RUNS {
                            let done = run(&catalog, &other, due);
                            committed.fetch_add(usize::from(done), Ordering::SeqCst);
                        }
                        finished.send(()).expect("upkeep lives");
                    }
                })
            })
            .collect();
        drop(finished);
        // After each worker's round; ends when the last worker does.
        let upkeep = scope.spawn(|| {
            let catalog = catalog(&url, "many/tables");
            for () in rounds {
                if let Some(snapshot) = catalog.products().snapshot().expect("the log can be read")
                    && snapshot.commits_since_checkpoint() >= COMMITS_PER_CHECKPOINT
                {
                    snapshot.checkpoint().expect("a checkpoint can be written");
                }
            }
        });
        let reader = scope.spawn(|| {
            let (catalog, mut looks) = (catalog(&url, "many/tables"), 0);
            while !over.load(Ordering::SeqCst) {
                let Some(snapshot) = catalog.products().snapshot().expect("the log can be read")
                else {
                    continue;
                };
                let pipe = pipe(looks % PIPES);
                let expected = fence(&snapshot, &pipe).map(state).unwrap_or_default();
                assert_eq!(rows_of(&snapshot, &pipe), expected, "version {}", snapshot.version());
                looks += 1;
            }
            looks
        });
        let ends: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        over.store(true, Ordering::SeqCst);
        upkeep.join().expect("upkeep goes on");
        assert!(reader.join().expect("a reader sees whole runs") > 0);
        assert!(ends.iter().all(Result::is_ok), "a worker failed");
    });

    let catalog = catalog(&url, "many/tables");
    let last = newest(&catalog);
    let runs = PIPES as u64 * RUNS as u64;
    assert_eq!(last.version(), runs, "version 0 creates the table, then each has a run");
    assert_eq!(committed.into_inner() as u64, runs, "each was committed by one worker");
    let mut seen = BTreeSet::new();
    let mut before: BTreeMap<String, BTreeSet<FileIdentity>> = BTreeMap::new();
    for version in 1..=runs {
        let snapshot = catalog.products().snapshot_at(version).expect("the log can be read");
        let snapshot = snapshot.expect("a version that was committed is there");
        let files = files_by_pipe(&snapshot);
        let moved: Vec<&String> = files
            .iter()
            .filter(|(name, now)| before.get(*name) != Some(*now))
            .map(|m| m.0)
            .collect();
        let [moved] = moved[..] else { panic!("version {version} changed pipes {moved:?}") };
        let pipe: PipeName = moved.parse().expect("a pipe's name");
        let number = fence(&snapshot, &pipe).expect("a pipe with files has a run");
        assert_eq!(rows_of(&snapshot, &pipe), state(number), "version {version}");
        assert!(seen.insert((pipe, number)), "version {version} has a run for the second time");
        before = files;
    }
    assert_eq!(seen.len() as u64, runs);
}

fn is_entry(request: &Request) -> bool {
    request.is("PUT", "_delta_log/") && request.path.contains(".json")
}

/// Promise 6: a commit whose reply was lost is found in the log, and not repeated; what S3 says in passing is met
/// with another try.
#[test]
fn a_commit_is_in_once_whatever_happens_to_its_request() {
    let Some(weed) = server() else { return };
    let proxy = Proxy::before(&weed.url());
    let catalog = catalog(&proxy.url(), "faults");
    let pipe = pipe(1);
    assert!(run(&catalog, &pipe, 1));
    let lost = || Rule::when(is_entry, Fault::DropReply);
    let cases = [
        ("a reply is lost", lost().once(), 1),
        ("two replies are lost", lost().times(2), 2),
        ("a request is lost", Rule::when(is_entry, Fault::DropRequest).once(), 1),
        ("S3 is overloaded", Rule::when(is_entry, Fault::Throttle).times(2), 2),
        ("S3 fails", Rule::when(is_entry, Fault::Status(500)).times(2), 2),
        (
            "others write",
            Rule::when(is_entry, Fault::s3(409, "ConditionalRequestConflict")).once(),
            1,
        ),
    ];
    for (number, (what, rule, times)) in (2..).zip(cases) {
        let change = prepare(&catalog, &pipe, number, &state(number));
        let change = change.expect("the table can be read").expect("the run is not in");
        let before = newest(&catalog).version();
        let hits = proxy.add(rule);
        let outcome = catalog.products().commit(&change).expect(what);
        let CommitOutcome::Committed { version, .. } = outcome else {
            panic!("{what}: {outcome:?}")
        };
        assert_eq!(hits.get(), times, "{what}");
        proxy.clear();
        let now = newest(&catalog);
        assert_eq!((version, now.version()), (before + 1, before + 1), "{what}");
        assert_eq!(rows_of(&now, &pipe), state(number), "{what}");
        let again = catalog.products().commit(&change).expect("the log can be read");
        assert_eq!(again, CommitOutcome::AlreadyIn, "{what}");
    }
    // Refused is refused: no entry is written, and the next try is a new one.
    let change = prepare(&catalog, &pipe, 50, &state(50)).expect("the table can be read");
    let change = change.expect("the run is not in");
    let before = newest(&catalog).version();
    let refused = proxy.add(Rule::when(is_entry, Fault::s3(403, "AccessDenied")));
    let e = catalog.products().commit(&change).expect_err("it is refused");
    assert!(e.is_retryable() && e.to_string().contains("AccessDenied"), "{e}");
    assert_eq!((refused.get(), newest(&catalog).version()), (1, before));
    proxy.clear();
    assert!(run(&catalog, &pipe, 50));
}

/// A body that ends early is taken up where it ended, and an upload whose completion was not confirmed is there.
#[test]
fn data_files_come_and_go_whole() {
    let Some(weed) = server() else { return };
    let proxy = Proxy::before(&weed.url());
    let catalog = catalog(&proxy.url(), "whole");
    let table = catalog.products();
    let file = {
        let completion =
            |request: &Request| request.method == "POST" && request.path.contains("uploadId=");
        let lost = proxy.add(Rule::when(completion, Fault::DropReply).once());
        let part = |request: &Request| request.is("PUT", "partNumber=2");
        let slow_down = proxy.add(Rule::when(part, Fault::Throttle).once());
        let schema = table.spec().file_schema().expect("the table has a schema");
        let mut writer = PartWriter::create(table, &pipe(1), "large", schema.clone())
            .expect("a file can be begun");
        for piece in 0..20 {
            let numbers = piece * 16_384..(piece + 1) * 16_384;
            let text = |salt: i64| -> ArrayRef {
                let hash = |n: i64| format!("{:032x}", bytes_hash(&(n * 2 + salt).to_be_bytes()));
                Arc::new(StringArray::from_iter_values(numbers.clone().map(hash)))
            };
            let runs: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers.clone()));
            let columns = [("id", text(0)), ("title", text(1)), ("run", runs)];
            let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
            let batch = read::conform(&batch, &schema).expect("columns of the table's types");
            writer.write(&batch).expect("rows can be written");
        }
        let file = writer.finish().expect("the file can be finished").expect("it has rows");
        assert!(file.size_bytes > 8 * 1024 * 1024, "it went up whole: {} bytes", file.size_bytes);
        assert_eq!((lost.get(), slow_down.get()), (1, 1));
        proxy.clear();
        file
    };
    let change = Change {
        pipe: pipe(1),
        base: Vec::new(),
        adds: vec![file],
        dead: BTreeMap::new(),
        drops: BTreeSet::new(),
        fence: Fence { app_id: feed_app_id(&pipe(1)), run: 1 },
        metrics: Vec::new(),
        data_change: true,
    };
    table.commit(&change).expect("a change can be committed");

    let cut = |request: &Request| request.is("GET", ".parquet");
    let hits = proxy.add(Rule::when(cut, Fault::CutBody(100_000)).times(3));
    let snapshot = newest(&catalog);
    let files = snapshot.files(None).expect("the log can be read");
    let mut next = 0;
    read::for_each_batch(&snapshot, &files[0], Some(&["run", "title"]), |rows| {
        let runs = column(&rows.batch, "run").as_primitive::<Int64Type>();
        let count = i64::try_from(rows.batch.num_rows()).expect("a batch is small");
        assert!(runs.values().iter().copied().eq(next..next + count));
        next += count;
        Ok(())
    })
    .expect("the file can be read");
    assert_eq!((next, hits.get()), (20 * 16_384, 3));
}

/// Whatever happens to any request, now and then: every run is in once, and no half of one.
#[test]
fn workers_get_through_a_bad_night() {
    const WORKERS: usize = 4;
    const RUNS: i64 = 5;
    let Some(weed) = server() else { return };
    let proxy = Proxy::before(&weed.url());
    let faults = [
        Fault::DropRequest,
        Fault::DropReply,
        Fault::CutBody(50),
        Fault::Status(500),
        Fault::Throttle,
        Fault::Delay(Duration::from_millis(50)),
    ];
    let hits = proxy.random(20_261_122, 0.03, &faults);
    let url = proxy.url();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let url = url.as_str();
            scope.spawn(move || {
                let catalog = catalog(url, "bad/night");
                for number in 1..=RUNS {
                    run(&catalog, &pipe(worker), number);
                }
            });
        }
    });
    assert!(hits.get() > 10, "the night was too good: {} faults", hits.get());
    let catalog = catalog(&weed.url(), "bad/night");
    let last = newest(&catalog);
    assert_eq!(last.version(), WORKERS as u64 * RUNS as u64);
    for worker in 0..WORKERS {
        assert_eq!(rows_of(&last, &pipe(worker)), state(RUNS));
    }
}

/// Promise 13: compaction, rollback and vacuum on S3 as in a folder.
#[test]
fn upkeep_takes_what_nobody_needs() {
    let Some(weed) = server() else { return };
    let catalog = catalog(&weed.url(), "upkeep");
    let (table, pipe) = (catalog.products(), pipe(1));
    for number in 1..=6 {
        assert!(run(&catalog, &pipe, number));
    }
    let limits = CompactionLimits { dead_share: -1.0, small_files: 0, small_bytes: u64::MAX };
    let compacted = compact(table, &newest(&catalog), &pipe, limits);
    assert!(compacted.expect("the pipe can be compacted").is_some());
    assert_eq!(rows_of(&newest(&catalog), &pipe), state(6));
    let restored = restore(table, &pipe, RunId(3), &[]).expect("the pipe can be rolled back");
    assert!(!restored.plan.is_empty());
    assert_eq!(rows_of(&newest(&catalog), &pipe), state(3));
    assert!(run(&catalog, &pipe, 20));
    newest(&catalog).checkpoint().expect("a checkpoint can be written");
    assert!(run(&catalog, &pipe, 21));

    let window = |days| VacuumLimits { keep: DAY * days, grace: VacuumLimits::GRACE };
    let later = SystemTime::now() + DAY * 2;
    let kept = vacuum(table, window(5), later, false).expect("the table can be vacuumed");
    assert_eq!(kept, Vacuumed::default(), "all versions are in the window");
    let young = vacuum(table, window(0), SystemTime::now(), true).expect("a dry run");
    assert_eq!(young.files, 0);
    let planned = vacuum(table, window(0), later, true).expect("a dry run");
    let done = vacuum(table, window(0), later, false).expect("the table can be vacuumed");
    assert_eq!(done, planned);
    assert!(done.files >= 6 && done.log_entries >= 9, "{done:?}");
    let again = vacuum(table, window(0), later, false).expect("the table can be vacuumed");
    assert_eq!(again, Vacuumed::default());
    assert_eq!(rows_of(&newest(&catalog), &pipe), state(21));
    assert!(table.snapshot_at(2).is_err(), "the log was cut off");
    assert!(run(&catalog, &pipe, 22));
    assert_eq!(rows_of(&newest(&catalog), &pipe), state(22));
}
