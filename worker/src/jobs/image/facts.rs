//! What is known of a mirrored picture, kept as an object beside it. A picture is there when its facts are:
//! they are written after everything they tell of, and removed before any of it changes.

use feedfleet_config::Rendition;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_objects::{ObjectError, Objects};
use feedfleet_pictures::render;
use serde::{Deserialize, Serialize};

/// The facts of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Where it came from.
    pub(super) url: String,
    /// What the source calls this state of it.
    #[serde(flatten)]
    pub(super) validators: Validators,
    /// XXH3-128 of the original's bytes, in hexadecimal.
    pub(super) hash: String,
    /// Size of the original in bytes.
    pub(super) size_bytes: u64,
    /// `jpeg`, `png`, `gif` or `webp`, by its first bytes.
    pub(super) format: String,
    /// Width in pixels, right side up.
    pub(super) width: u32,
    /// Height in pixels, right side up.
    pub(super) height: u32,
    /// What was made of it.
    pub(super) renditions: Vec<RenditionFacts>,
}

/// What a conditional request is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    /// The entity tag, quotes included.
    pub(super) etag: Option<String>,
    /// The `Last-Modified` date, as the server wrote it.
    pub(super) last_modified: Option<String>,
}

/// The facts of a rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RenditionFacts {
    /// Its name in the pipe's configuration.
    pub(super) name: String,
    /// Its object key.
    pub(super) key: String,
    /// How it was made; see [`render::spec`].
    pub(super) spec: String,
}

impl RenditionFacts {
    /// The facts that a rendition will have once it is made.
    pub(super) fn of(image: &ObjectKey, rendition: &Rendition) -> Self {
        RenditionFacts {
            name: rendition.name.clone(),
            key: render::key(image, rendition).to_string(),
            spec: render::spec(rendition),
        }
    }
}

/// The facts of the picture with this key; none where there is no picture, or where what is there can't
/// be read or is of another URL.
pub(super) async fn load(
    objects: &dyn Objects,
    image: &ObjectKey,
    url: &str,
) -> Result<Option<Facts>, ObjectError> {
    let Some(object) = objects.get(&keys::image_facts(image)).await? else {
        return Ok(None);
    };
    match serde_json::from_slice::<Facts>(&object.bytes) {
        Ok(facts) => Ok(Some(facts).filter(|facts| facts.url == url)),
        Err(error) => {
            tracing::warn!(key = %image, %error, "facts of a picture can't be read: it is fetched anew");
            Ok(None)
        }
    }
}

/// Writes the facts of the picture with this key.
pub(super) async fn save(
    objects: &dyn Objects,
    image: &ObjectKey,
    facts: &Facts,
) -> Result<(), ObjectError> {
    let body = serde_json::to_vec(facts).expect("facts have only strings and numbers");
    objects.put(&keys::image_facts(image), body.into()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_their_object() {
        let facts = Facts {
            url: "https://shop.example/1.jpg".to_owned(),
            validators: Validators { etag: Some("\"a\"".to_owned()), last_modified: None },
            hash: "00".to_owned(),
            size_bytes: 5_000_000_000,
            format: "jpeg".to_owned(),
            width: 1,
            height: 2,
            renditions: vec![RenditionFacts {
                name: "thumb".to_owned(),
                key: "images/acme/00/00/thumb.webp".to_owned(),
                spec: "webp".to_owned(),
            }],
        };
        let body = serde_json::to_vec(&facts).unwrap();
        assert_eq!(serde_json::from_slice::<Facts>(&body).unwrap(), facts);
    }
}
