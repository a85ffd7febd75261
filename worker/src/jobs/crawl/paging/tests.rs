//! A shop's pages: how they are asked for, what ends them, and how an attempt goes on with them.

use super::*;
use feedfleet_config::{Location, parse_pipe};
use feedfleet_http::{ClientOptions, GuardPolicy, PortRule};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

const ONE: &str = "{\"products\":[{\"id\":1},\n{\"id\":2}]}";
const TWO: &str = r#"{"products":[{"id":3},{"id":4}]}"#;
const NONE: &str = r#"{"products":[]}"#;

/// A shop that gives one answer after the other, as status, further headers and body.
struct Shop {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    fn open(answers: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/products.json?limit=30&a=b&page=7#x");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (status, headers, body) in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
                let first = lines.next().unwrap();
                log.lock().unwrap().push(first.split(' ').nth(1).unwrap().to_owned());
                assert!(lines.any(|line| line.is_empty()), "a request has an end");
                let length = body.len();
                write!(
                    &stream,
                    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
                )
                .unwrap();
            }
        });
        Self { url, asked }
    }

    fn asker(&self, max_bytes: u64) -> Asker {
        let text = format!("[source]\nurl = \"{}\"\nformat = \"shopify-json\"\n", self.url);
        let environment = BTreeMap::<String, String>::new();
        let name = "acme".parse().unwrap();
        let mut pipe = parse_pipe(&name, &text, Path::new("/"), &environment).unwrap();
        pipe.source.limits.max_bytes = max_bytes;
        let mut options = ClientOptions::new("feedfleet-test");
        options.policy = GuardPolicy {
            allow_private: vec!["127.0.0.0/8".parse().unwrap()],
            allowed_ports: PortRule::Any,
        };
        let Location::Http(url) = &pipe.source.location else { panic!("it is on the web") };
        Asker::new(&Client::new(options).unwrap(), &pipe, url.expose(), of(&pipe).unwrap())
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|path| path.rsplit('?').next().unwrap_or_default().to_owned()).collect()
    }
}

/// All that comes, and why no more does.
async fn all(asker: &mut Asker) -> (String, Option<Trouble>) {
    let mut text = String::new();
    loop {
        match asker.next().await {
            Ok(Some(page)) => text.push_str(std::str::from_utf8(&page.bytes).unwrap()),
            Ok(None) => return (text, None),
            Err(trouble) => return (text, Some(trouble)),
        }
    }
}

#[tokio::test]
async fn pages_come_until_one_has_no_products() {
    let shop = Shop::open(&[("200 OK", "", ONE), ("200 OK", "", TWO), ("200 OK", "", NONE)]);
    let (text, trouble) = all(&mut shop.asker(1000)).await;
    assert!(trouble.is_none(), "{trouble:?}");
    assert_eq!(text, format!("{}\n{TWO}\n{NONE}\n", ONE.replace('\n', " ")));
    let asked = ["a=b&limit=250&page=1", "a=b&limit=250&page=2", "a=b&limit=250&page=3"];
    assert_eq!(shop.asked(), asked);
}

#[tokio::test]
async fn a_server_that_gives_the_same_page_again_is_refused() {
    let shop = Shop::open(&[("200 OK", "", TWO), ("200 OK", "", TWO)]);
    let (text, trouble) = all(&mut shop.asker(1000)).await;
    assert_eq!(text, format!("{TWO}\n"));
    let Some(Trouble::Failed(Failure::Dead(reason))) = trouble else { panic!("{trouble:?}") };
    assert_eq!(reason.class, ReasonClass::SourceRefused);
    assert!(reason.message.contains("page 2 has the same products"), "{}", reason.message);
}

