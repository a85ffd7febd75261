//! The client against servers that redirect, stay silent or refuse, and resolvers that lie.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::guard::GuardError;
use crate::test_server::{Step, TestServer, fetch, get, loopback_client, ok, raw, redirect, wide};

/// Answers each look-up with the next list of addresses, then with nothing.
struct ScriptedResolver(Mutex<VecDeque<Vec<IpAddr>>>);

impl ScriptedResolver {
    fn resolver(answers: &[&[&str]]) -> Arc<dyn ResolveName> {
        let answers = answers
            .iter()
            .map(|list| list.iter().map(|text| text.parse().expect("an address")).collect())
            .collect();
        Arc::new(ScriptedResolver(Mutex::new(answers)))
    }
}

impl ResolveName for ScriptedResolver {
    fn resolve(&self, _host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = self.0.lock().expect("not poisoned").pop_front().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

fn is_refused_address(error: &FetchError) -> bool {
    matches!(error.kind, FetchErrorKind::Refused(GuardError::Address { .. }))
}

#[tokio::test]
async fn a_lying_resolver_gets_no_connection() {
    let server = TestServer::start(|_| ok("secret")).await;
    let url = format!("http://shop.example:{}/", server.port());
    for answer in [&["10.0.0.1"][..], &["93.184.216.34", "169.254.169.254"], &["::1"]] {
        let client = loopback_client(Some(ScriptedResolver::resolver(&[answer])));
        let error = client.get(Request::new(&url, wide())).await.expect_err("private");
        assert!(is_refused_address(&error), "{error}");
        assert!(!error.is_retryable());
    }
    // The default policy doesn't allow loopback either, by whatever name.
    let mut options = ClientOptions::new("feedfleet-test");
    options.resolver = Some(ScriptedResolver::resolver(&[&["127.0.0.1"]]));
    let client = Client::new(options).expect("a client");
    let error =
        client.get(Request::new("http://shop.example/", wide())).await.expect_err("private");
    assert!(is_refused_address(&error), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_name_is_judged_anew_for_each_connection() {
    let server = TestServer::start(|_| ok("fine")).await;
    let resolver = ScriptedResolver::resolver(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let client = loopback_client(Some(resolver));
    let url = format!("http://shop.example:{}/", server.port());
    let mut first = client.get(Request::new(&url, wide())).await.expect("allowed");
    assert_eq!(first.bytes().await.expect("a body"), "fine");
    let error = client.get(Request::new(&url, wide())).await.expect_err("rebound");
    assert!(is_refused_address(&error), "{error}");
}

#[tokio::test]
async fn a_name_without_addresses_is_a_dns_error() {
    let client = loopback_client(Some(ScriptedResolver::resolver(&[])));
    let error = client.get(Request::new("http://shop.example/", wide())).await.expect_err("none");
    assert!(matches!(error.kind, FetchErrorKind::Dns { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("shop.example has no address"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_and_recorded() {
    let server = TestServer::start(|path| match path {
        "/a" => redirect("b/c?d=1"),
        "/b/c?d=1" => redirect("/e#part"),
        _ => ok("there"),
    })
    .await;
    let mut response = get(server.url("/a"), wide()).await.expect("a response");
    assert_eq!(response.status(), 200);
    let passed: Vec<&str> = response.redirects().iter().map(Url::as_str).collect();
    assert_eq!(passed, [server.url("/a"), server.url("/b/c?d=1")]);
    assert_eq!(response.bytes().await.expect("a body"), "there");
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let server = TestServer::start(|path| redirect(&path[1..])).await;
    for target in [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[::1]/",
        "http://2852039166/",
    ] {
        let error = get(server.url(&format!("/{target}")), wide()).await.expect_err(target);
        assert!(is_refused_address(&error), "{target}: {error}");
    }
    let error = get(server.url("/file:///etc/passwd"), wide()).await.expect_err("a file");
    assert!(matches!(error.kind, FetchErrorKind::Refused(GuardError::Scheme(_))), "{error}");
}

#[tokio::test]
async fn a_redirect_to_a_name_with_a_private_address_is_refused() {
    let server = TestServer::start(|_| redirect("http://inside.example/")).await;
    let client = loopback_client(Some(ScriptedResolver::resolver(&[&["192.168.0.1"]])));
    let error = client.get(Request::new(server.url("/"), wide())).await.expect_err("private");
    assert!(is_refused_address(&error), "{error}");
    assert_eq!(error.url, "http://inside.example/");
}

#[tokio::test]
async fn redirect_loops_and_long_chains_end() {
    let server = TestServer::start(|path| match path {
        "/self" => redirect("/self"),
        "/ping" => redirect("/pong"),
        "/pong" => redirect("/ping"),
        longer => redirect(&format!("{longer}x")),
    })
    .await;
    for path in ["/self", "/ping"] {
        let error = get(server.url(path), wide()).await.expect_err(path);
        assert!(matches!(error.kind, FetchErrorKind::RedirectLoop), "{error}");
    }
    let before = server.seen().len();
    let limits = Limits { max_redirects: 3, ..wide() };
    let error = get(server.url("/x"), limits).await.expect_err("endless");
    assert!(matches!(error.kind, FetchErrorKind::TooManyRedirects { limit: 3 }), "{error}");
    assert_eq!(server.seen().len() - before, 4);
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_server() {
    let other = TestServer::start(|_| ok("there")).await;
    let target = other.url("/");
    let server = TestServer::start(move |_| redirect(&target)).await;
    let mut request = Request::new(server.url("/"), wide());
    request.headers = vec![
        ("Authorization".to_owned(), "Bearer secret".to_owned()),
        ("X-Api-Key".to_owned(), "secret".to_owned()),
        ("Accept".to_owned(), "text/xml".to_owned()),
    ];
    loopback_client(None).get(request).await.expect("a response");
    assert!(server.seen()[0].contains("authorization: bearer secret"));
    assert!(!other.seen()[0].contains("secret"), "{}", other.seen()[0]);
    assert!(other.seen()[0].contains("accept: text/xml"));
    assert!(other.seen()[0].contains("user-agent: feedfleet-test"));
}

#[tokio::test]
async fn a_redirect_without_a_target_is_a_response() {
    let server = TestServer::start(|_| vec![raw("302 Found\nContent-Length: 0\n", "")]).await;
    assert_eq!(get(server.url("/"), wide()).await.expect("a response").status(), 302);
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let server = TestServer::start(|_| vec![Step::Hold]).await;
    let limits = Limits { first_byte: Duration::from_millis(50), ..wide() };
    let error = fetch(server.url("/"), limits).await.expect_err("silent");
    assert!(matches!(error.kind, FetchErrorKind::TimedOut(Phase::FirstByte)), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn the_total_time_covers_redirects() {
    let server = TestServer::start(|path| match path {
        "/a" => redirect("/b"),
        _ => vec![Step::Hold],
    })
    .await;
    let limits = Limits { total_time: Duration::from_millis(100), ..wide() };
    let error = fetch(server.url("/a"), limits).await.expect_err("silent");
    assert!(matches!(error.kind, FetchErrorKind::TimedOut(Phase::Total)), "{error}");
}

#[tokio::test]
async fn a_refused_connection_is_named_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    drop(listener);
    let url = format!("http://{address}/feed?key=secret");
    let error = fetch(url, wide()).await.expect_err("nobody listens");
    assert!(matches!(error.kind, FetchErrorKind::Connect { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
        // Until the client goes away: closing early would discard what it has yet to read.
        while socket.read_u8().await.is_ok() {}
    });
    let error = fetch(format!("https://{address}/"), wide()).await.expect_err("no TLS");
    assert!(matches!(error.kind, FetchErrorKind::Tls { .. }), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_server_that_speaks_no_http_is_a_transfer_error() {
    let server = TestServer::start(|_| vec![Step::Send(b"hello\r\n\r\n".to_vec())]).await;
    let error = fetch(server.url("/"), wide()).await.expect_err("no HTTP");
    assert!(matches!(error.kind, FetchErrorKind::Transfer { .. }), "{error:?}");
}

#[tokio::test]
async fn invalid_headers_and_refused_urls_send_nothing() {
    let server = TestServer::start(|_| ok("")).await;
    let client = loopback_client(None);
    let mut request = Request::new(server.url("/"), wide());
    request.headers = vec![("X-Key".to_owned(), "a\r\nb".to_owned())];
    let error = client.get(request).await.expect_err("a line break");
    assert!(matches!(error.kind, FetchErrorKind::InvalidHeader { .. }), "{error}");
    let url = format!("http://user:secret@127.0.0.1:{}/", server.port());
    let error = client.get(Request::new(url, wide())).await.expect_err("user information");
    assert!(matches!(error.kind, FetchErrorKind::Refused(GuardError::UserInfo)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(server.seen().is_empty());
}
