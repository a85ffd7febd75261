//! Every mistake has a message that says where it is, what it is and what was expected.

use feedfleet_config::{ConfigErrors, parse_fleet, parse_pipe};
use std::collections::BTreeMap;
use std::path::Path;

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("SECRET".to_owned(), "hunter2".to_owned())])
}

fn pipe_errors(text: &str) -> ConfigErrors {
    let name = "acme".parse().expect("a pipe's name");
    match parse_pipe(&name, text, Path::new("/conf"), &environment()) {
        Ok(_) => panic!("this was taken for right:\n{text}"),
        Err(errors) => errors,
    }
}

/// A pipe that is right but for `root`, on line 1, and `rest`, from line 5 on.
fn around(root: &str, rest: &str) -> String {
    format!("{root}\n[source]\nurl = 'f.xml'\nformat = 'google-xml'\n{rest}\n")
}

/// The errors, each without its excerpt.
fn heads(errors: &ConfigErrors) -> Vec<String> {
    let head = |text: String| text.lines().next().unwrap_or_default().to_owned();
    errors.iter().map(|error| head(error.to_string())).collect()
}

fn assert_pipe(text: &str, expected: &str) {
    assert_eq!(heads(&pipe_errors(text)), [format!("pipes/acme.toml:{expected}")], "{text}");
}

#[test]
fn schedules() {
    const FIELDS: &str = "expected minute (0-59), hour (0-23), day (1-31), month (1-12) and weekday \
                          (0-7), such as '0 2 * * *'";
    for (root, expected) in [
        ("schedule = '61 * * * *'", format!("1:12: '61 * * * *' is not a cron line; {FIELDS}")),
        ("schedule = '0 0 2 * * *'", format!("1:12: '0 0 2 * * *' is not a cron line; {FIELDS}")),
        ("schedule = '${SECRET}'", format!("1:12: '${{SECRET}}' is not a cron line; {FIELDS}")),
    ] {
        assert_pipe(&around(root, ""), &expected);
    }
    for (root, expected) in [
        (
            "schedule = '0 0 30 2 *'",
            "1:12: '0 0 30 2 *' is not a time that ever comes; expected a day that the month has",
        ),
        (
            "timezone = 'Asia/Soul'",
            "1:12: 'Asia/Soul' is not a timezone; did you mean 'Asia/Seoul'?",
        ),
        (
            "timezone = 'Mars'",
            "1:12: 'Mars' is not a timezone; expected a name of the IANA database, such as \
             'Europe/Berlin'",
        ),
        (
            "window = '5 minutes'",
            "1:10: '5 minutes' is not a duration; expected a whole number with ms, s, m, h or d, such \
             as '90s'",
        ),
        ("window = '2d'", "1:10: window is '2d'; expected 0s to 1d"),
        ("window = 5", "1:10: window is a whole number; expected a text"),
        (
            "scedule = '0 2 * * *'",
            "1:1: unknown field 'scedule'; did you mean 'schedule'? Expected one of timezone, \
             schedule, window, source, map, guard, images, supplements",
        ),
    ] {
        assert_pipe(&around(root, ""), expected);
    }
}

