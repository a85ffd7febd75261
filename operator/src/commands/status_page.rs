//! The status page of `feedfleet up`: the facts of `feedfleet fleet status`, as text and as JSON. It only
//! reads.

use super::fleet::{FleetView, look};
use feedfleet_scheduler::Deps;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A visitor has this long.
const VISIT: Duration = Duration::from_secs(10);

/// Answers until `shutdown`.
pub async fn serve(listener: TcpListener, deps: Deps, shutdown: CancellationToken) {
    let port = listener.local_addr().map_or(0, |a| a.port());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let deps = deps.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let deps = deps.clone();
                async move { Ok::<_, Infallible>(answer(&request, &deps, port).await) }
            });
            let visit = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A visitor who goes away or is slow concerns nobody.
            tokio::time::timeout(VISIT, visit).await.ok();
        });
    }
}

async fn answer(request: &Request<Incoming>, deps: &Deps, port: u16) -> Response<Full<Bytes>> {
    // A page elsewhere that has a name of its own resolve to this machine shall learn nothing.
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("");
    if !is_own_name(host, port) {
        return reply(StatusCode::FORBIDDEN, "text/plain", "not a name of this page\n".into());
    }
    if request.method() != Method::GET {
        return reply(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "this page only reads\n".into(),
        );
    }
    let view =
        look(&deps.objects, deps.crawl.as_ref(), deps.image.as_ref(), deps.clock.now()).await;
    match (request.uri().path(), view) {
        ("/", Ok(view)) => reply(StatusCode::OK, "text/plain; charset=utf-8", view.to_string()),
        ("/status.json", Ok(view)) => reply(StatusCode::OK, "application/json", json(&view)),
        ("/" | "/status.json", Err(e)) => {
            reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", format!("{e:#}\n"))
        }
        _ => reply(StatusCode::NOT_FOUND, "text/plain", "try / or /status.json\n".into()),
    }
}

/// Addresses are: a name that is made to resolve to this machine is no address.
fn is_own_name(host: &str, port: u16) -> bool {
    host == format!("localhost:{port}")
        || host.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() == port)
}

fn json(view: &FleetView) -> String {
    serde_json::to_string_pretty(view).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"))
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}
