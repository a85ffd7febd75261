//! The instances of the group: which are there, what they have in hand, and which may go.

use super::random::Random;

/// A worker that has been idle for so long gives up its protection from scale-in (`worker/src/instance.rs`).
pub(super) const IDLE_BEFORE_RELEASE_MS: u64 = 30_000;
/// From being told to go until the machine is gone, without work in hand: the worker hears of it, the hook is
/// completed, the machine shuts down.
const LEAVING_MS: u64 = 10_000;

/// A worker's two lines of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Crawls.
    Crawl = 0,
    /// Pictures.
    Image = 1,
}

/// Both.
pub(super) const LINES: [Line; 2] = [Line::Crawl, Line::Image];

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Asked for.
    Starting,
    /// Receives.
    Working,
    /// Told to go.
    Leaving,
    /// Gone.
    Gone,
}

/// One instance. Times are in milliseconds after the day's beginning.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its type, by its place in the prices.
    pub kind: usize,
    pub on_demand: bool,
    pub launched: u64,
    pub gone: Option<u64>,
    pub phase: Phase,
    /// The jobs in hand, by number.
    pub jobs: Vec<usize>,
    /// How long its lines have asked for messages without finding one.
    pub polling_ms: u64,
    /// How often it got busy or idle.
    pub flips: u64,
    in_hand: [usize; 2],
    /// Its places among those with a free slot, and since when it is there.
    free: [Option<(usize, u64)>; 2],
    /// Since when it has nothing in hand; none: it has, or never had.
    idle_since: Option<u64>,
}

/// All instances of a night.
#[derive(Debug)]
pub(super) struct Instances {
    slots: [usize; 2],
    all: Vec<Instance>,
    /// Those that are not gone.
    present: Vec<usize>,
    /// Those with a free slot, by line.
    free: [Vec<usize>; 2],
}

impl Instances {
    /// None yet. `slots`: of one worker, by line.
    pub(super) fn new(slots: [usize; 2]) -> Self {
        Self { slots, all: Vec::new(), present: Vec::new(), free: Default::default() }
    }

    /// Every instance there ever was.
    pub(super) fn into_all(self) -> Vec<Instance> {
        self.all
    }

    pub(super) fn launched(&self) -> usize {
        self.all.len()
    }

    /// Those that are paid for.
    pub(super) fn present(&self) -> usize {
        self.present.len()
    }

    /// Those that are there to stay.
    pub(super) fn staying(&self) -> usize {
        self.in_phase(|phase| matches!(phase, Phase::Starting | Phase::Working))
    }

    /// Those with work in hand.
    pub(super) fn busy(&self) -> usize {
        self.present.iter().filter(|i| !self.all[**i].jobs.is_empty()).count()
    }

    /// Those that scale-in spares.
    pub(super) fn protected(&self, now: u64) -> usize {
        let spared =
            |i: &&usize| self.all[**i].phase != Phase::Leaving && self.all[**i].is_protected(now);
        self.present.iter().filter(spared).count()
    }

    /// Asks for one; its number.
    pub(super) fn launch(&mut self, kind: usize, on_demand: bool, now: u64) -> usize {
        let number = self.all.len();
        self.all.push(Instance {
            kind,
            on_demand,
            launched: now,
            gone: None,
            phase: Phase::Starting,
            jobs: Vec::new(),
            polling_ms: 0,
            flips: 0,
            in_hand: [0; 2],
            free: [None; 2],
            idle_since: None,
        });
        self.present.push(number);
        number
    }

    /// Its worker receives, unless it was told to go before.
    pub(super) fn started(&mut self, number: usize, now: u64) {
        if self.all[number].phase == Phase::Starting {
            self.all[number].phase = Phase::Working;
            for line in LINES {
                self.offer(number, line, now);
            }
        }
    }

    /// It takes no work any more; the jobs it had in hand. None: it was leaving already.
    pub(super) fn leave(&mut self, number: usize, now: u64) -> Option<Vec<usize>> {
        let phase = self.all[number].phase;
        if !matches!(phase, Phase::Starting | Phase::Working) {
            return None;
        }
        for line in LINES {
            self.withdraw(number, line, now);
        }
        let instance = &mut self.all[number];
        instance.phase = Phase::Leaving;
        instance.in_hand = [0; 2];
        Some(std::mem::take(&mut instance.jobs))
    }

    pub(super) fn gone(&mut self, number: usize, now: u64) {
        let instance = &mut self.all[number];
        if instance.phase != Phase::Gone {
            instance.phase = Phase::Gone;
            instance.gone = Some(now);
            self.present.retain(|i| *i != number);
        }
    }

    /// Tells so many to go, those that scale-in does not spare: who has been idle longest first, then who has not
    /// started yet. Each with the moment at which it is gone.
    pub(super) fn scale_in(&mut self, mut surplus: usize, now: u64) -> Vec<(usize, u64)> {
        let idle = |i: &usize| {
            let instance = &self.all[*i];
            instance.phase == Phase::Working && !instance.is_protected(now)
        };
        let mut may_go: Vec<usize> = self.present.iter().copied().filter(idle).collect();
        may_go.sort_by_key(|i| (self.all[*i].idle_since, *i));
        let starting = |i: &usize| self.all[*i].phase == Phase::Starting;
        may_go.extend(self.present.iter().copied().filter(starting).rev());
        let mut told = Vec::new();
        for number in may_go {
            if surplus == 0 {
                break;
            }
            surplus -= 1;
            self.leave(number, now);
            told.push((number, now + LEAVING_MS));
        }
        told
    }

