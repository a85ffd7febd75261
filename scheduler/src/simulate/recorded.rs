//! A night that was: the runs of a day, from their reports.

use super::night::PipeLoad;
use chrono::{DateTime, Utc};
use feedfleet_model::RunReport;
use feedfleet_model::report::RunState;
use std::time::Duration;

/// What the runs that ended well had to do, and when they were due, in milliseconds after `day`. Runs that failed or
/// were superseded are left out: what they would have had to do is not known. The pictures of each pipe are taken
/// to lie on a host of their own, which no report tells.
pub fn recorded(reports: &[RunReport], day: DateTime<Utc>) -> Vec<PipeLoad> {
    let ended = |report: &&RunReport| matches!(report.state, RunState::Done | RunState::Held);
    let loads = reports.iter().filter(ended).enumerate();
    loads.map(|(number, report)| load(report, day, number)).collect()
}

fn load(report: &RunReport, day: DateTime<Utc>, number: usize) -> PipeLoad {
    let counts = &report.counts;
    let phase = |name: &str| report.seconds.get(name).copied().unwrap_or_default().max(0.0);
    let differing = (counts.new + counts.changed) as f64;
    let bytes = report.bytes.fetched + report.source.resumed_at_bytes.unwrap_or_default();
    let due = (report.scheduled_at() - day).num_milliseconds();
    PipeLoad {
        name: report.key.pipe.to_string(),
        due_ms: u64::try_from(due).unwrap_or_default(),
        rows: counts.seen,
        bytes,
        changed: differing / counts.seen.max(1) as f64,
        images: counts.images_queued,
        image_host: number,
        image: None,
        // As fast as it came; if the worker was the slower of the two, this is the worker's pace.
        bytes_per_sec: (bytes as f64 / phase("read").max(0.001)).max(1.0),
        overhead: Some(Duration::from_secs_f64(phase("open") + phase("commit"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::report::Trigger;
    use feedfleet_model::{RunId, RunKey};

    #[test]
    fn a_report_tells_what_its_run_had_to_do() {
        let day = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1_767_225_600 + 7_200) };
        let mut report = RunReport::new(key, Trigger::Schedule, day);
        (report.counts.seen, report.counts.new, report.counts.changed) = (1_000, 20, 80);
        (report.counts.images_queued, report.bytes.fetched) = (60, 900_000);
        report.source.resumed_at_bytes = Some(100_000);
        report.seconds = [("open", 0.5), ("read", 2.0), ("commit", 1.0), ("images", 9.0)]
            .map(|(phase, secs)| (phase.to_owned(), secs))
            .into();
        assert!(recorded(std::slice::from_ref(&report), day).is_empty(), "it has not ended");

        report.state = RunState::Held;
        let loads = recorded(&[report], day);
        assert_eq!(loads.len(), 1);
        let load = &loads[0];
        assert_eq!((load.name.as_str(), load.due_ms), ("acme", 7_200_000));
        assert_eq!((load.rows, load.bytes, load.images), (1_000, 1_000_000, 60));
        assert_eq!((load.changed, load.bytes_per_sec), (0.1, 500_000.0));
        assert_eq!(load.overhead, Some(Duration::from_millis(1_500)));
    }
}
