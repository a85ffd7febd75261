//! Sources that are far shorter than usual.

use super::*;

/// Promise 12: a format that cannot prove its end is measured by the pipe's own history.
#[test]
fn a_source_without_end_mark_that_is_far_shorter_than_usual_removes_nothing() {
    let fleet = csv_shop("max_removed = \"100%\"");
    let night = |count: u32| csv_night(&fleet, 0..count);
    for _ in 0..3 {
        assert_eq!(night(100)["state"], "done");
    }
    let held = night(70);
    assert_eq!(held["state"], "held", "{held:#}");
    assert_eq!(held["source"]["complete"], false, "{held:#}");
    assert_counts(&held, &[("held", 30), ("removed", 0), ("live", 100)]);
    assert!(why(&held).contains("70 records, usually 100"), "{held:#}");
    assert!(why(&held).contains("min_records"), "{held:#}");
    // Four fifths are enough.
    assert_counts(&night(80), &[("held", 0), ("removed", 20), ("live", 80)]);

    // An approval makes what it approves the new usual.
    let held = night(40);
    assert_eq!(held["state"], "held", "{held:#}");
    fleet.run(&["runs", "approve", "shop", &run_of(&held)]).ok().says(&["40 products removed"]);
    let next = night(35);
    assert_eq!(next["state"], "done", "{next:#}");
    assert_counts(&next, &[("removed", 5), ("live", 35)]);
}

/// Promise 12: where products may be absent for some nights, a source that has become far shorter than usual, and
/// cannot prove its end, removes nothing; but after as many such nights an operator can say that it is right so.
#[test]
fn products_that_wait_are_held_when_the_source_stays_short() {
    let fleet = csv_shop("max_removed = \"100%\"\nabsent_nights = 2");
    for _ in 0..3 {
        assert_eq!(csv_night(&fleet, 0..100)["state"], "done");
    }
    // One is gone for good; the next night, a third of the products is.
    assert_counts(&csv_night(&fleet, 0..99), &[("absent", 1), ("held", 0), ("live", 100)]);
    let short = csv_night(&fleet, 0..70);
    assert_eq!(short["state"], "held", "{short:#}");
    assert_counts(&short, &[("absent", 29), ("held", 1), ("removed", 0), ("live", 100)]);
    let again = csv_night(&fleet, 0..70);
    assert_eq!(again["state"], "held", "{again:#}");
    assert_counts(&again, &[("absent", 0), ("held", 30), ("removed", 0), ("live", 100)]);
    assert!(why(&again).contains("70 records, usually 100"), "{again:#}");
    let approve = ["runs", "approve", "shop", &run_of(&again)];
    fleet.run(&approve).ok().says(&["30 products removed", "70 live"]);
    assert_eq!(numbers(&fleet, "shop"), (0..70).collect::<Vec<_>>());
    let next = csv_night(&fleet, 0..70);
    assert_eq!(next["state"], "done", "{next:#}");
    assert_counts(&next, &[("absent", 0), ("held", 0), ("unchanged", 70)]);
}

/// Promise 12: short nights alone remove nothing: the nights that the pipe asks for are complete ones.
#[test]
fn short_nights_do_not_count_towards_a_removal() {
    let fleet = csv_shop("max_removed = \"100%\"\nabsent_nights = 2");
    for _ in 0..3 {
        csv_night(&fleet, 0..100);
    }
    csv_night(&fleet, 0..70);
    csv_night(&fleet, 0..70);
    // The source is whole again, and one product is really gone.
    let whole = csv_night(&fleet, 0..99);
    assert_eq!(whole["state"], "done", "{whole:#}");
    assert_counts(&whole, &[("absent", 1), ("held", 0), ("removed", 0), ("live", 100)]);
    let next = csv_night(&fleet, 0..99);
    assert_counts(&next, &[("absent", 0), ("held", 0), ("removed", 1), ("live", 99)]);
}

/// A feed with an end of its own proves itself, however short it is.
#[test]
fn a_source_with_an_end_mark_is_believed() {
    let fleet = shop("max_removed = \"100%\"");
    for _ in 0..3 {
        night(&fleet, 0..10);
    }
    let report = night(&fleet, 0..2);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_counts(&report, &[("removed", 8), ("live", 2)]);
}
