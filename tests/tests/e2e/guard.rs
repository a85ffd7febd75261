//! The guard: which removals are held and which only wait, and what an operator makes of it. What becomes of
//! sources that are no feed, or are cut short on their way, is shown in `sources.rs`.

mod line_ends;
mod short;

use feedfleet_tests::Fleet;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

/// A fleet with the pipe `shop`, which reads `shop.xml` under these settings of its guard.
fn shop(guard: &str) -> Fleet {
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe("shop.xml", "google-xml", "", guard));
    fleet
}

fn pipe(file: &str, format: &str, map: &str, guard: &str) -> String {
    format!(
        "[source]\nurl = \"{file}\"\nformat = \"{format}\"\n{map}[images]\nmirror = false\n\
         [guard]\n{guard}\n"
    )
}

/// A feed of products with these numbers; `page` gives the number of a product's page.
fn feed_of(numbers: impl IntoIterator<Item = u32>, page: impl Fn(u32) -> u32) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\"?>\n<rss version=\"2.0\" xmlns:g=\"http://base.google.com/ns/1.0\"><channel>\n",
    );
    for n in numbers {
        let page = page(n);
        writeln!(
            xml,
            "<item><g:id>{n:04}</g:id><title>Product {n}</title>\
             <g:link>http://shop.example/{page}</g:link></item>"
        )
        .expect("text can be written");
    }
    xml + END
}

const END: &str = "</channel></rss>\n";

fn feed(numbers: impl IntoIterator<Item = u32>) -> String {
    feed_of(numbers, |n| n)
}

/// Runs the pipe on products with these numbers.
fn night(fleet: &Fleet, numbers: impl IntoIterator<Item = u32>) -> Value {
    fleet.write("shop.xml", feed(numbers));
    fleet.run_pipe("shop")
}

/// Runs the pipe on a feed that lacks its end.
fn cut_night(fleet: &Fleet, numbers: impl IntoIterator<Item = u32>) -> Value {
    fleet.write("shop.xml", feed(numbers).strip_suffix(END).expect("every feed has an end"));
    fleet.run_pipe("shop")
}

/// A fleet with the pipe `shop`, which reads `shop.csv` under these settings of its guard.
fn csv_shop(guard: &str) -> Fleet {
    let fleet = Fleet::new();
    let map = "[map]\nid = \"sku\"\ntitle = \"name\"\n";
    fleet.pipe("shop", &pipe("shop.csv", "csv", map, guard));
    fleet
}

/// What such a pipe reads, with products of these numbers.
fn csv(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut text = "sku,name\n".to_owned();
    for n in numbers {
        writeln!(text, "{n:04},Product {n}").expect("text can be written");
    }
    text
}

/// Runs such a pipe on products with these numbers.
fn csv_night(fleet: &Fleet, numbers: impl IntoIterator<Item = u32>) -> Value {
    fleet.write("shop.csv", csv(numbers));
    fleet.run_pipe("shop")
}

/// Runs such a pipe on text that lacks this end.
fn csv_night_without(fleet: &Fleet, end: &str, numbers: impl IntoIterator<Item = u32>) -> Value {
    let text = csv(numbers);
    fleet.write("shop.csv", text.strip_suffix(end).expect("it ends so"));
    fleet.run_pipe("shop")
}

fn numbers(fleet: &Fleet, pipe: &str) -> Vec<u32> {
    let number = |id: &str| id.parse().expect("ids of these tests are numbers");
    fleet.products(pipe).iter().map(|product| number(&product.id)).collect()
}

fn run_of(report: &Value) -> String {
    report["run"].to_string()
}

fn why(report: &Value) -> String {
    report["reason"]["message"].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn assert_counts(report: &Value, expected: &[(&str, u64)]) {
    for (name, count) in expected {
        assert_eq!(report["counts"][name], *count, "{name} in {report:#}");
    }
}

/// Everything but the queue, whose file is written by looking at it.
fn files(fleet: &Fleet) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = fleet.files();
    files.retain(|path, _| !path.to_string_lossy().contains("queue.db"));
    files
}

