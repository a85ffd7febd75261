//! What comes from the environment goes into requests and nowhere else.

use feedfleet_tests::{Fleet, Reply, Server, eventually};
use std::time::Duration;

const SECRET: &str = "open-sesame-8341";
const CSV: &str = "sku,name\n1,Lamp\n2,Chair\n";

/// A partner who answers only those who know the secret.
fn partner() -> Server {
    Server::start(|path, headers| {
        let knows = headers.contains(&("authorization".into(), format!("Bearer {SECRET}")));
        match path.split_once('?') {
            Some(("/feed", query)) if knows && query == format!("key={SECRET}") => Reply::ok(CSV),
            Some(("/busy", _)) => Reply::status(503).header("Retry-After", "3600"),
            _ => Reply::status(404),
        }
    })
}

fn pipe(address: &str) -> String {
    format!(
        "[source]\nurl = \"{address}?key=${{TOKEN}}\"\nformat = \"csv\"\n\
         headers = {{ Authorization = \"Bearer ${{TOKEN}}\" }}\n[map]\nid = \"sku\"\n"
    )
}

fn fleet(server: &Server) -> Fleet {
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe(&format!("{}/feed", server.base_url())));
    fleet
}

#[test]
fn a_secret_is_sent_and_never_shown_nor_kept() {
    let server = partner();
    let fleet = fleet(&server);
    fleet.pipe("gone", &pipe(&format!("{}/gone", server.base_url())));
    fleet.pipe("closed", &pipe("http://127.0.0.1:1/feed"));
    let commands: [(&[&str], i32); 12] = [
        (&["pipes", "check"], 0),
        (&["pipes", "list"], 0),
        (&["pipes", "list", "--json"], 0),
        (&["pipes", "preview", "shop"], 0),
        (&["--log", "trace", "pipes", "preview", "gone", "--json"], 1),
        (&["--log", "trace", "pipes", "preview", "closed"], 1),
        (&["--log", "debug", "run", "shop", "--wait"], 0),
        (&["--log", "debug", "run", "shop", "--wait", "--json"], 0),
        (&["--log", "debug", "run", "gone", "--wait", "--json"], 1),
        (&["runs", "show", "shop"], 0),
        (&["runs", "show", "gone", "--json"], 0),
        (&["runs", "list"], 0),
    ];
    for (arguments, code) in commands {
        let mut command = fleet.command(arguments);
        command.env("TOKEN", SECRET);
        let output = fleet.finish(command);
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.all());
        assert!(!output.all().contains(SECRET), "{arguments:?}: {}", output.all());
    }
    assert_eq!(fleet.products("shop").len(), 2);
    nothing_is_kept(&fleet);
}

#[test]
fn a_worker_that_tells_all_does_not_tell_a_secret() {
    let server = partner();
    let fleet = fleet(&server);
    fleet.pipe("busy", &pipe(&format!("{}/busy", server.base_url())));
    let mut command = fleet.command(&["--log", "trace", "worker"]);
    command.env("TOKEN", SECRET);
    let worker = fleet.start(command);
    for pipe in ["shop", "busy"] {
        let mut command = fleet.command(&["run", pipe]);
        command.env("TOKEN", SECRET);
        fleet.finish(command).ok();
    }
    // Reading a report needs no secret.
    eventually(Duration::from_secs(30), "both runs have been tried, and told of", || {
        let (shop, busy) = (fleet.report("shop"), fleet.report("busy"));
        let tried = busy["attempts"][0]["end"]["outcome"] == "retry";
        (tried && shop["state"] == "done" && worker.stderr().contains("503")).then_some(())
    });
    let log = worker.stderr();
    drop(worker);
    assert!(!log.contains(SECRET), "{log}");
    nothing_is_kept(&fleet);
}

#[test]
fn mistakes_around_a_secret_do_not_quote_it() {
    let fleet = Fleet::new();
    fleet.pipe(
        "shop",
        r#"
[source]
url = "gopher://shop.example/feed?key=${TOKEN}"
format = "csv"
[source.headers]
"Not a name" = "${TOKEN}"
Authorization = "Bearer ${TOKEN} ${NEVER_SET_4711}"
[map]
id = "sku"
"#,
    );
    let mut command = fleet.command(&["pipes", "check"]);
    command.env("TOKEN", SECRET);
    let output = fleet.finish(command).failed().says(&[
        "pipes/shop.toml:3:7: url in [source]",
        "expected http://, https://, sftp://",
        "not a header's name",
        "variable NEVER_SET_4711 is not set",
    ]);
    assert!(!output.all().contains(SECRET), "{}", output.all());
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_line() {
    let server = partner();
    let fleet = fleet(&server);
    let mut command = fleet.command(&["pipes", "check"]);
    command.env_remove("TOKEN");
    let told: &[&str] = &["pipes/shop.toml:2", "variable TOKEN is not set", "mistakes: 2"];
    fleet.finish(command).failed().says(told);
}

/// Who pauses a pipe needs its name, and not its secrets.
#[test]
fn a_pipe_is_paused_where_its_secret_is_not_set() {
    let server = partner();
    let fleet = fleet(&server);
    let without = |arguments: &[&str]| {
        let mut command = fleet.command(arguments);
        command.env_remove("TOKEN");
        fleet.finish(command)
    };
    without(&["pipes", "pause", "shop", "--by", "ada"]).ok().says(&["'shop' is paused"]);
    let told: &[&str] = &["shop is paused since", "by ada", "variable TOKEN is not set"];
    without(&["pipes", "list"]).failed().says(told);
    let findings = without(&["doctor", "--offline", "--json"]).failed().json();
    let findings = findings.as_array().expect("findings are a list");
    let pipe = findings.iter().find(|finding| finding["check"] == "pipe shop");
    let pipe = pipe.expect("the pipe is told").to_string();
    assert!(pipe.contains("paused since") && pipe.contains("pipes resume shop"), "{pipe}");
    without(&["pipes", "resume", "shop"]).ok().says(&["'shop' runs again"]);
    // Workers are processes of this machine, and would lack it too.
    without(&["run", "shop"]).failed().says(&["variable TOKEN is not set"]);
}

fn nothing_is_kept(fleet: &Fleet) {
    for (path, bytes) in fleet.files() {
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "the secret is in {}", path.display());
    }
}
