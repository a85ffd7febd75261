//! An object that others wrote, read as a source: from its start, or from where an earlier reading broke off.

use super::calls::{GET, length, next_piece, within};
use super::failure::RETRIES;
use crate::{Aws, AwsError};
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

/// What is at hand of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtHand<'a> {
    /// Nothing.
    Nothing,
    /// All of the state that has this tag.
    Whole(&'a str),
    /// So many bytes of the state that has this tag.
    Beginning(u64, &'a str),
}

/// An object that is being read. Dropping it gives up the rest.
#[derive(Debug)]
pub struct SourceObject {
    from: u64,
    tag: Option<String>,
    length_bytes: u64,
    body: ByteStream,
}

/// Which bytes are asked for, of which state.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    All,
    AllUnless(&'a str),
    Rest(u64, &'a str),
}

impl Aws {
    /// Opens an object of any bucket that the credentials may read. None: it is of the state that is at hand whole. Of
    /// an object that has changed, all of it comes.
    ///
    /// # Errors
    ///
    /// There is no such object, it may not be read, or S3 does not answer.
    pub async fn open_source(
        &self,
        bucket: &str,
        key: &str,
        at_hand: AtHand<'_>,
    ) -> Result<Option<SourceObject>, AwsError> {
        let client = Client::from_conf(self.s3().build());
        // Tried again: reading changes nothing.
        let client = &client;
        let get = |wanted| RETRIES.run(move || get_once(client, bucket, key, wanted));
        if let AtHand::Beginning(from, tag) = at_hand {
            match get(Wanted::Rest(from, tag)).await {
                Ok(found) if begins_at(&found, from) => {
                    return SourceObject::of(found, from).map(Some);
                }
                // All of it came: what stands in for S3 need not know ranges.
                Ok(_) => {}
                // Another state, or one that is shorter.
                Err(error) if matches!(error.status(), Some(412 | 416)) => {}
                Err(error) => return Err(error),
            }
        }
        let wanted = match at_hand {
            AtHand::Whole(tag) => Wanted::AllUnless(tag),
            AtHand::Nothing | AtHand::Beginning(..) => Wanted::All,
        };
        match get(wanted).await {
            Ok(found) => SourceObject::of(found, 0).map(Some),
            Err(error) if matches!(at_hand, AtHand::Whole(_)) && error.status() == Some(304) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl SourceObject {
    fn of(found: GetObjectOutput, from: u64) -> Result<Self, AwsError> {
        let left = length(GET, found.content_length())?;
        let tag = found.e_tag().map(str::to_owned);
        Ok(Self { from, tag, length_bytes: from + left, body: found.body })
    }

    /// Where its bytes begin.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The tag of its state, quotes included.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Bytes of the whole.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    ///
    /// The connection broke or went quiet, or a checksum is wrong.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AwsError> {
        loop {
            match next_piece(&mut self.body).await? {
                Some(piece) if piece.is_empty() => {}
                piece => return Ok(piece),
            }
        }
    }
}

async fn get_once(
    client: &Client,
    bucket: &str,
    key: &str,
    wanted: Wanted<'_>,
) -> Result<GetObjectOutput, AwsError> {
    let request = client.get_object().bucket(bucket).key(key);
    let request = match wanted {
        Wanted::All => request,
        Wanted::AllUnless(tag) => request.if_none_match(tag),
        Wanted::Rest(from, tag) => request.range(format!("bytes={from}-")).if_match(tag),
    };
    let found = request.customize().config_override(within(0)).send().await;
    found.map_err(|e| AwsError::of(GET, &e))
}

/// Whether an answer is a part that begins there.
fn begins_at(found: &GetObjectOutput, from: u64) -> bool {
    let range = found.content_range().and_then(|range| range.strip_prefix("bytes "));
    range
        .and_then(|range| range.split_once('-'))
        .is_some_and(|(start, _)| start.parse() == Ok(from))
}
