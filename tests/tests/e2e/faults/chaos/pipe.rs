//! A pipe of the chaos run, and its nights.

use super::partner::{Fault, Partner};
use super::tally::Tally;
use crate::faults::nights::{Item, Nights, Random};
use crate::faults::support::{attempts, is_final, report};
use feedfleet_tests::Fleet;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Products of the first night.
const PRODUCTS: u64 = 40;

/// A night: what the partner had, and the run that read it.
pub(super) struct Night {
    pub(super) run: i64,
    pub(super) items: BTreeMap<String, Item>,
    /// The feed as it is served.
    pub(super) body: Vec<u8>,
    /// Where the partner cuts the first transfer of it short, if it does.
    pub(super) cut: Option<usize>,
    /// The run's report, as it was when the run had ended.
    pub(super) report: Value,
    /// Whether the report was torn afterwards.
    pub(super) has_lost_report: bool,
    /// Whether the list of absent products that the run left was torn: the next run may count anew.
    pub(super) has_lost_list: bool,
}

/// A pipe.
pub(super) struct Pipe {
    pub(super) name: String,
    /// Whether its pictures are mirrored. All are of one host, whose few groups would else be locked by dead
    /// workers most of the time.
    pub(super) mirrors: bool,
    /// Whether its feed is packed with gzip.
    is_packed: bool,
    /// Whether its products go only when they have been absent for two complete nights in a row.
    pub(super) is_patient: bool,
    nights: Nights,
    random: Random,
    nights_to_go: u64,
    /// Published, and still without a run.
    waiting: Option<Night>,
    running: Option<Night>,
    /// The running one's, as it was at the last look.
    report: Option<Value>,
    /// The nights whose runs have ended, in order.
    pub(super) ended: Vec<Night>,
}

impl Pipe {
    /// The pipe with this number, with so many nights before it. Writes its configuration.
    pub(super) fn new(
        fleet: &Fleet,
        partner: &Partner,
        number: u64,
        nights_to_go: u64,
        mut random: Random,
    ) -> Self {
        let nights = Nights::new(random.below(u64::MAX), PRODUCTS);
        let pipe = Self {
            name: format!("pipe-{number}"),
            mirrors: number.is_multiple_of(2),
            is_packed: number % 4 >= 2,
            is_patient: number % 3 == 1,
            nights,
            random,
            nights_to_go,
            waiting: None,
            running: None,
            report: None,
            ended: Vec::new(),
        };
        let (url, path, mirrors) = (partner.base_url(), pipe.path(), pipe.mirrors);
        let nights = if pipe.is_patient { 2 } else { 1 };
        fleet.pipe(
            &pipe.name,
            &format!(
                "[source]\nurl = \"{url}{path}\"\nformat = \"google-xml\"\n\
                 [guard]\nmax_removed = \"100%\"\nabsent_nights = {nights}\n\
                 [images]\nmirror = {mirrors}\n\
                 renditions = [{{ name = \"thumb\", max = 10, format = \"png\" }}]\n"
            ),
        );
        pipe
    }

    /// Where the partner has its feed.
    fn path(&self) -> String {
        format!("/{}.xml{}", self.name, if self.is_packed { ".gz" } else { "" })
    }

    /// Notes the end of the present run, and issues the next; whether all have ended. `is_troubled`: whether
    /// the partner still does what makes a run wait.
    pub(super) fn advance(
        &mut self,
        fleet: &Fleet,
        partner: &Partner,
        is_troubled: bool,
        tally: &mut Tally,
    ) -> bool {
        if let Some(night) = &self.running {
            let report = report(fleet, &self.name, night.run);
            let (has_ended, tries) = (is_final(&report), attempts(&report).len());
            self.report = Some(report.clone());
            if !has_ended {
                // Each further failure doubles the wait.
                if tries > 1 {
                    partner.relent(&self.path());
                }
                return false;
            }
            self.ended.extend(self.running.take().map(|night| Night { report, ..night }));
            self.report = None;
        }
        if self.waiting.is_none() {
            if self.nights_to_go == 0 {
                return true;
            }
            self.nights_to_go -= 1;
            self.waiting = Some(self.publish(partner, is_troubled));
        }
        if let Some(run) = self.issue(fleet, tally) {
            self.running = self.waiting.take().map(|night| Night { run, ..night });
        }
        false
    }

