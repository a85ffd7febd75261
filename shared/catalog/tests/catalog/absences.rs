//! Products that a source does not mention: counted from night to night, and known again by their links.

use crate::support::{catalog, key};
use feedfleet_catalog::diff::{Absent, Diff};
use feedfleet_catalog::{Catalog, CommitOutcome, Snapshot, feed_app_id};
use feedfleet_model::{Row, columns};
use std::collections::BTreeMap;

/// Nights without each of the products, as the diff tells them.
type Nights = BTreeMap<String, u8>;

fn row(id: u32, page: u32) -> Row {
    let mut row = Row::new();
    row.set_text(columns::ID, &format!("{id:04}"));
    row.set_text(columns::LINK, &format!("http://h/{page}"));
    row.settle_extra();
    row
}

/// A diff that has gone through these products, in so many shares, with these nights known of before.
fn read(
    catalog: &Catalog,
    run: i64,
    products: &[(u32, u32)],
    shares: u32,
    known: &Nights,
) -> (Diff, Option<Snapshot>) {
    let snapshot = catalog.products().snapshot().unwrap();
    let mut diff =
        Diff::begin(catalog.products(), snapshot.as_ref(), &key("acme", run), 64 << 20, shares)
            .unwrap();
    loop {
        for (id, nights) in known {
            diff.note_absence(id, *nights);
        }
        diff.note_absence("never heard of", 9);
        for (id, page) in products {
            diff.push(&row(*id, *page)).unwrap();
        }
        if !diff.end_pass(snapshot.as_ref()).unwrap() {
            return (diff, snapshot);
        }
    }
}

fn commit(catalog: &Catalog, diff: Diff, absent: Absent) {
    let (change, _) = diff.finish(&feed_app_id(&key("acme", 0).pipe), absent).unwrap();
    let outcome = catalog.products().commit(&change).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
}

fn due(diff: &Diff, snapshot: Option<&Snapshot>) -> Nights {
    let mut found = Nights::new();
    let mut note = |id: &str, nights: u8| assert!(found.insert(id.to_owned(), nights).is_none());
    diff.for_each_due(snapshot, &mut note).unwrap();
    found
}

fn waiting(diff: &Diff, snapshot: Option<&Snapshot>) -> Nights {
    let mut found = Nights::new();
    let mut note = |id: &str, nights: u8| assert!(found.insert(id.to_owned(), nights).is_none());
    diff.for_each_waiting(snapshot, &mut note).unwrap();
    found
}

fn ids(from: u32, to: u32, nights: u8) -> Nights {
    (from..to).map(|id| (format!("{id:04}"), nights)).collect()
}

#[test]
fn absences_are_counted_whatever_the_number_of_passes() {
    for shares in [1, 3] {
        let (_folder, catalog) = catalog();
        let all: Vec<(u32, u32)> = (0..60).map(|n| (n, n)).collect();
        // Two files, and dead rows in one: places differ from the order of ids.
        commit(&catalog, read(&catalog, 1, &all[..30], 1, &Nights::new()).0, Absent::Remove);
        commit(&catalog, read(&catalog, 2, &all[5..], 1, &Nights::new()).0, Absent::Remove);

        let (mut diff, snapshot) = read(&catalog, 3, &all[40..], shares, &ids(5, 20, 1));
        assert_eq!((diff.absent(), diff.waiting()), (35, 0));
        diff.let_wait(2, true);
        assert_eq!(due(&diff, snapshot.as_ref()), ids(5, 20, 2));
        assert_eq!(waiting(&diff, snapshot.as_ref()), ids(20, 40, 1));
        let (_, tally) = diff.finish("acme/feed", Absent::Remove).unwrap();
        assert_eq!((tally.removed, tally.waiting, tally.held), (15, 20, 0));

        let (mut diff, snapshot) = read(&catalog, 3, &all[40..], shares, &ids(5, 20, 1));
        diff.let_wait(2, false);
        assert!(due(&diff, snapshot.as_ref()).is_empty());
        let mut expected = ids(5, 20, 1);
        expected.extend(ids(20, 40, 0));
        assert_eq!(waiting(&diff, snapshot.as_ref()), expected);
    }
}

#[test]
fn products_under_new_ids_are_known_by_their_links() {
    for shares in [1, 3] {
        let (_folder, catalog) = catalog();
        let all: Vec<(u32, u32)> = (0..30).map(|n| (n, n)).collect();
        commit(&catalog, read(&catalog, 1, &all, 1, &Nights::new()).0, Absent::Remove);

        // Twenty keep their pages, ten have others.
        let renamed: Vec<(u32, u32)> =
            (0..30).map(|n| (n + 100, if n < 20 { n } else { n + 100 })).collect();
        let (diff, snapshot) = read(&catalog, 2, &renamed, shares, &Nights::new());
        assert_eq!(diff.renamed(snapshot.as_ref()).unwrap(), 20);

        // Nor are they forgotten in the nights after, when the new ids are new no more.
        commit(&catalog, diff, Absent::Hold);
        let (diff, snapshot) = read(&catalog, 3, &renamed, shares, &Nights::new());
        assert_eq!(diff.renamed(snapshot.as_ref()).unwrap(), 20);

        // Products that are still there keep their pages to themselves.
        let (_folder, catalog) = self::catalog();
        commit(&catalog, read(&catalog, 1, &all, 1, &Nights::new()).0, Absent::Remove);
        let (diff, snapshot) = read(&catalog, 2, &all[..25], shares, &Nights::new());
        assert_eq!(diff.renamed(snapshot.as_ref()).unwrap(), 0);
    }
}
