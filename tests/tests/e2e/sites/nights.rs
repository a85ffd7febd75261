//! Nights of a shop: what is new, what is unchanged, and what may be taken for gone.

use super::shop::Shop;
use feedfleet_tests::{Fleet, Reply, Server};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

#[track_caller]
fn assert_counts(report: &Value, expected: &[(&str, u64)]) {
    for (name, count) in expected {
        assert_eq!(report["counts"][name], *count, "{name} in {report:#}");
    }
}

/// The count of a warning.
fn warned(report: &Value, reason: &str) -> u64 {
    let warnings = report["warnings"].as_array().expect("a report lists its warnings");
    let of_reason = warnings.iter().find(|warning| warning["reason"] == reason);
    of_reason.and_then(|warning| warning["count"].as_u64()).unwrap_or(0)
}

/// Sitemaps, links, robots.txt, conditional requests, and a product that is gone.
#[test]
fn three_nights_of_a_shop() {
    let shop = Shop::new(45, |mood| mood.has_tags = true);
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "");
    let first = fleet.run_pipe("shop");
    assert_eq!(first["state"], "done", "{first:#}");
    assert_counts(&first, &[("seen", 45), ("new", 45), ("live", 45), ("refused", 0)]);
    assert_eq!(first["source"]["complete"], true, "{first:#}");
    let products = fleet.products("shop");
    let product = products.iter().find(|product| product.id == "S7").expect("it is there");
    assert_eq!(product.brief(), ("S7", "Product 7", 99_900));
    assert_eq!(product.text("price_currency"), "EUR");
    assert!(products.iter().all(|product| product.extra.is_empty()), "{:?}", products[0].extra);
    assert!(shop.sent().values().all(|sent| *sent == 1), "{:?}", shop.sent());
    assert_eq!(shop.server.hits("/private/1"), 0, "robots.txt forbids it");
    assert_eq!((shop.server.hits("/robots.txt"), shop.server.hits("/sitemap.xml")), (1, 1));

    // Unchanged: no product page is sent again, and every product is there.
    let second = fleet.run_pipe("shop");
    assert_counts(&second, &[("seen", 45), ("new", 0), ("unchanged", 45), ("removed", 0)]);
    assert_eq!(shop.mood().unchanged, 45);
    assert!(shop.sent().values().all(|sent| *sent == 1), "{:?}", shop.sent());

    // One is gone, one is new, all prices are others.
    {
        let mut mood = shop.mood();
        mood.failing.insert(3, 404);
        (mood.products, mood.cents) = (46, 1_099);
    }
    let third = fleet.run_pipe("shop");
    assert_counts(&third, &[("new", 1), ("changed", 44), ("removed", 1), ("live", 45)]);
    assert!(!Shop::live(&fleet, "shop").contains("S3"));
    assert_eq!(shop.mood().unchanged, 45);

    // A replay reads the rows, and asks nobody.
    let asked: usize = shop.sent().values().sum();
    let run = first["run"].to_string();
    let replay = fleet.run(&["run", "shop", "--replay", &run, "--wait", "--json"]).ok().json();
    assert_counts(&replay, &[("seen", 45), ("new", 1), ("removed", 1), ("live", 45)]);
    assert_eq!(shop.sent().values().sum::<usize>(), asked);
}

/// An index names a sitemap and a packed one, and those the products, with pictures for pages that show none: also for
/// pages that something links to, and in later nights, when they are known before.
#[test]
fn an_index_of_sitemaps_names_products_and_pictures() {
    let shop = Shop::new(10, |mood| mood.has_index = true);
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "");
    let base = shop.server.base_url();
    let pictures = (0..10).map(|n| (format!("S{n}"), format!("{base}/pictures/{n}.jpg")));
    let pictures: Vec<_> = pictures.collect();
    for (cents, expected) in
        [(999, [("new", 10), ("live", 10)]), (888, [("changed", 10), ("live", 10)])]
    {
        shop.mood().cents = cents;
        let report = fleet.run_pipe("shop");
        assert_counts(&report, &expected);
        assert_eq!(report["source"]["complete"], true, "{report:#}");
        let products = fleet.products("shop");
        let found = products.iter().map(|p| (p.id.clone(), p.text("image_link").to_owned()));
        assert_eq!(found.collect::<Vec<_>>(), pictures);
    }
}

