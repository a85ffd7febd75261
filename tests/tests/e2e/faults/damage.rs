//! Objects that are damaged where they lie.

use super::nights::{Nights, Shop, rows};
use super::support::{SOON, fleet, is_final, issue, object, settled, stop};
use feedfleet_tests::eventually;
use serde_json::Value;
use std::fs;

/// Promise 1: a run whose report is damaged is not lost. Its report says again what the commit says, the damaged one
/// is kept, and the pipe goes on.
#[test]
fn a_damaged_report_says_again_what_the_commit_says() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10s\"", "max = 1"));
    let mut nights = Nights::new(51, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let mut worker = fleet.spawn(&["worker"]);
    let run = issue(&fleet, "acme");
    let before = settled(&fleet, "acme", run);
    assert_eq!(before["state"], "done", "{before:#}");
    nights.committed(run);

    let key = format!("reports/acme/{run:012}.json");
    let path = fleet.path("var/objects").join(&key);
    let whole = fs::read(&path).expect("the run has a report");
    let damaged = &whole[..whole.len() / 2];
    fleet.write(&format!("var/objects/{key}"), damaged);
    fleet.run(&["run", "acme"]).failed().says(&[&key, "cannot be read"]);

    let mut scheduler = fleet.spawn(&["scheduler"]);
    let is_report = |bytes: &[u8]| serde_json::from_slice(bytes).is_ok_and(|r: Value| is_final(&r));
    eventually(SOON, "the run to have its report again", || {
        is_report(&fs::read(&path).expect("it is never gone")).then_some(())
    });
    let after = object(&fleet, &key);
    for name in ["state", "table_version", "lists"] {
        assert_eq!(after[name], before[name], "{name}: {after:#}");
    }
    assert_eq!(after["counts"], before["counts"], "{after:#}");
    assert_eq!(after["reason"]["class"], "unreadable", "{after:#}");
    let told = after["reason"]["message"].as_str().expect("a reason has a message");
    let copy = told.rsplit('\'').nth(1).expect("it names the copy");
    let kept = fs::read(fleet.path("var/objects").join(copy));
    assert_eq!(kept.expect("the copy is there"), damaged);

    nights.pass();
    shop.publish("acme", &nights);
    let next = issue(&fleet, "acme");
    let report = settled(&fleet, "acme", next);
    assert_eq!(report["state"], "done", "{report:#}");
    nights.committed(next);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    stop(&mut worker);
    stop(&mut scheduler);
}
