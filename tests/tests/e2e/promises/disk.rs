//! A disk that is full: a small file system of the test's own, which only the superuser can make.

use super::skipped;
use crate::faults::nights::Random;
use crate::faults::support::{
    SOON, attempts, commits, failing_worker, fleet, is_final, issue, left, report, settled, stop,
    wait_until_stopped,
};
use feedfleet_tests::{Fleet, eventually};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What fits while the disk is small, and what does not.
const SMALL: &str = "4m";
const LARGE: &str = "64m";
const FEW: u64 = 10;
const MANY: u64 = 5000;
/// How often a worker tries to settle a message.
const SETTLE_TRIES: usize = 5;
/// Characters of a product's text: of 64 kinds, so that no more than a quarter of them is compressed away.
const TEXT: usize = 2000;

/// A file system in memory, in a folder of the test's; small at first, and gone with the value.
struct Disk(PathBuf);

impl Disk {
    /// None, and said aloud: this user may not, or this machine does not.
    fn mount(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).expect("a temporary folder can be written");
        let options = format!("size={SMALL}");
        match mount(&["-t", "tmpfs", "-o", &options, "feedfleet-test"], &folder) {
            Ok(()) => Some(Self(folder)),
            Err(why) => {
                skipped("a full disk", &why);
                None
            }
        }
    }

    /// Takes all the room that there is; the file that has it.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = File::create(&path).expect("a file takes no room by itself");
        loop {
            match ballast.write_all(&[1; 4096]) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::StorageFull => return path,
                Err(e) => panic!("{}: {e}", path.display()),
            }
        }
    }

    fn make_room(&self) {
        let options = format!("remount,size={LARGE}");
        mount(&["-o", &options], &self.0).expect("what was mounted can be made larger");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that was killed may still have a file of it open.
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("could not unmount {}", self.0.display());
        }
    }
}

fn mount(options: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(options).arg(folder).output();
    let output = output.map_err(|e| format!("mount cannot be started: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// A feed whose texts hardly can be compressed.
fn feed(products: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = Random::new(51);
    let mut feed = "sku,name,text\n".to_owned();
    for product in 0..products {
        feed.push_str(&format!("{product},Product {product},"));
        for _ in 0..TEXT / 10 {
            let mut bits = random.below(1 << 60);
            for _ in 0..10 {
                feed.push(char::from(LETTERS[(bits % 64) as usize]));
                bits /= 64;
            }
        }
        feed.push('\n');
    }
    feed
}

fn write_pipe(fleet: &Fleet) {
    fleet.pipe(
        "shop",
        "[source]\nurl = \"products.csv\"\nformat = \"csv\"\n\
         [map]\nid = \"sku\"\ntitle = \"name\"\ndescription = \"text\"\n[images]\nmirror = false\n",
    );
}

/// Promises 1 and 3: when the catalogue's disk is full, the attempt fails and says so; the rows that were there can
/// be read, the message is not lost, and with more room the same run is done.
#[test]
fn a_full_disk_costs_an_attempt_and_no_row() {
    let fleet = fleet("visibility = \"10s\"", "max = 1");
    let Some(disk) = Disk::mount(fleet.path("var/catalog")) else { return };
    write_pipe(&fleet);
    fleet.write("products.csv", feed(FEW));
    fleet.run_pipe("shop");
    let before = fleet.products("shop");
    assert_eq!(before.len() as u64, FEW);
    let committed = commits(&fleet);

    fleet.write("products.csv", feed(MANY));
    let run = issue(&fleet, "shop");
    let mut worker = fleet.spawn(&["worker"]);
    let failed = eventually(SOON, "the attempt to fail", || {
        let report = report(&fleet, "shop", run);
        let ended = attempts(&report).first().is_some_and(|attempt| !attempt["end"].is_null());
        ended.then_some(report)
    });
    assert!(!is_final(&failed), "{failed:#}");
    let end = &attempts(&failed)[0]["end"];
    assert_eq!(end["outcome"], "retry", "{failed:#}");
    assert_eq!(end["reason"]["class"], "storage", "{failed:#}");
    let message = end["reason"]["message"].as_str().expect("a reason has a message");
    assert!(message.contains("No space left on device"), "{message}");
    fleet.run(&["runs", "show", "shop"]).ok().says(&["storage", "No space left on device"]);
    assert_eq!(fleet.products("shop"), before);
    assert_eq!(commits(&fleet), committed);
    let data = fs::read_dir(fleet.path("var/catalog/products/pipe=shop"));
    let data = data.expect("the first run made it").count();
    assert_eq!(data, 1, "what was written of the large file is gone, and its room is free");
    assert_eq!(left(&fleet, "crawl"), 1, "the message waits for its next attempt");

    disk.make_room();
    let done = settled(&fleet, "shop", run);
    assert_eq!(done["state"], "done", "{done:#}");
    assert_eq!(fleet.products("shop").len() as u64, MANY);
    stop(&mut worker);
    assert_eq!(commits(&fleet).len(), committed.len() + 1);
}

/// Promises 1 and 3: when the one disk that has table, objects and queue is full to the last byte under a run, not even
/// the attempt's end can be noted, and the message cannot be settled. Rows, reports and queue can be read, nothing that
/// was there is lost, and with room again the same run is done.
#[test]
fn a_disk_without_a_byte_left_loses_nothing() {
    let fleet = fleet("visibility = \"10s\"", "max = 1");
    let Some(disk) = Disk::mount(fleet.path("var")) else { return };
    write_pipe(&fleet);
    fleet.write("products.csv", feed(FEW));
    fleet.run_pipe("shop");
    let (before, committed) = (fleet.products("shop"), commits(&fleet));

    fleet.write("products.csv", feed(2 * FEW));
    let run = issue(&fleet, "shop");
    let mut worker = failing_worker(&fleet, "job.begun=stop");
    wait_until_stopped(&worker);
    let ballast = disk.fill();
    worker.signal_group("CONT");
    eventually(SOON, "the worker to give the message up", || {
        let failures = worker.stderr().matches("could not settle a message").count();
        (failures == SETTLE_TRIES).then_some(())
    });
    let told = worker.stderr();
    assert!(told.contains("storage") && told.contains("No space left on device"), "{told}");
    let begun = report(&fleet, "shop", run);
    assert_eq!(begun["state"], "running", "{begun:#}");
    assert!(attempts(&begun)[0]["end"].is_null(), "there was room to note it: {begun:#}");
    fleet.run(&["runs", "show", "shop"]).ok().says(&["running"]);
    assert_eq!(left(&fleet, "crawl"), 1, "the message is not lost");
    assert_eq!(fleet.products("shop"), before);
    assert_eq!(commits(&fleet), committed);

    fs::remove_file(ballast).expect("what was written can be removed");
    // At its failpoint it would stop again.
    stop(&mut worker);
    let mut worker = fleet.spawn(&["worker"]);
    let done = settled(&fleet, "shop", run);
    assert_eq!(done["state"], "done", "{done:#}");
    assert_eq!(attempts(&done).len(), 2, "{done:#}");
    assert_eq!(fleet.products("shop").len() as u64, 2 * FEW);
    assert_eq!(commits(&fleet).len(), committed.len() + 1);
    stop(&mut worker);
}
