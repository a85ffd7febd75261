//! Response heads and bodies, whole and damaged.

use super::*;
use crate::request::Request;
use crate::test_server::{Step, TestServer, fetch, get, loopback_client, ok, raw, wide};

async fn body_error(steps: fn() -> Vec<Step>, limits: Limits) -> FetchErrorKind {
    let server = TestServer::start(move |_| steps()).await;
    fetch(server.url("/"), limits).await.expect_err("a damaged body").kind
}

#[tokio::test]
async fn a_whole_body_arrives() {
    let server = TestServer::start(|path| match path {
        "/chunked" => {
            vec![raw("200 OK\nTransfer-Encoding: chunked\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")]
        }
        "/closed" => vec![raw("200 OK\n", "abcde")],
        _ => ok("abcde"),
    })
    .await;
    for (path, length, marked) in
        [("/plain", Some(5), true), ("/chunked", None, true), ("/closed", None, false)]
    {
        let mut response = get(server.url(path), wide()).await.expect("a response");
        assert_eq!(response.content_length(), length, "{path}");
        assert_eq!(response.has_marked_end(), marked, "{path}");
        assert_eq!(response.bytes().await.expect("a body"), "abcde", "{path}");
        assert!(response.chunk().await.expect("the end").is_none());
    }
}

#[tokio::test]
async fn a_short_body_is_truncated() {
    let kind = body_error(|| vec![raw("200 OK\nContent-Length: 10\n", "abcd")], wide()).await;
    let wanted = (Some(10), 4);
    assert!(
        matches!(kind, FetchErrorKind::Truncated { expected_bytes, got_bytes }
            if (expected_bytes, got_bytes) == wanted),
        "{kind:?}"
    );
    let steps = || vec![raw("200 OK\nTransfer-Encoding: chunked\n", "8\r\nabcd")];
    let kind = body_error(steps, wide()).await;
    assert!(
        matches!(kind, FetchErrorKind::Truncated { expected_bytes: None, got_bytes: 4 }),
        "{kind:?}"
    );
}

#[tokio::test]
async fn a_failed_body_never_looks_complete() {
    let server =
        TestServer::start(|_| vec![raw("200 OK\nTransfer-Encoding: chunked\n", "8\r\nab")]).await;
    let mut response = get(server.url("/"), wide()).await.expect("a response");
    response.bytes().await.expect_err("truncated");
    response.chunk().await.expect_err("truncated still");
}

#[tokio::test]
async fn a_body_over_the_limit_is_stopped() {
    let limits = Limits { max_bytes: 4, ..wide() };
    // Announced: refused before any of it is read.
    let server = TestServer::start(|_| ok("abcde")).await;
    let error = get(server.url("/"), limits).await.expect_err("announced");
    assert!(matches!(error.kind, FetchErrorKind::TooLarge { limit_bytes: 4 }), "{error}");
    // Not announced: stopped on the way.
    let steps = || vec![raw("200 OK\n", "abc"), Step::Drip(Duration::from_millis(1))];
    let kind = body_error(steps, limits).await;
    assert!(matches!(kind, FetchErrorKind::TooLarge { limit_bytes: 4 }), "{kind:?}");
    // The limit itself is allowed.
    let server = TestServer::start(|_| ok("abcd")).await;
    assert_eq!(fetch(server.url("/"), limits).await.expect("allowed"), "abcd");
}

