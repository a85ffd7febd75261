//! What a supplement said last, told by the rows that show it: for runs that do not find its values any more, or not as
//! they were written. Rows do not tell what it said where the pipe's own source says the same, nor, of one that only
//! fills, where that source has a word. Its next run does, unless its source sends changes only.

use super::overlay::too_large;
use super::values::Values;
use crate::jobs::crawl::failure::Failure;
use crate::jobs::crawl::load::Work;
use feedfleet_catalog::amend::for_each_shown;
use feedfleet_catalog::{CatalogError, Snapshot, rollback_app_id};
use feedfleet_config::Layer;
use feedfleet_model::report::RefusalSample;
use feedfleet_model::{ColumnId, PipeName, Row, RunKey, ValueRef};
use std::ops::ControlFlow;

/// Why the values of a supplement are not there, and are those that rows show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// They are damaged, or somebody deleted them.
    Lost,
    /// The pipe was rolled back since they were read. To a run of the supplement, that forgets what was said after it.
    RolledBack,
}

impl Gone {
    /// Why there are none of a supplement's run, the newest in the snapshot.
    pub(super) fn of(snapshot: Option<&Snapshot>, run: &RunKey) -> Result<Self, CatalogError> {
        let rollback = match snapshot {
            Some(snapshot) => snapshot.fence(&rollback_app_id(&run.pipe))?,
            None => None,
        };
        Ok(if rollback > Some(run.run.0) { Self::RolledBack } else { Self::Lost })
    }

    /// Under which a report tells it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Lost => "supplement-values-lost",
            Self::RolledBack => "supplement-rolled-back",
        }
    }
}

/// Adds to `values`, which are empty, what the rows of the work's snapshot show of a supplement. Blocking.
pub(super) fn recover(
    work: &Work,
    supplement: &PipeName,
    layer: &Layer,
    mut values: Values,
    gone: Gone,
) -> Result<Values, Failure> {
    match gone {
        Gone::Lost => {
            tracing::warn!(run = %work.key, %supplement, "its values are lost: those count that rows show");
        }
        Gone::RolledBack => {
            tracing::info!(run = %work.key, %supplement, "rolled back since it ran: the values count that rows show");
        }
    }
    let Some(snapshot) = &work.snapshot else { return Ok(values) };
    let mut taken = Ok(true);
    let is_whole = for_each_shown(snapshot, &work.key.pipe, &layer.columns, |row| {
        let row = &*row;
        if layer.columns.iter().any(|column| shown(row, *column) != ValueRef::Null) {
            taken = values.insert(row.id(), |column| shown(row, column));
        }
        if taken.is_err() || work.cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    taken.map_err(|e| too_large(supplement, &e))?;
    if is_whole { Ok(values) } else { Err(Failure::interrupted()) }
}

/// What is told of it in a report.
pub(super) fn told(supplement: &PipeName, gone: Gone) -> RefusalSample {
    let why = match gone {
        Gone::Lost => "what it said last is lost",
        Gone::RolledBack => {
            "what it said last is there no more, and the pipe was rolled back since it ran"
        }
    };
    RefusalSample {
        position: format!("supplement {supplement}"),
        field: None,
        value: None,
        message: format!(
            "{why}: what rows show of it counts until its next run; they do not show where it said what the pipe's own \
             source says, so one that sends changes only should send everything once"
        ),
    }
}

/// What a row shows in a column, if that is a supplement's word. An amount and its currency are one.
fn shown(row: &Row, column: ColumnId) -> ValueRef<'_> {
    let name = column.column().name;
    let is_said = row.source_values().any(|(kept, _)| {
        let is_currency_of =
            |one: &str, other: &str| one.strip_suffix("_currency").is_some_and(|o| o == other);
        kept == name || is_currency_of(name, kept) || is_currency_of(kept, name)
    });
    if is_said { row.get(column) } else { ValueRef::Null }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::columns::{AVAILABILITY, ID, PRICE, PRICE_CURRENCY, STOCK_QUANTITY};

    #[test]
    fn a_row_tells_what_its_source_does_not_say() {
        let mut row = Row::new();
        row.set_text(ID, "1");
        row.set_decimal(PRICE, 100);
        row.set_text(PRICE_CURRENCY, "EUR");
        row.set_text(AVAILABILITY, "in_stock");
        let columns = [PRICE, PRICE_CURRENCY, AVAILABILITY, STOCK_QUANTITY];
        assert!(columns.iter().all(|column| shown(&row, *column) == ValueRef::Null));
        row.supplement(PRICE, ValueRef::Integer(90));
        row.supplement(STOCK_QUANTITY, ValueRef::Integer(3));
        let told = columns.map(|column| shown(&row, column));
        let expected =
            [ValueRef::Integer(90), ValueRef::Text("EUR"), ValueRef::Null, ValueRef::Integer(3)];
        assert_eq!(told, expected);
    }
}
