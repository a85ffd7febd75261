//! Feeds: each row's partner sends a good one first, and then this.

use super::payloads::{
    NAVER, bomb, csv, csv_but, elsewhere, encrypted_zip, gzip, item, laughs, naver_in_euc_kr, rss,
    workbook, zstd,
};
use super::{Case, WORKER, check_all, good_night, night};
use feedfleet_tests::{Fleet, Product, Reply, Server};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The partners' answers, by path.
type Answers = Arc<Mutex<HashMap<String, Reply>>>;

/// A row, with what its partner sends.
struct Row {
    case: Case,
    source: &'static str,
    good: Reply,
    bad: Reply,
}

/// The lines of `[source]` that say how to read it.
const CSV: &str = "format = \"csv\"";
const XML: &str = "format = \"google-xml\"";
const CSV_MAP: &str = r#"
[map]
id = "sku"
title = "name"
price = { field = "price", as = "money", currency = "EUR" }
availability_date = "from"
"#;
const PAGE: &str = "<!DOCTYPE html><html><body>We'll be back soon</body></html>";

fn of_csv(case: Case, bad: Reply) -> Row {
    Row { case, source: CSV, good: Reply::ok(csv(3)), bad }
}

fn of_xml(case: Case, bad: impl Into<Vec<u8>>) -> Row {
    Row { case, source: XML, good: Reply::ok(rss("", "")), bad: Reply::ok(bad) }
}

/// Promises 12, 15 and 16: a bad feed costs what is bad of it, within its limits, and no product that was
/// there.
#[test]
fn bad_feeds() {
    let answers = Answers::default();
    let served = Arc::clone(&answers);
    let server = Server::start(move |path, _| {
        let answers = served.lock().expect("no test panics in here");
        answers.get(path).cloned().unwrap_or_else(|| Reply::status(404))
    });
    let base_url = server.base_url();
    let rows: Vec<Row> = [
        no_feeds(),
        cut_short(),
        characters(),
        markup(&base_url),
        values(),
        without_end(),
        compressed(),
    ]
    .into_iter()
    .flatten()
    .chain(redirects())
    .collect();

    let allow = "[http]\nallow_private = [\"127.0.0.0/8\"]\n";
    let fleet = Fleet::with_fleet_toml(&format!("{WORKER}{allow}"));
    let answer = |row: &Row, reply: &Reply| {
        let mut answers = answers.lock().expect("no test panics in here");
        answers.insert(format!("/{}", row.case.name), reply.clone());
    };
    for row in &rows {
        let (name, source) = (row.case.name, row.source);
        // Only the source's own incompleteness holds anything back here.
        let rest = "[images]\nmirror = false\n[guard]\nmax_removed = \"100%\"\n";
        let map = if source.starts_with(CSV) { CSV_MAP } else { "" };
        let url = format!("url = \"{base_url}/{name}\"");
        fleet.pipe(name, &format!("[source]\n{url}\n{source}\n{map}{rest}"));
        answer(row, &row.good);
    }
    let mut worker = fleet.spawn(&["worker"]);
    let pipes: Vec<&str> = rows.iter().map(|row| row.case.name).collect();
    let before = good_night(&fleet, &pipes);
    rows.iter().for_each(|row| answer(row, &row.bad));
    night(&fleet, &pipes);

    let cases: Vec<Case> = rows.into_iter().map(|row| row.case).collect();
    check_all(&fleet, &cases, &before);
    assert_eq!(server.hits("/secret"), 0, "an external entity was fetched");
    let [one, other] = ["duplicates", "duplicates-reversed"].map(|pipe| contents(&fleet, pipe));
    assert_eq!(one, other, "who wins must not depend on the order");
    assert!(worker.is_running(), "{}", worker.stderr());
}

/// Id, title and price of each product.
fn contents(fleet: &Fleet, pipe: &str) -> Vec<(String, String, Option<i64>)> {
    let products = fleet.products(pipe);
    products.iter().map(|p| (p.id.clone(), p.title().to_owned(), p.price)).collect()
}

fn title<'a>(products: &'a [Product], id: &str) -> &'a str {
    products.iter().find(|product| product.id == id).map_or("", Product::title)
}

