//! `feedfleet fleet status`.

use crate::context::Context;
use crate::view;
use anyhow::Result;
use chrono::{DateTime, Utc};
use feedfleet_model::{keys, text};
use feedfleet_objects::reports::from_json;
use feedfleet_objects::{DeadLetters, Objects, READS_AT_ONCE, get_all};
use feedfleet_queue::{Counts, Queue};
use feedfleet_scheduler::FleetStatus;
use feedfleet_scheduler::desk::waiting;
use feedfleet_worker::status::WorkerStatus;
use futures::StreamExt;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The fleet, as queues, scheduler and workers tell it.
#[derive(Debug, Serialize)]
pub struct FleetView {
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// The queues.
    pub queues: Vec<QueueView>,
    /// What the scheduler last told; none when none runs.
    pub scheduler: Option<FleetStatus>,
    /// Workers that have told of themselves lately.
    pub workers: Vec<WorkerStatus>,
}

/// One queue.
#[derive(Debug, Serialize)]
pub struct QueueView {
    /// Its name.
    pub name: &'static str,
    /// Messages that wait.
    pub visible: u64,
    /// Messages in hand.
    pub in_flight: u64,
    /// Groups with a message that could be received.
    pub runnable_groups: u64,
    /// Age of the oldest message in seconds.
    pub oldest_age_secs: Option<u64>,
    /// Dead letters that wait for a decision, also those that cannot be read.
    pub dead: u64,
}

impl QueueView {
    fn of(name: &'static str, counts: &Counts, waiting: &BTreeMap<String, u64>) -> Self {
        Self {
            name,
            visible: counts.visible,
            in_flight: counts.in_flight,
            runnable_groups: counts.runnable_groups,
            oldest_age_secs: counts.oldest_age.map(|age| age.as_secs()),
            dead: waiting.get(name).copied().unwrap_or_default(),
        }
    }
}

/// Looks at the fleet.
pub async fn look(
    objects: &Arc<dyn Objects>,
    crawl: &dyn Queue,
    image: &dyn Queue,
    now: DateTime<Utc>,
) -> Result<FleetView> {
    let letters = DeadLetters::new(objects.clone());
    let letters = waiting(&letters, [("crawl", crawl), ("image", image)]).await?;
    let queues = vec![
        QueueView::of("crawl", &crawl.counts().await?, &letters),
        QueueView::of("image", &image.counts().await?, &letters),
    ];
    let (scheduler, workers) = processes(objects, now).await?;
    Ok(FleetView { at: now, queues, scheduler, workers })
}

/// The scheduler and the workers that have told of themselves lately.
pub async fn processes(
    objects: &Arc<dyn Objects>,
    now: DateTime<Utc>,
) -> Result<(Option<FleetStatus>, Vec<WorkerStatus>)> {
    Ok((scheduler(objects.as_ref(), now).await?, workers(objects, now).await?))
}

/// What the scheduler has told of itself lately. Of the workers nothing is asked: there may be a thousand.
pub async fn scheduler(objects: &dyn Objects, now: DateTime<Utc>) -> Result<Option<FleetStatus>> {
    let key = keys::fleet_status();
    let Some(object) = objects.get(&key).await? else { return Ok(None) };
    let status = from_json::<FleetStatus>(&key, &object.bytes).ok();
    Ok(status.filter(|status| status.is_fresh(now)))
}

/// The workers that have told of themselves lately.
pub async fn workers(objects: &Arc<dyn Objects>, now: DateTime<Utc>) -> Result<Vec<WorkerStatus>> {
    let listed = objects.list(&format!("{}/", keys::WORKERS), None, 10_000).await?;
    let keys = listed.into_iter().map(|entry| entry.key);
    let mut words = get_all(objects, keys, READS_AT_ONCE);
    let mut workers = Vec::new();
    while let Some((key, object)) = words.next().await {
        if let Some(object) = object?
            && let Ok(status) = from_json::<WorkerStatus>(&key, &object.bytes)
            && status.is_fresh(now)
        {
            workers.push(status);
        }
    }
    Ok(workers)
}

/// Prints the fleet's status.
pub async fn status(folder: &Path, json: bool) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let queues = context.queues()?;
    let now = context.clock.now();
    let view = look(&context.objects()?, queues.crawl.as_ref(), queues.image.as_ref(), now).await?;
    if json {
        view::print_json(&view)?
    } else {
        view::print(view.to_string().trim_end())
    }
    Ok(ExitCode::SUCCESS)
}

impl fmt::Display for FleetView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut queues =
            view::table(&["queue", "waiting", "in hand", "runnable groups", "oldest", "dead"]);
        for queue in &self.queues {
            let oldest = queue.oldest_age_secs.map(Duration::from_secs).map(text::duration);
            queues.add_row(vec![
                queue.name.into(),
                view::number(queue.visible),
                view::number(queue.in_flight),
                view::number(queue.runnable_groups),
                oldest.unwrap_or_default().into(),
                view::number(queue.dead),
            ]);
        }
        writeln!(f, "{queues}\n")?;
        match &self.scheduler {
            None => writeln!(f, "no scheduler has told of itself in the last minute")?,
            Some(s) if !s.has_fleet() => writeln!(
                f,
                "scheduler {} starts no workers, told {}",
                s.scheduler_pid,
                view::distance(self.at, s.at)
            )?,
            Some(s) => writeln!(
                f,
                "scheduler {} wants {} workers (of {} to {}), told {}",
                s.scheduler_pid,
                s.desired,
                s.bounds.0,
                s.bounds.1,
                view::distance(self.at, s.at)
            )?,
        }
        if let Some(scheduler) = &self.scheduler {
            instances(f, self.at, scheduler)?;
        }
        if self.workers.is_empty() {
            return writeln!(f, "no worker is running");
        }
        let mut workers = view::table(&["worker", "running since", "memory", "busy with"]);
        for worker in &self.workers {
            let busy: Vec<_> = worker.busy.iter().map(|g| text::printable(g)).collect();
            workers.add_row(vec![
                worker.worker.clone().into(),
                view::distance(self.at, worker.started_at).into(),
                view::bytes(worker.memory_bytes),
                busy.join(", ").into(),
            ]);
        }
        writeln!(f, "{workers}")
    }
}

/// Workers on machines of their own, where there are any.
fn instances(f: &mut fmt::Formatter<'_>, now: DateTime<Utc>, status: &FleetStatus) -> fmt::Result {
    if status.short > 0 {
        let missing = text::count(u64::from(status.short));
        writeln!(
            f,
            "{missing} workers are missing: the group has not been able to grow for minutes"
        )?;
    }
    if status.instances.is_empty() {
        return Ok(());
    }
    let mut table = view::table(&["instance", "seen first", "state", "protected"]);
    for instance in &status.instances {
        table.add_row(vec![
            text::printable(&instance.id).to_string(),
            view::distance(now, instance.since),
            instance.state.word().to_owned(),
            if instance.busy { "yes: busy" } else { "no" }.to_owned(),
        ]);
    }
    writeln!(f, "\n{table}")
}