#[test]
fn sources() {
    const FORMATS: &str = "google-xml, google-tsv, google-csv, naver-ep, naver-ep-summary, \
                           naver-ep-legacy, meta-xml, meta-csv, meta-tsv, shopify-csv, \
                           shopify-json, woocommerce-csv, awin, cj-xml, cj-csv, rakuten, csv, tsv, \
                           json, jsonl, xml";
    for (text, expected) in [
        (
            "[source]\nurl = 'f.xml'",
            format!("1:1: [source] has no format; expected one of {FORMATS}"),
        ),
        (
            "[source]\nurl = 'f.xml'\nformat = 'google-xlm'",
            format!(
                "3:10: 'google-xlm' is not a format; did you mean 'google-xml'? Expected one of \
                 {FORMATS}"
            ),
        ),
    ] {
        assert_pipe(text, &expected);
    }
    for (text, expected) in [
        ("", "1:1: the file has no source; expected a table with url and format"),
        ("source = 1", "1:10: source is a whole number; expected a table"),
        (
            "[source]\nformat = 'google-xml'",
            "1:1: [source] has no url; expected an https:// address or a file's path",
        ),
        (
            "[source]\nurl = 'gopher://a.example/f'\nformat = 'google-xml'",
            "2:7: url in [source] is not a place that can be read; expected http://, https://, \
             sftp://, ftp://, ftps://, ftpes://, s3:// or a file's path",
        ),
        (
            "[source]\nurl = 'htp:/a.example/f'\nformat = 'google-xml'",
            "2:7: url in [source] is not a place that can be read; did you mean 'http:'? Expected http://, \
             https://, sftp://, ftp://, ftps://, ftpes://, s3:// or a file's path, as ./NAME where the \
             name has a ':'",
        ),
        (
            "[source]\nurl = 'javascript:alert(1)'\nformat = 'google-xml'",
            "2:7: url in [source] is not a place that can be read; expected http://, https://, \
             sftp://, ftp://, ftps://, ftpes://, s3:// or a file's path, as ./NAME where the name has \
             a ':'",
        ),
        (
            "[source]\nurl = 'https:/a.example/f'\nformat = 'google-xml'",
            "2:7: url in [source] is not an address; expected https://HOST/PATH",
        ),
        (
            "[source]\nurl = 's3://bucket'\nformat = 'google-xml'",
            "2:7: url in [source] is not an object in S3; expected s3://BUCKET/KEY",
        ),
        (
            "[source]\nurl = 's3://b/k.csv'\nformat = 'google-xml'",
            "2:7: url in [source] names a bucket that there can't be; expected 3 to 63 lower-case letters, \
             digits, '-' and '.', with a letter or a digit at both ends",
        ),
        (
            "[source]\nurl = 'ftp://a.example/folder/'\nformat = 'google-xml'",
            "2:7: url in [source] is not a file's address; expected SCHEME://USER@HOST/PATH, with \
             %3F and %23 for '?' and '#'",
        ),
        (
            "[source]\nurl = 'sftp://me:abc@a.example/f'\nformat = 'google-xml'",
            "2:7: url in [source] holds a password; use auth = { password = '${NAME}' } in [source]",
        ),
        (
            "[source]\nurl = 'https://me:abc@a.example/f'\nformat = 'google-xml'",
            "2:7: url in [source] holds a user or a password; use auth = { basic = { user, \
             password = '${NAME}' } } in [source]",
        ),
        (
            "[source]\nurl = '${x'\nformat = 'google-xml'",
            "2:7: '${' without a variable's name and '}'; expected '${NAME}', or '$${' for the two \
             characters themselves",
        ),
        (
            "[source]\nkind = 'site'\nurl = 'f.xml'",
            "3:7: url in [source] is not a page's address; expected https://HOST/PATH, without a user",
        ),
        (
            "[source]\nurl = 'f.csv'\nformat = 'csv'",
            "3:10: format 'csv' needs a [map]; expected one with at least id",
        ),
        (
            "[source]\nurl = 'f.csv'\nformat = 'csv'\n[map]\ntitle = 't'",
            "3:10: format 'csv' needs to know what a product's id is; expected id in [map], or key in \
             [source]",
        ),
        (
            "[source]\nurl = 'f.xml'\nformat = 'xml'\n[map]\nid = 'i'",
            "1:1: format 'xml' needs item; expected item = the element that is one product",
        ),
        ("[source]\nurl = 'a'\nurl = 'b'", "3:1: duplicate key"),
    ] {
        assert_pipe(text, expected);
    }
}