/// In a night in which a sitemap cannot be read, what it said of pictures counts on. When all can be read, what they say
/// counts, also of pages that are unchanged.
#[test]
fn pictures_outlast_a_sitemap_that_cannot_be_read() {
    let shop = Shop::new(10, |mood| (mood.has_index, mood.has_tags) = (true, true));
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "");
    let base = shop.server.base_url();
    let shown = |fleet: &Fleet| {
        let products = fleet.products("shop");
        products.iter().map(|product| product.text("image_link").to_owned()).collect::<Vec<_>>()
    };
    let pictures =
        |at: &str| (0..10).map(|n| format!("{base}{at}/{n}.jpg")).collect::<Vec<String>>();
    fleet.run_pipe("shop");
    assert_eq!(shown(&fleet), pictures("/pictures"));

    // The second sitemap is forbidden, then it comes after the pages, then all of them are gone; every page is another.
    for (cents, answers, is_gone, broken) in
        [(888, vec![403], false, 1), (777, vec![500], false, 0), (666, vec![], true, 0)]
    {
        {
            let mut mood = shop.mood();
            (mood.cents, mood.lacks_sitemap, mood.second_sitemap) = (cents, is_gone, answers);
        }
        let report = fleet.run_pipe("shop");
        assert_counts(&report, &[("changed", 10), ("live", 10)]);
        assert_eq!(warned(&report, "sitemap-broken"), broken, "{report:#}");
        assert_eq!(shown(&fleet), pictures("/pictures"));
    }

    // All is as it was.
    shop.mood().lacks_sitemap = false;
    let unchanged = shop.mood().unchanged;
    let report = fleet.run_pipe("shop");
    assert_counts(&report, &[("unchanged", 10)]);
    assert_eq!(shop.mood().unchanged, unchanged + 10, "nothing was sent again");

    // Other pictures, and then none, for pages that are as they were.
    for at in ["/others", ""] {
        shop.mood().pictures = at;
        let report = fleet.run_pipe("shop");
        assert_counts(&report, &[("changed", 10), ("live", 10)]);
        let expected = if at.is_empty() { vec![String::new(); 10] } else { pictures(at) };
        assert_eq!(shown(&fleet), expected);
    }
    let unchanged = shop.mood().unchanged;
    shop.mood().pictures = "/pictures";
    fleet.run_pipe("shop");
    assert_eq!(shown(&fleet), pictures("/pictures"));
    assert_eq!(shop.mood().unchanged, unchanged, "a page without a picture may have one now");
}

/// A host that says it has enough is left alone for as long as it asks, and asked more slowly from then on. The page that
/// said so is asked for again.
#[test]
fn a_busy_host_is_left_alone_for_as_long_as_it_asks() {
    let shop = Shop::new(3, |mood| mood.busy = Some((429, 2)));
    // One request at a time: none is under way when the host says so.
    let fleet = Fleet::with_fleet_toml(
        "[hosts]\nconcurrency = 2\n[http]\nallow_private = [\"127.0.0.0/8\"]\n",
    );
    shop.pipe(&fleet, "shop", "");
    let report = fleet.run_pipe("shop");
    assert_counts(&report, &[("new", 3), ("live", 3)]);
    assert_eq!(warned(&report, "page-failed"), 0, "{report:#}");
    let mood = shop.mood();
    let busy_at = mood.busy_at.expect("a product was asked for");
    let arrivals = mood.arrivals.iter();
    let after: Vec<Duration> =
        arrivals.filter_map(|at| at.checked_duration_since(busy_at)).collect();
    assert!(after[0] >= Duration::from_millis(1_900), "{after:?}");
    // A second apart from then on; what is late here is late by its own clock too.
    assert!(after[1] >= Duration::from_millis(2_900), "{after:?}");
}

/// Promise 12: a page that could not be read keeps its product, while one that is gone loses it.
#[test]
fn a_page_that_failed_keeps_its_product() {
    let shop = Shop::new(40, |_| {});
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "max_failed = \"10%\"");
    fleet.run_pipe("shop");
    // Refused, gone, sent to another site, and put off.
    shop.mood().failing.extend([(1, 403), (2, 410), (4, 302), (5, 202)]);
    let report = fleet.run_pipe("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    assert_counts(&report, &[("removed", 1), ("held", 0), ("live", 39)]);
    assert_eq!(warned(&report, "page-failed"), 3, "{report:#}");
    assert_eq!(warned(&report, "left-site"), 1, "{report:#}");
    let warnings = report["warnings"].to_string();
    let leads_away = "it leads to another site: https://wall.example/xxx";
    for why in ["answered 403", leads_away, "answered 202"] {
        assert!(warnings.contains(why), "{why}: {report:#}");
    }
    // Where it leads is as long as that site likes.
    assert!(warnings.len() < 4_000, "{report:#}");
    let live = Shop::live(&fleet, "shop");
    assert!(["S1", "S4", "S5"].iter().all(|id| live.contains(*id)), "{live:?}");
    assert!(!live.contains("S2"), "{live:?}");
}

