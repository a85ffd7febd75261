//! Every mistake has a message that says where it is, what it is and what was expected.

mod fleets;

use feedfleet_config::{ConfigErrors, parse_pipe};
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
