//! What worker and operator ask of S3 while a supplement runs and is rolled back, held against what their roles allow:
//! SeaweedFS refuses nothing to anybody.

use crate::infra::check_with;
use feedfleet_tests::aws::{AwsEnv, Fault, Proxy, Request, Rule, Service, Weed};
use feedfleet_tests::{Fleet, Output, Reply, Server, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// As the check of the templates names the bucket for data.
const BUCKET: &str = "data";
/// Long enough for a worker to start and do a run on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Somebody's way to S3, and what was seen on it: methods and paths.
struct Role {
    env: AwsEnv,
    made: Arc<Mutex<BTreeSet<(String, String)>>>,
    _proxy: Proxy,
}

impl Role {
    fn before(weed: &Weed) -> Self {
        let proxy = Proxy::before(&weed.url());
        let made = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&made);
        let note = move |request: &Request| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.insert((request.method.clone(), request.path.clone()));
            false
        };
        proxy.add(Rule::when(note, Fault::DropRequest));
        Self { env: AwsEnv::new().at(Service::S3, proxy.url()), made, _proxy: proxy }
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
        made.iter().map(|(method, path)| format!("{role} {method} {path}\n")).collect()
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
    fleet.write("requests", &lines);
    let requests = fleet.path("requests");
    check_with("check_requests.py", None, &[requests.as_path()]);
}
