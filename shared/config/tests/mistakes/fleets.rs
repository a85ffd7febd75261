//! Mistakes in fleet.toml.

use super::{environment, heads};
use feedfleet_config::parse_fleet;
use std::path::Path;

#[test]
fn fleets() {
    for (text, expected) in [
        (
            "[workers]\nmemory = '32MiB'",
            "2:10: memory in [workers] is '32MiB'; expected at least 256MiB",
        ),
        (
            "[workers]\nmemory = '256MiB'\ncrawl_slots = 4",
            "1:1: memory in [workers] leaves each of 4 crawl_slots 32MiB; expected at least 64MiB \
             for each",
        ),
        ("[workers]\nmax = 0", "2:7: max in [workers] is 0; expected 1 to 10000"),
        (
            "[workers]\nmin = 9",
            "1:1: min in [workers] is 9 and max is 4; expected min to be no more than max",
        ),
        ("[hosts]\nconcurrency = 0", "2:15: concurrency in [hosts] is 0; expected 1 to 256"),
        (
            "[queue]\nbackend = 'sqss'",
            "2:11: 'sqss' is not a queue; did you mean 'sqs'? Expected one of sqlite, sqs",
        ),
        (
            "[queue]\ncrawl_url = 'https://sqs.eu-central-1.amazonaws.com/1/crawl.fifo'",
            "2:1: crawl_url in [queue] has no use here; expected it with backend sqs only",
        ),
        (
            "[catalog]\nurl = 's3://b/x'",
            "2:7: url in [catalog] is not a place in S3; expected s3://BUCKET/PREFIX: a bucket's name, \
             and a prefix of A-Z, a-z, 0-9 and '._=-', in parts with '/' between them",
        ),
        (
            "[catalog]\nurl = 'gs://bucket/x'",
            "2:7: url in [catalog] is not a place that can be read; expected a folder's path, a file:// \
             address or s3://BUCKET/PREFIX",
        ),
        (
            "[catalog]\nurl = 's3://bucket/fleet'\n[objects]\nurl = 's3://bucket/fleet/objects/'",
            "4:7: url in [objects] is where [catalog] is, or above or below it; expected a place of its \
             own",
        ),
        (
            "[fleet]\nbackend = 'autoscaling'\ngroup = 'workers'",
            "2:11: autoscaling does not go with [queue], [catalog], [objects] on this machine; expected \
             sqs in [queue], and s3:// in [catalog] and [objects]",
        ),
        (
            "[fleet]\ngroup = 'workers'",
            "2:1: group in [fleet] has no use here; expected it with backend autoscaling only",
        ),
        (
            "[fleet]\nbackend = 'ec2'",
            "2:11: 'ec2' is not a fleet; expected one of processes, autoscaling",
        ),
        (
            "[metrics]\ncloudwatch = 'AWS/Feedfleet'",
            "2:14: 'AWS/Feedfleet' is not a namespace of CloudWatch; expected 1 to 255 of A-Z, a-z, 0-9 \
             and '.-_/#', not beginning with 'AWS/'",
        ),
        ("[metrics]\nworker_hour = -1", "2:15: worker_hour in [metrics] is -1; expected 0 to 1000"),
        (
            "[metrics]\nworker_hour = '1'",
            "2:15: worker_hour in [metrics] is a text; expected a number",
        ),
        (
            "[aws]\nregion = 'Frankfurt'",
            "2:10: 'Frankfurt' is not a region of AWS; expected one such as 'eu-central-1'",
        ),
        (
            "[console]\nlisten = '8410'",
            "2:10: '8410' is not an address to listen on; expected address and port, such as \
             '127.0.0.1:8410'",
        ),
        (
            "[http]\nallow_private = ['10.0.0.0/40']",
            "2:18: '10.0.0.0/40' is not a network; expected CIDR, such as '10.0.0.0/8' or \
             '192.168.1.7'",
        ),
        (
            "[http]\nallow_private = ['20.1.0.0/8']",
            "2:18: '20.1.0.0/8' is not a network; expected an address without bits beyond the prefix, such as \
             '20.0.0.0/8'",
        ),
        ("[leases]\nvisibility = '1s'", "2:14: visibility in [leases] is '1s'; expected 10s to 1h"),
        (
            "[leases]\nvisibility = '12h'",
            "2:14: visibility in [leases] is '12h'; expected 10s to 1h",
        ),
        ("[keep]\nrollback = '0s'", "2:12: rollback in [keep] is '0s'; expected 1s to 3650d"),
        (
            "[lease]\nvisibility = '60s'",
            "1:2: unknown field 'lease'; did you mean 'leases'? Expected one of queue, catalog, \
             objects, workers, leases, hosts, keep, console, http, scheduler, fleet, metrics, aws",
        ),
    ] {
        match parse_fleet(text, Path::new("/conf"), &environment()) {
            Ok(_) => panic!("this was taken for right:\n{text}"),
            Err(errors) => assert_eq!(heads(&errors), [format!("fleet.toml:{expected}")]),
        }
    }
}

/// What is right of a fleet on AWS, but for `queue`, which is on line 1.
fn on_aws(queue: &str) -> String {
    let places = "[catalog]\nurl = 's3://bucket/catalog'\n[objects]\nurl = 's3://bucket/objects'";
    format!("{queue}\n{places}\n[fleet]\nbackend = 'autoscaling'\ngroup = 'workers'")
}

fn fleet_heads(text: &str) -> Vec<String> {
    match parse_fleet(text, Path::new("/conf"), &environment()) {
        Ok(_) => panic!("this was taken for right:\n{text}"),
        Err(errors) => heads(&errors),
    }
}

#[test]
fn queues_of_sqs_are_four() {
    const SQS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012";
    let queue = |urls: &str| on_aws(&format!("queue = {{ backend = 'sqs', {urls} }}"));
    let missing = |name: &str| {
        format!(
            "fleet.toml:1:9: [queue] has no {name}; expected the address of a FIFO queue, as backend is \
             sqs"
        )
    };
    assert_eq!(
        fleet_heads(&queue(&format!("crawl_url = '{SQS}/c.fifo', image_url = '{SQS}/i.fifo'"))),
        [missing("crawl_dead_url"), missing("image_dead_url")]
    );
    let dead = format!("crawl_dead_url = '{SQS}/cd.fifo', image_dead_url = '{SQS}/id.fifo'");
    let found = fleet_heads(&queue(&format!(
        "crawl_url = '{SQS}/c', image_url = '{SQS}/i.fifo', {dead}, path = 'x'"
    )));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with(
            "crawl_url in [queue] is not a FIFO queue's address; expected \
             https://sqs.REGION.amazonaws.com/ACCOUNT/NAME.fifo"
        ),
        "{found:?}"
    );
    assert!(
        found[1].ends_with("path in [queue] has no use here; expected it with backend sqlite only")
    );
    let found = fleet_heads(&queue(&format!(
        "crawl_url = '{SQS}/c.fifo', image_url = '{SQS}/c.fifo', {dead}"
    )));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("image_url in [queue] names the same queue as crawl_url"),
        "{found:?}"
    );
}

#[test]
fn a_group_needs_a_name() {
    let text = on_aws("").replace("group = 'workers'", "");
    let found = fleet_heads(&text);
    assert_eq!(
        found,
        [
            "fleet.toml:6:1: [fleet] has no group; expected the name of an Auto Scaling group",
            "fleet.toml:7:11: autoscaling does not go with [queue] on this machine; expected sqs in \
             [queue], and s3:// in [catalog] and [objects]",
        ]
    );
}
