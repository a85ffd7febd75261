//! Reads where things are: files and folders, resolved against the configuration's folder, and the
//! addresses of sources.

use crate::pipe::Location;
use crate::secret::Secret;
use crate::value::{Text, Value};
use std::path::PathBuf;
use url::Url;

/// A file or folder of the fleet's own.
pub(super) fn folder(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    local(value, &text, "use a folder", "expected a folder's path or a file:// address")
}

/// A source's address or file.
pub(super) fn source(value: &Value<'_>) -> Option<Location> {
    // What stands before an '@' or after a '?' may be a secret that somebody wrote out.
    if value.written().is_some_and(|written| written.contains(['@', '?'])) {
        value.document().hide(value.span());
    }
    let text = value.text()?;
    if starts_with(&text.value, "http:") || starts_with(&text.value, "https:") {
        return http(value, &text).map(Location::Http);
    }
    let expected = "expected http://, https:// or a file's path";
    local(value, &text, "use an http:// or https:// address, or a file", expected)
        .map(Location::File)
}

fn http(value: &Value<'_>, text: &Text<'_, '_>) -> Option<Secret> {
    let name = value.name();
    let complete = starts_with(&text.value, "http://") || starts_with(&text.value, "https://");
    let url = match Url::parse(&text.value) {
        Ok(url) if complete && url.has_host() => url,
        // The parser's reason may quote a variable's value; the line is shown instead.
        _ => {
            value.refuse(format!("{name} is not an address"), "expected https://HOST/PATH");
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        value.document().hide(value.span());
        let message = format!("{name} holds a user or a password");
        value.refuse(message, "use an Authorization line in [source.headers], with '${NAME}'");
        return None;
    }
    if text.variable {
        Some(Secret::with_written(url.as_str(), text.written.as_str()))
    } else {
        Some(Secret::new(url.as_str()))
    }
}

/// A path, or a `file:` address of one; `instead_of_s3` says what to use while there is no S3.
fn local(
    value: &Value<'_>,
    text: &Text<'_, '_>,
    instead_of_s3: &str,
    expected: &str,
) -> Option<PathBuf> {
    let given = text.value.as_str();
    if given.trim().is_empty() {
        value.refuse(format!("{} is empty", value.name()), expected);
        return None;
    }
    if starts_with(given, "s3:") {
        value.refuse("s3 is not in this release", instead_of_s3);
        return None;
    }
    let path = if starts_with(given, "file://") {
        Url::parse(given).ok().and_then(|url| url.to_file_path().ok())
    } else if let Some(path) = given.strip_prefix("file:") {
        Some(PathBuf::from(path))
    } else if given.contains("://") {
        None
    } else {
        Some(PathBuf::from(given))
    };
    match path {
        Some(path) => Some(value.document().folder().join(path)),
        None => {
            value.refuse(format!("{} is not a place that can be read", value.name()), expected);
            None
        }
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
