//! What a reader over HTTP is told of an object. Nothing in the fleet reads it back.

use feedfleet_model::keys::ObjectKey;
use std::collections::BTreeMap;

/// What a store that is read over HTTP keeps beside an object's bytes, for browsers, content delivery networks
/// and people who look into the store.
///
/// A store that nobody reads over HTTP may leave them out, as [`FolderObjects`](crate::FolderObjects) does. So
/// whatever the fleet itself needs to know belongs into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Cache-Control`.
    pub cache_control: &'static str,
    /// Facts by name: names of `a-z` and `-`, values of visible ASCII, 2 KiB altogether at most.
    pub metadata: BTreeMap<&'static str, String>,
}

/// A picture's key stays when the picture behind its address changes, so it may be kept for a day only.
const PICTURE: &str = "public, max-age=86400";
/// What is not a picture is asked for anew each time, and kept by nobody on the way.
const OTHER: &str = "private, no-cache";

impl Attributes {
    /// The attributes that follow from the key. An original's type does not: see [`Attributes::picture`].
    pub fn of(key: &ObjectKey) -> Self {
        let content_type = match key.name().rsplit_once('.') {
            Some((_, "json")) => "application/json",
            Some((_, "webp")) => "image/webp",
            Some((_, "jpg")) => "image/jpeg",
            Some((_, "png")) => "image/png",
            // What came from outside is saved by a browser, never shown as a page.
            _ => "application/octet-stream",
        };
        if content_type.starts_with("image/") {
            return Self::picture(content_type);
        }
        Self { content_type, cache_control: OTHER, metadata: BTreeMap::new() }
    }

    /// A picture of this `Content-Type`.
    pub fn picture(content_type: &'static str) -> Self {
        Self { content_type, cache_control: PICTURE, metadata: BTreeMap::new() }
    }

    /// With one more fact. One that a header cannot hold is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic()) {
            self.metadata.insert(name, value);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str) -> Attributes {
        Attributes::of(&ObjectKey::parse(key).unwrap())
    }

    #[test]
    fn a_type_follows_from_the_key() {
        assert_eq!(of("reports/acme/000000000007.json").content_type, "application/json");
        assert_eq!(of("images/acme/ab/h/thumb.webp"), Attributes::picture("image/webp"));
        assert_eq!(of("images/acme/ab/h/facts.json").cache_control, OTHER);
        for unknown in
            ["raw/acme/000000000007/0001-00000000", "images/acme/ab/h/original", "x.html"]
        {
            assert_eq!(of(unknown).content_type, "application/octet-stream", "{unknown}");
        }
    }

    #[test]
    fn what_a_header_cannot_hold_is_left_out() {
        let attributes = of("a").with("hash", "00ff").with("etag", "ä").with("url", "a\r\nb: c");
        assert_eq!(attributes.metadata, BTreeMap::from([("hash", "00ff".to_owned())]));
    }
}