#[test]
fn ways_to_log_in() {
    let way =
        |url: &str, rest: &str| format!("[source]\nurl = '{url}'\nformat = 'google-xml'\n{rest}");
    for (url, rest, expected) in [
        (
            "https://a.example/f",
            "auth = { bearer = 'a', password = 'b' }",
            "4:8: auth in [source] has not one way to prove who asks; expected one of basic = { user, \
             password }, bearer, password and key",
        ),
        (
            "https://a.example/f",
            "auth = { password = 'b' }",
            "4:8: password and key in [source.auth] are for sftp and ftp; expected basic = { user, \
             password } or bearer",
        ),
        (
            "https://a.example/f",
            "headers = { authorization = 'x' }\nauth = { bearer = 'b' }",
            "5:1: auth in [source] says what a header says, too; expected one of them",
        ),
        (
            "https://a.example/f",
            "host_key = 'SHA256:abc'",
            "4:1: host_key in [source] has no use with such a source; expected it with sftp:// only",
        ),
        (
            "https://a.example/f",
            "auth = { bearer = '' }",
            "4:19: bearer in [source.auth] is empty; expected a text such as '${NAME}'",
        ),
        (
            "sftp://me@a.example/f",
            "",
            "2:7: a source over sftp needs auth in [source]; expected auth = { password = '${NAME}' } \
             or { key = '${NAME}' }",
        ),
        (
            "sftp://a.example/f",
            "auth = { password = 'b' }",
            "2:7: url in [source] names no user; expected SCHEME://USER@HOST/PATH",
        ),
        (
            "sftp://me@a.example/f",
            "auth = { password = 'b' }\nhost_key = 'SHA256:abc'",
            "5:12: host_key in [source] is not a fingerprint; expected SHA256:…, as `ssh-keygen -lf` \
             and `feedfleet doctor` print it",
        ),
        (
            "ftp://me@a.example/f",
            "auth = { key = 'b' }",
            "4:8: FTP knows no private keys; expected auth = { password = '${NAME}' }",
        ),
        (
            "ftp://me@a.example/f",
            "",
            "2:7: url in [source] names a user; expected auth = { password = '${NAME}' } with it",
        ),
        (
            "f.xml",
            "auth = { bearer = 'b' }",
            "4:1: auth in [source] has no use with such a source; expected it with http, sftp and ftp \
             only",
        ),
    ] {
        assert_pipe(&way(url, rest), expected);
    }
    let text = way("sftp://me@a.example/f", "auth = { password = 'hush', token = 'hush' }");
    let shown = pipe_errors(&text).to_string();
    assert!(shown.contains("unknown field 'token'") && !shown.contains("hush"), "{shown}");
}

#[test]
fn settings_of_a_source() {
    for (rest, expected) in [
        (
            "compresion = 'gzip'",
            "5:1: unknown field 'compresion' in [source]; did you mean 'compression'? Expected one of \
             kind, url, format, headers, auth, host_key, compression, encoding, delimiter, quoting, item, items, key, \
             group, currency, changes_only, limits",
        ),
        (
            "currency = 'eur'",
            "5:12: 'eur' is not a currency; expected three capital letters, such as 'EUR'",
        ),
        (
            "delimiter = ';'",
            "5:1: delimiter in [source] has no use with format 'google-xml'; expected it with csv, tsv \
             and the text presets only",
        ),
        (
            "item = 'g:item'",
            "5:8: 'g:item' is not an element's local name; expected the name without prefix",
        ),
        ("key = 1", "5:7: key in [source] is a whole number; expected a text or a list of texts"),
        ("encoding = ''", "5:12: encoding in [source] is empty; expected a text"),
        (
            "[source.limits]\nmax_bytes = 'lots'",
            "6:13: 'lots' is not a size; expected a whole number with B, KB, MB, GB, KiB, MiB or GiB, \
             such as '2GiB'",
        ),
        (
            "[source.limits]\nmax_time = '0s'",
            "6:12: max_time in [source.limits] is '0s'; expected 1s to 1d",
        ),
        (
            "[source.headers]\nAuthorization = 'Bearer ${TOKEN}'",
            "6:25: variable TOKEN is not set in the environment",
        ),
        (
            "[source.headers]\n'two words' = 'x'",
            "6:1: this is not a header's name; expected letters, digits and '-'",
        ),
        (
            "[guard]\nmax_removed = '130%'",
            "6:15: '130%' is not a percentage; expected '0%' to '100%'",
        ),
        ("[guard]\nabsent_nights = 0", "6:17: absent_nights in [guard] is 0; expected 1 to 30"),
        (
            "[guard]\nmin_records = 80",
            "6:15: min_records in [guard] is a whole number; expected a text",
        ),
    ] {
        assert_pipe(&around("", rest), expected);
    }
}

#[test]
fn ways_of_quoting() {
    let text = "[source]\nurl = 'f.csv'\nformat = 'google-csv'\nquoting = 'slash'\n";
    let expected = "4:11: 'slash' is not a way of quoting; expected true, false or 'backslash'";
    assert_pipe(text, expected);
}

