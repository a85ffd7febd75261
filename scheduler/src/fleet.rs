//! The fleet as the scheduler sees it: at each tick it looks at the queues, works out how many workers there
//! should be, and has the fleet's backend go there. The decision is the same for every backend.

mod local;

pub use local::LocalFleet;

use crate::deps::Deps;
use crate::scaling::{Bounds, Pace, QueueLoad, desired_workers};
use chrono::{DateTime, Utc};
use feedfleet_config::{Scheduler, Workers};
use feedfleet_fleet::{Fleet, FleetView, Member, SHORT_AFTER};
use feedfleet_model::keys;
use feedfleet_objects::ObjectError;
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_queue::{Counts, QueueError};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;

/// An image job is a batch of a few requests.
const EXPECTED_IMAGE_JOB: Duration = Duration::from_secs(10);
/// How often a scheduler without a fleet tells of itself.
pub(crate) const ALONE_INTERVAL: Duration = Duration::from_secs(20);
/// For so long a scheduler's word counts.
const FRESH: Duration = Duration::from_secs(60);

/// What the scheduler tells of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetStatus {
    /// When.
    pub at: DateTime<Utc>,
    /// The scheduler's process.
    pub scheduler_pid: u32,
    /// Workers there should be.
    pub desired: u32,
    /// Fewest and most by configuration.
    pub bounds: (u32, u32),
    /// Worker processes of the scheduler's own, and since when they run.
    pub workers: Vec<(u32, DateTime<Utc>)>,
    /// Workers on machines of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<Member>,
    /// Workers that are missing and that could not be had for minutes.
    #[serde(default)]
    pub short: u32,
}

impl FleetStatus {
    fn new(deps: &Deps, desired: u32, view: &FleetView) -> Self {
        let settings = &deps.fleet.workers;
        let mut status = Self {
            at: deps.clock.now(),
            scheduler_pid: std::process::id(),
            desired,
            bounds: (settings.min, settings.max),
            workers: Vec::new(),
            instances: Vec::new(),
            short: view.short,
        };
        for member in &view.members {
            // A process's id is a number, an instance's is not.
            match member.id.parse() {
                Ok(pid) => status.workers.push((pid, member.since)),
                Err(_) => status.instances.push(member.clone()),
            }
        }
        status
    }

    /// Of a scheduler that leaves workers to others.
    fn alone(deps: &Deps) -> Self {
        let status = Self::new(deps, 0, &FleetView::default());
        Self { bounds: (0, 0), ..status }
    }

    /// Whether the scheduler sees to workers. One that runs alone has none of its own, and others may run them.
    pub fn has_fleet(&self) -> bool {
        self.bounds.1 > 0
    }

    /// Whether the scheduler may be taken to be running still.
    pub fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        crate::age(now, self.at) <= FRESH
    }

    /// Workers there are, whoever runs them.
    pub fn present(&self) -> usize {
        self.workers.len() + self.instances.len()
    }
}

/// What one tick found, for the figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// What is on the queue of crawls.
    pub(crate) crawl: Counts,
    /// What is on the queue of images.
    pub(crate) image: Counts,
    /// Workers there should be.
    pub(crate) desired: u32,
    /// The fleet, as it was when it could last be asked; none where this scheduler has none, or could never ask it.
    pub(crate) view: Option<FleetView>,
}

/// What a scheduler knows of its fleet while that cannot be asked.
#[derive(Default)]
pub(crate) struct Known {
    /// The fleet, as the last step left it.
    view: Option<FleetView>,
    /// Since when workers are missing, and nobody can be asked for them.
    stuck_since: Option<DateTime<Utc>>,
}

impl Known {
    fn learn(&mut self, view: FleetView) -> FleetView {
        self.stuck_since = None;
        self.view = Some(view.clone());
        view
    }

    /// The fleet as it last was; none where that was never told. A fleet that refuses every step cannot grow either:
    /// after a while what is missing is short, whatever is the matter.
    fn recall(&mut self, now: DateTime<Utc>, desired: u32) -> Option<FleetView> {
        let missing = desired.saturating_sub(self.view.as_ref().map_or(0, FleetView::in_service));
        if missing == 0 {
            self.stuck_since = None;
        } else if crate::age(now, *self.stuck_since.get_or_insert(now)) >= SHORT_AFTER {
            return Some(FleetView { short: missing, ..self.view.clone().unwrap_or_default() });
        }
        let view = self.view.clone()?;
        Some(FleetView { short: view.short.min(missing), ..view })
    }
}

