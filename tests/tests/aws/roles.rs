//! What worker and operator ask of S3 and SQS, held against what their roles allow: SeaweedFS and ministack refuse nothing
//! to anybody.

use crate::infra::check_with;
use feedfleet_tests::aws::{
    AwsEnv, Fault, Ministack, Proxy, QueuePair, Queues, Request, Rule, Service, Weed, aws_at,
};
use feedfleet_tests::{Fleet, Output, Reply, Server, eventually};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// As the check of the templates names the bucket for data.
const BUCKET: &str = "data";
/// Long enough for a worker to start and do a run on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Somebody's way to AWS, and what was seen on it, as `check_requests.py` takes it.
struct Role {
    env: AwsEnv,
    made: Arc<Mutex<BTreeSet<String>>>,
    proxies: Vec<Proxy>,
}

impl Role {
    fn before(weed: &Weed) -> Self {
        let role = Self { env: AwsEnv::new(), made: Arc::default(), proxies: Vec::new() };
        role.at(Service::S3, &weed.url(), |request| format!("{} {}", request.method, request.path))
    }

    /// `names`: what the queues at these addresses are called in the templates.
    fn and_before(self, ministack: &Ministack, names: BTreeMap<String, &'static str>) -> Self {
        self.at(Service::Sqs, &ministack.url(), move |request| {
            let body: Value = serde_json::from_slice(&request.body).expect("SQS speaks JSON");
            let queue = body["QueueUrl"].as_str().expect("every call is about a queue");
            format!("SQS {} {}", request.operation, names[queue])
        })
    }

    fn at(
        mut self,
        service: Service,
        url: &str,
        line: impl Fn(&Request) -> String + Send + Sync + 'static,
    ) -> Self {
        let proxy = Proxy::before(url);
        let noted = Arc::clone(&self.made);
        let note = move |request: &Request| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(line(request));
            false
        };
        proxy.add(Rule::when(note, Fault::DropRequest));
        self.env = self.env.at(service, proxy.url());
        self.proxies.push(proxy);
        self
    }

    fn command(&self, fleet: &Fleet, args: &[&str]) -> Command {
        let mut command = fleet.command(args);
        self.env.set(&mut command);
        command
    }

    fn ask(&self, fleet: &Fleet, args: &[&str]) -> Output {
        fleet.finish(self.command(fleet, args)).ok()
    }

    /// The lines that `check_requests.py` takes.
    fn lines(&self, role: &str) -> String {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().map(|request| format!("{role} {request}\n")).collect()
    }
}

#[test]
fn a_supplement_and_its_rollback_take_what_their_roles_allow() {
    let Some(weed) = Weed::start() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(weed.bucket(BUCKET));
    let stock = Arc::new(Mutex::new("sku,price\n1,4\n"));
    let served = Arc::clone(&stock);
    let server = Server::start(move |path, _| match path {
        "/feed" => Reply::ok("sku,name,price\n1,Lamp,5\n2,Chair,6\n"),
        _ => Reply::ok(*served.lock().unwrap_or_else(PoisonError::into_inner)),
    });
    let fleet = Fleet::with_fleet_toml(&format!(
        "[catalog]\nurl = \"s3://{BUCKET}/catalog\"\n[objects]\nurl = \"s3://{BUCKET}/objects\"\n\
         [http]\nallow_private = [\"127.0.0.0/8\"]\n"
    ));
    let url = server.base_url();
    let price = "price = { field = \"price\", as = \"money\", currency = \"EUR\" }\n";
    fleet.pipe(
        "shop",
        &format!(
            "[source]\nurl = \"{url}/feed\"\nformat = \"csv\"\n\
             [map]\nid = \"sku\"\ntitle = \"name\"\n{price}[images]\nmirror = false\n\
             [supplements.stock.source]\nurl = \"{url}/stock\"\nformat = \"csv\"\n\
             [supplements.stock.map]\nid = \"sku\"\n{price}"
        ),
    );
    let (operator, worker) = (Role::before(&weed), Role::before(&weed));
    let mut working = fleet.start(worker.command(&fleet, &["worker"]));
    let run = |source: &str| -> Value {
        operator.ask(&fleet, &["run", source]);
        eventually(SOON, "the run to be done", || {
            let report = operator.ask(&fleet, &["runs", "show", source, "--json"]).json();
            (report["state"] == "done").then_some(report)
        })
    };
    run("shop");
    let good = run("shop.stock")["run"].to_string();
    *stock.lock().unwrap_or_else(PoisonError::into_inner) = "sku,price\n1,0\n2,0\n";
    run("shop.stock");
    operator.ask(&fleet, &["runs", "rollback", "shop.stock", &good]).says(&["forgotten"]);
    operator.ask(&fleet, &["pipes", "resume", "shop"]);
    run("shop");
    run("shop.stock");
    working.signal("TERM");
    let ended = working.wait(SOON);
    assert!(ended.success(), "{ended}: {}", working.stderr());

    let lines = [operator.lines("operator"), worker.lines("worker")].concat();
    for (role, method) in [("operator", "DELETE"), ("worker", "PUT")] {
        let made = format!("{role} {method} /{BUCKET}/objects/supplements/shop.stock/");
        assert!(lines.contains(&made), "no {made} in:\n{lines}");
    }
    assert_allowed(&fleet, &lines);
}