#[test]
fn renditions() {
    for (list, expected) in [
        (
            "[{ name = 'thumb', max = 0, format = 'webp' }]",
            "6:39: max in [images.renditions] is 0; expected 1 to 16383",
        ),
        (
            "[{ name = 'a', max = 9, format = 'png', quality = 50 }]",
            "6:64: png has no quality; expected quality with webp and jpeg only",
        ),
        (
            "[{ name = 'a', max = 9, format = 'png' }, { name = 'a', max = 5, format = 'png' }]",
            "6:56: there are two renditions named 'a'; expected a name for each",
        ),
        (
            "[{ name = 'a', max = 9, format = 'webpp' }]",
            "6:47: 'webpp' is not a format of renditions; did you mean 'webp'? Expected one of webp, \
             jpeg, png",
        ),
        (
            "[{ name = 'A b', max = 9, format = 'png' }]",
            "6:24: 'A b' is not a rendition's name; expected 1 to 32 of a-z, 0-9 and '-', other than \
             'original'",
        ),
        (
            "['thumb']",
            "6:15: renditions in [images] is a text; expected a table with name, max and format",
        ),
    ] {
        assert_pipe(&around("", &format!("[images]\nrenditions = {list}")), expected);
    }
}

#[test]
fn mappings() {
    for (line, expected) in [
        ("prize = 'p'", "6:1: unknown column 'prize' in [map]; did you mean 'price'?"),
        (
            "zzz = 'p'",
            "6:1: unknown column 'zzz' in [map]; expected a column of the product table, 'category' or \
             'ignore'",
        ),
        (
            "run = 'x'",
            "6:1: column 'run' in [map] is filled by Feedfleet; expected a column of the partner's data",
        ),
        (
            "price = 5",
            "6:9: price in [map] is a whole number; expected a field's name, or a table with one of \
             field, fields, first_of, all_of, template, const",
        ),
        (
            "title = { field = 't', as = 'money' }",
            "6:29: 'money' does not fit 'title', which holds a text; expected text",
        ),
        (
            "price = { field = 'p', as = 'split' }",
            "6:29: 'split' does not fit 'price', which holds a decimal number; expected money or number",
        ),
        (
            "price = { field = 'p', as = 'mony' }",
            "6:29: 'mony' is not a transform; did you mean 'money'? Expected one of text, money, \
             number, integer, boolean, date, category, split",
        ),
        (
            "title = { field = 't', split = ',' }",
            "6:32: 'split' does not fit 'title', which holds a text; expected text",
        ),
        (
            "title = { field = 't', currency = 'EUR' }",
            "6:24: currency in [map.title] has no use here; expected it with money only",
        ),
        (
            "title = { field = 't', join = ' ' }",
            "6:24: join in [map.title] has no use here; expected it with fields only",
        ),
        (
            "title = { field = 't', default = 'x' }",
            "6:24: default in [map.title] has no use here; expected it with lookup only",
        ),
        (
            "title = { field = 'a', const = 'b' }",
            "6:9: [map.title] takes its value from two places; expected only one of field, fields, \
             first_of, all_of, template, const",
        ),
        (
            "title = { all_of = ['a', 'b'] }",
            "6:9: all_of does not fit 'title', which holds one value; expected field, fields or \
             first_of",
        ),
        (
            "link = { template = 'https://a.example/{id' }",
            "6:21: template in [map.link] has a brace without its other half; expected fields' names \
             in braces, such as '{Handle}'",
        ),
        (
            "title = { fields = ['a'], first = ',' }",
            "6:27: first in [map.title] has no use here; expected it with field and first_of only",
        ),
        (
            "title = { const = '${SECRET}' }",
            "6:19: const in [map.title] can't hold a variable; expected a text that may be printed",
        ),
        (
            "availability_date = { field = 'd', format = '%Q' }",
            "6:45: '%Q' is not a strftime pattern; expected one such as '%Y-%m-%d %H:%M:%S'",
        ),
        (
            "price = { field = 'p', decimal = ';' }",
            "6:34: ';' is not a decimal mark; expected one of ., ,",
        ),
    ] {
        assert_pipe(&around("", &format!("[map]\n{line}")), expected);
    }
}

#[test]
fn all_mistakes_of_a_file_come_together() {
    let text = around("window = 1", "[map]\ntitle = { feild = 't' }\nprize = 'p'");
    assert_eq!(
        heads(&pipe_errors(&text)),
        [
            "pipes/acme.toml:1:10: window is a whole number; expected a text",
            "pipes/acme.toml:6:9: [map.title] doesn't say where its value comes from; expected one of \
             field, fields, first_of, all_of, template, const",
            "pipes/acme.toml:6:11: unknown field 'feild' in [map.title]; did you mean 'field'? \
             Expected one of field, fields, first_of, all_of, template, const, first, join, lookup, \
             default, as, currency, decimal, minor_units, format, timezone, separator, split",
            "pipes/acme.toml:7:1: unknown column 'prize' in [map]; did you mean 'price'?",
        ]
    );
}

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
