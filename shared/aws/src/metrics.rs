//! Figures to CloudWatch: one `PutMetricData` for up to a thousand of them.
//!
//! It is not tried again: the figures would come again a minute later anyway, and counts that may have been taken
//! would count twice. The scheduler keeps what was not taken for the next time.

use crate::client::Aws;
use crate::error::AwsError;
use crate::group::failure;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use feedfleet_fleet::{Datum, FleetError, Metrics, Unit};

/// What one request may hold; of each, 150 different values.
const DATA_PER_REQUEST: usize = 1000;

impl Aws {
    /// A client of CloudWatch.
    pub(crate) fn cloudwatch(&self) -> Client {
        Client::new(self.config())
    }
}

/// One namespace of custom metrics.
pub struct CloudWatch {
    client: Client,
    namespace: String,
}

impl CloudWatch {
    /// The namespace of this name; it comes to be with its first figure.
    pub fn new(aws: &Aws, namespace: impl Into<String>) -> Self {
        Self { client: aws.cloudwatch(), namespace: namespace.into() }
    }
}

#[async_trait::async_trait]
impl Metrics for CloudWatch {
    async fn publish(&self, data: &[Datum]) -> Result<(), FleetError> {
        for some in data.chunks(DATA_PER_REQUEST) {
            self.client
                .put_metric_data()
                .namespace(&self.namespace)
                .set_metric_data(Some(some.iter().map(metric_datum).collect()))
                .send()
                .await
                .map_err(|e| {
                    let error = AwsError::of("PutMetricData", &e);
                    failure("publish figures in the namespace", &self.namespace, error)
                })?;
        }
        Ok(())
    }
}

fn metric_datum(datum: &Datum) -> MetricDatum {
    let dimension =
        datum.dimension.as_ref().map(|(name, value)| Dimension::builder().name(*name).value(value));
    // Each value once, and how often it was.
    let mut sorted = datum.values.clone();
    sorted.sort_by(f64::total_cmp);
    let (values, counts): (Vec<f64>, Vec<f64>) =
        sorted.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f64)).unzip();
    MetricDatum::builder()
        .metric_name(datum.name)
        .set_dimensions(dimension.map(|dimension| vec![dimension.build()]))
        .timestamp(DateTime::from_millis(datum.at.timestamp_millis()))
        .set_values(Some(values))
        .set_counts(Some(counts))
        .unit(match datum.unit {
            Unit::Count => StandardUnit::Count,
            Unit::Seconds => StandardUnit::Seconds,
            Unit::Other => StandardUnit::None,
        })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime as Moment;

    #[test]
    fn a_datum_keeps_its_name_dimension_unit_and_time() {
        let datum = Datum {
            name: "OldestAge",
            dimension: Some(("Queue", "crawl".to_owned())),
            values: vec![12.0, 3.0, 12.0],
            unit: Unit::Seconds,
            at: Moment::from_timestamp_millis(1_700_000_000_123).unwrap(),
        };
        let made = metric_datum(&datum);
        assert_eq!(made.metric_name(), Some("OldestAge"));
        assert_eq!((made.values(), made.counts()), ([3.0, 12.0].as_slice(), [1.0, 2.0].as_slice()));
        assert_eq!(made.unit(), Some(&StandardUnit::Seconds));
        assert_eq!(made.timestamp().unwrap().to_millis().unwrap(), 1_700_000_000_123);
        let dimension = &made.dimensions()[0];
        assert_eq!((dimension.name(), dimension.value()), (Some("Queue"), Some("crawl")));
        assert!(metric_datum(&Datum { dimension: None, ..datum }).dimensions().is_empty());
    }
}
