//! What a night and a month cost.

use super::course::Course;
use super::instances::Instance;
use super::night::{DAY, Night};
use super::prices::{Item, Prices, total};
use super::requests::Requests;
use super::settings::Settings;
use serde::Serialize;
use std::time::Duration;

/// An instance is paid for by the second, and for a minute at least.
const LEAST_BILLED_MS: u64 = 60_000;
/// Days in a month, on average.
const MONTH_DAYS: f64 = 365.0 / 12.0;
const HOUR_MS: f64 = 3_600_000.0;

/// What is to be paid, in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// A night's parts.
    pub night: Vec<Item>,
    /// Their sum.
    pub night_usd: f64,
    /// A month's parts: its nights, and what it costs besides.
    pub month: Vec<Item>,
    /// Their sum.
    pub month_usd: f64,
}

impl Bill {
    /// The bill for a night that went like this, and for a month of such nights.
    pub(super) fn of(course: &Course, settings: &Settings, night: &Night) -> Self {
        let prices = &night.prices;
        let end = last_moment(course);
        let (mut spot, mut on_demand, mut hours) = (0.0, 0.0, 0.0);
        for instance in &course.instances {
            let own = billed_hours(instance, end);
            let price = &prices.instances[instance.kind];
            hours += own;
            if instance.on_demand {
                on_demand += own * price.on_demand;
            } else {
                spot += own * price.spot;
            }
        }
        let mut parts =
            vec![Item::new("spot instances", spot), Item::new("on-demand instances", on_demand)];
        parts.extend(prices.hour.iter().map(|item| Item::new(&item.name, item.usd * hours)));
        parts.push(Item::new("SQS requests", sqs_usd(&course.requests, prices)));
        parts.push(Item::new("S3 requests", s3_usd(&course.requests, prices)));
        parts.retain(|item| item.usd > 0.0);
        let night_usd = total(&parts);

        let mut month = vec![Item::new("nights", night_usd * night.nights_a_month)];
        let quiet_days = (MONTH_DAYS - night.nights_a_month).max(0.0);
        let fewest = idle_day_usd(course, settings, prices);
        month.push(Item::new("days without a night", fewest * quiet_days));
        let crawling = Duration::from_millis(course.crawling_ms);
        let asked = Requests::of_scheduler_a_day(settings, course.pipes, crawling);
        let asked_usd = sqs_usd(&asked, prices) + s3_usd(&asked, prices);
        month.push(Item::new("the scheduler's requests", asked_usd * MONTH_DAYS));
        month.extend(prices.month.iter().chain(&night.month).cloned());
        month.retain(|item| item.usd > 0.0);
        let month_usd = total(&month);
        Self { night: parts, night_usd, month, month_usd }
    }
}

/// Hours for which the instances are paid.
pub(super) fn instance_hours(course: &Course) -> f64 {
    let end = last_moment(course);
    course.instances.iter().map(|instance| billed_hours(instance, end)).sum()
}

/// What the instances have cost until `at`, with all that each costs in an hour besides.
pub(super) fn instances_usd(course: &Course, prices: &Prices, at: u64) -> f64 {
    let end = last_moment(course);
    let so_far = |instance: &Instance| {
        let price = &prices.instances[instance.kind];
        let an_hour = if instance.on_demand { price.on_demand } else { price.spot };
        let hours = instance.present_ms(at) as f64 / HOUR_MS;
        hours.min(billed_hours(instance, end)) * (an_hour + prices.extras_an_hour())
    };
    course.instances.iter().map(so_far).sum()
}

/// Who is there to stay is paid for until the next day begins.
fn last_moment(course: &Course) -> u64 {
    course.ended.max(DAY.as_millis() as u64)
}

fn billed_hours(instance: &Instance, end: u64) -> f64 {
    instance.present_ms(end).max(LEAST_BILLED_MS) as f64 / HOUR_MS
}

/// The fewest workers, for a day; of the first instance's kind.
fn idle_day_usd(course: &Course, settings: &Settings, prices: &Prices) -> f64 {
    let Some(first) = course.instances.first() else { return 0.0 };
    let price = &prices.instances[first.kind];
    let an_hour = if first.on_demand { price.on_demand } else { price.spot };
    let hours = f64::from(settings.workers.min) * DAY.as_secs_f64() / 3_600.0;
    hours * (an_hour + prices.extras_an_hour())
}

fn sqs_usd(requests: &Requests, prices: &Prices) -> f64 {
    requests.sqs as f64 / 1e6 * prices.sqs_million
}

fn s3_usd(requests: &Requests, prices: &Prices) -> f64 {
    let put = requests.s3_put as f64 / 1e3 * prices.s3_put_thousand;
    put + requests.s3_get as f64 / 1e3 * prices.s3_get_thousand
}
