//! Reads where things are: files and folders, resolved against the configuration's folder, and the
//! addresses of sources.

use crate::pipe::Location;
use crate::place::Place;
use crate::secret::Secret;
use crate::server::{Server, ServerLogin};
use crate::suggest::nearest;
use crate::value::{Text, Value};
use feedfleet_model::keys::ObjectKey;
use std::path::PathBuf;
use url::Url;

/// The schemes of what a source can be.
const SCHEMES: [&str; 8] = ["http", "https", "sftp", "ftp", "ftps", "ftpes", "s3", "file"];
/// Bytes of a prefix in a bucket.
const LONGEST_PREFIX: usize = 200;
/// Bytes of a key, by S3's own rule.
const LONGEST_KEY: usize = 1024;

/// A file or folder of the fleet's own.
pub(super) fn folder(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    local(value, &text, &["file"], "a path or a file:// address")
}

/// A folder of the fleet's own, or a part of a bucket.
pub(super) fn place(value: &Value<'_>) -> Option<Place> {
    let text = value.text()?;
    if starts_with(&text.value, "s3:") {
        if let Some(place) = s3(&text.value) {
            return Some(place);
        }
        let expected = "expected s3://BUCKET/PREFIX: a bucket's name, and a prefix of A-Z, a-z, 0-9 and \
                        '._=-', in parts with '/' between them";
        value.refuse(format!("{} is not a place in S3", value.name()), expected);
        // Other sections shall not be told that it is no bucket.
        return Some(Place::S3 { bucket: String::new(), prefix: String::new() });
    }
    let expected = "a folder's path, a file:// address or s3://BUCKET/PREFIX";
    local(value, &text, &["file", "s3"], expected).map(Place::Folder)
}

fn s3(text: &str) -> Option<Place> {
    let (bucket, prefix) = match text.strip_prefix("s3://")?.split_once('/') {
        Some((bucket, prefix)) => (bucket, prefix.strip_suffix('/').unwrap_or(prefix)),
        None => (text.strip_prefix("s3://")?, ""),
    };
    // The keys below it need most of the 1,024 bytes that S3 allows.
    let is_prefix =
        prefix.is_empty() || prefix.len() <= LONGEST_PREFIX && ObjectKey::parse(prefix).is_some();
    let place = || Place::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
    (is_bucket(bucket) && is_prefix).then(place)
}

fn is_bucket(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_well = name.bytes().next().is_some_and(is_letter)
        && name.bytes().next_back().is_some_and(is_letter);
    (3..=63).contains(&name.len())
        && ends_well
        && name.bytes().all(|b| is_letter(b) || b == b'-' || b == b'.')
}

/// The address of a queue of SQS.
pub(super) fn queue_url(value: &Value<'_>) -> Option<String> {
    if value.written().is_some_and(|written| written.contains(['@', '?'])) {
        value.document().hide(value.span());
    }
    let text = value.text()?;
    let is_queue = Url::parse(&text.value).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.path().ends_with(".fifo")
            && url.path().matches('/').count() >= 2
    });
    if is_queue {
        return Some(text.value);
    }
    let expected = "expected https://sqs.REGION.amazonaws.com/ACCOUNT/NAME.fifo";
    value.refuse(format!("{} is not a FIFO queue's address", value.name()), expected);
    None
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
    if ["sftp:", "ftp:", "ftps:", "ftpes:"].iter().any(|scheme| starts_with(&text.value, scheme)) {
        return server(value, &text).map(Location::Server);
    }
    if starts_with(&text.value, "s3:") {
        return object(value);
    }
    let expected = "http://, https://, sftp://, ftp://, ftps://, ftpes://, s3:// or a file's path";
    local(value, &text, &SCHEMES, expected).map(Location::File)
}

/// A file on a server. Who logs in there is read elsewhere.
fn server(value: &Value<'_>, text: &Text<'_, '_>) -> Option<Server> {
    let expected = "expected SCHEME://USER@HOST/PATH, with %3F and %23 for '?' and '#'";
    let url = Url::parse(&text.value).ok().filter(|url| {
        let names_file = !url.path().is_empty() && !url.path().ends_with('/');
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        has_host && names_file && url.query().is_none() && url.fragment().is_none()
    });
    let Some(url) = url else {
        value.refuse(format!("{} is not a file's address", value.name()), expected);
        return None;
    };
    if url.password().is_some() {
        value.document().hide(value.span());
        let message = format!("{} holds a password", value.name());
        value.refuse(message, "use auth = { password = '${NAME}' } in [source]");
        return None;
    }
    let url = if text.variable {
        Secret::with_written(url.as_str(), text.written.as_str())
    } else {
        Secret::new(url.as_str())
    };
    Some(Server { url, login: ServerLogin::Anonymous, host_keys: Vec::new() })
}

