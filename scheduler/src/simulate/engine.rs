//! The night, event by event: what is due, what workers do, what AWS gives and takes, and at each tick the same
//! decision as the scheduler's own.

use super::course::{Course, Moment, Tally};
use super::crawl::{Attempt, Kept};
use super::folding::Folding;
use super::image_job::ImageJob;
use super::instances::{Instances, Line};
use super::night::{DAY, PipeLoad};
use super::prices::Prices;
use super::queues::{CrawlQueue, ImageQueue, Pictures};
use super::random::{Draw, Random};
use super::requests::{Pipes, Requests};
use super::settings::Settings;
use crate::fleet::paces;
use crate::scaling::{Bounds, QueueLoad, desired_workers};
use feedfleet_fleet::Pacing;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// A spot instance is gone so long after its notice.
const NOTICE_MS: u64 = 120_000;
/// A night that has not ended by then never does.
const LONGEST_MS: u64 = 7 * DAY.as_millis() as u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A pipe's run is due.
    Due(usize),
    /// An instance's worker receives.
    Started(usize),
    /// A spot instance gets its notice.
    Notice(usize),
    /// An instance is gone.
    Gone(usize),
    /// A job ends.
    Ended(usize),
    /// The scheduler looks.
    Tick,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    Crawl(usize, Attempt),
    Image(Pictures),
}

impl Task {
    fn line(&self) -> Line {
        match self {
            Task::Crawl(..) => Line::Crawl,
            Task::Image(_) => Line::Image,
        }
    }
}

#[derive(Debug)]
struct Job {
    instance: usize,
    began: u64,
    task: Task,
    interrupted: bool,
}

/// Goes through the night of these pipes.
pub(super) fn run(pipes: &[PipeLoad], settings: &Settings, prices: &Prices, seed: u64) -> Course {
    let mut engine = Engine::new(pipes, settings, prices, seed);
    while let Some(Reverse((at, _, event))) = engine.events.pop() {
        engine.now = at;
        if engine.happen(event) {
            break;
        }
    }
    engine.into_course()
}

struct Engine<'a> {
    pipes: &'a [PipeLoad],
    settings: &'a Settings,
    prices: &'a Prices,
    seed: u64,
    /// The instance types that may be had, by their places in the prices.
    kinds: Vec<usize>,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    crawls: CrawlQueue,
    images: ImageQueue,
    instances: Instances,
    /// What the group is told to have.
    target: u32,
    pacing: Pacing,
    /// The real clock's moment that stands for the day's beginning.
    origin: Instant,
    receivers: Random,
    jobs: Vec<Job>,
    /// Numbers of jobs that have ended.
    spare: Vec<usize>,
    kept: Vec<Kept>,
    runs_done: Vec<Option<u64>>,
    runs_open: usize,
    images_done: Option<u64>,
    folding: Folding,
    /// How long there were crawls, and how long there was anything to do.
    crawling_ms: u64,
    working_ms: u64,
    peak: usize,
    tally: Tally,
    requests: Requests,
    samples: Vec<Moment>,
}

