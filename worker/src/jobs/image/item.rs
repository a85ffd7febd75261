//! One look at one picture: ask the source, and bring what is stored up to date.
//!
//! The objects of a picture are written in this order: renditions, original, facts. A look may be cut
//! short at any point: the facts are removed before a stored picture is replaced, so that they never tell
//! of objects that are of another picture.

use super::ImageDeps;
use super::draw::Drawn;
use super::facts::{self, Facts, RenditionFacts, Validators};
use super::fetch::{self, Body, Failure, Fetched};
use bytes::Bytes;
use feedfleet_config::{Images, Rendition};
use feedfleet_model::ImageJob;
use feedfleet_model::hash;
use feedfleet_model::image::ImageStatus;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_objects::{Attributes, ObjectError, Objects};
use feedfleet_pictures::render;

/// What every look of a batch shares.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) deps: &'a ImageDeps,
    pub(super) settings: &'a Images,
    pub(super) job: &'a ImageJob,
}

/// The result of a look.
pub(super) struct Look {
    /// What came of it.
    pub(super) result: Result<ImageStatus, Failure>,
    /// What is known of the picture now. After a failure: of the one that is stored still, if any.
    pub(super) facts: Option<Facts>,
}

enum LookError {
    Failed(Failure),
    Objects(ObjectError),
}

impl From<Failure> for LookError {
    fn from(failure: Failure) -> Self {
        LookError::Failed(failure)
    }
}

impl From<ObjectError> for LookError {
    fn from(error: ObjectError) -> Self {
        LookError::Objects(error)
    }
}

/// Looks at a picture.
///
/// # Errors
///
/// The object store failed. All that concerns the picture or its source is in [`Look::result`].
pub(super) async fn look_at(batch: Batch<'_>, url: &str) -> Result<Look, ObjectError> {
    let key = keys::image_key(&batch.job.pipe, url);
    let stored = facts::load(batch.objects(), &key, url).await?;
    match refresh(batch, &key, url, stored.as_ref()).await {
        Ok((status, facts)) => Ok(Look { result: Ok(status), facts: Some(facts) }),
        Err(LookError::Failed(failure)) => Ok(Look { result: Err(failure), facts: stored }),
        Err(LookError::Objects(error)) => Err(error),
    }
}

/// Says of a picture that it was not looked at, and why.
///
/// # Errors
///
/// The object store failed.
pub(super) async fn pass_over(batch: Batch<'_>, url: &str, why: &str) -> Result<Look, ObjectError> {
    let key = keys::image_key(&batch.job.pipe, url);
    let stored = facts::load(batch.objects(), &key, url).await?;
    Ok(Look { result: Err(Failure::passing(why)), facts: stored })
}

async fn refresh(
    batch: Batch<'_>,
    key: &ObjectKey,
    url: &str,
    stored: Option<&Facts>,
) -> Result<(ImageStatus, Facts), LookError> {
    let validators = stored.map(|facts| facts.validators.clone()).unwrap_or_default();
    // The facts of an original that is there as they say.
    let mut current = stored;
    let body = match (batch.fetch(url, validators).await?, stored) {
        (Fetched::Body(body), _) => body,
        (Fetched::NotModified, Some(stored)) => {
            if batch.has_all_renditions(key, stored) {
                return Ok((ImageStatus::Unchanged, stored.clone()));
            }
            if let Some(body) = original(batch, key, stored).await? {
                return update(batch, key, &body, stored).await;
            }
            current = None;
            refetch(batch, url).await?
        }
        // Only a request with validators is answered so, and they come from the facts.
        (Fetched::NotModified, None) => refetch(batch, url).await?,
    };
    let hash = hash::hex(hash::bytes_hash(&body.bytes));
    match current {
        Some(current) if current.hash == hash => update(batch, key, &body, current).await,
        _ => {
            let facts = replace(batch, key, url, body, hash, stored.is_some()).await?;
            Ok((ImageStatus::Stored, facts))
        }
    }
}

/// Fetches a picture without conditions.
async fn refetch(batch: Batch<'_>, url: &str) -> Result<Body, Failure> {
    match batch.fetch(url, Validators::default()).await? {
        Fetched::Body(body) => Ok(body),
        Fetched::NotModified => Err(Failure::passing("the source answered 304 out of turn")),
    }
}

