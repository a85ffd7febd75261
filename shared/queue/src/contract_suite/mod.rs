//! The checks that every queue backend has to pass, one a promise of the contract.
//!
//! A backend's test implements [`Backend`] (how to get an empty queue, how to let time pass)
//! and calls [`run_all`]. A stand-in for a real service names its known differences in a
//! [`Profile`]; the checks they break are skipped and printed, never weakened.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::bench::Bench;
pub use self::profile::Profile;
use crate::clock::ManualClock;
use crate::contract::Queue;
use crate::limits::DEDUP_WINDOW;

mod bench;
mod concurrency;
mod counts;
mod dead_letters;
mod dedup;
mod leases;
mod limits;
pub mod machine;
mod model;
mod order;
mod profile;
mod steps;

/// No check takes longer than this, on the slowest stand-in, unless something hangs.
const CHECK_LIMIT: Duration = Duration::from_secs(600);

/// A backend under test.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// A new, empty queue whose messages may be received `max_receives` times.
    async fn fresh(&self, max_receives: u32) -> Arc<dyn Queue>;

    /// How time passes for the queues of this backend.
    fn advance(&self) -> Advance;

    /// How this backend is known to differ from the contract. By default it does not.
    fn profile(&self) -> Profile {
        Profile::exact("the backend")
    }
}

/// How to let time pass.
#[derive(Debug, Clone)]
pub enum Advance {
    /// The queues go by this clock.
    Manual(Arc<ManualClock>),
    /// The queues go by real time, and the suite sleeps.
    Sleep {
        /// Checks that need a longer sleep than this are skipped (deduplication needs five
        /// minutes).
        longest: Duration,
    },
}

type CheckFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Promise {
    name: &'static str,
    check: fn(Bench) -> CheckFuture,
    /// Time that the check lets pass in one piece.
    passes: Duration,
}

macro_rules! promise {
    ($module:ident :: $check:ident) => {
        promise!($module::$check, Duration::ZERO)
    };
    ($module:ident :: $check:ident, $passes:expr) => {
        Promise {
            name: stringify!($check),
            check: |bench: Bench| -> CheckFuture { Box::pin($module::$check(bench)) },
            passes: $passes,
        }
    };
}

fn promises() -> Vec<Promise> {
    vec![
        promise!(order::a_group_is_delivered_in_the_order_sent),
        promise!(order::a_group_in_flight_yields_nothing_more),
        promise!(order::one_receive_may_return_several_of_a_group),
        promise!(order::releasing_the_first_of_several_keeps_the_order),
        promise!(order::a_long_group_does_not_starve_a_later_one),
        promise!(order::a_batch_without_order_is_delivered_whole),
        promise!(dedup::a_duplicate_is_accepted_and_not_delivered),
        promise!(dedup::duplicates_are_reported),
        promise!(dedup::a_duplicate_in_one_batch_is_not_delivered),
        promise!(dedup::deduplication_is_per_group),
        promise!(dedup::deduplication_outlives_the_message),
        promise!(dedup::deduplication_ends_after_five_minutes, DEDUP_WINDOW),
        promise!(leases::a_lease_that_runs_out_redelivers),
        promise!(leases::an_extended_lease_lasts_from_the_extension),
        promise!(leases::an_extension_may_shorten_and_delays_a_retry),
        promise!(leases::an_extension_by_zero_releases),
        promise!(leases::a_released_message_is_visible_at_once),
        promise!(leases::each_receive_is_counted),
        promise!(leases::an_expired_receipt_is_dead),
        promise!(leases::an_earlier_receipt_is_dead),
        promise!(leases::a_deleted_message_stays_deleted),
        promise!(leases::a_lease_ends_within_twelve_hours),
        promise!(dead_letters::a_message_received_too_often_is_dead),
        promise!(dead_letters::a_message_can_be_dead_lettered_with_a_reason),
        promise!(dead_letters::the_longest_dead_come_first),
        promise!(dead_letters::a_dead_receipt_dead_letters_nothing),
        promise!(counts::counts_follow_the_messages),
        promise!(counts::counts_catch_up_with_the_messages),
        promise!(limits::an_empty_receive_waits_and_returns_empty),
        promise!(limits::a_waiting_receive_wakes_for_a_message),
        promise!(limits::a_receive_that_is_dropped_loses_nothing),
        promise!(limits::a_closed_queue_has_leased_nothing_to_nobody),
        promise!(limits::batches_are_limited),
        promise!(limits::names_are_limited),
        promise!(limits::bodies_are_limited),
        promise!(limits::the_largest_body_comes_back_whole),
        promise!(concurrency::many_consumers_get_each_message_once_and_in_order),
    ]
}

/// The names of all checks, as a [`Profile`] names them.
pub fn check_names() -> Vec<&'static str> {
    promises().into_iter().map(|promise| promise.name).collect()
}

/// Runs every check against `backend`, each on a queue of its own, and prints what it did.
///
/// # Panics
/// If a promise is broken; after all checks have run, naming the broken ones. If the profile names a
/// check that does not exist.
pub async fn run_all(backend: Arc<dyn Backend>) {
    let profile = backend.profile();
    let names = check_names();
    for check in profile.checks() {
        assert!(names.contains(&check), "{}: there is no check {check}", profile.name());
    }
    let bench = Bench::new(backend);
    let mut broken = Vec::new();
    for promise in promises() {
        let name = promise.name;
        if let Some(reason) = profile.excuse(name) {
            println!("{}: {name}: skipped, a known deviation: {reason}", profile.name());
            continue;
        }
        if !bench.can_pass(promise.passes) {
            let secs = promise.passes.as_secs();
            println!("{}: {name}: skipped, it takes {secs} s of real time", profile.name());
            continue;
        }
        // A task of its own turns a failed assertion into an error here.
        let check = tokio::spawn((promise.check)(bench.clone()));
        let stop = check.abort_handle();
        let outcome = match tokio::time::timeout(CHECK_LIMIT, check).await {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(_) => {
                stop.abort();
                Err(format!("did not end within {} s", CHECK_LIMIT.as_secs()))
            }
        };
        match outcome {
            Ok(()) => println!("{}: {name}: kept", profile.name()),
            Err(error) => {
                println!("{}: {name}: BROKEN: {error}", profile.name());
                broken.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(broken.is_empty(), "{} breaks promises:\n{}", profile.name(), broken.join("\n"));
}
