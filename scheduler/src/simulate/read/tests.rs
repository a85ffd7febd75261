//! What a night's file may say, and what is told of mistakes in it.

use super::super::{Due, QueueKind, fixture, simulate};
use super::*;
use std::io::ErrorKind;

const PRICES: &str = r#"
source = "made up"

[instances."small"]
spot = 0.03
on_demand = 0.07

[instances."large"]
spot = 0.06
on_demand = 0.14
cores = 4
speed = 2

[hour]
disk = 0.001

[requests]
sqs_million = 0.5
s3_put_thousand = 0.005
s3_get_thousand = 0.0004

[month]
scheduler = 12.5
"#;

const NIGHT: &str = r#"
prices = "prices.toml"
begin = "22:00"
nights_a_month = 20

[workers]
max = 30

[machines]
types = ["large", "small"]
interruptions = 0.05

[[pipes]]
name = "shop"
count = 3
products = 30000
product = "900B"
changed = "5%"
images = "2%"
speed = "5MB"
window = ["23:00", "01:00"]

[[variants]]
name = "more"
workers = { max = 60 }
queue = "exact"

[always_on]
type = "large"

[month]
"a broker" = 3

[compare]
"before" = 5750.93
"#;

fn read(night: &str, prices: &str) -> Result<Night, String> {
    let open = |name: &str| match name {
        "prices.toml" => Ok(prices.to_owned()),
        _ => Err(io::Error::from(ErrorKind::NotFound)),
    };
    let source = Source { file: Path::new("nights/one.toml"), text: night };
    let fleet = Fleet::defaults(Path::new("/fleet"));
    read_night(source, &fleet, None, &open).map_err(|errors| errors.to_string())
}

#[test]
fn a_night_is_read() {
    let night = read(NIGHT, PRICES).unwrap();
    assert_eq!(night.begin, Duration::from_secs(22 * 3_600));
    assert_eq!((night.nights_a_month, night.seed), (20.0, 1));
    assert_eq!((night.settings.workers.max, night.settings.workers.image_slots), (30, 8));
    assert_eq!(night.settings.machines.types, ["large", "small"]);
    assert_eq!(night.settings.machines.interruptions_per_hour, 0.05);
    let more = &night.variants[0];
    assert_eq!((more.name.as_str(), more.settings.workers.max), ("more", 60));
    assert_eq!(more.settings.queue, QueueKind::Exact);
    assert_eq!(more.settings.machines, night.settings.machines, "as in the night");
    assert_eq!(night.always_on.kind.as_deref(), Some("large"));
    assert_eq!(night.prices.instances[1].speed, 2.0);
    assert_eq!(night.prices.month, [Item::new("scheduler", 12.5)]);
    assert_eq!(night.month, [Item::new("a broker", 3.0)]);
    assert_eq!(night.compare, [Item::new("before", 5750.93)]);
    let Work::Described(groups) = &night.work else { panic!("it is described") };
    let due = Due::Window(Duration::from_secs(23 * 3_600), Duration::from_secs(3_600));
    assert_eq!((groups[0].count, groups[0].image_hosts, groups[0].due), (3, 3, due));
    assert_eq!((groups[0].changed, groups[0].bytes_per_sec), (0.05, 5_000_000));
    assert!(simulate(&night).outcomes.iter().all(|outcome| outcome.finished));
}