#[tokio::test]
async fn what_is_no_page_ends_them() {
    // As the first one it is for the reader to say what it is.
    let shop = Shop::open(&[("200 OK", "", "<!doctype html>\n")]);
    let (text, trouble) = all(&mut shop.asker(1000)).await;
    assert!(text == "<!doctype html>\n" && trouble.is_none(), "{text} {trouble:?}");
    for last in [("200 OK", "", "<!doctype html>"), ("400 Bad Request", "", "too far")] {
        let shop = Shop::open(Vec::leak(vec![("200 OK", "", ONE), last]));
        let (text, trouble) = all(&mut shop.asker(1000)).await;
        assert!(text.contains("\"id\":2"), "{text}");
        let Some(Trouble::Cut(why)) = trouble else { panic!("{trouble:?}") };
        assert!(why.contains("page 2"), "{why}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_soon_or_by_another_attempt() {
    let busy = ("429 Too Many Requests", "Retry-After: 0\r\n", "");
    let shop = Shop::open(Vec::leak(vec![busy, ("200 OK", "", ONE), busy, busy, busy]));
    let (text, trouble) = all(&mut shop.asker(1000)).await;
    assert!(text.contains("\"id\":2"), "{text}");
    assert!(matches!(trouble, Some(Trouble::Failed(Failure::Retry(..)))), "{trouble:?}");
    let page = |number: u32| format!("a=b&limit=250&page={number}");
    assert_eq!(shop.asked(), [1, 1, 2, 2, 2].map(page));

    let shop = Shop::open(&[("503 Service Unavailable", "Retry-After: 600\r\n", "")]);
    let (_, trouble) = all(&mut shop.asker(1000)).await;
    let Some(Trouble::Failed(Failure::Retry(wait, _))) = trouble else { panic!("{trouble:?}") };
    assert_eq!(wait, Duration::from_secs(600));
}

#[tokio::test]
async fn the_limit_is_of_all_pages_together() {
    let shop = Shop::open(&[("200 OK", "", ONE), ("200 OK", "", TWO)]);
    let (_, trouble) = all(&mut shop.asker(40)).await;
    let Some(Trouble::Failed(Failure::Dead(reason))) = trouble else { panic!("{trouble:?}") };
    assert_eq!(reason.class, ReasonClass::LimitExceeded);
    assert!(reason.message.contains("page 2") && reason.message.contains("40 bytes"), "{reason:?}");
}

#[tokio::test]
async fn compressed_pages_are_refused() {
    let shop = Shop::open(&[("200 OK", "Content-Encoding: gzip\r\n", "packed")]);
    let (_, trouble) = all(&mut shop.asker(1000)).await;
    assert!(matches!(trouble, Some(Trouble::Failed(Failure::Dead(_)))), "{trouble:?}");
}

#[tokio::test]
async fn an_attempt_goes_on_where_another_one_broke_off() {
    let whole = format!("{}\n{TWO}\n", ONE.replace('\n', " "));
    for length in [1, 20, ONE.len(), ONE.len() + 1, ONE.len() + 2, whole.len() - 1, whole.len()] {
        let answers = [("200 OK", "", ONE), ("200 OK", "", TWO), ("200 OK", "", NONE)];
        let archived = &whole.as_bytes()[..length];
        let paging = Shop::open(&[]).asker(1000).paging;
        let known = Known::read(archived, paging).unwrap().unwrap();
        // Only the first page is there, whole or in part; or the second one, too.
        let first = usize::from(length > ONE.len() + 1);
        assert_eq!((known.pages as usize, known.seen.len()), (first, first), "{length}");
        let shop = Shop::open(Vec::leak(answers[first..].to_vec()));
        let mut asker = shop.asker(1000);
        let rest = asker.go_on(known).await.unwrap().unwrap();
        let (text, trouble) = all(&mut asker).await;
        assert!(trouble.is_none(), "{trouble:?}");
        let rest = std::str::from_utf8(&rest).unwrap();
        let archived = std::str::from_utf8(archived).unwrap();
        assert_eq!(format!("{archived}{rest}{text}"), format!("{whole}{NONE}\n"), "{length}");
    }
}

#[tokio::test]
async fn an_attempt_does_not_go_on_behind_a_page_that_has_changed() {
    let archived = format!("{TWO}\n{}", &TWO[..20]);
    let paging = Shop::open(&[]).asker(1000).paging;
    let shop = Shop::open(&[("200 OK", "", "{\"products\":[{\"id\":9}]}")]);
    let known = Known::read(archived.as_bytes(), paging).unwrap().unwrap();
    assert_eq!(shop.asker(1000).go_on(known).await.unwrap(), None);
    for nothing in ["", "<!doctype html>\n<html>\n"] {
        let known = Known::read(nothing.as_bytes(), paging).unwrap();
        assert!(known.is_none(), "{known:?}");
    }
}

#[test]
fn the_parameters_of_a_page_take_the_place_of_those_in_the_address() {
    let paging = Paging { page: "page", size: "limit", per_page: 250, max_items: 25_000 };
    for (url, expected) in [
        ("https://a.example/products.json", "https://a.example/products.json?"),
        ("https://a.example?page=2&x=%20&limit=9&pages=1#y", "https://a.example?x=%20&pages=1&"),
        ("https://a.example/p?", "https://a.example/p?"),
    ] {
        assert_eq!(without_page(url, &paging), expected);
    }
}
