//! Pictures that should be mirrored and are not: their job was lost with a queue, or was one too many of its host's,
//! or they failed and are due for another try. Invariant 4 of the design: an image that failed is a receipt, not a
//! lost cause.
//!
//! A picture is asked for again only when nobody is about to bring it: its run is final, the image queue is
//! empty, and every receipt is in the table. The order of these looks matters: a final run's jobs were on the
//! queue before it became final; a queue that is empty after that has written their receipts; and a table that
//! is read after the receipts are folded has them all. Where a queue says late what is on it, it is asked so much
//! later.
//!
//! Reading a pipe's rows and entries is the dear part. A pipe of which nothing was missing is not read again while its
//! files and its dead letters are the same and no failed picture of it is due.

mod look;

use crate::damaged;
use crate::deps::Deps;
use crate::newest::State;
use crate::seen::Seen;
use crate::upkeep::{DutyError, Tables, blocking};
use chrono::{DateTime, Utc};
use feedfleet_catalog::{DataFile, FileIdentity};
use feedfleet_config::{Config, HostShares, QueueBackend};
use feedfleet_model::image_jobs::PictureLinks;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{ImageJob, Job, PipeName, RunId, RunKey};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::reports::from_json;
use feedfleet_objects::{DeadLetter, Listed};
use feedfleet_queue::{MAX_BATCH, NewMessage};
use look::Look;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// A receipt that has not been folded for this long cannot be read, and is not waited for.
const RECEIPT_WAIT: Duration = Duration::from_secs(3600);
/// SQS may say for so long that a queue is empty to which messages were sent.
const SQS_LAG: Duration = Duration::from_secs(60);

/// What the looks remember. It saves requests and decides nothing: without it, every pipe is read.
#[derive(Default)]
pub(crate) struct Memory {
    /// Pipes of which nothing was missing.
    complete: HashMap<PipeName, Complete>,
    /// A look that waits for the queue's numbers.
    plan: Option<Plan>,
    letters: Seen<ObjectKey, Option<GivenUp>>,
}

impl Memory {
    /// Whether a look has begun that should be gone on with at the next turn.
    pub(crate) fn is_waiting(&self) -> bool {
        self.plan.is_some()
    }
}

/// Pictures of one pipe, by hash, that are an operator's.
type GivenUp = (PipeName, BTreeSet<u128>);

/// A pipe in whose present state nothing is missing.
struct Complete {
    state: PipeState,
    /// When the first failed picture is due for another try, in epoch seconds.
    due: Option<i64>,
}

/// What the answer of a look depends on, but for the time.
#[derive(Debug, Clone, PartialEq)]
struct PipeState {
    products: Vec<FileIdentity>,
    images: Vec<FileIdentity>,
    given_up: BTreeSet<u128>,
}

/// The pipes to be read, each with the newest run whose pictures may be asked for.
struct Plan {
    made_at: DateTime<Utc>,
    pipes: Vec<(PipeName, RunId)>,
}

/// Sends image jobs for what is missing.
pub(crate) async fn request_missing(
    deps: &Deps,
    config: &Config,
    tables: &Tables,
    memory: &mut Memory,
    now: DateTime<Utc>,
) {
    match try_request(deps, config, tables, memory, now).await {
        Ok(pipes) => tracing::debug!(pipes, "looked for missing pictures"),
        Err(e) => {
            tracing::warn!(error = %e, "could not look for missing pictures, will try again");
        }
    }
}

