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
