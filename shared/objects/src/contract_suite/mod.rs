//! The checks that every store of objects has to pass, one a promise of the contract.
//!
//! A backend's test implements [`Backend`] (how to get an empty store) and calls [`run_all`]. A stand-in for a
//! real service names its known differences in [`Deviations`]; the checks they break are skipped and printed,
//! never weakened.

use crate::Objects;
use async_trait::async_trait;
use bench::Bench;
use std::pin::Pin;
use std::sync::Arc;

mod bench;
mod lists;
mod races;
mod streams;
mod whole;

/// A backend under test.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// A new, empty store.
    async fn fresh(&self) -> Arc<dyn Objects>;

    /// How this backend is known to differ from the contract. By default it does not.
    fn deviations(&self) -> Deviations {
        Deviations::default()
    }
}

/// Known differences of a backend from the contract; each excuses the checks it breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deviations {
    /// Lists `o/a/1` before `o/a-1`, as a tree of folders would, and not in the order of keys.
    pub lists_as_a_tree: bool,
    /// What is listed as unfinished is not all there is, or of no known age.
    pub unfinished_uploads_unlisted: bool,
}

type CheckFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Promise {
    name: &'static str,
    check: fn(Bench) -> CheckFuture,
    excused: fn(Deviations) -> bool,
}

macro_rules! promise {
    ($module:ident :: $check:ident) => {
        promise!($module::$check, |_| false)
    };
    ($module:ident :: $check:ident, $excused:expr) => {
        Promise {
            name: stringify!($check),
            check: |bench: Bench| -> CheckFuture { Box::pin($module::$check(bench)) },
            excused: $excused,
        }
    };
}

fn promises() -> Vec<Promise> {
    vec![
        promise!(whole::an_object_comes_back_as_it_was_written),
        promise!(whole::a_put_replaces),
        promise!(whole::an_empty_object_is_an_object),
        promise!(whole::the_longest_key_is_a_key),
        promise!(whole::attributes_change_no_byte),
        promise!(whole::what_was_deleted_is_gone),
        promise!(whole::a_link_names_the_object),
        promise!(races::what_is_there_is_not_created_again),
        promise!(races::a_stale_version_loses),
        promise!(races::what_is_gone_is_not_updated),
        promise!(races::of_racing_creators_one_wins),
        promise!(races::of_racing_updaters_one_wins),
        promise!(races::updates_in_turn_are_all_in),
        promise!(lists::a_list_has_what_begins_so),
        promise!(lists::a_list_is_in_key_order, |d| d.lists_as_a_tree),
        promise!(lists::a_list_goes_on_where_it_ended, |d| d.lists_as_a_tree),
        promise!(lists::a_long_list_is_whole),
        promise!(lists::a_list_tells_size_and_time),
        promise!(streams::an_unfinished_upload_shows_nothing),
        promise!(streams::uploads_of_any_size_come_back_whole),
        promise!(streams::an_upload_replaces),
        promise!(streams::what_is_not_there_does_not_open),
        promise!(streams::a_reader_may_stop_early),
        promise!(streams::what_dead_writers_left_is_discarded, |d| {
            d.unfinished_uploads_unlisted
        }),
    ]
}

/// Runs every check against `backend`, each on a store of its own, and prints what it did. Needs a runtime of
/// several threads.
///
/// # Panics
/// If a promise is broken; after all checks have run, naming the broken ones.
pub async fn run_all(backend: Arc<dyn Backend>) {
    let mut broken = Vec::new();
    for promise in promises() {
        let name = promise.name;
        if (promise.excused)(backend.deviations()) {
            println!("{name}: skipped, a known deviation");
            continue;
        }
        let bench = Bench { store: backend.fresh().await };
        // A task of its own turns a failed assertion into an error here.
        match tokio::spawn((promise.check)(bench)).await {
            Ok(()) => println!("{name}: kept"),
            Err(error) => {
                println!("{name}: BROKEN");
                broken.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(broken.is_empty(), "broken promises:\n{}", broken.join("\n"));
}
