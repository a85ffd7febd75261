//! What a host sees of the whole fleet.

use super::shop::Shop;
use crate::faults::support::{SOON, issue, left, settled, stop};
use feedfleet_tests::{Fleet, Running, eventually};
use std::time::Duration;

/// Two pipes crawl one host and four workers are at it, pictures and all: no more requests at once than it allows.
#[test]
fn a_host_never_sees_more_than_its_allowance() {
    let shop = Shop::new(60, |mood| {
        (mood.delay, mood.has_pictures) = (Duration::from_millis(10), true);
    });
    let fleet = Fleet::with_fleet_toml(
        "[leases]\nvisibility = \"10s\"\n[workers]\nmax = 4\n[hosts]\nconcurrency = 4\n\
         [http]\nallow_private = [\"127.0.0.0/8\"]\n[scheduler]\ntick = \"1s\"\n",
    );
    shop.pipe(&fleet, "a", "");
    shop.pipe(&fleet, "b", "");
    let runs = ["a", "b"].map(|pipe| (pipe, issue(&fleet, pipe)));
    let mut workers: Vec<Running> = (0..4).map(|_| fleet.spawn(&["worker"])).collect();
    for (pipe, run) in runs {
        let report = settled(&fleet, pipe, run);
        assert_eq!(report["state"], "done", "{report:#}");
        assert_eq!(report["counts"]["live"], 60, "{report:#}");
    }
    eventually(SOON, "the pictures to be asked for", || (left(&fleet, "image") == 0).then_some(()));
    let most = shop.mood().most;
    assert!((2..=4).contains(&most), "{most} requests at once");
    workers.iter_mut().for_each(stop);
}

/// Where crawls would leave a host no request for pictures, the configuration says so.
#[test]
fn too_many_crawls_of_one_host_are_refused() {
    let shop = Shop::new(1, |mood| mood.has_pictures = true);
    let fleet = Fleet::with_fleet_toml("[hosts]\nconcurrency = 2\n");
    shop.pipe(&fleet, "a", "");
    fleet.run(&["pipes", "check"]).ok();
    shop.pipe(&fleet, "b", "");
    let checked = fleet.run(&["pipes", "check"]).failed();
    checked.says(&["(a, b)", "expected 3 at least", "mirror = false"]);
}
