//! Supplements: a second source of prices and stock, which says something of the pipe's products by their ids, on its
//! own, and survives nights, failures and rollbacks of the pipe.

use crate::faults::support::{commits, issue, killed_at, left, report, settled, stop};
use feedfleet_tests::{Fleet, Product, Reply, Server};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What is served, by path.
type Served = Arc<Mutex<HashMap<String, String>>>;

/// A shop that serves its catalogue and, beside it, what is in stock, with the pipe `shop` and its supplement.
struct Shop {
    fleet: Fleet,
    server: Server,
    served: Served,
}

impl Shop {
    fn new() -> Self {
        let served: Served = Arc::default();
        let handed = Arc::clone(&served);
        let server = Server::start(move |path, headers| {
            let served = handed.lock().expect("no test panics in here");
            let Some(feed) = served.get(path) else { return Reply::status(404) };
            let etag =
                format!("\"{:x}\"", feed.len() + feed.bytes().map(usize::from).sum::<usize>());
            let known = headers.iter().any(|(name, tag)| name == "if-none-match" && *tag == etag);
            let reply = if known { Reply::status(304) } else { Reply::ok(feed.clone()) };
            reply.header("ETag", etag)
        });
        let fleet = Fleet::new();
        let url = server.base_url();
        fleet.pipe(
            "shop",
            &format!(
                "[source]\nurl = \"{url}/feed\"\nformat = \"csv\"\n\
                 [map]\nid = \"sku\"\ntitle = \"name\"\n\
                 price = {{ field = \"price\", as = \"money\", currency = \"EUR\" }}\n\
                 [images]\nmirror = false\n[guard]\nmin_records = \"0%\"\n\
                 [supplements.stock]\n\
                 [supplements.stock.source]\nurl = \"{url}/stock\"\nformat = \"csv\"\n\
                 [supplements.stock.map]\nid = \"sku\"\nstock_quantity = \"qty\"\n\
                 price = {{ field = \"price\", as = \"money\", currency = \"EUR\" }}\n\
                 [supplements.stock.guard]\nmax_removed = \"50%\"\nmin_records = \"0%\"\n"
            ),
        );
        Self { fleet, server, served }
    }

    fn serve(&self, path: &str, feed: String) {
        let mut served = self.served.lock().expect("no handler panics");
        served.insert(path.to_owned(), feed);
    }

    /// The catalogue: ids and prices.
    fn feed(&self, products: &[(&str, u32)]) {
        let line = |(id, price): &(&str, u32)| format!("{id},Product {id},{price}\n");
        let lines: String = products.iter().map(line).collect();
        self.serve("/feed", format!("sku,name,price\n{lines}"));
    }

    /// What is in stock: ids, prices and quantities.
    fn stock(&self, products: &[(&str, u32, u32)]) {
        let line = |(id, price, qty): &(&str, u32, u32)| format!("{id},{price},{qty}\n");
        let lines: String = products.iter().map(line).collect();
        self.serve("/stock", format!("sku,price,qty\n{lines}"));
    }

    /// A run, which must come to its end.
    fn run(&self, source: &str) -> Value {
        let report = self.fleet.run_pipe(source);
        assert_eq!(report["state"], "done", "{report:#}");
        report
    }

    /// What the table shows: id, price and quantity.
    fn shown(&self) -> Vec<(String, i64, i64)> {
        let brief = |p: Product| {
            let quantity = p.integers.get("stock_quantity").copied().unwrap_or(NONE);
            (p.id.clone(), p.price.unwrap_or(0) / 10_000, quantity)
        };
        self.fleet.products("shop").into_iter().map(brief).collect()
    }
}

/// What the table shows of a product without a quantity.
const NONE: i64 = -1;

fn row(id: &str, price: i64, quantity: i64) -> (String, i64, i64) {
    (id.to_owned(), price, quantity)
}

fn count(report: &Value, name: &str) -> u64 {
    report["counts"][name].as_u64().unwrap_or_else(|| panic!("no count {name}: {report:#}"))
}

