//! Who asks: the headers that a pipe has its site told, and nobody else.

use feedfleet_config::{Pipe, Secret, Site};
use feedfleet_http::Url;

/// The headers of one pipe.
pub(super) struct Credentials {
    headers: Vec<(String, Secret)>,
    site: Site,
}

impl Credentials {
    /// Those of a pipe, for its site.
    pub(super) fn of(pipe: &Pipe, site: &Site) -> Self {
        // How a body may be packed is not the pipe's to say.
        let is_own = |name: &str| name.eq_ignore_ascii_case("accept-encoding");
        let headers = pipe.source.headers.iter().filter(|(name, _)| !is_own(name));
        Self { headers: headers.cloned().collect(), site: site.clone() }
    }

    /// The headers for a request to this URL.
    pub(super) fn headers_for(&self, url: &str) -> Vec<(String, String)> {
        let may_know = || Url::parse(url).is_ok_and(|url| self.site.may_know_who_asks(&url));
        if self.headers.is_empty() || !may_know() {
            return Vec::new();
        }
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_config::Location;
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn the_site_alone_is_told() {
        let text = "[source]\nkind = 'site'\nurl = 'https://shop.example/'\n\
                    headers = { X-Key = 'abc', Accept-Encoding = 'br' }\n";
        let name = "acme".parse().unwrap();
        let environment = BTreeMap::new();
        let pipe = feedfleet_config::parse_pipe(&name, text, Path::new("/"), &environment);
        let pipe = pipe.unwrap();
        let Location::Site(site) = &pipe.source.location else { panic!("a site") };
        let credentials = Credentials::of(&pipe, site);
        let told = credentials.headers_for("https://www.shop.example/p/1");
        assert_eq!(told, [("X-Key".to_owned(), "abc".to_owned())]);
        for other in ["https://other.example/p/1", "http://shop.example/p/1", "no address"] {
            assert!(credentials.headers_for(other).is_empty(), "{other}");
        }
    }
}
