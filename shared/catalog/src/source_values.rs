//! The column `source_values` as it stands in the table: amounts have their point there, as they have it in their own
//! columns. A row keeps them as whole numbers, and its content hash is of these.

use feedfleet_model::ColumnId;
use feedfleet_model::columns::{ColumnType, DECIMAL_SCALE};
use std::borrow::Cow;

/// What a row keeps of a column of this name, as the table has it.
pub(crate) fn to_table<'a>(name: &str, kept: &'a str) -> Cow<'a, str> {
    let is_amount = ColumnId::by_name(name).is_some_and(is_amount);
    match kept.parse::<i64>() {
        Ok(amount) if is_amount => Cow::Owned(with_point(amount)),
        _ => Cow::Borrowed(kept),
    }
}

/// What the table has of a column, as a row keeps it. Amounts without a point are whole numbers already: so the first
/// builds with supplements wrote them.
pub(crate) fn from_table(column: ColumnId, text: &str) -> Cow<'_, str> {
    if is_amount(column)
        && let Some((whole, fraction)) = text.split_once('.')
        && fraction.len() == digits()
        && let Ok(amount) = format!("{whole}{fraction}").parse::<i64>()
    {
        return Cow::Owned(amount.to_string());
    }
    Cow::Borrowed(text)
}

fn is_amount(column: ColumnId) -> bool {
    column.column().kind == ColumnType::Decimal
}

/// Digits behind the point.
fn digits() -> usize {
    usize::from(DECIMAL_SCALE.unsigned_abs())
}

fn with_point(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let (unit, digits) = (10_u64.pow(u32::from(DECIMAL_SCALE.unsigned_abs())), digits());
    let amount = amount.unsigned_abs();
    format!("{sign}{}.{:0digits$}", amount / unit, amount % unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::columns::{EXPIRATION_DATE, PRICE, STOCK_QUANTITY, TITLE};

    #[test]
    fn amounts_have_their_point_and_lose_nothing() {
        for (kept, shown) in [
            ("115000", "11.5000"),
            ("0", "0.0000"),
            ("7", "0.0007"),
            ("-5000", "-0.5000"),
            ("-10000", "-1.0000"),
            ("999999999999999999", "99999999999999.9999"),
            ("", ""),
        ] {
            assert_eq!(to_table("price", kept), shown);
            assert_eq!(from_table(PRICE, shown), kept);
        }
        // As they were written first.
        assert_eq!(from_table(PRICE, "115000"), "115000");
        assert_eq!(from_table(PRICE, "1.5"), "1.5", "nobody wrote it");
    }

    #[test]
    fn other_values_stay_as_they_are() {
        let others = [(TITLE, "1.5000"), (STOCK_QUANTITY, "3"), (EXPIRATION_DATE, "-7")];
        for (column, text) in others {
            assert_eq!(to_table(column.column().name, text), text);
            assert_eq!(from_table(column, text), text);
        }
        assert_eq!(to_table("title", "115000"), "115000");
    }
}