#[test]
fn mistakes_are_told_together_with_file_and_line() {
    let night = NIGHT
        .replace("[\"large\", \"small\"]", "[\"lage\"]")
        .replace("max = 30", "mx = 30")
        .replace("changed = \"5%\"", "changed = \"105%\"")
        .replace("window = [\"23:00\", \"01:00\"]", "at = \"25:00\"");
    let prices = PRICES.replace("spot = 0.06", "spot = -1");
    let shown = read(&night, &prices).unwrap_err();
    for expected in [
        "nights/one.toml:7:1: unknown field 'mx' in [workers]; did you mean 'max'?",
        "nights/one.toml:18:11: '105%' is not a percentage; expected '0%' to '100%'",
        "nights/one.toml:21:6: '25:00' is not a time of day; expected hours and minutes",
        "nights/prices.toml:9:8: spot in [instances.large] is -1; expected 0 to 1000",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    let types = read(&NIGHT.replace("\"small\"]", "\"smal\"]"), PRICES).unwrap_err();
    assert!(types.contains("nights/one.toml:10:19: 'smal' is not an instance type"), "{types}");
    assert!(types.contains("; did you mean 'small'?"), "{types}");
}

#[test]
fn another_file_is_told_by_one_mistake() {
    let shown = read(PRICES, PRICES).unwrap_err();
    let expected =
        "this is a file of prices; expected a night: write prices = 'one.toml' into a file";
    assert!(shown.contains(expected), "{shown}");
    assert_eq!(shown.matches("nights/one.toml:").count(), 1, "{shown}");
    let shown = read("[workers]\nmax = 3\n[catalog]\nurl = \"s3://b/t\"\n", PRICES).unwrap_err();
    assert!(shown.contains("this is a fleet.toml; expected a night"), "{shown}");
    assert_eq!(shown.matches("nights/one.toml:").count(), 1, "{shown}");
}

#[test]
fn what_is_missing_is_named() {
    let shown = read("prices = \"other.toml\"\n[[pipes]]\n", PRICES).unwrap_err();
    for expected in [
        "nights/one.toml:1:10: the file of prices can't be read",
        "[pipes] has no products",
        "[pipes] does not say when they are due; expected at = '02:00'",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    let shown = read("prices = \"prices.toml\"\n", PRICES).unwrap_err();
    assert!(shown.contains("the file describes no pipes; expected [[pipes]]"), "{shown}");
    let shown = read("[prices]\nsource = \"x\"\n", PRICES).unwrap_err();
    assert!(shown.contains("[prices] has no instances"), "{shown}");
    let shown = read("a = [", PRICES).unwrap_err();
    assert!(shown.starts_with("nights/one.toml:1:"), "{shown}");
}

#[test]
fn recorded_pipes_stand_in_the_place_of_those_described() {
    let source = Source { file: Path::new("one.toml"), text: "prices = \"prices.toml\"\n" };
    let pipes = vec![fixture::pipe("acme")];
    let fleet = Fleet::defaults(Path::new("/fleet"));
    let open = |_: &str| Ok(PRICES.to_owned());
    let night = read_night(source, &fleet, Some(pipes.clone()), &open).unwrap();
    assert_eq!(night.pipes(), pipes);
    assert_eq!(night.settings.machines.types, ["small"], "the first of the prices");
}

#[test]
fn settings_of_the_command_line_are_one_more_variant() {
    let night = read(NIGHT, PRICES).unwrap();
    let set = |assignments: &[&str]| {
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        read_variant(&assignments, &night).map_err(|errors| errors.to_string())
    };
    let assignments = ["workers.max=40", "scheduler.drain_target=5m", "machines.types=['small']"];
    let variant = set(&assignments).unwrap();
    assert_eq!(variant.name, assignments.join(", "));
    assert_eq!(variant.settings.workers.max, 40);
    assert_eq!(variant.settings.scheduler.drain_target, Duration::from_secs(300));
    assert_eq!(variant.settings.machines.types, ["small"]);
    let shown = set(&["workers.max=40", "workers.mx=1"]).unwrap_err();
    assert!(shown.starts_with("--set:2:"), "{shown}");
    assert!(shown.contains("unknown field 'mx' in [workers]"), "{shown}");
    assert!(set(&["workers.max"]).unwrap_err().starts_with("--set:1:"), "no value");
    let shown = set(&["pipes=1"]).unwrap_err();
    assert!(shown.contains("unknown field 'pipes'"), "{shown}");
}
