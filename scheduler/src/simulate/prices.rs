//! What everything costs, in US dollars.

use serde::Serialize;

/// A list of prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// Whose they are, and of which day.
    pub source: String,
    /// Instance types; one at least.
    pub instances: Vec<InstancePrice>,
    /// What each instance costs in an hour besides: its disk, its address.
    pub hour: Vec<Item>,
    /// A million requests to SQS, of up to 64 KiB each.
    pub sqs_million: f64,
    /// A thousand S3 requests that write or list.
    pub s3_put_thousand: f64,
    /// A thousand S3 requests that read.
    pub s3_get_thousand: f64,
    /// What a month costs, whatever is done in it.
    pub month: Vec<Item>,
}

/// An instance type.
#[derive(Debug, Clone, PartialEq)]
pub struct InstancePrice {
    /// Its name.
    pub name: String,
    /// An hour as spot instance.
    pub spot: f64,
    /// An hour on demand.
    pub on_demand: f64,
    /// Its cores.
    pub cores: u32,
    /// How fast it crawls, against the machine on which the speeds were measured.
    pub speed: f64,
}

/// What something costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// What.
    pub name: String,
    /// US dollars.
    pub usd: f64,
}

impl Item {
    pub(super) fn new(name: impl Into<String>, usd: f64) -> Self {
        Self { name: name.into(), usd }
    }
}

impl Prices {
    /// The place of an instance type in the list.
    pub(super) fn kind(&self, name: &str) -> Option<usize> {
        self.instances.iter().position(|instance| instance.name == name)
    }

    /// What every instance costs in an hour besides.
    pub(super) fn extras_an_hour(&self) -> f64 {
        total(&self.hour)
    }
}

/// The sum.
pub(super) fn total(items: &[Item]) -> f64 {
    items.iter().map(|item| item.usd).sum()
}