/// Promise 12: what was held goes when an operator says so: exactly that, and once.
#[test]
fn approving_applies_exactly_what_was_held() {
    let fleet = shop("");
    fleet.pipe("other", &pipe("shop.xml", "google-xml", "", ""));
    night(&fleet, 0..10);
    fleet.run_pipe("other");
    // Six of ten are gone, one has come.
    let held = night(&fleet, (0..4).chain([50]));
    assert_eq!(held["state"], "held", "{held:#}");
    assert_counts(&held, &[("held", 6), ("removed", 0), ("new", 1), ("live", 11)]);
    let run = run_of(&held);
    for part in ["max_removed", &format!("runs approve shop {run}"), "runs reject shop"] {
        assert!(why(&held).contains(part), "{held:#}");
    }

    let before = files(&fleet);
    let dry = fleet.run(&["runs", "approve", "shop", &run, "--dry-run"]).ok();
    dry.says(&["would remove 6 of 11 products", "nothing was changed"]);
    assert_eq!(files(&fleet), before);

    let approve = ["runs", "approve", "shop", &run, "--by", "ada", "--note", "the season is over"];
    fleet.run(&approve).ok().says(&["is approved", "6 products removed", "5 live"]);
    assert_eq!(numbers(&fleet, "shop"), [0, 1, 2, 3, 50]);
    assert_eq!(numbers(&fleet, "other"), (0..10).collect::<Vec<_>>());
    let report = fleet.report("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    assert_counts(&report, &[("held", 6), ("removed", 6), ("live", 5)]);
    assert_eq!(report["decision"]["approved"], true, "{report:#}");
    assert_eq!(report["decision"]["by"], "ada", "{report:#}");
    let shown = fleet.run(&["runs", "show", "shop"]).ok();
    let shown = shown.says(&["done (approved)", "approved by ada", "the season is over"]);
    let shown = shown.says(&["max_removed", "6 removed, 6 of them as approved"]).all();
    assert!(!shown.contains("runs approve"), "nothing is left to decide: {shown}");
    fleet.run(&["runs", "list"]).ok().says(&["done (approved)"]);

    let before = files(&fleet);
    fleet.run(&approve).ok().says(&["approved by ada", "already"]);
    let otherwise = fleet.run(&["runs", "reject", "shop", &run]).failed();
    otherwise.says(&["approved by ada already"]);
    assert_eq!(files(&fleet), before);

    let next = night(&fleet, (0..4).chain([50]));
    assert_eq!(next["state"], "done", "{next:#}");
    assert_counts(&next, &[("unchanged", 5), ("held", 0), ("live", 5)]);
}

/// Promise 12: an approval that comes after the next night is refused, and says whose word counts now.
#[test]
fn approving_is_refused_once_the_pipe_has_moved_on() {
    let fleet = shop("");
    night(&fleet, 0..10);
    let held = night(&fleet, 0..4);
    assert_eq!(held["state"], "held", "{held:#}");
    // The products are back, but for one.
    let next = night(&fleet, 0..9);
    assert_counts(&next, &[("removed", 1), ("live", 9)]);
    for dry_run in [&["--dry-run"][..], &[]] {
        let run = run_of(&held);
        let mut approve = vec!["runs", "approve", "shop", &run];
        approve.extend(dry_run);
        let see = format!("feedfleet runs show shop {}", run_of(&next));
        fleet.run(&approve).failed().says(&["nothing was removed", "moved on", &see]);
    }
    assert_eq!(numbers(&fleet, "shop"), (0..9).collect::<Vec<_>>());
}

/// What was held by a run that another has overtaken need not be there any more: its rejection says no such thing.
#[test]
fn rejecting_closes_a_run_once_the_pipe_has_moved_on() {
    let fleet = shop("");
    night(&fleet, 0..10);
    let held = run_of(&night(&fleet, 0..4));
    let next = run_of(&night(&fleet, 0..9));
    let moved_on = format!("'shop' has moved on to run {next}, which decides about what is absent");
    let to_close = format!("feedfleet runs reject shop {held}");
    let shown = fleet.run(&["runs", "show", "shop", &held]).ok();
    let shown = shown.says(&["6 held", &moved_on, &to_close]).all();
    assert!(!shown.contains("runs approve"), "{shown}");

    let reject = ["runs", "reject", "shop", held.as_str()];
    let dry = fleet.run(&[&reject[..], &["--dry-run"]].concat()).ok();
    dry.says(&["would only close it", &moved_on, "nothing was changed"]);
    let rejected = fleet.run(&reject).ok().says(&["is rejected", &moved_on]).all();
    assert!(!rejected.contains("stay"), "{rejected}");
    let shown = fleet.run(&["runs", "show", "shop", &held]).ok();
    let shown = shown.says(&["done (rejected)", "0 removed, 6 held until rejected"]).all();
    assert!(!shown.contains("moved on") && !shown.contains("runs approve"), "{shown}");
    assert_eq!(numbers(&fleet, "shop"), (0..9).collect::<Vec<_>>());

    let listed = fleet.run(&["runs", "list", "shop", "--limit", "1"]).ok();
    listed.says(&["2 older runs are not shown", "feedfleet runs list shop --limit 3"]);
    let listed = fleet.run(&["runs", "list", "shop", "--limit", "3"]).ok().all();
    assert!(!listed.contains("not shown"), "{listed}");
}

/// An approval that wrote its word into the report and was killed, before anything was removed.
fn begin_approval(fleet: &Fleet, held: &Value) {
    let run = held["run"].as_i64().expect("a run has a number");
    let path = format!("var/objects/reports/shop/{run:012}.json");
    let text = std::fs::read_to_string(fleet.path(&path)).expect("the run has a report");
    let mut report: Value = serde_json::from_str(&text).expect("a report is JSON");
    let at = report["created_at"].clone();
    report["decision"] = json!({"approved": true, "by": "ada", "at": at, "note": null});
    fleet.write(&path, report.to_string());
}

/// What the doctor and the report say to do about it is not refused.
#[test]
fn an_approval_that_was_cut_off_is_finished_or_else_closed() {
    let fleet = shop("");
    night(&fleet, 0..10);
    let held = night(&fleet, 0..4);
    let run = run_of(&held);
    begin_approval(&fleet, &held);
    let approve = format!("feedfleet runs approve shop {run}");
    for look in [&["doctor", "--offline"][..], &["runs", "show", "shop"]] {
        let told = fleet.run(look).all();
        assert!(told.contains(&approve) && !told.contains("reject"), "{told}");
    }
    let reject = ["runs", "reject", "shop", run.as_str()];
    fleet.run(&reject).failed().says(&["approved by ada already", "approve it again"]);
    assert_eq!(fleet.report("shop")["state"], "held");

    night(&fleet, 0..9);
    let to_close = format!("feedfleet runs reject shop {run}");
    fleet.run(&["runs", "show", "shop", &run]).ok().says(&["moved on to run", &to_close]);
    fleet.run(&reject).ok().says(&["is rejected", "moved on to run"]);
    fleet.run(&["runs", "show", "shop", &run]).ok().says(&["done (rejected)"]);
    assert_eq!(numbers(&fleet, "shop"), (0..9).collect::<Vec<_>>());

    // Where no newer run is in the table, approving again finishes it.
    let held = night(&fleet, 0..3);
    begin_approval(&fleet, &held);
    let approve = fleet.run(&["runs", "approve", "shop", &run_of(&held)]).ok();
    approve.says(&["6 products removed", "noted as approved by ada"]);
    assert_eq!(numbers(&fleet, "shop"), [0, 1, 2]);
}

/// Several operators at once: the first one's word stands, and the others are told that it does.
#[test]
fn of_approvals_at_once_one_stands_and_all_are_told_whose() {
    let fleet = shop("");
    night(&fleet, 0..10);
    let run = run_of(&night(&fleet, 0..4));
    let approve = |by: &'static str| {
        let command = ["runs", "approve", "shop", run.as_str(), "--by", by, "--note", "why not"];
        (by, fleet.spawn(&command))
    };
    let mut at_once = ["ada", "bob", "eve"].map(approve);
    for (_, approval) in &mut at_once {
        let status = approval.wait(Duration::from_secs(60));
        assert!(status.success(), "{status}: {}{}", approval.stdout(), approval.stderr());
    }
    let report = fleet.report("shop");
    let first = report["decision"]["by"].as_str().expect("it was approved").to_owned();
    for (by, approval) in &at_once {
        let told = approval.stdout();
        assert_eq!(told.contains(&format!("approved by {first} at")), *by != first, "{told}");
    }
    assert_counts(&report, &[("held", 6), ("removed", 6), ("live", 4)]);
    assert_eq!(numbers(&fleet, "shop"), [0, 1, 2, 3]);
}

