//! Small nights for tests.

use super::night::{AlwaysOn, Due, Night, PipeGroup, PipeLoad, Variant, Work};
use super::prices::{InstancePrice, Item, Prices};
use super::settings::Settings;
use feedfleet_config::Fleet;
use std::path::Path;
use std::time::Duration;

/// Two types: one costs 10 cents an hour, 20 on demand, the other twice that.
pub(super) fn prices() -> Prices {
    let price = |name: &str, factor: f64| InstancePrice {
        name: name.into(),
        spot: 0.1 * factor,
        on_demand: 0.2 * factor,
        cores: 2,
        speed: 1.0,
    };
    Prices {
        source: "made up".into(),
        instances: vec![price("small", 1.0), price("dear", 2.0)],
        hour: vec![Item::new("disk", 0.01)],
        sqs_million: 0.5,
        s3_put_thousand: 0.005,
        s3_get_thousand: 0.0004,
        month: vec![Item::new("scheduler", 10.0)],
    }
}

/// Ten workers at most, which start in a minute and are never interrupted.
pub(super) fn settings() -> Settings {
    let mut settings = Settings::of(&Fleet::defaults(Path::new("/fleet")), "small");
    settings.workers.max = 10;
    settings.machines.start = Duration::from_secs(60);
    settings.machines.start_p95 = Duration::from_secs(60);
    settings.machines.interruptions_per_hour = 0.0;
    settings
}

/// A pipe that is due at once: 100,000 products, a tenth of them changed, at ten million bytes a second.
pub(super) fn pipe(name: &str) -> PipeLoad {
    PipeLoad {
        name: name.into(),
        due_ms: 0,
        rows: 100_000,
        bytes: 100_000_000,
        changed: 0.1,
        images: 0,
        image_host: 0,
        image: Some(Duration::from_millis(100)),
        bytes_per_sec: 1e7,
        overhead: None,
    }
}

/// Ten pipes that are due at two.
pub(super) fn group() -> PipeGroup {
    PipeGroup {
        name: "shop".into(),
        count: 10,
        products: 1_000_000,
        skew: 0.5,
        product_bytes: 1_000,
        changed: 0.1,
        images: 0.05,
        bytes_per_sec: 10_000_000,
        image: Some(Duration::from_millis(100)),
        image_hosts: 10,
        due: Due::At(Duration::from_secs(7_200)),
    }
}

/// A night of these.
pub(super) fn night() -> Night {
    Night {
        work: Work::Described(vec![group()]),
        seed: 1,
        begin: Duration::ZERO,
        nights_a_month: 30.0,
        settings: settings(),
        variants: Vec::new(),
        always_on: AlwaysOn::default(),
        month: Vec::new(),
        compare: Vec::new(),
        prices: prices(),
    }
}

/// A variant of that night's settings.
pub(super) fn variant(name: &str, change: impl FnOnce(&mut Settings)) -> Variant {
    let mut settings = settings();
    change(&mut settings);
    Variant { name: name.into(), settings }
}
