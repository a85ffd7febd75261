//! Serves the sample shop on loopback: the partners' feeds of the present night, and the pictures.
//!
//! Every file carries `ETag` and `Last-Modified`, and a conditional request for what has not
//! changed is answered with 304, as a well-kept shop does.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use chrono::DateTime;
use feedfleet_model::hash;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::catalogue::Partner;
use super::{feeds, pictures};

/// When the shop's files of night one, and those that are new on night two, were last modified.
const LAST_MODIFIED_BY_NIGHT: [&str; 2] =
    ["Mon, 05 Jan 2026 16:00:00 GMT", "Tue, 06 Jan 2026 16:00:00 GMT"];

/// The sample shop, open for requests until it is stopped or dropped.
#[derive(Debug)]
pub struct Shop {
    state: Arc<State>,
    closing: CancellationToken,
    serving: JoinHandle<()>,
}

impl Shop {
    /// Opens the shop on a free port of 127.0.0.1, on its first night. One seed always makes the
    /// same products. Fails if no port can be had.
    pub async fn start(seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let state = Arc::new(State {
            seed,
            base_url: format!("http://{}", listener.local_addr()?),
            night: AtomicU8::new(1),
            requests: AtomicU64::new(0),
            files: Mutex::default(),
        });
        let closing = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Arc::clone(&state), closing.clone()));
        Ok(Self { state, closing, serving })
    }

    /// Where the shop is, such as `http://127.0.0.1:40123`: without a slash at the end.
    pub fn base_url(&self) -> String {
        self.state.base_url.clone()
    }

    /// From now on the feeds are those of this night: 1 or 2.
    pub fn set_night(&self, night: u8) {
        self.state.night.store(night.clamp(1, 2), Ordering::SeqCst);
    }

    /// Requests answered so far, whatever the answer.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Closes the shop: when this returns, nothing listens and every connection is closed.
    pub async fn stop(mut self) {
        self.closing.cancel();
        if let Err(error) = (&mut self.serving).await {
            tracing::warn!(%error, "the sample shop ended badly");
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

#[derive(Debug)]
struct State {
    seed: u64,
    base_url: String,
    night: AtomicU8,
    requests: AtomicU64,
    /// By path, and by night for what changes overnight. Some 1,200 names answer at all, so this
    /// stays within a few dozen megabytes.
    files: Mutex<HashMap<(String, u8), File>>,
}

/// A file as the shop serves it.
#[derive(Debug, Clone)]
struct File {
    body: Bytes,
    content_type: &'static str,
    etag: HeaderValue,
    last_modified: &'static str,
}

impl File {
    fn new(body: Vec<u8>, content_type: &'static str, night: u8) -> Self {
        let etag = format!("\"{}\"", hash::hex(hash::bytes_hash(&body)));
        Self {
            body: Bytes::from(body),
            content_type,
            etag: HeaderValue::try_from(etag).expect("digits in quotes make a header value"),
            last_modified: LAST_MODIFIED_BY_NIGHT[usize::from(night) - 1],
        }
    }
}

impl State {
    /// The file of this path on this night. Rendering takes up to a second, so not on the runtime.
    fn file(&self, path: &str, night: u8) -> anyhow::Result<Option<File>> {
        let partner = Partner::ALL.into_iter().find(|partner| partner.feed_path() == path);
        let night = if partner.is_some() { night } else { 1 };
        let key = (path.to_owned(), night);
        if let Some(file) = self.kept().get(&key) {
            return Ok(Some(file.clone()));
        }
        // Two requests may both render here: they make the same bytes.
        let rendered = match partner {
            Some(partner) => Some(self.feed(partner, night)?),
            None => picture(path)?,
        };
        if let Some(file) = &rendered {
            self.kept().insert(key, file.clone());
        }
        Ok(rendered)
    }

    fn feed(&self, partner: Partner, night: u8) -> anyhow::Result<File> {
        let render = |night| {
            let feed = feeds::render(self.seed, partner, night, &self.base_url)
                .with_context(|| format!("rendering {}", partner.feed_path()))?;
            anyhow::Ok(File::new(feed.body, feed.content_type, night))
        };
        let first = render(1)?;
        if night == 1 {
            return Ok(first);
        }
        // What did not change overnight keeps its date too.
        let second = render(night)?;
        Ok(if second.etag == first.etag { first } else { second })
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(String, u8), File>> {
        // Nothing panics while it holds the lock, and a map of whole files has no half-way state.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn picture(path: &str) -> anyhow::Result<Option<File>> {
    let Some(file) = path.strip_prefix("/pictures/") else { return Ok(None) };
    let drawn = pictures::draw(file).with_context(|| format!("drawing {file}"))?;
    Ok(drawn.map(|picture| File::new(picture.body, picture.content_type, 1)))
}

async fn serve(listener: TcpListener, state: Arc<State>, closing: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&state)));
                }
                Err(error) => {
                    // Out of file handles, say: others may close some meanwhile.
                    tracing::warn!(%error, "the sample shop could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| answer(Arc::clone(&state), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the sample shop ended early");
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let path = request.uri().path().to_owned();
    let night = state.night.load(Ordering::SeqCst);
    let found = tokio::task::spawn_blocking(move || state.file(&path, night)).await;
    Ok(match found.map_err(anyhow::Error::from).flatten() {
        Ok(Some(file)) => serve_file(request.headers(), file),
        Ok(None) => plain(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the sample shop failed");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
    })
}

fn serve_file(asked: &HeaderMap, file: File) -> Response<Full<Bytes>> {
    let unchanged = is_unchanged(asked, &file);
    let body = if unchanged { Bytes::new() } else { file.body };
    // The length is the body's, which hyper writes; for HEAD it leaves the body itself out.
    let mut response = Response::new(Full::new(body));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(ETAG, file.etag);
    headers.insert(LAST_MODIFIED, HeaderValue::from_static(file.last_modified));
    response
}

/// RFC 9110: where `If-None-Match` is present, `If-Modified-Since` is not looked at.
fn is_unchanged(asked: &HeaderMap, file: &File) -> bool {
    if let Some(tags) = asked.get(IF_NONE_MATCH) {
        return tags.to_str().is_ok_and(|tags| {
            let mut tags = tags.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
            tags.any(|tag| tag == "*" || tag.as_bytes() == file.etag.as_bytes())
        });
    }
    let Some(since) = asked.get(IF_MODIFIED_SINCE).and_then(|since| since.to_str().ok()) else {
        return false;
    };
    match (DateTime::parse_from_rfc2822(since), DateTime::parse_from_rfc2822(file.last_modified)) {
        (Ok(since), Ok(modified)) => modified <= since,
        _ => false,
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// One request over a connection of its own: the answer's head, in lower case, and its body.
    async fn ask(shop: &Shop, method: &str, path: &str, header: &str) -> (String, Vec<u8>) {
        let base_url = shop.base_url();
        let mut stream =
            TcpStream::connect(base_url.strip_prefix("http://").unwrap()).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
        (head, answer[end + 4..].to_vec())
    }

    fn header<'a>(head: &'a str, name: &str) -> &'a str {
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
    }

    #[tokio::test]
    async fn a_feed_is_sent_once_and_then_confirmed() {
        let shop = Shop::start(1).await.unwrap();
        let feed = "/corner-books/books.zip";
        let (head, body) = ask(&shop, "GET", feed, "").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(header(&head, "content-length"), body.len().to_string());
        let tag = format!("If-None-Match: {}\r\n", header(&head, "etag"));
        let (again, nothing) = ask(&shop, "GET", feed, &tag).await;
        assert!(again.starts_with("http/1.1 304") && nothing.is_empty(), "{again}");
        let (by_date, _) =
            ask(&shop, "GET", feed, "If-Modified-Since: Mon, 05 Jan 2026 16:00:00 GMT\r\n").await;
        assert!(by_date.starts_with("http/1.1 304"), "{by_date}");
        let (only_head, nothing) = ask(&shop, "HEAD", feed, "").await;
        assert_eq!(header(&only_head, "content-length"), body.len().to_string());
        assert!(nothing.is_empty());
        assert_eq!(shop.requests(), 4);
        shop.stop().await;
    }

    #[tokio::test]
    async fn night_two_changes_what_changed_and_nothing_else() {
        let shop = Shop::start(1).await.unwrap();
        for (feed, changes) in
            [("/pixel-parts/catalog.jsonl.zst", true), ("/hanok-living/ep-full.txt", false)]
        {
            shop.set_night(1);
            let (head, _) = ask(&shop, "GET", feed, "").await;
            let tag = format!("If-None-Match: {}\r\n", header(&head, "etag"));
            shop.set_night(2);
            let (head, _) = ask(&shop, "GET", feed, &tag).await;
            assert!(
                head.starts_with(if changes { "http/1.1 200" } else { "http/1.1 304" }),
                "{head}"
            );
        }
        let (head, _) = ask(&shop, "GET", "/atelier-press/prints.atom", "").await;
        assert!(
            head.starts_with("http/1.1 200")
                && header(&head, "content-type").starts_with("text/html")
        );
        shop.stop().await;
    }

    #[tokio::test]
    async fn pictures_are_there_or_not() {
        let shop = Shop::start(1).await.unwrap();
        let (head, body) = ask(&shop, "GET", "/pictures/tent-moss.jpg", "").await;
        assert_eq!(header(&head, "content-type"), "image/jpeg");
        assert!(body.starts_with(&[0xFF, 0xD8]));
        let (missing, _) = ask(&shop, "GET", "/pictures/tent-plum.jpg", "").await;
        assert!(missing.starts_with("http/1.1 404"), "{missing}");
        let (posted, _) = ask(&shop, "POST", "/pictures/tent-moss.jpg", "").await;
        assert!(posted.starts_with("http/1.1 405"), "{posted}");
        shop.stop().await;
    }

    #[tokio::test]
    async fn a_closed_shop_refuses_connections() {
        let shop = Shop::start(1).await.unwrap();
        let address = shop.base_url().trim_start_matches("http://").to_owned();
        shop.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
