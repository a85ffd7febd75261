//! `feedfleet fleet simulate`.

use crate::cli::SimulateArgs;
use crate::context::Context;
use crate::view;
use anyhow::{Context as _, Result, bail};
use chrono::{NaiveDate, NaiveTime};
use comfy_table::{Cell, CellAlignment};
use feedfleet_model::text;
use feedfleet_scheduler::simulate::{self, Item, Outcome, PipeLoad, Simulation, Source};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const DAY_SECS: u64 = 86_400;

/// Simulates a night and prints what came of it.
pub async fn simulate(folder: &Path, args: &SimulateArgs) -> Result<ExitCode> {
    let context = Context::load(folder)?;
    let recorded = match args.recorded {
        Some(day) => Some(recorded(folder, day).await?),
        None => None,
    };
    let written = fs::read_to_string(&args.night)
        .with_context(|| format!("could not read {}", args.night.display()))?;
    let beside = args.night.parent().unwrap_or(Path::new(""));
    let open = |name: &str| fs::read_to_string(beside.join(name));
    let source = Source { file: &args.night, text: &written };
    let mut night = simulate::read_night(source, &context.config.fleet, recorded, &open)?;
    if !args.settings.is_empty() {
        let variant = simulate::read_variant(&args.settings, &night)?;
        night.variants.push(variant);
    }
    night.seed = args.seed.unwrap_or(night.seed);
    let simulation = simulate::simulate(&night);
    if let Some(file) = &args.svg {
        fs::write(file, simulate::svg(&simulation))
            .with_context(|| format!("could not write {}", file.display()))?;
    }
    if args.json {
        view::print_json(&simulation)?;
    } else {
        print(&simulation);
    }
    Ok(ExitCode::SUCCESS)
}

/// The runs of a day that ended well.
async fn recorded(folder: &Path, day: NaiveDate) -> Result<Vec<PipeLoad>> {
    let reports = Context::load_existing(folder)?.reports()?;
    let begin = day.and_time(NaiveTime::MIN).and_utc();
    let end = begin + Duration::from_secs(DAY_SECS);
    let mut found = Vec::new();
    for run in reports.all_runs().await? {
        if !(begin.timestamp()..end.timestamp()).contains(&run.run.0) {
            continue;
        }
        match reports.load(&run).await {
            Ok(report) => found.extend(report),
            Err(e) => view::tell(&e),
        }
    }
    let loads = simulate::recorded(&found, begin);
    if loads.is_empty() {
        bail!("of {day} (UTC) no run is recorded that ended well; see: feedfleet runs list");
    }
    let open = found.iter().filter(|report| !report.state.is_final()).count();
    let failed = found.len() - loads.len() - open;
    for (runs, what) in [(open, "have not ended yet"), (failed, "did not end well")] {
        if runs > 0 {
            let noun = if runs == 1 { "run" } else { "runs" };
            view::tell(format_args!("left out: {runs} {noun} of {day} that {what}"));
        }
    }
    Ok(loads)
}

fn print(simulation: &Simulation) {
    view::print(format!(
        "{}, {} products ({}), {} of them new or changed, {} pictures; {} such nights a month",
        simulation.pipes_and_runs(),
        text::count(simulation.products),
        text::bytes(simulation.bytes),
        text::count(simulation.changed),
        text::count(simulation.images),
        simulation.nights_a_month,
    ));
    let prices = text::printable(&simulation.prices);
    view::print(format!("seed {}; prices: {prices}", simulation.seed));
    view::print("");
    view::print(table(simulation).trim_fmt());
    if simulation.compare.is_empty() {
        return;
    }
    view::print("\nfor comparison, a month:");
    for item in &simulation.compare {
        view::print(format!("  {}: {}", text::printable(&item.name), dollars(item.usd)));
    }
}

/// A column for each fleet.
fn table(simulation: &Simulation) -> comfy_table::Table {
    let outcomes = &simulation.outcomes;
    let names = outcomes.iter().map(|outcome| text::printable(&outcome.name).into_owned());
    let headings: Vec<String> = std::iter::once(String::new()).chain(names).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = view::table(&headings);
    let mut row = |name: &str, value: &dyn Fn(&Outcome) -> String| {
        let values = outcomes.iter().map(|outcome| right(value(outcome)));
        table.add_row(std::iter::once(Cell::new(name)).chain(values).collect::<Vec<_>>());
    };
    let when = |o: &Outcome, secs: u64| {
        if o.finished { clock(simulation.begin_secs + secs) } else { "not in a week".to_owned() }
    };
    row("last run done", &|o| when(o, o.runs_done_secs));
    row("last picture done", &|o| when(o, o.images_done_secs));
    row("due to done, half of the pipes", &|o| span(o.pipe_p50_secs));
    row("due to done, 95 of 100", &|o| span(o.pipe_p95_secs));
    row("most workers", &|o| text::count(o.peak_workers.into()));
    row("workers on average", &|o| format!("{:.1}", o.average_workers));
    row("instance hours", &|o| format!("{:.1}", o.instance_hours));
    row("instances started", &|o| text::count(o.instances));
    row("interruptions", &|o| text::count(o.interruptions));
    row("rows read again", &|o| text::count(o.again.rows));
    row("pictures asked for again", &|o| text::count(o.again.images));
    row("fetched again", &|o| text::bytes(o.again.bytes));
    row("SQS requests", &|o| text::count(o.requests.sqs));
    row("S3 requests", &|o| text::count(o.requests.s3_put + o.requests.s3_get));
    row("a night", &|o| dollars(o.bill.night_usd));
    for name in parts(outcomes, |outcome| &outcome.bill.night) {
        row(&format!("  {}", text::printable(name)), &|o| part(&o.bill.night, name));
    }
    row("a month", &|o| dollars(o.bill.month_usd));
    for name in parts(outcomes, |outcome| &outcome.bill.month) {
        row(&format!("  {}", text::printable(name)), &|o| part(&o.bill.month, name));
    }
    table
}

/// The parts that any of the bills has, in the order in which they come.
fn parts(outcomes: &[Outcome], items: impl Fn(&Outcome) -> &Vec<Item>) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for item in outcomes.iter().flat_map(items) {
        if !names.contains(&item.name.as_str()) {
            names.push(&item.name);
        }
    }
    names
}

fn part(items: &[Item], name: &str) -> String {
    let found = items.iter().find(|item| item.name == name);
    found.map(|item| dollars(item.usd)).unwrap_or_default()
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn span(secs: u64) -> String {
    text::duration(Duration::from_secs(secs))
}

/// The time of day, and the days that have passed.
fn clock(secs: u64) -> String {
    let (days, rest) = (secs / DAY_SECS, secs % DAY_SECS);
    let time = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if days == 0 { time } else { format!("{time} +{days} d") }
}

/// US dollars; of what is less than ten cents, more digits.
fn dollars(usd: f64) -> String {
    let cents = (usd * 100.0).round() as u64;
    match cents {
        0..10 => format!("${usd:.4}"),
        _ => format!("${}.{:02}", text::count(cents / 100), cents % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(dollars(5_750.93), "$5,750.93");
        assert_eq!((dollars(0.0123), dollars(0.999)), ("$0.0123".into(), "$1.00".into()));
        assert_eq!((clock(3_661), clock(86_400 + 60)), ("01:01:01".into(), "00:01:00 +1 d".into()));
    }
}
