//! The mirrored pictures of the chaos run: the `images` table and the objects agree with what is shown.

use super::partner::picture;
use super::pipe::Pipe;
use crate::faults::nights::image_path;
use crate::faults::support::object;
use feedfleet_catalog::{Snapshot, images};
use feedfleet_model::{PipeName, keys};
use feedfleet_tests::Fleet;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Each of these pictures of the pipe has one entry in the table, which says that it is there; the original is
/// as the partner has it, and its facts name a rendition that is there too.
pub(super) fn check(
    fleet: &Fleet,
    base_url: &str,
    table: &Snapshot,
    pipe: &Pipe,
    shown: &BTreeSet<u64>,
) {
    let name: PipeName = pipe.name.parse().expect("a pipe's name");
    let mut entries: BTreeMap<String, Vec<String>> = BTreeMap::new();
    images::for_each_entry(table, &name, |entry| {
        entries.entry(entry.key.to_owned()).or_default().push(entry.status.to_owned());
    })
    .expect("the images table can be read");
    let doubled: Vec<_> = entries.iter().filter(|(_, found)| found.len() > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");

    let objects = fleet.path("var/objects");
    let mut keys_shown = BTreeSet::new();
    for number in shown {
        let path = image_path(&pipe.name, *number);
        let key = keys::image_key(&name, &format!("{base_url}{path}"));
        let status = entries.get(key.as_str()).map(|found| found[0].as_str());
        assert!(matches!(status, Some("stored" | "unchanged")), "{path}: {status:?}");
        let original = fs::read(objects.join(key.as_str()));
        let original = original.unwrap_or_else(|e| panic!("{path} is not at {key}: {e}"));
        assert_eq!(original, picture(&path), "{path}");
        let facts = object(fleet, keys::image_facts(&key).as_str());
        let renditions = facts["renditions"].as_array().expect("facts list the renditions");
        assert_eq!(renditions.len(), 1, "{facts:#}");
        let rendition = renditions[0]["key"].as_str().expect("a rendition has a key");
        assert!(objects.join(rendition).is_file(), "{facts:#}");
        keys_shown.insert(key.to_string());
    }
    let products = fleet.products(&pipe.name);
    let in_rows = products.iter().map(|product| product.text("image_key").to_owned());
    assert_eq!(in_rows.filter(|key| !key.is_empty()).collect::<BTreeSet<_>>(), keys_shown);
}
