//! The client: one GET, hop by hop, each hop through the guard.

use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};
use url::Url;

use crate::error::{FetchError, FetchErrorKind, Phase};
use crate::guard::{GuardPolicy, check_url};
use crate::limits::{Limits, time_after};
use crate::redact::{redacted, redacted_text};
use crate::redirect::{location, next_url, restrict_headers};
use crate::request::Request;
use crate::resolve::{GuardedResolver, ResolveName, SystemResolver};
use crate::response::Response;

#[cfg(test)]
mod tests;

/// How a [`Client`] is set up.
#[derive(Clone)]
pub struct ClientOptions {
    /// The `User-Agent` to send.
    pub user_agent: String,
    /// What the guard lets through.
    pub policy: GuardPolicy,
    /// The longest wait for a connection, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// Idle connections kept for each host.
    pub max_idle_per_host: usize,
    /// The resolver to ask; `None` is the operating system's. The guard judges its answers.
    pub resolver: Option<Arc<dyn ResolveName>>,
}

impl ClientOptions {
    /// The defaults: public addresses only, 10 seconds to connect, the system's resolver.
    pub fn new(user_agent: impl Into<String>) -> Self {
        ClientOptions {
            user_agent: user_agent.into(),
            policy: GuardPolicy::default(),
            connect_timeout: Duration::from_secs(10),
            max_idle_per_host: 8,
            resolver: None,
        }
    }
}

/// A client that could not be set up, such as for a user agent that is not a valid header.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct BuildError {
    source: reqwest::Error,
}

/// An HTTP client that connects to nothing the policy doesn't allow. Clones are cheap and share
/// their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    policy: Arc<GuardPolicy>,
    has_trust_roots: bool,
}

impl Client {
    /// Sets up a client.
    ///
    /// It trusts the system's CA certificates. On a machine that has none it still works for
    /// http, with a warning, and every https fetch fails (see [`Client::has_trust_roots`]).
    ///
    /// # Errors
    ///
    /// The options don't make a client; no retry helps.
    pub fn new(options: ClientOptions) -> Result<Self, BuildError> {
        install_tls_provider();
        let policy = Arc::new(options.policy.clone());
        let resolver: Arc<dyn ResolveName> = match &options.resolver {
            Some(resolver) => Arc::clone(resolver),
            None => Arc::new(SystemResolver),
        };
        let resolver = Arc::new(GuardedResolver::new(Arc::clone(&policy), resolver));
        let (http, has_trust_roots) = match builder(&options, &resolver).build() {
            Ok(http) => (http, true),
            Err(reason) => {
                // The builder fails where the system has no certificates. Anything else that is
                // wrong fails again without them.
                let no_certificates: [reqwest::Certificate; 0] = [];
                let http = builder(&options, &resolver)
                    .tls_certs_only(no_certificates)
                    .build()
                    .map_err(|source| BuildError { source })?;
                warn!(error = ?reason, "no CA certificates found: https fetches will fail");
                (http, false)
            }
        };
        Ok(Client { http, policy, has_trust_roots })
    }

    /// The policy that this client obeys.
    pub fn policy(&self) -> &GuardPolicy {
        &self.policy
    }

    /// Whether the system's CA certificates were found. Without them every https fetch fails.
    pub fn has_trust_roots(&self) -> bool {
        self.has_trust_roots
    }

    /// Fetches a URL, following redirects, up to and including the response head. The body is
    /// read from the [`Response`], under the same limits. Any status is a response, not an error;
    /// so is a redirect without a target, or one that the request says not to follow.
    ///
    /// # Errors
    ///
    /// See [`FetchErrorKind`]. A response that announces a body over the limit, or that answers a
    /// range request with another range, fails here already.
    pub async fn get(&self, request: Request) -> Result<Response, FetchError> {
        let limits = request.limits;
        let deadline = time_after(Instant::now(), limits.total_time);
        let mut url = check_url(&self.policy, &request.url).map_err(|reason| FetchError {
            url: redacted_text(&request.url),
            kind: FetchErrorKind::Refused(reason),
        })?;
        url.set_fragment(None);
        let mut headers = request
            .header_map()
            .map_err(|name| FetchError::new(&url, FetchErrorKind::InvalidHeader { name }))?;
        let mut redirects: Vec<Url> = Vec::new();
        loop {
            let response = self.send(&url, &headers, &limits, deadline).await?;
            let location = location(response.status(), response.headers());
            let Some(location) = location.filter(|_| request.follow_redirects) else {
                let range_start = request.range_start();
                return Response::open(response, url, redirects, range_start, limits, deadline);
            };
            let next = next_url(&self.policy, &url, &location)?;
            restrict_headers(&url, &next, &mut headers)
                .map_err(|reason| FetchError::new(&next, FetchErrorKind::Refused(reason)))?;
            if next == url || redirects.contains(&next) {
                return Err(FetchError::new(&next, FetchErrorKind::RedirectLoop));
            }
            if redirects.len() >= usize::from(limits.max_redirects) {
                let limit = limits.max_redirects;
                return Err(FetchError::new(&next, FetchErrorKind::TooManyRedirects { limit }));
            }
            debug!(from = %redacted(&url), to = %redacted(&next), "redirected");
            redirects.push(std::mem::replace(&mut url, next));
        }
    }

    /// One hop: from the request to the response head.
    async fn send(
        &self,
        url: &Url,
        headers: &HeaderMap,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<reqwest::Response, FetchError> {
        let first_byte_at = time_after(Instant::now(), limits.first_byte);
        let (until, phase) = if deadline <= first_byte_at {
            (deadline, Phase::Total)
        } else {
            (first_byte_at, Phase::FirstByte)
        };
        let sending = self.http.get(url.clone()).headers(headers.clone()).send();
        match timeout_at(until, sending).await {
            Err(_) => Err(FetchError::new(url, FetchErrorKind::TimedOut(phase))),
            Ok(sent) => sent.map_err(|error| FetchError::before_head(url, error)),
        }
    }
}

/// The HTTP stack, with everything switched off that would act behind the guard's back: proxies,
/// redirects, and decompression (which would hide how many bytes came).
fn builder(options: &ClientOptions, resolver: &Arc<GuardedResolver>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(options.user_agent.as_str())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.max_idle_per_host)
        .dns_resolver(Arc::clone(resolver))
}

/// Makes ring the process's TLS cryptography, once. The HTTP stack brings none of its own.
fn install_tls_provider() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            debug!("another TLS provider is installed already; it is used");
        }
    });
}
