//! Opening a source that comes in pages, as Shopify's `/products.json` does: they are asked for one after the other
//! until one has no products, and archived a page a line. Where an attempt broke off, the next one asks for the last
//! page that is archived, and goes on behind it if that is what it was.

use super::failure::Failure;
use super::pump::{FetchedPieces, PieceError, Pieces};
use super::raw::{RawFacts, RawSnapshot};
use super::source::{Access, Opened, begin, open_rest, plain_request};
use bytes::Bytes;
use feedfleet_config::Pipe;
use feedfleet_feed::presets::{Layout, Paging, preset};
use feedfleet_http::{Client, FetchError, FetchErrorKind, Request, StatusCode};
use feedfleet_model::{ReasonClass, hash};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

#[cfg(test)]
mod tests;

/// The most that a page may have: it is looked at as a whole before it is handed on.
const MAX_PAGE_BYTES: u64 = 32 << 20;
/// Bytes of a page that are handed on at once, and how many such pieces wait for the pump.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES_AHEAD: usize = 2;
/// Times that a page is asked for, where the server names a wait no longer than this, or its answer broke off. What
/// takes longer is for another attempt at the run: a worker is not kept waiting.
const TRIES: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The wait after an answer that broke off.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// How the pages of a pipe's source are asked for. None: it is one document.
pub(super) fn of(pipe: &Pipe) -> Option<&'static Paging> {
    match preset(pipe.source.format)?.layout {
        Layout::Json { paging, .. } => paging,
        _ => None,
    }
}

/// Opens the source at `url`. `earlier`: what this run has of it already.
pub(super) async fn open(
    access: Access<'_>,
    pipe: &Pipe,
    url: &str,
    paging: &'static Paging,
    found: Option<&RawSnapshot>,
    earlier: Option<(&RawSnapshot, &RawFacts)>,
) -> Result<Opened, Failure> {
    if let Some((found, raw)) = earlier
        && let Some(known) = look(found, paging).await?
    {
        let mut asker = Asker::new(access.http, pipe, url, paging);
        if let Some(rest) = asker.go_on(known).await? {
            return open_rest(access, fetch(access, asker, rest), None, found, raw).await;
        }
    }
    let mut asker = Asker::new(access.http, pipe, url, paging);
    let first = asker.next().await?.unwrap_or_default();
    let facts = RawFacts {
        location: asker.place.clone(),
        content_type: first.content_type,
        // The last page says that it is the last one.
        marked_end: true,
        ..RawFacts::default()
    };
    begin(access, fetch(access, asker, first.bytes), facts, found).await
}

/// Fetches the pages behind the first one on a task of the runtime, until it is cancelled.
fn fetch(access: Access<'_>, asker: Asker, first: Bytes) -> Box<dyn Pieces> {
    let (pieces, incoming) = tokio::sync::mpsc::channel(PIECES_AHEAD);
    let stop = access.cancel.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = asker.send(first, pieces) => {}
            () = stop.cancelled() => {}
        }
    });
    Box::new(FetchedPieces(incoming))
}

/// Asks for pages, one after the other.
struct Asker {
    http: Client,
    /// Every page's, but for the end of the address.
    request: Request,
    paging: &'static Paging,
    place: String,
    deadline: Instant,
    /// Pages that have come, their bytes, and the hashes of the products on each.
    pages: u32,
    bytes: u64,
    seen: HashSet<u128>,
    /// A page without products has come, or something that is no page.
    is_over: bool,
}

/// A page as it is archived; in the place of the first one, whatever came.
#[derive(Debug, Default)]
struct Page {
    content_type: Option<String>,
    bytes: Bytes,
}

/// Why there are no more pages, though the list has not ended.
#[derive(Debug)]
enum Trouble {
    /// What came can be used.
    Cut(String),
    Failed(Failure),
}

/// Why a page did not come.
struct Missing {
    trouble: Trouble,
    /// Asking again after this time may help.
    again_after: Option<Duration>,
}

impl Asker {
    fn new(http: &Client, pipe: &Pipe, url: &str, paging: &'static Paging) -> Self {
        let request = plain_request(pipe, &without_page(url, paging));
        Self {
            http: http.clone(),
            deadline: Instant::now() + request.limits.total_time,
            request,
            paging,
            place: pipe.source.location.display(),
            pages: 0,
            bytes: 0,
            seen: HashSet::new(),
            is_over: false,
        }
    }

