//! How a source's place is shown.

use crate::pipe::Location;

impl Location {
    /// The place for messages and lists: an address without user, password and query, and with the
    /// names of variables for their values; the bucket and the key; or the file's path.
    pub fn display(&self) -> String {
        match self {
            Self::Http(address) => without_secrets(address.written()),
            Self::File(path) => path.display().to_string(),
            Self::Server(server) => without_secrets(server.url.written()),
            Self::Object { bucket, key } => format!("s3://{bucket}/{key}"),
            Self::Site(site) => {
                without_secrets(site.starts.first().map_or("", |start| start.as_str()))
            }
        }
    }
}

fn without_secrets(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        // Parsers of addresses forgive much: where the host begins can't be told.
        return "***".to_owned();
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = match rest.split_once('?') {
        Some((place, _)) => (place, "?…"),
        None => (rest, ""),
    };
    let (authority, path) = match place.find(['/', '\\']) {
        Some(at) => place.split_at(at),
        None => (place, ""),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::server::{Server, ServerLogin};
    use std::path::PathBuf;

    #[test]
    fn addresses_are_shown_without_their_secrets() {
        for (address, shown) in [
            ("https://acme.example/feed.xml", "https://acme.example/feed.xml"),
            ("https://acme.example/feed?token=abc#x", "https://acme.example/feed?…"),
            ("https://me:abc@acme.example:8443/f", "https://acme.example:8443/f"),
            ("https://me:a@b@acme.example", "https://acme.example"),
            ("https:me:abc@acme.example", "***"),
        ] {
            assert_eq!(Location::Http(Secret::new(address)).display(), shown);
        }
        let secret = Secret::with_written("https://a.example/abc/f", "https://a.example/${KEY}/f");
        assert_eq!(Location::Http(secret).display(), "https://a.example/${KEY}/f");
        assert_eq!(Location::File(PathBuf::from("/feeds/a.csv")).display(), "/feeds/a.csv");
        let url = Secret::new("sftp://me@acme.example:2222/out/f.csv");
        let server = Server { url, login: ServerLogin::Anonymous, host_keys: Vec::new() };
        assert_eq!(Location::Server(server).display(), "sftp://acme.example:2222/out/f.csv");
        let object = Location::Object { bucket: "acme".to_owned(), key: "a/f.csv".to_owned() };
        assert_eq!(object.display(), "s3://acme/a/f.csv");
    }
}
