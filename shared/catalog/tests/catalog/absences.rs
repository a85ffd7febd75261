//! Products that a source does not mention: counted from night to night, and known again by their links.

use crate::support::{catalog, key};
use feedfleet_catalog::diff::{Absent, Diff, PushError, shares_needed};
use feedfleet_catalog::{BYTES_PER_ROW, Catalog, CommitOutcome, Snapshot, feed_app_id};
use feedfleet_model::{Night, Nights, Row, columns};
use std::collections::BTreeMap;

/// Complete nights without each of the products, as the diff tells them.
type Known = BTreeMap<String, u8>;

fn complete(complete: u8) -> Nights {
    Nights { complete, doubtful: 0 }
}

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
    known: &Known,
) -> (Diff, Option<Snapshot>) {
    let snapshot = catalog.products().snapshot().unwrap();
    let mut diff =
        Diff::begin(catalog.products(), snapshot.as_ref(), &key("acme", run), 64 << 20, shares)
            .unwrap();
    loop {
        for (id, nights) in known {
            diff.note_absence(id, complete(*nights));
        }
        diff.note_absence("never heard of", complete(9));
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

/// Each product once, and no doubtful night.
fn known(found: Vec<(String, Nights)>) -> Known {
    let count = found.len();
    let known: Known = found
        .into_iter()
        .map(|(id, nights)| {
            assert_eq!(nights.doubtful, 0, "{id}");
            (id, nights.complete)
        })
        .collect();
    assert_eq!(known.len(), count);
    known
}

fn due(diff: &Diff, snapshot: Option<&Snapshot>) -> Known {
    let mut found = Vec::new();
    let mut note = |id: &str, nights: Nights| found.push((id.to_owned(), nights));
    diff.for_each_due(snapshot, &mut note).unwrap();
    known(found)
}

fn waiting(diff: &Diff, snapshot: Option<&Snapshot>) -> Known {
    let mut found = Vec::new();
    let mut note = |id: &str, nights: Nights| found.push((id.to_owned(), nights));
    diff.for_each_waiting(snapshot, &mut note).unwrap();
    known(found)
}

fn ids(from: u32, to: u32, nights: u8) -> Known {
    (from..to).map(|id| (format!("{id:04}"), nights)).collect()
}

#[test]
fn absences_are_counted_whatever_the_number_of_passes() {
    for shares in [1, 3] {
        let (_folder, catalog) = catalog();
        let all: Vec<(u32, u32)> = (0..60).map(|n| (n, n)).collect();
        // Two files, and dead rows in one: places differ from the order of ids.
        commit(&catalog, read(&catalog, 1, &all[..30], 1, &Known::new()).0, Absent::Remove);
        commit(&catalog, read(&catalog, 2, &all[5..], 1, &Known::new()).0, Absent::Remove);

        let (mut diff, snapshot) = read(&catalog, 3, &all[40..], shares, &ids(5, 20, 1));
        assert_eq!((diff.absent(), diff.waiting()), (35, 0));
        diff.let_wait(2, Night::Complete);
        assert_eq!(due(&diff, snapshot.as_ref()), ids(5, 20, 2));
        assert_eq!(waiting(&diff, snapshot.as_ref()), ids(20, 40, 1));
        let (_, tally) = diff.finish("acme/feed", Absent::Remove).unwrap();
        assert_eq!((tally.removed, tally.waiting, tally.held), (15, 20, 0));

        let (mut diff, snapshot) = read(&catalog, 3, &all[40..], shares, &ids(5, 20, 1));
        diff.let_wait(2, Night::Cut);
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
        commit(&catalog, read(&catalog, 1, &all, 1, &Known::new()).0, Absent::Remove);

        // Twenty keep their pages, ten have others.
        let renamed: Vec<(u32, u32)> =
            (0..30).map(|n| (n + 100, if n < 20 { n } else { n + 100 })).collect();
        let (diff, snapshot) = read(&catalog, 2, &renamed, shares, &Known::new());
        assert_eq!(diff.renamed(snapshot.as_ref()).unwrap(), 20);

        // Nor are they forgotten in the nights after, when the new ids are new no more.
        commit(&catalog, diff, Absent::Hold);
        let (diff, snapshot) = read(&catalog, 3, &renamed, shares, &Known::new());
        assert_eq!(diff.renamed(snapshot.as_ref()).unwrap(), 20);

        // Products that are still there keep their pages to themselves.
        let (_folder, catalog) = self::catalog();
        commit(&catalog, read(&catalog, 1, &all, 1, &Known::new()).0, Absent::Remove);
        let (diff, snapshot) = read(&catalog, 2, &all[..25], shares, &Known::new());
        assert_eq!(diff.renamed(snapshot.as_ref()).unwrap(), 0);
    }
}

/// Promise 15: what is remembered of absent products and of new links is within the budget, too: where it takes less
/// than half, the index makes do with smaller shares. Links that find no room are not kept; where absent products find
/// none, the run says so instead of going on for ever.
#[test]
fn absences_and_new_links_count_against_the_budget() {
    // Everything is another product, on the old one's page: so many links, and as many places of rows.
    let outcome = |products: u32, budget_bytes: usize| {
        let (_folder, catalog) = catalog();
        let all: Vec<(u32, u32)> = (0..products).map(|n| (n, n)).collect();
        commit(&catalog, read(&catalog, 1, &all, 1, &Known::new()).0, Absent::Remove);
        let snapshot = catalog.products().snapshot().unwrap();
        let others: Vec<Row> = (0..products).map(|n| row(100_000 + n, n)).collect();
        let mut shares = shares_needed(u64::from(products), budget_bytes);
        'begin: loop {
            let key = key("acme", 2);
            let table = catalog.products();
            let mut diff =
                Diff::begin(table, snapshot.as_ref(), &key, budget_bytes, shares).unwrap();
            loop {
                let pushed = others.iter().try_for_each(|row| diff.push(row).map(|_| ()));
                match pushed.and_then(|()| diff.end_pass(snapshot.as_ref())) {
                    Ok(true) => {}
                    Ok(false) => return Ok((shares, diff.renamed(snapshot.as_ref()).unwrap())),
                    Err(PushError::OverBudget(_)) => {
                        shares *= 2;
                        continue 'begin;
                    }
                    Err(e) => return Err(e),
                }
            }
        }
    };
    assert_eq!(outcome(10_000, 4 << 20).unwrap(), (1, 10_000));
    // The index alone would fit in four shares.
    let budget_bytes = 600_000;
    assert!(10_000 * 2 / 4 * BYTES_PER_ROW < budget_bytes);
    assert_eq!(outcome(10_000, budget_bytes).unwrap(), (8, 10_000));
    // Not all links find room, and still more than half of the products are known again.
    let (_, renamed) = outcome(10_000, 256_000).unwrap();
    assert!((5_001..10_000).contains(&renamed), "{renamed}");
    let refused = outcome(20_000, 256_000).unwrap_err();
    assert!(matches!(refused, PushError::TooMuch(_)), "{refused}");
}

#[test]
fn renamed_products_are_counted_in_parts_where_memory_is_short() {
    let (_folder, catalog) = catalog();
    let all: Vec<(u32, u32)> = (0..4_000).map(|n| (n, n)).collect();
    commit(&catalog, read(&catalog, 1, &all, 1, &Known::new()).0, Absent::Remove);
    let snapshot = catalog.products().snapshot().unwrap();
    let renamed: Vec<Row> = (0..4_000).map(|n| row(n + 10_000, n)).collect();
    // The least that a diff makes do with.
    let mut diff =
        Diff::begin(catalog.products(), snapshot.as_ref(), &key("acme", 2), 0, 8).unwrap();
    loop {
        for row in &renamed {
            diff.push(row).unwrap();
        }
        if !diff.end_pass(snapshot.as_ref()).unwrap() {
            break;
        }
    }
    assert_eq!(diff.renamed(snapshot.as_ref()).unwrap(), 4_000);
}

#[test]
fn a_source_that_names_changes_only_leaves_nothing_to_remember() {
    let (_folder, catalog) = catalog();
    let all: Vec<(u32, u32)> = (0..20).map(|n| (n, n)).collect();
    commit(&catalog, read(&catalog, 1, &all, 1, &Known::new()).0, Absent::Remove);
    let snapshot = catalog.products().snapshot().unwrap();
    let mut diff =
        Diff::begin(catalog.products(), snapshot.as_ref(), &key("acme", 2), 1 << 20, 1).unwrap();
    diff.keep_unmentioned();
    diff.push(&row(3, 33)).unwrap();
    assert!(!diff.end_pass(snapshot.as_ref()).unwrap());
    assert_eq!(diff.absent(), 0);
    let (_, tally) = diff.finish("acme/feed", Absent::Keep).unwrap();
    assert_eq!((tally.changed, tally.removed, tally.held), (1, 0, 0));
}