    /// Hands on these bytes, and the pages that come after them.
    async fn send(mut self, first: Bytes, pieces: Sender<Result<Option<Bytes>, PieceError>>) {
        let mut bytes = first;
        let end = loop {
            while !bytes.is_empty() {
                let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
                if pieces.send(Ok(Some(piece))).await.is_err() {
                    return;
                }
            }
            match self.next().await {
                Ok(Some(page)) => bytes = page.bytes,
                Ok(None) => break Ok(None),
                Err(Trouble::Cut(why)) => break Err(PieceError::Truncated(why)),
                Err(Trouble::Failed(failure)) => break Err(PieceError::Failed(failure)),
            }
        };
        // Who reads may have gone meanwhile: then nobody asks how it ended.
        pieces.send(end).await.ok();
    }

    /// The rest of the page that an earlier attempt broke off at. None: it is another page by now, and so may be those
    /// before it.
    async fn go_on(&mut self, known: Known) -> Result<Option<Bytes>, Failure> {
        (self.pages, self.bytes, self.seen) = (known.pages, known.bytes, known.seen);
        match self.next().await {
            Ok(Some(page)) if page.bytes.starts_with(&known.last) => {
                Ok(Some(page.bytes.slice(known.last.len()..)))
            }
            Ok(_) | Err(Trouble::Cut(_)) => Ok(None),
            Err(Trouble::Failed(failure)) => Err(failure),
        }
    }

    /// The next page. None: the list has ended, or its last page that the server gives has come.
    async fn next(&mut self) -> Result<Option<Page>, Trouble> {
        let query = self.paging.query(self.pages + 1).filter(|_| !self.is_over);
        let Some(query) = query else { return Ok(None) };
        let page = self.ask(&query).await?;
        self.pages += 1;
        self.bytes += page.bytes.len() as u64;
        match self.paging.products(&page.bytes) {
            Some("") => self.is_over = true,
            Some(products) => {
                if !self.seen.insert(hash::bytes_hash(products.as_bytes())) {
                    return Err(self.repeated());
                }
            }
            None if self.pages == 1 => {
                // Who reads it says what it is.
                self.is_over = true;
                return Ok(Some(page));
            }
            None => return Err(Trouble::Cut(format!("{} is no page of products", self.at()))),
        }
        Ok(Some(Page { bytes: line_of(page.bytes), ..page }))
    }

    fn repeated(&self) -> Trouble {
        let text = format!(
            "{} has the same products as a page before it: the server seems not to know the parameter {}",
            self.at(),
            self.paging.page
        );
        Trouble::Failed(Failure::dead(ReasonClass::SourceRefused, text))
    }

    /// The page that came last, as it is told of.
    fn at(&self) -> String {
        format!("{}, page {}", self.place, self.pages)
    }

    /// Asks for a page, and again where that helps soon.
    async fn ask(&self, query: &str) -> Result<Page, Trouble> {
        let mut tries = 1;
        loop {
            match self.ask_once(query).await {
                Ok(page) => return Ok(page),
                Err(Missing { again_after: Some(wait), .. }) if tries < TRIES => {
                    tracing::debug!(place = %self.place, query, ?wait, "asking for the page again");
                    tokio::time::sleep(wait).await;
                    tries += 1;
                }
                Err(missing) => return Err(missing.trouble),
            }
        }
    }

