//! Where pictures are decoded: in children of the worker, or in this very process.

use super::decoders::Decoders;
use super::fetch::Failure;
use crate::room::Place;
use bytes::Bytes;
use feedfleet_config::Rendition;
use feedfleet_pictures::picture::{self, Picture};
use std::sync::Arc;

/// Where pictures are decoded. Cheap to clone.
#[derive(Clone)]
pub enum Draw {
    /// In this process, without limits of its own: a picture that aborts a decoder ends all of it.
    Here,
    /// In children: such a picture ends one of them.
    Apart(Arc<Decoders>),
}

/// A picture that could be decoded, and the memory that its renditions take.
pub(super) struct Drawn {
    /// The picture.
    pub(super) picture: Picture,
    /// To be kept as long as the renditions.
    pub(super) _place: Option<Place>,
}

impl Draw {
    /// Decodes a picture and makes these renditions.
    pub(super) async fn draw(
        &self,
        bytes: &Bytes,
        renditions: &[Rendition],
        max_pixels: u64,
    ) -> Result<Drawn, Failure> {
        match self {
            Draw::Here => here(bytes.clone(), renditions.to_vec(), max_pixels).await,
            Draw::Apart(decoders) => decoders.draw(bytes, renditions, max_pixels).await,
        }
    }
}

async fn here(bytes: Bytes, renditions: Vec<Rendition>, max_pixels: u64) -> Result<Drawn, Failure> {
    let work =
        tokio::task::spawn_blocking(move || picture::process(&bytes, &renditions, max_pixels));
    match work.await {
        Ok(Ok(picture)) => Ok(Drawn { picture, _place: None }),
        Ok(Err(error)) => Err(Failure::lasting(error.to_string())),
        Err(stopped) => Err(Failure::passing(format!("decoding was cut off: {stopped}"))),
    }
}