/// One tick. None: the queues could not be looked at, and the fleet stays as it is.
pub(crate) async fn tick(
    deps: &Deps,
    fleet: Option<&mut (dyn Fleet + 'static)>,
    known: &mut Known,
) -> Option<Look> {
    let mut look = match look_at_queues(deps).await {
        Ok(look) => look,
        Err(e) => {
            tracing::warn!(error = %e, "could not look at the queues, the fleet stays as it is");
            return None;
        }
    };
    if let Some(fleet) = fleet {
        look.view = match fleet.reconcile(look.desired).await {
            Ok(view) => Some(known.learn(view)),
            Err(e) => {
                tracing::warn!(error = %e, "the fleet stays as it is, will try again");
                known.recall(deps.clock.now(), look.desired)
            }
        };
        // Also of a fleet that nothing is known of: the status says that a scheduler runs.
        publish(deps, look.desired, &look.view.clone().unwrap_or_default()).await;
    }
    Some(look)
}

/// Stops a fleet of this scheduler's own processes, and takes the scheduler's word away.
pub(crate) async fn stop(deps: &Deps, fleet: &mut dyn Fleet) {
    fleet.stop().await;
    take_status_away(deps).await;
}

/// Tells that a scheduler runs that has no fleet. Another that has one says more: its word stays.
pub(crate) async fn publish_alone(deps: &Deps) {
    match published(deps).await {
        Ok(Some(status)) if status.has_fleet() && status.is_fresh(deps.clock.now()) => {}
        Ok(_) => put(deps, &FleetStatus::alone(deps)).await,
        Err(e) => tracing::warn!(error = %e, "could not look at the fleet's status"),
    }
}

/// Takes the word of a scheduler without a fleet away.
pub(crate) async fn leave(deps: &Deps) {
    let is_own =
        |status: &FleetStatus| !status.has_fleet() && status.scheduler_pid == std::process::id();
    match published(deps).await {
        Ok(status) if status.as_ref().is_some_and(is_own) => take_status_away(deps).await,
        Ok(_) => {}
        Err(e) => tracing::warn!(error = %e, "could not look at the fleet's status"),
    }
}

/// What was told last. What cannot be read says nothing, and is written over.
async fn published(deps: &Deps) -> Result<Option<FleetStatus>, ObjectError> {
    let key = keys::fleet_status();
    let object = deps.objects.get(&key).await?;
    Ok(object.and_then(|object| from_json(&key, &object.bytes).ok()))
}

async fn take_status_away(deps: &Deps) {
    if let Err(e) = deps.objects.delete(&keys::fleet_status()).await {
        tracing::warn!(error = %e, "could not take the fleet's status away");
    }
}

/// The fleet does not wait for its status: what a slow store does not take before the next tick, that one writes anew.
async fn publish(deps: &Deps, desired: u32, view: &FleetView) {
    put(deps, &FleetStatus::new(deps, desired, view)).await;
}

async fn put(deps: &Deps, status: &FleetStatus) {
    let key = keys::fleet_status();
    let put = deps.objects.put(&key, to_json(status));
    match timeout(deps.fleet.scheduler.tick, put).await {
        Ok(Ok(_)) => {}
        Ok(Err(e)) => tracing::warn!(error = %e, "could not publish the fleet's status"),
        Err(_) => tracing::warn!("could not publish the fleet's status before the next tick"),
    }
}

async fn look_at_queues(deps: &Deps) -> Result<Look, QueueError> {
    let workers = &deps.fleet.workers;
    let [crawl_pace, image_pace] = paces(workers, &deps.fleet.scheduler);
    let (crawl, image) = (deps.crawl.counts().await?, deps.image.counts().await?);
    let queues = [(load(&crawl), crawl_pace), (load(&image), image_pace)];
    let bounds = Bounds { min: workers.min, max: workers.max };
    Ok(Look { crawl, image, desired: desired_workers(&queues, bounds), view: None })
}

/// How crawls and images are worked off, by configuration.
pub(crate) fn paces(workers: &Workers, scheduler: &Scheduler) -> [Pace; 2] {
    let crawl = Pace {
        slots: workers.crawl_slots,
        expected_job: scheduler.expected_job,
        drain_target: scheduler.drain_target,
    };
    [crawl, Pace { slots: workers.image_slots, expected_job: EXPECTED_IMAGE_JOB, ..crawl }]
}

fn load(counts: &Counts) -> QueueLoad {
    QueueLoad {
        visible: counts.visible,
        in_flight: counts.in_flight,
        runnable_groups: counts.runnable_groups,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;
    use chrono::TimeDelta;
    use feedfleet_fleet::{FleetError, MemberState};
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use tokio::runtime::Builder;
    use tokio::task::spawn_blocking;

    /// A fleet that notes what it is asked for.
    #[derive(Default)]
    struct Asked {
        desired: Vec<u32>,
        fails: bool,
    }

    #[async_trait::async_trait]
    impl Fleet for Asked {
        async fn reconcile(&mut self, desired: u32) -> Result<FleetView, FleetError> {
            self.desired.push(desired);
            if self.fails {
                return Err(FleetError::passing("describe", "group", "throttled"));
            }
            Ok(two_of_three())
        }

        async fn stop(&mut self) {}
    }

    fn two_of_three() -> FleetView {
        let member = |id: &str| Member {
            id: id.into(),
            since: DateTime::UNIX_EPOCH,
            state: MemberState::InService,
            busy: false,
        };
        FleetView { target: 3, members: vec![member("17"), member("i-0a")], short: 1 }
    }

    async fn told(world: &World) -> Option<FleetStatus> {
        let key = keys::fleet_status();
        let object = world.deps.objects.get(&key).await.unwrap()?;
        Some(from_json(&key, &object.bytes).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_decision_is_made_here_and_told_with_what_came_of_it() {
        let world = World::new();
        world.send_crawls(&["a", "b"]).await;
        let mut fleet = Asked { fails: true, ..Asked::default() };
        let mut known = Known::default();
        let look = tick(&world.deps, Some(&mut fleet), &mut known).await.unwrap();
        assert!((look.view.is_none(), look.crawl.visible) == (true, 2), "{look:?}");
        let status = told(&world).await.unwrap();
        assert_eq!((status.desired, status.present()), (1, 0), "nothing is known of the fleet");

        fleet.fails = false;
        let look = tick(&world.deps, Some(&mut fleet), &mut known).await.unwrap();
        assert_eq!(fleet.desired, [1, 1], "two jobs of a minute in ten minutes");
        assert_eq!(look.desired, 1);
        let status = told(&world).await.unwrap();
        assert_eq!(status.workers, [(17, DateTime::UNIX_EPOCH)]);
        assert_eq!(status.instances[0].id, "i-0a");
        assert_eq!((status.desired, status.short, status.present()), (1, 1, 2));

        fleet.fails = true;
        world.pass(TimeDelta::seconds(5));
        let look = tick(&world.deps, Some(&mut fleet), &mut known).await.unwrap();
        assert_eq!(look.view.unwrap().members.len(), 2, "as it last was");
        let status = told(&world).await.unwrap();
        assert_eq!((status.at, status.short, status.present()), (world.now(), 0, 2));

        stop(&world.deps, &mut fleet).await;
        assert_eq!(told(&world).await, None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scheduler_without_a_fleet_tells_of_itself_where_none_with_one_does() {
        let world = World::new();
        publish_alone(&world.deps).await;
        let status = told(&world).await.unwrap();
        assert_eq!((status.scheduler_pid, status.at), (std::process::id(), world.now()));
        assert!(!status.has_fleet() && status.is_fresh(world.now()), "{status:?}");
        leave(&world.deps).await;
        assert_eq!(told(&world).await, None);

        publish(&world.deps, 3, &two_of_three()).await;
        publish_alone(&world.deps).await;
        leave(&world.deps).await;
        let status = told(&world).await.unwrap();
        assert!(status.has_fleet() && status.present() == 2, "it stays: {status:?}");

        world.pass(TimeDelta::seconds(61));
        assert!(!status.is_fresh(world.now()));
        publish_alone(&world.deps).await;
        let status = told(&world).await.unwrap();
        assert_eq!((status.has_fleet(), status.at), (false, world.now()));
        publish(&world.deps, 3, &two_of_three()).await;
        assert!(told(&world).await.unwrap().has_fleet(), "and comes back");
    }

    #[test]
    fn a_fleet_that_refuses_every_step_is_short_after_a_while() {
        let at = |secs| DateTime::UNIX_EPOCH + TimeDelta::seconds(secs);
        let mut known = Known::default();
        assert_eq!(known.recall(at(0), 3), None);
        assert_eq!(known.recall(at(299), 3), None);
        let short = FleetView { short: 3, ..FleetView::default() };
        assert_eq!(known.recall(at(300), 3), Some(short), "it was never seen");

        known.learn(two_of_three());
        for (secs, desired, short) in [
            (400, 4, 1),
            (699, 4, 1),
            (700, 4, 2),
            (701, 2, 0),
            (702, 4, 1),
            (1001, 4, 1),
            (1002, 4, 2),
        ] {
            let expected = FleetView { short, ..two_of_three() };
            assert_eq!(known.recall(at(secs), desired), Some(expected), "{secs}");
        }
        known.learn(two_of_three());
        assert_eq!(known.recall(at(1003), 4), Some(two_of_three()), "counted anew");
    }

    #[test]
    fn a_store_that_does_not_answer_does_not_hold_the_fleet_up() {
        // What is written to a folder takes a thread, and the only one is taken.
        let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(1).build();
        let runtime = runtime.unwrap();
        let (release, held) = channel::<()>();
        runtime.block_on(async {
            let mut world = World::new();
            Arc::make_mut(&mut world.deps.fleet).scheduler.tick = Duration::from_millis(20);
            let holding = spawn_blocking(move || held.recv());
            let view = two_of_three();
            let publishing = publish(&world.deps, 3, &view);
            timeout(Duration::from_secs(60), publishing).await.unwrap();
            drop(release);
            assert!(holding.await.unwrap().is_err(), "it was held until now");
            assert!(told(&world).await.is_some(), "what is under way is not taken back");
        });
    }

    #[test]
    fn a_status_of_an_earlier_release_can_be_read() {
        let text = r#"{"at":"2026-01-01T00:00:00Z","scheduler_pid":1,"desired":2,"bounds":[0,4],
            "workers":[[17,"2026-01-01T00:00:00Z"]]}"#;
        let status: FleetStatus = from_json(&keys::fleet_status(), text.as_bytes()).unwrap();
        assert_eq!((status.present(), status.short), (1, 0));
    }
}