    async fn ask_once(&self, query: &str) -> Result<Page, Missing> {
        let number = self.pages + 1;
        let place = format!("{}, page {number}", self.place);
        let mut request = self.request.clone();
        request.url.push_str(query);
        let left_bytes = self.request.limits.max_bytes.saturating_sub(self.bytes);
        request.limits.max_bytes = left_bytes.min(MAX_PAGE_BYTES);
        request.limits.total_time = self.deadline.saturating_duration_since(Instant::now());
        let answer = self.http.get(request).await;
        let mut response = answer.map_err(|e| self.failed(e, &place))?;
        match response.status() {
            StatusCode::OK => {}
            // The server gives no more pages, however many there are.
            status @ StatusCode::BAD_REQUEST if number > 1 => {
                return Err(Trouble::Cut(format!("{place} answered {status}")).into());
            }
            status => {
                let wait = response.retry_after();
                let is_busy = status == StatusCode::TOO_MANY_REQUESTS
                    || status == StatusCode::SERVICE_UNAVAILABLE;
                let trouble = Trouble::Failed(Failure::of_status(status, wait, &place));
                let again_after = wait.filter(|wait| is_busy && *wait <= LONGEST_WAIT);
                return Err(Missing { trouble, again_after });
            }
        }
        let encoding = response.content_encoding();
        if let Some(encoding) = encoding.filter(|name| !name.eq_ignore_ascii_case("identity")) {
            let text = format!(
                "{place} came as {encoding}, which is not read page by page; leave Accept-Encoding out of headers in \
                 [source]"
            );
            let failure = Failure::dead(ReasonClass::SourceRefused, text);
            return Err(Trouble::Failed(failure).into());
        }
        let content_type = response.content_type().map(str::to_owned);
        let bytes = response.bytes().await.map_err(|e| self.failed(e, &place))?;
        Ok(Page { content_type, bytes })
    }

    fn failed(&self, mut error: FetchError, place: &str) -> Missing {
        if let FetchErrorKind::TooLarge { limit_bytes } = &mut error.kind
            && *limit_bytes < MAX_PAGE_BYTES
        {
            // It is the limit of all pages together that was reached.
            *limit_bytes = self.request.limits.max_bytes;
        }
        let error = error.shown_as(place);
        if matches!(error.kind, FetchErrorKind::Truncated { .. }) {
            let trouble = Trouble::Cut(error.to_string());
            return Missing { trouble, again_after: Some(SHORT_WAIT) };
        }
        Trouble::Failed(error.into()).into()
    }
}

impl From<Trouble> for Missing {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, again_after: None }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Cut(why) => Failure::retry(ReasonClass::SourceUnavailable, why),
            Trouble::Failed(failure) => failure,
        }
    }
}

/// What an earlier attempt has archived.
#[derive(Debug, Default)]
struct Known {
    /// Pages before the last one, their bytes, and the hashes of the products on each.
    pages: u32,
    bytes: u64,
    seen: HashSet<u128>,
    /// The last one, or what there is of it.
    last: Vec<u8>,
}

impl Known {
    /// None: nothing that could be gone on with.
    fn read(archived: impl Read, paging: &Paging) -> io::Result<Option<Self>> {
        let mut lines = BufReader::new(archived);
        let mut known = Self::default();
        loop {
            let mut line = Vec::new();
            let bytes = lines.by_ref().take(MAX_PAGE_BYTES + 1).read_until(b'\n', &mut line)?;
            if bytes == 0 {
                return Ok((!known.last.is_empty()).then_some(known));
            }
            let before = std::mem::replace(&mut known.last, line);
            if before.is_empty() {
                continue;
            }
            let Some(products) = paging.products(&before) else { return Ok(None) };
            known.seen.insert(hash::bytes_hash(products.as_bytes()));
            known.pages += 1;
            known.bytes += before.len() as u64;
        }
    }
}

async fn look(found: &RawSnapshot, paging: &'static Paging) -> Result<Option<Known>, Failure> {
    let archived = found.reader();
    let known = super::blocking(move || Known::read(archived, paging)).await?;
    known.map_err(|e| {
        let text = format!("could not read the pages that are archived: {e}");
        Failure::retry(ReasonClass::Storage, text)
    })
}

/// An address up to where a page's own parameters follow.
fn without_page(url: &str, paging: &Paging) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut out = format!("{path}?");
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split('=').next().unwrap_or(parameter);
        if name != paging.page && name != paging.size {
            out.push_str(parameter);
            out.push('&');
        }
    }
    out
}

/// A page as a line. Its own line ends stand between values, where a blank does as well.
fn line_of(page: Bytes) -> Bytes {
    let mut line = Vec::from(page);
    for byte in line.iter_mut().filter(|byte| **byte == b'\n') {
        *byte = b' ';
    }
    line.push(b'\n');
    line.into()
}
