//! A look at a pipe's source: the first records as they would be mapped, and what would be refused.
//! Nothing is written.

pub use crate::jobs::crawl::site::{PagePreview, preview_page};

use crate::jobs::crawl::load;
use crate::jobs::crawl::source::{self, Access, Opened};
use feedfleet_config::Pipe;
use feedfleet_feed::{Change, FeedReader, Hints, Refusal, Settings, Step};
use feedfleet_http::Client;
use feedfleet_model::{Outcome, Reason, ReasonClass, Row};
use feedfleet_remote::Remote;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The first records of a source.
pub struct Preview {
    /// Rows as they would reach the table, and whether the source says that they are gone.
    pub rows: Vec<(Row, Change)>,
    /// Records that would be refused.
    pub refused: Vec<Refusal>,
    /// Fields that would be emptied, and what would be mended.
    pub warnings: Vec<Refusal>,
    /// Records looked at.
    pub records: u64,
    /// The encoding found.
    pub encoding: String,
    /// The compression found.
    pub compression: String,
}

/// Reads up to `limit` records of a pipe's source.
pub async fn preview(
    http: &Client,
    remote: &Remote,
    pipe: &Pipe,
    limit: usize,
) -> Result<Preview, Reason> {
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let fetched = Arc::default();
    let access = Access { http, remote, archive: None, fetched: &fetched, cancel: &cancel };
    let opened = source::open(access, pipe, None).await.map_err(|f| reason(f.into_outcome()))?;
    let Opened::Body(incoming) = opened else {
        return Err(Reason::new(ReasonClass::NotAFeed, "the source sent nothing"));
    };
    let pipe = pipe.clone();
    let work = move || {
        let settings = Settings::of(&pipe)?;
        let hints = Hints { content_type: incoming.facts.content_type };
        let mut reader = FeedReader::open(Box::new(incoming.reader), &settings, hints)?;
        let mut preview = Preview {
            rows: Vec::new(),
            refused: Vec::new(),
            warnings: Vec::new(),
            records: 0,
            encoding: String::new(),
            compression: String::new(),
        };
        let mut row = Row::new();
        while preview.rows.len() + preview.refused.len() < limit {
            row.clear();
            match reader.next(&mut row)? {
                Step::End | Step::Known => break,
                Step::Row(change) => preview.rows.push((row.clone(), change)),
                Step::Refused(refusal) => preview.refused.push(refusal),
            }
            preview.records += 1;
        }
        preview.warnings = reader.take_warnings().into_iter().flat_map(|w| w.samples).collect();
        preview.warnings.extend(reader.absent_fields());
        preview.encoding = reader.stats().encoding.to_owned();
        preview.compression = load::compression_name(&reader.stats().compression);
        Ok::<_, crate::jobs::crawl::failure::Failure>(preview)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|failure| reason(failure.into_outcome())),
        Err(e) => Err(Reason::new(ReasonClass::Panicked, e.to_string())),
    }
}

/// Why a source could not be looked at.
pub(crate) fn reason(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Dead(reason) | Outcome::RetryAfter(_, reason) => reason,
        other => Reason::new(ReasonClass::SourceUnavailable, other.word()),
    }
}