    pub(super) fn has_free(&self, line: Line) -> bool {
        !self.free[line as usize].is_empty()
    }

    /// One of those with a free slot: all of them wait for the same message.
    pub(super) fn pick(&self, line: Line, random: &mut Random) -> Option<usize> {
        let free = &self.free[line as usize];
        free.get(random.below(free.len())).copied()
    }

    pub(super) fn kind(&self, number: usize) -> usize {
        self.all[number].kind
    }

    /// It has begun a job.
    pub(super) fn begin(&mut self, number: usize, line: Line, job: usize, now: u64) {
        let slots = self.slots[line as usize];
        let instance = &mut self.all[number];
        instance.flips += u64::from(instance.jobs.is_empty());
        instance.jobs.push(job);
        instance.idle_since = None;
        instance.in_hand[line as usize] += 1;
        if instance.in_hand[line as usize] >= slots {
            self.withdraw(number, line, now);
        }
    }

    /// It has settled a job.
    pub(super) fn end(&mut self, number: usize, line: Line, job: usize, now: u64) {
        let instance = &mut self.all[number];
        instance.jobs.retain(|other| *other != job);
        instance.in_hand[line as usize] -= 1;
        if instance.jobs.is_empty() {
            instance.idle_since = Some(now);
            instance.flips += 1;
        }
        self.offer(number, line, now);
    }

    /// The day is over: those that are there have asked for messages until now.
    pub(super) fn close(&mut self, now: u64) {
        for number in self.present.clone() {
            for line in LINES {
                self.withdraw(number, line, now);
            }
        }
    }

    fn in_phase(&self, is: impl Fn(Phase) -> bool) -> usize {
        self.present.iter().filter(|i| is(self.all[**i].phase)).count()
    }

    fn offer(&mut self, number: usize, line: Line, now: u64) {
        let l = line as usize;
        if self.all[number].free[l].is_none() && self.slots[l] > 0 {
            self.all[number].free[l] = Some((self.free[l].len(), now));
            self.free[l].push(number);
        }
    }

    fn withdraw(&mut self, number: usize, line: Line, now: u64) {
        let l = line as usize;
        let Some((place, since)) = self.all[number].free[l].take() else { return };
        self.all[number].polling_ms += now - since;
        self.free[l].swap_remove(place);
        // The last one has moved to the place that became free.
        if let Some(moved) = self.free[l].get(place).copied()
            && let Some(free) = &mut self.all[moved].free[l]
        {
            free.0 = place;
        }
    }
}

impl Instance {
    /// How long it was there until `now`.
    pub(super) fn present_ms(&self, now: u64) -> u64 {
        self.gone.unwrap_or(now).min(now).saturating_sub(self.launched)
    }

    fn is_protected(&self, now: u64) -> bool {
        let lately = self.idle_since.is_some_and(|since| now - since < IDLE_BEFORE_RELEASE_MS);
        !self.jobs.is_empty() || lately
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Draw;
    use super::*;

    fn started(slots: [usize; 2], count: usize) -> Instances {
        let mut instances = Instances::new(slots);
        for _ in 0..count {
            let number = instances.launch(0, false, 0);
            instances.started(number, 0);
        }
        instances
    }

    #[test]
    fn who_is_busy_or_was_a_moment_ago_stays() {
        let mut instances = started([1, 2], 3);
        instances.begin(0, Line::Crawl, 0, 1_000);
        instances.begin(1, Line::Image, 1, 1_000);
        instances.end(1, Line::Image, 1, 2_000);
        assert_eq!((instances.busy(), instances.protected(2_000)), (1, 2));
        assert_eq!(instances.scale_in(3, 3_000), [(2, 13_000)], "never had anything to do");
        assert_eq!(instances.scale_in(3, 32_000), [(1, 42_000)], "idle for long enough");
        let leaving = instances.in_phase(|phase| phase == Phase::Leaving);
        assert_eq!((instances.staying(), leaving, instances.present()), (1, 2, 3));
        instances.gone(2, 13_000);
        assert_eq!(instances.present(), 2);
        assert_eq!(instances.leave(0, 33_000), Some(vec![0]));
        assert_eq!(instances.leave(0, 33_000), None, "it is leaving already");
        let flips: Vec<u64> = instances.all.iter().map(|instance| instance.flips).collect();
        assert_eq!(flips, [1, 2, 0]);
    }

    #[test]
    fn who_has_a_free_slot_is_known_and_how_long_it_asked() {
        let mut instances = started([1, 2], 3);
        let mut random = Random::of(1, Draw::Receiver, 0);
        let mut taken = Vec::new();
        for job in 0..3 {
            let number = instances.pick(Line::Crawl, &mut random).unwrap();
            instances.begin(number, Line::Crawl, job, 1_000);
            taken.push(number);
        }
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2], "one crawl slot each");
        assert!(!instances.has_free(Line::Crawl) && instances.has_free(Line::Image));
        let crawler = instances.all.iter().position(|instance| instance.jobs == [1]).unwrap();
        instances.end(crawler, Line::Crawl, 1, 5_000);
        assert_eq!(instances.pick(Line::Crawl, &mut random), Some(crawler));
        instances.begin(crawler, Line::Image, 3, 5_000);
        assert!(instances.free[1].contains(&crawler), "one of its two slots");
        instances.begin(crawler, Line::Image, 4, 5_000);
        assert!(!instances.free[1].contains(&crawler));
        instances.close(7_000);
        // The crawl line at first and at last, the image line until it was full.
        assert_eq!(instances.all[crawler].polling_ms, 1_000 + 2_000 + 5_000);
    }
}
