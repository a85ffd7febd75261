//! Dead letters: jobs that failed for good, kept with their reason until an operator decides.

use crate::Objects;
use crate::reports::{ReportError, from_json, to_json};
use chrono::{DateTime, Utc};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{Job, Reason};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A job that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The job's own id, or the queue's message id where the body is no job.
    pub id: String,
    /// The queue it was on.
    pub queue: String,
    /// Its message group.
    pub group: String,
    /// Its body, as it was.
    pub body: String,
    /// The job, where the body is one.
    pub job: Option<Job>,
    /// Why it failed.
    pub reason: Reason,
    /// The worker that gave it up.
    pub worker: String,
    /// Receives of its message.
    pub receives: u32,
    /// When its message was first received.
    pub first_received_at: DateTime<Utc>,
    /// When it was given up.
    pub died_at: DateTime<Utc>,
}

/// All dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    objects: Arc<dyn Objects>,
}

impl DeadLetters {
    /// The dead letters in this store.
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self { objects }
    }

    /// Keeps a dead letter. A job that dies again replaces its earlier letter.
    pub async fn keep(&self, letter: &DeadLetter) -> Result<(), ReportError> {
        let key = keys::dead_letter(&letter.id);
        self.objects.put(&key, to_json(letter)).await?;
        Ok(())
    }

    /// Every dead letter that can be read, by id, and the keys of those that cannot.
    pub async fn all(&self) -> Result<(Vec<DeadLetter>, Vec<ObjectKey>), ReportError> {
        let listed = self.objects.list(&format!("{}/", keys::DEAD), None, usize::MAX).await?;
        let (mut letters, mut unreadable) = (Vec::new(), Vec::new());
        for entry in listed {
            let Some(object) = self.objects.get(&entry.key).await? else { continue };
            match from_json(&entry.key, &object.bytes) {
                Ok(letter) => letters.push(letter),
                Err(_) => unreadable.push(entry.key),
            }
        }
        Ok((letters, unreadable))
    }
}