#[tokio::test]
async fn an_error_status_is_a_response_whatever_its_size() {
    let server =
        TestServer::start(|_| vec![raw("503 Busy\nRetry-After: 7\nContent-Length: 9\n", "")]).await;
    let limits = Limits { max_bytes: 4, ..wide() };
    let response = get(server.url("/"), limits).await.expect("a response");
    assert_eq!(response.status(), 503);
    assert_eq!(response.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_body_that_stalls_times_out() {
    let limits = Limits { idle: Duration::from_millis(50), ..wide() };
    let steps = || vec![raw("200 OK\nContent-Length: 10\n", "abcd"), Step::Hold];
    let kind = body_error(steps, limits).await;
    assert!(matches!(kind, FetchErrorKind::TimedOut(Phase::Idle)), "{kind:?}");
}

#[tokio::test]
async fn a_body_that_drips_is_too_slow() {
    let limits =
        Limits { min_bytes_per_sec: 1_000_000, rate_window: Duration::from_millis(30), ..wide() };
    let steps = || vec![raw("200 OK\n", ""), Step::Drip(Duration::from_millis(2))];
    let kind = body_error(steps, limits).await;
    assert!(matches!(kind, FetchErrorKind::TooSlow { min_bytes_per_sec: 1_000_000 }), "{kind:?}");
}

#[tokio::test]
async fn a_body_without_end_meets_the_deadline() {
    let limits = Limits {
        min_bytes_per_sec: 0,
        rate_window: Duration::from_millis(10),
        total_time: Duration::from_millis(100),
        ..wide()
    };
    let steps = || vec![raw("200 OK\n", ""), Step::Drip(Duration::from_millis(2))];
    let kind = body_error(steps, limits).await;
    assert!(matches!(kind, FetchErrorKind::TimedOut(Phase::Total)), "{kind:?}");
}

#[tokio::test]
async fn an_unchanged_resource_is_a_304_without_a_body() {
    let server = TestServer::start(|_| {
        vec![raw("304 Not Modified\nETag: \"v1\"\nContent-Length: 5000\n", "")]
    })
    .await;
    let mut request = Request::new(server.url("/"), Limits { max_bytes: 10, ..wide() });
    request.etag = Some("\"v1\"".to_owned());
    request.last_modified = Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
    let mut response = loopback_client(None).get(request).await.expect("a response");
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(response.etag(), Some("\"v1\""));
    assert!(response.bytes().await.expect("no body").is_empty());
    let head = &server.seen()[0];
    assert!(head.contains("if-none-match: \"v1\""), "{head}");
    assert!(head.contains("if-modified-since: sun, 06 nov 1994"), "{head}");
    assert!(head.contains("accept-encoding: identity"), "{head}");
}

#[tokio::test]
async fn a_range_continues_where_it_was_asked_to() {
    let server = TestServer::start(|path| {
        let range = match path {
            "/right" => "bytes 5-9/10",
            "/short" => "bytes 5-9/12",
            "/long" => "bytes 5-7/8",
            _ => "bytes 0-4/10",
        };
        let head = format!("206 Partial Content\nContent-Range: {range}\nContent-Length: 5\n");
        vec![raw(&head, "fghij")]
    })
    .await;
    let client = loopback_client(None);
    let request = |path: &str| {
        let mut request = Request::new(server.url(path), wide());
        request.range_from = Some(5);
        request.etag = Some("\"v1\"".to_owned());
        request
    };

    let mut right = client.get(request("/right")).await.expect("a response");
    let range = ContentRange { start: 5, end: 9, total: Some(10) };
    assert_eq!(right.content_range(), Some(range));
    assert_eq!(right.bytes().await.expect("the rest"), "fghij");
    assert!(server.seen()[0].contains("range: bytes=5-"), "{}", server.seen()[0]);
    assert!(server.seen()[0].contains("if-range: \"v1\""), "{}", server.seen()[0]);

    let mut short = client.get(request("/short")).await.expect("a response");
    let error = short.bytes().await.expect_err("two bytes are missing");
    assert!(matches!(error.kind, FetchErrorKind::Truncated { .. }), "{error}");

    let mut long = client.get(request("/long")).await.expect("a response");
    let error = long.bytes().await.expect_err("two bytes too many");
    assert!(matches!(error.kind, FetchErrorKind::Other(_)), "{error}");

    let error = client.get(request("/wrong")).await.expect_err("another range");
    assert!(matches!(error.kind, FetchErrorKind::Other(_)), "{error}");
}

#[tokio::test]
async fn only_what_a_validator_can_guard_is_resumable() {
    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\n";
    let cases = [
        ("ETag: \"1\"\n", true),
        ("ETag: W/\"1\"\n", false),
        ("ETag: W/\"1\"\nLast-Modified: Sun, 06 Nov 1994 08:00:00 GMT\n", false),
        ("Last-Modified: Sun, 06 Nov 1994 08:49:36 GMT\n", true),
        // It may have changed again within its second.
        ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n", false),
        ("Last-Modified: yesterday\n", false),
        ("", false),
    ];
    for (headers, resumable) in cases {
        let head = format!("200 OK\n{DATE}{headers}Content-Length: 2\n");
        let server = TestServer::start(move |_| vec![raw(&head, "ab")]).await;
        let response = get(server.url("/"), wide()).await.expect("a response");
        assert_eq!(response.is_resumable(), resumable, "{headers}");
    }
}

#[tokio::test]
async fn retry_dates_are_read_by_the_servers_clock() {
    let server = TestServer::start(|_| {
        vec![raw(
            "429 Slow Down\nDate: Sun, 06 Nov 1994 08:49:37 GMT\n\
             Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\nContent-Length: 0\n",
            "",
        )]
    })
    .await;
    let response = get(server.url("/"), wide()).await.expect("a response");
    assert_eq!(response.retry_after(), Some(Duration::from_secs(120)));
}

#[tokio::test]
async fn compressed_bodies_are_left_as_they_are() {
    let server = TestServer::start(|_| {
        vec![raw(
            "200 OK\nContent-Encoding: gzip\nContent-Type: text/xml\nContent-Length: 3\n",
            "abc",
        )]
    })
    .await;
    let mut response = get(server.url("/"), wide()).await.expect("a response");
    assert_eq!(response.content_encoding(), Some("gzip"));
    assert_eq!(response.content_type(), Some("text/xml"));
    assert_eq!(response.header("content-type"), Some("text/xml"));
    assert_eq!(response.bytes().await.expect("a body"), "abc");
}

#[test]
fn content_ranges_are_read_strictly() {
    let range = |start, end, total| Some(ContentRange { start, end, total });
    assert_eq!(parse_content_range("bytes 5-9/10"), range(5, 9, Some(10)));
    assert_eq!(parse_content_range("bytes 5-9/*"), range(5, 9, None));
    for bad in ["", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "items 0-1/2", "bytes 5-9"] {
        assert_eq!(parse_content_range(bad), None, "{bad}");
    }
}
