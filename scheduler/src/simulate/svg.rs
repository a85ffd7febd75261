//! The night as a picture: workers, what waits and what it costs, over time, for every fleet.
//!
//! A plain SVG file without scripts or fonts of its own. Its colours follow the reader's light or dark setting; lines
//! differ by dashes too.

use super::outcome::{Outcome, Point, Simulation};
use feedfleet_model::text::count;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 40.0;
const PANEL: f64 = 130.0;
const GAP: f64 = 46.0;
const LEGEND_LINE: f64 = 20.0;
/// Lines of the legend begin below the heading.
const HEAD: f64 = 60.0;
const FOOT: f64 = 40.0;
/// Ticks on an upright axis, about.
const TICKS: f64 = 4.0;

/// Colours that people who see few colours tell apart, too (Okabe and Ito), and dashes.
const LINES: [(&str, &str); 8] = [
    ("#0a7fc2", ""),
    ("#e08a00", "7 4"),
    ("#00966e", "2 3"),
    ("#cc5fa0", "10 3 2 3"),
    ("#d55e00", "4 2"),
    ("#4aa8dc", "12 5"),
    ("#8a8a00", "1 2"),
    ("#7d6bd6", "6 2 1 2"),
];

const STYLE: &str = "\
<style>
  .paper { fill: #ffffff } .ink { fill: #24292f } .faint { fill: #57606a }
  .grid { stroke: #d8dee4; stroke-width: 1 } .axis { stroke: #8c959f; stroke-width: 1 }
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif }
  .title { font-size: 15px; font-weight: 600 } .panel { font-weight: 600 }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9da7b3 }
    .grid { stroke: #262c36 } .axis { stroke: #6e7681 }
  }
</style>
";

/// One of the diagrams, below each other, with the same time from left to right.
struct Panel {
    title: &'static str,
    value: fn(&Point) -> f64,
    /// Whether a value holds until the next one.
    is_level: bool,
    money: bool,
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "workers (instances that are paid for)",
        value: |point| f64::from(point.workers),
        is_level: true,
        money: false,
    },
    Panel {
        title: "crawls that wait",
        value: |point| point.crawls as f64,
        is_level: true,
        money: false,
    },
    Panel {
        title: "pictures that wait",
        value: |point| point.pictures as f64,
        is_level: true,
        money: false,
    },
    Panel {
        title: "instances, US dollars since the day began",
        value: |point| point.usd,
        is_level: false,
        money: true,
    },
];

/// Draws the night.
pub fn svg(simulation: &Simulation) -> String {
    let legend = simulation.outcomes.len() as f64 * LEGEND_LINE;
    let top = HEAD + legend + GAP / 2.0;
    let height = top + PANELS.len() as f64 * (PANEL + GAP) + FOOT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>{}</title>\n{STYLE}\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
        heading(simulation)
    );
    text(&mut out, (24.0, 30.0), "ink title", "start", &heading(simulation));
    for (n, outcome) in simulation.outcomes.iter().enumerate() {
        let y = HEAD + n as f64 * LEGEND_LINE;
        let (colour, dashes) = LINES[n % LINES.len()];
        line(&mut out, &format!("M24 {:.1}h34", y - 4.0), colour, dashes);
        text(&mut out, (68.0, y), "ink", "start", &legend_text(simulation, outcome));
    }
    let time = TimeAxis::of(simulation);
    for (n, panel) in PANELS.iter().enumerate() {
        let top = top + n as f64 * (PANEL + GAP) + GAP / 2.0;
        draw_panel(&mut out, panel, simulation, &time, top);
    }
    let y = height - 14.0;
    let prices = format!("prices: {}; seed {}", simulation.prices, simulation.seed);
    text(&mut out, (24.0, y), "faint", "start", &prices);
    out.push_str("</svg>\n");
    out
}

fn heading(simulation: &Simulation) -> String {
    format!(
        "A night of {}, {} products and {} pictures",
        simulation.pipes_and_runs(),
        count(simulation.products),
        count(simulation.images)
    )
}

