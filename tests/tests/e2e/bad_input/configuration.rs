//! Mistakes in `fleet.toml` and in pipes: each is refused when it is loaded, with its file and line.

use super::payloads;
use feedfleet_tests::Fleet;

const SOURCE: &str = "[source]\nurl = \"products.csv\"\nformat = \"csv\"\n";
const MAP: &str = "[map]\nid = \"sku\"\ntitle = \"name\"\n";

/// Pipes by name, with what `feedfleet pipes check` says of each.
fn pipes() -> Vec<(&'static str, String, &'static str)> {
    let url = |url: &str| format!("[source]\nurl = \"{url}\"\nformat = \"csv\"\n{MAP}");
    vec![
        (
            "unknown-field",
            format!("retries = 3\n{SOURCE}{MAP}"),
            "pipes/unknown-field.toml:1:1: unknown field 'retries'",
        ),
        (
            "bad-cron",
            format!("schedule = \"61 * * * *\"\n{SOURCE}{MAP}"),
            "pipes/bad-cron.toml:1:12: '61 * * * *' is not a cron line",
        ),
        (
            "never",
            format!("schedule = \"0 0 30 2 *\"\n{SOURCE}{MAP}"),
            "pipes/never.toml:1:12: '0 0 30 2 *' is not a time that ever comes",
        ),
        (
            "gopher",
            url("gopher://shop.example/feed"),
            "pipes/gopher.toml:2:7: url in [source] is not a place that can be read",
        ),
        (
            "misspelt",
            url("htp:/shop.example/feed"),
            "pipes/misspelt.toml:2:7: url in [source] is not a place that can be read; did you mean 'http:'?",
        ),
        (
            "no-address",
            url("https:/shop.example/feed"),
            "pipes/no-address.toml:2:7: url in [source] is not an address",
        ),
        (
            "user",
            url("https://me:hunter2@shop.example/feed"),
            "pipes/user.toml:2:7: url in [source] holds a user or a password",
        ),
        (
            "no-time",
            format!("{SOURCE}[source.limits]\nmax_time = \"0s\"\n{MAP}"),
            "pipes/no-time.toml:5:12: max_time in [source.limits] is '0s'; expected 1s to 1d",
        ),
        (
            "transform",
            format!("{SOURCE}{MAP}price = {{ field = \"price\", as = \"mony\" }}\n"),
            "pipes/transform.toml:7:33: 'mony' is not a transform; did you mean 'money'?",
        ),
        (
            "share",
            format!("{SOURCE}{MAP}[guard]\nmax_removed = \"130%\"\n"),
            "pipes/share.toml:8:15: '130%' is not a percentage",
        ),
    ]
}

/// `fleet.toml` by its text, with what is said of it.
const FLEETS: [(&str, &str); 5] = [
    (
        "[hosts]\nconcurrency = 0\n",
        "fleet.toml:2:15: concurrency in [hosts] is 0; expected 1 to 256",
    ),
    ("[workers]\ncrawl_slots = 0\n", "fleet.toml:2:15: crawl_slots in [workers] is 0"),
    ("[workers]\nmax = 0\n", "fleet.toml:2:7: max in [workers] is 0; expected 1 to 10000"),
    ("[worker]\nmax = 2\n", "fleet.toml:1:2: unknown field 'worker'; did you mean 'workers'?"),
    (
        "[http]\nallow_private = [\"10.0.0.0/40\"]\n",
        "fleet.toml:2:18: '10.0.0.0/40' is not a network",
    ),
];

/// A mistake is told with its place, stops what it concerns and no more, and changes nothing.
#[test]
fn bad_configuration() {
    let fleet = Fleet::new();
    fleet.write("products.csv", payloads::csv(3));
    fleet.pipe("shop", &format!("{SOURCE}{MAP}"));
    fleet.run_pipe("shop");
    let before = fleet.products("shop");
    assert_eq!(before.len(), 3);

    let pipes = pipes();
    for (name, text, _) in &pipes {
        fleet.pipe(name, text);
    }
    fleet.write("pipes/My_Shop.toml", format!("{SOURCE}{MAP}"));
    fleet.write("pipes/bytes.toml", b"schedule = \"\xff\xfe\"\n");
    let told: Vec<&str> = pipes.iter().map(|(_, _, says)| *says).collect();
    let check = fleet.run(&["pipes", "check"]).failed().says(&told);
    let check = check.says(&[
        "pipes/My_Shop.toml: 'My_Shop' is not a pipe name",
        "pipes/bytes.toml: it can't be read",
        "pipes/shop.toml: ok",
    ]);
    assert!(!check.all().contains("hunter2"), "a password is shown: {}", check.all());
    // A broken pipe cannot be run, and does not keep another from it.
    for (name, _, says) in &pipes {
        fleet.run(&["run", *name, "--wait"]).failed().says(&[*says]);
    }
    assert_eq!(fleet.run_pipe("shop")["state"], "done");

    for (text, says) in FLEETS {
        fleet.write("fleet.toml", text);
        for command in [&["pipes", "check"][..], &["run", "shop", "--wait"]] {
            fleet.run(command).failed().says(&[says]);
        }
    }
    assert_eq!(fleet.products("shop"), before);
}
