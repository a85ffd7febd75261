//! What a death leaves damaged: objects that are torn, cut short or gone, and leftovers.

use super::pipe::Pipe;
use crate::faults::nights::Random;
use crate::faults::support::commits;
use feedfleet_tests::Fleet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// How the names of torn receipts begin.
pub(super) const TORN: &str = "torn-";
/// How the names of temporary files begin that no process of the fleet has written.
pub(super) const PLANTED: &str = "planted-";

/// Draws what is damaged.
pub(super) struct Damage {
    random: Random,
    count: u64,
}

impl Damage {
    pub(super) fn new(random: Random) -> Self {
        Self { random, count: 0 }
    }

    /// Damages something when this worker has died, or nothing; what it was.
    pub(super) fn after_death(
        &mut self,
        fleet: &Fleet,
        pipes: &mut [Pipe],
        worker: u32,
    ) -> Option<&'static str> {
        let (kind, measure) = (self.random.below(16), self.random.below(1000));
        self.count += 1;
        let count = self.count;
        match kind {
            0..=2 => {
                let part = newest_part(&snapshot(fleet, pipes, worker)?)?;
                let file = File::options().write(true).open(part).expect("the part is there");
                let size = file.metadata().expect("a file has a size").len();
                file.set_len(size * measure / 1000).expect("a file can be cut");
                Some("part of a snapshot cut")
            }
            3 => {
                let part = newest_part(&snapshot(fleet, pipes, worker)?)?;
                fs::remove_file(part).expect("the part is there");
                Some("part of a snapshot lost")
            }
            4 | 5 => {
                let facts = snapshot(fleet, pipes, worker)?.join("facts.json");
                tear(&facts);
                Some("facts of a snapshot torn")
            }
            6 => {
                let pipe = &pipe_of(pipes, measure).name;
                tear(&fleet.path(&format!("var/objects/validators/{pipe}.json")));
                Some("validators torn")
            }
            7 => {
                tear(&fleet.path(&format!("var/objects/receipts/{TORN}{count}.json")));
                Some("receipt torn")
            }
            8 => {
                tear(&fleet.path(&format!("var/objects/.tmp/{PLANTED}{count}")));
                Some("temporary file left")
            }
            9 | 10 => {
                tear(&pipe_of(pipes, measure).lose_report(fleet)?);
                Some("report torn")
            }
            11..=13 => {
                tear(&pipe_of(pipes, measure).lose_list(fleet)?);
                Some("list of absent products torn")
            }
            _ => None,
        }
    }
}

fn pipe_of(pipes: &mut [Pipe], measure: u64) -> &mut Pipe {
    let place = measure as usize % pipes.len();
    &mut pipes[place]
}

/// Tears what says which scheduler does upkeep.
pub(super) fn tear_owner(fleet: &Fleet) {
    tear(&fleet.path("var/objects/upkeep/owner.json"));
}

/// Half an object.
const HALF: &str = "{\"half\": ";

/// Puts half an object where a whole one is, or could be.
fn tear(path: &Path) {
    let folder = path.parent().expect("a file has a folder");
    fs::create_dir_all(folder).expect("a temporary folder can be written");
    fs::write(path, HALF).expect("a temporary folder can be written");
}

/// Whether an object is as [`tear`] leaves it.
pub(super) fn is_torn(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes == HALF.as_bytes())
}

/// The raw snapshot of the run that a dead worker had in hand. None, too, where the run is in the table: its
/// snapshot is not read again, and nobody would find the damage.
fn snapshot(fleet: &Fleet, pipes: &[Pipe], worker: u32) -> Option<PathBuf> {
    let lost = |pipe: &Pipe| Some((pipe.name.clone(), pipe.lost_by(fleet, worker)?));
    let (pipe, run) = pipes.iter().find_map(lost)?;
    let app = format!("{pipe}/feed");
    let is_in_table = commits(fleet).iter().any(|commit| commit.app == app && commit.run == run);
    let folder = fleet.path(&format!("var/objects/raw/{pipe}/{run:012}"));
    (!is_in_table && folder.is_dir()).then_some(folder)
}

fn newest_part(snapshot: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(snapshot).ok()?.flatten().map(|entry| entry.path());
    entries.filter(|path| !path.ends_with("facts.json")).max()
}
