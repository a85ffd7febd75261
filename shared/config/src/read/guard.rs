//! Reads `[guard]`.

use crate::pipe::Guard;
use crate::table::Table;

/// The most nights that a product may be waited for.
const MOST_NIGHTS: u32 = 30;

/// What a run may do to the pipe where the pipe doesn't say.
pub(super) fn defaults() -> Guard {
    Guard { max_removed: 0.3, absent_nights: 1, min_records: 0.8 }
}

/// Reads the section.
pub(super) fn guard(table: &mut Table<'_>, default: Guard) -> Guard {
    let nights = u32::from(default.absent_nights);
    Guard {
        max_removed: table.read("max_removed", default.max_removed, |v| v.share()),
        absent_nights: table.read("absent_nights", nights, |v| v.count(1, MOST_NIGHTS)) as u8,
        min_records: table.read("min_records", default.min_records, |v| v.share()),
    }
}

/// Reads the section of a supplement, for which no night without a product counts.
pub(super) fn without_nights(table: &mut Table<'_>, default: Guard) -> Guard {
    Guard {
        max_removed: table.read("max_removed", default.max_removed, |v| v.share()),
        absent_nights: default.absent_nights,
        min_records: table.read("min_records", default.min_records, |v| v.share()),
    }
}
