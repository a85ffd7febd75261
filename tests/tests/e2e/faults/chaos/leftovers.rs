//! What is among the objects when all have gone: nothing that nobody refers to, and no unfinished write but
//! those of processes that were killed.

use super::Aftermath;
use super::damage::{PLANTED, TORN};
use super::pipe::{Night, Pipe};
use crate::faults::nights::image_path;
use feedfleet_model::keys;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// Goes through all objects.
pub(super) fn check(aftermath: &mut Aftermath) {
    let root = aftermath.fleet.path("var/objects");
    let base_url = aftermath.partner.base_url();
    let pipes: HashMap<&str, Known<'_>> = aftermath
        .pipes
        .iter()
        .map(|pipe| (pipe.name.as_str(), Known { pipe, pictures: pictures(pipe, &base_url) }))
        .collect();
    let mut unfinished = 0;
    for path in files(&root) {
        let key = path.strip_prefix(&root).expect("it is below the root").to_string_lossy();
        let is_known = match key.split('/').collect::<Vec<_>>().as_slice() {
            [".locks", _] | ["fleet", ..] | ["upkeep", "owner.json"] => true,
            [".tmp", name] if name.starts_with(PLANTED) => true,
            [".tmp", _] => {
                unfinished += 1;
                let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
                written.expect("a file has a time") <= aftermath.last_kill
            }
            ["receipts", name] => name.starts_with(TORN),
            ["validators", name] => {
                name.strip_suffix(".json").is_some_and(|pipe| pipes.contains_key(pipe))
            }
            ["reports", pipe, name] => {
                name.strip_suffix(".json").is_some_and(|run| night(&pipes, pipe, run).is_some())
            }
            ["raw", pipe, run, _] => night(&pipes, pipe, run).is_some(),
            ["damaged", "reports", pipe, name] => name.split_once('-').is_some_and(|(run, _)| {
                night(&pipes, pipe, run).is_some_and(|night| night.has_lost_report)
            }),
            // An attempt that was cut short may have left its lists to one that was not.
            ["held", pipe, name] => name.split_once('-').is_some_and(|(run, _)| {
                night(&pipes, pipe, run).is_some_and(|night| night.cut.is_some())
            }),
            ["absent", pipe, name] => name.split_once('-').is_some_and(|(run, _)| {
                pipes.get(*pipe).is_some_and(|known| known.pipe.is_patient)
                    && night(&pipes, pipe, run).is_some()
            }),
            ["images", pipe, ..] => {
                let hash = keys::picture_hash(&key);
                pipes.get(*pipe).zip(hash).is_some_and(|(known, h)| known.pictures.contains(&h))
            }
            _ => false,
        };
        assert!(is_known, "nobody refers to {key}");
    }
    aftermath.tally.add_many("unfinished writes", unfinished);
}

/// A pipe, and the hashes of the pictures that it has ever shown.
struct Known<'a> {
    pipe: &'a Pipe,
    pictures: BTreeSet<u128>,
}

fn pictures(pipe: &Pipe, base_url: &str) -> BTreeSet<u128> {
    let nights = pipe.ended.iter().filter(|_| pipe.mirrors);
    let numbers = nights.flat_map(|night| night.items.values().filter_map(|item| item.image));
    let url = |number| format!("{base_url}{}", image_path(&pipe.name, number));
    numbers.map(|number| keys::address_hash(&url(number))).collect()
}

fn night<'a>(pipes: &HashMap<&str, Known<'a>>, pipe: &str, run: &str) -> Option<&'a Night> {
    let run: i64 = run.parse().ok()?;
    pipes.get(pipe)?.pipe.ended.iter().find(|night| night.run == run)
}

/// All files below a folder.
fn files(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a temporary folder can be read") {
            let path = entry.expect("a temporary folder can be read").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}
