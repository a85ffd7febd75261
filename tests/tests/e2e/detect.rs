//! From a source that nobody knows to a pipe that loads it, and what every night tells of it afterwards.

use feedfleet_tests::{Fleet, Reply, Server, real_data};
use serde_json::Value;
use std::fmt::Write;
use std::fs;

/// Detects a source, saves what is proposed as the pipe `found`, checks it and runs it.
fn detected(fleet: &Fleet, source: &str) -> (String, Value) {
    let toml = fleet.run(&["pipes", "detect", source]).ok().stdout;
    fleet.pipe("found", &format!("{toml}\n[images]\nmirror = false\n"));
    fleet.run(&["pipes", "check", "found"]).ok().says(&["no mistakes"]);
    (toml, fleet.run_pipe("found"))
}

#[test]
fn a_shops_csv_over_http() {
    let csv = "sku;name;price;stock;url\nA-1;Mug;12,50 EUR;40;https://shop.example/1\n\
               A-2;Knife;34,00 EUR;7;https://shop.example/2\n";
    let server = Server::start(move |_, _| Reply::ok(csv).header("Content-Type", "text/csv"));
    let fleet = Fleet::new();
    let url = format!("{}/feed", server.base_url());
    let (toml, report) = detected(&fleet, &url);
    assert!(
        toml.contains(&format!("url = \"{url}\"")) && toml.contains("delimiter = \";\""),
        "{toml}"
    );
    assert_eq!(report["state"], "done", "{report:#}");
    let products = fleet.products("found");
    let briefs: Vec<_> = products.iter().map(|p| p.brief()).collect();
    assert_eq!(briefs, [("A-1", "Mug", 125_000), ("A-2", "Knife", 340_000)]);
    let found = fleet.run(&["pipes", "detect", &url, "--json"]).ok().json();
    assert_eq!(found["content_type"], "text/csv", "{found:#}");
    assert_eq!(found["detected"]["delimiter"], ";", "{found:#}");
}

#[test]
fn of_a_file_is_told_what_is_true_of_files() {
    let fleet = Fleet::new();
    fleet.write("exports/feed.csv", "sku,name,price\n1,Lamp,9 EUR\n2,Chair,50 EUR\n3,Desk,5 EUR\n");
    let file = fleet.path("exports/../exports/feed.csv");
    let found = fleet.run(&["pipes", "detect", &file.to_string_lossy()]).ok();
    let found = found.says(&["transport: a file, which is read whole", "exports/feed.csv\""]);
    let all = found.stdout + &found.stderr;
    assert!(!all.contains("/../") && !all.contains("ETag"), "{all}");
}

#[test]
fn what_is_no_source_is_told() {
    let fleet = Fleet::new();
    let page = "<!doctype html><html><body>Hello</body></html>";
    fleet.write("page.html", page);
    let file = fleet.path("page.html");
    let file = file.to_string_lossy();
    fleet.run(&["pipes", "detect", &file]).failed().says(&["web page", "kind = \"site\""]);
    fleet
        .run(&["pipes", "detect", "nothing.csv"])
        .failed()
        .says(&["nothing.csv", "could not open"]);
    fleet.run(&["pipes", "detect", "gopher://a.example/x"]).failed().says(&["sftp://"]);
    assert!(!fleet.path("pipes").exists() && !fleet.path("var/catalog").exists());
}

/// A web page is no feed: what is proposed crawls its site.
#[test]
fn a_site_gets_a_pipe_that_crawls_it() {
    let page = "<!doctype html><html><body><a href='/products/1'>1</a><a href='/products/2'>2</a>\
                <a href='/products/3'>3</a><a href='/about'>About</a></body></html>";
    let server = Server::start(move |_, _| Reply::ok(page).header("Content-Type", "text/html"));
    let fleet = Fleet::new();
    let url = format!("{}/", server.base_url());
    let toml = fleet.run(&["pipes", "detect", &url]).ok().stdout;
    for line in ["no feed", "kind = \"site\"", "product = \"/products/*\""] {
        assert!(toml.contains(line), "{line} is not in {toml}");
    }
    fleet.pipe("found", &toml);
    fleet.run(&["pipes", "check", "found"]).ok().says(&["no mistakes"]);
    let found = fleet.run(&["pipes", "detect", &url, "--json"]).ok().json();
    assert_eq!(found["kind"], "site", "{found:#}");
    assert_eq!(found["detected"]["product"], "/products/*", "{found:#}");
}