/// The stored original, if it is the one that the facts tell of.
async fn original(
    batch: Batch<'_>,
    key: &ObjectKey,
    stored: &Facts,
) -> Result<Option<Body>, ObjectError> {
    let place = fetch::place(&batch.deps.transfers, stored.size_bytes).await;
    let object = batch.objects().get(key).await?;
    let bytes = object.map(|object| object.bytes);
    let bytes = bytes.filter(|bytes| hash::hex(hash::bytes_hash(bytes)) == stored.hash);
    let validators = stored.validators.clone();
    Ok(bytes.map(|bytes| Body { bytes, validators, _place: place }))
}

/// Brings the renditions and the validators of a picture up to date whose bytes are those stored.
async fn update(
    batch: Batch<'_>,
    key: &ObjectKey,
    body: &Body,
    stored: &Facts,
) -> Result<(ImageStatus, Facts), LookError> {
    let renditions = &batch.settings.renditions;
    let missing: Vec<Rendition> = renditions
        .iter()
        .filter(|rendition| !stored.renditions.contains(&RenditionFacts::of(key, rendition)))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let drawn = draw(batch, &body.bytes, &missing).await?;
        put_renditions(batch, key, &missing, drawn).await?;
    }
    let facts = Facts {
        validators: body.validators.clone(),
        renditions: batch.rendition_facts(key),
        ..stored.clone()
    };
    if facts != *stored {
        facts::save(batch.objects(), key, &facts).await?;
    }
    let is_redrawn = facts.renditions != stored.renditions;
    Ok((if is_redrawn { ImageStatus::Stored } else { ImageStatus::Unchanged }, facts))
}

/// Stores a picture that is new, or other than the stored one.
async fn replace(
    batch: Batch<'_>,
    key: &ObjectKey,
    url: &str,
    body: Body,
    hash: String,
    has_facts: bool,
) -> Result<Facts, LookError> {
    let renditions = &batch.settings.renditions;
    let drawn = draw(batch, &body.bytes, renditions).await?;
    let picture = &drawn.picture;
    let facts = Facts {
        url: url.to_owned(),
        validators: body.validators,
        hash,
        size_bytes: body.bytes.len() as u64,
        format: picture.format.word().to_owned(),
        width: picture.width,
        height: picture.height,
        renditions: batch.rendition_facts(key),
    };
    if has_facts {
        batch.objects().delete(&keys::image_facts(key)).await?;
    }
    // The facts are what the fleet goes by; these are for whoever fetches the picture.
    let attributes = Attributes::picture(picture.format.content_type())
        .with("hash", facts.hash.as_str())
        .with("width", facts.width.to_string())
        .with("height", facts.height.to_string());
    put_renditions(batch, key, renditions, drawn).await?;
    batch.objects().put_with(key, body.bytes, &attributes).await?;
    facts::save(batch.objects(), key, &facts).await?;
    Ok(facts)
}

/// Decodes a picture and makes these renditions.
async fn draw(batch: Batch<'_>, bytes: &Bytes, renditions: &[Rendition]) -> Result<Drawn, Failure> {
    batch.deps.draw.draw(bytes, renditions, batch.settings.max_pixels).await
}

async fn put_renditions(
    batch: Batch<'_>,
    key: &ObjectKey,
    renditions: &[Rendition],
    drawn: Drawn,
) -> Result<(), ObjectError> {
    for (rendition, file) in renditions.iter().zip(drawn.picture.renditions) {
        batch.objects().put(&render::key(key, rendition), file.into()).await?;
    }
    Ok(())
}

impl<'a> Batch<'a> {
    fn objects(self) -> &'a dyn Objects {
        self.deps.objects.as_ref()
    }

    async fn fetch(self, url: &str, validators: Validators) -> Result<Fetched, Failure> {
        let max_bytes = self.settings.max_bytes;
        fetch::fetch(self.deps, &self.job.host, url, validators, max_bytes).await
    }

    /// The facts of the renditions that the pipe asks for, in its order.
    fn rendition_facts(self, key: &ObjectKey) -> Vec<RenditionFacts> {
        let renditions = self.settings.renditions.iter();
        renditions.map(|rendition| RenditionFacts::of(key, rendition)).collect()
    }

    fn has_all_renditions(self, key: &ObjectKey, stored: &Facts) -> bool {
        self.rendition_facts(key) == stored.renditions
    }
}
