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
        let fleet = Fleet::with_short_leases();
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
    assert_eq!(a.source_values.get("price").map(String::as_str), Some("5.0000"));
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
    shop.fleet.run(&["run", "shop.stock", "--wait"]).failed().says(&["has no supplement 'stock'"]);
}

/// Also where the pipe's source does not speak of a product: what nobody says any more is not held with it.
#[test]
fn a_supplement_that_is_gone_is_gone_from_products_that_are_held() {
    let shop = Shop::new();
    let ids = ["a", "b", "c"];
    shop.feed(&ids.map(|id| (id, 5)));
    shop.stock(&ids.map(|id| (id, 4, 7)));
    shop.run("shop");
    shop.run("shop.stock");
    let path = shop.fleet.path("pipes/shop.toml");
    let text = std::fs::read_to_string(path).expect("the test wrote it");
    let without = text.split("[supplements.stock]").next().expect("a text has a beginning");
    shop.fleet.pipe("shop", without);
    shop.feed(&[("a", 5)]);
    let report = shop.fleet.run_pipe("shop");
    assert_eq!((report["state"].as_str(), count(&report, "held")), (Some("held"), 2));
    assert_eq!(count(&report, "changed"), 3, "{report:#}");
    assert_eq!(shop.shown(), ids.map(|id| row(id, 5, NONE)));
    shop.feed(&ids.map(|id| (id, 5)));
    assert_eq!(count(&shop.run("shop"), "changed"), 0);
}