#[test]
fn a_supplement_says_what_it_says_whichever_run_comes_last() {
    let shop = Shop::new();
    shop.feed(&[("a", 5), ("b", 5), ("c", 5)]);
    shop.stock(&[("a", 4, 7), ("b", 6, 0), ("z", 1, 1)]);
    shop.run("shop");
    let stocked = shop.run("shop.stock");
    assert_eq!(shop.shown(), [row("a", 4, 7), row("b", 6, 0), row("c", 5, NONE)]);
    assert_eq!((count(&stocked, "seen"), count(&stocked, "changed")), (3, 2), "{stocked:#}");
    assert_eq!((count(&stocked, "live"), count(&stocked, "new")), (3, 0), "{stocked:#}");
    // What the pipe does not have is told, and does not make a product.
    let noted = &stocked["warnings"][0];
    assert_eq!((noted["reason"].as_str(), noted["count"].as_u64()), (Some("not-in-pipe"), Some(1)));
    assert_eq!(noted["samples"][0]["value"], "z");
    // The row keeps what its own source says.
    let a = shop.fleet.products("shop").remove(0);
    assert_eq!(a.source_values.get("price").map(String::as_str), Some("50000"));
    assert_eq!(a.run, stocked["run"].as_i64().expect("a run has a number"));

    // A night on which nothing changed, and one on which prices did and a product came of which the supplement spoke.
    assert_eq!(shop.run("shop")["source"]["not_modified"], true);
    shop.feed(&[("a", 8), ("b", 8), ("c", 5), ("z", 9)]);
    let night = shop.run("shop");
    let supplemented = [row("a", 4, 7), row("b", 6, 0), row("c", 5, NONE), row("z", 1, 1)];
    assert_eq!(shop.shown(), supplemented);
    assert_eq!((count(&night, "new"), count(&night, "changed")), (1, 2), "{night:#}");

    // It speaks of a no more: what the source says by now shows again, without another night.
    shop.stock(&[("b", 6, 0), ("z", 1, 1)]);
    assert_eq!(count(&shop.run("shop.stock"), "changed"), 1);
    let shown = [row("a", 8, NONE), row("b", 6, 0), row("c", 5, NONE), row("z", 1, 1)];
    assert_eq!(shop.shown(), shown);
    assert_eq!(shop.run("shop.stock")["source"]["not_modified"], true);
    assert_eq!(shop.run("shop")["counts"]["changed"], 0);
    assert_eq!(shop.shown(), shown);

    let fleet = &shop.fleet;
    fleet.run(&["runs", "list", "shop"]).ok().says(&["shop.stock"]);
    fleet.run(&["runs", "show", "shop.stock"]).ok().says(&["shop.stock/", "4 live"]);
    fleet.run(&["pipes", "list"]).ok().says(&["shop.stock", "/stock"]);
    fleet.run(&["pipes", "check", "shop.stock"]).ok().says(&["shop.toml: ok"]);
    fleet.run(&["pipes", "preview", "shop.stock"]).ok().says(&["stock_quantity"]);
    fleet.run(&["run", "shop.stok"]).failed().says(&["did you mean 'shop.stock'?"]);
    // Of what it read, only the last is kept.
    let kept = std::fs::read_dir(fleet.path("var/objects/supplements/shop.stock"));
    assert!(kept.expect("a folder").count() <= 2);
}

/// A supplement that is taken out of the configuration says nothing any more.
#[test]
fn a_supplement_that_is_gone_leaves_the_source_as_it_is() {
    let shop = Shop::new();
    shop.feed(&[("a", 5), ("b", 5)]);
    shop.stock(&[("a", 4, 7)]);
    shop.run("shop");
    shop.run("shop.stock");
    assert_eq!(shop.shown(), [row("a", 4, 7), row("b", 5, NONE)]);
    let path = shop.fleet.path("pipes/shop.toml");
    let text = std::fs::read_to_string(path).expect("the test wrote it");
    let without = text.split("[supplements.stock]").next().expect("a text has a beginning");
    shop.fleet.pipe("shop", without);
    assert_eq!(count(&shop.run("shop"), "changed"), 1);
    assert_eq!(shop.shown(), [row("a", 5, NONE), row("b", 5, NONE)]);
    assert!(shop.fleet.products("shop").iter().all(|p| p.source_values.is_empty()));
    shop.fleet.run(&["run", "shop.stock", "--wait"]).failed().says(&["no pipe 'shop.stock'"]);
}

/// Promise 12: a source of stock that was cut off, is no feed or lacks most of what it had takes no value away.
#[test]
fn a_failed_or_absurd_supplement_takes_nothing_away() {
    let shop = Shop::new();
    let ids = ["a", "b", "c", "d"];
    shop.feed(&ids.map(|id| (id, 5)));
    shop.stock(&ids.map(|id| (id, 4, 7)));
    shop.run("shop");
    shop.run("shop.stock");
    let before = ids.map(|id| row(id, 4, 7));
    assert_eq!(shop.shown(), before);

    shop.serve("/stock", "<!doctype html><html><body>We are back soon</body></html>".to_owned());
    shop.fleet.run_pipe_dead("shop.stock");
    assert_eq!(shop.shown(), before);

    // Nor one that has another name for what is mapped.
    shop.serve("/stock", "sku,cost,qty\na,3,1\nb,3,1\nc,3,1\nd,3,1\n".to_owned());
    let report = shop.fleet.run_pipe_dead("shop.stock");
    assert_eq!(report["reason"]["class"], "configuration", "{report:#}");
    assert_eq!(shop.shown(), before);

    // What it says of the one counts all the same; a record that cannot be read costs its product nothing.
    shop.serve("/stock", "sku,price,qty\na,3,1\nb,nonsense,1\n".to_owned());
    let report = shop.run("shop.stock");
    assert_eq!((count(&report, "absent"), count(&report, "refused")), (0, 1), "{report:#}");
    // Two of four: no more than max_removed allows.
    assert_eq!(
        shop.shown(),
        [row("a", 3, 1), row("b", 4, 7), row("c", 5, NONE), row("d", 5, NONE)]
    );

    shop.stock(&ids.map(|id| (id, 4, 7)));
    shop.run("shop.stock");
    shop.stock(&[("a", 2, 2)]);
    let report = shop.run("shop.stock");
    assert_eq!(count(&report, "absent"), 3, "{report:#}");
    let why = report["reason"]["message"].as_str().expect("it is told");
    assert!(why.contains("3 of 4 products") && why.contains("max_removed"), "{why}");
    assert_eq!(shop.shown(), [row("a", 2, 2), row("b", 4, 7), row("c", 4, 7), row("d", 4, 7)]);
}

