//! Pictures expire with the last row that showed them, and not a moment earlier.

use super::*;
use crate::testing::{World, acme, entry, link};
use crate::upkeep::Upkeep;
use chrono::TimeDelta;
use feedfleet_model::image::ImageStatus;
use feedfleet_model::report::RunState;
use std::collections::BTreeSet;

/// The objects of a picture: original, rendition, facts.
fn objects(name: &str) -> [ObjectKey; 3] {
    let original = keys::image_key(&acme(), &link(name));
    [keys::rendition(&original, "thumb", "webp"), keys::image_facts(&original), original]
}

/// Which of the pictures `a`, `b`, `c` are there, whole; none may be there in part.
async fn present(world: &World) -> String {
    let mut present = String::new();
    for name in ["a", "b", "c"] {
        let mut count = 0;
        for key in objects(name) {
            count += usize::from(world.is_there(&key).await);
        }
        assert!(matches!(count, 0 | 3), "{name} is there in part");
        if count == 3 {
            present.push_str(name);
        }
    }
    present
}

/// A pipe that shows `a` and `b`, each in a file of its own; `c` is mirrored too and nothing shows it. The file
/// that shows `b`.
async fn world() -> (World, String) {
    let world = World::new();
    world.add_rows(1, &["a"]);
    let shows_b = world.add_rows(2, &["b"]);
    for name in ["a", "b", "c"] {
        world.put(&objects(name)).await;
        world.fold(&[entry(name, 1, ImageStatus::Stored, world.now())]);
    }
    (world, shows_b)
}

