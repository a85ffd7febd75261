//! A look at a source that no pipe reads yet: what it is, from its first megabytes. Nothing is written.

use crate::jobs::crawl::failure::Failure;
use crate::jobs::crawl::source::{self, Access, Opened};
use crate::preview::reason;
use feedfleet_config::Pipe;
use feedfleet_feed::Hints;
use feedfleet_feed::detect::look;
use feedfleet_http::Client;
use feedfleet_model::{Reason, ReasonClass};
use feedfleet_remote::Remote;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio_util::sync::CancellationToken;

pub use feedfleet_feed::detect::Seen;

/// What was found at a pipe's source.
pub struct Found {
    /// What it is.
    pub seen: Seen,
    /// What the transport calls it.
    pub content_type: Option<String>,
    /// Whether an unchanged source will be recognised: it has an ETag or a time of change.
    pub has_validators: bool,
    /// Whether the transfer shows where it ends.
    pub shows_its_end: bool,
}

/// Finds out what the source of a pipe is, whatever the pipe says of it beyond where it is and who asks. `fetched` counts
/// the bytes that come meanwhile.
///
/// # Errors
///
/// Why the source can't be had, or can't be told from anything else.
pub async fn detect(
    http: &Client,
    remote: &Remote,
    pipe: &Pipe,
    fetched: &Arc<AtomicU64>,
) -> Result<Found, Reason> {
    let cancel = CancellationToken::new();
    // Only the beginning is needed: the transfer ends with this.
    let _stop = cancel.clone().drop_guard();
    let access = Access { http, remote, archive: None, fetched, cancel: &cancel };
    let opened = source::open(access, pipe, None).await.map_err(|f| reason(f.into_outcome()))?;
    let Opened::Body(incoming) = opened else {
        return Err(Reason::new(ReasonClass::NotAFeed, "the source sent nothing"));
    };
    let location = pipe.source.location.clone();
    let work = move || {
        let facts = incoming.facts;
        let hints = Hints { content_type: facts.content_type.clone() };
        let seen = look(Box::new(incoming.reader), &hints, &location)?;
        Ok::<_, Failure>(Found {
            seen,
            has_validators: facts.etag.is_some() || facts.last_modified.is_some(),
            shows_its_end: facts.marked_end,
            content_type: facts.content_type,
        })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|failure| reason(failure.into_outcome())),
        Err(e) => Err(Reason::new(ReasonClass::Panicked, e.to_string())),
    }
}
