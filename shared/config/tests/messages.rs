//! What a message shows of the file, and what it never shows.

use feedfleet_config::{ConfigErrors, parse_pipe};
use std::collections::BTreeMap;
use std::path::Path;

const SECRET: &str = "hunter2";

fn pipe_errors(text: &str) -> ConfigErrors {
    let name = "acme".parse().expect("a pipe's name");
    let environment = BTreeMap::from([("SECRET".to_owned(), SECRET.to_owned())]);
    match parse_pipe(&name, text, Path::new("/conf"), &environment) {
        Ok(_) => panic!("this was taken for right:\n{text}"),
        Err(errors) => errors,
    }
}

/// A pipe that is right but for `root`, on line 1, and `rest`, from line 5 on.
fn around(root: &str, rest: &str) -> String {
    format!("{root}\n[source]\nurl = 'f.xml'\nformat = 'google-xml'\n{rest}\n")
}

#[test]
fn the_line_is_shown_with_a_mark() {
    let errors = pipe_errors(&around("", "[map]\nid = 'i'\nprize = 'p' # the price"));
    assert_eq!(
        errors.to_string(),
        "pipes/acme.toml:7:1: unknown column 'prize' in [map]; did you mean 'price'?\n\
         \x20   prize = 'p' # the price\n\
         \x20   ^"
    );
    let error = errors.iter().next().expect("there is one");
    assert_eq!((error.line, error.column), (7, 1));
    assert_eq!(error.expected.as_deref(), Some("did you mean 'price'?"));
}

#[test]
fn what_somebody_wrote_out_is_not_shown_either() {
    let text = "[source]\nurl = 'gopher://a.example/f?token=abc'\nformat = 'google-xml'";
    assert_eq!(
        pipe_errors(text).to_string(),
        "pipes/acme.toml:2:7: url in [source] is not a place that can be read; expected http://, \
         https://, sftp://, ftp://, ftps://, ftpes://, s3:// or a file's path\n\
         \x20   url = ***\n\
         \x20         ^"
    );
    let text = around("", "headers = { 'a b' = 'abc' }");
    let shown = pipe_errors(&text).to_string();
    assert!(shown.contains("headers = { 'a b' = *** }"), "{shown}");
}

#[test]
fn no_message_shows_a_variables_value() {
    for setting in [
        "timezone = 'x${SECRET}'",
        "schedule = '0 ${SECRET} * * *'",
        "window = '${SECRET}s'",
        "guard = { max_removed = '${SECRET}%' }",
        "images = { max_bytes = '${SECRET}' }",
        "images = { renditions = [{ name = '${SECRET}', max = 1, format = 'x${SECRET}' }] }",
        "map = { title = '${SECRET}', brand = { field = 'b', as = 'x${SECRET}' } }",
        "map = { price = { field = '${SECRET}', decimal = '${SECRET}' } }",
    ] {
        let shown = pipe_errors(&around(setting, "")).to_string();
        assert!(shown.contains("${SECRET}") && !shown.contains(SECRET), "{shown}");
    }
    for setting in [
        "compression = '${SECRET}'",
        "encoding = '${SECRET}'",
        "key = ['${SECRET}']",
        "currency = '${SECRET}'",
        "item = '${SECRET}:'",
        "limits = { max_bytes = '${SECRET}' }",
        "kind = '${SECRET}'",
        "headers = { A = '${SECRET}${NOT_SET}' }",
    ] {
        let shown = pipe_errors(&around("", setting)).to_string();
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let url = "[source]\nurl = 'https://me:${SECRET}@a.example/'\nformat = 'google-xml'";
    let shown = pipe_errors(url).to_string();
    assert!(!shown.contains(SECRET), "{shown}");
}
