//! The `images` table: the newest entry of a picture is the one that is there.

use crate::support::{catalog, pipe};
use arrow::array::AsArray;
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_catalog::{Catalog, images, read};
use feedfleet_model::RunId;
use feedfleet_model::image::{ImageEntry, ImageStatus};
use std::collections::BTreeMap;

fn entry(key: &str, status: ImageStatus, at: DateTime<Utc>) -> ImageEntry {
    ImageEntry {
        key: key.into(),
        url: format!("http://h/{key}"),
        pipe: pipe("acme"),
        run: RunId(1),
        status,
        error: None,
        retry: false,
        etag: Some("\"e\"".into()),
        last_modified: None,
        hash: Some("00".into()),
        size_bytes: Some(7),
        format: Some("jpeg".into()),
        width: Some(3),
        height: Some(4),
        renditions: vec!["thumb=k".into()],
        checked_at: at,
    }
}

fn statuses(catalog: &Catalog) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let snapshot = catalog.images().snapshot().unwrap().unwrap();
    for file in snapshot.files(None).unwrap() {
        read::for_each_batch(&snapshot, &file, None, |rows| {
            let batch = rows.live_batch().unwrap();
            let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            for i in 0..batch.num_rows() {
                let key = text("key").value(i).to_owned();
                assert!(found.insert(key, text("status").value(i).to_owned()).is_none());
            }
            Ok(())
        })
        .unwrap();
    }
    found
}

#[test]
fn the_newest_entry_of_a_picture_stays() {
    let (_folder, catalog) = catalog();
    let table = catalog.images();
    let start = DateTime::from_timestamp(1_000_000, 0).unwrap();
    let later = start + TimeDelta::seconds(5);
    let first = [
        entry("a", ImageStatus::Failed, start),
        entry("b", ImageStatus::Stored, start),
        entry("c", ImageStatus::Stored, start),
    ];
    assert_eq!(images::fold(table, &pipe("acme"), &first).unwrap(), 3);
    assert_eq!(images::fold(table, &pipe("acme"), &first).unwrap(), 0, "a second time");
    let second = [
        entry("a", ImageStatus::Stored, later),
        entry("b", ImageStatus::Failed, start - TimeDelta::seconds(9)),
    ];
    assert_eq!(images::fold(table, &pipe("acme"), &second).unwrap(), 1, "the older one is no news");
    let expected = [("a", "stored"), ("b", "stored"), ("c", "stored")];
    let expected: BTreeMap<String, String> =
        expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!(statuses(&catalog), expected);
}

#[test]
fn entries_are_taken_out_by_key_and_age() {
    let (_folder, catalog) = catalog();
    let table = catalog.images();
    let start = DateTime::from_timestamp(1_000_000, 0).unwrap();
    let later = start + TimeDelta::seconds(5);
    assert_eq!(images::remove(table, &pipe("acme"), &|_, _| true).unwrap(), 0, "no table yet");
    let entries = [
        entry("a", ImageStatus::Stored, start),
        entry("b", ImageStatus::Stored, start),
        entry("c", ImageStatus::Stored, later),
    ];
    images::fold(table, &pipe("acme"), &entries).unwrap();
    let is_gone = |key: &str, at: i64| key != "b" && at < later.timestamp_micros();
    assert_eq!(images::remove(table, &pipe("acme"), &is_gone).unwrap(), 1);
    assert_eq!(images::remove(table, &pipe("acme"), &is_gone).unwrap(), 0, "a second time");
    assert_eq!(statuses(&catalog).into_keys().collect::<Vec<_>>(), ["b", "c"]);

    let mut seen = Vec::new();
    let snapshot = table.snapshot().unwrap().unwrap();
    images::for_each_entry(&snapshot, &pipe("acme"), |known| {
        assert_eq!((known.run, known.status, known.retry), (RunId(1), "stored", false));
        seen.push((known.key.to_owned(), known.checked_at_us));
    })
    .unwrap();
    seen.sort();
    let micros = |at: DateTime<Utc>| at.timestamp_micros();
    assert_eq!(seen, [("b".to_owned(), micros(start)), ("c".to_owned(), micros(later))]);

    // Once nothing is left, the file goes too; the pipe can begin anew.
    assert_eq!(images::remove(table, &pipe("acme"), &|_, _| true).unwrap(), 2);
    assert!(table.snapshot().unwrap().unwrap().files(None).unwrap().is_empty());
    assert_eq!(images::fold(table, &pipe("acme"), &entries).unwrap(), 3);
    assert_eq!(statuses(&catalog).len(), 3);
}
