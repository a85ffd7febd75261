//! Objects that partners put into buckets, as the client for sources reads them.

use async_trait::async_trait;
use bytes::Bytes;
use feedfleet_aws::{AtHand, Aws, AwsError, SourceObject};
use feedfleet_remote::{Ask, Buckets, Chunks, Found, Head, RemoteErrorKind};
use std::io;
use tokio::sync::OnceCell;

/// Buckets of S3, by the credentials of the environment or the machine. AWS is looked for when a source first needs it.
pub struct S3Buckets {
    region: Option<String>,
    aws: OnceCell<Aws>,
}

impl S3Buckets {
    /// Buckets as seen from this region, or from the one that the environment or the machine names.
    pub fn new(region: Option<String>) -> Self {
        Self { region, aws: OnceCell::new() }
    }

    /// Access, where it is known in which region: without one no request can be signed, however often it is tried.
    async fn load(&self) -> Result<Aws, RemoteErrorKind> {
        let aws = Aws::load(self.region.clone()).await;
        if aws.region().is_none_or(str::is_empty) {
            let text =
                "no region is set for S3: set region under [aws] in fleet.toml, or AWS_REGION";
            return Err(RemoteErrorKind::Unsupported(text.to_owned()));
        }
        Ok(aws)
    }
}

#[async_trait]
impl Buckets for S3Buckets {
    async fn open(&self, bucket: &str, key: &str, ask: &Ask<'_>) -> Result<Found, RemoteErrorKind> {
        let aws = self.aws.get_or_try_init(|| self.load()).await?;
        let at_hand = match (ask.resume, ask.known) {
            (Some(rest), _) => AtHand::Beginning(rest.from, rest.tag),
            (None, Some(tag)) => AtHand::Whole(tag),
            (None, None) => AtHand::Nothing,
        };
        let opened = aws.open_source(bucket, key, at_hand).await.map_err(unopened)?;
        let Some(object) = opened else { return Ok(Found::NotModified) };
        let head = Head {
            from: object.from(),
            tag: object.tag().map(str::to_owned),
            length_bytes: Some(object.length_bytes()),
        };
        Ok(Found::Body { head, chunks: Box::new(Body(object)) })
    }
}

/// The store answers with one state of an object, so that it needs no second look.
struct Body(SourceObject);

#[async_trait]
impl Chunks for Body {
    async fn next(&mut self) -> Result<Option<Bytes>, RemoteErrorKind> {
        let broken = |e: AwsError| RemoteErrorKind::Broken { source: io::Error::other(e) };
        self.0.next().await.map_err(broken)
    }
}

fn unopened(error: AwsError) -> RemoteErrorKind {
    let text = error.to_string();
    match error.status() {
        // A machine whose role cannot be had right now has none either.
        _ if error.lacks_credentials() => RemoteErrorKind::NoCredentials(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the profile of AWS_PROFILE in ~/.aws, and in the role of \
             the machine or the container"
                .to_owned(),
        ),
        _ if error.is_passing() => RemoteErrorKind::Busy(text),
        Some(404) => RemoteErrorKind::NotFound(text),
        Some(401 | 403) => RemoteErrorKind::Denied(format!(
            "{text}; the credentials need s3:GetObject on it, and s3:ListBucket to be told that it is absent"
        )),
        _ if ["PermanentRedirect", "AuthorizationHeaderMalformed"].iter().any(|code| error.has_code(code)) => {
            RemoteErrorKind::Denied(format!(
                "{text}; the bucket is in another region than the fleet, and is not read from there: have the partner \
                 copy it into a bucket in the fleet's region, or give its address by HTTPS or SFTP"
            ))
        }
        _ => RemoteErrorKind::Denied(text),
    }
}