/// A pipe that was put back forgets what its last run saw of the site: a page that fails brings none of it back.
#[test]
fn a_page_that_failed_keeps_what_a_rollback_put_back() {
    let shop = Shop::new(10, |mood| mood.has_tags = true);
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "max_failed = \"20%\"");
    let good = fleet.run_pipe("shop")["run"].to_string();
    let price = |fleet: &Fleet| {
        let products = fleet.products("shop");
        products.iter().find(|product| product.id == "S3").expect("it is live").brief().2
    };
    let before = price(&fleet);
    shop.mood().cents = 1;
    fleet.run_pipe("shop");
    assert_ne!(price(&fleet), before);
    fleet.run(&["runs", "rollback", "shop", &good]).ok();
    fleet.run(&["pipes", "resume", "shop"]).ok();
    assert_eq!(price(&fleet), before);
    shop.mood().failing.insert(3, 403);
    let unchanged = shop.mood().unchanged;
    let report = fleet.run_pipe("shop");
    assert_eq!(warned(&report, "page-failed"), 1, "{report:#}");
    assert_eq!(price(&fleet), before, "{report:#}");
    assert_eq!(shop.mood().unchanged, unchanged, "it was asked by what the bad night saw");
}

/// After a rollback, a night goes on from the run that the pipe was put back to: its pages are asked for, though nothing names
/// them in a night without a sitemap, and pictures that this named stay.
#[test]
fn a_night_after_a_rollback_knows_what_that_put_back() {
    let shop = Shop::new(10, |mood| (mood.has_index, mood.hides_category) = (true, true));
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "");
    let good = fleet.run_pipe("shop")["run"].to_string();
    let base = shop.server.base_url();
    let pictures: Vec<String> = (0..10).map(|n| format!("{base}/pictures/{n}.jpg")).collect();
    shop.mood().cents = 1;
    fleet.run_pipe("shop");
    fleet.run(&["runs", "rollback", "shop", &good]).ok();
    fleet.run(&["pipes", "resume", "shop"]).ok();
    // The second sitemap is forbidden, and the night after all of them are gone.
    for (cents, is_gone) in [(888, false), (777, true)] {
        {
            let mut mood = shop.mood();
            (mood.cents, mood.lacks_sitemap, mood.second_sitemap) = (cents, is_gone, vec![403]);
        }
        let report = fleet.run_pipe("shop");
        assert_counts(&report, &[("changed", 10), ("removed", 0), ("held", 0), ("live", 10)]);
        let broken = [warned(&report, "sitemap-broken"), warned(&report, "sitemap-gone")];
        assert_eq!(broken, if is_gone { [0, 1] } else { [1, 0] }, "{report:#}");
        let products = fleet.products("shop");
        let shown = products.iter().map(|product| product.text("image_link"));
        assert_eq!(shown.collect::<Vec<_>>(), pictures);
    }
}

/// Promise 12: where the rows of last time are lost, products may be on pages that nobody knows of. That the sitemap that
/// listed them is gone the night after proves nothing, until a crawl was whole.
#[test]
fn a_sitemap_that_is_gone_after_rows_were_lost_proves_nothing() {
    let shop = Shop::new(10, |mood| (mood.has_index, mood.hides_category) = (true, true));
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "");
    fleet.run_pipe("shop");
    let is_raw = |path: &PathBuf| path.to_string_lossy().contains("/objects/raw/");
    let raw: Vec<PathBuf> = fleet.files().into_keys().filter(is_raw).collect();
    assert!(!raw.is_empty(), "{:?}", fleet.files().keys());
    for path in raw {
        fs::remove_file(path).expect("nobody else has it");
    }
    shop.mood().second_sitemap = vec![403];
    let lost = fleet.run_pipe("shop");
    assert_counts(&lost, &[("held", 5), ("removed", 0), ("live", 10)]);
    shop.mood().lacks_sitemap = true;
    let gone = fleet.run_pipe("shop");
    assert_counts(&gone, &[("held", 5), ("removed", 0), ("live", 10)]);
    assert_eq!(warned(&gone, "sitemap-broken"), 1, "{gone:#}");
    shop.mood().lacks_sitemap = false;
    let whole = fleet.run_pipe("shop");
    assert_counts(&whole, &[("held", 0), ("live", 10)]);
    assert_eq!(whole["source"]["complete"], true, "{whole:#}");
    shop.mood().lacks_sitemap = true;
    let known = fleet.run_pipe("shop");
    assert_counts(&known, &[("unchanged", 10), ("held", 0), ("live", 10)]);
    assert_eq!(known["source"]["complete"], true, "{known:#}");
}