/// Promises 1 and 5: a worker that is killed before or after the commit of a supplement loses nothing and does nothing
/// twice; the pipe's next run waits for it in their group.
#[test]
fn a_supplement_survives_its_worker() {
    for point in ["crawl.before-commit", "crawl.committed"] {
        let shop = Shop::new();
        let fleet = &shop.fleet;
        shop.feed(&[("a", 5), ("b", 5)]);
        shop.stock(&[("a", 4, 7)]);
        shop.run("shop");
        let stock = issue(fleet, "shop.stock");
        let night = issue(fleet, "shop");
        drop(killed_at(fleet, point));
        let mut worker = fleet.spawn(&["worker"]);
        let stocked = settled(fleet, "shop.stock", stock);
        let ended = settled(fleet, "shop", night);
        stop(&mut worker);
        assert_eq!(stocked["state"], "done", "{stocked:#}");
        assert_eq!(ended["state"], "done", "{ended:#}");
        assert_eq!(count(&report(fleet, "shop.stock", stock), "changed"), 1, "{stocked:#}");
        assert_eq!(shop.shown(), [row("a", 4, 7), row("b", 5, NONE)], "{point}");
        let apps: Vec<String> = commits(fleet).into_iter().map(|commit| commit.app).collect();
        assert_eq!(apps, ["shop/feed", "shop.stock/feed", "shop/feed"], "{point}");
        assert_eq!(left(fleet, "crawl"), 0);
    }
}

/// Promise 5: an attempt that died has settled what its run commits; what the source says since comes with the next run,
/// and is not taken for known.
#[test]
fn what_a_source_says_after_an_attempt_has_died_is_not_lost() {
    let shop = Shop::new();
    let fleet = &shop.fleet;
    shop.feed(&[("a", 5)]);
    shop.stock(&[("a", 4, 7)]);
    shop.run("shop");
    shop.run("shop.stock");
    let stock = issue(fleet, "shop.stock");
    drop(killed_at(fleet, "crawl.before-commit"));
    shop.stock(&[("a", 3, 1)]);
    let mut worker = fleet.spawn(&["worker"]);
    let settled = settled(fleet, "shop.stock", stock);
    stop(&mut worker);
    assert_eq!(settled["state"], "done", "{settled:#}");
    shop.run("shop.stock");
    assert_eq!(shop.shown(), [row("a", 3, 1)]);
}

/// A rollback names a run of whichever source was wrong, and keeps all of the pipe's from running.
#[test]
fn a_pipe_is_put_back_to_a_run_of_its_supplement() {
    let shop = Shop::new();
    let fleet = &shop.fleet;
    shop.feed(&[("a", 5), ("b", 5)]);
    shop.stock(&[("a", 4, 7)]);
    shop.run("shop");
    let good = shop.run("shop.stock")["run"].to_string();
    let before = fleet.products("shop");
    shop.stock(&[("a", 0, 0), ("b", 0, 0)]);
    shop.run("shop.stock");
    assert_eq!(shop.shown(), [row("a", 0, 0), row("b", 0, 0)]);

    let done = fleet.run(&["runs", "rollback", "shop.stock", &good]).ok();
    done.says(&["'shop' is as it was after run shop.stock/", "feedfleet pipes resume shop"]);
    assert_eq!(fleet.products("shop"), before);
    for source in ["shop", "shop.stock"] {
        fleet.run(&["run", source]).failed().says(&["'shop' is paused", "pipes resume shop"]);
    }

    // The source is as it was, and must be read all the same.
    fleet.run(&["pipes", "resume", "shop"]).ok();
    let asked = shop.server.hits("/stock");
    let again = shop.run("shop.stock");
    assert_eq!(shop.server.hits("/stock"), asked + 1);
    assert_eq!(again["source"]["not_modified"], false, "{again:#}");
    assert_eq!(shop.shown(), [row("a", 0, 0), row("b", 0, 0)]);
}
