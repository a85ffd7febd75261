//! A process of the chaos run, and what befalls it.

use crate::faults::nights::Random;
use crate::faults::support::{children, kill_with_children};
use feedfleet_tests::{Fleet, Running};
use std::collections::VecDeque;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A worker is killed this long after its start at the latest: it starts in 50 ms and does a run in 150 ms.
const LONGEST_LIFE_MS: u64 = 400;
/// A stopped process goes on when its leases of ten seconds have run out.
const ASLEEP_MS: u64 = 12_000;
/// A process that was told to stop has gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(100);
const SIGTERM: i32 = 15;

/// What befalls a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// SIGKILL, of which its children die too.
    Kill,
    /// SIGKILL of the crawl that it has in hand, and of nothing else.
    KillCrawl,
    /// SIGSTOP of the whole group, and SIGCONT when its leases have run out.
    Stop,
    /// SIGTERM.
    Tell,
}

/// What befalls a process, in order, and how long after its start.
pub(super) struct Plan(VecDeque<(Duration, Deed)>);

impl Plan {
    /// Nothing.
    pub(super) fn none() -> Self {
        Self(VecDeque::new())
    }

    /// Draws what befalls a worker.
    pub(super) fn of_worker(random: &mut Random) -> Self {
        let (kind, at, more) =
            (random.below(32), random.below(LONGEST_LIFE_MS), random.below(1000));
        let last = if more.is_multiple_of(2) { Deed::Kill } else { Deed::Tell };
        Self::of(match kind {
            0 => vec![(at, Deed::Stop), (at + ASLEEP_MS + more / 2, last)],
            1..=4 => vec![(0, Deed::KillCrawl), (1000 + more, Deed::Tell)],
            5..=12 => vec![(2 * at + more, Deed::Tell)],
            _ => vec![(at, Deed::Kill)],
        })
    }

    /// Draws what befalls a scheduler. It lives long enough to do something.
    pub(super) fn of_scheduler(random: &mut Random) -> Self {
        let (kind, at) = (random.below(2), 200 + random.below(8000));
        Self::of(vec![(at, if kind == 0 { Deed::Kill } else { Deed::Tell })])
    }

    fn of(deeds: Vec<(u64, Deed)>) -> Self {
        Self(deeds.into_iter().map(|(at, deed)| (Duration::from_millis(at), deed)).collect())
    }

    /// The deed at this place, if it is due at this age.
    fn due(&self, place: usize, age: Duration) -> Option<Deed> {
        self.0.get(place).filter(|(at, _)| *at <= age).map(|(_, deed)| *deed)
    }
}

/// What has happened to a process in a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing.
    Nothing,
    /// It was stopped, and goes on later by itself.
    Stopped,
    /// Its crawl was killed.
    CrawlKilled,
    /// It was told to stop.
    Told,
    /// It was killed: it is to be dropped.
    Killed,
    /// It has left in good order: likewise.
    Left,
}

impl Event {
    /// Its name in the tally.
    pub(super) fn word(self) -> Option<&'static str> {
        match self {
            Event::Nothing | Event::Left => None,
            Event::Stopped => Some("stopped past their leases"),
            Event::CrawlKilled => Some("crawl killed"),
            Event::Told => Some("told to stop"),
            Event::Killed => Some("killed"),
        }
    }
}

/// A worker or a scheduler.
pub(super) struct Victim {
    process: Running,
    begun: Instant,
    plan: Plan,
    /// Ends when the process goes on.
    asleep: Option<JoinHandle<()>>,
    told_at: Option<Instant>,
}

impl Victim {
    /// Starts a worker. It leads a group, so that it can be stopped with its children, and ends with this test.
    pub(super) fn worker(fleet: &Fleet, plan: Plan) -> Self {
        let parent = std::process::id().to_string();
        let mut command = fleet.command(&["worker", "--parent", &parent]);
        command.process_group(0);
        Self::of(fleet.start(command), plan)
    }

    /// Starts a scheduler.
    pub(super) fn scheduler(fleet: &Fleet, plan: Plan) -> Self {
        Self::of(fleet.spawn(&["scheduler"]), plan)
    }

