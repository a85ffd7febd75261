//! Figures for alarms and dashboards.

use crate::error::FleetError;
use chrono::{DateTime, Utc};

/// Where figures go.
#[async_trait::async_trait]
pub trait Metrics: Send + Sync + 'static {
    /// Publishes figures, in as few requests as they need.
    ///
    /// # Errors
    /// When the backend does not take them. Some may have been taken: counts that are published again would count
    /// twice, and only then.
    async fn publish(&self, data: &[Datum]) -> Result<(), FleetError>;
}

/// One figure, as it was once or several times. [`crate::names`] has the names.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The metric.
    pub name: &'static str,
    /// What it is of, as name and value; none where the metric stands for the whole fleet.
    pub dimension: Option<(&'static str, String)>,
    /// The figure; as often as it was looked at, where it is a level.
    pub values: Vec<f64>,
    /// What it is in.
    pub unit: Unit,
    /// When it was so, or the last time.
    pub at: DateTime<Utc>,
}

/// What a figure is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Seconds.
    Seconds,
    /// Something else: US dollars.
    Other,
}
