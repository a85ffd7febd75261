//! What is known of a mirrored picture.

use crate::ids::{PipeName, RunId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The result of one look at a picture: written by the worker as a part of a receipt, folded into the
/// `images` table by the scheduler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageEntry {
    /// The picture's key; see [`crate::keys::image_key`].
    pub key: String,
    /// Where it came from.
    pub url: String,
    /// The pipe whose product shows it.
    pub pipe: PipeName,
    /// The run that asked.
    pub run: RunId,
    /// What came of it.
    pub status: ImageStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether asking again later may help.
    pub retry: bool,
    /// ETag of the source.
    pub etag: Option<String>,
    /// Last-Modified of the source.
    pub last_modified: Option<String>,
    /// XXH3-128 of the original's bytes, in hexadecimal.
    pub hash: Option<String>,
    /// Size of the original in bytes.
    pub size_bytes: Option<i64>,
    /// `jpeg`, `png`, `gif` or `webp`, by its first bytes.
    pub format: Option<String>,
    /// Width in pixels, right side up.
    pub width: Option<i32>,
    /// Height in pixels, right side up.
    pub height: Option<i32>,
    /// Object keys of the renditions, as `name=key`.
    pub renditions: Vec<String>,
    /// When it was looked at.
    pub checked_at: DateTime<Utc>,
}

/// What came of a look at a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageStatus {
    /// Fetched and stored.
    Stored,
    /// The source said, or its bytes show, that what is stored is current.
    Unchanged,
    /// It could not be fetched or is no picture that we take.
    Failed,
}

impl ImageStatus {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            ImageStatus::Stored => "stored",
            ImageStatus::Unchanged => "unchanged",
            ImageStatus::Failed => "failed",
        }
    }
}

/// The results of one image job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageReceipt {
    /// The job's own id.
    pub job: String,
    /// One entry a picture.
    pub entries: Vec<ImageEntry>,
}