fn legend_text(simulation: &Simulation, outcome: &Outcome) -> String {
    let done = outcome.runs_done_secs.max(outcome.images_done_secs);
    let done = if outcome.finished {
        format!("done at {}", clock(simulation.begin_secs + done))
    } else {
        "not done within a week".to_owned()
    };
    let (night, month) = (cents(outcome.bill.night_usd), cents(outcome.bill.month_usd));
    format!(
        "{}: {done}, at most {} workers, {night} a night, {month} a month",
        outcome.name, outcome.peak_workers
    )
}

fn draw_panel(out: &mut String, panel: &Panel, simulation: &Simulation, time: &TimeAxis, top: f64) {
    let bottom = top + PANEL;
    text(out, (LEFT, top - 8.0), "ink panel", "start", panel.title);
    let points = simulation.outcomes.iter().flat_map(|outcome| &outcome.timeline);
    let points = points.filter(|point| time.shows(point.secs));
    let most = points.map(panel.value).fold(0.0, f64::max);
    let step = round_step(most / TICKS, panel.money);
    let full = (most / step).ceil().max(1.0) * step;
    let y = |value: f64| bottom - (value / full).clamp(0.0, 1.0) * PANEL;
    for tick in 0..=(full / step).round() as u32 {
        let value = f64::from(tick) * step;
        let class = if tick == 0 { "axis" } else { "grid" };
        rule(out, class, (LEFT, y(value)), (WIDTH - RIGHT, y(value)));
        let label = if panel.money { dollars(value, step) } else { short(value) };
        text(out, (LEFT - 8.0, y(value) + 4.0), "faint", "end", &label);
    }
    for secs in time.ticks() {
        let x = time.x(secs);
        rule(out, "grid", (x, top), (x, bottom));
        let label = clock(simulation.begin_secs + secs);
        text(out, (x, bottom + 16.0), "faint", "middle", &label);
    }
    // This fleet lies on top.
    for (n, outcome) in simulation.outcomes.iter().enumerate().rev() {
        let (colour, dashes) = LINES[n % LINES.len()];
        let path = path(outcome, panel, time, y);
        if !path.is_empty() {
            line(out, &path, colour, dashes);
        }
    }
}

/// The line of one fleet. Where its timeline ends before the picture does, it ends there.
fn path(outcome: &Outcome, panel: &Panel, time: &TimeAxis, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for point in outcome.timeline.iter().filter(|point| time.shows(point.secs)) {
        let (x, y) = (time.x(point.secs), y((panel.value)(point)));
        let written = if path.is_empty() {
            write!(path, "M{x:.1} {y:.1}")
        } else if panel.is_level {
            write!(path, "H{x:.1}V{y:.1}")
        } else {
            write!(path, "L{x:.1} {y:.1}")
        };
        written.expect("a text can be written to");
    }
    path
}

/// The time from left to right, in seconds after the day's beginning.
struct TimeAxis {
    begin_secs: u64,
    from: u64,
    until: u64,
}

impl TimeAxis {
    /// From the first run's being due until every fleet is down.
    fn of(simulation: &Simulation) -> Self {
        let points = simulation.outcomes.iter().flat_map(|outcome| &outcome.timeline);
        let secs: Vec<u64> = points.map(|point| point.secs).collect();
        let from = secs.iter().copied().min().unwrap_or(0);
        let until = secs.iter().copied().max().unwrap_or(0).max(from + 60);
        Self { begin_secs: simulation.begin_secs, from, until }
    }

    fn shows(&self, secs: u64) -> bool {
        (self.from..=self.until).contains(&secs)
    }

    fn x(&self, secs: u64) -> f64 {
        let share = secs.saturating_sub(self.from) as f64 / (self.until - self.from) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// Full minutes or hours of the clock, ten at most.
    fn ticks(&self) -> Vec<u64> {
        const STEPS: [u64; 13] =
            [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800];
        let length = self.until - self.from;
        let step = STEPS.iter().copied().find(|step| length / step <= 10).unwrap_or(172_800);
        let first = (self.begin_secs + self.from).next_multiple_of(step) - self.begin_secs;
        (first..=self.until).step_by(step as usize).collect()
    }
}

fn text(out: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
    let text = escape(text);
    writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    )
    .expect("a text can be written to");
}

