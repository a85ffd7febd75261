//! What a run found out about its source as a whole: how many products have a value of each column, and what is wrong
//! with values that could be read.

use super::RefusalCount;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a run found out about its source's products.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Diagnostics {
    /// Products that were looked at. Of a large source they are a part that chance chose, the same ones every night.
    /// Coverage, currencies and problems are of them.
    pub looked_at: u64,
    /// Products with a value, by column. Columns that none fills are not in it.
    pub columns: BTreeMap<String, u64>,
    /// Products by the currency of their price. Beyond the first few, currencies are counted under `other`.
    pub currencies: BTreeMap<String, u64>,
    /// What is wrong with values, the most frequent first.
    pub problems: Vec<Problem>,
    /// What was mended in all records, by reason.
    pub mended: Vec<RefusalCount>,
    /// What was found out about the product's id, where it is not unique.
    pub key: Option<KeyAdvice>,
}

/// One way in which a column's values are wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The column.
    pub column: String,
    /// What is wrong, such as `missing`, `too-long`, `not-allowed`, `zero`, `above-price`, `bad-check-digit`.
    pub kind: String,
    /// The limit that was passed, in characters or items, where there is one.
    pub limit: Option<u32>,
    /// Products with it.
    pub count: u64,
    /// The first few.
    pub samples: Vec<ProblemSample>,
}

/// A product with a wrong value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProblemSample {
    /// The product's id.
    pub id: String,
    /// The value, shortened; none where it is missing.
    pub value: Option<String>,
}

/// What was found out about the fields that make a product's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyAdvice {
    /// Records that were looked at.
    pub records: u64,
    /// Of those, the ones that would be lost, as their id had occurred before.
    pub lost: u64,
    /// Fields that make an id of which each record has another; empty: none were found.
    pub better: Vec<String>,
}

impl Diagnostics {
    /// The share of the products that have a value of a column, from 0 to 1; none when no product was looked at.
    pub fn coverage(&self, column: &str) -> Option<f64> {
        let filled = self.columns.get(column).copied().unwrap_or_default();
        (self.looked_at > 0).then(|| filled as f64 / self.looked_at as f64)
    }
}
