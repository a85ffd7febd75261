//! What a diff may hold in memory: its index, with what belongs to it, for one pass; and for all passes together,
//! the places of rows that are gone or were not mentioned, and the links of new ones.

use super::{Diff, Was};
use crate::error::CatalogError;
use crate::index::BYTES_PER_ROW;

/// The index does not fit its budget: go through the source again in more, smaller shares.
#[derive(Debug, thiserror::Error)]
#[error("the index of the pipe needs more than its budget of {budget_bytes} bytes")]
pub struct OverBudget {
    /// The budget.
    pub budget_bytes: usize,
}

/// No number of shares makes the diff fit its budget: that much is changed or gone.
#[derive(Debug, thiserror::Error)]
#[error(
    "so many products are changed or absent that remembering which takes more than half of the {budget_bytes} \
     bytes that the index of a pipe may take"
)]
pub struct TooMuch {
    /// The budget.
    pub budget_bytes: usize,
}

/// Why a row could not be taken, or a pass not be ended.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// More, smaller shares are needed.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// A larger budget is needed.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// The table failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Shares that keep an index of `rows` rows within a budget.
pub fn shares_needed(rows: u64, budget_bytes: usize) -> u32 {
    parts_needed(rows, BYTES_PER_ROW, budget_bytes)
}

/// Parts of so many things, each of so many bytes, of which one at a time is within a budget.
pub(crate) fn parts_needed(count: u64, bytes_each: usize, budget_bytes: usize) -> u32 {
    let needed = count.saturating_mul(bytes_each as u64);
    u32::try_from(needed.div_ceil(budget_bytes.max(1) as u64)).unwrap_or(u32::MAX).max(1)
}

/// Below this, a budget would only make passes: a thousand rows are indexed in one.
pub(super) const LEAST_BYTES: usize = 2 * 1024 * BYTES_PER_ROW;
/// A changed row needs this beside its entry: what it was, in a hash table that may be half empty.
const BYTES_PER_CHANGE: usize = 2 * size_of::<(u32, Was)>();

/// Links that are made room for at once, at least.
const FEWEST_LINKS: usize = 1024;

impl Diff {
    /// Says no if the diff holds more than it may. To be asked before something is added, and after a share's index
    /// was loaded.
    ///
    /// What lasts has half of the budget, and the index the rest: more shares make the index smaller, and never the
    /// other half larger, so that doubling their number comes to an end.
    pub(super) fn check_budget(&self) -> Result<(), PushError> {
        let budget_bytes = self.budget_bytes;
        if self.places_bytes > budget_bytes / 2 {
            return Err(TooMuch { budget_bytes }.into());
        }
        let lasting_bytes = self.places_bytes + self.new_links.capacity() * size_of::<u64>();
        let index_bytes =
            self.index.entries.len() * BYTES_PER_ROW + self.changed.len() * BYTES_PER_CHANGE;
        if index_bytes > budget_bytes.saturating_sub(lasting_bytes) {
            return Err(OverBudget { budget_bytes }.into());
        }
        Ok(())
    }

    /// Keeps the link of a new row, if there is room. Without it one product less may be known again under another
    /// id; a run need not fail for that.
    pub(super) fn note_link(&mut self, link: u64) {
        let (kept, most) = (self.new_links.len(), self.most_links());
        if kept >= most {
            return;
        }
        if kept == self.new_links.capacity() {
            // Twice as many, but no more than there may be.
            self.new_links.reserve_exact(kept.max(FEWEST_LINKS).min(most - kept));
        }
        self.new_links.push(link);
    }

    /// Links that there is room for: what the places leave of the half for what lasts.
    fn most_links(&self) -> usize {
        let room_bytes = (self.budget_bytes / 2).saturating_sub(self.places_bytes);
        self.max_links.min(room_bytes / size_of::<u64>())
    }

    /// Measures the places of rows that are gone or were not mentioned in the passes so far. Links make room for
    /// them.
    pub(super) fn measure_places(&mut self) {
        self.dead.iter_mut().for_each(Vec::shrink_to_fit);
        self.unmentioned.shrink_to_fit();
        let dead = self.dead.iter().map(Vec::capacity).sum::<usize>() * size_of::<u32>();
        self.places_bytes = dead + self.unmentioned.memory_bytes();
        let most = self.most_links();
        if self.new_links.capacity() > most {
            self.new_links.truncate(most);
            self.new_links.shrink_to(most);
        }
    }
}