/// Promise 13: upkeep deletes no picture that a product shows, or that a rollback within the window would show
/// again; what is older goes, with its entries.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_goes_when_the_window_has_passed() {
    let (world, shows_b) = world().await;
    world.drop_rows(3, &shows_b);
    world.report(3, RunState::Done, |_| ()).await;
    let mut upkeep = Upkeep::new(&world.deps);
    upkeep.turn().await;
    assert_eq!(present(&world).await, "abc", "all are young");

    world.pass(TimeDelta::days(13));
    upkeep.turn().await;
    assert_eq!(present(&world).await, "abc", "within the window");
    assert!(world.table_path(&shows_b).is_file());

    world.pass(TimeDelta::days(2));
    upkeep.turn().await;
    assert!(!world.table_path(&shows_b).is_file(), "vacuum went first");
    assert_eq!(present(&world).await, "a");
    let kept = keys::image_key(&acme(), &link("a")).to_string();
    assert_eq!(world.entries(), BTreeSet::from([kept]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_any_file_still_names_stays_however_old_it_is() {
    for is_bucket in [false, true] {
        let (mut world, shows_b) = world().await;
        if is_bucket {
            world.as_in_a_bucket();
        }
        world.drop_rows(3, &shows_b);
        world.report(3, RunState::Done, |_| ()).await;
        world.pass(TimeDelta::days(100));
        // Without vacuum, the file that shows `b` is still there.
        let removed = remove_unshown(&world.deps, &acme(), world.now()).await.unwrap();
        assert_eq!(removed, Some(Removed { pictures: 1, bytes: 3, entries: 1 }));
        assert_eq!(present(&world).await, "ab");
        let again = remove_unshown(&world.deps, &acme(), world.now()).await.unwrap();
        assert_eq!(again, Some(Removed::default()));
    }
}

/// A file may be unreadable for as long as it is being written: a sweep that fails is not put off by a week, nor made
/// again at every turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_fails_is_made_again_in_an_hour() {
    let (mut world, shows_b) = world().await;
    world.as_in_a_bucket();
    world.report(3, RunState::Done, |_| ()).await;
    world.pass(TimeDelta::days(100));
    let path = world.table_path(&shows_b);
    let elsewhere = tempfile::tempdir().unwrap();
    let aside = elsewhere.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    let mut upkeep = Upkeep::new(&world.deps);
    upkeep.turn().await;
    std::fs::rename(&aside, &path).unwrap();
    for (minutes, there) in [(1, "abc"), (58, "abc"), (1, "ab")] {
        world.pass(TimeDelta::minutes(minutes));
        upkeep.turn().await;
        assert_eq!(present(&world).await, there, "{minutes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_run_is_under_way_nothing_goes_and_soon_after_it_does() {
    let (world, _) = world().await;
    world.report(3, RunState::Running, |_| ()).await;
    world.pass(TimeDelta::days(100));
    let mut upkeep = Upkeep::new(&world.deps);
    upkeep.turn().await;
    assert_eq!(present(&world).await, "abc");
    let ended = |report: &mut feedfleet_model::RunReport| report.state = RunState::Done;
    world.deps.reports().update(&crate::testing::run(3), ended).await.unwrap();
    world.pass(TimeDelta::minutes(1));
    upkeep.turn().await;
    assert_eq!(present(&world).await, "ab", "the next turn, not the next day");
}

/// A dead run that an operator has replayed is not the newest of its pipe where another died after it; and one that died
/// again in between was at work.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_came_back_from_the_dead_is_one_under_way() {
    let (world, _) = world().await;
    for (run, state) in [(3, RunState::Running), (4, RunState::Dead)] {
        world.report(run, state, |_| ()).await;
    }
    assert_eq!(last_run_if_final(&world.deps, &acme()).await.unwrap(), None);
    let key = crate::testing::run(3);
    let die = |report: &mut feedfleet_model::RunReport| report.state = RunState::Dead;
    world.deps.reports().update(&key, die).await.unwrap();
    let last = last_run_if_final(&world.deps, &acme()).await.unwrap();
    assert_eq!(last.map(|(run, _)| run.0), Some(4));

    let again = world.now() + TimeDelta::seconds(1);
    let later = |report: &mut feedfleet_model::RunReport| report.updated_at = again;
    world.deps.reports().update(&crate::testing::run(4), later).await.unwrap();
    assert_ne!(last_run_if_final(&world.deps, &acme()).await.unwrap(), last);
}

/// Promise 13: a file that is being written, and so cannot be read, may name any picture.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_or_is_lost_keeps_everything() {
    let (world, shows_b) = world().await;
    world.report(3, RunState::Done, |_| ()).await;
    world.pass(TimeDelta::days(100));
    let unfinished = world.table_path("pipe=acme/run-4-half.parquet");
    std::fs::write(&unfinished, b"PAR1 half a file").unwrap();
    assert!(remove_unshown(&world.deps, &acme(), world.now()).await.is_err());
    std::fs::remove_file(&unfinished).unwrap();

    let path = world.table_path(&shows_b);
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    let error = remove_unshown(&world.deps, &acme(), world.now()).await.unwrap_err();
    assert!(error.to_string().contains("it is not there"), "{error}");
    assert_eq!(present(&world).await, "abc");
    std::fs::rename(&aside, &path).unwrap();
    assert!(remove_unshown(&world.deps, &acme(), world.now()).await.unwrap().is_some());
    assert_eq!(present(&world).await, "ab");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_grows_too_large_is_built_by_shares() {
    let world = World::new();
    let names: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.add_rows(1, &names);
    let products = world.deps.catalog.products();
    assert!(shown(products, &acme(), Share::ALL, 10).unwrap().is_none());
    let (mut all, mut share) = (HashSet::new(), Some(Share::ALL));
    while let Some(this) = share {
        share = match shown(products, &acme(), this, 10).unwrap() {
            None => this.half(),
            Some(some) => {
                assert!(some.iter().all(|hash| this.holds(*hash)));
                all.extend(some);
                this.next()
            }
        };
    }
    let expected: HashSet<u128> =
        names.iter().map(|name| keys::address_hash(&link(name))).collect();
    assert_eq!(all, expected);
}