fn no_feeds() -> Vec<Row> {
    const NOTHING: &[&str] = &["not-a-feed", "the source sent nothing"];
    const A_PAGE: &[&str] = &["not-a-feed", "the source sent a web page"];
    vec![
        of_csv(Case::new("empty", "dead", NOTHING), Reply::ok("")),
        of_csv(Case::new("blank", "dead", NOTHING), Reply::ok("\n \r\n")),
        of_csv(Case::new("page", "dead", A_PAGE), Reply::ok(PAGE)),
        of_xml(Case::new("page-for-xml", "dead", A_PAGE), PAGE),
        of_xml(
            Case::new("error-for-xml", "dead", &["not-a-feed", "expected XML", "quota"]),
            "{\"error\": \"quota\"}",
        ),
        of_csv(
            Case::new("picture", "dead", &["not-a-feed", "a JPEG picture", "the pipe's url"]),
            Reply::ok(&b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"[..]),
        ),
        of_csv(
            Case::new("workbook", "dead", &["not-a-feed", "an Excel workbook", "ask the partner"]),
            Reply::ok(workbook()),
        ),
    ]
}

fn cut_short() -> Vec<Row> {
    let whole = csv(3);
    let without_last_line = &whole[..whole.trim_end().rfind('\n').map_or(0, |place| place + 1)];
    let in_last_line = &whole[..whole.len() - 14];
    let xml = rss("", "");
    let xml_cut = &xml[..xml.rfind("<g:price>").unwrap_or_default()];
    let (many, many_zipped) = (csv(3_000), gzip(csv(3_000).as_bytes()));
    let zipped_cut = many_zipped[..many_zipped.len() / 2].to_vec();
    vec![
        of_xml(Case::new("xml-cut", "held", &["truncated", "no closing </rss>"]), xml_cut),
        of_csv(
            // What is left of the last line still names its product, which therefore stays.
            Case::new("csv-cut", "done", &["truncated", "no line end", "3 unchanged, 1 refused"]),
            Reply::ok(in_last_line),
        ),
        // What came looks whole; only the length says that it is not.
        of_csv(
            Case::new("length-too-great", "held", &["truncated", "1 of 3 products are absent"]),
            Reply::ok(without_last_line).header("Content-Length", whole.len().to_string()),
        ),
        of_csv(
            Case::new("length-too-small", "done", &["truncated", "no line end"]),
            Reply::ok(whole.as_str()).header("Content-Length", in_last_line.len().to_string()),
        ),
        Row {
            case: Case::new("gzip-cut", "held", &["truncated", "of 3000 products are absent"]),
            source: CSV,
            good: Reply::ok(many),
            bad: Reply::ok(zipped_cut),
        },
    ]
}

fn characters() -> Vec<Row> {
    let mut label =
        Case::new("wrong-label", "done", &["encoding EUC-KR", "labelled UTF-8", "2 unchanged"]);
    label.products = |products| assert_eq!(title(products, "A2"), "겨울 코트 여성용");
    let mut control =
        Case::new("control-characters", "done", &["3 unchanged", "2 control characters taken out"]);
    control.products = |products| assert_eq!(title(products, "00000"), "Product 0");
    let dirty = csv_but("Product 0", "Pro\0duct\u{1} 0");
    vec![
        Row {
            case: label,
            source: "format = \"naver-ep\"",
            good: Reply::ok(NAVER),
            bad: Reply::ok(naver_in_euc_kr())
                .header("Content-Type", "text/tab-separated-values; charset=utf-8"),
        },
        of_csv(control, Reply::ok(format!("\u{feff}{dirty}"))),
    ]
}

fn markup(base_url: &str) -> Vec<Row> {
    let mut laughing =
        Case::new("entity-expansion", "done", &["1 new, 0 changed, 3 unchanged", "1 unknown ref"]);
    laughing.products = |products| assert_eq!(title(products, "4"), "&lol9;");
    let mut calling =
        Case::new("external-entity", "done", &["1 new, 0 changed, 3 unchanged", "2 unknown ref"]);
    calling.products = |products| assert_eq!(title(products, "4"), "&there;&here;");
    let wide = format!("<item><g:id>4</g:id><a {}/></item>", "b='c' ".repeat(800_000));
    let deep = format!("<item><g:id>4</g:id>{}</item>", "<a>".repeat(100_000));
    vec![
        of_xml(laughing, rss(&laughs(), &item("&lol9;"))),
        of_xml(calling, rss(&elsewhere(base_url), &item("&there;&here;"))),
        of_xml(
            Case::new("attributes", "done", &["1 refused", "1 × too-many-attributes"]),
            rss("", &wide),
        ),
        of_xml(Case::new("levels", "done", &["1 refused", "1 × too-deep"]), rss("", &deep)),
    ]
}

fn values() -> Vec<Row> {
    const TWICE: &[&str] = &["1 duplicates", "3 live"];
    let other = "00001,Another,9.90,2026-01-02\n";
    let head = "sku,name,price,from\n";
    let prices = csv(3).replace(",0.50,", ",NaN,").replace(",1.50,", ",-5,");
    let prices = prices.replace(",2.50,", ",a dozen,");
    vec![
        of_csv(
            Case::new("duplicates", "done", TWICE),
            Reply::ok(csv_but(head, &format!("{head}{other}"))),
        ),
        of_csv(
            Case::new("duplicates-reversed", "done", TWICE),
            Reply::ok(format!("{}{other}", csv(3))),
        ),
        of_csv(
            Case::new(
                "prices",
                "done",
                &["3 refused", "3 × bad-price", "'NaN'", "'-5'", "'a dozen'"],
            ),
            Reply::ok(prices),
        ),
        of_csv(
            Case::new("year-9999", "done", &["1 changed", "1 × bad-date", "'9999-12-31'"]),
            Reply::ok(csv_but("2026-01-02", "9999-12-31")),
        ),
    ]
}

fn without_end() -> Vec<Row> {
    let limited = |case, source, bad| Row { source, ..of_csv(case, bad) };
    let small = "format = \"csv\"\n[source.limits]\nmax_bytes = \"64KiB\"";
    let short = "format = \"csv\"\n[source.limits]\nmax_time = \"2s\"";
    let too_large: &[&str] = &["limit-exceeded", "the body is larger than 65536 bytes"];
    // One chunk of two gigabytes is announced, and a part of it sent.
    let endless = [&b"7fffffff\r\n"[..], &bomb(1 << 20)].concat();
    let slow = Reply { drip: Some((1, Duration::from_secs(1))), ..Reply::ok(csv(3)) };
    vec![
        limited(Case::new("too-large", "dead", too_large), small, Reply::ok(bomb(1 << 20))),
        limited(
            Case::new("endless", "dead", too_large),
            small,
            Reply::ok(endless).header("Transfer-Encoding", "chunked"),
        ),
        limited(
            Case::new(
                "byte-a-second",
                "dead",
                &["source-unavailable", "timed out before the whole body was there"],
            ),
            short,
            slow,
        ),
    ]
}

fn compressed() -> Vec<Row> {
    const RATIO: &[&str] = &["limit-exceeded", "inflates to more than 500 times its size"];
    let limited = "format = \"csv\"\n[source.limits]\nmax_inflated_bytes = \"1MiB\"";
    let large = bomb(64 << 20);
    let mut damaged = gzip(csv(3).as_bytes());
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 0xff;
    let nested = gzip(&gzip(&gzip(csv(3).as_bytes())));
    vec![
        of_csv(Case::new("gzip-bomb", "dead", RATIO), Reply::ok(gzip(&large))),
        of_csv(Case::new("zstd-bomb", "dead", RATIO), Reply::ok(zstd(&large))),
        Row {
            source: limited,
            ..of_csv(
                Case::new(
                    "inflated-limit",
                    "dead",
                    &["limit-exceeded", "inflates to more than 1048576 bytes"],
                ),
                Reply::ok(gzip(csv(60_000).as_bytes())),
            )
        },
        of_csv(
            Case::new("nested", "dead", &["limit-exceeded", "compressed more than 2 times over"]),
            Reply::ok(nested),
        ),
        of_csv(
            Case::new("gzip-damaged", "dead", &["source-unavailable", "is damaged"]),
            Reply::ok(damaged),
        ),
        of_csv(
            Case::new("encrypted", "dead", &["not-a-feed", "ask the partner", "without password"]),
            Reply::ok(encrypted_zip(csv(3).as_bytes())),
        ),
    ]
}

/// Promise 14, as far as redirects go; they are judged before anything is connected to.
fn redirects() -> Vec<Row> {
    const INSIDE: &[&str] = &["address-refused", "which is not a public address"];
    const SCHEME: &[&str] = &["address-refused", "is not http or https"];
    vec![
        to("to-private", INSIDE, "http://10.1.2.3/feed"),
        to("to-metadata", INSIDE, "http://169.254.169.254/latest/meta-data/"),
        to("to-shared", INSIDE, "http://100.64.0.1/feed"),
        to("to-mapped", INSIDE, "http://[::ffff:a9fe:a9fe]/feed"),
        to("to-nat64", INSIDE, "http://[64:ff9b::a9fe:a9fe]/feed"),
        to("to-6to4", INSIDE, "http://[2002:a9fe:a9fe::]/feed"),
        to("to-file", SCHEME, "file:///etc/passwd"),
        to("to-gopher", SCHEME, "gopher://shop.example/"),
        to("to-user", &["address-refused", "a user name or password"], "http://a:b@shop.example/"),
        to("to-service", &["address-refused", "port 6379"], "http://shop.example:6379/"),
        to("in-circles", &["source-unavailable", "redirected in a circle"], "/in-circles"),
    ]
}

fn to(name: &'static str, says: &'static [&'static str], location: &str) -> Row {
    of_csv(Case::new(name, "dead", says), Reply::status(302).header("Location", location))
}
