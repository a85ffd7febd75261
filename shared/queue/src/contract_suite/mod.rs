//! The checks that every queue backend has to pass, one a promise of the contract.
//!
//! A backend's test implements [`Backend`] (how to get an empty queue, how to let time pass)
//! and calls [`run_all`]. A stand-in for a real service names its known differences in
//! [`Deviations`]; the checks they break are skipped and printed, never weakened.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::bench::Bench;
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
mod order;

/// A backend under test.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// A new, empty queue whose messages may be received `max_receives` times.
    async fn fresh(&self, max_receives: u32) -> Arc<dyn Queue>;

    /// How time passes for the queues of this backend.
    fn advance(&self) -> Advance;

    /// How this backend is known to differ from the contract. By default it does not.
    fn deviations(&self) -> Deviations {
        Deviations::default()
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

/// Known differences of a backend from the contract; each excuses the checks it breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deviations {
    /// [`Sent::duplicate`](crate::Sent::duplicate) is always `false`. Duplicates are swallowed
    /// all the same.
    pub duplicates_not_reported: bool,
    /// A deduplication id is forgotten when its message is deleted.
    pub no_dedup_after_delete: bool,
    /// A deduplication id counts for the whole queue, not for its group.
    pub dedup_ignores_groups: bool,
    /// A message can be settled by a receipt whose lease ran out.
    pub expired_receipt_works: bool,
    /// A receipt from an earlier lease acts on the present one.
    pub earlier_receipt_works: bool,
    /// A lease can be extended past twelve hours from its receive.
    pub no_lease_ceiling: bool,
    /// Bodies of 1 MiB are refused.
    pub smaller_bodies: bool,
    /// Counts are late or estimated.
    pub counts_are_estimates: bool,
    /// Messages received too often are not moved to the dead letters.
    pub no_automatic_dead_letters: bool,
    /// Dead letters come in another order than they died.
    pub dead_letters_unordered: bool,
}

type CheckFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Promise {
    name: &'static str,
    check: fn(Bench) -> CheckFuture,
    excused: fn(&Bench) -> bool,
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
        promise!(order::a_group_is_delivered_in_the_order_sent),
        promise!(order::a_group_in_flight_yields_nothing_more),
        promise!(order::one_receive_may_return_several_of_a_group),
        promise!(order::releasing_the_first_of_several_keeps_the_order),
        promise!(order::a_long_group_does_not_starve_a_later_one),
        promise!(dedup::a_duplicate_is_accepted_and_not_delivered),
        promise!(dedup::duplicates_are_reported, |bench| {
            bench.deviations().duplicates_not_reported
        }),
        promise!(dedup::a_duplicate_in_one_batch_is_not_delivered),
        promise!(dedup::deduplication_is_per_group, |bench| {
            bench.deviations().dedup_ignores_groups
        }),
        promise!(dedup::deduplication_outlives_the_message, |bench| {
            bench.deviations().no_dedup_after_delete
        }),
        promise!(dedup::deduplication_ends_after_five_minutes, |bench| {
            !bench.can_pass(DEDUP_WINDOW)
        }),
        promise!(leases::a_lease_that_runs_out_redelivers),
        promise!(leases::an_extended_lease_lasts_from_the_extension),
        promise!(leases::an_extension_may_shorten_and_delays_a_retry),
        promise!(leases::an_extension_by_zero_releases),
        promise!(leases::a_released_message_is_visible_at_once),
        promise!(leases::each_receive_is_counted),
        promise!(leases::an_expired_receipt_is_dead, |bench| {
            bench.deviations().expired_receipt_works
        }),
        promise!(leases::an_earlier_receipt_is_dead, |bench| {
            bench.deviations().earlier_receipt_works
        }),
        promise!(leases::a_deleted_message_stays_deleted),
        promise!(leases::a_lease_ends_within_twelve_hours, |bench| {
            bench.deviations().no_lease_ceiling
        }),
        promise!(dead_letters::a_message_received_too_often_is_dead, |bench| {
            bench.deviations().no_automatic_dead_letters
        }),
        promise!(dead_letters::a_message_can_be_dead_lettered_with_a_reason),
        promise!(dead_letters::the_longest_dead_come_first, |bench| {
            bench.deviations().dead_letters_unordered
        }),
        promise!(dead_letters::a_dead_receipt_dead_letters_nothing, |bench| {
            bench.deviations().expired_receipt_works
        }),
        promise!(counts::counts_follow_the_messages, |bench| {
            bench.deviations().counts_are_estimates
        }),
        promise!(limits::an_empty_receive_waits_and_returns_empty),
        promise!(limits::a_waiting_receive_wakes_for_a_message),
        promise!(limits::batches_are_limited),
        promise!(limits::names_are_limited),
        promise!(limits::bodies_are_limited),
        promise!(limits::the_largest_body_comes_back_whole, |bench| {
            bench.deviations().smaller_bodies
        }),
        promise!(concurrency::many_consumers_get_each_message_once_and_in_order),
    ]
}

/// Runs every check against `backend`, each on a queue of its own, and prints what it did.
///
/// # Panics
/// If a promise is broken; after all checks have run, naming the broken ones.
pub async fn run_all(backend: Arc<dyn Backend>) {
    let bench = Bench::new(backend);
    let mut broken = Vec::new();
    for promise in promises() {
        let name = promise.name;
        if (promise.excused)(&bench) {
            println!("{name}: skipped, a known deviation");
            continue;
        }
        // A task of its own turns a failed assertion into an error here.
        match tokio::spawn((promise.check)(bench.clone())).await {
            Ok(()) => println!("{name}: kept"),
            Err(error) => {
                println!("{name}: BROKEN");
                broken.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(broken.is_empty(), "broken promises:\n{}", broken.join("\n"));
}