/// Names that a partner misspelt cost nothing but a word in the report.
#[test]
fn a_misspelt_name_is_taken_for_the_required_one() {
    let row = |id: u32| {
        format!(
            "{id}\tChair\t1000\thttps://s.example/{id}\thttps://i.example/{id}.jpg\tChairs\t0\n"
        )
    };
    let rows: String = (1..4).map(row).collect();
    let fleet = Fleet::new();
    let header = "id\ttitle\tprice_pc\tlink\timgae_link\tcatagory_name1\tshipping\n";
    fleet.write("feed.txt", format!("{header}{rows}"));
    let file = fleet.path("feed.txt");
    let (toml, report) = detected(&fleet, &file.to_string_lossy());
    assert!(toml.contains("format = \"naver-ep\""), "{toml}");
    assert!(toml.contains("catagory_name1 is taken for it"), "{toml}");
    assert_eq!(report["counts"]["new"], 3, "{report:#}");
    for column in ["image_link", "category_1"] {
        assert_eq!(report["diagnostics"]["columns"][column], 3, "{column}: {report:#}");
    }
}

/// A source that wants to know who looks is found by the pipe that says it; a proposal has what the file says of that.
#[test]
fn a_source_that_asks_who_looks() {
    let csv = "sku;name;price\nA-1;Mug;12,50 EUR\nA-2;Knife;34,00 EUR\n";
    let server = Server::start(move |_, headers| {
        let is_known = headers.iter().any(|(name, value)| name == "x-key" && value == "7");
        if is_known { Reply::ok(csv) } else { Reply::status(401) }
    });
    let fleet = Fleet::new();
    let url = format!("{}/feed", server.base_url());
    fleet.run(&["pipes", "detect", &url]).failed().says(&["401"]);
    let file = format!(
        "[source]\nurl = '{url}'\nformat = 'jsonl'\nheaders = {{ X-Key = '7' }}\n[map]\nid = 'id'\n"
    );
    fleet.pipe("shop", &file);
    let toml = fleet.run(&["pipes", "detect", "--pipe", "shop"]).ok().stdout;
    let place = format!("url = \"{url}\"\n");
    for line in [place.as_str(), "delimiter = \";\"\n", "id = \"sku\""] {
        assert!(toml.contains(line), "{line} is not in {toml}");
    }
    assert!(toml.contains("# headers: as in") && !toml.contains("X-Key"), "{toml}");
    fleet.run(&["pipes", "detect", "--pipe", "shopp"]).failed().says(&["did you mean 'shop'?"]);
    for (args, why) in [
        (&["pipes", "detect"][..], "URL|FILE"),
        (&["pipes", "detect", url.as_str(), "--pipe", "shop"][..], "cannot be used"),
    ] {
        assert_eq!(fleet.run(args).says(&[why]).code, Some(2));
    }
}

/// A feed of 60 products in three sizes each; `by_size`: with an id of its own for each of them.
fn sizes(by_size: bool) -> String {
    let mut csv = String::from("id,title,description,link,image_link,availability,price,size\n");
    for product in 0..60 {
        for size in ["S", "M", "L"] {
            let id = if by_size { format!("{product}-{size}") } else { product.to_string() };
            writeln!(
                csv,
                "{id},Shirt {product},Good,https://s.example/{id},https://i.example/{product}.jpg,in_stock,5 EUR,{size}"
            )
            .expect("text can be written");
        }
    }
    csv
}

#[test]
fn a_key_that_is_not_unique_is_mended_before_the_first_night() {
    let fleet = Fleet::new();
    fleet.write("feed.csv", sizes(false));
    let file = fleet.path("feed.csv");
    let (toml, report) = detected(&fleet, &file.to_string_lossy());
    assert!(toml.contains("key = [\"id\", \"size\"]"), "{toml}");
    assert!(toml.contains("120 of 180 records would be lost"), "{toml}");
    assert!(toml.contains("url = \"feed.csv\""), "{toml}");
    assert_eq!(report["counts"]["new"], 180, "{report:#}");
    assert_eq!(report["counts"]["duplicates"], 0, "{report:#}");
}

const PIPE: &str = "[source]\nurl = \"feed.csv\"\nformat = \"google-csv\"\n[images]\nmirror = false\n\
                    [guard]\nmax_removed = \"100%\"\n";

