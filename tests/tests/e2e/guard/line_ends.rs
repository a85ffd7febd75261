//! Sources whose last line has no end: cut off there, or written so.

use super::*;

/// Promise 12: text that was cut inside its last column has all its cells. That its last line has no end, and the
/// pipe's have one, says it.
#[test]
fn a_source_cut_inside_its_last_column_removes_nothing() {
    let fleet = csv_shop("");
    assert_eq!(csv_night(&fleet, 0..10)["source"]["last_line_ends"], true);
    // Fewer are gone than max_removed allows. It does not become usual by itself.
    for _ in 0..2 {
        let held = csv_night_without(&fleet, "uct 7\n", 0..8);
        assert_eq!(held["state"], "held", "{held:#}");
        assert_eq!(held["source"]["complete"], false, "{held:#}");
        assert_counts(&held, &[("held", 2), ("removed", 0), ("refused", 0), ("live", 10)]);
        assert!(why(&held).contains("the last line has no line end"), "{held:#}");
    }
    // The partner's next export is whole.
    assert_counts(&csv_night(&fleet, 0..9), &[("held", 0), ("removed", 1), ("live", 9)]);

    // The partner writes no last line end any more, and an operator says that it is right so.
    let held = csv_night_without(&fleet, "\n", 0..7);
    assert_counts(&held, &[("held", 2), ("removed", 0), ("live", 9)]);
    let approve = ["runs", "approve", "shop", &run_of(&held)];
    fleet.run(&approve).ok().says(&["2 products removed", "7 live"]);
    let next = csv_night_without(&fleet, "\n", 0..6);
    assert_eq!(next["state"], "done", "{next:#}");
    assert_counts(&next, &[("held", 0), ("removed", 1), ("live", 6)]);
}

/// Nothing is held of a source of changes, so that nobody could approve it: a line end that it lost is not judged.
#[test]
fn a_source_of_changes_may_lose_its_last_line_end() {
    let fleet = Fleet::new();
    let map = "changes_only = true\n[map]\nid = \"sku\"\ntitle = \"name\"\n";
    fleet.pipe("shop", &pipe("shop.csv", "csv", map, ""));
    assert_eq!(csv_night(&fleet, 0..10)["source"]["last_line_ends"], true);
    let next = csv_night_without(&fleet, "\n", 5..12);
    assert_eq!(next["state"], "done", "{next:#}");
    assert_eq!(next["source"]["last_line_ends"], false, "{next:#}");
    assert_eq!(next["source"]["complete"], true, "{next:#}");
    assert_counts(&next, &[("held", 0), ("removed", 0), ("new", 2), ("live", 12)]);
}

/// A partner who never writes a last line end is not held for it, nor for beginning to.
#[test]
fn a_source_that_never_has_a_last_line_end_is_believed() {
    let fleet = csv_shop("");
    let first = csv_night_without(&fleet, "\n", 0..10);
    assert_eq!(first["source"]["last_line_ends"], false, "{first:#}");
    let second = csv_night_without(&fleet, "\n", 0..8);
    assert_eq!(second["state"], "done", "{second:#}");
    assert_counts(&second, &[("held", 0), ("removed", 2), ("live", 8)]);
    let third = csv_night(&fleet, 0..7);
    assert_counts(&third, &[("held", 0), ("removed", 1), ("live", 7)]);
}