/// Promise 12: a crawl that saw a part of the site removes nothing by itself.
#[test]
fn a_crawl_that_is_not_whole_holds_removals() {
    let shop = Shop::new(40, |_| {});
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "");
    fleet.run_pipe("shop");
    shop.mood().failing.extend([(0, 410), (1, 403), (2, 403), (3, 403)]);
    let report = fleet.run_pipe("shop");
    assert_eq!(report["state"], "held", "{report:#}");
    assert_counts(&report, &[("removed", 0), ("held", 1), ("live", 40)]);
    let why = report["source"]["completeness"].as_str().unwrap_or_default();
    assert!(why.contains("pages failed"), "{report:#}");
}

/// Promise 12: without anything known of last time, a sitemap that somebody names and that is not there may have had
/// anything.
#[test]
fn a_sitemap_that_is_missing_proves_nothing() {
    let shop = Shop::new(10, |mood| mood.lacks_sitemap = true);
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "");
    let first = fleet.run_pipe("shop");
    assert_counts(&first, &[("new", 10)]);
    assert_eq!(first["source"]["complete"], false, "{first:#}");
    assert_eq!(warned(&first, "sitemap-broken"), 1, "{first:#}");
    // Now the products are known, and each is asked for.
    let second = fleet.run_pipe("shop");
    assert_eq!(second["source"]["complete"], true, "{second:#}");
}

/// A shop that shows itself to those alone who say who they are.
#[test]
fn a_shop_that_asks_who_comes_is_crawled() {
    let shop = Shop::new(10, |mood| mood.key = Some("abc"));
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "[source.headers]\nX-Key = \"abc\"");
    let report = fleet.run_pipe("shop");
    assert_counts(&report, &[("new", 10)]);
    let page = format!("{}/p/4", shop.server.base_url());
    fleet.run(&["pipes", "preview", "shop", "--url", &page]).ok().says(&["Product 4"]);
}

/// Promise 15: a trap is bounded, and what its bound kept out proves nothing.
#[test]
fn a_calendar_without_end_is_left() {
    let shop = Shop::new(10, |mood| (mood.has_calendar, mood.hides_sitemap) = (true, true));
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "max_pages_a_pattern = 30");
    let report = fleet.run_pipe("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    assert_counts(&report, &[("new", 10)]);
    assert_eq!(report["source"]["complete"], false, "{report:#}");
    assert!(warned(&report, "limit-reached") > 0, "{report:#}");
    fleet
        .run(&["runs", "show", "shop"])
        .ok()
        .says(&["/day/", ": too many pages whose URLs differ"]);
    let why = report["reason"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("the source was not whole"), "{report:#}");
    let days = shop.mood().pages.keys().filter(|path| path.starts_with("/day/")).count();
    assert_eq!(days, 30);
}

/// Links of the deepest pages lead to what was read, or may not be read: only what nothing else leads to is left out.
#[test]
fn links_to_what_was_read_are_not_too_deep() {
    let shop = Shop::new(30, |mood| mood.hides_sitemap = true);
    let fleet = Fleet::new();
    for (name, depth, new, left_out) in [("whole", 3, 30, 0), ("cut", 2, 20, 10)] {
        shop.pipe(&fleet, name, &format!("max_depth = {depth}"));
        let report = fleet.run_pipe(name);
        assert_counts(&report, &[("new", new)]);
        assert_eq!(report["source"]["complete"], left_out == 0, "{report:#}");
        assert_eq!(warned(&report, "limit-reached"), left_out, "{report:#}");
    }
    fleet.run(&["runs", "show", "cut"]).ok().says(&["/p/20: too many links away"]);
    // Every page of a product leads to the category; robots.txt forbids what else the start leads to.
    let shop = Shop::new(10, |_| {});
    shop.pipe(&fleet, "listed", "max_depth = 0");
    let report = fleet.run_pipe("listed");
    assert_counts(&report, &[("new", 10)]);
    assert_eq!(warned(&report, "limit-reached"), 1, "{report:#}");
}