/// The objects of the supplement: its states and values.
fn objects_of_stock(shop: &Shop) -> Vec<std::path::PathBuf> {
    let folder = shop.fleet.path("var/objects/supplements/shop.stock");
    let entries = std::fs::read_dir(folder).expect("the supplement has run");
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

/// What a supplement said is in the rows: where its objects are damaged or gone, neither a night nor its own next run
/// loses it.
#[test]
fn values_that_are_lost_are_those_that_rows_show() {
    let shop = Shop::new();
    let path = shop.fleet.path("pipes/shop.toml");
    let text = std::fs::read_to_string(path).expect("the test wrote it");
    let source = "[supplements.stock.source]\n";
    shop.fleet.pipe("shop", &text.replace(source, &format!("{source}changes_only = true\n")));
    shop.feed(&[("a", 5), ("b", 5)]);
    shop.stock(&[("a", 4, 7), ("b", 6, 0)]);
    shop.run("shop");
    shop.run("shop.stock");

    for path in objects_of_stock(&shop).iter().filter(|path| path.extension().is_none()) {
        let values = std::fs::read(path).expect("values");
        std::fs::write(path, &values[..values.len() / 2]).expect("a writable folder");
    }
    shop.feed(&[("a", 8), ("b", 8)]);
    let night = shop.run("shop");
    assert_eq!(night["warnings"][0]["reason"], "supplement-values-lost", "{night:#}");
    let shown = [row("a", 4, 7), row("b", 6, 0)];
    assert_eq!(shop.shown(), shown);

    for path in objects_of_stock(&shop) {
        std::fs::remove_file(path).expect("a writable folder");
    }
    shop.stock(&[("a", 3, 1)]);
    let stocked = shop.run("shop.stock");
    assert_eq!(stocked["warnings"][0]["reason"], "supplement-values-lost", "{stocked:#}");
    let shown = [row("a", 3, 1), row("b", 6, 0)];
    assert_eq!(shop.shown(), shown);
    shop.feed(&[("a", 9), ("b", 9)]);
    let night = shop.run("shop");
    assert_eq!(night["warnings"].as_array().map(Vec::len), Some(0), "{night:#}");
    assert_eq!(shop.shown(), shown);
}

/// Promise 12: an export that went wrong, with a column that is empty in all records, takes no value away.
#[test]
fn a_column_that_is_emptied_keeps_what_it_said() {
    let shop = Shop::new();
    let ids: Vec<String> = (10..35).map(|n| format!("p{n}")).collect();
    let all = |price, qty| ids.iter().map(|id| row(id, price, qty)).collect::<Vec<_>>();
    shop.feed(&ids.iter().map(|id| (id.as_str(), 5)).collect::<Vec<_>>());
    shop.stock(&ids.iter().map(|id| (id.as_str(), 4, 7)).collect::<Vec<_>>());
    shop.run("shop");
    shop.run("shop.stock");
    assert_eq!(shop.shown(), all(4, 7));

    let lines: String = ids.iter().map(|id| format!("{id},3,\n")).collect();
    shop.serve("/stock", format!("sku,price,qty\n{lines}"));
    let report = shop.run("shop.stock");
    let why = report["reason"]["message"].as_str().expect("it is told");
    assert!(why.contains("stock_quantity") && why.contains("25 products"), "{why}");
    assert_eq!(count(&report, "absent"), 25, "{report:#}");
    assert_eq!(shop.shown(), all(3, 7));

    // A few have it: so it is meant that the others do not.
    let rest: String = ids[1..].iter().map(|id| format!("{id},3,\n")).collect();
    shop.serve("/stock", format!("sku,price,qty\n{},3,2\n{rest}", ids[0]));
    shop.run("shop.stock");
    let mut expected = all(3, NONE);
    expected[0] = row(&ids[0], 3, 2);
    assert_eq!(shop.shown(), expected);
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
    assert!(
        why.contains("3 of 4 products") && why.contains("in [supplements.stock.guard]"),
        "{why}"
    );
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

    let rollback = ["runs", "rollback", "shop.stock", good.as_str()];
    let forgets = "have it send everything once";
    fleet.run(&[&rollback[..], &["--dry-run"][..]].concat()).ok().says(&[forgets]);
    let done = fleet.run(&rollback).ok();
    let told = "'shop' is as it was after run shop.stock/";
    done.says(&[forgets, told, "feedfleet pipes resume shop", "feedfleet run shop.stock"]);
    assert_eq!(fleet.products("shop"), before);
    for source in ["shop", "shop.stock"] {
        fleet.run(&["run", source]).failed().says(&["'shop' is paused", "pipes resume shop"]);
    }

    fleet.run(&["pipes", "list"]).ok().says(&["shop is paused with its supplements since"]);
    let told = &["no pause of its own", "'shop' is paused since", "feedfleet pipes resume shop"];
    fleet.run(&["pipes", "resume", "shop.stock"]).ok().says(told);

    // What was wrong counts no more, for rows that change neither: what was put back does.
    fleet.run(&["pipes", "resume", "shop"]).ok();
    shop.feed(&[("a", 9), ("b", 6)]);
    let night = shop.run("shop");
    assert_eq!(shop.shown(), [row("a", 4, 7), row("b", 6, NONE)]);
    assert_eq!(night["warnings"][0]["reason"], "supplement-rolled-back", "{night:#}");

    // The source is as it was, and must be read all the same.
    let asked = shop.server.hits("/stock");
    let again = shop.run("shop.stock");
    assert_eq!(shop.server.hits("/stock"), asked + 1);
    assert_eq!(again["source"]["not_modified"], false, "{again:#}");
    assert_eq!(shop.shown(), [row("a", 0, 0), row("b", 0, 0)]);
}

/// What a supplement had said by the run that is gone back to counts still, also where no row shows it, as the pipe's own
/// source said the same.
#[test]
fn a_rollback_forgets_nothing_that_was_said_by_then() {
    let shop = Shop::new();
    let fleet = &shop.fleet;
    shop.feed(&[("a", 4), ("b", 5)]);
    shop.stock(&[("a", 4, 7)]);
    shop.run("shop");
    let good = shop.run("shop.stock")["run"].to_string();
    shop.feed(&[("a", 1), ("b", 1)]);
    shop.run("shop");
    let unchanged = shop.run("shop.stock");
    assert_eq!(unchanged["source"]["not_modified"], true, "{unchanged:#}");
    assert_eq!(shop.shown(), [row("a", 4, 7), row("b", 1, NONE)]);

    let done = fleet.run(&["runs", "rollback", "shop.stock", &good]).ok();
    assert!(!done.all().contains("forgotten"), "{}", done.all());
    // As before the supplement's next run: the pipe's own had come by then.
    assert_eq!(shop.shown(), [row("a", 4, 7), row("b", 1, NONE)]);
    fleet.run(&["pipes", "resume", "shop"]).ok();
    shop.feed(&[("a", 9), ("b", 6)]);
    let night = shop.run("shop");
    assert_eq!(night["warnings"].as_array().map(Vec::len), Some(0), "{night:#}");
    assert_eq!(shop.shown(), [row("a", 4, 7), row("b", 6, NONE)]);
}
