//! The status page of `feedfleet up`: the facts of `feedfleet fleet status`, as text and as JSON. It only
//! reads.

use super::fleet::{FleetView, look};
use crate::view;
use feedfleet_scheduler::Deps;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// A visitor has this long.
const VISIT: Duration = Duration::from_secs(10);
/// What was seen is shown for this long: a look reads every dead letter, and visitors may be many.
const FRESH: Duration = Duration::from_secs(1);

/// Answers until `shutdown`.
pub async fn serve(listener: TcpListener, deps: Deps, shutdown: CancellationToken) {
    let port = listener.local_addr().map_or(0, |a| a.port());
    let page = Arc::new(Page { deps, port, seen: Mutex::default() });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let page = page.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let page = page.clone();
                async move { Ok::<_, Infallible>(page.answer(&request).await) }
            });
            let visit = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A visitor who goes away or is slow concerns nobody.
            tokio::time::timeout(VISIT, visit).await.ok();
        });
    }
}

struct Page {
    deps: Deps,
    port: u16,
    /// The fleet as it was when it was last looked at.
    seen: Mutex<Option<(Instant, Arc<FleetView>)>>,
}

impl Page {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        // A page elsewhere that has a name of its own resolve to this machine shall learn nothing.
        let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("");
        if !is_own_name(host, self.port) {
            return reply(StatusCode::FORBIDDEN, "text/plain", "not a name of this page\n".into());
        }
        if request.method() != Method::GET {
            let text = "this page only reads\n";
            return reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", text.into());
        }
        let answered = match request.uri().path() {
            "/" => self.look().await.map(|fleet| ("text/plain; charset=utf-8", fleet.to_string())),
            "/status.json" => self
                .look()
                .await
                .and_then(|fleet| Ok(("application/json", view::json(fleet.as_ref())?))),
            _ => {
                let text = "try / or /status.json\n";
                return reply(StatusCode::NOT_FOUND, "text/plain", text.into());
            }
        };
        match answered {
            Ok((kind, text)) => reply(StatusCode::OK, kind, text),
            Err(e) => reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", format!("{e:#}\n")),
        }
    }

    /// The fleet, as it was a moment ago at the longest.
    async fn look(&self) -> anyhow::Result<Arc<FleetView>> {
        // Held during the look: who comes meanwhile waits for it, and has none of their own.
        let mut seen = self.seen.lock().await;
        if let Some((at, fleet)) = seen.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(fleet.clone());
        }
        let Deps { objects, crawl, image, clock, .. } = &self.deps;
        let fleet = Arc::new(look(objects, crawl.as_ref(), image.as_ref(), clock.now()).await?);
        *seen = Some((Instant::now(), fleet.clone()));
        Ok(fleet)
    }
}

/// Addresses are: a name that is made to resolve to this machine is no address.
fn is_own_name(host: &str, port: u16) -> bool {
    host == format!("localhost:{port}")
        || host.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() == port)
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::doctor::scratch::Scratch;

    #[tokio::test]
    async fn visitors_of_one_moment_share_a_look() {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let deps = Context::load(scratch.path()).unwrap().scheduler().unwrap();
        let page = Page { deps, port: 8080, seen: Mutex::default() };
        let (one, other) = tokio::join!(page.look(), page.look());
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
    }
}