#[test]
fn rejecting_keeps_the_products_until_a_later_run_misses_them() {
    let fleet = shop("");
    night(&fleet, 0..10);
    let held = night(&fleet, 0..4);
    let run = run_of(&held);
    let would = fleet.run(&["runs", "reject", "shop", &run, "--dry-run"]).ok();
    would.says(&["would keep", "6", "nothing was changed"]);
    assert_eq!(fleet.report("shop")["state"], "held");
    fleet.run(&["runs", "reject", "shop", &run, "--by", "ada"]).ok().says(&["6", "stay"]);
    let report = fleet.report("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["decision"]["approved"], false, "{report:#}");
    assert_counts(&report, &[("held", 6), ("removed", 0), ("live", 10)]);
    fleet.run(&["runs", "reject", "shop", &run]).ok().says(&["rejected by ada", "already"]);
    let otherwise = fleet.run(&["runs", "approve", "shop", &run]).failed();
    otherwise.says(&["rejected by ada already"]);
    assert_eq!(numbers(&fleet, "shop"), (0..10).collect::<Vec<_>>());

    let again = night(&fleet, 0..4);
    assert_eq!(again["state"], "held", "{again:#}");
}

#[test]
fn only_runs_that_held_something_can_be_decided_on() {
    let fleet = shop("");
    let done = run_of(&night(&fleet, 0..3));
    for command in ["approve", "reject"] {
        let holds_nothing = fleet.run(&["runs", command, "shop", &done]).failed();
        holds_nothing.says(&["is done", "holds nothing"]);
        let unknown = fleet.run(&["runs", command, "shop", "17"]).failed();
        unknown.says(&["run 17", "no report", "feedfleet runs list shop"]);
    }
}

/// Promise 12: without its list of held products a run approves nothing.
#[test]
fn a_list_that_does_not_fit_its_report_is_refused() {
    let fleet = shop("");
    night(&fleet, 0..10);
    let held = night(&fleet, 0..4);
    let list = held["lists"]["held"].as_str().expect("the report names its list");
    assert!(list.starts_with("held/shop/"), "{held:#}");
    let list = format!("var/objects/{list}");
    let run = run_of(&held);
    let approve = ["runs", "approve", "shop", &run];
    fleet.write(&list, "{\"id\":\"0009\"}\n");
    fleet.run(&approve).failed().says(&["nothing was removed", "held/shop", "has 1 of 6 products"]);
    // As many as there should be, but others.
    let others: String = (0..6).map(|n| format!("{{\"id\":\"{n:04}\"}}\n")).collect();
    fleet.write(&list, others);
    fleet.run(&approve).failed().says(&["nothing was removed", "not the one that the run wrote"]);
    let anew = &["nothing was removed", "has 0 of 6 products", "feedfleet run shop"];
    fleet.write(&list, "{\"id\": damaged");
    fleet.run(&approve).failed().says(anew);
    std::fs::remove_file(fleet.path(&list)).expect("it is there");
    fleet.run(&approve).failed().says(anew);
    assert_eq!(numbers(&fleet, "shop"), (0..10).collect::<Vec<_>>());
}

/// Promise 12: a product that need not be taken for gone at once goes after as many complete nights in a row
/// as the pipe asks for.
#[test]
fn products_wait_until_they_have_been_absent_for_long_enough() {
    let fleet = shop("absent_nights = 3\nmax_removed = \"100%\"");
    night(&fleet, 0..10);
    let first = night(&fleet, 0..8);
    assert_eq!(first["state"], "done", "{first:#}");
    assert_counts(&first, &[("absent", 2), ("removed", 0), ("held", 0), ("live", 10)]);
    fleet.run(&["runs", "show", "shop"]).ok().says(&["2 absent for too few runs"]);

    // 8 shows itself once; 9 stays away.
    assert_counts(&night(&fleet, 0..9), &[("absent", 1), ("live", 10)]);
    let third = night(&fleet, 0..8);
    assert_counts(&third, &[("absent", 1), ("removed", 1), ("live", 9)]);
    assert_eq!(numbers(&fleet, "shop"), (0..9).collect::<Vec<_>>());

    assert_counts(&night(&fleet, 0..8), &[("absent", 1), ("removed", 0), ("live", 9)]);
    assert_counts(&night(&fleet, 0..8), &[("absent", 0), ("removed", 1), ("live", 8)]);
    assert_eq!(numbers(&fleet, "shop"), (0..8).collect::<Vec<_>>());
}

/// Promise 12: a list of absent products that was damaged removes nothing too early, and stops no night: they are
/// counted anew.
#[test]
fn a_damaged_list_of_absent_products_tells_nothing() {
    let fleet = shop("absent_nights = 3\nmax_removed = \"100%\"");
    night(&fleet, 0..10);
    let mut last = night(&fleet, 0..8);
    let altered: fn(&str) -> String = |text| text.replace("\"nights\":1", "\"nights\":9");
    for damage in [altered, |text| text[..20].to_owned()] {
        let list = last["lists"]["absent"].as_str().expect("the report names its list");
        let list = format!("var/objects/{list}");
        let text = std::fs::read_to_string(fleet.path(&list)).expect("the list is there");
        assert_ne!(damage(&text), text);
        fleet.write(&list, damage(&text));
        last = night(&fleet, 0..8);
        assert_eq!(last["state"], "done", "{last:#}");
        assert_counts(&last, &[("absent", 2), ("removed", 0), ("live", 10)]);
    }
    assert_counts(&night(&fleet, 0..8), &[("absent", 2), ("removed", 0)]);
    assert_counts(&night(&fleet, 0..8), &[("absent", 0), ("removed", 2), ("live", 8)]);
}

/// Promise 12: a night whose feed was cut short does not count against anybody.
#[test]
fn an_incomplete_night_does_not_count() {
    let fleet = shop("absent_nights = 2\nmax_removed = \"100%\"");
    night(&fleet, 0..10);
    assert_counts(&night(&fleet, 0..9), &[("absent", 1)]);
    for _ in 0..2 {
        let cut = cut_night(&fleet, 0..5);
        assert_eq!(cut["source"]["complete"], false, "{cut:#}");
        assert_counts(&cut, &[("absent", 5), ("removed", 0), ("held", 0), ("live", 10)]);
        assert!(why(&cut).contains("does not count"), "{cut:#}");
    }
    // 9 has been absent from two complete nights by now, the others from one.
    let complete = night(&fleet, 0..5);
    assert_counts(&complete, &[("absent", 4), ("removed", 1), ("live", 9)]);
    assert_eq!(numbers(&fleet, "shop"), (0..9).collect::<Vec<_>>());
}

/// Nothing is absent from a first load, and so nothing is held; that it is not whole is seen all the same.
#[test]
fn a_first_load_that_was_cut_short_says_so() {
    let fleet = shop("");
    let cut = cut_night(&fleet, 0..5);
    assert_counts(&cut, &[("new", 5), ("held", 0)]);
    assert!(why(&cut).contains("not whole (truncated: "), "{cut:#}");
    fleet.run(&["runs", "list", "shop"]).ok().says(&["done", "truncated: "]);
    night(&fleet, 0..6);
    let list = fleet.run(&["runs", "list", "shop", "--limit", "1"]).ok();
    assert!(!list.stdout.contains("truncated"), "{}", list.stdout);
}

/// Nothing is usual yet on a first night; that most records repeat an id is told all the same, once.
#[test]
fn a_first_load_of_repeated_ids_says_so() {
    let fleet = csv_shop("");
    let first = csv_night(&fleet, (0..40).map(|n| n % 10));
    assert_counts(&first, &[("new", 10), ("duplicates", 30), ("held", 0)]);
    assert!(why(&first).contains("30 of 40 records, 75.0 %"), "{first:#}");
    fleet.run(&["runs", "show", "shop"]).ok().says(&["one of each id is kept", "pipes diagnose"]);
    let second = csv_night(&fleet, (0..40).map(|n| n % 10));
    assert_eq!(why(&second), "", "it is usual by now");
}

/// Promise 12: what has been absent for long enough is still subject to the limit, and once held it stays
/// held.
#[test]
fn products_that_have_waited_are_held_past_the_limit() {
    let fleet = shop("absent_nights = 2\nmax_removed = \"10%\"");
    night(&fleet, 0..10);
    assert_counts(&night(&fleet, 0..5), &[("absent", 5), ("held", 0)]);
    for _ in 0..2 {
        let held = night(&fleet, 0..5);
        assert_eq!(held["state"], "held", "{held:#}");
        assert_counts(&held, &[("absent", 0), ("held", 5), ("removed", 0), ("live", 10)]);
    }
    let run = run_of(&fleet.report("shop"));
    fleet.run(&["runs", "approve", "shop", &run]).ok().says(&["5 products removed"]);
    assert_eq!(numbers(&fleet, "shop"), (0..5).collect::<Vec<_>>());
}

/// Promise 12: a feed whose ids were all given anew loads; the old products stay until somebody has looked.
#[test]
fn a_change_of_all_ids_is_recognised_and_held() {
    let fleet = shop("max_removed = \"100%\"");
    night(&fleet, 0..40);
    fleet.write("shop.xml", feed_of(1000..1040, |n| n - 1000));
    let held = fleet.run_pipe("shop");
    assert_eq!(held["state"], "held", "{held:#}");
    assert_counts(&held, &[("new", 40), ("held", 40), ("removed", 0), ("live", 80)]);
    assert!(why(&held).contains("40 of 40 absent products have the link"), "{held:#}");
    // The next night, when the new ids are new no more, they still wait for somebody.
    let held = fleet.run_pipe("shop");
    assert_counts(&held, &[("new", 0), ("held", 40), ("removed", 0), ("live", 80)]);
    let run = run_of(&held);
    fleet.run(&["runs", "approve", "shop", &run]).ok().says(&["40 products removed", "40 live"]);
    assert_eq!(numbers(&fleet, "shop"), (1000..1040).collect::<Vec<_>>());

    // Other products on other pages are no change of ids.
    let replaced = night(&fleet, 2000..2040);
    assert_eq!(replaced["state"], "done", "{replaced:#}");
    assert_counts(&replaced, &[("new", 40), ("removed", 40), ("live", 40)]);

    // Where products wait before they are removed, it is told on the first night.
    fleet.pipe("shop", &pipe("shop.xml", "google-xml", "", "absent_nights = 2"));
    fleet.write("shop.xml", feed_of(3000..3040, |n| n - 1000));
    let told = fleet.run_pipe("shop");
    assert_eq!(told["state"], "done", "{told:#}");
    assert_counts(&told, &[("new", 40), ("removed", 0), ("live", 80)]);
    assert!(why(&told).contains("40 of 40 absent products have the link"), "{told:#}");
}

#[test]
fn a_first_run_of_which_nothing_can_be_used_says_so() {
    let fleet = csv_shop("");
    fleet.write("shop.csv", "sku,name\n,Lamp\n,Chair\n");
    let report = fleet.run_pipe("shop");
    assert_counts(&report, &[("refused", 2), ("live", 0)]);
    assert!(why(&report).contains("2 of 2 records were refused: 2 × "), "{report:#}");
}

/// What is one product may be named wrongly: nothing is refused then, and nothing read.
#[test]
fn a_first_run_without_a_record_says_where_they_are_looked_for() {
    let fleet = Fleet::new();
    let settings = "item = \"product\"\n[map]\nid = \"id\"\ntitle = \"name\"\n";
    fleet.pipe("shop", &pipe("shop.xml", "xml", settings, ""));
    let lamps = "<p><id>1</id><name>Lamp</name></p><p><id>2</id><name>Lamp</name></p>";
    fleet.write("shop.xml", format!("<?xml version=\"1.0\"?>\n<shop>{lamps}</shop>\n"));
    let report = fleet.run_pipe("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    assert_counts(&report, &[("seen", 0), ("live", 0)]);
    let told = why(&report);
    assert!(told.contains("the source has no records; item under [source]"), "{report:#}");
    assert!(told.contains("feedfleet pipes detect --pipe shop"), "{report:#}");
    fleet.run(&["pipes", "detect", "--pipe", "shop"]).ok().says(&["item = \"p\""]);
}

/// What is sent in place of a feed may be whole, and of the right format.
#[test]
fn a_night_without_a_record_is_held_and_says_so() {
    let fleet = Fleet::new();
    let settings = "item = \"p\"\n[map]\nid = \"id\"\ntitle = \"name\"\n";
    fleet.pipe("shop", &pipe("shop.xml", "xml", settings, ""));
    fleet.pipe("late", &pipe("shop.xml", "xml", settings, "absent_nights = 2"));
    let lamps = "<p><id>1</id><name>Lamp</name></p><p><id>2</id><name>Lamp</name></p>";
    fleet.write("shop.xml", format!("<?xml version=\"1.0\"?>\n<shop>{lamps}</shop>\n"));
    for name in ["shop", "late"] {
        assert_counts(&fleet.run_pipe(name), &[("new", 2), ("live", 2)]);
    }

    let error = "<Error><Code>AccessDenied</Code></Error>";
    fleet.write("shop.xml", format!("<?xml version=\"1.0\"?>\n{error}\n"));
    let held = fleet.run_pipe("shop");
    assert_eq!(held["state"], "held", "{held:#}");
    assert_counts(&held, &[("seen", 0), ("held", 2), ("removed", 0), ("live", 2)]);
    let told = "the source has no records; item under [source]";
    for part in [told, "feedfleet pipes detect --pipe shop", "feedfleet runs approve shop"] {
        assert!(why(&held).contains(part), "{held:#}");
    }
    assert!(!why(&held).contains("max_removed"), "{held:#}");

    // Where products wait before they are removed, it is told on the first night.
    let waits = fleet.run_pipe("late");
    assert_eq!(waits["state"], "done", "{waits:#}");
    assert_counts(&waits, &[("absent", 2), ("removed", 0), ("live", 2)]);
    assert!(why(&waits).contains(told), "{waits:#}");
    let held = fleet.run_pipe("late");
    assert_counts(&held, &[("held", 2), ("removed", 0), ("live", 2)]);
    assert!(why(&held).contains(told), "{held:#}");
}
