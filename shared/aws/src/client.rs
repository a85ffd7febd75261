//! One client configuration for every service: credentials, region, time-outs, and no retries of the SDK's own.

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::time::Duration;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// Until a call is answered, connecting and signing included, where its own module says nothing else. The SDK
/// has no such limit by itself: a call whose connection went quiet would wait for ever.
const ANSWER: Duration = Duration::from_secs(15);

/// Access to AWS, as the environment or the machine gives it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
}

impl Aws {
    /// Finds region, credentials and endpoints where every AWS tool finds them: the `AWS_*` variables, the
    /// shared configuration files, the machine's role. `region` takes precedence. Nothing is asked of a
    /// service yet, so nothing fails yet.
    pub async fn load(region: Option<String>) -> Self {
        Self::load_with(|loader| match region {
            Some(region) => loader.region(Region::new(region)),
            None => loader,
        })
        .await
    }

    /// As [`Aws::load`], with what `settings` says in place of what would be found: an endpoint, keys.
    pub async fn load_with(settings: impl FnOnce(ConfigLoader) -> ConfigLoader) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .timeout_config(timeouts(ANSWER))
            // Each module repeats its calls by itself, with the reason beside it (`retry`).
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build());
        Self { config: settings(loader).load().await }
    }

    /// What the clients of all services are made from.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The region; none was found if it is `None`, and every call will fail.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }
}

/// A client with connections of its own. A connection is worked by the runtime that opened it: whoever has a
/// runtime of its own needs connections of its own too.
pub(crate) fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// Time-outs for calls that are answered within `answer`.
pub(crate) fn timeouts(answer: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(answer)
        // One attempt is the whole operation, and what the SDK does around it.
        .operation_timeout(answer + CONNECT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_configured_region_counts_and_the_sdk_does_not_retry() {
        let aws = Aws::load(Some("eu-north-1".to_owned())).await;
        assert_eq!(aws.region(), Some("eu-north-1"));
        let config = aws.config();
        assert_eq!(config.retry_config().map(RetryConfig::max_attempts), Some(1));
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.connect_timeout(), Some(CONNECT));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(ANSWER));
        assert!(timeouts.operation_timeout().is_some());
    }
}