/// Where robots.txt cannot be had, nothing is fetched and nothing changes.
#[test]
fn a_robots_txt_that_cannot_be_had_forbids_all() {
    let shop = Shop::new(10, |mood| mood.robots_status = Some(503));
    let fleet = Fleet::with_fleet_toml(
        "[leases]\nvisibility = \"60s\"\nmax_receives = 1\n\
         [http]\nallow_private = [\"127.0.0.0/8\"]\n[scheduler]\ntick = \"1s\"\n",
    );
    shop.pipe(&fleet, "shop", "");
    let report = fleet.run_pipe_dead("shop");
    let why = report["reason"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("robots.txt") && why.contains("nothing may be fetched"), "{report:#}");
    assert!(shop.mood().pages.is_empty());
}

/// Promise 12: a shop that shows no products does not empty its pipe.
#[test]
fn a_site_without_products_is_no_feed() {
    let server = Server::start(|path, _| match path {
        "/" => Reply::ok("<title>Soon</title>").header("Content-Type", "text/html"),
        _ => Reply::status(404),
    });
    let fleet = Fleet::new();
    let url = server.base_url();
    fleet.pipe("shop", &format!("[source]\nkind = \"site\"\nurl = \"{url}/\"\n"));
    let report = fleet.run_pipe_dead("shop");
    assert_eq!(report["reason"]["class"], "not-a-feed", "{report:#}");
    let why = report["reason"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("no product") && why.contains("pipes preview shop --url"), "{why}");
}

/// Where the only page nests its elements deeper than it is read, the run says so, and a preview does, too.
#[test]
fn a_page_that_nests_too_deep_is_told() {
    let deep = format!("<title>Pan</title><h1>Pan</h1>{}<p>9 €</p>", "<div>".repeat(2_000));
    let server = Server::start(move |path, _| match path {
        "/" => Reply::ok(deep.as_str()).header("Content-Type", "text/html; charset=utf-8"),
        _ => Reply::status(404),
    });
    let fleet = Fleet::new();
    let url = server.base_url();
    fleet.pipe("shop", &format!("[source]\nkind = \"site\"\nurl = \"{url}/\"\n"));
    let report = fleet.run_pipe_dead("shop");
    assert_eq!(report["reason"]["class"], "not-a-feed", "{report:#}");
    let why = report["reason"]["message"].as_str().unwrap_or_default();
    assert!(
        why.contains("nests its elements too deep") && why.contains("pipes preview shop --url"),
        "{why}"
    );
    let shown = fleet.run(&["pipes", "preview", "shop"]).failed();
    shown.says(&["not read: it is too large, or nests its elements too deep"]);
}

/// A preview says where on the page each field stands, and writes nothing.
#[test]
fn a_preview_tells_where_fields_come_from() {
    let shop = Shop::new(10, |_| {});
    let fleet = Fleet::new();
    shop.pipe(&fleet, "shop", "[source.selectors]\nbrand = \"h1\"");
    let before = fleet.files();
    let page = format!("{}/p/4", shop.server.base_url());
    let shown = fleet.run(&["pipes", "preview", "shop", "--url", &page, "--json"]).ok().json();
    let product = &shown["pages"][0]["products"][0];
    assert_eq!(product["price"]["value"], "9.99", "{shown:#}");
    assert_eq!(product["price"]["origin"], "json-ld", "{shown:#}");
    assert_eq!(product["brand"]["origin"], "selector", "{shown:#}");
    assert_eq!(shown["pages"][0]["rows"][0]["id"], "S4", "{shown:#}");
    // Without a page it looks for one that shows a product.
    fleet.run(&["pipes", "preview", "shop"]).ok().says(&["Product", "json-ld", "links to follow"]);
    let private = format!("{}/private/1", shop.server.base_url());
    let refused = fleet.run(&["pipes", "preview", "shop", "--url", &private]).failed();
    refused.says(&["robots.txt forbids it"]);
    fleet
        .run(&["pipes", "preview", "shop", "--url", "https://elsewhere.example/"])
        .failed()
        .says(&["not a page of the site"]);
    assert_eq!(fleet.files(), before);
}
