//! Whether the queue takes a message, gives it back and lets it go, durably.

use super::scratch::{self, Scratch};
use super::{Finding, blocking, cloud};
use crate::context::Context;
use crate::view;
use anyhow::{Context as _, Result, bail};
use feedfleet_config::QueueBackend;
use feedfleet_model::text;
use feedfleet_queue::{
    Counts, NewMessage, Queue, Receive, SqliteQueue, SqliteQueueOptions, SqliteSettings,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CHECK: &str = "queue";
const BODY: &str = "{}";
/// What to do about a file that is there and no queue.
const DAMAGED: &str = "; if it can, and nobody keeps the file locked, the file is damaged: stop all processes of the \
                       fleet and move it away, with the -wal and -shm beside it. Another is made, runs that have \
                       not ended get their message again from the scheduler, and pictures that are missing are \
                       asked for again";
/// SQLite's number for `synchronous = FULL`.
const FULL: i64 = 2;

/// Tries the queue as far as that does it no harm.
pub async fn check(context: Arc<Context>) -> Vec<Finding> {
    match &context.config.fleet.queue.backend {
        QueueBackend::Sqlite { path } => vec![file(&context, path).await],
        QueueBackend::Sqs { crawl_url, image_url, crawl_dead_url, image_dead_url } => {
            vec![
                cloud::queue(&context, "crawl", crawl_url, crawl_dead_url).await,
                cloud::queue(&context, "image", image_url, image_dead_url).await,
            ]
        }
    }
}

/// Sends, receives and deletes a message on a queue of the check's own: in the fleet's file where it is
/// there, else in another file in its place.
async fn file(context: &Arc<Context>, path: &Path) -> Finding {
    let tried = if path.exists() { in_use(context, path).await } else { not_yet(path).await };
    tried.unwrap_or_else(|e| {
        let found = format!("{}: {}", path.display(), view::told(&e));
        let remedy = "check path under [queue] in fleet.toml: this user must be able to write the file and \
                      its folder, on a local disk with room";
        let more = if path.is_file() { DAMAGED } else { "" };
        Finding::broken(CHECK, found, format!("{remedy}{more}"))
    })
}

async fn in_use(context: &Arc<Context>, path: &Path) -> Result<Finding> {
    let (took, settings) = try_out(path.to_owned()).await?;
    let own = context.clone();
    let queues = blocking(move || own.queues()).await?;
    let crawl = queues.crawl.counts().await?;
    let image = queues.image.counts().await?;
    let waiting = format!("crawl: {}; image: {}", load(&crawl), load(&image));
    Ok(judged(path, took, &settings, &waiting))
}

async fn not_yet(path: &Path) -> Result<Finding> {
    let folder = path.parent().unwrap_or(path).to_owned();
    let scratch = blocking(move || Scratch::within(&folder)).await?;
    let tried = try_out(scratch.path().join("queue.db")).await;
    let removed = blocking(move || scratch.remove()).await;
    let (took, settings) = tried?;
    removed?;
    Ok(judged(path, took, &settings, "the file itself is made by the first run"))
}

/// The round trip of one message. Nothing of it stays in the file.
async fn try_out(file: PathBuf) -> Result<(Duration, SqliteSettings)> {
    let name = scratch::name();
    let options = SqliteQueueOptions::new(2);
    let queue = blocking(move || SqliteQueue::open(&file, &name, options)).await?;
    let tried = round_trip(&queue).await;
    let settings = queue.settings().await;
    let discarded = queue.discard().await;
    let took = tried?;
    discarded?;
    Ok((took, settings?))
}

async fn round_trip(queue: &SqliteQueue) -> Result<Duration> {
    let started = Instant::now();
    let message =
        NewMessage { group: "doctor".into(), dedup_id: "doctor".into(), body: BODY.into() };
    queue.send(&[message]).await?;
    let request = Receive { max: 1, visibility: Duration::from_secs(60), wait: Duration::ZERO };
    let received = queue.receive(request).await?;
    let message = received.first().context("a message that was sent did not come")?;
    if message.body != BODY {
        bail!("a message came with another body than it was sent with");
    }
    queue.delete(&message.receipt).await?;
    let counts = queue.counts().await?;
    if counts.visible + counts.in_flight > 0 {
        bail!("a message that was deleted is still there");
    }
    Ok(started.elapsed())
}

fn judged(path: &Path, took: Duration, settings: &SqliteSettings, more: &str) -> Finding {
    let path = path.display();
    let durable = settings.journal_mode.eq_ignore_ascii_case("wal") && settings.synchronous >= FULL;
    if !durable {
        let found = format!(
            "{path}: journal mode is '{}' and synchronous is {}: what is acknowledged may not survive a \
             power cut",
            settings.journal_mode, settings.synchronous
        );
        let remedy = "put the file on a local disk (path under [queue] in fleet.toml); it needs \
                      write-ahead logging";
        return Finding::broken(CHECK, found, remedy);
    }
    let took = text::duration(took);
    let found = format!(
        "{path}: a message sent, received and deleted in {took}; journal WAL, synchronous FULL; {more}"
    );
    Finding::ok(CHECK, found)
}

/// What is on a queue.
pub fn load(counts: &Counts) -> String {
    format!("{} waiting, {} in hand", text::count(counts.visible), text::count(counts.in_flight))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[tokio::test]
    async fn a_round_trip_leaves_nothing() {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let path = scratch.path().join("deep/queue.db");
        let finding = not_yet(&path).await.unwrap();
        assert_eq!(finding.state, State::Ok, "{finding}");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn settings_that_lose_what_was_acknowledged_are_broken() {
        let settings =
            |mode: &str, synchronous| SqliteSettings { journal_mode: mode.to_owned(), synchronous };
        let state = |settings| judged(Path::new("q"), Duration::ZERO, &settings, "").state;
        assert_eq!(state(settings("wal", 2)), State::Ok);
        assert_eq!(state(settings("wal", 3)), State::Ok);
        assert_eq!(state(settings("wal", 1)), State::Broken);
        assert_eq!(state(settings("delete", 2)), State::Broken);
    }
}