/// An object in a bucket. Its address is shown in messages, so it holds no variables.
fn object(value: &Value<'_>) -> Option<Location> {
    let text = value.plain()?;
    let parts = text.get(3..).and_then(|rest| rest.strip_prefix("//")?.split_once('/'));
    let sound = parts.filter(|(bucket, key)| {
        let is_key = !key.is_empty() && key.len() <= LONGEST_KEY && !key.ends_with('/');
        is_bucket(bucket) && is_key && !key.chars().any(char::is_control)
    });
    if let Some((bucket, key)) = sound {
        return Some(Location::Object { bucket: bucket.to_owned(), key: key.to_owned() });
    }
    if let Some((bucket, _)) = parts.filter(|(bucket, _)| !bucket.is_empty())
        && !is_bucket(bucket)
    {
        let message = format!("{} names a bucket that there can't be", value.name());
        value.refuse(
            message,
            "expected 3 to 63 lower-case letters, digits, '-' and '.', with a letter or a digit at both ends",
        );
        return None;
    }
    let message = format!("{} is not an object in S3", value.name());
    value.refuse(message, "expected s3://BUCKET/KEY");
    None
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
        value.refuse(message, "use auth = { basic = { user, password = '${NAME}' } } in [source]");
        return None;
    }
    if text.variable {
        Some(Secret::with_written(url.as_str(), text.written.as_str()))
    } else {
        Some(Secret::new(url.as_str()))
    }
}

/// A path, or a `file:` address of one. `schemes`: those that may have been meant by another. What is there decides
/// nothing: a configuration that is sound today is so tomorrow.
fn local(
    value: &Value<'_>,
    text: &Text<'_, '_>,
    schemes: &[&str],
    expected: &str,
) -> Option<PathBuf> {
    let given = text.value.as_str();
    if given.trim().is_empty() {
        value.refuse(format!("{} is empty", value.name()), format!("expected {expected}"));
        return None;
    }
    let scheme = scheme(given);
    let path = if starts_with(given, "file://") {
        Url::parse(given).ok().and_then(|url| url.to_file_path().ok())
    } else if let Some(path) = given.strip_prefix("file:") {
        Some(PathBuf::from(path))
    } else if given.contains("://") || scheme.is_some() {
        None
    } else {
        Some(PathBuf::from(given))
    };
    match path {
        Some(path) => Some(value.document().folder().join(path)),
        None => {
            // A suggestion is made only of what the file itself shows.
            let word = scheme.filter(|_| !text.variable);
            let meant = word.and_then(|word| {
                nearest(word, schemes.iter().copied()).filter(|near| *near != word)
            });
            let mut expected = match meant {
                Some(scheme) => format!("did you mean '{scheme}:'? Expected {expected}"),
                None => format!("expected {expected}"),
            };
            if !given.contains("://") {
                expected.push_str(", as ./NAME where the name has a ':'");
            }
            value.refuse(format!("{} is not a place that can be read", value.name()), expected);
            None
        }
    }
}

/// What stands before the first ':' where that reads like an address of some kind. A letter alone does not, nor does
/// what has a '.' in it, as a file's name may.
fn scheme(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(':')?;
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'-';
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    (begins && name.len() > 1 && name.bytes().all(is_part)).then_some(name)
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_like_an_address_has_a_scheme() {
        for (text, expected) in
            [("htp:/x", "htp"), ("javascript:alert(1)", "javascript"), ("svn+ssh://a", "svn+ssh")]
        {
            assert_eq!(scheme(text), Some(expected), "{text}");
        }
        for path in ["f.csv", "./a:b", "C:/f.csv", "f.csv:1", "17:30.csv", "a/b:c", ":x", ""] {
            assert_eq!(scheme(path), None, "{path}");
        }
    }

    #[test]
    fn a_place_in_s3_is_a_bucket_and_a_prefix() {
        for (text, bucket, prefix) in [
            ("s3://my-bucket/fleet/objects", "my-bucket", "fleet/objects"),
            ("s3://my.bucket-1/fleet/", "my.bucket-1", "fleet"),
            ("s3://abc", "abc", ""),
            ("s3://abc/", "abc", ""),
        ] {
            let expected = Place::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
            assert_eq!(s3(text), Some(expected), "{text}");
        }
        for bad in [
            "s3:/abc/x",
            "s3://",
            "s3://ab",
            "s3://Abc/x",
            "s3://abc//x",
            "s3://abc/x y",
            "s3://-bc",
        ] {
            assert_eq!(s3(bad), None, "{bad}");
        }
    }
}