fn assert_allowed(fleet: &Fleet, lines: &str) {
    fleet.write("requests", lines);
    let requests = fleet.path("requests");
    check_with("check_requests.py", None, &[requests.as_path()]);
}

/// A crawl that is longer than its slice sends its own continuation, which is the one crawl that a worker sends.
#[test]
fn a_crawl_in_slices_takes_what_a_workers_role_allows() {
    const PAGES: u64 = 12;
    let Some(weed) = Weed::start() else { return };
    let Some(ministack) = Ministack::start() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let (crawl, image): (QueuePair, QueuePair) = runtime.block_on(async {
        weed.bucket(BUCKET).await;
        let queues = Queues::new(&aws_at(&ministack.url()).await);
        (queues.pair(25).await, queues.pair(25).await)
    });
    let server = Server::start(|path, _| match path {
        "/robots.txt" => Reply::ok("User-agent: *\nCrawl-delay: 0.4\nSitemap: /sitemap.xml\n"),
        "/sitemap.xml" => {
            let page = |n| format!("<url><loc>/p/{n}</loc></url>");
            let pages: String = (0..PAGES).map(page).collect();
            let namespace = "http://www.sitemaps.org/schemas/sitemap/0.9";
            Reply::ok(format!(
                "<?xml version=\"1.0\"?><urlset xmlns=\"{namespace}\">{pages}</urlset>"
            ))
        }
        "/" => Reply::ok("<!DOCTYPE html><title>Shop</title><h1>Shop</h1>"),
        path => Reply::ok(format!(
            "<!DOCTYPE html><title>Lamp</title><script type=\"application/ld+json\">\
             {{\"@context\":\"https://schema.org\",\"@type\":\"Product\",\"name\":\"Lamp\",\"sku\":\"{path}\"}}\
             </script><h1>Lamp</h1>"
        )),
    });
    let fleet = Fleet::with_fleet_toml(&format!(
        "[queue]\nbackend = \"sqs\"\ncrawl_url = \"{}\"\ncrawl_dead_url = \"{}\"\n\
         image_url = \"{}\"\nimage_dead_url = \"{}\"\n\
         [catalog]\nurl = \"s3://{BUCKET}/catalog\"\n[objects]\nurl = \"s3://{BUCKET}/objects\"\n\
         [http]\nallow_private = [\"127.0.0.0/8\"]\n",
        crawl.url, crawl.dead_url, image.url, image.dead_url
    ));
    let url = server.base_url();
    fleet.pipe(
        "shop",
        &format!(
            "[source]\nkind = \"site\"\nurl = \"{url}/\"\n[source.site]\nproduct = \"/p/*\"\nslice = \"1s\"\n\
             [images]\nmirror = false\n"
        ),
    );
    let names = BTreeMap::from([
        (crawl.url, "crawl"),
        (crawl.dead_url, "crawl-dead"),
        (image.url, "image"),
        (image.dead_url, "image-dead"),
    ]);
    let [operator, worker] =
        [(); 2].map(|()| Role::before(&weed).and_before(&ministack, names.clone()));
    let mut working = fleet.start(worker.command(&fleet, &["worker"]));
    operator.ask(&fleet, &["run", "shop"]);
    let report = eventually(SOON, "the run to be done", || {
        let report = operator.ask(&fleet, &["runs", "show", "shop", "--json"]).json();
        (report["state"] == "done").then_some(report)
    });
    working.signal("TERM");
    let ended = working.wait(SOON);
    assert!(ended.success(), "{ended}: {}", working.stderr());
    assert_eq!(report["counts"]["live"], PAGES, "{report:#}");

    let lines = [operator.lines("operator"), worker.lines("worker")].concat();
    assert!(lines.contains("worker SQS SendMessageBatch crawl\n"), "not in slices:\n{lines}");
    assert_allowed(&fleet, &lines);
}
