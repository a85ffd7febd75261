//! The one address of a page: URLs that lead to the same page become equal, so that it is fetched once.
//!
//! The fragment, the user's name and password, a default port, a host's last dot, dot segments, an empty query and
//! empty parameters are dropped; percent-encoding gets one spelling; parameters that only track visitors or hold
//! their session are dropped. The order of parameters stays, and with it the address that the site itself wrote,
//! unless the pipe says that it has no meaning. The canonical URL is also the one that is fetched: what could
//! change a server's answer (doubled slashes, letter case of a path, `a=` or `a`) is left alone.

mod parameters;
mod percent;

use serde::{Deserialize, Serialize};
use url::Url;

/// How a pipe's canonical URLs differ from the usual ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CanonicalSettings {
    /// Whether parameters are sorted by name. Those with the same name keep their order.
    pub sort_parameters: bool,
    /// Further parameters to drop: names, or prefixes that end in `*`. Letter case has no meaning.
    pub drop_parameters: Vec<String>,
    /// Parameters to keep although they look like tracking or a session.
    pub keep_parameters: Vec<String>,
}

/// Makes canonical URLs.
#[derive(Debug, Clone, Default)]
pub struct Canonical {
    sorts: bool,
    drop_names: Vec<String>,
    drop_prefixes: Vec<String>,
    keep_names: Vec<String>,
}

impl Canonical {
    /// By a pipe's settings.
    pub fn new(settings: &CanonicalSettings) -> Self {
        let mut canonical = Self { sorts: settings.sort_parameters, ..Self::default() };
        for name in &settings.drop_parameters {
            let name = name.to_ascii_lowercase();
            match name.strip_suffix('*') {
                Some(prefix) => canonical.drop_prefixes.push(prefix.to_owned()),
                None => canonical.drop_names.push(name),
            }
        }
        let keep = settings.keep_parameters.iter().map(|name| name.to_ascii_lowercase());
        canonical.keep_names = keep.collect();
        canonical
    }

    /// The canonical form of an absolute URL; none for what is no web page's address (`mailto:`, `file:`, a broken
    /// host).
    pub fn parse(&self, url: &str) -> Option<Url> {
        self.apply(Url::parse(url).ok()?)
    }

    /// The canonical form of a link on the page `base`, or of an absolute URL; none as for [`Canonical::parse`].
    pub fn resolve(&self, base: &Url, link: &str) -> Option<Url> {
        self.apply(base.join(link).ok()?)
    }

    /// The canonical form of a URL; none when its scheme is neither `http` nor `https`. What comes out goes in
    /// unchanged.
    pub fn apply(&self, mut url: Url) -> Option<Url> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        url.set_fragment(None);
        if !url.username().is_empty() {
            url.set_username("").ok()?;
        }
        if url.password().is_some() {
            url.set_password(None).ok()?;
        }
        let host = url.host_str()?;
        let bare_host = host.trim_end_matches('.');
        if bare_host.len() < host.len() {
            let bare_host = bare_host.to_owned();
            url.set_host(Some(&bare_host)).ok()?;
        }
        let path = percent::path(&parameters::without_sessions(url.path()));
        if path != url.path() {
            url.set_path(&path);
        }
        let query = url.query().map(|query| self.query(query));
        if query.as_deref() != url.query() || query.as_deref() == Some("") {
            url.set_query(query.as_deref().filter(|query| !query.is_empty()));
        }
        Some(url)
    }

    fn query(&self, query: &str) -> String {
        let kept = query.split('&').map(percent::query).filter(|piece| self.keeps(piece));
        let mut kept: Vec<String> = kept.collect();
        if self.sorts {
            kept.sort_by(|a, b| name(a).cmp(name(b)));
        }
        kept.join("&")
    }

    fn keeps(&self, piece: &str) -> bool {
        let name = name(piece).to_ascii_lowercase();
        if name.is_empty() {
            return false;
        }
        if self.keep_names.contains(&name) {
            return true;
        }
        let value = piece.split_once('=').map_or("", |(_, value)| value);
        !self.drop_names.contains(&name)
            && !self.drop_prefixes.iter().any(|prefix| name.starts_with(prefix))
            && !parameters::is_noise(&name, value)
    }
}

/// The name of the parameter in `a=1`.
fn name(piece: &str) -> &str {
    piece.split('=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(settings: &CanonicalSettings, url: &str) -> Option<String> {
        Canonical::new(settings).parse(url).map(String::from)
    }

    #[test]
    fn tracking_and_sessions_are_dropped_and_the_rest_keeps_its_order() {
        let url = "HTTPS://u:p@Shop.Example.:443/a/../b;jsessionid=1F?z=1&utm_source=x&&a=%62&gclid=q#top";
        let usual = CanonicalSettings::default();
        assert_eq!(canonical(&usual, url).unwrap(), "https://shop.example/b?z=1&a=b");
        let own = CanonicalSettings {
            sort_parameters: true,
            drop_parameters: vec!["Z".to_owned(), "ref*".to_owned()],
            keep_parameters: vec!["gclid".to_owned()],
        };
        let url = "http://shop.example/?z=1&refid=2&gclid=q&a=2&a=1";
        assert_eq!(canonical(&own, url).unwrap(), "http://shop.example/?a=2&a=1&gclid=q");
        assert_eq!(
            canonical(&usual, "http://shop.example/?fbclid=1").unwrap(),
            "http://shop.example/"
        );
        assert_eq!(canonical(&usual, "mailto:a@shop.example"), None);
    }

    #[test]
    fn links_are_resolved_against_their_page() {
        let base = Url::parse("https://shop.example/c/1?x=1").unwrap();
        let canonical = Canonical::default();
        let resolve = |link| canonical.resolve(&base, link).map(String::from);
        assert_eq!(resolve("?page=2").as_deref(), Some("https://shop.example/c/1?page=2"));
        assert_eq!(resolve(" ../p/%7e1#x ").as_deref(), Some("https://shop.example/p/~1"));
        assert_eq!(resolve("javascript:void(0)"), None);
    }

    proptest! {
        #[test]
        fn what_comes_out_goes_in_unchanged(rest in "[a-z0-9./?&=%;:@#!'|\\[\\]é +-]{0,60}") {
            let canonical = Canonical::default();
            if let Some(url) = canonical.parse(&format!("http://a.example/{rest}")) {
                prop_assert_eq!(canonical.parse(url.as_str()), Some(url));
            }
        }
    }
}
