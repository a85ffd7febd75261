//! Columns that a supplement's source has emptied: the field is there, and nothing is in it in any record. That takes
//! away what it said of all products at once, past what is known of absent ones, and is an export gone wrong more often
//! than it is meant.

use super::values::Values;
use feedfleet_model::{ColumnId, ValueRef, columns, text};

/// Fewer blank products are no export gone wrong.
const MANY_BLANK: u64 = 20;
/// Sales end for all products at once.
const ENDS_AT_ONCE: [ColumnId; 3] =
    [columns::SALE_PRICE, columns::SALE_PRICE_CURRENCY, columns::SALE_PRICE_EFFECTIVE_DATE];

/// One column, as a source lacks it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blank {
    pub column: ColumnId,
    /// Products of which something was said in it.
    pub before: u64,
    /// Of those, the ones that the source names, and says nothing of in it.
    pub blank: u64,
}

impl Blank {
    /// Whether it was emptied; `is_said`: the source says something in it of some product.
    fn is_emptied(self, is_said: bool, max_removed: f64) -> bool {
        let is_much = self.blank as f64 > self.before as f64 * max_removed;
        !is_said && self.blank >= MANY_BLANK && is_much && !ENDS_AT_ONCE.contains(&self.column)
    }
}

/// Columns that keep what was said in them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Those, and of amounts their currencies.
    pub filled: Vec<ColumnId>,
    /// Products that keep something, at least.
    pub products: u64,
    names: Vec<&'static str>,
}

impl Kept {
    /// What an operator should know of it.
    pub fn text(&self, supplement: &str) -> String {
        format!(
            "no record of the source has {} any more, and {} products keep it: raise max_removed in \
             [supplements.{supplement}.guard] if that is meant",
            self.names.join(" or "),
            text::count(self.products)
        )
    }
}

/// Which columns of a source that says `values` were emptied.
pub(super) fn columns(values: &Values, lacks: &[Blank], max_removed: f64) -> Kept {
    let mut kept = Kept::default();
    if lacks.iter().all(|blank| !blank.is_emptied(false, max_removed)) {
        return kept;
    }
    let is_currency = |blank: &Blank| {
        let amount = blank.column.column().name.strip_suffix("_currency");
        amount.is_some_and(|amount| lacks.iter().any(|other| other.column.column().name == amount))
    };
    let mut is_said = vec![false; lacks.len()];
    for said in values.all() {
        for (is_said, value) in is_said.iter_mut().zip(said.values()) {
            *is_said |= value != ValueRef::Null;
        }
    }
    for (blank, is_said) in lacks.iter().zip(is_said) {
        // The amount of one night in the currency of the other would be a third price: the amount decides for both.
        if blank.is_emptied(is_said, max_removed) && !is_currency(blank) {
            let name = blank.column.column().name;
            kept.names.push(name);
            kept.products = kept.products.max(blank.blank);
            let currency = ColumnId::by_name(&format!("{name}_currency"));
            kept.filled.extend([Some(blank.column), currency].into_iter().flatten());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::columns::{PRICE, PRICE_CURRENCY, SALE_PRICE, STOCK_QUANTITY};

    fn kept(blank: u64, before: u64, price: Option<i64>) -> Vec<&'static str> {
        let mut columns = vec![PRICE, PRICE_CURRENCY, SALE_PRICE, STOCK_QUANTITY];
        columns.sort_unstable();
        let mut values = Values::new(columns.clone(), 1 << 20);
        let value_of = |column: ColumnId| match price {
            Some(price) if column == PRICE => ValueRef::Integer(price),
            _ => ValueRef::Null,
        };
        values.insert("1", value_of).unwrap();
        let lacks: Vec<Blank> =
            columns.into_iter().map(|column| Blank { column, before, blank }).collect();
        super::columns(&values, &lacks, 0.3).names
    }

    #[test]
    fn a_column_that_is_empty_in_all_records_was_emptied() {
        let mut found = kept(40, 100, None);
        found.sort_unstable();
        assert_eq!(found, ["price", "stock_quantity"]);
        assert_eq!(kept(40, 100, Some(5)), ["stock_quantity"], "one record has a price");
        assert!(kept(30, 100, None).is_empty(), "no more than max_removed");
        assert!(kept(19, 19, None).is_empty(), "a handful");
    }

    #[test]
    fn an_amount_keeps_its_currency() {
        let values = Values::new(vec![PRICE, PRICE_CURRENCY], 1 << 20);
        let blank = Blank { column: PRICE, before: 100, blank: 100 };
        let kept = super::columns(&values, &[blank], 0.3);
        assert_eq!((kept.filled.as_slice(), kept.products), (&[PRICE, PRICE_CURRENCY][..], 100));
        let told = kept.text("stock");
        assert!(told.contains("has price any more, and 100 products"), "{told}");
        assert!(told.contains("[supplements.stock.guard]"), "{told}");
    }

    /// Prices that come without their currency are in that of the pipe's own source, and not in what it was.
    #[test]
    fn a_currency_is_not_kept_for_another_amount() {
        let columns = vec![PRICE, PRICE_CURRENCY];
        let mut values = Values::new(columns.clone(), 1 << 20);
        let price = |column: ColumnId| match column {
            PRICE => ValueRef::Integer(119),
            _ => ValueRef::Null,
        };
        values.insert("1", price).unwrap();
        let lacks = columns.into_iter().zip([0, 100]);
        let lacks = lacks.map(|(column, blank)| Blank { column, before: 100, blank });
        let kept = super::columns(&values, &lacks.collect::<Vec<_>>(), 0.3);
        assert_eq!((kept.filled, kept.products), (Vec::new(), 0));
    }
}