    /// Lets a night pass, and the partner serve what it has then.
    fn publish(&mut self, partner: &Partner, is_troubled: bool) -> Night {
        if !self.ended.is_empty() {
            self.nights.pass();
        }
        let feed = self.nights.feed(&partner.base_url(), &self.name).into_bytes();
        let body = if self.is_packed { packed(&feed) } else { feed };
        let fault = Fault::draw(&mut self.random, body.len(), self.is_packed);
        let fault = fault.filter(|fault| is_troubled || !fault.costs_a_wait());
        partner.publish(&self.path(), body.clone(), fault);
        let cut = match fault {
            Some(Fault::Cut(bytes)) => Some(bytes),
            _ => None,
        };
        Night {
            run: 0,
            items: self.nights.items().clone(),
            body,
            cut,
            report: Value::Null,
            has_lost_report: false,
            has_lost_list: false,
        }
    }

    /// Puts a run on the queue; none: not yet.
    fn issue(&self, fleet: &Fleet, tally: &mut Tally) -> Option<i64> {
        let output = fleet.run(&["run", &self.name, "--json"]);
        if output.code == Some(0) {
            return output.json()["run"].as_i64();
        }
        tally.note_busy_queue(&output);
        // The run may have got its report, and only not been sent: the scheduler sends it.
        let last = self.ended.last().map_or(0, |night| night.run);
        self.newest_run(fleet).filter(|run| *run > last)
    }

    fn newest_run(&self, fleet: &Fleet) -> Option<i64> {
        let folder = fleet.path("var/objects/reports").join(&self.name);
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let run = |name: &str| name.strip_suffix(".json")?.parse::<i64>().ok();
        entries.filter_map(|entry| run(&entry.file_name().to_string_lossy())).max()
    }

    /// The report of the last run that has ended, which is lost from now on. None while somebody would want to know
    /// how that run ended.
    pub(super) fn lose_report(&mut self, fleet: &Fleet) -> Option<PathBuf> {
        let is_over = self.nights_to_go == 0 && self.waiting.is_none();
        let night = self.ended.last_mut().filter(|_| is_over || self.running.is_some())?;
        night.has_lost_report = true;
        Some(report_path(fleet, &self.name, night.run))
    }

    /// The list of absent products that the last run has left, which is lost from now on.
    pub(super) fn lose_list(&mut self, fleet: &Fleet) -> Option<PathBuf> {
        let night = self.ended.last_mut()?;
        let list = fleet.path("var/objects").join(night.report["lists"]["absent"].as_str()?);
        night.has_lost_list = true;
        Some(list)
    }

    /// Whether each report that was lost is there again, and final.
    pub(super) fn has_its_reports(&self, fleet: &Fleet) -> bool {
        self.ended.iter().filter(|night| night.has_lost_report).all(|night| {
            let bytes = fs::read(report_path(fleet, &self.name, night.run)).unwrap_or_default();
            serde_json::from_slice(&bytes).is_ok_and(|report: Value| is_final(&report))
        })
    }

    /// Whether this worker is in the first attempt at the pipe's run, by what was known at the last look.
    pub(super) fn has_first_attempt_of(&self, worker: u32) -> bool {
        self.report
            .as_ref()
            .is_some_and(|report| attempts(report).len() == 1 && is_in_hand_of(report, worker))
    }

    /// The pipe's run, if this worker died in an attempt at it before the run was known to be in the table.
    pub(super) fn lost_by(&self, fleet: &Fleet, worker: u32) -> Option<i64> {
        let night = self.running.as_ref()?;
        let report = report(fleet, &self.name, night.run);
        (report["state"] == "running" && is_in_hand_of(&report, worker)).then_some(night.run)
    }
}

fn report_path(fleet: &Fleet, pipe: &str, run: i64) -> PathBuf {
    fleet.path(&format!("var/objects/reports/{pipe}/{run:012}.json"))
}

/// Whether the last attempt is this worker's, and has no end.
fn is_in_hand_of(report: &Value, worker: u32) -> bool {
    attempts(report).last().is_some_and(|attempt| {
        let name = attempt["worker"].as_str().expect("an attempt names its worker");
        attempt["end"].is_null() && name.ends_with(&format!("/{worker}"))
    })
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}
