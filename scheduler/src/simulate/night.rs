//! What is simulated: the work of a night, and what is to be tried on it.

use super::prices::{Item, Prices};
use super::random::{Draw, Random};
use super::settings::Settings;
use std::time::Duration;

/// The night's clock goes round once.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A night and all that is to be tried on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {
    /// What there is to do.
    pub work: Work,
    /// Chance; the same seed gives the same night.
    pub seed: u64,
    /// The time of day, since midnight, at which the simulated day begins.
    pub begin: Duration,
    /// How many such nights a month has.
    pub nights_a_month: f64,
    /// The settings of this fleet.
    pub settings: Settings,
    /// Other settings to be tried.
    pub variants: Vec<Variant>,
    /// The fleet that is always on.
    pub always_on: AlwaysOn,
    /// What a month costs besides, in this workload.
    pub month: Vec<Item>,
    /// Others' costs of a month, to be shown beside.
    pub compare: Vec<Item>,
    /// What everything costs.
    pub prices: Prices,
}

impl Night {
    /// Every pipe of the night.
    pub fn pipes(&self) -> Vec<PipeLoad> {
        let groups = match &self.work {
            Work::Recorded(pipes) => return pipes.clone(),
            Work::Described(groups) => groups,
        };
        let mut pipes = Vec::new();
        let mut hosts = 0;
        for group in groups {
            group.expand(self.begin, self.seed, hosts, &mut pipes);
            hosts += group.image_hosts as usize;
        }
        pipes
    }
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// As a file describes it.
    Described(Vec<PipeGroup>),
    /// As it was.
    Recorded(Vec<PipeLoad>),
}

/// Pipes that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct PipeGroup {
    /// Their name.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Products of all of them together.
    pub products: u64,
    /// How unequal they are: the nth has 1/n^skew of the first one's products. 0: all alike.
    pub skew: f64,
    /// Bytes of one product, as they come from the partner.
    pub product_bytes: u64,
    /// Share of the products that is new or changed.
    pub changed: f64,
    /// Pictures to be mirrored, as a share of the products.
    pub images: f64,
    /// Bytes a second that one partner sends.
    pub bytes_per_sec: u64,
    /// Time until one picture has come; none: [`super::settings::Speed::image`].
    pub image: Option<Duration>,
    /// Hosts on which the pictures of all of them lie.
    pub image_hosts: u32,
    /// When they are due.
    pub due: Due,
}

/// When pipes are due; times are since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// All at once.
    At(Duration),
    /// Each at a moment of its own between these two.
    Window(Duration, Duration),
}

/// One pipe in this night.
#[derive(Debug, Clone, PartialEq)]
pub struct PipeLoad {
    /// Its name.
    pub name: String,
    /// When it is due, in milliseconds after the day's beginning.
    pub due_ms: u64,
    /// Products in its feed.
    pub rows: u64,
    /// Bytes of its feed, as they come.
    pub bytes: u64,
    /// Share of the products that is new or changed.
    pub changed: f64,
    /// Pictures to be mirrored.
    pub images: u64,
    /// The host of its pictures, by number.
    pub image_host: usize,
    /// Time until one picture has come; none: [`super::settings::Speed::image`].
    pub image: Option<Duration>,
    /// Bytes a second that the partner sends.
    pub bytes_per_sec: f64,
    /// What a run takes besides reading; none: [`super::settings::Speed::overhead`].
    pub overhead: Option<Duration>,
}

impl PipeGroup {
    fn expand(&self, begin: Duration, seed: u64, first_host: usize, pipes: &mut Vec<PipeLoad>) {
        let weights: Vec<f64> = (1..=self.count).map(|n| f64::from(n).powf(-self.skew)).collect();
        let total: f64 = weights.iter().sum();
        let (mut share, mut dealt, mut pictured) = (0.0, 0, 0);
        for (n, weight) in weights.iter().enumerate() {
            share += weight;
            // What is dealt out up to here: so the sum is exact.
            let upto = ((share / total * self.products as f64).round() as u64).min(self.products);
            let images_upto = (upto as f64 * self.images).round() as u64;
            let rows = upto.saturating_sub(dealt);
            let images = images_upto.saturating_sub(pictured);
            (dealt, pictured) = (dealt.max(upto), pictured.max(images_upto));
            let number = pipes.len() as u64;
            let name = match self.count {
                1 => self.name.clone(),
                _ => format!("{}-{:04}", self.name, n + 1),
            };
            pipes.push(PipeLoad {
                name,
                due_ms: self.due.after(begin, &mut Random::of(seed, Draw::Due, number)),
                rows,
                bytes: rows.saturating_mul(self.product_bytes),
                changed: self.changed,
                images,
                image_host: first_host + n % self.image_hosts.max(1) as usize,
                image: self.image,
                bytes_per_sec: self.bytes_per_sec as f64,
                overhead: None,
            });
        }
    }
}

impl Due {
    /// Milliseconds after the day's beginning.
    fn after(self, begin: Duration, random: &mut Random) -> u64 {
        let since = |from: Duration, to: Duration| (to + DAY - from).as_millis() % DAY.as_millis();
        let after = match self {
            Due::At(time) => since(begin, time) as f64,
            Due::Window(from, to) => {
                since(begin, from) as f64 + since(from, to) as f64 * random.unit()
            }
        };
        after as u64
    }
}

/// Settings that are tried under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The settings.
    pub settings: Settings,
}

/// The fleet that is always on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlwaysOn {
    /// How many; none: as many as this fleet has at its peak.
    pub workers: Option<u32>,
    /// Their type; none: the first of this fleet's.
    pub kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    #[test]
    fn all_products_and_pictures_are_dealt_out() {
        for (count, skew) in [(1, 0.0), (7, 0.0), (1_000, 0.8), (1_000, 1.5)] {
            let group = PipeGroup { count, skew, products: 100_003, ..fixture::group() };
            let mut pipes = Vec::new();
            group.expand(Duration::ZERO, 1, 0, &mut pipes);
            assert_eq!(pipes.len(), count as usize);
            assert_eq!(pipes.iter().map(|pipe| pipe.rows).sum::<u64>(), 100_003);
            assert_eq!(pipes.iter().map(|pipe| pipe.images).sum::<u64>(), 5_000);
            let largest = pipes.iter().map(|pipe| pipe.rows).max().unwrap();
            // By rounding one may have one more.
            assert!(largest <= pipes[0].rows + 1, "the first is the largest");
            assert!(pipes.iter().all(|pipe| pipe.bytes == pipe.rows * group.product_bytes));
        }
    }

    #[test]
    fn a_window_goes_round_midnight() {
        let after = |due: Due, seed| {
            due.after(minutes(22 * 60), &mut Random::of(seed, Draw::Due, 0)) / 60_000
        };
        assert_eq!(after(Due::At(minutes(23 * 60)), 1), 60);
        assert_eq!(after(Due::At(minutes(60)), 1), 180);
        for seed in 0..50 {
            let due = after(Due::Window(minutes(23 * 60), minutes(120)), seed);
            assert!((60..240).contains(&due), "{due}");
        }
    }

    #[test]
    fn hosts_are_shared_within_a_group_and_never_between_groups() {
        let group = |count, image_hosts| PipeGroup { count, image_hosts, ..fixture::group() };
        let mut night = fixture::night();
        night.work = Work::Described(vec![group(3, 2), group(2, 2)]);
        let hosts: Vec<_> = night.pipes().iter().map(|pipe| pipe.image_host).collect();
        assert_eq!(hosts, [0, 1, 0, 2, 3]);
    }
}