impl<'a> Engine<'a> {
    fn new(pipes: &'a [PipeLoad], settings: &'a Settings, prices: &'a Prices, seed: u64) -> Self {
        let hosts = pipes.iter().map(|pipe| pipe.image_host + 1).max().unwrap_or(0);
        let workers = &settings.workers;
        let origin = Instant::now();
        let mut engine = Self {
            pipes,
            settings,
            prices,
            seed,
            kinds: settings.machines.types.iter().filter_map(|name| prices.kind(name)).collect(),
            now: 0,
            events: BinaryHeap::new(),
            sequence: 0,
            crawls: CrawlQueue::default(),
            images: ImageQueue::new(settings.queue, hosts, settings.hosts.concurrency),
            instances: Instances::new([workers.crawl_slots, workers.image_slots]),
            target: workers.min,
            pacing: Pacing::new(origin),
            origin,
            receivers: Random::of(seed, Draw::Receiver, 0),
            jobs: Vec::new(),
            spare: Vec::new(),
            kept: vec![Kept::default(); pipes.len()],
            runs_done: vec![None; pipes.len()],
            runs_open: pipes.len(),
            images_done: None,
            folding: Folding::default(),
            crawling_ms: 0,
            working_ms: 0,
            peak: 0,
            tally: Tally::default(),
            requests: Requests::default(),
            samples: Vec::new(),
        };
        // The fewest are there already.
        for _ in 0..workers.min {
            engine.launch(true);
        }
        for (pipe, load) in pipes.iter().enumerate() {
            engine.schedule(load.due_ms, Event::Due(pipe));
        }
        engine.schedule(0, Event::Tick);
        engine
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    /// True: the night is over.
    fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::Due(pipe) => {
                self.crawls.send(pipe);
                self.requests.crawl_sent();
            }
            Event::Started(number) => self.instances.started(number, self.now),
            Event::Notice(number) => self.interrupt(number),
            Event::Gone(number) => self.instances.gone(number, self.now),
            Event::Ended(job) => self.end(job),
            Event::Tick => return self.tick(),
        }
        self.hand_out();
        false
    }

    /// Gives every worker with a free slot a message, as long as there are any.
    fn hand_out(&mut self) {
        while self.crawls.waiting() > 0 {
            let Some(number) = self.instances.pick(Line::Crawl, &mut self.receivers) else { break };
            let Some(pipe) = self.crawls.receive() else { break };
            let kind = &self.prices.instances[self.instances.kind(number)];
            let attempt =
                Attempt::new(&self.pipes[pipe], self.kept[pipe], self.settings, kind.speed);
            self.begin(number, Task::Crawl(pipe, attempt), attempt.millis());
        }
        while self.instances.has_free(Line::Image) {
            let Some(pictures) = self.images.receive() else { break };
            let Some(number) = self.instances.pick(Line::Image, &mut self.receivers) else { break };
            let millis = self.image_job(number, &pictures).millis(pictures.count);
            self.tally.images_again += pictures.known;
            self.begin(number, Task::Image(pictures), millis);
        }
    }

    fn begin(&mut self, instance: usize, task: Task, millis: u64) {
        let job = Job { instance, began: self.now, task, interrupted: false };
        let number = match self.spare.pop() {
            Some(number) => {
                self.jobs[number] = job;
                number
            }
            None => {
                self.jobs.push(job);
                self.jobs.len() - 1
            }
        };
        self.instances.begin(instance, task.line(), number, self.now);
        self.schedule(self.now + millis, Event::Ended(number));
    }

    fn end(&mut self, number: usize) {
        self.spare.push(number);
        let Job { instance, began, task, interrupted } = self.jobs[number];
        if interrupted {
            return;
        }
        self.instances.end(instance, task.line(), number, self.now);
        self.count_requests(&task, self.now - began);
        match task {
            Task::Crawl(pipe, attempt) => {
                self.crawls.delete();
                if attempt.commits() {
                    self.committed(pipe);
                }
                let load = &self.pipes[pipe];
                self.runs_done[pipe] = Some(self.now);
                self.runs_open -= 1;
                let messages = self.images.send(pipe, load.image_host, load.images);
                self.requests.images_sent(messages);
                if load.images > 0 {
                    self.requests.looked_for_missing();
                }
            }
            Task::Image(pictures) => {
                self.images.delete(&pictures);
                self.tally.images += pictures.count;
                self.images_done = Some(self.now);
                self.folding.receipt(pictures.pipe);
                let renditions = self.settings.speed.renditions;
                self.requests.images_stored(pictures.count - pictures.known, renditions);
            }
        }
    }

    /// A spot notice: the worker hands back what it has, and the group asks for another one at once.
    fn interrupt(&mut self, number: usize) {
        let Some(jobs) = self.instances.leave(number, self.now) else { return };
        self.tally.interruptions += 1;
        for job in jobs {
            self.jobs[job].interrupted = true;
            let Job { began, task, .. } = self.jobs[job];
            let after = self.now - began;
            self.count_requests(&task, after);
            match task {
                Task::Crawl(pipe, attempt) => {
                    let cut = attempt.cut(after);
                    if cut.kept.committed && attempt.commits() {
                        self.committed(pipe);
                    }
                    self.kept[pipe] = cut.kept;
                    self.tally.rows_again += cut.rows_in_vain;
                    self.tally.bytes_again += cut.bytes_in_vain;
                    self.crawls.release(pipe);
                }
                Task::Image(pictures) => {
                    let known = self.image_job(number, &pictures).done(after, pictures.count);
                    let renditions = self.settings.speed.renditions;
                    let stored = known.saturating_sub(pictures.known);
                    self.requests.images_stored(stored, renditions);
                    self.images.release(&pictures, known);
                }
            }
        }
        self.schedule(self.now + NOTICE_MS, Event::Gone(number));
        self.fill();
    }

    fn committed(&mut self, pipe: usize) {
        self.tally.rows += self.pipes[pipe].rows;
        self.requests.crawl_archived(self.pipes[pipe].bytes);
    }

    /// The scheduler's tick. True: all is done, and the fleet is as small as it may be.
    fn tick(&mut self) -> bool {
        let workers = &self.settings.workers;
        let [crawl_pace, image_pace] = paces(workers, &self.settings.scheduler);
        let queues = [(self.crawls.load(), crawl_pace), (self.images.load(), image_pace)];
        let bounds = Bounds { min: workers.min, max: workers.max };
        let wanted = desired_workers(&queues, bounds);
        let protected = u32::try_from(self.instances.protected(self.now)).unwrap_or(u32::MAX);
        let at = self.origin + Duration::from_millis(self.now);
        self.target = self.pacing.target(at, wanted, self.target, protected);
        self.fill();
        let surplus = self.instances.staying().saturating_sub(self.target as usize);
        for (number, gone) in self.instances.scale_in(surplus, self.now) {
            self.schedule(gone, Event::Gone(number));
        }
        self.samples.push(Moment {
            at: self.now,
            desired: wanted,
            workers: self.instances.present(),
            busy: self.instances.busy(),
            crawls: self.crawls.waiting(),
            pictures: self.images.waiting_pictures(),
        });
        let fewest = self.instances.present() <= workers.min as usize;
        if (self.is_done() && fewest) || self.now >= LONGEST_MS {
            return true;
        }
        let tick_ms = u64::try_from(self.settings.scheduler.tick.as_millis()).unwrap_or(u64::MAX);
        let [is_crawling, has_images] = queues.map(|(load, _)| load != QueueLoad::default());
        self.crawling_ms += if is_crawling { tick_ms } else { 0 };
        self.working_ms += if is_crawling || has_images { tick_ms } else { 0 };
        self.folding.tick(self.now, &mut self.requests);
        self.schedule(self.now.saturating_add(tick_ms.max(1)), Event::Tick);
        self.hand_out();
        false
    }

    fn is_done(&self) -> bool {
        self.runs_open == 0 && self.images.is_empty()
    }

    /// Asks for the instances that are missing.
    fn fill(&mut self) {
        while self.instances.staying() < self.target as usize {
            self.launch(false);
        }
        self.peak = self.peak.max(self.instances.staying());
    }

    /// Asks for an instance. Its luck depends on its number alone, so that variants have the same.
    fn launch(&mut self, is_there: bool) {
        let machines = &self.settings.machines;
        let mut random = Random::of(self.seed, Draw::Instance, self.instances.launched() as u64);
        let kind = self.kinds.get(random.below(self.kinds.len())).copied().unwrap_or_default();
        let on_demand = random.unit() < machines.on_demand;
        let start_ms = machines.start_ms(&mut random);
        let start_ms = if is_there { 0 } else { start_ms };
        let hours = random.exponential() / machines.interruptions_per_hour;
        let number = self.instances.launch(kind, on_demand, self.now);
        self.schedule(self.now + start_ms, Event::Started(number));
        // Without interruptions the hours are endless.
        let notice_ms = hours * 3_600_000.0;
        if !on_demand && notice_ms < LONGEST_MS as f64 {
            self.schedule(self.now + notice_ms as u64, Event::Notice(number));
        }
    }

    fn image_job(&self, instance: usize, pictures: &Pictures) -> ImageJob {
        let cores = self.prices.instances[self.instances.kind(instance)].cores;
        ImageJob::new(&self.pipes[pictures.pipe], self.settings, cores, pictures.known)
    }

    fn count_requests(&mut self, task: &Task, millis: u64) {
        let beat = self.settings.leases.visibility / 3;
        match task {
            Task::Crawl(..) => self.requests.crawl_attempt(millis, beat),
            Task::Image(pictures) => self.requests.image_attempt(pictures.count, millis, beat),
        }
    }

    fn into_course(mut self) -> Course {
        let finished = self.is_done();
        // Who is there to stay is there, and asks for messages, until the next day begins.
        let end = self.now.max(DAY.as_millis() as u64);
        self.instances.close(end);
        let instances = self.instances.into_all();
        let polling_ms = instances.iter().map(|instance| instance.polling_ms).sum();
        let present_ms = instances.iter().map(|instance| instance.present_ms(end)).sum();
        let flips = instances.iter().map(|instance| instance.flips).sum();
        self.requests.workers(polling_ms, present_ms, flips);
        self.requests.kept_up(self.working_ms);
        let with_images = self.pipes.iter().filter(|pipe| pipe.images > 0).count() as u64;
        let pipes = Pipes { all: self.pipes.len() as u64, with_images };
        let images_folded = self.folding.close(self.now, &mut self.requests);
        Course {
            finished,
            ended: self.now,
            runs_done: self.runs_done,
            images_done: self.images_done,
            images_folded,
            pipes,
            crawling_ms: self.crawling_ms,
            instances,
            peak: self.peak,
            tally: self.tally,
            requests: self.requests,
            samples: self.samples,
        }
    }
}
