//! What the state machine may do to a queue.

use proptest::prelude::*;

/// How far back operations reach for receipts: present ones mostly, dead ones often.
pub(super) const RECENT: usize = 6;

/// One operation. `pick` chooses among the recent receipts or the dead letters.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names are the contract's own")]
pub enum Step {
    Send(Vec<(u8, u8)>),
    Receive { max: usize, seconds: u64 },
    Extend { pick: usize, seconds: u64 },
    Release { pick: usize },
    Delete { pick: usize },
    DeadLetter { pick: usize },
    ForgetDead { pick: usize },
    Advance { seconds: u64 },
}

/// Fewer than `most` steps. Leases last one of `leases`, and time passes by one of `pauses`, both in seconds: few
/// different lengths, so that leases and windows end exactly when something happens.
pub fn steps(
    most: usize,
    leases: &'static [u64],
    pauses: &'static [u64],
) -> impl Strategy<Value = Vec<Step>> {
    let pick = || 0..RECENT;
    let lease = || prop::sample::select(leases);
    let message = (0..3u8, 0..6u8);
    let step = prop_oneof![
        4 => prop::collection::vec(message, 1..5).prop_map(Step::Send),
        6 => (1..=10usize, lease()).prop_map(|(max, seconds)| Step::Receive { max, seconds }),
        2 => (pick(), lease()).prop_map(|(pick, seconds)| Step::Extend { pick, seconds }),
        1 => pick().prop_map(|pick| Step::Extend { pick, seconds: 0 }),
        3 => pick().prop_map(|pick| Step::Release { pick }),
        4 => pick().prop_map(|pick| Step::Delete { pick }),
        1 => pick().prop_map(|pick| Step::DeadLetter { pick }),
        1 => pick().prop_map(|pick| Step::ForgetDead { pick }),
        4 => prop::sample::select(pauses).prop_map(|seconds| Step::Advance { seconds }),
    ];
    prop::collection::vec(step, 1..most)
}
