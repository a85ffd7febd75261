//! What a supplement says in a row, and what the pipe's own source says there: the row shows the one and keeps the
//! other, so that it can be had again without reading the source.

use super::{Row, Slot, Span, ValueRef};
use crate::columns::{ColumnId, ColumnType};

impl Row {
    /// Fills a column with what a supplement says, and keeps what the source says there, if that is something else.
    /// The column must be one that [can be supplemented](ColumnId::can_be_supplemented), and is not supplemented yet.
    pub fn supplement(&mut self, column: ColumnId, value: ValueRef<'_>) {
        debug_assert!(column.can_be_supplemented(), "{}", column.column().name);
        if self.get(column) == value {
            return;
        }
        let own = match self.get(column) {
            ValueRef::Text(text) => text.to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Boolean(flag) => flag.to_string(),
            ValueRef::Null | ValueRef::List(_) => String::new(),
        };
        self.keep_source_value(column, &own);
        let slot = match value {
            ValueRef::Text(text) if !text.is_empty() => Slot::Text(self.push(text)),
            ValueRef::Integer(number) => Slot::Integer(number),
            ValueRef::Boolean(flag) => Slot::Boolean(flag),
            ValueRef::Null | ValueRef::Text(_) | ValueRef::List(_) => Slot::Null,
        };
        self.set(column, slot);
    }

    /// Fills a supplemented column with what the source says again; other columns stay as they are.
    pub fn restore_source_value(&mut self, column: ColumnId) {
        let Ok(at) = self.source_values.binary_search_by_key(&column, |(kept, _)| *kept) else {
            return;
        };
        let (_, span) = self.source_values.remove(at);
        let own = self.slice(span);
        let slot = match column.column().kind {
            ColumnType::Text if !own.is_empty() => Slot::Text(span),
            ColumnType::Integer | ColumnType::Decimal | ColumnType::Timestamp => {
                own.parse().map_or(Slot::Null, Slot::Integer)
            }
            ColumnType::Boolean => own.parse().map_or(Slot::Null, Slot::Boolean),
            _ => Slot::Null,
        };
        self.set(column, slot);
    }

    /// Keeps what the source says of a column: its text, or its number or boolean as one; empty text is nothing.
    pub fn keep_source_value(&mut self, column: ColumnId, own: &str) {
        let span: Span = self.push(own);
        match self.source_values.binary_search_by_key(&column, |(kept, _)| *kept) {
            Ok(at) => self.source_values[at].1 = span,
            Err(at) => self.source_values.insert(at, (column, span)),
        }
    }

    /// What the source says of the columns in which a supplement says something else, by their names.
    pub fn source_values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.source_values.iter().map(|&(column, span)| (column.column().name, self.slice(span)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{ADULT, AVAILABILITY, EXPIRATION_DATE, ID, PRICE, STOCK_QUANTITY, TITLE};

    fn row() -> Row {
        let mut row = Row::new();
        row.set_text(ID, "1");
        row.set_text(AVAILABILITY, "in_stock");
        row.set_decimal(PRICE, 150_000);
        row.set_boolean(ADULT, false);
        row.set_timestamp(EXPIRATION_DATE, -7);
        row
    }

    const VALUES: [(ColumnId, ValueRef<'static>); 5] = [
        (STOCK_QUANTITY, ValueRef::Integer(3)),
        (AVAILABILITY, ValueRef::Text("out_of_stock")),
        (PRICE, ValueRef::Integer(90_000)),
        (ADULT, ValueRef::Boolean(true)),
        (EXPIRATION_DATE, ValueRef::Integer(9)),
    ];

    fn hash(row: &Row) -> u128 {
        row.content_hash(&mut Vec::new())
    }

    #[test]
    fn what_a_supplement_says_can_be_taken_away_again() {
        let mut supplemented = row();
        for (column, value) in VALUES {
            supplemented.supplement(column, value);
            assert_eq!(supplemented.get(column), value, "{}", column.column().name);
        }
        let kept: Vec<_> = supplemented.source_values().collect();
        assert_eq!(kept.len(), VALUES.len());
        assert!(kept.contains(&("price", "150000")) && kept.contains(&("stock_quantity", "")));
        for (column, _) in VALUES {
            supplemented.restore_source_value(column);
            supplemented.restore_source_value(TITLE);
        }
        assert_eq!(hash(&supplemented), hash(&row()));
    }

    #[test]
    fn what_the_source_says_too_is_not_kept_twice() {
        let mut same = row();
        same.supplement(PRICE, ValueRef::Integer(150_000));
        assert_eq!((same.source_values().count(), hash(&same)), (0, hash(&row())));
    }

    /// A new price of the source must reach the table though a supplement covers it.
    #[test]
    fn the_content_hash_sees_what_is_covered_and_not_the_order_in_which_it_came() {
        let covered = |own: i64| {
            let mut row = row();
            row.set_decimal(PRICE, own);
            row.supplement(PRICE, ValueRef::Integer(1));
            hash(&row)
        };
        assert_ne!(covered(150_000), covered(160_000));
        let (mut one, mut other) = (row(), row());
        for (column, value) in VALUES {
            one.supplement(column, value);
        }
        for (column, value) in VALUES.into_iter().rev() {
            other.supplement(column, value);
        }
        assert_eq!(hash(&one), hash(&other));
        other.clear();
        assert_eq!(other.source_values().count(), 0);
    }
}
