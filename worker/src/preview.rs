//! A look at a pipe's source: the first records as they would be mapped, and what would be refused.
//! Nothing is written.

pub use crate::jobs::crawl::site::{PagePreview, preview_page};

use crate::jobs::crawl::failure::Failure;
use crate::jobs::crawl::load;
use crate::jobs::crawl::source::{self, Access, Opened};
use feedfleet_config::{Format, Pipe, TextKind};
use feedfleet_feed::{Change, CutOff, FeedError, FeedReader, Hints, Refusal, Settings, Step};
use feedfleet_http::Client;
use feedfleet_model::{Outcome, Reason, ReasonClass, Row, text};
use feedfleet_remote::Remote;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Bytes of a source that its beginning has at most, give or take what comes at once.
const BEGINNING_BYTES: usize = 256 * 1024;
/// A beginning with fewer may end in the middle of a header.
const TELLING_BYTES: usize = 16 * 1024;

/// The first records of a source.
pub struct Preview {
    /// Rows as they would reach the table, and whether the source says that they are gone.
    pub rows: Vec<(Row, Change)>,
    /// Records that would be refused.
    pub refused: Vec<Refusal>,
    /// Fields that would be emptied, and what would be mended.
    pub warnings: Vec<Refusal>,
    /// Fields that the pipe's own mapping names, and that are not there.
    pub absent: Vec<String>,
    /// Records looked at.
    pub records: u64,
    /// Bytes, after decompression, in which there is no record, where more come after them.
    pub bytes_without_record: Option<u64>,
    /// The encoding found.
    pub encoding: String,
    /// The compression found.
    pub compression: String,
}

impl Preview {
    /// What there is to say of a source without records, and what to do should it have some. None: it has some, or may
    /// well have none, as one that names changes only, and a supplement, on a night without any.
    pub fn told_empty(&self, pipe: &Pipe) -> Option<(String, String)> {
        if self.records > 0 || pipe.source.changes_only || pipe.name.is_supplement() {
            return None;
        }
        let found = match self.bytes_without_record {
            Some(bytes) => format!("it has no record in its first {}", text::bytes(bytes)),
            None => "it has no records".to_owned(),
        };
        let setting = match pipe.source.format.text_kind() {
            TextKind::Xml => "item, the element that is one product,",
            TextKind::Json if pipe.source.format == Format::Json => "items or format",
            TextKind::Delimited => "url, delimiter or quoting",
            TextKind::Json | TextKind::JsonLines | TextKind::Tagged => "url or format",
        };
        let remedy = format!(
            "if it should have some, correct {setting} under [source] in {}; what it has is shown by feedfleet pipes \
             detect --pipe {}",
            pipe.file.display(),
            pipe.name
        );
        Some((found, remedy))
    }
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
        let hints = Hints { content_type: incoming.facts.content_type };
        read(Box::new(incoming.reader), &pipe, hints, limit, true)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|failure| reason(failure.into_outcome())),
        Err(e) => Err(Reason::new(ReasonClass::Panicked, e.to_string())),
    }
}

/// The beginning of a source, as it came.
#[derive(Debug, Default)]
pub struct Beginning {
    content_type: Option<String>,
    bytes: Vec<u8>,
    /// Nothing comes after it.
    is_whole: bool,
}

impl Beginning {
    /// Nothing yet, of a transfer with this `Content-Type`.
    pub fn new(content_type: Option<String>) -> Self {
        Self { content_type, ..Self::default() }
    }

    /// The beginning of a file.
    ///
    /// # Errors
    ///
    /// It can't be read.
    pub fn of(file: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let read = file.take(BEGINNING_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Self { content_type: None, bytes, is_whole: read <= BEGINNING_BYTES })
    }

    /// Takes what came next of a transfer. Gives whether more is wanted, and may come.
    pub fn take<E>(&mut self, chunk: Result<Option<impl AsRef<[u8]>>, E>) -> bool {
        match chunk {
            Ok(Some(bytes)) => {
                self.bytes.extend_from_slice(bytes.as_ref());
                self.bytes.len() < BEGINNING_BYTES
            }
            Ok(None) => {
                self.is_whole = true;
                false
            }
            Err(_) => false,
        }
    }
}

/// As [`preview()`], of a source's beginning. None: it does not tell.
///
/// # Errors
///
/// Why a run can't read the source.
pub fn preview_beginning(
    beginning: Beginning,
    pipe: &Pipe,
    limit: usize,
) -> Result<Option<Preview>, Reason> {
    let Beginning { content_type, bytes, is_whole } = beginning;
    if !is_whole && bytes.len() < TELLING_BYTES {
        return Ok(None);
    }
    let bytes = Cursor::new(bytes);
    let input: Box<dyn Read + Send> =
        if is_whole { Box::new(bytes) } else { Box::new(bytes.chain(Unread)) };
    match read(input, pipe, Hints { content_type }, limit, is_whole) {
        Ok(preview) => Ok(Some(preview)),
        // What is missing may be in the rest.
        Err(Failure::Retry(..)) if !is_whole => Ok(None),
        Err(failure) => Err(reason(failure.into_outcome())),
    }
}

/// What comes after a beginning.
struct Unread;

impl Read for Unread {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(CutOff("only its beginning was read".to_owned())))
    }
}

/// Reads up to `limit` records. `is_whole`: an input that ends early is not what it should be.
fn read(
    input: Box<dyn Read + Send>,
    pipe: &Pipe,
    hints: Hints,
    limit: usize,
    is_whole: bool,
) -> Result<Preview, Failure> {
    let settings = Settings::of(pipe)?;
    let mut reader = FeedReader::open(input, &settings, hints)?;
    let mut preview = Preview {
        rows: Vec::new(),
        refused: Vec::new(),
        warnings: Vec::new(),
        absent: Vec::new(),
        records: 0,
        bytes_without_record: None,
        encoding: String::new(),
        compression: String::new(),
    };
    let mut row = Row::new();
    while preview.rows.len() + preview.refused.len() < limit {
        row.clear();
        let step = match reader.next(&mut row) {
            // A shorter one does not tell: it may have ended early, or be packed and give its text late.
            Err(FeedError::Truncated { .. })
                if !is_whole
                    && preview.records == 0
                    && reader.stats().decoded_bytes >= BEGINNING_BYTES as u64 =>
            {
                preview.bytes_without_record = Some(reader.stats().decoded_bytes);
                break;
            }
            step => step?,
        };
        match step {
            Step::End | Step::Known => break,
            Step::Row(change) => preview.rows.push((row.clone(), change)),
            Step::Refused(refusal) => preview.refused.push(refusal),
        }
        preview.records += 1;
    }
    preview.warnings = reader.take_warnings().into_iter().flat_map(|w| w.samples).collect();
    preview.warnings.extend(reader.absent_fields());
    preview.absent = reader.absent_names().into_iter().map(str::to_owned).collect();
    preview.encoding = reader.stats().encoding.to_owned();
    preview.compression = load::compression_name(&reader.stats().compression);
    Ok(preview)
}

/// Why a source could not be looked at.
pub(crate) fn reason(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Dead(reason) | Outcome::RetryAfter(_, reason) => reason,
        other => Reason::new(ReasonClass::SourceUnavailable, other.word()),
    }
}
