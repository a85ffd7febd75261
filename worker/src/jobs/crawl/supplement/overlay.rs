//! Supplements laid over rows: what they say, where it counts.

use super::recovery::{Gone, recover, told};
use super::state::{is_damage, load_state, read_values};
use super::values::{TooLarge, Values};
use super::{is_outdated, run_in};
use crate::jobs::crawl::failure::Failure;
use crate::jobs::crawl::load::Work;
use feedfleet_catalog::Change;
use feedfleet_catalog::amend::amend_rest;
use feedfleet_config::{Layer, LayerMode};
use feedfleet_model::report::RefusalSample;
use feedfleet_model::{ColumnId, PipeName, ReasonClass, Row, RunKey, ValueRef, keys};
use std::ops::ControlFlow;
use tokio::runtime::Handle;

/// All supplements of a pipe, as a run of the pipe lays them over its rows.
#[derive(Default)]
pub(crate) struct Overlay {
    covers: Vec<Cover>,
    /// A supplement's values are too old to count.
    is_outdated: bool,
    /// Supplements of which the values are not there, and were told by the rows.
    lost: Vec<(PipeName, Gone)>,
}

impl Overlay {
    /// Loads what the pipe's supplements said last, as the run's snapshot has it. Blocking.
    pub fn load(work: &Work) -> Result<Self, Failure> {
        let mut overlay = Self::default();
        for supplement in &work.pipe.supplements {
            let Some(layer) = &supplement.layer else { continue };
            let Some(of) = run_in(work.snapshot.as_ref(), &supplement.name)? else { continue };
            if is_outdated(layer, work.key.run, of.run) {
                overlay.is_outdated = true;
                continue;
            }
            // The other half is the index's.
            let budget_bytes = (work.index_bytes / 2).saturating_sub(overlay.memory_bytes());
            let none = || Values::new(layer.columns.clone(), budget_bytes);
            let values = match read_back(work, &of, none())? {
                Ok(values) => values,
                Err(gone) => {
                    overlay.lost.push((supplement.name.clone(), gone));
                    recover(work, &supplement.name, layer, none(), gone)?
                }
            };
            overlay.covers.push(Cover::new(layer, values));
        }
        Ok(overlay)
    }

    /// Memory that the values take.
    pub fn memory_bytes(&self) -> usize {
        self.covers.iter().map(|cover| cover.values.memory_bytes()).sum()
    }

    /// Whether a row of the table is what its record makes of it now: not where it may show values that are too old.
    pub fn is_in_table(&self) -> bool {
        !self.is_outdated
    }

    /// Has a row that was just mapped say what the supplements say.
    pub fn apply(&self, row: &mut Row) {
        for cover in &self.covers {
            cover.apply(row);
        }
    }

    /// What is to be told of supplements of which the values are not there, each with its reason.
    pub fn lost(&self) -> impl Iterator<Item = (&'static str, RefusalSample)> {
        self.lost.iter().map(|(supplement, gone)| (gone.reason(), told(supplement, *gone)))
    }

