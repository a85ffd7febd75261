//! The object store that the tables are in: a bucket of S3, spoken to by the library that reads and writes their
//! log. Region, endpoint and credentials are those that the SDK has found, so that both reach the same account.

use crate::Aws;
use crate::error::chain;
use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use object_store::aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut};
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, Error, ObjectStore, Result, RetryConfig,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// Until a request is answered to the last byte. A part of an upload has 8 MiB, a group of rows up to 48 MiB; a body
/// that is cut off by this is taken up where it ended.
const ANSWER: Duration = Duration::from_secs(60);
/// No request is begun again after this: that is time for one that hangs, and another.
const RETRY_WITHIN: Duration = Duration::from_secs(75);

/// The store of this bucket; its keys are whole, prefix included. Asks nothing of S3.
///
/// What fails in passing (a connection that breaks or hangs, 5xx, throttling) is repeated, up to six times within 75 s,
/// with growing pauses that are spread at random. That holds for conditional puts as well, but for those that hang; they may
/// then meet their own success as a conflict: whoever makes one has to look at what is there.
///
/// # Errors
///
/// No region, or no source of credentials, has been found.
pub fn table_store(aws: &Aws, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
    patient_store(aws, bucket, ANSWER, RETRY_WITHIN)
}

/// Its patience: until a request is answered, and until none is begun again.
fn patient_store(
    aws: &Aws,
    bucket: &str,
    answer: Duration,
    retry_within: Duration,
) -> Result<Arc<dyn ObjectStore>> {
    let region = aws.region().ok_or_else(|| {
        missing("no region is set: region under [aws] in fleet.toml, or AWS_REGION, says which")
    })?;
    let provider = aws.config().credentials_provider();
    let provider = provider.ok_or_else(|| missing("there is no source of credentials"))?;
    let endpoint = aws.s3_endpoint();
    let is_plain = endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout(answer)
        .with_allow_http(is_plain);
    let retries = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 6,
        retry_timeout: retry_within,
    };
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_credentials(Arc::new(SdkCredentials::new(provider)))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(options)
        .with_retry(retries);
    let builder = match endpoint {
        // Its host's name has none of buckets.
        Some(url) => builder.with_endpoint(url),
        // S3's certificates are not for names of two parts.
        None => builder.with_virtual_hosted_style_request(!bucket.contains('.')),
    };
    Ok(Arc::new(builder.build()?))
}

impl Aws {
    /// The address to ask in place of S3's own, by the rules of the SDK: `AWS_ENDPOINT_URL_S3` before
    /// `AWS_ENDPOINT_URL`, the environment before the profile, and what the program says before all.
    pub(crate) fn s3_endpoint(&self) -> Option<String> {
        let config = self.config();
        let said = || config.endpoint_url().map(str::to_owned);
        if config.get_origin("endpoint_url").is_client_config() {
            return said();
        }
        let key = ServiceConfigKey::builder()
            .service_id("S3")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok();
        let own = key.and_then(|key| config.service_config()?.load_config(key));
        own.or_else(said)
    }
}

fn missing(what: &'static str) -> Error {
    Error::Generic { store: "S3", source: what.into() }
}

/// How long before their end credentials are found anew.
const BEFORE_END: Duration = Duration::from_secs(5 * 60);
/// Not more often than this, however near the end.
const NOT_WITHIN: Duration = Duration::from_secs(10);
/// Credentials without an end may have been replaced: they are asked for again after this.
const WITHOUT_END: Duration = Duration::from_secs(15 * 60);
/// How long finding them may take.
const FIND: Duration = Duration::from_secs(30);

/// The SDK's credentials, kept as long as they last: every request asks for them.
#[derive(Debug)]
struct SdkCredentials {
    provider: SharedCredentialsProvider,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<AwsCredential>,
    good_until: Option<SystemTime>,
    find_anew: SystemTime,
}

impl SdkCredentials {
    fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, held: Mutex::new(None) }
    }

    async fn at(&self, now: SystemTime) -> Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| now < held.find_anew) {
            return Ok(held.credential.clone());
        }
        let found = tokio::time::timeout(FIND, self.provider.provide_credentials()).await;
        let why = match found {
            Ok(Ok(found)) => {
                let fresh = Held::of(&found, now);
                let credential = fresh.credential.clone();
                *held = Some(fresh);
                return Ok(credential);
            }
            Ok(Err(e)) => chain(&e),
            Err(_) => format!("finding them took more than {} s", FIND.as_secs()),
        };
        // They are found anew well before their end: whoever has them may not answer for a while.
        match held.as_ref().filter(|held| held.good_until.is_none_or(|end| now < end)) {
            Some(held) => {
                tracing::warn!(error = %why, "could not find credentials anew, those at hand go on");
                Ok(held.credential.clone())
            }
            None => {
                Err(Error::Generic { store: "S3", source: format!("credentials: {why}").into() })
            }
        }
    }
}