/// Promise 12: an id that is none any more takes no product away.
#[test]
fn a_key_that_stops_being_unique_holds_the_removals_and_a_better_one_is_proposed() {
    let fleet = Fleet::new();
    fleet.pipe("shop", PIPE);
    fleet.write("feed.csv", sizes(true));
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 180);
    // The variants of a product have one id now, and the ids of before are gone.
    fleet.write("feed.csv", sizes(false));
    let report = fleet.run(&["run", "shop", "--wait", "--json"]).json();
    assert_eq!(report["state"], "held", "{report:#}");
    assert_eq!(report["counts"]["duplicates"], 120, "{report:#}");
    let why = report["reason"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("120 of 180 records have an id that occurred before"), "{why}");
    assert_eq!(report["diagnostics"]["key"]["better"], serde_json::json!(["id", "size"]));
    fleet.run(&["pipes", "diagnose", "shop"]).ok().says(&["key = [\"id\", \"size\"]"]);
    assert!(fleet.products("shop").len() >= 180, "nothing is lost");
}

#[test]
fn every_night_says_what_the_source_is_like_and_what_has_changed() {
    let head = "id,title,description,link,image_link,availability,price\n";
    let row = |id: u32, title: &str, image: &str, price: &str| {
        format!("{id},{title},Good,https://s.example/{id},{image},in_stock,{price}\n")
    };
    let first: String =
        (0..20).map(|id| row(id, "Shirt", "https://i.example/a b.jpg", "5 EUR")).collect();
    let second: String = (0..20)
        .map(|id| match id {
            0..5 => row(id, "", "", "5 EUR"),
            5 => row(id, "=cmd()", "", "0 EUR"),
            6 => row(id, "\"6\" pan\"", "https://i.example/1.jpg", "7 USD"),
            _ => row(id, "Shirt", "https://i.example/1.jpg", "5 EUR"),
        })
        .collect();
    let fleet = Fleet::new();
    fleet.pipe("shop", PIPE);
    fleet.run(&["pipes", "diagnose", "shop"]).failed().says(&["no run of 'shop'"]);
    fleet.write("feed.csv", format!("{head}{first}"));
    let report = fleet.run_pipe("shop");
    let mended = &report["diagnostics"]["mended"][0];
    assert_eq!(mended["reason"], "link-with-spaces", "{report:#}");
    assert_eq!(mended["count"], 20, "{report:#}");
    assert_eq!(report["diagnostics"]["looked_at"], 20, "{report:#}");
    fleet.write("feed.csv", format!("{head}{second}"));
    let report = fleet.run_pipe("shop");
    // What is known from the night before is looked at all the same.
    assert_eq!(report["diagnostics"]["looked_at"], 20, "{report:#}");
    assert_eq!(report["diagnostics"]["columns"]["title"], 15, "{report:#}");

    let found = fleet.run(&["pipes", "diagnose", "shop", "--json"]).ok().json();
    let columns = found["columns"].as_array().cloned().unwrap_or_default();
    let title = columns.iter().find(|column| column["column"] == "title").expect("it is there");
    assert_eq!((title["share"].as_f64(), title["before"].as_f64()), (Some(0.75), Some(1.0)));
    fleet.run(&["pipes", "diagnose", "shop"]).ok().says(&[
        "75.0 %   before 100.0 %",
        "title missing: 5 products, 25.0 %, before 0.0 %",
        "price zero: 1 products",
        "price_currency other-currency: 1 products",
        "1 × stray-quote",
        "currencies     EUR 19, USD 1",
    ]);

    let path = fleet.path("for-the-partner.csv");
    let path = path.to_string_lossy().into_owned();
    fleet.run(&["pipes", "diagnose", "shop", "--output", &path]).ok();
    let mut reader = csv::Reader::from_path(&path).expect("the file can be read");
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert!(rows.iter().any(|row| &row[0] == "problem" && &row[1] == "image_link"), "{rows:?}");
    assert!(rows.iter().flatten().all(|cell| !cell.starts_with('=')), "{rows:?}");
}

/// Night by night the sunrise catalogue: what is proposed loads every row.
#[test]
fn sunrise_is_loaded_as_detected() {
    let Some(data) = real_data("sunrise") else { return };
    let fleet = Fleet::new();
    let bytes = fs::read(data.join("data/products_f2f1afd.csv")).expect("the file can be read");
    fleet.write("products.csv", bytes);
    let file = fleet.path("products.csv");
    let (_, report) = detected(&fleet, &file.to_string_lossy());
    let counts = &report["counts"];
    assert_eq!(counts["new"], counts["seen"], "{report:#}");
    assert_eq!(counts["refused"], 0, "{report:#}");
    assert_eq!(counts["duplicates"], 0, "{report:#}");
}