fn rule(out: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    writeln!(out, "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>")
        .expect("a text can be written to");
}

fn line(out: &mut String, path: &str, colour: &str, dashes: &str) {
    let dashes =
        if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    writeln!(out, "<path class=\"line\" stroke=\"{colour}\"{dashes} d=\"{path}\"/>")
        .expect("a text can be written to");
}

/// The next of 1, 2 and 5, by tens; things are counted in wholes.
fn round_step(least: f64, money: bool) -> f64 {
    let least = least.max(if money { 0.01 } else { 1.0 });
    let ten = 10.0_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|n| n * ten >= least * 0.999_999);
    step.unwrap_or(10.0) * ten
}

/// A number with three digits at most, such as `1.2 M`.
fn short(value: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e9, " bn"), (1e6, " M"), (1e3, " k")];
    match UNITS.iter().find(|(unit, _)| value >= unit * 0.999_5) {
        Some((unit, name)) => {
            let digits = usize::from(value / unit < 99.5);
            let text = format!("{:.digits$}", value / unit);
            format!("{}{name}", text.strip_suffix(".0").unwrap_or(&text))
        }
        None => format!("{value:.0}"),
    }
}

/// US dollars, with as many digits as the steps need.
fn dollars(value: f64, step: f64) -> String {
    if step < 1.0 { cents(value) } else { format!("${}", count(value.round() as u64)) }
}

/// US dollars and cents.
fn cents(value: f64) -> String {
    let cents = (value * 100.0).round() as u64;
    format!("${}.{:02}", count(cents / 100), cents % 100)
}

/// The time of day of so many seconds after midnight; after that, with the days that have passed.
fn clock(secs: u64) -> String {
    let minutes = secs / 60;
    let text = format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    match minutes / 1_440 {
        0 => text,
        days => format!("{text} +{days} d"),
    }
}

fn escape(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::{fixture, simulate};
    use super::*;

    #[test]
    fn steps_and_numbers_are_round() {
        for (least, step) in [(0.3, 1.0), (1.0, 1.0), (1.1, 2.0), (26.0, 50.0), (700.0, 1_000.0)] {
            assert_eq!(round_step(least, false), step, "{least}");
        }
        assert!((round_step(0.03, true) - 0.05).abs() < 1e-12);
        for (value, text) in [
            (0.0, "0"),
            (7.0, "7"),
            (999.0, "999"),
            (1_000.0, "1 k"),
            (1_240_000.0, "1.2 M"),
            (250_000.0, "250 k"),
            (1e9, "1 bn"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!((dollars(1.5, 0.5), dollars(20.0, 10.0)), ("$1.50".into(), "$20".into()));
        assert_eq!((dollars(6e3, 2e3), cents(5_286.81)), ("$6,000".into(), "$5,286.81".into()));
        assert_eq!((clock(3_600 + 120), clock(90_000)), ("01:02".into(), "01:00 +1 d".into()));
    }

    #[test]
    fn ticks_are_full_times_of_the_clock() {
        let axis = TimeAxis { begin_secs: 22 * 3_600 + 600, from: 100, until: 7_300 };
        let shown: Vec<_> = axis.ticks().iter().map(|t| clock(axis.begin_secs + t)).collect();
        assert_eq!(shown[0], "22:15");
        assert!(shown.len() <= 10 && shown.contains(&"00:00 +1 d".to_owned()), "{shown:?}");
        assert!(axis.ticks().iter().all(|tick| axis.shows(*tick)));
    }

    #[test]
    fn every_fleet_is_drawn_in_every_panel_and_names_are_harmless() {
        let mut night = fixture::night();
        night.variants = vec![fixture::variant("<script>&\"\u{1b}", |_| {})];
        let drawn = svg(&simulate(&night));
        assert_eq!(drawn.matches("class=\"line\"").count(), 3 * (PANELS.len() + 1));
        assert!(drawn.contains("&lt;script&gt;&amp;&quot;:"), "{drawn}");
        assert!(!drawn.contains("<script") && !drawn.contains("NaN") && !drawn.contains("inf"));
        for panel in &PANELS {
            assert!(drawn.contains(panel.title));
        }
    }
}