    /// Has rows that a run would leave as they are, since its source did not speak of them, say no more what no
    /// supplement says any more: one that was taken out, or whose values are too old. How many rows. Blocking.
    pub fn take_back(&self, work: &Work, change: &mut Change) -> Result<u64, Failure> {
        let is_needed = self.is_outdated || work.may_show_others;
        let Some(snapshot) = work.snapshot.as_ref().filter(|_| is_needed) else { return Ok(0) };
        let amended = amend_rest(work.catalog.products(), snapshot, change, &[], |row| {
            self.restore_others(row);
            if work.cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        amended.map(|amended| amended.changed).ok_or_else(Failure::interrupted)
    }

    /// Has a row of the table say what its source says wherever no supplement has a word.
    fn restore_others(&self, row: &mut Row) {
        let has_word =
            |column: &ColumnId| self.covers.iter().any(|c| c.values.columns().contains(column));
        let kept = row.source_values().filter_map(|(name, _)| ColumnId::by_name(name));
        let others: Vec<ColumnId> = kept.filter(|column| !has_word(column)).collect();
        for column in others {
            row.restore_source_value(column);
        }
    }
}

/// What a supplement's run read, added to `values`, which are empty; or why it is not there.
fn read_back(
    work: &Work,
    of: &RunKey,
    mut values: Values,
) -> Result<Result<Values, Gone>, Failure> {
    let objects = work.objects.as_ref();
    let Some(state) = Handle::current().block_on(load_state(objects, of))? else {
        return Ok(Err(Gone::of(work.snapshot.as_ref(), of)?));
    };
    let Some(key) = state.key() else { return Ok(Ok(values)) };
    let mut taken = Ok(true);
    let read = read_values(objects, &key, |line| {
        taken = values.insert(&line.id, |column| line.value(column));
        taken.is_ok() && !work.cancel.is_cancelled()
    });
    taken.map_err(|e| too_large(&of.pipe, &e))?;
    match read {
        Err(e) if is_damage(&e) => {
            tracing::warn!(run = %of, error = %e, "what the supplement's run read is damaged");
            // "Not modified" would carry it over from run to run.
            Handle::current().block_on(objects.delete(&keys::validators(&of.pipe)))?;
            Ok(Err(Gone::Lost))
        }
        Err(e) => Err(e.into()),
        Ok(()) if work.cancel.is_cancelled() => Err(Failure::interrupted()),
        Ok(()) => Ok(Ok(values)),
    }
}

pub(super) fn too_large(supplement: &PipeName, e: &TooLarge) -> Failure {
    let text = format!(
        "supplement {supplement}: {e}, which is what a crawl's share of memory, in [workers] of fleet.toml, leaves to \
         them"
    );
    Failure::dead(ReasonClass::LimitExceeded, text)
}

/// One supplement, and what it says.
pub(crate) struct Cover {
    mode: LayerMode,
    parts: Vec<Part>,
    pub values: Values,
}

/// Columns that go together: an amount and its currency, or one alone. By their places among the values' columns.
struct Part {
    value: (usize, ColumnId),
    currency: Option<(usize, ColumnId)>,
}

impl Cover {
    /// `values` of the layer's columns.
    pub fn new(layer: &Layer, values: Values) -> Self {
        let columns = || layer.columns.iter().copied().enumerate();
        let currency_of = |column: ColumnId| {
            let name = format!("{}_currency", column.column().name);
            columns().find(|(_, other)| other.column().name == name)
        };
        let currencies: Vec<ColumnId> =
            columns().filter_map(|(_, column)| Some(currency_of(column)?.1)).collect();
        let values_alone = columns().filter(|(_, column)| !currencies.contains(column));
        let parts = values_alone
            .map(|(place, column)| Part { value: (place, column), currency: currency_of(column) })
            .collect();
        Self { mode: layer.mode, parts, values }
    }

    /// Has a row say what the supplement says, and nothing that it said before.
    pub fn apply(&self, row: &mut Row) {
        for column in self.values.columns() {
            row.restore_source_value(*column);
        }
        let Some(said) = self.values.of(row.id()) else { return };
        let value = |place: usize| said.values().nth(place).unwrap_or(ValueRef::Null);
        for Part { value: (place, column), currency } in &self.parts {
            let says = value(*place);
            let counts = self.mode == LayerMode::Override || row.get(*column) == ValueRef::Null;
            if says == ValueRef::Null || !counts {
                continue;
            }
            row.supplement(*column, says);
            // An amount without a currency is in that of the source.
            if let Some((place, column)) = currency
                && value(*place) != ValueRef::Null
            {
                row.supplement(*column, value(*place));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::columns::{
        AVAILABILITY, ID, PRICE, PRICE_CURRENCY, STOCK_QUANTITY, TITLE,
    };

    const COLUMNS: [ColumnId; 4] = [AVAILABILITY, STOCK_QUANTITY, PRICE, PRICE_CURRENCY];

    /// A product of the pipe's own source, without a quantity.
    fn row() -> Row {
        let mut row = Row::new();
        row.set_text(ID, "1");
        row.set_text(TITLE, "A chair");
        row.set_text(AVAILABILITY, "in_stock");
        row.set_decimal(PRICE, 100);
        row.set_text(PRICE_CURRENCY, "EUR");
        row
    }

    fn cover(mode: LayerMode, says: [ValueRef<'static>; 4]) -> Cover {
        let mut columns = COLUMNS.to_vec();
        columns.sort_unstable();
        let mut values = Values::new(columns.clone(), 1 << 20);
        let place = |column: ColumnId| COLUMNS.iter().position(|other| *other == column).unwrap();
        values.insert("1", |column| says[place(column)]).unwrap();
        Cover::new(&Layer { columns, mode, max_age: None }, values)
    }

    fn shown(row: &Row) -> [ValueRef<'_>; 4] {
        COLUMNS.map(|column| row.get(column))
    }

    const NOTHING: ValueRef<'static> = ValueRef::Null;

    #[test]
    fn it_overrides_or_fills() {
        let (gone, three) = (ValueRef::Text("out_of_stock"), ValueRef::Integer(3));
        let (price, euro) = (ValueRef::Integer(90), ValueRef::Text("EUR"));
        let says = [gone, three, price, euro];
        let mut overridden = row();
        cover(LayerMode::Override, says).apply(&mut overridden);
        assert_eq!(shown(&overridden), says);
        assert_eq!(overridden.text(TITLE), Some("A chair"));
        let mut filled = row();
        cover(LayerMode::Fill, says).apply(&mut filled);
        assert_eq!(
            shown(&filled),
            [ValueRef::Text("in_stock"), three, ValueRef::Integer(100), euro]
        );
    }

    /// The amount of one source in the currency of the other would be a third price.
    #[test]
    fn an_amount_and_its_currency_go_together() {
        let other = [NOTHING, NOTHING, ValueRef::Integer(120), ValueRef::Text("USD")];
        let mut overridden = row();
        cover(LayerMode::Override, other).apply(&mut overridden);
        assert_eq!(shown(&overridden)[2..], other[2..]);
        let mut filled = row();
        filled.restore_source_value(PRICE);
        cover(LayerMode::Fill, other).apply(&mut filled);
        assert_eq!(shown(&filled)[2..], [ValueRef::Integer(100), ValueRef::Text("EUR")]);
        // A currency alone says nothing.
        let mut untouched = row();
        let alone = [NOTHING, NOTHING, NOTHING, ValueRef::Text("USD")];
        cover(LayerMode::Override, alone).apply(&mut untouched);
        assert_eq!(shown(&untouched), shown(&row()));
    }

    /// Of rows that nobody speaks of, what was said of them goes with the supplement that said it.
    #[test]
    fn what_no_supplement_says_is_taken_back() {
        let mut shown_row = row();
        shown_row.supplement(PRICE, ValueRef::Integer(90));
        shown_row.supplement(TITLE, ValueRef::Text("Sale!"));
        let mut values = Values::new(vec![PRICE, PRICE_CURRENCY], 1 << 20);
        values.insert("1", |_| NOTHING).unwrap();
        let columns = values.columns().to_vec();
        let layer = Layer { columns, mode: LayerMode::Override, max_age: None };
        let covers = vec![Cover::new(&layer, values)];
        let overlay = Overlay { covers, ..Overlay::default() };
        overlay.restore_others(&mut shown_row);
        assert_eq!(
            (shown_row.text(TITLE), shown_row.get(PRICE)),
            (Some("A chair"), ValueRef::Integer(90))
        );
        Overlay::default().restore_others(&mut shown_row);
        assert_eq!((shown(&shown_row), shown_row.source_values().count()), (shown(&row()), 0));
    }

    /// The same row comes of a record and of the table, whatever the supplement said before.
    #[test]
    fn what_it_said_before_leaves_no_trace() {
        let mut scratch = Vec::new();
        let says = |n: i64| [ValueRef::Text("preorder"), ValueRef::Integer(n), NOTHING, NOTHING];
        let mut row_of_table = row();
        for n in [5, 6, 7] {
            cover(LayerMode::Override, says(n)).apply(&mut row_of_table);
        }
        let mut row_of_record = row();
        cover(LayerMode::Override, says(7)).apply(&mut row_of_record);
        assert_eq!(
            row_of_table.content_hash(&mut scratch),
            row_of_record.content_hash(&mut scratch)
        );
        cover(LayerMode::Override, [NOTHING; 4]).apply(&mut row_of_table);
        assert_eq!(row_of_table.content_hash(&mut scratch), row().content_hash(&mut scratch));
    }
}