/// The number of pipes whose rows were read.
async fn try_request(
    deps: &Deps,
    config: &Config,
    tables: &Tables,
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> Result<usize, DutyError> {
    let plan = match memory.plan.take() {
        Some(plan) => plan,
        None => plan(deps, config, tables, memory, now).await?,
    };
    if plan.pipes.is_empty() {
        return Ok(0);
    }
    if crate::age(now, plan.made_at) < lag(deps) {
        memory.plan = Some(plan);
        return Ok(0);
    }
    if !is_quiet(deps, now).await? {
        return Ok(0);
    }
    let (products, images) = newest(tables).await?;
    let Some(products) = products else { return Ok(0) };
    let mut given_up = given_up(deps, &memory.letters, now).await?;
    let read = plan.pipes.len();
    let shares = HostShares::of(deps.fleet.hosts.concurrency, &config.pipes);
    for (pipe, up_to) in plan.pipes {
        let given_up = given_up.remove(&pipe).unwrap_or_default();
        let state = PipeState::of(&products, images.as_deref(), &pipe, given_up);
        let (products, images) = (products.clone(), images.clone());
        let given_up = state.given_up.clone();
        let look = Look { pipe: pipe.clone(), up_to, products, images, given_up, now };
        match request_of_pipe(deps, look, &shares).await {
            Ok(Asked { pictures: 0, is_all: true, due }) => {
                memory.complete.insert(pipe, Complete { state, due });
            }
            Ok(Asked { pictures: 0, .. }) => {}
            Ok(Asked { pictures, .. }) => {
                tracing::info!(%pipe, pictures, "asked for missing pictures");
            }
            Err(e) => tracing::warn!(%pipe, error = %e, "could not ask for missing pictures"),
        }
    }
    Ok(read)
}

/// How long the image queue may take to say what is on it.
fn lag(deps: &Deps) -> Duration {
    match deps.fleet.queue.backend {
        QueueBackend::Sqlite { .. } => Duration::ZERO,
        QueueBackend::Sqs { .. } => SQS_LAG,
    }
}

/// What should be looked at; nothing while the fleet is at work.
async fn plan(
    deps: &Deps,
    config: &Config,
    tables: &Tables,
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> Result<Plan, DutyError> {
    let mut plan = Plan { made_at: now, pipes: Vec::new() };
    if !is_quiet(deps, now).await? {
        return Ok(plan);
    }
    let (products, images) = newest(tables).await?;
    let Some(products) = products else { return Ok(plan) };
    let mut given_up = given_up(deps, &memory.letters, now).await?;
    memory.complete.retain(|pipe, _| config.pipes.iter().any(|known| known.name == *pipe));
    for pipe in config.pipes.iter().filter(|pipe| pipe.images.mirror) {
        let given_up = given_up.remove(&pipe.name).unwrap_or_default();
        let state = PipeState::of(&products, images.as_deref(), &pipe.name, given_up);
        let complete = memory.complete.get(&pipe.name);
        if state.products.is_empty() || complete.is_some_and(|it| it.is_still(&state, now)) {
            continue;
        }
        match damaged::last_of(deps, &pipe.name).await {
            // Pictures of an unfinished run are its worker's duty.
            Ok(Some(last)) => {
                let up_to = RunId(last.key.run.0 - i64::from(!last.state.is_final()));
                plan.pipes.push((pipe.name.clone(), up_to));
            }
            Ok(None) => {}
            Err(e) => deps.complain(&e.to_string()),
        }
    }
    // The queue's numbers count from when the last run was known to be final.
    plan.made_at = deps.clock.now();
    Ok(plan)
}

impl Complete {
    fn is_still(&self, state: &PipeState, now: DateTime<Utc>) -> bool {
        self.state == *state && self.due.is_none_or(|due| now.timestamp() < due)
    }
}

impl PipeState {
    fn of(
        products: &State,
        images: Option<&State>,
        pipe: &PipeName,
        given_up: BTreeSet<u128>,
    ) -> Self {
        let identities = |state: &State| -> Vec<FileIdentity> {
            state.files_of(pipe).iter().map(DataFile::identity).collect()
        };
        let images = images.map(identities).unwrap_or_default();
        Self { products: identities(products), images, given_up }
    }
}

/// Both tables, products first.
async fn newest(tables: &Tables) -> Result<(Option<Arc<State>>, Option<Arc<State>>), DutyError> {
    let tables = tables.clone();
    blocking(move || Ok((tables.products.look()?, tables.images.look()?))).await
}

/// Whether no image job waits or is in hand, and the receipts of those that were are folded.
async fn is_quiet(deps: &Deps, now: DateTime<Utc>) -> Result<bool, DutyError> {
    let counts = deps.image.counts().await?;
    if counts.visible > 0 || counts.in_flight > 0 {
        return Ok(false);
    }
    let receipts = deps.objects.list(&format!("{}/", keys::RECEIPTS), None, usize::MAX).await?;
    let waits = |receipt: &Listed| crate::age(now, receipt.modified.into()) < RECEIPT_WAIT;
    Ok(!receipts.iter().any(waits))
}

/// By pipe, hashes of pictures whose job is a dead letter that waits for an operator, or that one gave up. They
/// may have killed their workers, and must not come back by themselves.
async fn given_up(
    deps: &Deps,
    known: &Seen<ObjectKey, Option<GivenUp>>,
    now: DateTime<Utc>,
) -> Result<HashMap<PipeName, BTreeSet<u128>>, DutyError> {
    let mut listed = deps.objects.list(&format!("{}/", keys::DEAD), None, usize::MAX).await?;
    listed.retain(|entry| !entry.key.as_str().starts_with(keys::DEAD_CRAWLS));
    let all: HashSet<&ObjectKey> = listed.iter().map(|entry| &entry.key).collect();
    known.keep(|key| all.contains(key));
    let mut hashes: HashMap<PipeName, BTreeSet<u128>> = HashMap::new();
    for Listed { key, modified, .. } in &listed {
        let of_letter = match known.get(key, *modified, now) {
            Some(of_letter) => of_letter,
            None => {
                let object = match deps.objects.get(key).await {
                    Ok(Some(object)) => object,
                    Ok(None) => continue,
                    Err(e) => {
                        deps.complain(&e.to_string());
                        continue;
                    }
                };
                // One that is damaged is told of where letters are counted.
                let letter = from_json::<DeadLetter>(key, &object.bytes).ok();
                let of_letter = letter.and_then(given_up_by);
                known.note(key.clone(), *modified, now, of_letter.clone());
                of_letter
            }
        };
        if let Some((pipe, of_letter)) = of_letter {
            hashes.entry(pipe).or_default().extend(of_letter);
        }
    }
    Ok(hashes)
}

fn given_up_by(letter: DeadLetter) -> Option<GivenUp> {
    let is_operators = matches!(letter.state, LetterState::Waiting | LetterState::Dropped);
    match letter.job {
        Some(Job::Image(job)) if is_operators => {
            let hashes = job.items.iter().map(|item| keys::address_hash(&item.url)).collect();
            Some((job.pipe, hashes))
        }
        _ => None,
    }
}

/// What came of a look at one pipe.
struct Asked {
    /// Pictures that were asked for.
    pictures: u64,
    /// Whether no row was left to a run that is not final.
    is_all: bool,
    /// When the next failed picture is due, in epoch seconds.
    due: Option<i64>,
}

async fn request_of_pipe(deps: &Deps, look: Look, shares: &HostShares) -> Result<Asked, DutyError> {
    let (pipe, now) = (look.pipe.clone(), look.now);
    let missing = blocking(move || look.missing()).await?;
    let mut asked = Asked { pictures: 0, is_all: missing.is_all, due: missing.due };
    for (run, links) in missing.links {
        asked.pictures += links.len() as u64;
        send(deps, &RunKey { pipe: pipe.clone(), run }, links, shares, now).await?;
    }
    Ok(asked)
}

async fn send(
    deps: &Deps,
    run: &RunKey,
    links: PictureLinks,
    shares: &HostShares,
    now: DateTime<Utc>,
) -> Result<(), DutyError> {
    // Two schedulers that look in the same minute send the same ids.
    let round = now.timestamp() / 60;
    let jobs = links.into_jobs(run, round, 0, &|host| shares.of_pictures(host));
    for chunk in jobs.chunks(MAX_BATCH) {
        let message = |job: &ImageJob| {
            let job = Job::Image(job.clone());
            NewMessage { group: job.group(), dedup_id: job.dedup_id(), body: job.to_body() }
        };
        let messages: Vec<NewMessage> = chunk.iter().map(message).collect();
        deps.image.send_unordered(&messages).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