    fn of(process: Running, plan: Plan) -> Self {
        Self { process, begun: Instant::now(), plan, asleep: None, told_at: None }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it is neither asleep nor leaving.
    pub(super) fn is_at_work(&self) -> bool {
        self.told_at.is_none() && !self.is_asleep()
    }

    fn is_asleep(&self) -> bool {
        self.asleep.as_ref().is_some_and(|sleep| !sleep.is_finished())
    }

    /// Does what is due. `may_kill_crawl`: whether this is the time to kill its crawl.
    pub(super) fn look(&mut self, may_kill_crawl: impl Fn() -> bool) -> Event {
        if self.is_asleep() {
            return Event::Nothing;
        }
        if !self.process.is_running() {
            self.assert_left_well();
            return Event::Left;
        }
        if let Some(told_at) = self.told_at {
            let told = self.process.stderr();
            assert!(told_at.elapsed() < GONE_WITHIN, "told to stop, and still there: {told}");
            return Event::Nothing;
        }
        let age = self.begun.elapsed();
        let Some(deed) = self.plan.due(0, age) else { return Event::Nothing };
        let (event, is_over) = match deed {
            Deed::Kill => {
                kill_with_children(&mut self.process);
                (Event::Killed, true)
            }
            Deed::KillCrawl if may_kill_crawl() && kill_crawl(self.pid()) => {
                (Event::CrawlKilled, true)
            }
            // Without an occasion it waits for one, until the time of what comes next.
            Deed::KillCrawl => (Event::Nothing, self.plan.due(1, age).is_some()),
            Deed::Stop => {
                self.stop();
                (Event::Stopped, true)
            }
            Deed::Tell => {
                self.tell();
                (Event::Told, true)
            }
        };
        if is_over {
            self.plan.0.pop_front();
        }
        event
    }

    /// Tells it to stop, if nobody has, and waits for its end.
    pub(super) fn end(&mut self) {
        if let Some(asleep) = self.asleep.take() {
            asleep.join().expect("a stopped process goes on");
        }
        if self.told_at.is_none() && self.process.is_running() {
            self.tell();
        }
        self.process.wait(GONE_WITHIN);
        self.assert_left_well();
    }

    fn tell(&mut self) {
        self.process.signal("TERM");
        self.told_at = Some(Instant::now());
    }

    /// A thread of its own wakes the group: meanwhile a command of this test may wait for a lock that a sleeper
    /// holds.
    fn stop(&mut self) {
        self.process.signal_group("STOP");
        let group = self.pid().to_string();
        self.asleep = Some(std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(ASLEEP_MS));
            let wake = "kill -s CONT -- \"-$1\"";
            let woken = Command::new("sh").args(["-c", wake, "sh", &group]).status();
            assert!(woken.expect("a shell can be started").success(), "could not wake {group}");
        }));
    }

    fn assert_left_well(&mut self) {
        let (status, log) = (self.process.wait(Duration::ZERO), self.process.stderr());
        // Who dies of SIGTERM was told before it could listen; later it never does.
        let is_well = status.success() || status.signal() == Some(SIGTERM);
        // A process that sleeps may hold the queue for longer than a start waits for it.
        let has_no_queue = status.code() == Some(1)
            && log.lines().last().is_some_and(|line| {
                line.starts_with("feedfleet: ") && line.contains("database is locked")
            });
        assert!(has_no_queue || (self.told_at.is_some() && is_well), "{status}: {log}");
    }
}

/// Kills the process of the crawl that a worker has in hand; whether there was one.
fn kill_crawl(worker: u32) -> bool {
    let is_crawl = |pid: &u32| {
        // It may have gone meanwhile.
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == b"job")
    };
    let Some(crawl) = children(worker).into_iter().find(is_crawl) else { return false };
    let mut kill = Command::new("kill");
    let killed = kill.args(["-s", "KILL", &crawl.to_string()]).stderr(Stdio::null()).status();
    killed.expect("kill can be started").success()
}