impl Held {
    fn of(found: &Credentials, now: SystemTime) -> Self {
        let good_until = found.expiry();
        let find_anew = match good_until {
            Some(end) => (end - BEFORE_END).max(now + NOT_WITHIN),
            None => now + WITHOUT_END,
        };
        let credential = AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        };
        Self { credential: Arc::new(credential), good_until, find_anew }
    }
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        self.at(SystemTime::now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::Region;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future::ProvideCredentials as Provided;
    use object_store::ObjectStoreExt;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Numbers the credentials that it gives, each good for an hour; may be told to fail.
    #[derive(Debug, Clone, Default)]
    struct Numbered {
        given: Arc<AtomicU64>,
        fails: Arc<AtomicU64>,
    }

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            if self.fails.load(Ordering::SeqCst) > 0 {
                return Provided::ready(Err(CredentialsError::provider_error("no answer")));
            }
            let number = self.given.fetch_add(1, Ordering::SeqCst);
            let end = SystemTime::UNIX_EPOCH + MINUTE * 60 * (number as u32 + 1);
            let key = format!("key-{number}");
            Provided::ready(Ok(Credentials::new(key, "secret", None, Some(end), "test")))
        }
    }

    #[tokio::test]
    async fn credentials_are_kept_until_shortly_before_their_end() {
        let numbered = Numbered::default();
        let bridge = SdkCredentials::new(SharedCredentialsProvider::new(numbered.clone()));
        let at = |minute: u32| bridge.at(SystemTime::UNIX_EPOCH + MINUTE * minute);
        for (minute, key) in [(0, "key-0"), (54, "key-0"), (56, "key-1"), (114, "key-1")] {
            assert_eq!(at(minute).await.unwrap().key_id, key, "minute {minute}");
        }
        numbered.fails.store(1, Ordering::SeqCst);
        assert_eq!(at(116).await.unwrap().key_id, "key-1", "they are good for four more minutes");
        let refused = at(121).await.unwrap_err().to_string();
        assert!(refused.contains("no answer"), "{refused}");
        numbered.fails.store(0, Ordering::SeqCst);
        assert_eq!(at(122).await.unwrap().key_id, "key-2");
    }

    #[tokio::test]
    async fn a_store_is_opened_without_asking_anybody() {
        let keys = || Credentials::new("key", "secret", None, None, "test");
        let aws = Aws::load_with(|loader| {
            loader.region(Region::new("eu-west-1")).credentials_provider(keys())
        });
        let store = table_store(&aws.await, "bucket").unwrap();
        assert_eq!(store.to_string(), "AmazonS3(bucket)");
    }

    /// The first request is never answered, the second one is.
    #[tokio::test]
    async fn a_request_that_hangs_is_made_again() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let _hangs = server.accept().await.unwrap();
            let (mut answered, _) = server.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(answered.read(&mut request).await.unwrap() > 0);
            let answer = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nLast-Modified: Mon, 23 Nov 2026 00:00:00 GMT\r\n\
                          Content-Length: 3\r\n\r\nrow";
            answered.write_all(answer.as_bytes()).await.unwrap();
            answered
        });
        let keys = || Credentials::new("key", "secret", None, None, "test");
        let aws = Aws::load_with(|loader| {
            let loader = loader.region(Region::new("eu-west-1")).credentials_provider(keys());
            loader.endpoint_url(url.as_str())
        });
        // Time for one that hangs, and another.
        const { assert!(RETRY_WITHIN.as_secs() > ANSWER.as_secs()) };
        let answer = Duration::from_secs(2);
        let store = patient_store(&aws.await, "data", answer, answer * 10).unwrap();
        let got = store.get(&"products/a.parquet".into()).await.unwrap().bytes().await.unwrap();
        assert_eq!(got.as_ref(), b"row");
        drop(served);
    }

    #[tokio::test]
    async fn an_endpoint_that_the_program_names_is_the_tables_too() {
        let aws = Aws::load_with(|loader| loader.endpoint_url("http://127.0.0.1:1")).await;
        assert_eq!(aws.s3_endpoint().as_deref(), Some("http://127.0.0.1:1"));
    }
}
